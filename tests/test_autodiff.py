"""The backward pass: which nodes get a gradient, replacing and adding, un-broadcasting, the ledger, random graphs."""

import math
import re
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import adjoint as ad
from adjoint.autodiff import fit

# --- gradients are kept ---------------------------------------------------------------------------------------------


def test_every_node_keeps_its_gradient_intermediate_ones_too():
    x = ad.tensor([1.0, 2.0])
    square = x * x
    doubled = square * 2.0
    out = doubled.sum()
    out.backward()
    assert out.grad == 1.0
    np.testing.assert_array_equal(doubled.grad, [1.0, 1.0])
    np.testing.assert_array_equal(square.grad, [2.0, 2.0])
    np.testing.assert_array_equal(x.grad, [4.0, 8.0])
    assert all(t.grad is not None for t in out.graph.nodes)


def test_keep_leaves_clears_the_intermediate_gradients():
    x, w = ad.tensor([1.0, 2.0]), ad.Parameter([3.0, 4.0])
    hidden = x * w
    out = hidden.sum()
    out.backward()
    out.backward(keep="leaves")
    assert (hidden.grad, out.grad) == (None, None)
    np.testing.assert_array_equal(x.grad, [3.0, 4.0])
    np.testing.assert_array_equal(w.grad, [1.0, 2.0])


def test_keep_must_be_all_or_leaves():
    with pytest.raises(ad.errors.GradientError, match="backward: expected keep='all' or 'leaves', got 'none', at "):
        (ad.tensor(1.0) * 2.0).backward(keep="none")


def test_an_inactive_node_gets_no_gradient():
    x, c = ad.tensor(2.0), ad.constant(3.0)
    inner = c * 2.0
    (x * inner).backward()
    assert (inner.grad, c.grad) == (None, None)


def test_a_branch_that_nothing_flows_through_has_no_gradient():
    x = ad.tensor([1.0, 2.0])
    y = x * 3.0
    (ad.stop_gradient(y) * x).sum().backward()
    assert y.grad is None
    np.testing.assert_array_equal(x.grad, [3.0, 6.0])


def test_nodes_above_the_root_keep_what_they_had():
    x = ad.tensor(2.0)
    y = x * x
    z = y * 5.0
    z.backward()
    y.backward()
    assert (z.grad, y.grad, x.grad) == (1.0, 1.0, 4.0)


# --- replacing and adding -------------------------------------------------------------------------------------------


def test_a_second_backward_replaces_also_across_graphs():
    w = ad.Parameter(3.0)
    (w * 2.0).backward()
    (w * 5.0).backward()
    assert w.grad == 5.0


def test_accumulate_adds_across_graphs_and_keeps_what_the_pass_did_not_reach():
    w, v = ad.Parameter(3.0), ad.Parameter(1.0)
    (w * 2.0 + v).backward()
    (w * 5.0).backward(accumulate=True)
    assert (w.grad, v.grad) == (7.0, 1.0)


def test_accumulated_micro_batches_equal_the_full_batch():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    w, b = ad.Parameter(rng.normal(size=(3, 2))), ad.Parameter(rng.normal(size=2))

    def loss(rows):
        return ((np.tanh(x[rows] @ w + b) - y[rows]) ** 2).sum() / 12.0

    loss(slice(None)).backward()
    full = w.grad.copy(), b.grad.copy()
    for k, start in enumerate(range(0, 12, 4)):
        loss(slice(start, start + 4)).backward(accumulate=k > 0)
    np.testing.assert_allclose(w.grad, full[0], rtol=1e-13)
    np.testing.assert_allclose(b.grad, full[1], rtol=1e-13)


def test_gradients_that_were_read_do_not_change_later():
    w = ad.Parameter([1.0, 2.0])
    loss = (w * w).sum()
    loss.backward()
    before = w.grad
    loss.backward(accumulate=True)
    np.testing.assert_array_equal(before, [2.0, 4.0])
    np.testing.assert_array_equal(w.grad, [4.0, 8.0])


def test_an_error_in_the_pass_leaves_no_half_written_gradients():
    class Broken(ad.Gate):
        def forward(self, x):
            return x * 2.0

        def backward(self, upstream):
            raise KeyError("broken")

    w = ad.Parameter([1.0])
    (w * 5.0).sum().backward()
    hidden = w * 3.0
    out = Broken()(hidden).sum()
    with pytest.raises(KeyError, match="broken"):
        out.backward(accumulate=True)
    assert (hidden.grad, out.grad) == (None, None)
    np.testing.assert_array_equal(w.grad, [5.0])
    (w * 2.0).sum().backward()
    np.testing.assert_array_equal(w.grad, [2.0])


