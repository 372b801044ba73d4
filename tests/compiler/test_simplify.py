"""Rules that rewrite programs: what each one does, and that results keep every bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint import nn, optim
from adjoint.compiler.lower import lower
from adjoint.compiler.program import evaluate, verify
from adjoint.compiler.simplify import EXACT, FAST, simplify
from adjoint.compiler.trace import trace

SPECIAL = np.array([0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 5e-324, 1e308])


def kinds(f, *args, rules=EXACT):
    program = lower(trace(f, args))
    simple = simplify(program, rules)
    verify(simple)
    return [v.kind for v in simple.values if v.kind not in ("input", "constant")]


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: x * 1.0, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1.0, []),
        (lambda x: x - 0.0, []),
        (lambda x: x + -0.0, []),
        (lambda x: x + 0.0, ["add"]),
        (lambda x: x - (-0.0), ["subtract"]),
        (lambda x: x * 0.0, ["multiply"]),
        (lambda x: ad.negative(-x), []),
        (lambda x: x * -1.0, ["negative"]),
        (lambda x: x / 8.0, ["multiply"]),
        (lambda x: x / 3.0, ["divide"]),
        (lambda x: x / np.inf, ["divide"]),
        (ad.square, ["multiply"]),
        (lambda x: x**2, ["multiply"]),
        (lambda x: x**1.0, []),
        (lambda x: x**0, ["broadcast"]),
        (lambda x: x**-1, ["divide"]),
        (lambda x: x**0.5, ["sqrt"]),
        (lambda x: x ** np.full(9, 0.5), ["pow"]),
        (lambda x: x**3, ["pow"]),
        (lambda x: 2.0**x, ["pow"]),
        (lambda x: ad.where(np.array(True), x, ad.exp(x)), []),
        (lambda x: ad.where(x > 0.0, x, x), []),
        (lambda x: ad.reshape(x, (9,)), []),
        (lambda x: ad.reshape(ad.reshape(x, (3, 3)), (1, 9)), ["reshape"]),
        (lambda x: ad.transpose(ad.transpose(ad.reshape(x, (3, 3)))), ["reshape"]),
        (lambda x: ad.exp(x) + ad.exp(x), ["exp", "add"]),
    ],
)
def test_a_rule(f, expected):
    assert kinds(f, SPECIAL) == expected
    program = lower(trace(f, (SPECIAL,)))
    before, after = evaluate(program, [SPECIAL]), evaluate(simplify(program, EXACT), [SPECIAL])
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(np.signbit(after[0][before[0] == 0]), np.signbit(before[0][before[0] == 0]))


def test_rules_that_change_results_must_be_asked_for():
    assert kinds(lambda x: x + 0.0, SPECIAL, rules=FAST) == []
    assert kinds(lambda x: x / 3.0, SPECIAL, rules=FAST) == ["multiply"]
    assert kinds(lambda x: x * 0.0, SPECIAL, rules=FAST) == []
    assert kinds(lambda x: x**3, SPECIAL, rules=FAST) == ["multiply", "multiply"]


@pytest.mark.parametrize("x", [np.arange(-3, 4), np.array(-2.0), -2.5])
@pytest.mark.parametrize("n", [0, 1, 2, 0.0, 1.0, 2.0, -1.0, 0.5, 3.0])
def test_powers_of_integers_and_of_single_numbers(x, n):
    with np.errstate(all="ignore"):
        program = lower(trace(lambda x: x**n, (x,)))
        (before,), (after,) = evaluate(program, [x]), evaluate(simplify(program, EXACT), [x])
    assert np.asarray(after).dtype == np.asarray(before).dtype
    np.testing.assert_array_equal(after, before)


def test_zeros_of_both_signs_are_not_one_number():
    zeros = np.array([-0.0, 0.0])
    assert kinds(lambda x: x + zeros, zeros) == ["add"]


def test_a_sum_of_one_element_stays():
    """NumPy starts a sum from 0, so that of −0 alone is 0."""
    assert kinds(lambda x: ad.sum(x, axis=1, keepdims=True), np.ones((3, 1))) == ["sum"]
    assert kinds(lambda x: ad.max(x, axis=1, keepdims=True), np.ones((3, 1))) == []


def test_a_constant_that_widens_the_shape_stays():
    assert kinds(lambda x: x * np.ones((2, 1)), SPECIAL) == ["multiply"]


def test_a_training_step_keeps_its_results():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)).astype(np.float32), rng.integers(0, 3, 8)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    opt = optim.Adam(net, lr=0.01)

    def step(x, y):
        loss = nn.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    traced = trace(step, (x, y))
    program = lower(traced)
    simple = simplify(program, EXACT)
    verify(simple)
    assert len(simple.values) < len(program.values)
    given = [x, y, *(s._value for s in traced.states)]
    for before, after in zip(evaluate(program, given), evaluate(simple, given), strict=True):
        np.testing.assert_array_equal(after, before)


OPERATIONS = [
    lambda x, c: x + c, lambda x, c: x - c, lambda x, c: c - x, lambda x, c: x * c, lambda x, c: x / c, lambda x, c: -x,
    lambda x, c: ad.square(x), lambda x, c: ad.where(x > c, x, c), lambda x, c: ad.reshape(ad.reshape(x, (3, 3)), (9,)),
    lambda x, c: x**c,
]  # fmt: skip
CONSTANTS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.25, 3.0, np.inf, np.nan]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(CONSTANTS)), min_size=1, max_size=8))
def test_any_chain_keeps_every_bit(chain):
    def f(x):
        for operation, c in chain:
            x = operation(x, c)
        return x

    program = lower(trace(f, (SPECIAL,)))
    (before,), (after,) = evaluate(program, [SPECIAL]), evaluate(simplify(program, EXACT), [SPECIAL])
    np.testing.assert_array_equal(after, before)
    numbers = ~np.isnan(before)
    np.testing.assert_array_equal(np.signbit(after[numbers]), np.signbit(before[numbers]))
