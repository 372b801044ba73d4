"""Control flow: a choice, loops over rows and with a condition; eagerly, and traced to the same numbers."""

import re

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim
from adjoint.compiler.lower import lower
from adjoint.compiler.program import evaluate, verify
from adjoint.compiler.trace import trace
from adjoint.control import cond, scan, while_loop
from adjoint.control.guarded import gradient_where
from adjoint.control.loops import loop_without_bound
from adjoint.errors import DTypeError, GradientError, ShapeError, TraceError
from adjoint.transforms import flatten, unflatten

ROWS = np.array([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.1], [0.2, 0.9]])


def compiled(f, *args):
    """What the program of a trace gives; states get their new values."""
    traced = trace(f, args)
    program = lower(traced)
    verify(program)
    given = [x for x, node in zip(args, traced.inputs, strict=True) if node is not None]
    values = evaluate(program, [*given, *(s._value for s in traced.states)])
    count = len(values) - len(traced.assigned)
    for state, value in zip(traced.assigned, values[count:], strict=True):
        state.assign(value)
    found = iter(values[:count])
    return unflatten(traced.recipe, [next(found) if isinstance(x, ad.Tensor) else x for x in traced.outputs])


eager_and_traced = pytest.mark.parametrize("run", [lambda f, *args: f(*args), compiled], ids=["eager", "traced"])


def numbers(tree):
    """The leaves of a container of scalars as an array."""
    return np.array([float(x) for x in flatten(tree)[0]])


def derivatives(f):
    """A function of one number, its first two derivatives in both modes, and the third."""
    slope = ad.grad(f)
    return lambda x: (
        f(x),
        slope(x),
        ad.jvp(f, (x,), (1.0,))[1],
        ad.grad(slope)(x),
        ad.jvp(slope, (x,), (1.0,))[1],
        ad.grad(lambda x: ad.jvp(f, (x,), (1.0,))[1])(x),
        ad.grad(ad.grad(slope))(x),
    )


# --- a choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("predicate", [True, np.True_, np.array(True), ad.constant(True), ad.State(True)])
def test_only_the_chosen_function_runs(predicate):
    ran = []
    assert cond(predicate, lambda x: ran.append("yes") or 2.0 * x, lambda x: ran.append("no") or x, 3.0) == 6.0
    assert ran == ["yes"]


def test_a_choice_of_functions_has_the_gradient_of_the_chosen_one():
    def f(x):
        return cond(x > 1.0, lambda x: x**3, ad.sin, x)

    for x, g, h in [(2.0, 12.0, 12.0), (0.5, np.cos(0.5), -np.sin(0.5))]:
        assert ad.grad(f)(x) == pytest.approx(g)
        assert ad.grad(ad.grad(f))(x) == pytest.approx(h)
        ad.gradcheck(f, x, order=2)


@eager_and_traced
def test_containers_and_parameters_that_are_closed_over(run):
    w = ad.Parameter([2.0, 3.0], name="w")

    def f(x):
        def yes(x):
            return {"s": w * x["a"], "t": [w[0]]}

        both = cond(ad.sum(x["a"]) > 0.0, yes, lambda x: {"s": x["a"], "t": [w[1]]}, x)
        return ad.sum(both["s"]) * both["t"][0]

    def all_of(a):
        out = f({"a": a})
        out.backward()
        return out, w.grad, ad.grad(f)({"a": a})["a"]

    for a, expected in [([1.0, -0.5], (1.0, [2.5, -1.0], [4.0, 6.0])), ([1.0, -2.0], (-3.0, [0.0, -1.0], [3.0, 3.0]))]:
        for got, wanted in zip(run(all_of, ad.tensor(a)), expected, strict=True):
            np.testing.assert_allclose(np.asarray(got), wanted)


BAD_POINTS = {
    "sqrt": (lambda x: x > 0.0, ad.sqrt, lambda x: 3.0 * x * x),
    "log": (lambda x: x > 0.0, ad.log, lambda x: x - 1.0),
    "division": (lambda x: x == 0.0, lambda x: x * x, lambda x: ad.sin(x) / x),
    "power": (lambda x: x > 0.0, lambda x: x**0.5, lambda x: -x),
    "overflow": (lambda x: x < 10.0, lambda x: ad.exp(ad.exp(ad.exp(x * 100.0))), lambda x: 2.0 * x),
}


