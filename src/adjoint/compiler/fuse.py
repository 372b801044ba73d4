"""Which primitives are computed in one loop nest: the groups that become kernels.

Kinds of group, by what is at their heart:

    rows      elementwise primitives over one nest of axes, and reductions along its last axis, the lane: all of a row
              (a softmax, a layer norm) while it is in registers or in cache
    columns   one reduction along another axis, vectors running over the lane, and what is elementwise in its result
    product   a matrix product and what is elementwise in its result, while that is in registers
    repeat    a loop and its results; its body has groups of its own, `inner`
    others    one primitive each: a copy, a concatenation, a gather, a scatter, a check of labels

Primitives are taken in order; each joins the group of an operand if its axes fit and no circle of groups arises, else
it opens a group. Then cheap primitives that other groups read are handed to their readers (`inlined`): computing them
again costs less than writing them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from adjoint.compiler.access import VIEWS, Axes, Axis, lifted, lowered, operand_axes, view
from adjoint.compiler.prepare import ELEMENTWISE
from adjoint.compiler.program import REDUCTIONS, Program, Value

ROW_REDUCTIONS: Final = frozenset((*REDUCTIONS, "argmax", "argmin"))
#: Cost of computing one element again, in additions; what is not named costs 1.
COST: Final[Mapping[str, int]] = {
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "tanh", "sinh", "cosh", "erf"), 20),
    **dict.fromkeys(("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "cbrt", "pow", "remainder"), 40),
    **dict.fromkeys(("divide", "reciprocal", "sqrt", "uniform"), 8),
}
#: What readers may compute again; `check_labels` has a group of its own for the check, its value is a cast.
CHEAP: Final = frozenset((*ELEMENTWISE, "iota", "check_labels"))
#: A function of more costs LLVM more than its share of time, so a group is full at this cost.
_FULL: Final = 600
_CHEAP: Final = 8
#: Values that are there without being computed.
GIVEN: Final = frozenset(("input", "constant"))


class Group:
    """Primitives of one kernel: `members` has the axes of each; `axes` are those of the nest, outer first."""

    __slots__ = ("axes", "cost", "inner", "kind", "lane", "length", "members", "needs", "reads", "reduced", "values")

    def __init__(self, kind: str, axes: tuple[Axis, ...]) -> None:
        self.kind = kind
        self.axes = axes
        self.lane = axes[-1] if axes else None
        self.reduced: Axis | None = None
        self.length = 0  # of a slice of the reduced axis
        self.members: dict[Value, Axes] = {}
        self.reads: dict[Value, Axes] = {}  # what lies in memory, and the axes that it was first read with
        self.values: list[Value] = []
        self.needs: dict[Group, None] = {}
        self.inner: Groups | None = None
        self.cost = 0

    def add(self, value: Value, axes: Axes) -> None:
        """Take a primitive in."""
        self.members[value] = axes
        self.values.append(value)
        self.cost += COST.get(value.kind, 1)

    def __repr__(self) -> str:
        return f"{self.kind} {[a.size for a in self.axes]}: {', '.join(f'{v!r} {v.kind}' for v in self.values)}"


class Groups:
    """The groups of a program, `of` each value that is computed, and the values that are computed by their readers."""

    def __init__(self, program: Program) -> None:
        self.program: Final = program
        self.ends: Final = {view(x).base for x in program.outputs}
        self._kept: Final = self.ends | set(_read_as_memory(program))
        self.all: list[Group] = []
        self.of: dict[Value, Group] = {}
        self.inlined: dict[Value, int] = {}  # with the operations that each takes
        self.readers: dict[Value, dict[Group, None]] = {}
        self._reading: dict[Value, dict[Group, None]] = {}  # groups whose `reads` have it
        for value in program.values:
            if value.kind not in GIVEN and view(value).base is value and value.abstract.size:
                self._take(value)
        self._find_readers()
        self._inline()

    def stored(self, group: Group) -> Iterator[Value]:
        """Values of a group that must lie in memory."""
        own = (value for value in group.values if self.of.get(value) is group)
        return (value for value in own if value in self.ends or self.readers[value])

    def sources(self, value: Value) -> list[Value]:
        """What is read to compute a value: what its operands lie in, or are computed from by their readers."""
        found: dict[Value, None] = {}
        stack = [value]
        while stack:
            for x in stack.pop().inputs:
                base = view(x).base
                if base in self.inlined:
                    stack.append(base)
                else:
                    found[base] = None
        return list(found)

    def accesses(self, group: Group) -> list[tuple[Value, Axes | None]]:
        """What the group reads that others computed or that is given, counts and single numbers too, with the axes it
        is read with; None for the operands of a product or a move.
        """
        found: list[tuple[Value, Axes | None]] = []
        stack: list[tuple[Value, Axes]] = []
        for value in group.values:
            if value not in group.members or not _is_elementwise(value):
                found += [(x, None) for x in value.inputs]
                continue
            axes = operand_axes_of(group, value)
            stack += [(x, operand_axes(axes, x.shape)) for x in value.inputs]
        while stack:
            x, axes = stack.pop()
            base = view(x).base
            if x in group.members:
                continue
            if x in self.inlined:
                stack += [(o, operand_axes(axes, o.shape)) for o in x.inputs]
                if x.kind == "iota":
                    found.append((x, axes))
            elif base is not x and (base in group.members or base in self.inlined):
                under = lowered(x, axes)
                assert under is not None, f"{x} is read through a view that moves elements"
                stack.append((x.inputs[0], under))
            else:
                found.append((x, axes))
        return found

    # --- joining ------------------------------------------------------------------------------------------------------

    def _take(self, value: Value) -> None:
        work = None if value in self._kept else self._work(value)
        if value.kind == "check_labels":
            self._check(value)
        elif value.kind == "result":
            self._join(value, self.of[value.inputs[0]], (None,) * len(value.shape))
        elif work is not None and work <= _CHEAP * value.abstract.size:
            self.inlined[value] = work
        else:
            self._join(value, *(self._found(value) or _opened(value)))

    def _work(self, value: Value) -> int | None:
        """Operations that compute a value from what is given and known; None if that is not enough."""
        if value.kind not in CHEAP:
            return None
        total = COST.get(value.kind, 1) * value.abstract.size
        for x in value.inputs:
            base = view(x).base
            if base in self.inlined:
                total += self.inlined[base]
            elif base.kind not in GIVEN:
                return None
        return total

    def _check(self, value: Value) -> None:
        """A group that only looks at labels; what reads them takes their numbers from where they are."""
        group = Group("check_labels", ())
        group.values.append(value)
        group.needs = {self.of[base]: None for base in self.sources(value) if base in self.of}
        self.all.append(group)
        if value in self._kept:
            self._join(value, *_opened(value))
        else:
            self.inlined[value] = value.abstract.size

    def _join(self, value: Value, group: Group, axes: Axes) -> None:
        if not group.values:
            self.all.append(group)
        group.add(value, axes)
        self.of[value] = group
        self._note_reads(group, value)
        for base in self.sources(value):
            other = self.of.get(base)
            if other is not None and other is not group:
                group.needs[other] = None

    def _note_reads(self, group: Group, value: Value) -> None:
        """Which axes the group reads other values with, so that what reads them too can come beside it."""
        if _is_elementwise(value):
            axes = operand_axes_of(group, value)
            for x in value.inputs:
                self._note(group, x, operand_axes(axes, x.shape))

    def _note(self, group: Group, x: Value, axes: Axes) -> None:
        while x.kind in VIEWS and view(x).base is not x:
            under = lowered(x, axes)
            if under is None:
                return
            (x,), axes = x.inputs, under
        if x in self.inlined:
            for operand in x.inputs:
                self._note(group, operand, operand_axes(axes, operand.shape))
        elif x not in group.members and x.kind != "constant":
            group.reads.setdefault(x, axes)
            self._reading.setdefault(x, {})[group] = None

    def _found(self, value: Value) -> tuple[Group, Axes] | None:
        """A group that the value can join, the latest first, with its axes there."""
        if not _is_elementwise(value):
            return None
        read = self.sources(value)
        large = [base for base in read if base.abstract.size >= max(2, _width(value))]
        candidates = dict.fromkeys(self.of[base] for base in read if base in self.of)
        candidates.update(dict.fromkeys(g for base in large for g in self._reading.get(base, ())))
        for group in sorted(candidates, key=lambda g: -g.values[-1].number):
            if group.cost + COST.get(value.kind, 1) > _FULL:
                continue
            axes = _proposed(group, value)
            others = [self.of[base] for base in read if base in self.of and self.of[base] is not group]
            if axes is not None and not reaches(others, group):
                return group, axes
        return None

    # --- inlining -----------------------------------------------------------------------------------------------------

    def _find_readers(self) -> None:
        """For each computed value the groups that read it, other than its own."""
        self.readers = {value: {} for value in self.of}
        for group in self.all:
            for base in [x for value in group.values for x in self.sources(value)]:
                if base in self.readers and self.of[base] is not group:
                    self.readers[base][group] = None

    def _inline(self) -> None:
        """Hand cheap values to their readers, where what they are computed from is in memory anyhow."""
        for value in list(self.of):
            readers = self.readers.get(value)
            if not readers or value in self.ends or (value.dtype.kind != "b" and len(readers) > 1):
                continue
            chain = self._chain(value)
            if chain and all(self._can_compute(reader, value) for reader in readers):
                self._hand_over(value, chain, list(readers))

    def _chain(self, value: Value) -> list[Value] | None:
        """The value and those of its group that it is computed from, if what they read is in memory anyhow."""
        chain, stack, cost = [], [value], 0
        while stack:
            member = stack.pop()
            if member in chain:
                continue
            chain.append(member)
            cost += COST.get(member.kind, 1)
            if member.kind not in CHEAP or cost > _CHEAP:
                return None
            for x in member.inputs:
                base = view(x).base
                if base in self.of and not self.readers[base] and base not in self.ends:
                    if not _passes(x, base):
                        return None
                    stack.append(base)
        return chain

    def _can_compute(self, reader: Group, value: Value) -> bool:
        """Whether a reader takes this value element by element."""
        if reader.kind not in ("rows", "columns", "product"):
            return False
        read = [(x, axes) for x, axes in self.accesses(reader) if view(x).base is value]
        return all(axes is not None and _passes(x, value) for x, axes in read)

    def _hand_over(self, value: Value, chain: list[Value], readers: list[Group]) -> None:
        for member in chain:
            self.inlined[member] = 0
        for base in self.sources(value):
            if base in self.of:
                for reader in readers:
                    if self.of[base] is not reader:
                        self.readers[base][reader] = None
                        reader.needs[self.of[base]] = None
        self.readers[value] = {}
        group = self.of[value]
        for member in chain:  # what else in the group reads them computes them again, too
            group.values.remove(member)
            del group.members[member], self.of[member], self.readers[member]
        if not group.values:
            self.all.remove(group)
            for reader in self.all:
                reader.needs.pop(group, None)


def _read_as_memory(program: Program) -> Iterator[Value]:
    """What is read otherwise than element by element, which its readers cannot compute for themselves."""
    for value in program.values:
        if view(value).base is value:
            for x in value.inputs:
                if not (_is_elementwise(value) and _passes(x, view(x).base)):
                    yield view(x).base


def _width(value: Value) -> int:
    """Elements that computing a value runs through."""
    return max(value.abstract.size, *(x.abstract.size for x in value.inputs), 0)


def _is_elementwise(value: Value) -> bool:
    """Whether a value is computed element by element of its operands, in rows or columns."""
    return value.kind in ELEMENTWISE or value.kind in ROW_REDUCTIONS


def _passes(x: Value, base: Value) -> bool:
    """Whether each element of an operand is one of its base: through no view but what axes pass through."""
    while x is not base:
        if lowered(x, (None,) * len(x.shape)) is None:
            return False
        (x,) = x.inputs
    return True


def reaches(starts: Iterable[Group], goal: Group) -> bool:
    """Whether one of the groups is the goal or needs it, directly or not."""
    stack, seen = list(starts), set[Group]()
    while stack:
        group = stack.pop()
        if group is goal:
            return True
        if group not in seen:
            seen.add(group)
            stack += group.needs
    return False


# --- axes -------------------------------------------------------------------------------------------------------------


def _opened(value: Value) -> tuple[Group, Axes]:
    """A new group for a value."""
    if value.kind in CHEAP:
        axes = _fresh(value.shape)
        return Group("rows", _moving(axes)), axes
    if value.kind == "matmul":
        axes = _fresh(value.shape)
        return Group("product", _moving(axes)), axes
    if value.kind in ROW_REDUCTIONS:
        return _opened_for_reduction(value)
    if value.kind == "repeat":
        group = Group("repeat", ())
        group.inner = Groups(value.params["body"])
        return group, ()
    return Group(value.kind if value.kind != "reshape" else "copy", ()), (None,) * len(value.shape)


def _opened_for_reduction(value: Value) -> tuple[Group, Axes]:
    operand = _fresh(value.inputs[0].shape)
    (place,) = reduced_axes(value)
    axes = list(_moving(operand))
    reduced = operand[place]
    assert reduced is not None, f"{value} reduces nothing"
    if axes[-1] is reduced:
        group = Group("rows", tuple(axes))
    else:
        axes.remove(reduced)
        group = Group("columns", tuple(axes))
    group.reduced = reduced
    group.length = value.params.get("length", 0)
    return group, _after(value, operand)


def operand_axes_of(group: Group, value: Value) -> Axes:
    """Axes in the group that the operands of a member are broadcast to: those of the member, or, for a reduction, with
    the axis that it goes along.
    """
    axes = group.members[value]
    if value.kind not in ROW_REDUCTIONS:
        return axes
    (place,) = reduced_axes(value)
    along = group.lane if group.kind == "rows" else group.reduced
    rest = axes[place + 1 :] if len(axes) == len(value.inputs[0].shape) else axes[place:]
    return (*axes[:place], along, *rest)


def reduced_axes(value: Value) -> tuple[int, ...]:
    """Which axes of the operand a reduction goes over."""
    axis = value.params["axis"]
    return axis if isinstance(axis, tuple) else (axis,)


def _after(value: Value, operand: Axes) -> Axes:
    """Axes of a reduction's result."""
    places = reduced_axes(value)
    if len(value.shape) == len(operand):
        return tuple(None if i in places else a for i, a in enumerate(operand))
    return tuple(a for i, a in enumerate(operand) if i not in places)


