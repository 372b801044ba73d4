"""A program as machine code: one function for each group, and one that runs them in order.

The function `program(table, part, parts, barrier)` is what the pool runs. Between kernels the parts meet only where one
of them reads or overwrites what another has written since they last met. When a check fails, the status word is set
and the program ends before anything that follows has run. The body of a loop is such a function, too.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from adjoint.abstract import Abstract
from adjoint.compiler.fuse import Group, Groups
from adjoint.compiler.integers import I64, POINTER, VOID, i64
from adjoint.compiler.kernels import draws, loops, products, repeats
from adjoint.compiler.kernels.columns import Columns
from adjoint.compiler.kernels.loops import Part
from adjoint.compiler.kernels.moves import Moves
from adjoint.compiler.kernels.nest import Nest, Place
from adjoint.compiler.kernels.products import product_of
from adjoint.compiler.kernels.repeats import Body
from adjoint.compiler.kernels.rows import Rows
from adjoint.compiler.llvm import ir
from adjoint.compiler.matmul import scratch_bytes
from adjoint.compiler.pool import emit_barrier
from adjoint.compiler.program import Value
from adjoint.compiler.schedule import Copy, Schedule, schedule, work

#: Element operations of a kernel from which on its work is shared out, about 2 µs.
SHARED: Final = 1 << 16
#: Groups that may find something wrong with what they are given.
_CHECKS: Final = frozenset(("check_labels", "gather", "scatter"))
#: Slot and bytes of the status word.
_STATUS: Final = (0, 0, 8)


class Emitted(NamedTuple):
    """The module, its schedule, and whether any kernel shares out its work."""

    module: ir.Module
    schedule: Schedule
    is_shared: bool


def emit(groups: Groups, states: dict[int, int], threads: int) -> Emitted:
    """The module of a program whose kernels run on at most this many threads; `states` has for outputs that are new
    values of states which input the old one is.
    """
    module = ir.Module("adjoint")
    whole = _emitted(module, groups, states, threads, "")
    return Emitted(module, whole.schedule, whole.is_shared)


def _emitted(module: Any, groups: Groups, states: dict[int, int], threads: int, prefix: str) -> Body:
    """The function of a program, or of the body of a loop, whose name then has a prefix."""
    bodies = {g: _body(module, g, threads, f"{prefix}loop_{i}_") for i, g in enumerate(groups.all) if g.inner}
    shared = {g: threads > 1 and work(g) >= SHARED for g in groups.all}
    if sum(work(g) for g in groups.all) < 2 * SHARED:
        shared = dict.fromkeys(shared, False)
    shared |= {g: body.is_shared for g, body in bodies.items()}
    products_ = [g for g in groups.all if g.kind == "product"]
    scratch = {g: scratch_bytes(product_of(g.values[0]), threads if shared[g] else 1) for g in products_}
    scratch |= {g: repeats.scratch_bytes(groups, g, body) for g, body in bodies.items()}
    plan = schedule(groups, states, scratch, [x for body in bodies.values() for x in body.schedule.constants])
    kernels = [
        _kernel(module, groups, g, plan, f"{prefix}kernel_{i}", shared[g], bodies.get(g))
        for i, g in enumerate(plan.groups)
    ]
    kernels += [_copy_kernel(module, groups, copy, plan, f"{prefix}copy_{i}") for i, copy in enumerate(plan.copies)]
    function = _emit_program(module, kernels, prefix)
    return Body(function, plan, any(shared.values()), any(k.checks for k in kernels))


def _body(module: Any, group: Group, threads: int, prefix: str) -> Body:
    """The body of a loop: a program whose carries are states."""
    assert group.inner is not None
    carried = range(group.values[0].params["carried"])
    return _emitted(module, group.inner, dict(zip(carried, carried, strict=True)), threads, prefix)


class Kernel(NamedTuple):
    """A function of the module, the memory that it reads and writes, and whether all parts work on it."""

    function: Any
    reads: tuple[tuple[int, int, int], ...]
    writes: tuple[tuple[int, int, int], ...]
    shared: bool

    @property
    def checks(self) -> bool:
        """Whether it may find something wrong."""
        return _STATUS in self.writes


def _kernel(
    module: Any, groups: Groups, group: Group, plan: Schedule, name: str, shared: bool, body: Body | None
) -> Kernel:
    function, entry, part = _function(module, name)
    nest = Nest(groups, group, plan.places, entry, part.table)
    if body is not None:
        repeats.Repeat(nest, part, body, plan.scratch[group].start, shared=shared).emit()
    elif group.kind == "rows":
        Rows(nest, part, shared=shared).emit()
    elif group.kind == "columns":
        Columns(nest, part, shared=shared).emit()
    elif group.kind == "product":
        products.emit(nest, part, _scratch(entry, part, plan.scratch.get(group)), shared=shared)
    elif group.kind == "uniform":
        draws.emit(nest, part, shared=shared)
    else:
        Moves(nest, part, shared=shared).emit()
    entry.ret_void()
    writes = [_range(plan.places[v], v) for v in groups.stored(group)]
    if group in plan.scratch:
        writes.append((0, plan.scratch[group].start, plan.scratch[group].stop))
    if group.kind in _CHECKS or (body is not None and body.checks):
        writes.append(_STATUS)
    reads = {_range(plan.places[x], x) for v in group.values for x in groups.sources(v) if x in plan.places}
    return Kernel(function, tuple(reads), tuple(writes), shared)


def _scratch(entry: Any, part: Part, place: range | None) -> Any:
    arena = entry.load(part.table, typ=POINTER)
    return loops.at(entry, arena, i64(place.start if place else 0), ir.IntType(8))


def _copy_kernel(module: Any, groups: Groups, copy: Copy, plan: Schedule, name: str) -> Kernel:
    """A state's new value to where the state lies."""
    function, entry, part = _function(module, name)
    source = copy.source
    target = Value("copied", (source,), {}, Abstract(source.shape, source.dtype), -1)
    group = Group("copy", ())
    group.values.append(target)
    places = {**plan.places, target: Place(copy.slot)}
    Moves(Nest(groups, group, places, entry, part.table), part, shared=False).emit()
    entry.ret_void()
    reads, writes = _range(places[source], source), _range(places[target], target)
    return Kernel(function, (reads,), (writes,), False)


