"""Loops of a trace: recorded once, with the results, derivatives and states of the eager loop."""

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn
from adjoint.compiler.lower import lower
from adjoint.compiler.program import verify
from adjoint.compiler.repeat import pruned
from adjoint.compiler.trace import trace
from adjoint.errors import GradientError, IndexRangeError, ShapeError, TraceError
from adjoint.transforms import flatten

RNG = np.random.default_rng(0)
ROWS, WEIGHTS, START = RNG.normal(size=(9, 3)), RNG.normal(size=(3, 3)) / 2.0, RNG.normal(size=3)


def loops(f, *args):
    """How many loops the program of a function has, those within others among them."""
    program = lower(trace(f, args))
    verify(program)
    return sum(v.kind == "repeat" for v in program.every())


def assert_same(f, *args, rtol=1e-11):
    """Compiled and eager results have equal shapes and dtypes, and equal numbers but for rounding."""
    run = ad.compile(f)
    for _ in range(2):  # traced, and from then on
        pairs = zip(flatten(run(*args))[0], flatten(f(*args))[0], strict=True)
        for got, wanted in [(np.asarray(x), np.asarray(y)) for x, y in pairs]:
            assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
            np.testing.assert_allclose(got, wanted, rtol=rtol, atol=1e-13)


def recurrence(w, h, xs, **settings):
    return ad.scan(lambda h, x: (ad.tanh(h @ w + x), {"h": h, "s": ad.sum(x * h)}), h, xs, **settings)


def loss(*args, **settings):
    last, ys = recurrence(*args, **settings)
    return ad.sum(last**2) + ad.sum(ys["s"] ** 2)


# --- a recorded loop ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_and_its_gradient_are_one_loop_each(reverse):
    def everything(*args):
        found = ad.grad(lambda *args: loss(*args, reverse=reverse), argnums=(0, 1, 2))(*args)
        return recurrence(*args, reverse=reverse), found

    assert loops(lambda *args: recurrence(*args, reverse=reverse), WEIGHTS, START, ROWS) == 1
    assert loops(lambda *args: ad.value_and_grad(loss, argnums=(0, 1, 2))(*args), WEIGHTS, START, ROWS) == 2
    assert_same(everything, WEIGHTS, START, ROWS)


def test_the_program_is_as_long_for_any_number_of_steps():
    def sizes(steps):
        xs = np.zeros((steps, 3))
        return len(list(lower(trace(ad.value_and_grad(loss), (WEIGHTS, START, xs))).every()))

    assert sizes(5) == sizes(500)


