"""Rows: one loop over the rows of a nest, and for each row as many loops along its lane as reductions ask for.

What follows from a reduction needs all of the row, so values have phases: a reduction of phase p is ready in p + 1. A
row of one vector stays in registers; of longer ones, what is costly is kept in a buffer between phases, and the rest is
computed again.

A nest without reductions is flattened as far as memory allows and cut into slices of the lane, so that any shape gives
even shares of work.
"""

from __future__ import annotations

from math import prod
from typing import Any, Final

from adjoint.compiler.access import Axes, Axis, view
from adjoint.compiler.fuse import COST, ROW_REDUCTIONS, operand_axes_of
from adjoint.compiler.integers import I64, POINTER, i64, lane_mask, smaller, split, times
from adjoint.compiler.kernels import elements, loops
from adjoint.compiler.kernels.loops import Loop, Part
from adjoint.compiler.kernels.nest import Level, Nest, lanes_for, uniform
from adjoint.compiler.llvm import ir
from adjoint.compiler.prepare import SLICE
from adjoint.compiler.program import Value

#: Bytes of a row's buffer; longer rows are computed again.
_BUFFER: Final = 64 * 1024
#: A costly nest over long lanes has vectors of two registers, so that the long chains of two elements overlap.
_COSTLY: Final = 40
_LONG: Final = 16
#: Operations that are done again in a later loop over the row rather than kept.
_AGAIN: Final = 8


