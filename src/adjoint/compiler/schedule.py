"""In which order the groups run, and where their results lie.

The table of addresses that a program is called with has in its slots: 0 the arena, then the inputs, then the outputs,
then constants of more than one number. A state that is assigned has one buffer, input and output at once: the group
that writes it comes after all others that read its old value. Where that cannot be (two states exchanged), the new
value is copied into the buffer at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Final, NamedTuple

from adjoint.compiler.access import view
from adjoint.compiler.fuse import ROW_REDUCTIONS, Group, Groups, reaches
from adjoint.compiler.kernels.nest import Place, uniform
from adjoint.compiler.kernels.products import product_of
from adjoint.compiler.matmul import whole_columns
from adjoint.compiler.program import Value

#: Bytes at the start of the arena: the status word, and distance to what others write.
HEADER: Final = 64
_ALIGNMENT: Final = 64


class Copy(NamedTuple):
    """A new value of a state that is copied to its place at the end."""

    source: Value
    slot: int


class Schedule(NamedTuple):
    """Groups in order, places of values, copies at the end, bytes of the arena, and constants by slot."""

    groups: tuple[Group, ...]
    places: Mapping[Value, Place]
    copies: tuple[Copy, ...]
    arena: int
    constants: tuple[Value, ...]
    slots: int
    scratch: Mapping[Group, range]  # bytes of the arena


def schedule(
    groups: Groups, shared: Mapping[int, int], scratch_of: Mapping[Group, int], more: Sequence[Value] = ()
) -> Schedule:
    """The order and the places; `shared` says for outputs that are a state's new value which input its old one is.

    `scratch_of` has the bytes that a group needs while it runs, `more` the constants that bodies of loops read.
    """
    program = groups.program
    places: dict[Value, Place] = {x: Place(1 + i) for i, x in enumerate(program.inputs)}
    first_output = 1 + len(program.inputs)
    copies: list[Copy] = []
    for number, x in enumerate(program.outputs):
        old = None if number not in shared else program.inputs[shared[number]]
        slot = first_output + number if old is None else places[old].slot
        base = view(x).base
        if base is old or not base.abstract.size:
            continue
        if old is None or _wait_for_readers(groups, base, old):
            places[base] = Place(slot)
        else:
            copies.append(Copy(base, slot))
    order = _in_order(groups)
    arena, scratch = _arena(groups, order, places, copies, scratch_of)
    constants = _constants(groups, more, first_output + len(program.outputs), places)
    slots = first_output + len(program.outputs) + len(constants)
    return Schedule(tuple(order), places, tuple(copies), arena, constants, slots, scratch)


def _wait_for_readers(groups: Groups, new: Value, old: Value) -> bool:
    """Let a group run after all that read a state's old value; False if that makes a circle, or it reads more of the
    old value than the element that it writes.
    """
    writer = groups.of[new]
    readers = [g for g in groups.all if g is not writer and _reads(groups, g, old)]
    if not _in_place(groups, writer, new, old) or reaches(readers, writer):
        return False
    writer.needs.update(dict.fromkeys(readers))
    return True


def _reads(groups: Groups, group: Group, x: Value) -> bool:
    return any(x in groups.sources(value) for value in group.values)


def _in_place(groups: Groups, writer: Group, new: Value, old: Value) -> bool:
    """Whether the writer reads, for each element that it writes, that element of the old value alone."""
    if writer.kind == "rows" and any(v.kind in ROW_REDUCTIONS for v in writer.values):
        return False  # a later loop over the row would read what an earlier one wrote
    read = [(x, axes) for x, axes in groups.accesses(writer) if view(x).base is old]
    return all(x is old and axes == writer.members[new] for x, axes in read)


def _in_order(groups: Groups) -> list[Group]:
    """Groups so that each comes after what it needs; checks of labels as early as they can."""
    order, opened = dict[Group, None](), set[Group]()
    first = sorted(groups.all, key=lambda g: (g.kind != "check_labels", g.values[0].number))
    for start in first:
        stack = [start]
        while stack:
            group = stack[-1]
            waiting = [g for g in group.needs if g not in order]
            if waiting:
                assert group not in opened, f"groups that need each other in a circle: {group}"
                opened.add(group)
                stack += waiting
            else:
                stack.pop()
                order[group] = None
    return list(order)


def _arena(
    groups: Groups,
    order: Sequence[Group],
    places: dict[Value, Place],
    copies: Sequence[Copy],
    scratch_of: Mapping[Group, int],
) -> tuple[int, dict[Group, range]]:
    """Places in the arena for what is neither given nor returned: memory is used again after its last reader."""
    last = _last_uses(groups, order, copies)
    memory, scratch = _Memory(), dict[Group, range]()
    ending: dict[int, list[tuple[int, int]]] = {}
    for now, group in enumerate(order):
        for value in groups.stored(group):
            if value not in places:
                size = value.abstract.size * value.dtype.itemsize
                places[value] = Place(0, memory.take(size))
                ending.setdefault(last[value], []).append((places[value].offset, size))
        if size := scratch_of.get(group, 0):
            start = memory.take(size)
            scratch[group] = range(start, start + size)
            ending.setdefault(now, []).append((start, size))
        for offset, size in ending.pop(now, []):
            memory.give_back(offset, size)
    return memory.top, scratch


def _last_uses(groups: Groups, order: Sequence[Group], copies: Sequence[Copy]) -> dict[Value, int]:
    last: dict[Value, int] = {}
    for now, group in enumerate(order):
        for value in group.values:
            last[value] = max(last.get(value, 0), now)
            for x in groups.sources(value):
                last[x] = now
    for copy in copies:
        last[copy.source] = len(order)
    return last


class _Memory:
    """Free stretches of the arena, by offset; the first that is large enough is taken."""

    def __init__(self) -> None:
        self.top = HEADER
        self._free: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        """Offset of this many bytes."""
        size = -(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT
        for i, (offset, length) in enumerate(self._free):
            if length >= size:
                self._free[i : i + 1] = [(offset + size, length - size)] if length > size else []
                return offset
        offset, self.top = self.top, self.top + size
        return offset

    def give_back(self, offset: int, size: int) -> None:
        """These bytes are free again; neighbours become one stretch."""
        size = -(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT
        stretches = sorted([*self._free, (offset, size)])
        self._free = []
        for start, length in stretches:
            if self._free and sum(self._free[-1]) == start:
                self._free[-1] = (self._free[-1][0], self._free[-1][1] + length)
            else:
                self._free.append((start, length))


def _constants(groups: Groups, more: Sequence[Value], first: int, places: dict[Value, Place]) -> tuple[Value, ...]:
    """Constants that are read from memory, each with a slot."""
    found: dict[Value, None] = dict.fromkeys(more)
    movers = [g for g in groups.all if g.kind not in ("rows", "columns")]
    moved = {view(o).base for g in movers for v in g.values for o in v.inputs}
    for x in (x for group in groups.all for v in group.values for x in groups.sources(v)):
        # what is moved is read as memory, even if it holds one number alone
        if x.kind == "constant" and x.content.size and (x in moved or uniform(x) is None):
            found[x] = None
    for i, x in enumerate(found):
        places[x] = Place(first + i)
    return tuple(found)


def work(group: Group) -> int:
    """Element operations of a group, to tell what is worth sharing out."""
    if group.inner is not None:
        steps: int = group.values[0].params["steps"]
        return steps * sum(map(work, group.inner.all))
    if group.kind == "product":
        product = product_of(group.values[0])
        rows = product.m * product.matrices
        return rows * (whole_columns(product) * (product.k // 8) + product.n * group.cost)
    size = max([prod(a.size for a in group.axes), *(x.abstract.size for v in group.values for x in (v, *v.inputs))])
    return size * max(1, group.cost)
