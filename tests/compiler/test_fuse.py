"""Which primitives share a loop nest: the groups of a training step, of rows and columns, and what holds for all."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from tests.compiler.harness import prepared
from tests.compiler.random_programs import programs

import adjoint as ad
from adjoint import nn, optim
from adjoint.abstract import Abstract
from adjoint.compiler.access import view
from adjoint.compiler.fuse import GIVEN, Groups, reaches
from adjoint.compiler.lower import lower
from adjoint.compiler.program import Builder
from adjoint.compiler.trace import trace

RNG = np.random.default_rng(0)


def groups_of(build, *abstracts):
    """The groups of what `build(builder, *inputs)` makes of inputs of these shapes, or abstract values."""
    builder = Builder()
    known = [x if isinstance(x, Abstract) else Abstract(x, np.dtype(np.float32)) for x in abstracts]
    inputs = [builder.input(x) for x in known]
    made = build(builder, *inputs)
    return Groups(prepared(builder.program(inputs, made if isinstance(made, list) else [made])))


def shown(groups):
    """Each group as its kind, the sizes of its nest, its members and how many of them lie in memory."""
    return [
        f"{g.kind} {[a.size for a in g.axes]} {' '.join(v.kind for v in g.values)} -> {len(list(groups.stored(g)))}"
        for g in groups.all
    ]


def softmax(b, x, axis=1):
    powers = b.elementwise("exp", b.elementwise("subtract", x, b.reduce("max", x, (axis,))))
    return b.elementwise("divide", powers, b.reduce("sum", powers, (axis,)))


# --- a training step --------------------------------------------------------------------------------------------------


def step_of_two_layers():
    x = RNG.normal(size=(32, 64)).astype(np.float32)
    weights = [
        ad.Parameter(RNG.normal(size=shape).astype(np.float32)) for shape in ((64, 100), (100,), (100, 10), (10,))
    ]
    w1, b1, w2, b2 = weights
    optimizer = optim.SGD(weights, lr=0.01)

    def step(x, y):
        loss = nn.cross_entropy(ad.relu(x @ w1 + b1) @ w2 + b2, y)
        loss.backward()
        optimizer.step()
        return loss

    return Groups(prepared(lower(trace(step, (x, RNG.integers(0, 10, 32))))))


def test_the_groups_of_a_training_step():
    """Bias and relu come with their product, the whole loss and its gradient are one group of rows, the gradient passes
    the relu in the product that makes it, and every update is where its gradient is.
    """
    groups = step_of_two_layers()
    names = [(g.kind, [a.size for a in g.axes], [v.kind for v in g.values]) for g in groups.all]
    products = [(sizes, kinds) for kind, sizes, kinds in names if kind == "product"]
    assert products == [
        ([32, 100], ["matmul", "add", "maximum"]),
        ([32, 10], ["matmul", "add"]),
        ([32, 100], ["matmul", "where"]),
        ([64, 100], ["matmul", "multiply", "subtract"]),
        ([100, 10], ["matmul", "multiply", "subtract"]),
    ]
    (loss,) = [kinds for kind, sizes, kinds in names if (kind, sizes) == ("rows", [32, 10])]
    assert Counter(loss)["exp"] == 2
    assert Counter(loss)["sum"] >= 2
    columns = [(sizes, kinds) for kind, sizes, kinds in names if kind == "columns"]
    assert columns == [([100], ["sum", "multiply", "subtract"]), ([10], ["sum", "multiply", "subtract"])]
    assert names[0][0] == "check_labels"


def test_the_mask_of_a_relu_is_computed_by_its_reader():
    """A comparison costs less than to write it out."""
    assert any(value.kind == "greater" for value in step_of_two_layers().inlined)


# --- groups -----------------------------------------------------------------------------------------------------------


def test_a_chain_of_elements():
    groups = groups_of(
        lambda b, x, y: b.elementwise("exp", b.elementwise("tanh", b.elementwise("add", x, y))), (8, 9), (9,)
    )
    assert shown(groups) == ["rows [8, 9] tanh exp -> 1"]
    assert [v.kind for v in groups.inlined] == ["add"]


def test_a_softmax_is_one_group():
    assert shown(groups_of(softmax, (8, 10))) == ["rows [8, 10] max subtract exp sum divide -> 1"]


def test_a_softmax_of_a_product_follows_it():
    groups = groups_of(lambda b, x, y: softmax(b, b.shaped("matmul", x, y)), (8, 4), (4, 10))
    assert shown(groups) == ["product [8, 10] matmul -> 1", "rows [8, 10] max subtract exp sum divide -> 1"]


def test_a_softmax_down_the_columns():
    """Each reduction has a group, since what follows needs all of a column."""
    groups = groups_of(lambda b, x: softmax(b, x, 0), (8, 10))
    assert [g.kind for g in groups.all if g.reduced] == ["columns", "columns"]


def test_what_follows_from_a_column():
    groups = groups_of(lambda b, x, y: b.elementwise("subtract", y, b.reduce("sum", x, (0,))), (8, 10), (1, 10))
    assert shown(groups) == ["columns [10] sum subtract -> 1"]


def test_what_reads_the_same_comes_beside():
    def build(b, x):
        return [b.elementwise("exp", x), b.elementwise("tanh", x)]

    assert shown(groups_of(build, (8, 10))) == ["rows [8, 10] exp tanh -> 2"]


def test_a_cheap_value_with_one_reader_is_not_written_out():
    def build(b, x, y):
        product = b.elementwise("exp", b.shaped("matmul", x, y))
        return b.shaped("matmul", product, b.elementwise("negative", y)), product

    groups = groups_of(lambda b, x, y: list(build(b, x, y)), (8, 8), (8, 8))
    assert [g.kind for g in groups.all] == ["product", "rows", "product"]


def test_a_product_reads_memory():
    """Its operand is not computed element by element in its loops."""

    def build(b, x, y):
        return b.shaped("matmul", b.elementwise("add", x, y), y)

    assert shown(groups_of(build, (8, 8), (8, 8))) == ["rows [8, 8] add -> 1", "product [8, 8] matmul -> 1"]


def test_numbers_of_no_axes():
    assert shown(groups_of(lambda b, x: b.elementwise("exp", x), ())) == ["rows [] exp -> 1"]


def test_a_copy_of_scattered_elements():
    def build(b, x):
        return b.elementwise("exp", b.shaped("reshape", b.shaped("transpose", x, axes=(1, 0)), shape=(80,)))

    assert shown(groups_of(build, (8, 10))) == ["copy [] reshape -> 1", "rows [80] exp -> 1"]


def test_labels_are_checked_in_a_group_of_their_own():
    def build(b, y):
        labels = b.make("check_labels", (y,), {"classes": 3, "what": "loss"}, Abstract(y.shape, np.dtype(np.int64)))
        return b.elementwise("multiply", labels, labels)

    groups = groups_of(build, Abstract((9,), np.dtype(np.int64)))
    assert shown(groups) == ["check_labels [] check_labels -> 0", "rows [9] multiply -> 1"]


def test_results_in_slices_are_whole_for_other_groups_only():
    groups = groups_of(lambda b, x: b.elementwise("exp", b.reduce("sum", x, (0,))), (40_000,))
    assert shown(groups) == ["rows [40000] sum -> 1", "rows [5] sum exp -> 1"]
    assert [g.length for g in groups.all] == [8192, 0]


# --- found by random programs -----------------------------------------------------------------------------------------


def test_a_member_is_not_read_with_one_axis_twice():
    def build(b, x):
        total = b.reduce("max", x, (1,))
        square = b.elementwise("tanh", b.shaped("reshape", total, shape=(8,)))
        turned = b.shaped("reshape", square, shape=(8, 1))
        return [square, b.elementwise("exp", b.elementwise("add", square, turned))]

    groups = groups_of(build, (8, 10))
    assert all(len(set(axes)) == len(axes) for g in groups.all for axes in g.members.values())


def test_a_value_is_handed_over_once_though_it_is_read_twice():
    def build(b, x, i):
        rows = b.shaped("broadcast", b.shaped("scatter", x, i, size=17), shape=(2, 17, 4))
        return b.elementwise("square", b.elementwise("negative", rows))

    groups = groups_of(build, (2, 4), Abstract((2,), np.dtype(np.int64)))
    assert [g.kind for g in groups.all] == ["scatter", "rows"]


# --- what holds for all -----------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(programs(40))
def test_groups_of_random_programs(drawn):
    """Every value that is read is given, computed by a group that comes before, or by its readers; no circles."""
    groups = Groups(prepared(drawn.program))
    assert set(groups.of.values()) <= set(groups.all)
    for group in groups.all:
        assert not reaches(group.needs, group)
        for value in group.values:
            for base in groups.sources(value):
                assert base not in groups.inlined
                if base.kind in GIVEN or base in group.members:
                    continue
                owner = groups.of[base]
                assert reaches(group.needs, owner), f"{group} reads {base} and does not need {owner}"
                assert base in groups.stored(owner)
        assert all(set(axes) <= {*group.axes, None} for axes in group.members.values())
    ends = {view(x).base for x in groups.program.outputs if x.abstract.size}
    assert ends <= set(groups.of)