class Rows:
    """The kernel of a group of rows; `shared`: all parts do their share, else the first does it all."""

    def __init__(self, nest: Nest, part: Part, *, shared: bool) -> None:
        self.nest = nest
        self.part = part
        self.shared = shared
        group = nest.group
        self.group = group
        self.outer: tuple[Axis, ...] = group.axes[:-1]
        self.extent = group.axes[-1].size if group.axes else 1
        self.phases = phases(nest)
        self.reductions = [v for v in group.values if v.kind in ROW_REDUCTIONS]
        self.stores = list(nest.groups.stored(group))
        self.length = group.length

    def emit(self) -> None:
        """Write the kernel; the entry builder ends after all loops."""
        nest = self.nest
        if not self.group.axes:
            self._emit_number()
            return
        nest.lane = self.group.axes[-1]
        nest.lanes = lanes_for(self.group.values)
        if not self.reductions:
            self._flatten()
        if self.group.cost >= _COSTLY and self.extent >= _LONG * nest.lanes:
            nest.lanes *= 2
        slices = -(-self.extent // self.length) if self.length else 1
        rows = prod(a.size for a in self.outer) * slices
        entry = nest.levels[0].builder
        start, stop = bounds(entry, rows, self.part, self.shared)
        loop = Loop(entry, start, stop)
        nest.levels.append(Level(loop.builder))
        self._emit_row(loop.index, slices)
        loop.close()

    def _emit_number(self) -> None:
        """A group of single numbers: the first part computes them."""
        level = self.nest.levels[0]
        with level.builder.if_then(level.builder.icmp_unsigned("==", self.part.index, i64(0))):
            self.nest.store(self.stores)

    def _flatten(self) -> None:
        """Join the lane with the axes before it as long as every access allows it, and cut it into slices."""
        accesses = self._accesses()
        while self.outer and accesses is not None:
            axis, lane = self.outer[-1], self.nest.lane
            if any(
                _stride(axes, strides, axis) != _stride(axes, strides, lane) * self.extent for axes, strides in accesses
            ):
                break
            self.outer = self.outer[:-1]
            self.extent *= axis.size
            self.nest.index[axis] = i64(0)
        if self.extent >= 2 * SLICE or (not self.outer and self.extent > SLICE):
            self.length = SLICE

    def _accesses(self) -> list[tuple[Axes, tuple[int, ...]]] | None:
        """Axes and strides of all that is read and written; None if places are counted."""
        read = self.nest.groups.accesses(self.group)
        if any(x.kind == "iota" for x in (*self.group.values, *(x for x, _ in read))):
            return None
        found = [(axes, view(x).strides) for x, axes in read if axes is not None and not _is_number(x)]
        return found + [(self.group.members[v], view(v).strides) for v in self.stores]

    # --- a row --------------------------------------------------------------------------------------------------------

    def _emit_row(self, row: Any, slices: int) -> None:
        nest, level = self.nest, self.nest.levels[1]
        rest, piece = split(level.builder, row, slices)
        for axis in reversed(self.outer):
            rest, nest.index[axis] = split(level.builder, rest, axis.size)
            nest.level_of[axis] = 1
        for axis in self.group.axes[:-1]:
            nest.level_of[axis] = 1
        low: Any = i64(0)
        high: Any = self.extent
        if self.length:
            nest.pieces = piece
            low = times(level.builder, piece, self.length)
            high = smaller(level.builder, level.builder.add(low, i64(self.length)), i64(self.extent))
        if self.extent <= nest.lanes:
            self._emit_short()
        else:
            for phase in range(max(self.phases.values(), default=0) + 1):
                self._emit_phase(phase, low, high)
        self._store_results()

    def _emit_short(self) -> None:
        """A row of one vector: all phases in a straight line."""
        nest = self.nest
        assert nest.lane is not None
        nest.index[nest.lane] = i64(0)
        nest.level_of[nest.lane] = 1
        nest.mask = None if self.extent == nest.lanes else lane_mask(nest.levels[1].builder, nest.lanes, self.extent)
        for phase in range(max(self.phases.values(), default=0) + 1):
            for value in [v for v in self.reductions if self.phases[v] == phase]:
                state = Running(nest, value)
                self._finish(value, state.step(state.first()), state)
        nest.store(v for v in self.stores if self._is_along(v))

    def _emit_phase(self, phase: int, low: Any, high: Any) -> None:
        """One loop along the lane."""
        nest, row = self.nest, self.nest.levels[1]
        reductions = [v for v in self.reductions if self.phases[v] == phase]
        stores = [v for v in self.stores if self._is_along(v) and self.phases[v] == phase]
        kept = [v for v in self.group.values if self.phases[v] == phase and self._is_kept(v)]
        if not (reductions or stores or kept):
            return
        assert nest.lane is not None
        stop = i64(high) if isinstance(high, int) else high
        loop = Loop(row.builder, low, stop, nest.lanes)
        nest.levels.append(Level(loop.builder))
        nest.index[nest.lane], nest.level_of[nest.lane] = loop.index, 2
        nest.mask = None
        if self.extent % nest.lanes:
            nest.mask = lane_mask(loop.builder, nest.lanes, loop.builder.sub(stop, loop.index))
        running = [Running(nest, v) for v in reductions]
        carried = [[loop.carry(first) for first in state.first()] for state in running]
        following = [state.step(held) for state, held in zip(running, carried, strict=True)]
        nest.store(stores)
        memories = {value: self._buffer(value) for value in kept}
        for value, memory in memories.items():
            nest.keep(value, self.group.members[value], memory)
        loop.close([x for held in following for x in held])
        nest.levels.pop()
        nest.mask = None
        for value, state, held in zip(reductions, running, carried, strict=True):
            self._finish(value, held, state)
        nest.buffers.update(memories)
        nest.in_memory.update(stores)

    def _finish(self, value: Value, held: list[Any], state: Running) -> None:
        builder = self.nest.levels[1].builder
        self.nest.know(value, self.group.members[value], state.folded(builder, held))

    def _store_results(self) -> None:
        """What there is one of for each row, or each slice."""
        self.nest.store(v for v in self.stores if not self._is_along(v))

    # --- what goes where ----------------------------------------------------------------------------------------------

    def _is_along(self, value: Value) -> bool:
        """Whether a member has the lane among its axes."""
        return self.nest.lane in self.group.members[value]

    def _is_kept(self, value: Value) -> bool:
        """Whether a later phase reads this member, and computing it again would cost more than a buffer."""
        if value in self.stores or not self._is_along(value) or self.extent * value.dtype.itemsize > _BUFFER:
            return False
        later = [v for v in self.group.values if self.phases[v] > self.phases[value]]
        if not any(value in self.nest.groups.sources(v) for v in later):
            return False
        return self._cost(value) > _AGAIN

    def _cost(self, value: Value) -> int:
        """Operations for one element, what is in the row's registers or in memory aside."""
        total = COST.get(value.kind, 1)
        for x in self.nest.groups.sources(value):
            if x in self.group.members and x.kind not in ROW_REDUCTIONS and self._is_along(x) and x not in self.stores:
                total += self._cost(x)
        return total

    def _buffer(self, value: Value) -> Any:
        lanes = self.nest.lanes
        count = -(-self.extent // lanes) * lanes
        builder = self.nest.levels[0].builder
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(elements.in_memory(value.dtype), count))
            memory.align = 64
            memory.type = POINTER  # llvmlite's own is a typed pointer, which no other type may be stored to
        return memory


def bounds(builder: Any, count: int, part: Part, shared: bool) -> tuple[Any, Any]:
    """First and last of this part's pieces of work."""
    if shared:
        return loops.share(builder, count, part)
    first = builder.icmp_unsigned("==", part.index, i64(0))
    return i64(0), builder.select(first, i64(count), i64(0))


def _is_number(x: Value) -> bool:
    return x.kind == "constant" and uniform(x) is not None


def _stride(axes: Axes, strides: tuple[int, ...], axis: Axis | None) -> int:
    return next((stride for a, stride in zip(axes, strides, strict=True) if a is axis), 0)


def phases(nest: Nest) -> dict[Value, int]:
    """For each member the loop along the lane in which it can be computed."""
    found: dict[Value, int] = {}
    for value in nest.group.values:
        ready = [found[x] + (x.kind in ROW_REDUCTIONS) for x in nest.groups.sources(value) if x in found]
        found[value] = max(ready, default=0)
    return found


class Running:
    """A reduction under way: its partial results, one for each lane."""

    def __init__(self, nest: Nest, value: Value) -> None:
        self.nest = nest
        self.value = value
        self.operand = value.inputs[0]
        self.finds_place = value.kind in ("argmax", "argmin")
        self.kind = {"argmax": "max", "argmin": "min"}.get(value.kind, value.kind)

    def first(self) -> list[Any]:
        """Partial results before the first element."""
        lanes, dtype = self.nest.lanes, self.operand.dtype
        neutral = elements.number(dtype, elements.identity(self.kind, dtype), lanes)
        return [neutral, loops.counted(ir.VectorType(I64, lanes))] if self.finds_place else [neutral]

    def step(self, held: list[Any]) -> list[Any]:
        """Partial results with the vector where the loops are."""
        nest, builder = self.nest, self.nest.levels[-1].builder
        x = nest.widened(nest.value(self.operand, operand_axes_of(nest.group, self.value)), builder)
        if nest.mask is not None:
            x = builder.select(nest.mask, x, self.first()[0])
        if not self.finds_place:
            return [elements.combine(builder, self.kind, self.operand.dtype, held[0], x)]
        assert nest.lane is not None
        index = elements.splat(builder, nest.index[nest.lane], nest.lanes)
        place = builder.add(index, loops.counted(ir.VectorType(I64, nest.lanes)))
        better = self._better(builder, x, held[0])
        return [builder.select(better, x, held[0]), builder.select(better, place, held[1])]

    def _better(self, builder: Any, x: Any, y: Any) -> Any:
        """Whether x takes the place of y, which came before."""
        relation = ">" if self.kind == "max" else "<"
        dtype = self.operand.dtype
        if dtype.kind != "f":
            return (builder.icmp_signed if dtype.kind == "i" else builder.icmp_unsigned)(relation, x, y)
        first_nan = builder.and_(builder.fcmp_unordered("uno", x, x), builder.fcmp_ordered("ord", y, y))
        return builder.or_(builder.fcmp_ordered(relation, x, y), first_nan)

    def folded(self, builder: Any, held: list[Any]) -> Any:
        """One result out of those of the lanes, halves added to halves."""
        lanes = self.nest.lanes
        while lanes > 1:
            lanes //= 2
            low, high = ([_half(builder, x, start, lanes) for x in held] for start in (0, lanes))
            if self.finds_place:
                held = self._nearer(builder, low, high)
            else:
                held = [elements.combine(builder, self.kind, self.operand.dtype, low[0], high[0])]
        result = builder.extract_element(held[-1], ir.Constant(ir.IntType(32), 0))
        return result

    def _nearer(self, builder: Any, x: list[Any], y: list[Any]) -> list[Any]:
        """The better of two pairs of number and place; of equals the one that came first."""
        better, worse = self._better(builder, y[0], x[0]), self._better(builder, x[0], y[0])
        first = builder.icmp_signed("<", y[1], x[1])
        take = builder.or_(better, builder.and_(builder.not_(worse), first))
        return [builder.select(take, b, a) for a, b in zip(x, y, strict=True)]


def _half(builder: Any, x: Any, start: int, lanes: int) -> Any:
    places = ir.Constant(
        ir.VectorType(ir.IntType(32), lanes), [ir.Constant(ir.IntType(32), start + i) for i in range(lanes)]
    )
    return builder.shuffle_vector(x, x, places)
