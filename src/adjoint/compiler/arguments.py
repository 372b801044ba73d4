"""The arguments of a call taken apart: numbers, to compute with, and the rest, which decides what is done.

The `signature` of a call is what is traced anew when it changes: the structure of the arguments, shape and dtype of
every number, and all other leaves by value. Python numbers are numbers whose dtype gives way, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from adjoint.compiler.buffers import plain_array
from adjoint.errors import TraceError
from adjoint.leaves import State
from adjoint.recording import MODE, PLAIN, Settings, here
from adjoint.tensor import Tensor, plain_value

Function = Callable[..., Any]


class _Static:
    """An argument that is part of the signature, whatever it holds."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


class _Number:
    """The place of a number among the leaves."""


_NUMBER: Final = _Number()


class Arguments:
    """The arguments of one call.

    `numbers` are arrays as native code reads them, `specimens` the same for a trace: there Python numbers are still
    Python numbers.
    """

    def __init__(self, args: tuple[Any, ...], settings: Mapping[str, Any], static: Collection[str | int]) -> None:
        self.numbers: list[Any] = []
        self.specimens: list[Any] = self.numbers
        #: Whether these are arrays and nothing else, in containers or not.
        self.is_plain = not settings and not static and all(type(x) is np.ndarray for x in args)
        #: Whether a result must be a Tensor that gets a gradient for an argument.
        self.is_differentiated = False
        #: Places among the numbers that are Tensors.
        self.tensors: list[int] = []
        self._recipe: Any = None
        self._rest: list[Any] = []
        if self.is_plain:
            self.numbers += map(plain_array, args)
            self.signature: Hashable = tuple([(x.dtype, x.shape) for x in self.numbers])
        else:
            self._take_apart(args, settings, static)

    def _take_apart(self, args: tuple[Any, ...], settings: Mapping[str, Any], static: Collection[str | int]) -> None:
        import optree

        self.specimens = []
        marked = [_Static(x) if i in static else x for i, x in enumerate(args)]
        named = {k: _Static(v) if k in static else v for k, v in settings.items()}
        whole: Any = (marked, named)
        leaves, self._recipe = optree.tree_flatten(whole, is_leaf=_is_leaf)
        self.signature = (self._recipe, *map(self._sign, leaves))
        self.is_plain = not settings and not static and all(type(x) is np.ndarray for x in leaves)

    def _sign(self, x: Any) -> Hashable:
        """What the signature says of a leaf; it is noted with the numbers or with the rest."""
        kind: Any = type(x)
        if kind is np.ndarray:  # the usual case
            return self._add_array(x)
        if kind is float or kind is bool or (kind is int and -(2**63) <= x < 2**63):
            self._add(np.array(x), x)
            return kind
        if isinstance(x, Tensor) and not isinstance(x, State):
            self.tensors.append(len(self.numbers))
            if kind is Tensor and (MODE.get() or PLAIN).record:
                self.is_differentiated = True
            value = x._value
            if type(value) is float:
                self._add(np.array(value), value)
                return (Tensor, float)
            return (Tensor, *self._add_array(np.asarray(value)))
        if _is_number(x):
            return self._add_array(np.asarray(x))
        content = x.content if kind is _Static else x
        self._rest.append(content)
        try:
            hash(content)
        except TypeError:
            raise TraceError(
                f"compile: expected a hashable value for a static argument, got {type(content).__name__}{here()}; "
                "pass a tuple instead of a list, or numbers as an array that is no static argument"
            ) from None
        return ("static", type(content), content)

    def _add(self, array: Any, specimen: Any) -> None:
        self._rest.append(_NUMBER)
        self.numbers.append(array)
        self.specimens.append(specimen)

    def _add_array(self, x: Any) -> tuple[Any, Any]:
        array = plain_array(x)
        self._add(array, array)
        return array.dtype, array.shape

    def check(self, name: str) -> None:
        """Raise `DTypeError` unless all numbers are real."""
        for x in self.numbers:
            plain_value(x, name)

    def function(self, f: Function) -> Function:
        """The function of the numbers alone: all other leaves are as they are."""
        if self._recipe is None:
            return f
        import optree

        rest, recipe = self._rest, self._recipe

        def filled(*numbers: Any) -> Any:
            supply = iter(numbers)
            whole = [next(supply) if x is _NUMBER else x for x in rest]
            args, settings = optree.tree_unflatten(recipe, whole)
            return f(*args, **settings)

        return filled


class Packing:
    """The containers of a call whose leaves were all arrays: what takes the next call's arrays out of the same ones."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self._recipe: Any = None
        if not all(type(x) is np.ndarray for x in args):
            import optree

            self._recipe = optree.tree_structure(cast("Any", args))

    def taken_out(self, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The leaves, whatever they are; None if the containers are other ones."""
        if self._recipe is None:
            return args
        import optree

        leaves, recipe = optree.tree_flatten(cast("Any", args))
        return tuple(leaves) if recipe == self._recipe else None


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Tensor | Settings | _Static)


def _is_number(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic | complex | int) or (
        hasattr(x, "__array__") and not isinstance(x, State | type)
    )


def examples_of(sources: Sequence[Any], rows: int) -> list[Any]:
    """Arrays for so many rows of each source."""
    return [np.empty((rows, *x.shape[1:]), x.dtype) for x in sources]
