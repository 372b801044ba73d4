"""Columns: a reduction along an axis that is not the lane, its running results in registers, and what follows from it.

A piece of work is a few neighbouring vectors of the lane, so that what lies together is read together; it runs through
the reduced axis, or a slice of it, in rising order.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final

from adjoint.compiler.fuse import ROW_REDUCTIONS, operand_axes_of
from adjoint.compiler.integers import i64, lane_mask, smaller, split, times
from adjoint.compiler.kernels import elements
from adjoint.compiler.kernels.loops import Loop, Part
from adjoint.compiler.kernels.nest import Level, Nest, lanes_for
from adjoint.compiler.kernels.rows import bounds
from adjoint.compiler.program import Value

#: Vectors side by side, where the operand is simple.
_VECTORS: Final = 4
_SIMPLE: Final = 12


class Columns:
    """The kernel of a group of columns; `shared`: all parts do their share, else the first does it all."""

    def __init__(self, nest: Nest, part: Part, *, shared: bool) -> None:
        self.nest = nest
        self.part = part
        self.shared = shared
        self.group = nest.group
        self.reductions = [v for v in nest.group.values if v.kind in ROW_REDUCTIONS]
        self.stores = list(nest.groups.stored(nest.group))

    def emit(self) -> None:
        """Write the kernel."""
        nest, group = self.nest, self.group
        assert group.lane is not None
        assert group.reduced is not None
        nest.lane, nest.lanes = group.lane, lanes_for(group.values)
        vectors = min(_VECTORS if group.cost <= _SIMPLE else 1, -(-group.lane.size // nest.lanes))
        chunks = -(-group.lane.size // (vectors * nest.lanes))
        slices = -(-group.reduced.size // group.length) if group.length else 1
        entry = nest.levels[0].builder
        items = prod(a.size for a in group.axes[:-1]) * slices * chunks
        loop = Loop(entry, *bounds(entry, items, self.part, self.shared))
        rest, chunk = split(loop.builder, loop.index, chunks)
        rest, piece = split(loop.builder, rest, slices)
        for axis in reversed(group.axes[:-1]):
            rest, nest.index[axis] = split(loop.builder, rest, axis.size)
        nest.level_of |= dict.fromkeys(group.axes, 1)
        first = times(loop.builder, chunk, vectors * nest.lanes)
        self._emit_item(loop.builder, [loop.builder.add(first, i64(v * nest.lanes)) for v in range(vectors)], piece)
        loop.close()

    def _emit_item(self, item: Any, starts: list[Any], piece: Any) -> None:
        """The running results of a few vectors, then what follows from them."""
        nest, group = self.nest, self.group
        assert group.lane is not None
        assert group.reduced is not None
        entry, size = nest.levels[0], group.lane.size
        ragged = bool(size % (len(starts) * nest.lanes))
        masks = [lane_mask(item, nest.lanes, item.sub(i64(size), start)) if ragged else None for start in starts]
        levels = [Level(item) for _ in starts]
        low: Any = i64(0)
        high: Any = i64(group.reduced.size)
        if group.length:
            low = times(item, piece, group.length)
            high = smaller(item, item.add(low, i64(group.length)), high)
            nest.pieces = piece
        loop = Loop(item, low, high)
        nest.index[group.reduced], nest.level_of[group.reduced] = loop.index, 2
        sums = [[loop.carry(self._first(value)) for value in self.reductions] for _ in starts]
        following = []
        for start, mask, level, held in zip(starts, masks, levels, sums, strict=True):
            nest.index[group.lane], nest.mask = start, mask
            nest.levels = [entry, level, Level(loop.builder)]
            following += [self._step(value, x) for value, x in zip(self.reductions, held, strict=True)]
        loop.close(following)
        for start, mask, level, held in zip(starts, masks, levels, sums, strict=True):
            nest.index[group.lane], nest.mask = start, mask
            nest.levels = [entry, level]
            for value, x in zip(self.reductions, held, strict=True):
                nest.know(value, group.members[value], x)
            nest.store(self.stores)

    def _first(self, value: Value) -> Any:
        dtype = value.inputs[0].dtype
        return elements.number(dtype, elements.identity(value.kind, dtype), self.nest.lanes)

    def _step(self, value: Value, held: Any) -> Any:
        nest, (operand,) = self.nest, value.inputs
        builder = nest.levels[-1].builder
        x = nest.widened(nest.value(operand, operand_axes_of(self.group, value)), builder)
        return elements.combine(builder, value.kind, operand.dtype, held, x)
