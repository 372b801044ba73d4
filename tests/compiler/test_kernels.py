"""Machine code of whole programs against NumPy: random ones, every primitive, and each failure that was ever found."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.compiler.harness import Native, assert_close, expected
from tests.compiler.random_programs import DTYPES, Drawn, programs

from adjoint.abstract import Abstract
from adjoint.compiler.integers import i64
from adjoint.compiler.kernels.elements import UnsupportedError
from adjoint.compiler.kernels.loops import Loop
from adjoint.compiler.llvm import ir
from adjoint.compiler.program import BINARY, COMPARISONS, UNARY, Builder, Program, Value, evaluate, loop_dtypes

RNG = np.random.default_rng(7)
FLOATS = ("float32", "float64")
INTEGERS = tuple(name for name in DTYPES if "int" in name)
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.7, 1e-30, -1e-30, 1e-42, 1e30, np.inf, -np.inf, np.nan)
SIZES = (1, 3, 15, 16, 17, 33, 100)


def program(build: Callable[..., Any], *arrays: Any) -> Program:
    """The program that `build(builder, *inputs)` makes for inputs like these arrays."""
    builder = Builder()
    inputs = [builder.input(Abstract(x.shape, x.dtype)) for x in arrays]
    made = build(builder, *inputs)
    return builder.program(inputs, [made] if isinstance(made, Value) else made)


def check(drawn: Drawn, threads: Sequence[int] = (1,)) -> list[Any]:
    """Run a program, compare it with NumPy, and the bytes of all thread counts with each other."""
    native = Native(drawn.program, drawn.states)
    outputs = native(drawn.given)
    assert_close(outputs, expected(drawn.program, drawn.given))
    for count in threads:
        again = native(drawn.given, count)
        assert [x.tobytes() for x in again] == [x.tobytes() for x in outputs], f"other bytes on {count} threads"
    return outputs


def runs(build: Callable[..., Any], *arrays: Any, states: dict[int, int] | None = None) -> list[Any]:
    """Check what `build` makes on these arrays."""
    return check(Drawn(program(build, *arrays), list(arrays), states or {}), (1, 2, 4))


def floats(*shape: int, dtype: Any = np.float32) -> Any:
    return RNG.normal(size=shape).astype(dtype)


# --- random programs --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(programs(16))
def test_random_programs(drawn):
    check(drawn, (1, 2, 4))


@settings(max_examples=10, deadline=None)
@given(programs(40))
def test_random_programs_of_many_primitives(drawn):
    check(drawn, (2,))


@settings(max_examples=20, deadline=None)
@given(programs(8, large=True))
def test_random_programs_on_large_arrays(drawn):
    check(drawn, (1, 2, 4))


# --- elements ---------------------------------------------------------------------------------------------------------


def special(dtype: str) -> Any:
    """Numbers of a dtype at and around its limits."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.array([False, True] * 10)
    if kind.kind == "f":
        with np.errstate(all="ignore"):
            return np.concatenate([np.array(SPECIAL), RNG.normal(size=16) * 3, RNG.normal(size=8) * 100]).astype(kind)
    limits = np.iinfo(kind)
    edges = [limits.min, limits.min + 1, 0, 1, 2, 3, 7, limits.max // 2, limits.max - 1, limits.max]
    return np.array([*edges, *([-1, -2, -3] if kind.kind == "i" else [])], kind)


def is_computed_in(kind: str, dtype: str) -> bool:
    """Whether NumPy and the kernels know the primitive in this dtype."""
    try:
        loop, _ = loop_dtypes(kind, (np.dtype(dtype),) * (1 if kind in UNARY else 2))
    except TypeError:
        return False
    return loop.name == dtype


def ulps(kind: str) -> float:
    """What NumPy's own functions and ours may differ by: 2 ulp each."""
    exact = ("negative", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "square", "reciprocal", "remainder")
    return 0.0 if kind in (*exact, *BINARY[:6]) else 4.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [*UNARY, *BINARY, *COMPARISONS])