def _fresh(shape: tuple[int, ...]) -> Axes:
    return tuple(None if n == 1 else Axis(n) for n in shape)


def _moving(axes: Axes) -> tuple[Axis, ...]:
    return tuple(a for a in axes if a is not None)


def _proposed(group: Group, value: Value) -> Axes | None:
    """The value's axes in the group, if it fits in."""
    if group.kind not in ("rows", "columns", "product") or any(_is_in_slices(group, x) for x in value.inputs):
        return None
    operands = [_known(group, x) for x in value.inputs]
    if value.kind in ROW_REDUCTIONS:
        return _proposed_reduction(group, value, operands[0])
    axes = _combined(group, value, operands)
    if axes is None or not all(_fits(group, x, operand_axes(axes, x.shape)) for x in value.inputs):
        return None
    own = set(_moving(axes))
    full = own == set(group.axes)
    is_row = group.kind == "rows" and own == set(group.axes[:-1]) and group.axes[-1:] != ()
    return axes if full or (is_row and _has_reduction(group) and not group.length) else None


def _has_reduction(group: Group) -> bool:
    return any(v.kind in ROW_REDUCTIONS for v in group.values)


def _proposed_reduction(group: Group, value: Value, operand: Axes | None) -> Axes | None:
    """A reduction along the lane of rows, of one of their members."""
    if group.kind != "rows" or operand is None or not group.axes:
        return None
    if any(axis is None and n != 1 for n, axis in zip(value.inputs[0].shape, operand, strict=True)):
        return None  # it is repeated along an axis that the group does not have
    length = value.params.get("length", 0)
    if length != group.length and _has_reduction(group):
        return None
    places = reduced_axes(value)
    if len(places) != 1 or operand[places[0]] is not group.lane or set(_moving(operand)) != set(group.axes):
        return None
    if not _fits(group, value.inputs[0], operand):
        return None
    group.length = length
    return _after(value, operand)


