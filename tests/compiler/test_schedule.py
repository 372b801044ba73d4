"""The order of groups and the places of values: nothing is overwritten while somebody will still read it."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compiler.harness import prepared
from tests.compiler.random_programs import programs

from adjoint.abstract import Abstract
from adjoint.compiler.emit import emit
from adjoint.compiler.fuse import Groups
from adjoint.compiler.kernels.products import product_of
from adjoint.compiler.matmul import scratch_bytes
from adjoint.compiler.program import Builder
from adjoint.compiler.schedule import HEADER, _Memory, schedule, work

FLOAT = np.dtype(np.float32)


def planned(build, *shapes, states=None):
    """The groups and the schedule of what `build(builder, *inputs)` makes."""
    builder = Builder()
    inputs = [builder.input(Abstract(shape, FLOAT)) for shape in shapes]
    groups = Groups(prepared(builder.program(inputs, build(builder, *inputs))))
    return groups, schedule(groups, states or {}, scratch(groups))


def scratch(groups):
    return {g: scratch_bytes(product_of(g.values[0]), 2) for g in groups.all if g.kind == "product"}


def stretches(plan, x):
    """Bytes of the arena that a value takes, if it lies there."""
    slot, start = plan.places[x]
    return [] if slot else [range(start, start + x.abstract.size * x.dtype.itemsize)]


def test_lanes_beyond_the_right_edge_are_work_too():
    """Products of 10 columns take what 16 take: a second thread is worth it for both."""
    works = [
        work(group)
        for n in (10, 16)
        for group in planned(lambda b, x, y: [b.shaped("matmul", x, y)], (64, 80), (80, n))[0].all
    ]
    assert works[0] == pytest.approx(works[1], rel=0.1)


# --- order ------------------------------------------------------------------------------------------------------------


def test_groups_come_after_what_they_need():
    groups, plan = planned(
        lambda b, x: [b.shaped("matmul", b.elementwise("exp", b.shaped("matmul", x, x)), x)], (16, 16)
    )
    assert [g.kind for g in plan.groups] == ["product", "product"]
    assert set(plan.groups) == set(groups.all)


def test_labels_are_checked_first():
    def build(b, x, y):
        exps = b.elementwise("exp", x)
        labels = b.cast(y, np.int64)
        checked = b.make("check_labels", (labels,), {"classes": 3, "what": "loss"}, labels.abstract)
        return [exps, b.elementwise("multiply", checked, checked)]

    _, plan = planned(build, (16, 16), (8,))
    kinds = [g.kind for g in plan.groups]
    assert kinds.index("check_labels") < max(i for i, g in enumerate(plan.groups) if g.values[0].kind == "exp")


def test_groups_in_a_circle_are_an_error():
    groups, _ = planned(lambda b, x: [b.shaped("matmul", b.elementwise("exp", x), x)], (16, 16))
    first, second = groups.all
    first.needs[second] = None
    with pytest.raises(AssertionError, match="need each other in a circle"):
        schedule(groups, {}, scratch(groups))


# --- states -----------------------------------------------------------------------------------------------------------


def turned(b, x):
    return b.shaped("transpose", x, axes=(1, 0))


@pytest.mark.parametrize(
    ("build", "states", "copies"),
    [
        (lambda b, x, y: [b.elementwise("add", x, y)], {0: 0}, 0),
        (lambda b, x, y: [b.elementwise("exp", x), b.shaped("matmul", x, y)], {0: 0}, 0),
        (lambda b, x, y: [b.elementwise("exp", b.shaped("matmul", x, y))], {0: 1}, 1),
        (lambda b, x, y: [b.elementwise("add", x, turned(b, x))], {0: 0}, 1),
        (lambda b, x, y: [b.elementwise("subtract", x, b.reduce("sum", x, (1,)))], {0: 0}, 1),
        (lambda b, x, y: [b.shaped("matmul", y, y), x], {0: 0, 1: 1}, 1),
        (lambda b, x, y: [turned(b, y), turned(b, x)], {0: 0, 1: 1}, 1),
    ],
    ids=["update", "read by others", "read by its product", "transposed", "a row", "one each way", "exchanged"],
)
def test_a_new_state_is_written_in_place_unless_old_values_are_read_later(build, states, copies):
    groups, plan = planned(build, (16, 16), (16, 16), states=states)
    assert len(plan.copies) == copies
    for copy in plan.copies:
        assert plan.places[copy.source].slot == 0
    assert set(plan.groups) == set(groups.all)


def test_who_reads_the_old_value_comes_before_who_writes_the_new_one():
    def build(b, x, y):
        return [b.elementwise("exp", x), b.shaped("matmul", x, y)]

    groups, plan = planned(build, (16, 16), (16, 16), states={0: 0})
    assert [g.kind for g in plan.groups] == ["product", "rows"]
    (new, _) = groups.program.outputs
    assert plan.places[new] == plan.places[groups.program.inputs[0]]


# --- memory -----------------------------------------------------------------------------------------------------------


def test_memory_is_used_again():
    def chain(b, x):
        for _ in range(10):
            x = b.elementwise("exp", b.shaped("matmul", x, x))
        return [x]

    _, plan = planned(chain, (64, 64))
    assert plan.arena <= HEADER + 4 * 64 * 64 * 4 + 4096


def test_what_is_given_and_returned_has_slots():
    groups, plan = planned(lambda b, x: [b.elementwise("add", x, b.constant(np.arange(4, dtype=FLOAT)))], (4,))
    (x,), (output,) = groups.program.inputs, groups.program.outputs
    assert (plan.places[x].slot, plan.places[output].slot) == (1, 2)
    assert [plan.places[c].slot for c in plan.constants] == [3]
    assert plan.slots == 4


def test_one_number_everywhere_is_no_memory():
    _, plan = planned(lambda b, x: [b.elementwise("add", x, b.constant(np.ones(4, FLOAT)))], (4,))
    assert plan.constants == ()


def test_a_number_that_is_moved_is_memory():
    def build(b, x):
        return [b.shaped("concatenate", x, b.constant(np.ones(4, FLOAT)), axis=0)]

    _, plan = planned(build, (4,))
    assert len(plan.constants) == 1


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5)), max_size=40))
def test_stretches_of_memory_do_not_overlap(requests):
    """Each request is given back so many requests later; what has not been is nobody else's."""
    memory, held = _Memory(), []
    for now, (size, lifetime) in enumerate(requests):
        for end, offset, length in [h for h in held if h[0] == now]:
            memory.give_back(offset, length)
            held.remove((end, offset, length))
        offset = memory.take(size)
        assert offset % 64 == 0
        held.append((now + 1 + lifetime, offset, size))
        stretches = sorted((start, start + max(n, 1)) for _, start, n in held)
        assert all(a[1] <= b[0] for a, b in pairwise(stretches))
        assert stretches[0][0] >= HEADER
        assert stretches[-1][1] <= memory.top


