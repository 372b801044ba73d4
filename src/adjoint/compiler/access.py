"""Where elements lie: views as strides, and axes of values as axes of a loop nest.

Reshapes, transpositions, broadcasts and slices move nothing: what reads their result reads its base with other strides.
`View` is that: base, offset and strides. A loop nest has `Axis` es; a value that is computed in it has one of them, or
None, for each of its own axes: None where its size is 1 or it is the same all along. `lowered` takes these from the
result of a view to its operand, `lifted` from the operand to the result.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.compiler.program import Value

VIEWS: Final = frozenset(("reshape", "transpose", "broadcast", "slice"))


class Axis:
    """One loop: the size that it runs through."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        return f"axis of {self.size}"


Axes = tuple["Axis | None", ...]


class View(NamedTuple):
    """Elements of `base`, which lie as in a C array of its shape: offset and strides are counted in elements."""

    base: Value
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether it has all elements of the base, in their order."""
        return self.offset == 0 and prod(self.shape) == self.base.abstract.size and self.strides == standing(self.shape)


def standing(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a C array; 0 along axes of size 1."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(0 if size == 1 else step)
        step *= size
    return tuple(reversed(strides))


def view(value: Value) -> View:
    """The value as elements of what it is a view of: of itself, if it is none or strides cannot say it (a reshape of
    scattered elements, which has to be copied).
    """
    itself = View(value, 0, value.shape, standing(value.shape))
    if value.kind not in VIEWS:
        return itself
    under = view(value.inputs[0])
    if value.kind == "reshape":
        strides = _reshaped(under.shape, under.strides, value.shape)
        return itself if strides is None else View(under.base, under.offset, value.shape, strides)
    if value.kind == "transpose":
        axes = value.params["axes"]
        return View(under.base, under.offset, value.shape, tuple(under.strides[a] for a in axes))
    if value.kind == "broadcast":
        extra = len(value.shape) - len(under.shape)
        own = (0,) * extra + under.strides
        before = (1,) * extra + under.shape
        return View(under.base, under.offset, value.shape, _still(before, own))
    return _sliced(under, value)


def _still(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


def _sliced(under: View, value: Value) -> View:
    offset, shape, strides = part(under.shape, under.strides, value.params["key"])
    return View(under.base, under.offset + offset, shape, strides)


def part(shape: tuple[int, ...], strides: tuple[int, ...], key: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Offset, shape and strides of a basic slice: NumPy does the arithmetic, on bytes that nobody reads."""
    whole = np.lib.stride_tricks.as_strided(np.empty(1, np.int8), shape, strides)
    sliced = whole[key]
    if not isinstance(sliced, np.ndarray):  # one element: with an ellipsis it stays a view
        sliced = whole[(*key, ...) if isinstance(key, tuple) else (key, ...)]
    start, address = (x.__array_interface__["data"][0] for x in (whole, sliced))
    return (address - start if sliced.size else 0), sliced.shape, _still(sliced.shape, sliced.strides)


def _reshaped(shape: tuple[int, ...], strides: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """Strides after a reshape, if the elements allow it: neighbouring axes that lie evenly are one long axis."""
    if 0 in shape:
        return (0,) * len(wanted)
    runs: list[list[int]] = []  # size and stride of each long axis
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == stride * size:
            runs[-1] = [runs[-1][0] * size, stride]
        else:
            runs.append([size, stride])
    result: list[int] = []
    for size in reversed(wanted):
        if size == 1:
            result.append(0)
            continue
        if not runs or runs[-1][0] % size:
            return None
        result.append(runs[-1][1])
        runs[-1] = [runs[-1][0] // size, runs[-1][1] * size]
        if runs[-1][0] == 1:
            runs.pop()
    return tuple(reversed(result))


# --- axes of a loop nest through views --------------------------------------------------------------------------------


def operand_axes(axes: Axes, shape: tuple[int, ...]) -> Axes:
    """Axes of an operand that is broadcast to a result with these axes."""
    own = axes[len(axes) - len(shape) :]
    return tuple(None if n == 1 else a for n, a in zip(shape, own, strict=True))


def lowered(value: Value, axes: Axes) -> Axes | None:
    """Axes of the operand of a view whose result has these; None if the elements do not correspond one by one."""
    operand = value.inputs[0].shape
    if value.kind == "broadcast":
        return operand_axes(axes, operand)
    if value.kind == "transpose":
        places = value.params["axes"]
        return tuple(axes[places.index(i)] for i in range(len(operand)))
    return _matched(value.shape, axes, operand) if _keeps_order(value) else None


def lifted(value: Value, axes: Axes) -> Axes | None:
    """Axes of the result of a view whose operand has these; a broadcast adds axes that nobody knows yet (None)."""
    operand = value.inputs[0].shape
    if value.kind == "broadcast":
        return (None,) * (len(value.shape) - len(operand)) + axes
    if value.kind == "transpose":
        return tuple(axes[a] for a in value.params["axes"])
    return _matched(operand, axes, value.shape) if _keeps_order(value) else None


def _keeps_order(value: Value) -> bool:
    """Whether a reshape or a slice only adds or removes axes of size 1."""
    return [n for n in value.shape if n != 1] == [n for n in value.inputs[0].shape if n != 1] and (
        value.kind == "reshape" or _all_taken(value.params["key"])
    )


def _all_taken(key: Any) -> bool:
    """A slice of unchanged sizes takes all elements in their order unless it turns an axis round."""
    parts = key if isinstance(key, tuple) else (key,)
    return not any(isinstance(part, slice) and part.step is not None and part.step < 0 for part in parts)


def _matched(shape: tuple[int, ...], axes: Axes, wanted: tuple[int, ...]) -> Axes:
    moving = iter([a for n, a in zip(shape, axes, strict=True) if n != 1])
    return tuple(None if n == 1 else next(moving) for n in wanted)