def _is_in_slices(group: Group, x: Value) -> bool:
    """Whether an operand is a result of the group that is not whole before all of it has run."""
    base = view(x).base
    return base in group.members and "length" in base.params


def _known(group: Group, x: Value) -> Axes | None:
    """Axes that an operand has because a member is computed, or something in memory is read, with them."""
    if x in group.members:
        return group.members[x]
    if x in group.reads:
        return group.reads[x]
    if view(x).base is x or (view(x).base not in group.members and view(x).base not in group.reads):
        return None
    under = _known(group, x.inputs[0])
    return None if under is None else lifted(x, under)


def _combined(group: Group, value: Value, operands: list[Axes | None]) -> Axes | None:
    """Axes of an elementwise result, from those of its operands; an axis that none of them has is found by its size."""
    rank = len(value.shape)
    axes: list[Axis | None] = [None] * rank
    for known in operands:
        if known is not None:
            for i, axis in enumerate(known, rank - len(known)):
                if axis is not None and axes[i] not in (None, axis):
                    return None
                axes[i] = axes[i] or axis
    found = _moving(tuple(axes))
    if len(found) > len(set(found)):  # every element with every other one of the same axis: that takes two loops
        return None
    left = [a for a in group.axes if a not in axes]
    for i in reversed(range(rank)):
        if axes[i] is None and value.shape[i] != 1:
            if not left or left[-1].size != value.shape[i]:
                return None
            axes[i] = left.pop()
    return tuple(axes)


def _fits(group: Group, x: Value, axes: Axes) -> bool:
    """Whether an operand read with these axes is what its member computes with the same."""
    if x in group.members:
        return group.members[x] == axes
    if view(x).base not in group.members:
        return True
    under = lowered(x, axes)
    return under is not None and _fits(group, x.inputs[0], under)