# --- upstream -------------------------------------------------------------------------------------------------------


def test_an_upstream_gradient_weighs_the_outputs():
    x = ad.tensor([1.0, 2.0, 3.0])
    y = x * x
    y.backward([1.0, 10.0, 0.0])
    np.testing.assert_array_equal(x.grad, [2.0, 40.0, 0.0])
    np.testing.assert_array_equal(y.grad, [1.0, 10.0, 0.0])
    y.backward(ad.tensor([0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(x.grad, [0.0, 0.0, 6.0])


def test_an_upstream_number_for_a_scalar():
    x = ad.tensor(3.0)
    (x * x).backward(-2)
    assert x.grad == -12.0


def test_one_element_is_scalar_enough():
    x = ad.tensor([[3.0]])
    (x * x).backward()
    np.testing.assert_array_equal(x.grad, [[6.0]])


def test_infinite_and_nan_values_raise_no_warning_on_the_way_back():
    x = ad.tensor([0.0, 4.0])
    ad.sqrt(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [np.inf, 0.25])
    s = ad.tensor(0.0)
    ad.sqrt(s).backward()
    assert s.grad == np.inf
    assert ad.grad(ad.sqrt)(0.0) == np.inf
    assert ad.jvp(ad.sqrt, (0.0,), (1.0,))[1] == np.inf


def test_division_of_scalars_by_zero_is_numpys():
    x = ad.tensor(1.0)
    with np.errstate(divide="ignore"):
        y = x / 0
        assert y.item() == np.inf
        assert ad.grad(lambda t: 1.0 / t)(0.0) == -np.inf
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        x / 0.0


# --- shapes and dtypes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 1), (2, 1), (1, 3), (2, 3), (1, 2, 3), (4, 1, 1), (4, 2, 3)])
def test_a_broadcast_gradient_is_summed_to_the_shape_of_its_tensor(shape):
    x, other = ad.tensor(np.ones(shape)), np.arange(24.0).reshape(4, 2, 3)
    (x * other).sum().backward()
    expected = np.zeros(shape)
    for index in np.ndindex(4, 2, 3):  # each element goes to the place that it was broadcast from
        place = tuple(i if n > 1 else 0 for i, n in zip(index[3 - len(shape) :], shape, strict=True))
        expected[place] += other[index]
    np.testing.assert_array_equal(x.grad, expected)
    assert x.grad.shape == shape


def test_empty_tensors_have_empty_gradients():
    x, row = ad.tensor(np.ones((0, 3))), ad.tensor(np.ones(3))
    (x * row).sum().backward()
    assert x.grad.shape == (0, 3)
    np.testing.assert_array_equal(row.grad, np.zeros(3))


def test_a_rule_with_a_wrong_shape_raises_and_names_op_and_input(own_ops):
    @ad.linear(name="test_wrong", reference="numpy.array")
    def wrong(m, x, /):
        return x

    wrong.shape(lambda x: x).transpose(lambda m, g, x: m.transpose(g, axes=None))
    expected = "test_wrong: the gradient rule for input 'x' gave shape (3, 2), expected (2, 3)"
    x = ad.tensor(np.ones((2, 3)))
    with pytest.raises(ad.errors.GradientError, match=re.escape(expected)):
        wrong(x).sum().backward()
    with pytest.raises(ad.errors.GradientError, match=re.escape(expected)):
        ad.grad(lambda x: wrong(x).sum())(np.ones((2, 3)))
    with pytest.raises(ad.errors.GradientError, match=re.escape(expected)):
        ad.grad(lambda x: wrong(x).sum())(x)


def test_fit_casts_and_repeats():
    op = ad.add
    assert fit(op, 0, np.float64(2.0), 1.0) == 2.0
    assert fit(op, 0, np.ones(2), np.ones(2, np.float32)).dtype == np.float32
    np.testing.assert_array_equal(fit(op, 0, np.ones((1, 2)), np.ones((3, 2))), np.ones((3, 2)))
    np.testing.assert_array_equal(fit(op, 0, 0.0, np.ones((3, 2))), np.zeros((3, 2)))


# --- the ledger -----------------------------------------------------------------------------------------------------


def test_the_ledger_of_the_lectures_circuit():
    x, y, z = ad.tensor(-2.0, name="x"), ad.tensor(5.0, name="y"), ad.tensor(-4.0, name="z")
    q = (x + y).named("q")
    rows = [(e.node.node.op.name, e.input.name, *map(float, e[3:])) for e in ad.ledger(q * z)]
    assert rows == [
        ("multiply", "q", 1.0, -4.0, -4.0),
        ("multiply", "z", 1.0, 3.0, 3.0),
        ("add", "x", -4.0, 1.0, -4.0),
        ("add", "y", -4.0, 1.0, -4.0),
    ]


def test_the_products_of_the_ledger_sum_to_the_gradient_of_each_node():
    rng = np.random.default_rng(1)
    w, x, b = ad.Parameter(rng.normal(size=(3, 2))), ad.tensor(rng.normal(size=(4, 3))), ad.tensor(rng.normal(size=2))
    hidden = np.tanh(x @ w + b)
    out = ad.logsumexp(hidden * hidden + hidden[:, ::-1], axis=1).mean()
    sums = defaultdict(float)
    for edge in ad.ledger(out):
        assert edge.product.shape == edge.input.shape
        np.testing.assert_array_equal(edge.upstream, edge.node.grad)
        sums[edge.input] = sums[edge.input] + edge.product
        if edge.local is not None:
            np.testing.assert_allclose(
                fit(edge.node.node.op, 0, edge.upstream * edge.local, edge.input.value), edge.product
            )
    assert set(sums) == {t for t in out.graph.nodes if t.active and t is not out}
    for tensor, total in sums.items():
        np.testing.assert_allclose(total, tensor.grad, rtol=1e-12)


def test_the_ledger_takes_an_upstream_gradient_and_has_no_local_for_a_matrix_product():
    W, x = ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.constant([1.0, 1.0])
    (edge,) = ad.ledger(W @ x, [1.0, 10.0])
    assert (edge.node.node.op.name, edge.input, edge.position, edge.local) == ("matmul", W, 0, None)
    np.testing.assert_array_equal(edge.product, [[1.0, 1.0], [10.0, 10.0]])


# --- random graphs --------------------------------------------------------------------------------------------------
# A program is a list of steps over values that it has so far. It is interpreted by this library, and by plain NumPy on
# complex numbers: f(x + ih).imag / h is the directional derivative to rounding (W. Squire and G. Trapp, 1998). Steps
# keep values in [−1, 1], so that thirty of them neither overflow nor lose digits.

SHAPES = ((), (3,), (2, 1), (2, 3))


def _larger(a, b):
    return np.where(np.real(a) > np.real(b), a, b)


UNARY = {
    "sin": (np.sin, np.sin),
    "tanh": (np.tanh, np.tanh),
    "sigmoid": (ad.sigmoid, lambda x: 1.0 / (1.0 + np.exp(-x))),
    "exp": (lambda x: np.exp(x - 1.0), lambda x: np.exp(x - 1.0)),
    "ratio": (lambda x: x / (1.0 + x * x), lambda x: x / (1.0 + x * x)),
    "root": (lambda x: ad.sqrt(ad.square(x) + 0.25) - 0.5, lambda x: np.sqrt(x * x + 0.25) - 0.5),
    "mean": (lambda x: x.mean(axis=-1, keepdims=True), lambda x: x.mean(axis=-1, keepdims=True)),
    "total": (lambda x: ad.sum(x) / float(np.size(x)), lambda x: x.mean()),
    "first": (lambda x: x[..., :1], lambda x: x[..., :1]),
    "gather": (lambda x: x[..., [0, 0]][..., :1], lambda x: x[..., [0, 0]][..., :1]),
}
NEED_AN_AXIS = {"mean", "first", "gather"}
BINARY = {
    "add": (lambda a, b: 0.5 * (a + b), lambda a, b: 0.5 * (a + b)),
    "subtract": (lambda a, b: (a - b) / 2, lambda a, b: (a - b) / 2),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b),
    "maximum": (np.maximum, _larger),
    "power": (lambda a, b: (1.0 + a * a) ** b / 2.0, lambda a, b: (1.0 + a * a) ** b / 2.0),
}

steps = st.lists(
    st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 1000), st.integers(0, 1000)), min_size=2, max_size=30
)