def test_a_primitive_of_elements(kind, dtype):
    """Every pair of special numbers, in vectors and in what is left over; the sign of a zero of a maximum aside."""
    if not is_computed_in(kind, dtype):
        return
    x = special(dtype)
    operands = [x] if kind in UNARY else [np.repeat(x, len(x)), np.tile(x, len(x))]
    made = program(lambda b, *xs: b.elementwise(kind, *xs), *operands)
    try:
        (got,) = Native(made)(operands)
    except UnsupportedError:
        assert dtype not in FLOATS
        return
    (wanted,) = evaluate(made, operands)
    assert got.dtype == wanted.dtype
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted)
        return
    np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
    near = got == wanted
    with np.errstate(all="ignore"):
        near |= np.abs(got - wanted) <= ulps(kind) * np.spacing(np.abs(wanted))
    assert (near | np.isnan(wanted)).all()
    if kind not in ("maximum", "minimum", "pow"):
        zeros = wanted == 0
        np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(wanted[zeros]))


@pytest.mark.parametrize("kind", ["exp", "sin", "log1p", "cbrt", "erf"])
def test_bits_do_not_depend_on_the_place(kind):
    """A number has one result, whether it is alone, within a vector or left over."""
    x = np.concatenate([special("float32"), floats(60)])
    (together,) = Native(program(lambda b, v: b.elementwise(kind, v), x))([x])
    single = Native(program(lambda b, v: b.elementwise(kind, v), x[:1]))
    assert together.tobytes() == b"".join(single([x[i : i + 1]])[0].tobytes() for i in range(len(x)))


@pytest.mark.parametrize("before", DTYPES)
def test_casts(before):
    x = special(before)
    runs(lambda b, v: [b.cast(v, after) for after in DTYPES if before not in FLOATS or after in (*FLOATS, "bool")], x)
    if before in FLOATS:  # what does not fit in has no one meaning
        x = np.array([0.0, 1.0, 2.9, 100.2, -0.7], before)
        runs(lambda b, v: [b.cast(v, after) for after in INTEGERS], x)
        runs(lambda b, v: [b.cast(v, after) for after in INTEGERS if "u" not in after], x - 100)


def test_a_choice():
    condition = RNG.random((3, 17)) < 0.5
    runs(lambda b, c, x, y: b.where(c, x, y), condition, floats(3, 1), floats(17))


@pytest.mark.parametrize("kind", ["maximum", "minimum"])
def test_a_constant_that_is_no_number(kind):
    """One comparison is enough for a constant, but not for NaN."""
    runs(lambda b, x: b.elementwise(kind, x, b.constant(np.float32(np.nan))), floats(20))
    runs(lambda b, x: b.elementwise(kind, b.constant(np.float32(np.nan)), x), floats(20))


# --- reductions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["sum", "max", "min", "any", "all"])
def test_a_reduction_over_each_axis(kind, dtype):
    x = RNG.integers(0, 3, (3, 17, 2, 33)).astype(dtype)
    axes = [(0,), (1,), (3,), (1, 3), (0, 2), (0, 1, 2, 3), ()]
    runs(lambda b, v: [b.reduce(kind, v, a) for a in axes], x)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["max", "min", "argmax", "argmin"])