@pytest.mark.parametrize("operand", [ad.identity, lambda x: x * ad.exp(0.1 * x)], ids=["x", "of x"])
@pytest.mark.parametrize("name", BAD_POINTS)
@pytest.mark.parametrize("x", [0.0, -0.0, 0.75, -2.0, 40.0])
def test_the_way_that_is_not_taken_leaves_no_trace(name, x, operand):
    """Values, gradients and tangents to order 3 are those of the eager run, which computes one way only."""
    holds, yes, no = BAD_POINTS[name]
    if name == "overflow" and x < 10.0:
        x = x + 50.0
    f = derivatives(lambda x: cond(holds(x), yes, no, operand(x)))
    got = np.array(compiled(f, x))
    np.testing.assert_allclose(got, np.array(f(x)), rtol=1e-12)
    assert np.all(np.isfinite(got))


def test_the_same_for_what_is_closed_over():
    """Parameters and values from outside get nothing from the way that is not taken either."""
    w = ad.Parameter(0.0, name="w")

    def f(x):
        h = x - 1.0
        out = cond(x > 3.0, lambda: ad.log(w) + ad.sqrt(h) / w, lambda: 3.0 * w + h * h)
        out.backward()
        return out, w.grad, ad.grad(lambda x: cond(x > 3.0, lambda: ad.sqrt(x - 1.0), lambda: x * w))(x)

    assert [x.item() for x in compiled(f, np.float64(1.0))] == [0.0, 3.0, 0.0]
    assert w.grad is None


def test_a_choice_within_a_choice():
    f = derivatives(
        lambda x: cond(
            x > 0.0,
            lambda x: cond(x > 4.0, ad.log, lambda x: ad.sqrt(x) * x, x),
            lambda x: cond(x == 0.0, ad.cos, ad.reciprocal, x),
            x,
        )
    )
    for x in (9.0, 1.5, 0.0, -2.0):
        np.testing.assert_allclose(compiled(f, x), f(x), rtol=1e-13)


def test_a_node_of_a_guarded_way_knows_its_line():
    def yes(x):
        return ad.sqrt(x).named("root")

    traced = trace(lambda x: cond(x > 0.0, yes, lambda x: x, x), (ad.tensor(1.0),))
    node = next(node for node in traced.outputs[0].graph.nodes if node.name == "root")
    assert node.node.origin.line == yes.__code__.co_firstlineno + 1


def test_a_scalar_parameter_stays_weak_in_a_guarded_way():
    """A Python float beside float32 does not widen it."""
    rate = ad.Parameter(0.5, name="rate")
    x = np.ones(3, np.float32)
    out = compiled(lambda x: cond(x[0] > 0.0, lambda: x * rate, lambda: x), x)
    assert (out.dtype, out.tolist()) == (np.float32, [0.5] * 3)


def test_states_are_those_of_the_way_that_is_taken():
    calls = ad.State(np.int64(0), name="calls")

    def f(x):
        def count(y):
            calls.assign(calls + 1)
            calls.assign(calls * 2)
            return y

        return cond(x > 0.0, count, lambda y: -y, x)

    assert [compiled(f, x).item() for x in (1.0, -2.0, 3.0)] == [1.0, 2.0, 3.0]
    assert calls.item() == 6
    calls.assign(0)
    assert [f(x) for x in (1.0, -2.0, 3.0)] == [1.0, 2.0, 3.0]
    assert calls.item() == 6


def test_a_training_step_that_skips_what_is_not_finite():
    def trained(run):
        net = nn.Sequential(nn.Linear(2, 3, rng=ad.random.Generator(1)), nn.Tanh())
        opt = optim.Adam(net, lr=0.1)

        def step(x):
            loss = ad.mean(ad.square(net(x)))
            loss.backward()
            cond(ad.isfinite(loss), opt.step, lambda: None)
            return loss

        for x in (ROWS, ROWS * np.inf, -ROWS):
            run(step, x)
        return [p.value for p in net.parameters().values()]

    with np.errstate(invalid="ignore"):
        eager = trained(lambda step, x: step(x))
    for got, expected in zip(trained(compiled), eager, strict=True):
        assert np.all(np.isfinite(got))
        np.testing.assert_allclose(got, expected, rtol=1e-12)


