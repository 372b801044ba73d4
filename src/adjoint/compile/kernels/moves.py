"""Kernels that move elements: copies, concatenations, slices put back, gathers and scatters, and the check of labels.

One loop nest serves them: outer axes in a row, vectors along the last one. Scatters run on the first part alone, in the
order of their indices; all else is shared out by rows.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from adjoint.compile.access import Axis, View, part, standing, view
from adjoint.compile.kernels import elements, loops
from adjoint.compile.kernels.loops import I64, Loop, Part, i64
from adjoint.compile.kernels.nest import Level, Nest
from adjoint.compile.kernels.rows import bounds
from adjoint.compile.llvm import ir, machine
from adjoint.compile.pool import emit_barrier
from adjoint.compile.program import Value


class Moves:
    """The kernel of a group that moves; `shared`: all parts do their share, else the first does it all."""

    def __init__(self, nest: Nest, part: Part, *, shared: bool) -> None:
        self.nest = nest
        self.part = part
        self.shared = shared
        (self.value,) = nest.group.values

    def emit(self) -> None:
        """Write the kernel."""
        kind = self.value.kind
        emitters: dict[str, Callable[[], None]] = {
            **{"concatenate": self._concatenate, "unslice": self._unslice, "gather": self._gather},
            **{"scatter": self._scatter, "check_labels": self._check_labels},
        }
        emitters.get(kind, self._copy)()

    # --- copies -------------------------------------------------------------------------------------------------------

    def _copy(self) -> None:
        """A reshape that strides cannot say: the elements in the order of the operand."""
        (x,) = self.value.inputs
        self._move(x.shape, view(x), View(self.value, 0, x.shape, standing(x.shape)))

    def _concatenate(self) -> None:
        """Every operand into its own part of the result."""
        whole, axis, start = view(self.value), self.value.params["axis"], 0
        for x in self.value.inputs:
            if x.abstract.size:
                part = View(self.value, start * whole.strides[axis], x.shape, _still(x.shape, whole.strides))
                self._move(x.shape, view(x), part)
            start += x.shape[axis]

    def _unslice(self) -> None:
        """Zeros, and the operand where it was sliced from."""
        (x,) = self.value.inputs
        whole = view(self.value)
        self._move(whole.shape, None, whole)
        self._meet()
        if x.abstract.size:
            offset, shape, strides = part(whole.shape, whole.strides, self.value.params["key"])
            self._move(shape, view(x), View(self.value, offset, shape, strides))

    def _meet(self) -> None:
        """Wait for the other parts, if they are at work too."""
        if self.shared:
            emit_barrier(self.nest.levels[0].builder, self.part.barrier, self.part.count)

    def _move(self, shape: tuple[int, ...], source: View | None, target: View) -> None:
        """Elements of a view to those of another one of the same shape; zeros if there is no source."""
        nest, dtype = self.nest, self.value.dtype
        with _Loops(self, shape, dtype) as axes:
            builder = nest.levels[-1].builder
            if source is None:
                made = loops.zero(dtype, nest.lanes)
            else:
                made = nest.load(source, dtype, axes, builder)
            nest.put(target, dtype, axes, made, builder)

    # --- by index -----------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """result[i, …] = x[indices[i], …]; an index out of range is reported, and taken as 0."""
        x, indices = self.value.inputs
        rows, places = view(x), view(indices)
        nest = self.nest
        rank = len(indices.shape)
        with _Loops(self, self.value.shape, self.value.dtype) as axes:
            builder = nest.levels[-1].builder
            place = nest.load(places, indices.dtype, axes[:rank], builder)
            if indices.dtype.itemsize < 8:
                place = elements.cast(builder, place, indices.dtype, np.dtype(np.int64))
            place = self._in_range(builder, place, x.shape[0])
            rest = View(rows.base, rows.offset, rows.shape[1:], rows.strides[1:])
            pointer, stride = nest.address(rest, axes[rank:], builder)
            offset = builder.mul(place, _like(place, rows.strides[0]))
            if isinstance(place.type, ir.VectorType):
                pointers = loops.addresses(builder, pointer, offset, x.dtype)
                nest.put(
                    view(self.value),
                    x.dtype,
                    axes,
                    loops.gather_at(builder, x.dtype, pointers, nest.lanes, nest.mask),
                    builder,
                )
                return
            pointer = loops.at(builder, pointer, offset, elements.in_memory(x.dtype))
            if stride > 1 or stride < 0:
                made = loops.gather(builder, x.dtype, pointer, stride, nest.lanes, nest.mask)
            else:
                lanes = nest.lanes if stride else 0
                made = loops.load(builder, x.dtype, pointer, lanes, nest.mask if lanes else None)
            nest.put(view(self.value), x.dtype, axes, made, builder)

    def _in_range(self, builder: Any, place: Any, size: int) -> Any:
        bad = builder.icmp_unsigned(">=", place, _like(place, size))
        if isinstance(place.type, ir.VectorType):
            if self.nest.mask is not None:
                bad = builder.and_(bad, self.nest.mask)
            name = f"llvm.vector.reduce.or.v{place.type.count}i1"
            some = builder.call(loops.declared(builder, name, ir.IntType(1), [bad.type]), [bad])
        else:
            some = bad
        with builder.if_then(some, likely=False):
            self._report(builder)
        return builder.select(bad, _like(place, 0), place)

    def _report(self, builder: Any) -> None:
        """Say in the status word that an index or a label is out of range."""
        builder.store(i64(1), self.nest.status(builder), align=8)

    def _scatter(self) -> None:
        """result[indices[i], …] += x[i, …], in the order of the indices, on zeros."""
        nest, value = self.nest, self.value
        x, indices = value.inputs
        self.shared = False
        whole, rows, places = view(value), view(x), view(indices)
        self._move(value.shape, None, whole)
        if x.abstract.size == 0:
            return
        entry = nest.levels[0].builder
        loop = Loop(entry, *bounds(entry, x.shape[0], self.part, False))
        counter = Axis(x.shape[0])
        nest.index[counter] = loop.index
        nest.levels, nest.lane, nest.lanes = [nest.levels[0], Level(loop.builder)], None, 0
        place = nest.load(places, indices.dtype, (counter,), loop.builder)
        if indices.dtype.itemsize < 8:
            place = elements.cast(loop.builder, place, indices.dtype, np.dtype(np.int64))
        place = self._in_range(loop.builder, place, value.shape[0])
        source = _moved(rows, nest.index[counter], rows.strides[0], loop.builder)
        target = _moved(whole, place, whole.strides[0], loop.builder)
        self._add(loop.builder, x.shape[1:], source, target)
        loop.close()

    def _add(self, before: Any, shape: tuple[int, ...], source: Any, target: Any) -> None:
        """One row added to another."""
        nest, dtype = self.nest, self.value.dtype
        held = nest.levels[0]
        nest.levels[0] = Level(before)
        inner = Moves.__new__(Moves)
        inner.nest, inner.part, inner.shared, inner.value = nest, Part(*self.part[:1], i64(0), i64(1), None), True, self.value
        with _Loops(inner, shape, dtype) as axes:
            builder = nest.levels[-1].builder
            nest.levels[0] = held  # addresses of bases are read outside
            old, shift = self._row(builder, axes, target)
            new, _ = self._row(builder, axes, source)
            total = elements.combine(builder, "sum", dtype, old[0], new[0])
            self._put_row(builder, total, old[1], shift)

    def _row(self, builder: Any, axes: Any, place: Any) -> tuple[Any, int]:
        rest, offset = place
        nest = self.nest
        pointer, stride = nest.address(rest, axes, builder)
        pointer = loops.at(builder, pointer, offset, elements.in_memory(self.value.dtype))
        if stride in (0, 1):
            lanes = nest.lanes if stride else 0
            return (loops.load(builder, self.value.dtype, pointer, lanes, nest.mask if lanes else None), pointer), stride
        return (loops.gather(builder, self.value.dtype, pointer, stride, nest.lanes, nest.mask), pointer), stride

    def _put_row(self, builder: Any, total: Any, pointer: Any, stride: int) -> None:
        loops.store(builder, self.value.dtype, total, pointer, self.nest.mask if stride else None)

    def _check_labels(self) -> None:
        """Every label is a class."""
        (labels,) = self.value.inputs
        nest, classes = self.nest, self.value.params["classes"]
        with _Loops(self, labels.shape, labels.dtype) as axes:
            builder = nest.levels[-1].builder
            label = nest.value(labels, axes)
            wide = elements.cast(builder, label, labels.dtype, np.dtype(np.int64))
            self._in_range(builder, wide, classes)


def _moved(place: View, index: Any, stride: int, builder: Any) -> tuple[View, Any]:
    """What is left of a view without its first axis, and the offset of a place along that."""
    rest = View(place.base, place.offset, place.shape[1:], place.strides[1:])
    return rest, loops.times(builder, index, stride)


def _still(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


def _like(place: Any, number: int) -> Any:
    if isinstance(place.type, ir.VectorType):
        return ir.Constant(place.type, [ir.Constant(I64, number)] * place.type.count)
    return i64(number)


class _Loops:
    """The loops over a shape: outer axes as rows that are shared out, vectors along the last one."""

    def __init__(self, moves: Moves, shape: tuple[int, ...], dtype: Any) -> None:
        self.moves = moves
        self.shape = shape
        self.dtype = dtype
        self.opened: list[Loop] = []

    def __enter__(self) -> tuple[Axis | None, ...]:
        nest = self.moves.nest
        axes = tuple(None if n == 1 else Axis(n) for n in self.shape)
        moving = [a for a in axes if a is not None]
        entry = nest.levels[0].builder
        nest.lane = moving[-1] if moving else None
        nest.lanes = machine().lanes(self.dtype.itemsize) if moving else 0
        nest.mask = None
        rows = prod(a.size for a in moving[:-1])
        outer = Loop(entry, *bounds(entry, rows, self.moves.part, self.moves.shared))
        rest = outer.index
        for axis in reversed(moving[:-1]):
            rest, nest.index[axis] = loops.split(outer.builder, rest, axis.size)
            nest.level_of[axis] = 1
        nest.levels = [nest.levels[0], Level(outer.builder)]
        self.opened = [outer]
        if moving:
            lane = moving[-1]
            inner = Loop(outer.builder, i64(0), i64(lane.size), nest.lanes)
            nest.index[lane], nest.level_of[lane] = inner.index, 2
            nest.levels.append(Level(inner.builder))
            if lane.size % nest.lanes:
                rest = inner.builder.sub(i64(lane.size), inner.index)
                nest.mask = loops.lane_mask(inner.builder, nest.lanes, rest)
            self.opened.append(inner)
        return axes

    def __exit__(self, *_: object) -> None:
        for opened in reversed(self.opened):
            opened.close()
        nest = self.moves.nest
        nest.mask = None
        del nest.levels[1:]
