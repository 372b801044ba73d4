"""The tape interpreter: values and gradients of graphs of single numbers, as the eager graph has them."""

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from tests.ops.samples import ELEMENTWISE, samples

import adjoint as ad
from adjoint.compiler.lower import UnloweredError
from adjoint.compiler.tape import Tape
from adjoint.compiler.trace import trace
from adjoint.errors import GradientError, ShapeError

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
NUMBERS = sorted(name for name, op in ELEMENTWISE.items() if op.nondiff is None)
SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, 800.0, -800.0)


def eager(end, leaves):
    """The value, and the gradients of the eager sweep, 0 where there is none."""
    end.backward()
    return end.value, np.array([0.0 if x.grad is None else x.grad for x in leaves], end.dtype)


def numbers_of(leaves):
    return [x.value for x in leaves]


def assert_near(got, expected, ulps=4):
    """Equal where not finite, and within some units in the last place elsewhere."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite])
    distance = np.abs(got[finite] - expected[finite])
    assert (distance <= ulps * np.spacing(np.abs(expected[finite]))).all(), (got, expected)


def assert_as_eager(end, leaves, ulps=4):
    result, gradients = Tape.of(end, leaves).run(numbers_of(leaves))
    value, expected = eager(end, leaves)
    assert_near(result, value, ulps)
    assert_near(gradients, expected, ulps)


# --- graphs a reader should meet --------------------------------------------------------------------------------------


def test_a_diamond():
    x = ad.tensor(3.0)
    y = x * x
    tape = Tape.of(y * ad.exp(y) + y, [x])
    result, (g,) = tape.run([0.5])
    assert result == pytest.approx(0.25 * math.exp(0.25) + 0.25, rel=1e-15)
    assert g == pytest.approx(1.25 * math.exp(0.25) + 1.0, rel=1e-15)


@pytest.mark.parametrize("f", [lambda x: x + x, lambda x: x - x, lambda x: x * x, lambda x: x / x, lambda x: x**x])
def test_a_leaf_that_is_used_twice_by_one_node(f):
    x = ad.tensor(1.75)
    assert_as_eager(f(x), [x])


def test_doubling_is_exact():
    x = ad.tensor(1.5)
    y = x
    for _ in range(60):
        y = y + y
    result, (g,) = Tape.of(y, [x]).run([3.0])
    assert (result, g) == (3.0 * 2.0**60, 2.0**60)


def test_a_product_of_many_leaves():
    values = np.random.default_rng(0).uniform(0.9, 1.1, 2000)
    leaves = [ad.tensor(float(v)) for v in values]
    end = leaves[0]
    for x in leaves[1:]:
        end = end * x
    result, gradients = Tape.of(end, leaves).run(values)
    np.testing.assert_allclose(result, values.prod(), rtol=1e-12)
    np.testing.assert_allclose(gradients, values.prod() / values, rtol=1e-12)


def test_a_polynomial_by_horner():
    x, coefficients = ad.tensor(0.5), [float(c) for c in range(1, 30)]
    y = x * coefficients[-1]
    for c in reversed(coefficients[1:-1]):
        y = (y + c) * x
    polynomial = np.polynomial.Polynomial(coefficients)
    result, (g,) = Tape.of(y + coefficients[0], [x]).run([0.75])
    np.testing.assert_allclose(result, polynomial(0.75), rtol=1e-14)
    np.testing.assert_allclose(g, polynomial.deriv()(0.75), rtol=1e-14)


def test_a_chain_of_a_million():
    x = ad.tensor(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + x
    tape = Tape.of(y, [x])
    result, (g,) = tape.run([0.5])
    assert (len(tape), result, g) == (1_000_000, 500_000.5, 1_000_001.0)


def test_a_leaf_alone():
    x, y = ad.tensor(2.0), ad.tensor(3.0)
    result, gradients = Tape.of(x, [y, x]).run([5.0, 7.0])
    assert (result, gradients.tolist(), math.copysign(1.0, gradients[0])) == (7.0, [0.0, 1.0], 1.0)


# --- the rules of the ops ---------------------------------------------------------------------------------------------


@DTYPES
@pytest.mark.parametrize("name", NUMBERS)
def test_every_op_with_every_pattern_of_active_inputs(name, dtype):
    op = ELEMENTWISE[name]
    sample = samples(op, dtype)[0]
    for positions in sample.patterns():
        inputs = [ad.tensor(x) if i in positions else x for i, x in enumerate(sample.inputs)]
        leaves = [inputs[i] for i in positions]
        assert_as_eager(op(*inputs), leaves)


@DTYPES
@pytest.mark.parametrize("name", NUMBERS)
def test_special_values(name, dtype):
    """NaN, infinities and zeros: the value and the gradients are what the eager op has."""
    op = ELEMENTWISE[name]
    count = len(op.signature.inputs)
    first = [ad.tensor(dtype(1.0)) for _ in range(count)]
    tape = Tape.of(op(*first), first)
    for values in product(SPECIAL if count < 3 else SPECIAL[:7], repeat=count):
        leaves = [ad.tensor(dtype(v)) for v in values]
        with np.errstate(all="ignore"):
            value, expected = eager(op(*leaves), leaves)
        result, gradients = tape.run(values)
        assert_near(result, value)
        assert_near(gradients, expected)


@pytest.mark.parametrize("name", [name for name in NUMBERS if ELEMENTWISE[name].kinks])
def test_declared_gradients_at_kinks(name):
    op = ELEMENTWISE[name]
    for kink in op.kinks:
        positions = [i for i, g in enumerate(kink.gradient) if g is not None]
        inputs = [ad.tensor(x) if i in positions else x for i, x in enumerate(kink.inputs)]
        leaves = [inputs[i] for i in positions]
        _, gradients = Tape.of(op(*inputs), leaves).run(numbers_of(leaves))
        assert gradients.tolist() == [kink.gradient[i] for i in positions]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3, -1.0, 0.5])
@pytest.mark.parametrize("value", [0.0, 2.0, -2.0, 1e-300])
def test_powers_with_a_constant(value, exponent):
    x = ad.tensor(np.float64(value))
    with np.errstate(all="ignore"):
        assert_as_eager(x**exponent, [x])


def test_an_infinite_upstream_meets_a_mask_without_nan():
    x = ad.tensor(0.0)
    _, (g,) = Tape.of(ad.sqrt(ad.relu(x)), [x]).run([0.0])
    assert g == 0.0
    _, (g,) = Tape.of(ad.sqrt(ad.relu(x)), [x]).run([4.0])
    assert g == 0.25


# --- random graphs ----------------------------------------------------------------------------------------------------

_BOUNDED = (ad.sin, ad.cos, ad.tanh, ad.sigmoid, ad.arctan, ad.erf, ad.abs, ad.relu, ad.softplus, ad.negative)


def random_graph(count, seed, dtype, arithmetic=False):
    """So many nodes over 40 leaves, each of one of the latest and of another or a leaf; values stay near 1."""
    rng = np.random.default_rng(seed)
    leaves = [ad.tensor(dtype(v)) for v in rng.uniform(0.5, 1.5, 40)]
    nodes = list(leaves)
    choices = zip(
        rng.integers(0, 6 if arithmetic else len(_JOINED), count), rng.integers(1, 80, (count, 2)), strict=True
    )
    for kind, (i, j) in choices:
        x, y = nodes[-min(i, len(nodes))], leaves[j] if j < 40 else nodes[-min(j, len(nodes))]
        nodes.append(_JOINED[kind](x, y))
    total = nodes[-1]
    for x in nodes[-200:-1]:
        total = total + x * 0.125
    return total, leaves


_JOINED = (
    lambda x, y: x * 0.75 + y * 0.25,
    lambda x, y: y * 0.25 + x * 0.75,
    lambda x, y: x - y * 0.5,
    lambda x, y: x / (y * y + 1.5),
    ad.maximum,
    lambda x, y: ad.minimum(x, 1.0 - y),
    lambda x, y: ad.clip(x + y, -1.5, 1.5),
    *[lambda x, y, f=f: f(x) + 0.5 * y for f in _BOUNDED],
)


@DTYPES
@pytest.mark.parametrize("count", [100, 10_000, 100_000])
def test_arithmetic_rounds_as_the_eager_graph(count, dtype):
    """The same operations in the same order, sums of gradients included: the same bits."""
    end, leaves = random_graph(count, count, dtype, arithmetic=True)
    result, gradients = Tape.of(end, leaves).run(numbers_of(leaves))
    value, expected = eager(end, leaves)
    assert np.count_nonzero(expected) > 10
    assert (result, gradients.tolist()) == (value, expected.tolist())


@pytest.mark.parametrize("count", [100, 1000, 10_000, 30_000])
def test_random_graphs(count):
    end, leaves = random_graph(count, count + 1, np.float64)
    result, gradients = Tape.of(end, leaves).run(numbers_of(leaves))
    value, expected = eager(end, leaves)
    assert np.count_nonzero(expected) > 10
    np.testing.assert_allclose(result, value, rtol=1e-11)
    np.testing.assert_allclose(gradients, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


def test_other_values_than_the_recorded_ones():
    end, leaves = random_graph(500, 3, np.float64, arithmetic=True)
    tape = Tape.of(end, leaves)
    graph = ad.Graph(end, {f"x{i}": x for i, x in enumerate(leaves)})
    rng = np.random.default_rng(4)
    for _ in range(5):
        values = rng.uniform(-2.0, 2.0, len(leaves))
        recorded = graph.forward({f"x{i}": np.float64(v) for i, v in enumerate(values)})
        expected = recorded.backward()
        result, gradients = tape.run(values)
        assert result == recorded.output.item()
        assert gradients.tolist() == [0.0 if g is None else float(g) for g in expected.values()]


def test_one_tape_in_several_threads():
    end, leaves = random_graph(20_000, 5, np.float64)
    tape = Tape.of(end, leaves)
    points = np.random.default_rng(6).uniform(0.5, 1.5, (40, len(leaves)))
    alone = [tape.run(point) for point in points]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(tape.run, points))
    assert [(r, g.tolist()) for r, g in together] == [(r, g.tolist()) for r, g in alone]


# --- leaves and constants ---------------------------------------------------------------------------------------------


def test_parameters_are_found_behind_their_reads():
    w, b = ad.Parameter(2.0, name="w"), ad.Parameter(1.0, name="b")
    tape = Tape.of(ad.tanh(w * 0.5 + b) * w, [b, w])
    t = math.tanh(0.75)
    result, gradients = tape.run([0.5, 0.5])
    np.testing.assert_allclose(result, t / 2, rtol=1e-15)
    np.testing.assert_allclose(gradients, [(1 - t * t) / 2, t + (1 - t * t) / 4], rtol=1e-15)
    assert Tape.of(w, [w]).run([3.0]) == (3.0, [1.0])


def test_a_parameter_read_before_and_after_an_assignment():
    w = ad.Parameter(2.0, name="w")
    before = w * 1.0
    w.assign(3.0)
    with pytest.raises(UnloweredError, match="leaf: w is read before and after an assignment"):
        Tape.of(before * w, [w])
    assert Tape.of(before * w, []).run([])[0] == 6.0


@pytest.mark.parametrize(
    ("number", "expected"), [(0.0, math.inf), (-0.0, -math.inf), (math.inf, 0.0), (math.nan, math.nan), (3, 1 / 3)]
)
def test_constants_keep_their_bits(number, expected):
    x = ad.tensor(1.0)
    with np.errstate(all="ignore"):
        end = x / number + 0.0 * x
    result, _ = Tape.of(end, [x]).run([1.0])
    np.testing.assert_equal(float(result), expected)


def test_constants_of_all_kinds():
    x = ad.tensor(2.0)
    end = x * np.float64(0.5) + x * np.array(3.0) + x * 2 + x * True + x * ad.constant(4) + x * ad.State(1.0)
    result, (g,) = Tape.of(end, [x]).run([1.0])
    assert (result, g) == (11.5, 11.5)


def test_data_are_leaves_without_a_gradient():
    w, data = ad.tensor(2.0), ad.constant(3.0)
    scaled = data * 10.0
    result, gradients = Tape.of(w * scaled + ad.log(data) * w, [w, data]).run([2.0, 1.0])
    assert (result, gradients.tolist()) == (20.0, [10.0, 0.0])


def test_a_node_in_whose_place_a_number_is_given():
    x = ad.tensor(0.0)
    hidden = ad.log(x + 1.0)
    tape = Tape.of(hidden * hidden + x, [hidden])
    assert (len(tape), *tape.run([3.0])) == (2, 9.0, [6.0])


def test_python_numbers_beside_float32():
    x, weak = ad.tensor(np.float32(0.1)), ad.tensor(0.3)
    tape = Tape.of(ad.exp(x * weak) * 0.7, [x, weak])
    result, gradients = tape.run([0.1, 0.3])
    value, expected = eager(ad.exp(x * weak) * 0.7, [x, weak])
    assert (tape.dtype, result.dtype, gradients.dtype) == (np.float32, np.float32, np.float32)
    assert_near(result, value)
    assert_near(gradients, expected)


# --- graphs of traces -------------------------------------------------------------------------------------------------


@DTYPES
def test_the_graph_of_a_trace(dtype):
    def f(x, y):
        return ad.exp(x) * y - ad.sin(x * y)

    traced = trace(f, (ad.tensor(dtype(0.5)), ad.tensor(dtype(2.0))))
    result, gradients = Tape.of(traced.outputs[0], traced.inputs).run([0.25, 1.5])
    leaves = [ad.tensor(dtype(0.25)), ad.tensor(dtype(1.5))]
    value, expected = eager(f(*leaves), leaves)
    assert_near(result, value)
    assert_near(gradients, expected)


def test_what_is_detached_in_a_trace_gets_no_gradient():
    def f(x):
        with ad.no_grad():
            outside = ad.log(x)
        return x * ad.square(x).detach() + outside * x

    traced = trace(f, (ad.tensor(2.0),))
    result, (g,) = Tape.of(traced.outputs[0], traced.inputs).run([3.0])
    assert result == pytest.approx(27.0 + 3.0 * math.log(3.0), rel=1e-15)
    assert g == pytest.approx(9.0 + math.log(3.0), rel=1e-15)


def test_states_of_a_trace():
    w = ad.Parameter(2.0, name="w")
    traced = trace(lambda x: w * x * w, (ad.tensor(3.0),))
    for leaves in ([*traced.inputs, w], [*traced.inputs, *traced.states.values()]):
        result, gradients = Tape.of(traced.outputs[0], leaves).run([3.0, 5.0])
        assert (result, gradients.tolist()) == (75.0, [25.0, 30.0])
    with pytest.raises(UnloweredError, match="leaf: w of the trace is not among the leaves"):
        Tape.of(traced.outputs[0], traced.inputs)


# --- ops of a user ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("own_ops")
def test_a_new_op_has_handlers_at_once():
    @ad.elementwise(name="own_gate")
    def own_gate(m, x, y, z=1.0):
        return m.where(m.isfinite(x), m.sigmoid(x) * y + m.sign(z), 0.0)

    own_gate.local(
        lambda m, out, x, y, z: m.exp2(x) * y,
        lambda m, out, x, y, z: ad.Select(m.not_(x < 0.0), m.round(x), 0.5),
        lambda m, out, x, y, z: 0.0,
    )
    leaves = [ad.tensor(np.float64(v)) for v in (1.7, 3.0, -2.0)]
    assert_as_eager(ad.sin(own_gate(*leaves)), leaves)
    assert_as_eager(own_gate(leaves[2], leaves[0]), [leaves[0], leaves[2]])


@pytest.mark.usefixtures("own_ops")
def test_no_gradient_passes_an_op_that_has_none():
    """What lies behind it is computed, but not differentiated: log'(0) = ∞ would become NaN."""

    @ad.elementwise(name="own_step", nondiff="it is flat")
    def own_step(m, x):
        return m.sign(x)

    x = ad.tensor(np.float64(1.0))
    tape = Tape.of(own_step(ad.log(x)) * x, [x])
    result, (g,) = tape.run([0.0])
    assert (result, g) == (0.0, -1.0)
    with pytest.raises(GradientError, match="own_step has no gradient: it is flat"):
        Tape.of(own_step(x), [x])