# --- a loop over rows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_a_recurrence_equals_the_loop(reverse):
    def f(w, h, xs):
        return scan(lambda h, x: (ad.tanh(w @ h + x), {"h": h, "x2": x * x}), h, xs, reverse=reverse)

    w, h = np.array([[0.5, -0.2], [0.1, 0.8]]), np.array([0.3, -0.4])
    last, ys = f(w, h, ROWS)
    expected, rows = h, []
    for x in ROWS[::-1] if reverse else ROWS:
        rows.append(expected)
        expected = np.tanh(w @ expected + x)
    np.testing.assert_allclose(last, expected)
    np.testing.assert_allclose(ys["h"], rows[::-1] if reverse else rows)
    np.testing.assert_allclose(ys["x2"], ROWS**2)

    def loss(*args):
        last, ys = f(*args)
        return ad.sum(last**2) + ad.sum(ys["h"] * ROWS)

    def everything(*args):
        return f(*args), ad.grad(loss, argnums=(0, 1, 2))(*args)

    assert ad.gradcheck(loss, w, h, ROWS, order=2).relative_error < 1e-6
    (out, grads), (eager_out, eager_grads) = compiled(everything, w, h, ROWS), everything(w, h, ROWS)
    np.testing.assert_allclose(out[0], eager_out[0], rtol=1e-13)
    np.testing.assert_allclose(out[1]["h"], eager_out[1]["h"], rtol=1e-13)
    for got, wanted in zip(grads, eager_grads, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_a_scan_of_many_rows_and_its_closed_form():
    """cₙ = Σ aⁿ⁻¹⁻ᵗ xₜ; rows are taken by halves."""
    a, xs = ad.Parameter(0.9, name="a"), ad.tensor(np.random.default_rng(0).normal(size=100))
    last, ys = scan(lambda c, x: (a * c + x, c), np.float64(0.0), xs)
    last.backward()
    powers = 0.9 ** np.arange(99, -1, -1)
    np.testing.assert_allclose(last.value, powers @ xs.value)
    np.testing.assert_allclose(xs.grad, powers)
    np.testing.assert_allclose(a.grad, np.arange(99, 0, -1) * 0.9 ** np.arange(98, -1, -1) @ xs.value[:99])
    assert ys.shape == (100,)


def test_a_scan_pushes_tangents():
    (last, ys), (dlast, dys) = ad.jvp(lambda x: scan(lambda c, _: (c * x, c), 1.0, length=4), (2.0,), (1.0,))
    assert (last, dlast) == (16.0, 4.0 * 8.0)
    np.testing.assert_array_equal(ys, [1.0, 2.0, 4.0, 8.0])
    np.testing.assert_array_equal(dys, [0.0, 1.0, 4.0, 12.0])


@eager_and_traced
def test_a_scan_of_no_rows(run):
    seen, w = ad.State(np.int64(0)), ad.Parameter([1.0, 2.0], name="w")

    def step(c, x):
        seen.assign(seen + 1)
        return {"h": ad.log(c["h"]) + x["a"]}, (w * c["h"], x["b"] > 0, None)

    def f(a, b):
        return scan(step, {"h": np.zeros(2)}, {"a": a, "b": b})

    carry, (y, flags, nothing) = run(f, np.zeros((0, 2)), np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(carry["h"], np.zeros(2))
    assert (y.shape, y.dtype, flags.shape, flags.dtype) == ((0, 2), np.float64, (0, 3), np.bool_)
    assert nothing is None
    assert seen.item() == 0


def test_states_in_a_scan():
    total = ad.State(0.0, name="total")

    def step(c, x):
        total.assign(total + x)
        return c, total * 1.0

    assert scan(step, None, np.array([1.0, 2.0]))[1].tolist() == [1.0, 3.0]
    assert compiled(lambda xs: scan(step, None, xs)[1], np.array([1.0, 2.0])).tolist() == [4.0, 6.0]
    assert total.item() == 6.0


# --- a loop with a condition ----------------------------------------------------------------------------------------


def newton(a, **settings):
    """√a; four digits are enough, so that the number of steps depends on a."""
    return while_loop(lambda x: ad.abs(x * x - a) > 1e-4, lambda x: 0.5 * (x + a / x), a, **settings)


@pytest.mark.parametrize("a", [1.0, 2.0, 30.0])
def test_newtons_method(a):
    def by_hand(a):
        x = a
        while abs(float(ad.stop_gradient(x * x - a))) > 1e-4:
            x = 0.5 * (x + a / x)
        return x

    f, plain = derivatives(lambda a: newton(a, max_steps=12)), derivatives(by_hand)
    np.testing.assert_allclose(f(a), plain(a), rtol=1e-13)
    np.testing.assert_allclose(compiled(f, a), plain(a), rtol=1e-12)


@pytest.mark.parametrize("x", [8.0, 4.5, 1.0, 0.5])
def test_steps_after_the_end_add_nothing(x):
    """x halves until it is at most 1; a step from there would divide by 0 or take the root of a negative number."""
    w = ad.Parameter(0.5, name="w")

    def step(c):
        return {"x": c["x"] * w, "r": c["r"] + ad.sqrt(c["x"] - 1.0) + 1.0 / (c["x"] - 1.0)}

    def f(x):
        out = while_loop(lambda c: c["x"] > 1.0, step, {"x": x, "r": w * 0.0}, max_steps=6)
        return out["r"] + out["x"] ** 3

    def all_of(x):
        out = f(x)
        out.backward()
        return out, w.grad, derivatives(f)(x)

    got, expected = numbers(compiled(all_of, ad.tensor(x))), numbers(all_of(ad.tensor(x)))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert np.all(np.isfinite(got))


@eager_and_traced
def test_the_bound_ends_the_loop_whatever_the_condition_says(run):
    def f(x, n):
        return while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * x), (0, 1.0), max_steps=3)

    for n, steps in [(0, 0), (2, 2), (9, 3)]:
        count, power = run(f, 2.0, n)
        assert (int(count), float(power)) == (steps, 2.0**steps)


