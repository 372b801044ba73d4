"""What became of a function: each stage of the compiler in figures, and each kernel with its loops and its traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod

from adjoint.compiler.emit import SHARED
from adjoint.compiler.fuse import COST, GIVEN, Group, Groups
from adjoint.compiler.kernels.nest import lanes_for
from adjoint.compiler.native import Stages, stages
from adjoint.compiler.program import Program, Value
from adjoint.compiler.schedule import work
from adjoint.compiler.segments import Segment, split
from adjoint.configuration import num_threads


def explained(name: str, program: Program, states: Mapping[int, int], *, fast: bool) -> str:
    """A program from its first form to its kernels, in words and figures."""
    steps = split(program)
    if len(steps) == 1 and isinstance(steps[0], Segment):
        return "\n".join([_title(name, program), *_whole(stages(program, states, num_threads(), fast=fast))])
    lines = [_title(name, program), f"{len(steps)} segments, since NumPy computes some of it:"]
    for number, step in enumerate(steps, 1):
        if isinstance(step, Value):
            lines.append(f"segment {number}, NumPy: {step.params.get('op', step.kind)} {_shape(step)}{_place(step)}")
        else:
            lines.append(f"segment {number}, native:")
            lines += [f"  {line}" for line in _whole(stages(step.program, {}, num_threads(), fast=fast))]
    return "\n".join(lines)


def _title(name: str, program: Program) -> str:
    takes = ", ".join(_shape(x) for x in program.inputs)
    gives = ", ".join(_shape(x) for x in program.outputs)
    return f"{name}: ({takes}) -> ({gives})"


def _whole(found: Stages) -> Iterator[str]:
    emitted = found.emitted
    plan = emitted.schedule
    yield f"lowered:    {_counted(found.lowered)}"
    yield f"simplified: {_counted(found.simplified)}"
    yield f"fused:      {len(plan.groups)} kernels, {len(found.groups.inlined)} primitives computed by their readers"
    yield f"memory:     {_bytes(plan.arena)} arena, {len(plan.copies)} copies of states at the end"
    yield f"threads:    {'shared out where a kernel is large' if emitted.is_shared else 'one: too small to share out'}"
    for number, group in enumerate(plan.groups):
        yield from _kernel(f"{number}", found.groups, group, is_shared=emitted.is_shared and work(group) >= SHARED)


def _counted(program: Program) -> str:
    computed = [v for v in program.values if v.kind not in ("input", "constant")]
    kinds = Counter(v.kind for v in computed).most_common(6)
    most = ", ".join(f"{n} {kind}" for kind, n in kinds)
    return f"{len(computed)} primitives ({most}{', …' if len(kinds) == 6 else ''})"


def _kernel(number: str, groups: Groups, group: Group, *, is_shared: bool) -> Iterator[str]:
    stored = list(groups.stored(group))
    read = dict.fromkeys(x for v in group.values for x in groups.sources(v) if x not in group.members)
    moved = sum(x.abstract.size * x.dtype.itemsize for x in (*read, *stored))
    parts = ", all threads" if is_shared else ""
    yield f"kernel {number}: {_nest(group)}; {_operations(group):,} operations, {_bytes(moved)} moved{parts}"
    yield from _values(groups, group)
    if group.inner is not None:
        for i, inner in enumerate(group.inner.all):
            is_large = is_shared and sum(map(work, group.inner.all)) >= 2 * SHARED and work(inner) >= SHARED
            yield from (f"  {line}" for line in _kernel(f"{number}.{i}", group.inner, inner, is_shared=is_large))


def _values(groups: Groups, group: Group) -> Iterator[str]:
    """What a kernel computes, and where that is written in the function."""
    said, stored = set[Value](), set(groups.stored(group))
    for value in group.values:
        for x in _on_the_way(groups, value):
            if x not in said:
                said.add(x)
                yield f"      {x}"
        yield f"    {value}{' -> memory' if value in stored else ''}{_place(value)}"


def _on_the_way(groups: Groups, value: Value) -> list[Value]:
    """Views of operands, and what is computed here because it is cheap, each after its own operands."""
    found: dict[Value, None] = {}
    stack = [x for x in value.inputs if x not in groups.of and x.kind not in GIVEN]
    while stack:
        x = stack.pop()
        found[x] = None
        stack += [o for o in x.inputs if o not in groups.of and o.kind not in GIVEN and o not in found]
    return sorted(found, key=lambda x: x.number)


def _nest(group: Group) -> str:
    """The loops of a kernel, outer first."""
    sizes = [a.size for a in group.axes]
    if group.kind == "rows":
        if not sizes:
            return "numbers"
        lane = f"vectors of {lanes_for(group.values)} along {sizes[-1]}"
        return " × ".join([f"rows {prod(sizes[:-1]):,}", lane]) if sizes[:-1] else lane
    if group.kind == "columns" and group.reduced is not None:
        slices = f" in slices of {group.length}" if group.length else ""
        return f"columns {prod(sizes):,}, each down {group.reduced.size:,}{slices}"
    if group.kind == "product":
        heart = group.values[0]
        *batch, m, n = heart.shape
        times = f"{prod(batch)} × " if batch else ""
        after = " with what follows from it" if len(group.values) > 1 else ""
        return f"product {times}{m} × {heart.inputs[0].shape[-1]} × {n}{after}"
    if group.inner is not None:
        return f"loop of {group.values[0].params['steps']:,} steps, each of {len(group.inner.all)} kernels"
    return group.kind


def _operations(group: Group) -> int:
    heart = group.values[0]
    if group.inner is not None:
        steps: int = heart.params["steps"]
        return steps * sum(map(_operations, group.inner.all))
    if group.kind == "product":
        rest = sum(COST.get(v.kind, 1) * v.abstract.size for v in group.values[1:])
        return 2 * heart.abstract.size * heart.inputs[0].shape[-1] + rest
    return sum(COST.get(v.kind, 1) * max(x.abstract.size for x in (v, *v.inputs)) for v in group.values)


def _shape(x: Value) -> str:
    return f"{x.dtype}[{', '.join(map(str, x.shape))}]"


def _place(value: Value) -> str:
    return f"    at {value.origin}" if value.origin is not None else ""


def _bytes(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