DERIVATIVES = {
    "Hessian times vector": lambda w, h, xs: ad.hvp(lambda w: loss(w, h, xs), (w,), (w + 1.0,)),
    "gradient of a gradient": lambda w, h, xs: ad.grad(lambda w: ad.sum(ad.grad(loss)(w, h, xs) ** 2))(w),
    "tangent": lambda w, h, xs: ad.jvp(lambda w, h, xs: recurrence(w, h, xs), (w, h, xs), (w, h * h, xs)),
    "gradient of a tangent": lambda w, h, xs: ad.grad(
        lambda xs: ad.sum(ad.jvp(lambda h: recurrence(w, h, xs)[1]["h"], (h,), (h,))[1])
    )(xs),
    "tangent of a tangent": lambda w, h, xs: ad.jvp(
        lambda w: ad.jvp(lambda h: loss(w, h, xs), (h,), (h,))[1], (w,), (w,)
    ),
    "third": lambda w, h, xs: ad.grad(
        ad.grad(ad.grad(lambda a: ad.scan(lambda c, x: (c * ad.sin(a) + ad.sum(x), c), a, xs)[0]))
    )(0.7),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_of_higher_order(name):
    assert loops(DERIVATIVES[name], WEIGHTS, START, ROWS) > 1
    assert_same(DERIVATIVES[name], WEIGHTS, START, ROWS, rtol=1e-9)


BODIES = {
    "nothing carried": lambda xs: ad.scan(lambda c, x: (None, x * 2.0), None, xs),
    "nothing stacked": lambda xs: ad.scan(lambda c, x: (c + x, None), np.zeros(3), xs),
    "no rows": lambda xs: ad.scan(lambda c, _: (c * xs, c), np.ones((9, 3)), length=6),
    "two carries exchanged": lambda xs: ad.scan(lambda c, x: ((c[1], c[0] + x), c[0]), (xs[0], xs[1]), xs),
    "a carry that stays": lambda xs: ad.scan(lambda c, x: ((c[0], c[1] + c[0] * x), c), (xs[0], xs[1]), xs),
    "known ys": lambda xs: ad.scan(lambda c, x: (c + x, (1.0, np.arange(2), 3)), np.zeros(3), xs),
    "a Python number carried": lambda xs: ad.scan(lambda c, x: (c * 0.5 + x[0], c / 2.0), 1.0, xs),
    "a float32 loop from a Python number": lambda xs: ad.scan(
        lambda c, x: (c + x, c / 2.0), 0.25, ad.cast(xs[:, 0], dtype=np.float32)
    ),
    "whole numbers": lambda xs: ad.scan(lambda c, x: (c + (x[0] > 0.0), c * 2), np.int64(0), xs),
    "booleans": lambda xs: ad.scan(lambda c, x: (ad.logical_and(c, x > -1.5), c), np.ones(3, bool), xs),
    "rows of a transposition": lambda xs: ad.scan(
        lambda c, x: (c + x, c), np.zeros(9), ad.transpose(ad.concatenate([xs, xs], axis=1))
    ),
    "every other row": lambda xs: ad.scan(lambda c, x: (c + x, c), np.zeros(3), ad.concatenate([xs, xs], axis=0)[::2]),
    "rows from the last": lambda xs: ad.scan(lambda c, x: (c + x, c), np.zeros(3), xs[::-1]),
    "rows that are all the same": lambda xs: ad.scan(
        lambda c, x: (c * x + 1.0, c), np.zeros(3), ad.broadcast_to(xs[0], (7, 3))
    ),
    "rows without elements": lambda xs: ad.scan(lambda c, x: (c + x, (c, ad.sum(x))), np.zeros(0), xs[:, :0]),
    "a loop in a loop": lambda xs: ad.scan(
        lambda c, x: (ad.scan(lambda d, y: (ad.sin(d + y * x), None), c, xs)[0], c), np.zeros(3), xs
    ),
    "a choice in a loop": lambda xs: ad.scan(
        lambda c, x: (ad.cond(x[0] > 0.0, lambda: ad.sqrt(x[0]) * c, lambda: c - x), c), np.ones(3), xs
    ),
    "a loop in a choice": lambda xs: ad.cond(
        ad.sum(xs) > 0.0, lambda: recurrence(WEIGHTS, xs[0], xs)[0], lambda: recurrence(-WEIGHTS, xs[0], xs)[0]
    ),
    "rows by their numbers": lambda xs: ad.scan(
        lambda c, i: (ad.tanh(c + ad.take(xs, i, axis=0)), c), np.zeros(3), np.array([8, 0, 0, 3, 5, 1])
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_of_all_kinds(name):
    def total(xs):
        leaves = [x for x in flatten(BODIES[name](xs))[0] if isinstance(x, ad.Tensor) and x.dtype.kind == "f"]
        return sum((ad.sum(x * x) for x in leaves), start=ad.sum(xs))

    assert loops(BODIES[name], ROWS) > 0
    assert_same(BODIES[name], ROWS, rtol=1e-6 if "float32" in name else 1e-11)
    assert_same(ad.grad(total), ROWS, rtol=1e-6 if "float32" in name else 1e-11)
    if "number" not in name:
        assert_same(lambda xs: ad.jvp(total, (xs,), (xs * 0.1,)), ROWS)


def test_no_steps_and_few_steps_are_no_loops():
    for n in (0, 1, 4):
        assert loops(lambda xs: recurrence(WEIGHTS, START, xs), ROWS[:n]) == 0
        assert_same(lambda xs: recurrence(WEIGHTS, START, xs), ROWS[:n])


def test_a_gradient_reads_products_and_computes_none_of_them_again():
    """Forward one product a step; backward one for the gradient of the carry, and one for that of the weights."""

    def f(w, h, xs):
        return ad.value_and_grad(lambda w: ad.sum(ad.scan(lambda h, x: (ad.tanh(h @ w + x), None), h, xs)[0]))(w)

    args = WEIGHTS, np.ones((2, 3)), np.ones((7, 2, 3))
    loops_ = [v.params["body"] for v in pruned(lower(trace(f, args))).values if v.kind == "repeat"]
    assert [sum(v.kind == "matmul" for v in body.values) for body in loops_] == [1, 2]
    assert_same(f, *args)


@pytest.mark.parametrize("steps", [6, 40])
def test_a_gradient_that_cannot_be_a_loop_is_unrolled(steps, own_ops):
    """The gradient of `bent` asks in Python for a value, so NumPy computes it."""

    @ad.general
    def by_python(m, g, x, /):
        return g * m.cos(x) if m.sum(x * 0.0, axis=None, keepdims=False) < 1.0 else g

    @ad.general
    def bent(m, x, /):
        return m.sin(x)

    by_python.shape(lambda g, x: x)
    bent.shape(lambda x: x).vjp(lambda m, g, out, x: by_python(g, x))

    def scanned(x):
        return ad.sum(ad.scan(lambda c, x: (bent(c + x), c), x, ad.stack([x] * 6, axis=0))[1])

    def counted(x):
        body = lambda c: (c[0] + 1.0, bent(c[1] + 1.0))  # noqa: E731
        return ad.sum(ad.while_loop(lambda c: c[0] < 5.5, body, (ad.sum(x) * 0.0, x), max_steps=steps)[1])

    for f in (scanned, counted):
        assert loops(ad.value_and_grad(f), START) == 1
        assert_same(ad.value_and_grad(f), START)


# --- what it closes over, reads and assigns ---------------------------------------------------------------------------


def test_gradients_of_parameters_and_tensors_from_outside():
    w, t = ad.Parameter(WEIGHTS, name="w"), ad.tensor(START)

    def f(xs):
        return loss(w, np.zeros(3), xs + t)

    def all_of(xs):
        out = f(xs)
        out.backward()
        return out, w.grad

    out = f(ROWS)
    out.backward()
    expected, expected_t = w.grad.copy(), t.grad.copy()
    np.testing.assert_allclose(ad.compile(all_of)(ROWS)[1].value, expected)
    ad.compile(f)(ROWS).backward()  # by the gradient of the result
    np.testing.assert_allclose(w.grad, expected)
    np.testing.assert_allclose(t.grad, expected_t)


def test_states_are_carried():
    total, count = ad.State(np.zeros(3), name="total"), ad.State(np.int64(0), name="count")

    def f(xs):
        def step(c, x):
            total.assign(0.5 * total + x)
            count.assign(count + 1)
            return c + total, total * 1.0

        return ad.scan(step, np.zeros(3), xs)

    assert loops(f, ROWS) == 1
    run = ad.compile(f)
    for expected, calls in ((f(ROWS), 9), (None, 18)):
        if expected is not None:
            total.assign(np.zeros(3))
            count.assign(0)
            np.testing.assert_allclose(run(ROWS)[1].value, expected[1].value)
        else:
            run(ROWS)
        assert count.item() == calls


def test_dropout_draws_the_same_in_every_step():
    def masks(run):
        drop = nn.Dropout(0.5, rng=ad.random.Generator(3))
        f = run(lambda xs: ad.scan(lambda c, x: (drop(c) + x, c), np.ones(3), xs)[1])
        return [np.asarray(f(ROWS)) for _ in range(2)]

    np.testing.assert_allclose(masks(ad.compile), masks(lambda f: f))


def test_what_cannot_be_one_loop_is_unrolled():
    table, w = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0), ad.Parameter(np.ones(3), name="w")
    opt = ad.optim.SGD([w], lr=0.1)

    def by_number(xs):
        return ad.scan(lambda c, x: ((c[0] + 1, c[1] + x * table[c[0]]), None), (0, np.zeros(3)), xs)[0][1]

    def trained(xs):
        def step(c, x):
            out = (ad.sum(w * x) - 1.0) ** 2
            out.backward()
            opt.step()
            return c, out

        return ad.scan(step, None, xs)[1]

    assert loops(by_number, ROWS[:6]) == loops(trained, ROWS) == 0
    assert_same(by_number, ROWS[:6])
    expected = trained(ROWS).value
    w.assign(np.ones(3))
    np.testing.assert_allclose(ad.compile(trained)(ROWS).value, expected)


def test_what_is_known_while_tracing_is_computed_then():
    def f(x):
        count, _ = ad.scan(lambda c, _: (c + 1, None), 0, length=7)
        return x * float(count)

    assert loops(f, 1.0) == 0
    assert ad.compile(f)(2.0) == 14.0


# --- loops with a condition -------------------------------------------------------------------------------------------


def root(a, **settings):
    return ad.while_loop(lambda x: ad.abs(x * x - a) > 1e-4, lambda x: 0.5 * (x + a / x), a, **settings)


def test_derivatives_of_a_loop_with_a_condition():
    slope = ad.grad(lambda a: root(a, max_steps=40))

    def all_of(a):
        tangent = ad.jvp(lambda a: root(a, max_steps=40), (a,), (1.0,))
        return root(a, max_steps=40), slope(a), tangent, ad.grad(slope)(a), ad.jvp(slope, (a,), (1.0,))

    assert loops(lambda a: root(a, max_steps=40), 2.0) == 1
    for a in (1.0, 2.0, 1e6):
        assert_same(all_of, a)


@pytest.mark.parametrize("x", [8.0, 4.5, 1.0, 0.5])
def test_a_step_that_is_left_out_leaves_no_trace(x):
    """A step from 1 would divide by 0, one from below take the root of a negative number."""
    count = ad.State(np.int64(0), name="count")

    def step(c):
        count.assign(count + 1)
        return {"x": c["x"] * 0.5, "r": c["r"] + ad.sqrt(c["x"] - 1.0) + 1.0 / (c["x"] - 1.0)}

    def f(x):
        out = ad.while_loop(lambda c: c["x"] > 1.0, step, {"x": x, "r": x * 0.0}, max_steps=12)
        return out["r"] + out["x"] ** 3

    def all_of(x):
        return ad.value_and_grad(f)(x), ad.grad(ad.grad(f))(x), ad.jvp(ad.grad(f), (x,), (1.0,))

    got, counted = flatten(ad.compile(all_of)(x))[0], count.item()
    count.assign(0)
    np.testing.assert_allclose([float(v) for v in got], [float(v) for v in flatten(all_of(x))[0]], rtol=1e-12)
    assert counted == count.item()
    assert np.all(np.isfinite([float(v) for v in got]))


def test_a_condition_that_assigns_a_state_is_looked_at_no_more_often():
    looks = ad.State(np.int64(0), name="looks")

    def holds(x):
        looks.assign(looks + 1)
        return x > 1.0

    run = ad.compile(lambda x: ad.while_loop(holds, lambda x: x / 2.0, x, max_steps=7))
    assert (run(5.0).item(), looks.item()) == (0.625, 4)
    assert (run(5000.0).item(), looks.item()) == (39.0625, 11)


# --- mistakes and looking inside --------------------------------------------------------------------------------------


def test_errors_are_those_of_the_eager_loop():
    with pytest.raises(ShapeError, match="scan: expected a carry as before step 0, of float64 "):
        ad.compile(lambda xs: ad.scan(lambda c, x: (x, None), np.zeros(2), xs))(ROWS)
    pick = ad.compile(lambda t, i: ad.scan(lambda c, i: (c + ad.take(t, i, axis=0), None), np.zeros(3), i)[0])
    np.testing.assert_allclose(pick(ROWS, np.arange(6)), ROWS[:6].sum(0))
    with pytest.raises(IndexRangeError, match=r"take: .*99"):
        pick(ROWS, np.array([0, 1, 2, 99, 4, 5]))
    np.testing.assert_allclose(pick(ROWS, np.arange(6)), ROWS[:6].sum(0))


def test_a_value_of_a_step_used_outside_is_refused():
    kept = []

    def f(xs):
        ad.scan(lambda c, x: (kept.append(c * 2.0) or c + x, None), np.zeros(3), xs)
        return kept[-1]

    with pytest.raises(TraceError, match=r"known only within one step of a loop .* return it from the function"):
        ad.compile(f)(ROWS)


def test_a_loop_can_be_explained_drawn_tapped_and_checked():
    run = ad.compile(lambda xs: ad.value_and_grad(loss)(WEIGHTS, START, xs))
    run(ROWS)
    assert run.explain().count("loop of 9 steps") == 2
    assert "kernel 0.0: " in run.explain()
    assert "loop of 9 steps" in run.graph("traced").text()
    assert "loop of 9 steps" in run.graph().text()
    report = ad.parity(lambda xs: ad.value_and_grad(loss)(WEIGHTS, START, xs), ROWS)
    assert report.ok, str(report)
    assert {row.op for row in report.rows} >= {"loop_result"}
    report = ad.parity(lambda a: ad.value_and_grad(lambda a: root(a, max_steps=30))(a), 2.0)
    assert report.ok, str(report)
    _, taps = run.taps("*", statistics=False)(ROWS)
    assert any(name.startswith("loop_result") for name in taps)


def test_a_gradient_that_does_not_exist_is_refused():
    with pytest.raises(GradientError, match="depends on no tensor"):
        ad.compile(lambda xs: ad.scan(lambda c, x: (c + x, None), np.zeros(3), xs)[0].sum().backward())(ROWS)
