"""Values inside a loop nest: what is in a register is taken from there, what is in memory is loaded, and the rest is
computed of its operands, each at the outermost loop where it can be.

`Nest` knows the loops that are open, outermost first. A value belongs to the innermost loop that one of its axes runs
in; its instructions go there, once. What has the lane among its axes is a vector, all else a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from adjoint.compiler.access import Axes, Axis, View, lowered, operand_axes, view
from adjoint.compiler.fuse import ROW_REDUCTIONS, Group, Groups
from adjoint.compiler.integers import I64, POINTER, i64, times
from adjoint.compiler.kernels import elements, loops
from adjoint.compiler.llvm import ir, machine
from adjoint.compiler.program import Value


class Place(NamedTuple):
    """Where a value lies: a slot of the table of addresses, and bytes from there."""

    slot: int
    offset: int = 0


class Level:
    """An open loop: where its instructions go, and the values that are known in it."""

    __slots__ = ("builder", "known")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.known: dict[tuple[Value, Axes], Any] = {}


class Nest:
    """The loop nest of a kernel, as it is being written."""

    def __init__(self, groups: Groups, group: Group, places: Mapping[Value, Place], entry: Any, table: Any) -> None:
        self.groups: Final = groups
        self.group: Final = group
        self.places: Final = places
        self.table: Final = table
        self.levels: list[Level] = [Level(entry)]
        self.level_of: dict[Axis, int] = {}
        self.index: dict[Axis, Any] = {}
        self.lane: Axis | None = None
        self.lanes = 0
        self.mask: Any = None
        self.in_memory: set[Value] = set()  # members that were stored and are read back
        self.buffers: dict[Value, Any] = {}
        self.pieces: Any = None  # which slice of the reduced axis a sliced reduction is at
        self._pointers: dict[Value, Any] = {}

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, x: Value, axes: Axes) -> Any:
        """The value at the place where the loops are: a vector along the lane, else a number."""
        base = view(x).base
        if base.kind == "constant" and (same := uniform(base)) is not None:
            return elements.number(x.dtype, same)
        axes = self._own(x, axes)
        level = self.levels[self._level(x, axes)]
        if (x, axes) not in level.known:
            level.known[x, axes] = self._made(x, axes, level)
        return level.known[x, axes]

    def know(self, x: Value, axes: Axes, made: Any) -> None:
        """A value that the kernel has made itself."""
        self.levels[self._level(x, axes)].known[x, axes] = made

    def vector(self, x: Value, axes: Axes) -> Any:
        """The value, in every lane if it is a number."""
        return self.widened(self.value(x, axes), self.levels[-1].builder)

    def widened(self, number: Any, builder: Any) -> Any:
        """A number in every lane."""
        if not self.lanes or isinstance(number.type, ir.VectorType):
            return number
        if isinstance(number, ir.Constant):
            return ir.Constant(ir.VectorType(number.type, self.lanes), [number] * self.lanes)
        return elements.splat(builder, number, self.lanes)

    def _own(self, x: Value, axes: Axes) -> Axes:
        """The axes without those along which the value is the same."""
        if self._is_computed(x) and x.kind == "iota":
            return tuple(a if i == x.params["axis"] else None for i, a in enumerate(axes))
        if self._is_computed(view(x).base):
            return axes
        return tuple(None if stride == 0 else a for a, stride in zip(axes, view(x).strides, strict=True))

    def _level(self, x: Value, axes: Axes) -> int:
        """The innermost loop that an axis runs in; at least the first for a member and what is computed from one, since
        they may follow from a reduction.
        """
        least = 1 if len(self.levels) > 1 and self._follows(view(x).base) else 0
        return max((self.level_of.get(a, 0) for a in axes if a is not None), default=least) or least

    def _follows(self, base: Value) -> bool:
        """Whether a value is a member or is computed here from one."""
        if base in self.group.members:
            return True
        return base in self.groups.inlined and any(x in self.group.members for x in self.groups.sources(base))

    def _is_computed(self, x: Value) -> bool:
        """Whether the value is made here, not read from memory."""
        if x in self.in_memory or x in self.buffers:
            return False
        return x in self.group.members or x in self.groups.inlined or (x.kind == "iota" and x not in self.groups.of)

    def _made(self, x: Value, axes: Axes, level: Level) -> Any:
        if x in self.buffers:
            return self._load_buffer(x, level.builder)
        if self._is_computed(x):
            return self._computed(x, axes, level)
        base = view(x).base
        if base is not x and (self._is_computed(base) or base in self.buffers):
            under = lowered(x, axes)
            assert under is not None, f"{x} reads {base} by a view that moves elements"
            return self.value(x.inputs[0], under)
        return self.load(view(x), x.dtype, axes, level.builder)

    def _computed(self, x: Value, axes: Axes, level: Level) -> Any:
        if x.kind == "iota":
            return self._counted(axes[x.params["axis"]], level.builder)
        assert x.kind not in (*ROW_REDUCTIONS, "matmul"), f"{x} is asked for before it is ready"
        operands = [self.value(o, operand_axes(axes, o.shape)) for o in x.inputs]
        if self.lane is not None and self.lane in axes:
            operands = [self.widened(o, level.builder) for o in operands]
        if x.kind == "check_labels":
            return elements.cast(level.builder, operands[0], x.inputs[0].dtype, x.dtype)
        return elements.emit(level.builder, x, operands)

    def _counted(self, axis: Axis | None, builder: Any) -> Any:
        if axis is None:
            return i64(0)
        index = self.index[axis]
        if axis is not self.lane or not self.lanes:
            return index
        kind = ir.VectorType(I64, self.lanes)
        return builder.add(elements.splat(builder, index, self.lanes), loops.counted(kind))

    # --- memory -------------------------------------------------------------------------------------------------------

    def pointer(self, base: Value) -> Any:
        """Where a value lies; its address is read once, outside all loops."""
        if base not in self._pointers:
            place, builder = self.places[base], self.levels[0].builder
            address = builder.load(loops.at(builder, self.table, i64(place.slot), POINTER), typ=POINTER)
            moved = loops.at(builder, address, i64(place.offset), ir.IntType(8)) if place.offset else address
            self._pointers[base] = moved
        return self._pointers[base]

    def status(self, builder: Any) -> Any:
        """Where the program says that something went wrong: the first word of the arena."""
        return builder.load(self.table, typ=POINTER)

    def address(self, place: View, axes: Axes, builder: Any) -> tuple[Any, int]:
        """Address of the element where the loops are, and the stride along the lane."""
        kind, stride = elements.in_memory(place.base.dtype), 0
        pointer = self.pointer(place.base)
        offset = i64(place.offset)
        for axis, step in zip(axes, place.strides, strict=True):
            if axis is not None and step:
                if axis is self.lane and self.lanes:
                    stride = step
                offset = builder.add(offset, times(builder, self.index[axis], step))
        return loops.at(builder, pointer, offset, kind), stride

    def load(self, place: View, dtype: Any, axes: Axes, builder: Any) -> Any:
        """Elements of a view."""
        pointer, stride = self.address(place, axes, builder)
        if stride == 0:
            return loops.load(builder, dtype, pointer)
        if stride == 1:
            return loops.load(builder, dtype, pointer, self.lanes, self.mask)
        return loops.gather(builder, dtype, pointer, stride, self.lanes, self.mask)

    def store(self, values: Iterable[Value]) -> None:
        """Members to their places in memory, each at the innermost loop that it belongs to.

        All are computed before the first is stored, since that may be a state which another one reads the old value of.
        """
        made = [(x, self.group.members[x], self.value(x, self.group.members[x])) for x in values]
        for x, axes, content in made:
            self.put(view(x), x.dtype, axes, content, self.levels[self._level(x, axes)].builder)

    def put(self, place: View, dtype: Any, axes: Axes, made: Any, builder: Any) -> None:
        """Something to the elements of a view."""
        pointer, stride = self.address(place, axes, builder)
        if "length" in place.base.params:
            along = place.strides[place.base.params["axis"][0]]
            offset = times(builder, self.pieces, along)
            pointer = loops.at(builder, pointer, offset, elements.in_memory(dtype))
        if stride == 0:
            loops.store(builder, dtype, made, pointer)
        elif stride == 1:
            loops.store(builder, dtype, self.widened(made, builder), pointer, self.mask)
        else:
            loops.scatter(builder, dtype, self.widened(made, builder), pointer, stride, self.mask)

    def keep(self, x: Value, axes: Axes, memory: Any) -> None:
        """A vector along the lane for later loops over the same row."""
        builder = self.levels[-1].builder
        assert self.lane is not None
        place = loops.at(builder, memory, self.index[self.lane], elements.in_memory(x.dtype))
        loops.store(builder, x.dtype, self.vector(x, axes), place, self.mask)

    def _load_buffer(self, x: Value, builder: Any) -> Any:
        assert self.lane is not None
        place = loops.at(builder, self.buffers[x], self.index[self.lane], elements.in_memory(x.dtype))
        return loops.load(builder, x.dtype, place, self.lanes, self.mask)


def uniform(x: Value) -> Any:
    """The one number that a constant holds everywhere, of its dtype; None if there are several."""
    content = x.content
    if content.size == 0:
        return None
    if content.size == 1 or content.tobytes() == content.flat[0].tobytes() * content.size:
        return content.flat[0]
    return None


def lanes_for(values: list[Value]) -> int:
    """Elements of a vector: as many of the narrowest floats, or else of the widest integers, as a register holds."""
    dtypes = {x.dtype for value in values for x in (value, *value.inputs)}
    floats = [d.itemsize for d in dtypes if d.kind == "f"]
    widths = floats or [d.itemsize for d in dtypes if d.kind in "iu"] or [4]
    return machine().lanes(min(floats) if floats else max(widths))