def _range(place: Place, x: Value) -> tuple[int, int, int]:
    return place.slot, place.offset, place.offset + x.abstract.size * x.dtype.itemsize


def _function(module: Any, name: str, *, internal: bool = True) -> tuple[Any, Any, Part]:
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER, I64, I64, POINTER]), name)
    if internal:
        function.linkage = "internal"
        function.attributes.add("noinline")
    function.attributes.add("nounwind")
    memory = ir.IRBuilder(function.append_basic_block("memory"))  # for what lies on the stack, written at any time
    start = function.append_basic_block("start")
    memory.branch(start)
    return function, ir.IRBuilder(start), Part(*function.args)


def _emit_program(module: Any, kernels: list[Kernel], prefix: str) -> Any:
    function, builder, part = _function(module, f"{prefix}program", internal=bool(prefix))
    since: list[Kernel] = []
    for kernel in kernels:
        if any(_conflict(before, kernel) for before in since):
            emit_barrier(builder, part.barrier, part.count)
            since = []
        builder.call(kernel.function, part)
        since.append(kernel)
        if kernel.checks:
            shared = any(k.shared for k in kernels)
            _emit_check(builder, part, shared)
            since = [Kernel(None, (_STATUS,), (), shared)]  # all parts look before any of them may write to it again
    builder.ret_void()
    return function


def _emit_check(builder: Any, part: Part, shared: bool) -> None:
    """End here if something was wrong."""
    if shared:
        emit_barrier(builder, part.barrier, part.count)
    status = builder.load(builder.load(part.table, typ=POINTER), typ=I64)
    with builder.if_then(builder.icmp_unsigned("!=", status, i64(0)), likely=False):
        builder.ret_void()


def _conflict(before: Kernel, after: Kernel) -> bool:
    """Whether the parts must meet between two kernels; not if the first part alone runs both."""
    if not (before.shared or after.shared):
        return False
    pairs = ((before.writes, after.reads), (before.writes, after.writes), (before.reads, after.writes))
    return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for one, other in pairs for a in one for b in other)