def test_ties_and_nan(kind, size):
    """The first of equals; NaN before all others."""
    rows = np.stack([np.full(size, 2.0), np.full(size, -np.inf), RNG.integers(0, 3, size).astype(float), floats(size)])
    with_nan = rows.copy()
    with_nan[2, size // 2] = with_nan[3, -1] = with_nan[3, size // 3] = np.nan
    for x in (rows, with_nan, rows.astype(np.float32), np.nan_to_num(rows, neginf=0).astype(np.int8), rows > 1):
        for axis in (0, 1):
            if kind in ("max", "min"):
                runs(lambda b, v, axis=axis: b.reduce(kind, v, (axis,)), x)
            else:
                runs(lambda b, v, axis=axis: b.shaped(kind, v, axis=axis), x)


@pytest.mark.parametrize("shape", [(20_000,), (3, 20_000), (40_000, 3), (9000, 17), (2, 1000, 70), (1, 131_073)])
def test_long_reductions_in_slices(shape):
    x = RNG.integers(-3, 4, shape).astype(np.float32)
    for axis in range(len(shape)):
        runs(lambda b, v, axis=axis: [b.reduce("sum", v, (axis,)), b.reduce("max", v, (axis,))], x)
    runs(lambda b, v: b.reduce("sum", v, tuple(range(len(shape)))), x)


def test_reductions_of_a_transposed_view():
    x = floats(100, 33)
    runs(lambda b, v: [b.reduce("sum", b.shaped("transpose", v, axes=(1, 0)), (a,)) for a in (0, 1)], x)


def test_a_softmax_of_rows_that_are_short_long_and_longer_than_a_buffer():
    def softmax(b, x):
        powers = b.elementwise("exp", b.elementwise("subtract", x, b.reduce("max", x, (1,))))
        return b.elementwise("divide", powers, b.reduce("sum", powers, (1,)))

    for shape in ((5, 10), (5, 16), (5, 1000), (3, 20_000)):
        runs(softmax, floats(*shape))


def test_what_is_costly_is_kept_between_loops_over_a_row():
    """A value of two exponentials is read by a sum and again by what follows from that."""

    def build(b, x):
        y = b.elementwise("exp", b.elementwise("tanh", x))
        return b.elementwise("divide", y, b.reduce("sum", y, (1,)))

    for dtype in FLOATS:
        runs(build, floats(4, 200, dtype=dtype))


# --- products ---------------------------------------------------------------------------------------------------------

PRODUCTS = [((3, 5), (5, 4)), ((5,), (5, 4)), ((3, 5), (5,)), ((5,), (5,)), ((33, 17), (17, 100)), ((1, 9), (9, 1))]
BATCHED = [((2, 3, 5), (2, 5, 4)), ((2, 1, 3, 5), (7, 5, 4)), ((3, 5), (6, 5, 4)), ((2, 3, 5), (5,)), ((0, 5), (5, 2))]


@pytest.mark.parametrize("dtype", [*FLOATS, "int8", "uint16", "int64", "bool"])
@pytest.mark.parametrize(("left", "right"), [*PRODUCTS, *BATCHED, ((3, 0), (0, 4))])
def test_a_product(left, right, dtype):
    x, y = (RNG.integers(0, 3, shape).astype(dtype) for shape in (left, right))
    runs(lambda b, u, v: b.shaped("matmul", u, v), x, y)


def test_a_product_of_views():
    def build(b, x, y):
        turned = b.shaped("transpose", x, axes=(1, 0))
        some = b.shaped("slice", y, key=(slice(None, None, -2), slice(1, None, 3)))
        return [b.shaped("matmul", turned, some), b.shaped("matmul", turned, x), b.shaped("matmul", x, turned)]

    runs(build, floats(20, 30), floats(40, 17))


def test_what_follows_from_a_product_of_one_column():
    """Its result is a vector of one lane."""

    def build(b, x, y, bias):
        product = b.elementwise("add", b.shaped("matmul", x, y), bias)
        return b.elementwise("maximum", product, b.constant(np.float32(0)))

    runs(build, floats(33, 20), floats(20, 1), floats(1))


# --- moves ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int8", "bool", "float64"])
@pytest.mark.parametrize("size", SIZES)
def test_moves(size, dtype):
    x = RNG.integers(0, 2, (size, 3, 17)).astype(dtype)
    indices = RNG.integers(0, size, 20)

    def build(b, v, places):
        turned = b.shaped("transpose", v, axes=(2, 0, 1))
        back = b.shaped("slice", v, key=(slice(None, None, -1), 1))
        return [
            b.shaped("reshape", turned, shape=(17 * size, 3)),
            b.shaped("concatenate", v, b.shaped("slice", v, key=(slice(None), slice(None, None, -1))), axis=1),
            b.shaped("unslice", back, key=(slice(None, None, -1), 2), shape=(size, 4, 17)),
            b.make("gather", (v, places), {}, Abstract((20, 3, 17), v.dtype)),
            b.make("gather", (b.shaped("reshape", back, shape=(size * 17,)), places), {}, Abstract((20,), v.dtype)),
            b.shaped("scatter", v, b.shaped("slice", places, key=(slice(0, 1),)), size=size) if size == 1 else v,
        ]

    runs(build, x, indices)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_rows_are_added_in_order(dtype):
    x, indices = floats(100, 17), RNG.integers(0, 5, 100).astype(dtype)
    (got,) = Native(program(lambda b, v, i: b.shaped("scatter", v, i, size=5), x, indices))([x, indices])
    wanted = np.zeros((5, 17), np.float32)
    np.add.at(wanted, indices, x)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("bad", [-1, 5, 2**40])
@pytest.mark.parametrize("threads", [1, 4])
def test_an_index_out_of_range_is_reported(bad, threads):
    x, indices = floats(5, 1000), np.array([0, 1, bad, 2, 3] * 100)
    gathered = program(lambda b, v, i: b.make("gather", (v, i), {}, Abstract((500, 1000), v.dtype)), x, indices)
    tall = floats(500, 1000)
    scattered = program(lambda b, v, i: b.shaped("scatter", v, i, size=5), tall, indices)
    flat = program(lambda b, v, i: b.make("gather", (v, i), {}, Abstract((500,), v.dtype)), x[:, 0], indices)
    for made, content in ((gathered, x), (scattered, tall), (flat, x[:, 0])):
        with pytest.raises(IndexError, match="out of range"):
            Native(made)([content, indices], threads)


def test_rows_of_nothing_are_out_of_range():
    x, indices = np.zeros((0, 3), np.float32), np.array([0, 0])
    made = program(lambda b, v, i: b.make("gather", (v, i), {}, Abstract((2, 3), v.dtype)), x, indices)
    with pytest.raises(IndexError, match="out of range"):
        Native(made)([x, indices])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_several_checks_end_all_parts_at_the_same_place(threads):
    """A part that comes late to the first check must not find what the second one has found, and leave alone."""
    x, first, second = floats(1000, 64), np.zeros(300, np.int64), np.full(10, 1000)

    def build(b, v, i, j):
        one = b.make("gather", (v, i), {}, Abstract((300, 64), v.dtype))
        return [one, b.make("gather", (v, j), {}, Abstract((10, 64), v.dtype)), b.elementwise("exp", v)]

    native = Native(program(build, x, first, second))
    for _ in range(200):
        with pytest.raises(IndexError, match="out of range"):
            native([x, first, second], threads)


@pytest.mark.parametrize(("label", "is_right"), [(0, True), (9, True), (10, False), (-1, False)])
def test_labels(label, is_right):
    labels = np.array([1, 2, label, 3] * 9, np.int8)

    def build(b, y):
        checked = b.make("check_labels", (y,), {"classes": 10, "what": "loss"}, Abstract(y.shape, np.dtype(np.int64)))
        return b.elementwise("add", checked, b.constant(np.int64(1)))

    native = Native(program(build, labels))
    if is_right:
        np.testing.assert_array_equal(native([labels])[0], labels.astype(np.int64) + 1)
    else:
        with pytest.raises(IndexError, match="out of range"):
            native([labels])


# --- states -----------------------------------------------------------------------------------------------------------

X, Y = floats(40, 40), floats(40, 40)


def turned(b: Any, x: Any) -> Any:
    return b.shaped("transpose", x, axes=(1, 0))


STATES: dict[str, tuple[Callable[..., Any], dict[int, int]]] = {
    "an update in place": (lambda b, x, y: [b.elementwise("add", x, y)], {0: 0}),
    "exchanged": (lambda b, x, y: [y, x], {0: 0, 1: 1}),
    "exchanged and changed": (
        lambda b, x, y: [b.elementwise("add", y, y), b.elementwise("exp", x)],
        {0: 0, 1: 1},
    ),
    "both of both": (
        lambda b, x, y: [b.elementwise("add", x, y), b.elementwise("subtract", x, y)],
        {0: 0, 1: 1},
    ),
    "also read transposed": (lambda b, x, y: [b.elementwise("add", x, turned(b, x)), y], {0: 0}),
    "also read reversed": (
        lambda b, x, y: [b.elementwise("add", x, b.shaped("slice", x, key=(slice(None, None, -1),)))],
        {0: 0},
    ),
    "also read by a product": (
        lambda b, x, y: [b.elementwise("subtract", x, b.shaped("matmul", x, y)), b.shaped("matmul", y, x)],
        {0: 0},
    ),
    "also read by a reduction": (
        lambda b, x, y: [b.elementwise("subtract", x, b.reduce("sum", x, (1,))), b.reduce("max", x, (0,))],
        {0: 0},
    ),
    "a column of sums": (lambda b, x, y: [b.elementwise("subtract", x, b.reduce("sum", x, (0,)))], {0: 0}),
    "one value for two states": (lambda b, x, y: [b.elementwise("add", x, y)] * 2, {0: 0, 1: 1}),
    "left as it is": (lambda b, x, y: [x, b.elementwise("exp", x)], {0: 0}),
    "the new value is read on": (
        lambda b, x, y: [b.elementwise("add", x, y), b.shaped("matmul", b.elementwise("add", x, y), x)],
        {0: 0},
    ),
    "the old value is returned": (lambda b, x, y: [b.elementwise("exp", x), x, turned(b, x)], {0: 0}),
    "the other one transposed": (lambda b, x, y: [turned(b, y), turned(b, x)], {0: 0, 1: 1}),
}


@pytest.mark.parametrize("name", STATES)
def test_a_state(name):
    """The new value lies where the old one was, which everything that reads the old one has read before."""
    build, states = STATES[name]
    runs(build, X, Y, states=states)


@pytest.mark.parametrize("name", STATES)
def test_a_large_state(name):
    """The same on arrays that several threads work on."""
    build, states = STATES[name]
    runs(build, np.tile(X, (8, 8)), np.tile(Y, (8, 8)), states=states)


# --- found by random programs -----------------------------------------------------------------------------------------


def test_counts_are_not_flattened():
    """Rows of a count that is a member of its group, not only inlined into it."""
    runs(lambda b: [x := b.shaped("iota", shape=(3, 20), axis=0), b.cast(x, np.int8)])


def test_every_row_with_every_other():
    """A member that is read with its own axis and with that of another operand takes two loops."""

    def build(b, x):
        product = b.elementwise("not_", b.shaped("matmul", x, turned(b, x)))
        return b.shaped("matmul", product, turned(b, product))

    runs(build, RNG.random((3, 4)) < 0.4)


def test_places_along_an_axis_of_one():
    runs(lambda b, x: [b.shaped("argmax", x, axis=a) for a in (None, 0, 1, 2)], floats(3, 1, 17))


def test_a_product_of_integer_vectors():
    """The rules see what a rule makes on its way, too."""
    runs(lambda b, x, y: b.shaped("matmul", x, y), np.array([1, 2, 3], np.int8), np.array([[1], [2], [3]], np.int8))


def test_nothing_is_gathered_from_what_is_not_computed():
    """A part without elements of a value that nobody else reads."""

    def build(b, x, i):
        rows = b.make("gather", (x, i), {}, Abstract((2, 3), x.dtype))
        return b.shaped("slice", rows, key=(slice(0, 0),))

    runs(build, floats(4, 3), np.array([0, 1]))


def test_rows_of_nothing_are_added():
    def build(b, x, i, j):
        none = b.make("gather", (x, i), {}, Abstract((0, 3), x.dtype))
        return b.shaped("scatter", none, j, size=2)

    runs(build, floats(4, 3), np.zeros(0, np.int64), np.zeros(0, np.int64))


def test_rows_that_are_one_row_are_added():
    """Numbers, not vectors, are what a repeated row is read as."""
    x, indices = np.array([[[3]]], np.int16), RNG.integers(0, 2, 17)
    runs(lambda b, v, i: b.shaped("scatter", b.shaped("broadcast", v, shape=(17, 3, 16)), i, size=2), x, indices)


def test_what_is_read_as_memory_is_there_before_others_compute_it_themselves():
    """A value that is read both element by element and as a whole, as is what it is computed from."""

    def build(b, x, y):
        numbers = b.cast(x, np.float32)
        mask = b.elementwise("greater", numbers, b.constant(np.float32(0)))
        padded = b.shaped("unslice", numbers, key=(slice(1, 18),), shape=(18,))
        pairs = b.shaped("broadcast", mask, shape=(2, 17))
        larger = b.elementwise("maximum", b.cast(mask, np.int8), y)
        return [b.shaped("argmin", pairs, axis=None), b.cast(padded, np.float64), larger]

    runs(build, RNG.integers(0, 3, 17).astype(np.uint16), RNG.integers(-3, 3, 17).astype(np.int8))


def test_a_count_that_was_stored_is_read_where_it_was_stored():
    """Each row reads its own numbers back, not those of the first row, which another part may be about to write."""

    def build(b):
        count = b.shaped("iota", shape=(100, 100, 17), axis=2)
        powers = b.elementwise(
            "exp", b.elementwise("subtract", x := b.cast(count, np.float32), b.reduce("max", x, (2,)))
        )
        padded = b.shaped("unslice", count, key=(slice(2, 102), slice(1, 101), slice(0, 17)), shape=(104, 103, 19))
        return [padded, b.reduce("sum", powers, (2,))]

    for _ in range(3):
        runs(build)


def test_an_operand_twice_in_a_chain_that_is_handed_over():
    def build(b, x, i):
        rows = b.shaped("broadcast", b.shaped("scatter", x, i, size=17), shape=(2, 17, 4))
        return b.elementwise("square", b.elementwise("negative", rows))

    runs(build, floats(2, 4), np.array([9, 6]))


def test_a_reduction_of_a_repeated_member():
    """The nest of the member has no axis for the repetition."""

    def build(b, x, y):
        wide = b.cast(x, np.uint64)
        rows = b.shaped("broadcast", wide, shape=(2, 8193))
        return [b.shaped("argmax", rows, axis=1), b.reduce("sum", rows, (1,)), b.shaped("concatenate", wide, y, axis=0)]

    runs(build, RNG.integers(0, 99, 8193).astype(np.int16), np.ones(1, np.uint64))


def test_what_is_inlined_may_follow_from_a_member():
    """A number that is computed from a result of its group cannot be computed before the loops of the group."""

    def build(b, x, y):
        some = b.elementwise("not_", b.shaped("broadcast", b.reduce("any", x, (0, 1)), shape=(2, 16, 16)))
        numbers = b.cast(some, np.int8)
        moved = b.cast(b.elementwise("add", numbers, y), np.float32)
        rest = b.elementwise("trunc", b.elementwise("abs", moved))
        return [b.elementwise("cbrt", moved), rest, b.shaped("transpose", numbers, axes=(1, 0, 2))]

    runs(build, RNG.integers(-3, 3, (33, 15)).astype(np.int32), np.array([6], np.int8))


# --- loops ------------------------------------------------------------------------------------------------------------


def test_a_loop_checks_its_condition_first():
    """No turn at all where start is not below stop, and what it carries is then what it was given."""
    function = ir.Function(ir.Module(), ir.FunctionType(ir.IntType(64), [ir.IntType(64)]), "count")
    builder = ir.IRBuilder(function.append_basic_block())
    loop = Loop(builder, i64(0), function.args[0])
    held = loop.carry(i64(5))
    loop.close([loop.builder.add(held, i64(1))])
    builder.ret(held)
    text = str(function)
    assert text.index("icmp slt") < text.index("add i64")
