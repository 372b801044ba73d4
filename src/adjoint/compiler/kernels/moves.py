"""Kernels that move elements: copies, concatenations, slices put back, gathers and scatters, and the check of labels.

One loop nest serves them: outer axes in a row, vectors along the last one. Scatters run on the first part alone, in the
order of their indices; all else is shared out by rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import numpy as np

from adjoint.compiler.access import Axes, Axis, View, part, standing, view
from adjoint.compiler.integers import I64, declared, i64, lane_mask, split
from adjoint.compiler.kernels import elements, loops
from adjoint.compiler.kernels.loops import Loop, Part
from adjoint.compiler.kernels.nest import Level, Nest
from adjoint.compiler.kernels.rows import bounds
from adjoint.compiler.llvm import ir, machine
from adjoint.compiler.pool import emit_barrier
from adjoint.compiler.program import Value


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
        offset, shape, strides = part(whole.shape, whole.strides, self.value.params["key"])
        self._move(shape, view(x), View(self.value, offset, shape, strides))

    def _meet(self) -> None:
        """Wait for the other parts, if they are at work too."""
        if self.shared:
            emit_barrier(self.nest.levels[0].builder, self.part.barrier, self.part.count)

    def _move(self, shape: tuple[int, ...], source: View | None, target: View) -> None:
        """Elements of a view to those of another one of the same shape; zeros if there is no source."""
        nest, dtype = self.nest, self.value.dtype
        with self._loops(shape, dtype) as (axes, builder):
            made = nest.load(source, dtype, axes, builder) if source else loops.zero(dtype, nest.lanes)
            nest.put(target, dtype, axes, made, builder)

    # --- by index -----------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """result[i, …] = x[indices[i], …]; an index out of range is reported, and taken as 0."""
        nest, (x, indices) = self.nest, self.value.inputs
        if not x.abstract.size:  # whatever is asked for is not there
            self._report(nest.levels[0].builder)
            return
        rows, rank, row = view(x), len(indices.shape), Axis(x.shape[0])
        with self._loops(self.value.shape, x.dtype) as (axes, builder):
            place = self._index(builder, indices, axes[:rank], x.shape[0])
            if isinstance(
                place.type, ir.VectorType
            ):  # the lane runs along the indices: what they point to is scattered
                pointer, _ = nest.address(rows, (None, *axes[rank:]), builder)
                pointers = loops.addresses(builder, pointer, builder.mul(place, _like(place, rows.strides[0])), x.dtype)
                made = loops.gather_at(builder, x.dtype, pointers, nest.lanes, nest.mask)
            else:
                nest.index[row] = place
                made = nest.load(rows, x.dtype, (row, *axes[rank:]), builder)
            nest.put(view(self.value), x.dtype, axes, made, builder)

    def _index(self, builder: Any, indices: Value, axes: Axes, size: int) -> Any:
        """The index where the loops are, as a place below `size`."""
        place = self.nest.load(view(indices), indices.dtype, axes, builder)
        return self._in_range(builder, elements.cast(builder, place, indices.dtype, np.dtype(np.int64)), size)

    def _in_range(self, builder: Any, place: Any, size: int) -> Any:
        bad = builder.icmp_unsigned(">=", place, _like(place, size))
        if isinstance(place.type, ir.VectorType):
            if self.nest.mask is not None:
                bad = builder.and_(bad, self.nest.mask)
            name = f"llvm.vector.reduce.or.v{place.type.count}i1"
            some = builder.call(declared(builder, name, ir.IntType(1), [bad.type]), [bad])
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
        nest, value, (x, indices) = self.nest, self.value, self.value.inputs
        self.shared = False
        rows, whole, source, target = view(x), view(value), Axis(x.shape[0]), Axis(value.shape[0])
        self._move(value.shape, None, whole)
        entry = nest.levels[0].builder
        loop = Loop(entry, *bounds(entry, source.size, self.part, False))
        nest.levels.append(Level(loop.builder))
        nest.index[source], nest.lane, nest.lanes = loop.index, None, 0
        nest.index[target] = self._index(loop.builder, indices, (source,), target.size)
        with self._loops(x.shape[1:], x.dtype, within=loop.builder) as (axes, builder):
            old = nest.load(whole, x.dtype, (target, *axes), builder)
            new = nest.load(rows, x.dtype, (source, *axes), builder)
            total = elements.combine(builder, "sum", x.dtype, old, nest.widened(new, builder))
            nest.put(whole, x.dtype, (target, *axes), total, builder)
        loop.close()

    def _check_labels(self) -> None:
        """Every label is a class."""
        (labels,) = self.value.inputs
        with self._loops(labels.shape, labels.dtype) as (axes, builder):
            label = self.nest.value(labels, axes)
            wide = elements.cast(builder, label, labels.dtype, np.dtype(np.int64))
            self._in_range(builder, wide, self.value.params["classes"])

    # --- loops --------------------------------------------------------------------------------------------------------

    @contextmanager
    def _loops(self, shape: tuple[int, ...], dtype: Any, *, within: Any = None) -> Iterator[tuple[Axes, Any]]:
        """Loops over a shape, with its axes and the innermost builder: outer axes as rows, vectors along the last one.

        The rows are shared out, unless the loops are within another one, all of which this part runs.
        """
        nest, depth = self.nest, len(self.nest.levels)
        axes = tuple(None if n == 1 else Axis(n) for n in shape)
        moving = [a for a in axes if a is not None]
        rows = prod(a.size for a in moving[:-1])
        before = nest.levels[0].builder if within is None else within
        outer = Loop(before, *(bounds(before, rows, self.part, self.shared) if within is None else (i64(0), i64(rows))))
        nest.levels.append(Level(outer.builder))
        nest.lane, nest.lanes, rest = None, 0, outer.index
        for axis in reversed(moving[:-1]):
            rest, nest.index[axis] = split(outer.builder, rest, axis.size)
            nest.level_of[axis] = depth
        inner = self._along(moving[-1], dtype, outer.builder) if moving else None
        yield axes, nest.levels[-1].builder
        if inner is not None:
            inner.close()
        outer.close()
        nest.mask = None
        del nest.levels[depth:]

    def _along(self, lane: Axis, dtype: Any, before: Any) -> Loop:
        """A loop of vectors along an axis, as the innermost level."""
        nest, lanes = self.nest, machine().lanes(dtype.itemsize)
        loop = Loop(before, i64(0), i64(lane.size), lanes)
        nest.lane, nest.lanes = lane, lanes
        nest.index[lane], nest.level_of[lane] = loop.index, len(nest.levels)
        nest.levels.append(Level(loop.builder))
        if lane.size % lanes:
            nest.mask = lane_mask(loop.builder, lanes, loop.builder.sub(i64(lane.size), loop.index))
        return loop


def _still(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(0 if n == 1 else s for n, s in zip(shape, strides, strict=True))


def _like(place: Any, number: int) -> Any:
    if isinstance(place.type, ir.VectorType):
        return ir.Constant(place.type, [ir.Constant(I64, number)] * place.type.count)
    return i64(number)
