"""The form that kernels are made from: what each rule does, and that results keep every bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from tests.compiler.harness import assert_close, expected, prepared
from tests.compiler.random_programs import programs

from adjoint.abstract import Abstract
from adjoint.compiler.access import view
from adjoint.compiler.prepare import NORMAL, SLICE, with_own_results
from adjoint.compiler.program import REDUCTIONS, Builder, evaluate, verify
from adjoint.compiler.simplify import simplify

RNG = np.random.default_rng(0)


def whole_numbers(*shape, dtype=np.float32):
    """Floats whose sums are exact in any order."""
    return RNG.integers(-3, 4, shape).astype(dtype)


def rewritten(build, *arrays):
    """The values that the rules leave of what `build(builder, *inputs)` makes; its results have the same bits."""
    builder = Builder()
    inputs = [builder.input(Abstract.of(x)) for x in arrays]
    made = build(builder, *inputs)
    before = builder.program(inputs, made if isinstance(made, list) else [made])
    after = simplify(before, NORMAL)
    verify(after)
    for x, y in zip(evaluate(before, arrays), evaluate(after, arrays), strict=True):
        assert (x.shape, x.dtype, x.tobytes()) == (y.shape, y.dtype, y.tobytes())
    return [v for v in after.values if v.kind not in ("input", "constant")]


def kinds(build, *arrays):
    return [value.kind for value in rewritten(build, *arrays)]


X = whole_numbers(4, 6)


# --- elementwise ------------------------------------------------------------------------------------------------------


def test_an_operand_is_not_repeated_to_fit():
    row = whole_numbers(6)
    assert kinds(lambda b, x, y: b.elementwise("add", x, b.shaped("broadcast", y, shape=(4, 6))), X, row) == ["add"]


def test_nothing_is_computed_on_more_elements_than_it_differs_on():
    def build(b, y):
        return b.elementwise("exp", b.shaped("broadcast", y, shape=(4, 6)))

    values = rewritten(build, whole_numbers(6))
    assert [(v.kind, v.shape) for v in values] == [("exp", (6,)), ("broadcast", (4, 6))]


def test_a_mask_is_taken_from_the_maximum():
    """x itself is needed no more."""

    def relu(b, x):
        zero = b.constant(np.float32(0))
        return [b.elementwise("maximum", x, zero), b.elementwise("greater", x, zero)]

    special = np.array([0, -0.0, 1, -1, np.nan, np.inf, -np.inf], np.float32)
    larger, mask = rewritten(relu, special)
    assert mask.inputs[0] is larger


def test_a_mask_of_something_else_stays():
    def build(b, x):
        return [b.elementwise("maximum", x, b.constant(np.float32(1))), b.elementwise("greater", x, b.constant(0.0))]

    _, mask = rewritten(build, X)
    assert mask.inputs[0].kind == "input"


# --- reductions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2), (1,), ()])
def test_one_axis_at_a_time_the_last_first(kind, axes):
    values = rewritten(lambda b, x: b.reduce(kind, x, axes), whole_numbers(3, 4, 5))
    assert [v.params["axis"] for v in values if v.kind in REDUCTIONS] == [(a,) for a in reversed(axes)]


def test_a_sum_over_an_axis_of_one_starts_from_zero():
    """The sum of −0 alone is 0; the maximum of −0 is −0."""
    x = np.array([[-0.0], [1.0]])
    assert kinds(lambda b, v: b.reduce("sum", v, (1,)), x) == ["add"]
    assert kinds(lambda b, v: b.reduce("max", v, (1,)), x) == []


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16])
def test_a_sum_is_computed_in_the_dtype_of_its_result(dtype):
    cast, total = rewritten(lambda b, x: b.reduce("sum", x, (1,)), X.astype(dtype))
    assert (cast.kind, cast.dtype, total.inputs) == ("cast", total.dtype, (cast,))


def test_any_of_numbers_asks_each_whether_it_is_zero_first():
    assert kinds(lambda b, x: b.reduce("any", x, (1,)), X) == ["cast", "any"]


@pytest.mark.parametrize(
    ("shape", "axis", "parts"),
    [
        ((2 * SLICE,), 0, (2,)),
        ((2 * SLICE + 1,), 0, (3,)),
        ((2 * SLICE - 1,), 0, None),
        ((7, 2 * SLICE), 1, (7, 2)),
        ((8, 2 * SLICE), 1, None),  # enough rows to share out
        ((64, 2048), 0, (2, 2048)),
        ((63, 2048), 0, None),
        ((4096, 32), 0, (16, 32)),
        ((16, SLICE), 0, None),  # the columns are pieces enough
    ],
)
def test_long_reductions_go_over_slices_first(shape, axis, parts):
    values = rewritten(lambda b, x: b.reduce("sum", x, (axis,)), whole_numbers(*shape))
    assert [v.shape for v in values[:-1]] == ([] if parts is None else [parts])
    assert all(v.kind == "sum" for v in values)


def test_a_reduction_over_several_long_axes_is_sliced_too():
    """Rules see what a rule makes on its way."""
    values = rewritten(lambda b, x: b.reduce("sum", x, (0, 1)), whole_numbers(3, 2 * SLICE))
    assert [v.shape for v in values] == [(3, 2), (3, 1), (1, 1)]


@pytest.mark.parametrize("kind", ["argmax", "argmin"])
@pytest.mark.parametrize(("axis", "after"), [(0, ["transpose"]), (1, []), (None, ["reshape"])])
def test_places_are_along_the_last_axis(kind, axis, after):
    assert kinds(lambda b, x: b.shaped(kind, x, axis=axis), X) == [*after, kind]


def test_the_place_among_one_is_known():
    assert kinds(lambda b, x: b.shaped("argmax", x, axis=1), X[:, :1]) == ["broadcast"]


# --- products ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "shape"),
    [((6,), (6, 3), (1, 3)), ((4, 6), (6,), (4, 1)), ((6,), (6,), (1, 1)), ((2, 4, 6), (6,), (2, 4, 1))],
)
def test_a_vector_is_a_matrix_of_one_row_or_column(left, right, shape):
    *_, product, result = rewritten(
        lambda b, x, y: b.shaped("matmul", x, y), whole_numbers(*left), whole_numbers(*right)
    )
    assert (product.kind, product.shape, result.kind) == ("matmul", shape, "reshape")
    assert all(len(x.shape) > 1 for x in product.inputs)


@pytest.mark.parametrize("dtype", [np.int8, np.uint32, bool])
@pytest.mark.parametrize(("left", "right"), [((4, 6), (6, 3)), ((6,), (6, 3)), ((2, 4, 6), (6,)), ((6,), (6,))])
def test_products_of_integers_are_sums_of_products(dtype, left, right):
    made = kinds(
        lambda b, x, y: b.shaped("matmul", x, y),
        whole_numbers(*left).astype(dtype),
        whole_numbers(*right).astype(dtype),
    )
    assert "matmul" not in made
    assert ("any" if dtype is bool else "sum") in made


# --- nothing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda b, x, i: b.elementwise("exp", x),
        lambda b, x, i: b.shaped("transpose", x, axes=(1, 0)),
        lambda b, x, i: b.reduce("sum", x, (1,)),
        lambda b, x, i: b.reduce("all", x, (1,)),
        lambda b, x, i: b.shaped("matmul", x, b.shaped("transpose", x, axes=(1, 0))),
        lambda b, x, i: b.shaped("unslice", x, key=(slice(0, 3), slice(0, 0)), shape=(3, 2)),
        lambda b, x, i: b.shaped("scatter", b.shaped("transpose", x, axes=(1, 0)), i, size=2),
    ],
)
def test_what_nothing_gives_is_known(build):
    assert set(kinds(build, np.zeros((3, 0), np.float32), np.zeros(0, np.int64))) <= {"broadcast"}


# --- results ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "copies"),
    [
        (lambda b, x: [x], 1),
        (lambda b, x: [b.constant(np.float32(1))], 1),
        (lambda b, x: [b.elementwise("exp", x)], 0),
        (lambda b, x: [b.elementwise("exp", x)] * 2, 1),
        (lambda b, x: [b.shaped("reshape", b.elementwise("exp", x), shape=(24,))], 0),
        (lambda b, x: [b.shaped("transpose", b.elementwise("exp", x), axes=(1, 0))], 1),
        (lambda b, x: [b.shaped("broadcast", b.elementwise("exp", x), shape=(2, 4, 6))], 1),
        (lambda b, x: [b.shaped("slice", b.elementwise("exp", x), key=(slice(None, 2),))], 1),
        (lambda b, x: [y := b.elementwise("exp", x), b.shaped("reshape", y, shape=(24,))], 1),
    ],
)
def test_every_output_has_memory_of_its_own(build, copies):
    builder = Builder()
    x = builder.input(Abstract.of(X))
    program = builder.program([x], build(builder, x))
    own = with_own_results(program)
    assert sum(v.kind == "copied" for v in own.values) == copies
    places = [view(output) for output in own.outputs]
    assert all(place.whole and place.base.kind not in ("input", "constant") for place in places)
    assert len({place.base for place in places}) == len(places)
    for a, b in zip(evaluate(program, [X]), evaluate(own, [X]), strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=100, deadline=None)
@given(programs(30))
def test_a_random_program_keeps_its_results(drawn):
    """Sums may be taken in another order; all else has the same bits. Nothing is left for the rules to do."""
    normal = prepared(drawn.program)
    assert_close(evaluate(normal, drawn.given), expected(drawn.program, drawn.given))
    for value in normal.values:
        if value.kind in REDUCTIONS:
            assert len(value.params["axis"]) == 1
            assert value.inputs[0].dtype == value.dtype
        if value.kind == "matmul":
            assert value.dtype.kind == "f"
            assert all(len(x.shape) > 1 for x in value.inputs)