def interpret(program, inputs, which):
    values = list(inputs)
    for name, i, j in program:
        a, b = values[i % len(values)], values[j % len(values)]
        if name in BINARY:
            values.append(BINARY[name][which](a, b))
        elif name not in NEED_AN_AXIS or np.shape(a):
            values.append(UNARY[name][which](a))
    used = values[len(inputs) :] or values
    return sum(v.mean() if which else ad.mean(v) for v in used[-3:])


def by_complex_step(program, inputs, directions, h=1e-30):
    stepped = [np.asarray(x) + 1j * h * np.asarray(t) for x, t in zip(inputs, directions, strict=True)]
    return interpret(program, stepped, 1).imag / h


def numeric_gradient(program, inputs):
    gradients = [np.zeros(np.shape(x)) for x in inputs]
    for k, g in enumerate(gradients):
        for index in np.ndindex(g.shape):
            directions = [np.zeros(np.shape(x)) for x in inputs]
            directions[k][index] = 1.0
            g[index] = by_complex_step(program, inputs, directions)
    return gradients


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 2**32))
def test_random_graphs_agree_with_the_complex_step_in_every_mode(program, seed):
    rng = np.random.default_rng(seed)
    inputs = [float(rng.uniform(-1, 1)), *(rng.uniform(-1, 1, s) for s in SHAPES)]
    directions = [float(rng.uniform(-1, 1)), *(rng.uniform(-1, 1, s) for s in SHAPES)]
    expected = numeric_gradient(program, inputs)

    def f(*xs):
        return interpret(program, xs, 0)

    leaves = [ad.tensor(x) for x in inputs]
    f(*leaves).backward()
    swept = [np.zeros(t.shape) if t.grad is None else t.grad for t in leaves]
    everything = tuple(range(len(inputs)))
    pulled = ad.grad(f, everything)(*inputs)
    recorded = ad.grad(f, everything)(*leaves)
    _, pushed = ad.jvp(f, inputs, directions)

    for want, *found in zip(expected, swept, pulled, recorded, strict=True):
        for g in found:
            np.testing.assert_allclose(np.asarray(g), want, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(pushed, by_complex_step(program, inputs, directions), rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(steps, st.integers(0, 2**32))
def test_random_graphs_have_one_second_derivative_whichever_way(program, seed):
    rng = np.random.default_rng(seed)
    fixed = [float(rng.uniform(-1, 1)), *(rng.uniform(-1, 1, s) for s in SHAPES)]
    x, v = rng.uniform(-1, 1, (2, 3)), rng.uniform(-1, 1, (2, 3))

    def f(x):
        return interpret(program, [*fixed[:-1], x], 0)

    forward_over_reverse = ad.hvp(f, (x,), (v,))
    reverse_over_reverse = ad.grad(lambda y: (ad.grad(f)(y) * v).sum())(x)
    reverse_over_forward = ad.grad(lambda y: ad.jvp(f, (y,), (v,))[1])(x)
    gradient = ad.grad(f)
    h = 1e-5
    numeric = (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)

    np.testing.assert_allclose(reverse_over_reverse, forward_over_reverse, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(reverse_over_forward, forward_over_reverse, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(numeric, forward_over_reverse, rtol=1e-4, atol=1e-7)


# --- closed forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (lambda x: np.exp(np.sin(x)), lambda x: np.exp(np.sin(x)) * np.cos(x)),
        (lambda x: ad.erf(x), lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x)),
        (lambda x: ad.log(ad.sigmoid(x)), lambda x: 1.0 - special.expit(x)),
        (lambda x: x**x, lambda x: x**x * (np.log(x) + 1)),
        (lambda x: np.arctan(1.0 / x), lambda x: -1.0 / (1.0 + x * x)),
    ],
)
def test_gradients_of_closed_forms(f, derivative):
    points = np.linspace(0.3, 2.0, 7)
    x = ad.tensor(points)
    f(x).sum().backward()
    np.testing.assert_allclose(x.grad, derivative(points), rtol=1e-12)
    for point in points.tolist():
        np.testing.assert_allclose(ad.grad(f)(point), derivative(point), rtol=1e-12)
        s = ad.tensor(point)
        f(s).backward()
        np.testing.assert_allclose(s.grad, derivative(point), rtol=1e-12)