@pytest.mark.usefixtures("own_ops")
def test_what_no_instruction_can_say():
    @ad.elementwise(name="own_sum")
    def four(m, a, b, c, d):
        return a + b + c + d

    x = ad.tensor(1.0)
    with pytest.raises(UnloweredError, match="own_sum: an instruction has 3 inputs at most, not 4"):
        Tape.of(four(x, x, x, x), [x])


# --- what a tape does not take ----------------------------------------------------------------------------------------


def test_refused_graphs():
    x, v, single = ad.tensor(1.0), ad.tensor([1.0, 2.0]), ad.tensor(np.float32(1.0))
    for end, message in (
        (v.sum() * x, "sum: a tape has elementwise ops only"),
        (ad.where(x > 0.0, x, 2.0), "greater: its primitives give bool"),
        (ad.exp(v), r"exp: a tape of float64 has single numbers of it, not float64 \(2,\)"),
        (ad.square(single) * np.float64(2.0), r"square: a tape of float64 has .* not float32 \(\)"),
    ):
        with pytest.raises(UnloweredError, match=message):
            Tape.of(end, [x])
    with pytest.raises(UnloweredError, match=r"leaf: a tape of float64 has .* not float32 \(\)"):
        Tape.of(x * 2.0, [x, single])


def test_an_end_without_a_gradient():
    with pytest.raises(GradientError, match=r"Tape\.of: this tensor depends on no tensor that gets a gradient"):
        Tape.of(ad.constant(1.0) * 2.0, [])


def test_a_leaf_that_is_named_twice():
    x = ad.tensor(1.0)
    with pytest.raises(GradientError, match="expected leaves that differ"):
        Tape.of(x * x, [x, x])


def test_a_wrong_number_of_values():
    x, y = ad.tensor(1.0), ad.tensor(2.0)
    with pytest.raises(ShapeError, match=r"run: expected values of shape \(2,\), got \(3,\), at .*test_tape"):
        Tape.of(x * y, [x, y]).run([1.0, 2.0, 3.0])