@settings(max_examples=100, deadline=None)
@given(programs(40))
def test_values_that_live_at_once_do_not_overlap(drawn):
    """Walk through the groups: what a group writes is not where anything lies that it or a later one reads."""
    groups = Groups(prepared(drawn.program))
    plan = schedule(groups, drawn.states, scratch(groups))
    reads = [{x for v in g.values for x in groups.sources(v)} for g in plan.groups]
    reads.append({copy.source for copy in plan.copies})
    written = set()
    for now, group in enumerate(plan.groups):
        assert all(x in written or x not in groups.of for x in reads[now] - set(group.members))
        live = {x for later in reads[now:] for x in later if x in written and x not in group.members}
        new = [stretch for v in groups.stored(group) for stretch in stretches(plan, v)]
        new += [plan.scratch[group]] if group in plan.scratch else []
        busy = [stretch for x in live for stretch in stretches(plan, x)]
        assert all(a.start >= HEADER and a.stop <= plan.arena for a in new)
        assert all(a.stop <= b.start or b.stop <= a.start for a, b in combinations(new, 2))
        assert all(a.stop <= b.start or b.stop <= a.start for a in new for b in busy)
        written.update(groups.stored(group))


# --- where the parts of a program meet --------------------------------------------------------------------------------


LARGE = (600, 600)


def barriers(build, *shapes, threads=2):
    """How often the parts meet between kernels."""
    builder = Builder()
    inputs = [builder.input(Abstract(shape, FLOAT)) for shape in shapes]
    emitted = emit(Groups(prepared(builder.program(inputs, build(builder, *inputs)))), {}, threads)
    (program,) = [f for f in emitted.module.functions if f.name == "program"]
    calls = [i.callee.name for block in program.blocks for i in block.instructions if i.opname == "call"]
    assert calls[0] == "kernel_0"
    return calls.count("adjoint.barrier")


def test_parts_meet_where_one_reads_what_others_wrote():
    assert barriers(lambda b, x: [b.shaped("matmul", b.elementwise("exp", x), x)], LARGE) == 1


def test_parts_do_not_meet_between_kernels_that_have_nothing_in_common():
    def build(b, x, y):
        return [b.elementwise("exp", x), b.shaped("matmul", y, y), b.reduce("max", x, (1,))]

    assert barriers(build, LARGE, LARGE) == 0


def test_parts_meet_before_scratch_memory_is_used_for_something_else():
    """The slices of the sum lie where the product packs its operands, and the sum over them comes after all."""

    def build(b, x, y):
        return [b.shaped("matmul", y, y), b.reduce("sum", x, (0,))]

    assert barriers(build, LARGE, LARGE) == 2


def test_parts_do_not_meet_in_a_small_program():
    assert barriers(lambda b, x: [b.shaped("matmul", b.elementwise("exp", x), x)], (8, 8)) == 0


def test_parts_do_not_meet_where_one_thread_runs_all():
    assert barriers(lambda b, x: [b.shaped("matmul", b.elementwise("exp", x), x)], LARGE, threads=1) == 0


def test_parts_meet_before_the_memory_of_one_value_is_used_for_another():
    """The third product goes where the first one was, which the second one has read."""

    def build(b, x):
        for _ in range(4):
            x = b.shaped("matmul", x, x)
        return [x]

    assert barriers(build, LARGE) == 3


def test_parts_meet_around_each_check():
    """Before they look, and before anyone can write to the status word again."""

    def build(b, x, y, i):
        places = b.cast(i, np.int64)
        return [b.make("gather", (v, places), {}, Abstract((500, 600), FLOAT)) for v in (x, y)]

    assert barriers(build, LARGE, LARGE, (500,)) == 4