def test_a_loop_without_a_bound_has_tangents_and_no_gradients():
    value, tangent = ad.jvp(newton, (2.0,), (1.0,))
    assert (value, tangent) == ad.jvp(lambda a: newton(a, max_steps=9), (2.0,), (1.0,))
    with pytest.raises(GradientError, match=r"while_loop: .* no gradients, at .*; write ad.while_loop\(…, max_steps=n"):
        ad.grad(newton)(2.0)
    w = ad.Parameter(2.0, name="w")
    out = while_loop(lambda c: c < 10.0, lambda c: c * w, 1.0)
    assert out.item() == 16.0
    with pytest.raises(GradientError, match="max_steps=n"):
        (out + w).backward()


def test_a_loop_without_a_bound_keeps_no_history():
    x = ad.tensor(1.0)
    out = while_loop(lambda c: c < 5000.0, lambda c: c + 1.0, x)
    assert out.item() == 5000.0
    assert len(out.graph) == 2


def test_a_condition_that_is_known_while_tracing_needs_no_bound():
    def f(x):
        return while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, x))[1]

    assert compiled(f, 2.0) == 16.0


def test_states_in_a_loop_are_those_of_its_steps():
    count = ad.State(np.int64(0), name="count")

    def body(x):
        count.assign(count + 1)
        return x / 2.0

    def f(x):
        return while_loop(lambda x: x > 1.0, body, x, max_steps=8)

    assert (f(5.0), count.item()) == (0.625, 3)
    assert (compiled(f, 5.0), count.item()) == (0.625, 6)


# --- mistakes -------------------------------------------------------------------------------------------------------


def counted(after):
    return lambda: while_loop(lambda c: c["n"] < 3, lambda c: after, {"n": 0})


MISTAKES = {
    "condition of a number": (lambda: cond(1.0, ad.sin, ad.cos, 1.0), DTypeError, "got float64 of shape ()"),
    "condition of an array": (
        lambda: cond(np.array([True, False]), ad.sin, ad.cos, 1.0),
        ShapeError,
        "cond: expected a boolean of shape () as the condition, got bool of shape (2,)",
    ),
    "condition of a loop": (lambda: while_loop(lambda c: c, lambda c: c, 1.0), DTypeError, "while_loop: expected"),
    "structure of a carry": (counted({"m": 1}), ShapeError, "while_loop: expected a carry as before step 0, of struct"),
    "shape of a carry": (
        counted({"n": np.zeros(2)}),
        ShapeError,
        "while_loop: expected a carry as before step 0, of int64 (), got float64 (2,) (carry['n'])",
    ),
    "dtype of a carry": (counted({"n": 1.0}), DTypeError, "of int64 (), got float64 () (carry['n'])"),
    "carry of a scan": (
        lambda: scan(lambda c, x: (x, None), np.float32(0.0), np.zeros(2)),
        DTypeError,
        "scan: expected a carry as before step 0, of float32 (), got float64 () (carry)",
    ),
    "y of a scan": (
        lambda: scan(lambda c, x: (c + 1, [np.zeros(c)]), 0, length=2),
        ShapeError,
        "scan: expected a y in step 1 as in the first, of float64 (0,), got float64 (1,) (y[0])",
    ),
    "module in a carry": (
        lambda: scan(lambda c, x: (nn.Tanh(), None), nn.Tanh(), length=1),
        DTypeError,
        "scan: expected real numbers or booleans, got a Tanh",
    ),
    "no pair": (lambda: scan(lambda c, x: c, 0.0, length=2), TypeError, "scan: expected (carry, y) from the function"),
    "rows of two lengths": (
        lambda: scan(lambda c, x: (c, None), 0.0, {"a": np.zeros(2), "b": np.zeros((3, 1))}),
        ShapeError,
        "scan: expected shape (2, …), got (3, 1) (xs['b'])",
    ),
    "a list of numbers": (lambda: scan(ad.add, 0.0, [1.0, 2.0]), ShapeError, "(n, …), got () (xs[0])"),
    "length of rows": (lambda: scan(ad.add, 0.0, np.zeros(2), length=3), ShapeError, "(3, …), got (2,) (xs)"),
    "no length": (lambda: scan(ad.add, 0.0), ShapeError, "write length=n"),
    "a length below 0": (lambda: scan(ad.add, 0.0, length=-1), ShapeError, "length to be 0 or more, got -1"),
    "a bound below 0": (lambda: while_loop(ad.any, ad.sin, 0.0, max_steps=-1), ShapeError, "max_steps to be 0 or more"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    mistake, error, words = MISTAKES[name]
    with pytest.raises(error, match=re.escape(words)) as caught:
        mistake()
    assert type(caught.value) is error
    assert name == "no pair" or "test_control.py" in str(caught.value)


w = ad.Parameter(1.0, name="w")
TRACED_MISTAKES = {
    "no bound": (newton, TraceError, "while_loop: the condition is not known while a function is being"),
    "structure": (
        lambda x: cond(x > 0.0, lambda: (x, x), lambda: x),
        ShapeError,
        "cond: expected a result of false_fn like that of true_fn, of structure",
    ),
    "shape": (
        lambda x: cond(x > 0.0, lambda: {"a": x}, lambda: {"a": x * np.zeros(2)}),
        ShapeError,
        "of float64 (), got float64 (2,) (result['a'])",
    ),
    "dtype": (lambda x: cond(x > 0.0, lambda: x > 1.0, lambda: x), DTypeError, "of bool (), got float64 () (result)"),
    "backward of what is outside": (
        lambda x: (out := w * x, cond(x > 0.0, lambda: out.backward(), lambda: None)),
        TraceError,
        "may not take it would fill w.grad",
    ),
    "backward in a branch": (
        lambda x: cond(x > 0.0, lambda: (w * x).backward(), lambda: None),
        TraceError,
        "backward: inside a function that cond or while_loop may not take it would fill w.grad",
    ),
    "carry": (
        lambda x: while_loop(lambda c: c < 3.0, lambda c: c > 0.0, x, max_steps=2),
        DTypeError,
        "while_loop: expected a carry as before step 0, of float64 (), got bool () (carry)",
    ),
    "text": (lambda x: cond(x > 0.0, lambda: "a", lambda: "b"), DTypeError, "cond: expected real numbers"),
}


@pytest.mark.parametrize("name", TRACED_MISTAKES)
def test_mistakes_in_a_traced_function_are_named(name):
    f, error, words = TRACED_MISTAKES[name]
    with pytest.raises(error, match=re.escape(words)):
        trace(f, (1.0,))
    assert w.grad is None


def test_a_traced_condition_that_outlives_its_trace():
    kept = []
    trace(lambda x: kept.append(x > 0.0), (1.0,))
    with pytest.raises(TraceError, match=r"bool: this value is not known"):
        cond(kept[0], ad.sin, ad.cos, 1.0)


# --- the two identities ---------------------------------------------------------------------------------------------


def test_gradients_pass_where_the_condition_holds():
    x = np.array([4.0, 0.0, 9.0])

    def f(x):
        return ad.where(x > 0.0, ad.sqrt(gradient_where(x > 0.0, x)), 0.0)

    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(ad.grad(lambda x: f(x).sum())(x), [0.25, 0.0, 1.0 / 6.0])
        np.testing.assert_allclose(ad.jvp(f, (x,), (np.ones(3),))[1], [0.25, 0.0, 1.0 / 6.0])
        hessian = ad.hessian(lambda x: f(x).sum())(x).todense()
    np.testing.assert_allclose(np.diag(hessian), [-0.25 * 4.0**-1.5, 0.0, -0.25 * 9.0**-1.5])
    np.testing.assert_array_equal(gradient_where(x > 0.0, x), x)


def test_a_loop_without_bound_is_the_identity():
    assert loop_without_bound(2.0) == 2.0
    assert compiled(loop_without_bound, np.arange(3.0)).tolist() == [0.0, 1.0, 2.0]
