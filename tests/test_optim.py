"""Optimisers against their formulas in NumPy, over several steps; what a step needs and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim

W0 = np.array([1.0, -2.0, 0.5])
C = np.array([1.0, 2.0, 3.0])
STEPS = 5


def gradient(w):
    """Of Σ c w² + w."""
    return 2 * C * w + 1


def ours(make):
    w = ad.Parameter(W0, name="w")
    optimizer = make([w])
    for _ in range(STEPS):
        (C * w * w + w).sum().backward()
        optimizer.step()
    return w.value


def sgd(w, momentum=0.0, nesterov=False, decay=0.0):
    v = np.zeros_like(w)
    for _ in range(STEPS):
        before, g = v, gradient(w) + decay * w
        v = momentum * v - 0.01 * g
        w = w - momentum * before + (1 + momentum) * v if nesterov else w + v
    return w


def rmsprop(w):
    cache = np.zeros_like(w)
    for _ in range(STEPS):
        g = gradient(w)
        cache = 0.9 * cache + 0.1 * g**2
        w = w - 0.01 * g / (np.sqrt(cache) + 1e-8)
    return w


def adam(w):
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = gradient(w)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda p: optim.SGD(p, lr=0.01), sgd(W0)),
        (lambda p: optim.SGD(p, lr=0.01, momentum=0.9), sgd(W0, 0.9)),
        (lambda p: optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True), sgd(W0, 0.9, nesterov=True)),
        (lambda p: optim.SGD(p, lr=0.01, weight_decay=0.3), sgd(W0, decay=0.3)),
        (lambda p: optim.RMSprop(p, lr=0.01, decay=0.9), rmsprop(W0)),
        (lambda p: optim.Adam(p, lr=0.01), adam(W0)),
    ],
    ids=["sgd", "momentum", "nesterov", "weight decay", "rmsprop", "adam"],
)
def test_five_steps_follow_the_formula(make, expected):
    np.testing.assert_allclose(ours(make), expected, rtol=1e-13)


@pytest.mark.parametrize("make", [optim.SGD, optim.RMSprop, optim.Adam])
def test_float32_stays_float32(make):
    w = ad.Parameter(W0.astype(np.float32))
    optimizer = make([w])
    (w * w).sum().backward()
    optimizer.step()
    assert w.value.dtype == np.float32
    assert all(s.dtype == np.float32 for path, s in optimizer.state().items() if path not in ("lr", "steps"))


def test_a_step_needs_a_new_gradient():
    w = ad.Parameter(W0)
    optimizer = optim.SGD([w])
    with pytest.raises(ad.errors.GradientError, match=r"SGD.step: no parameter has a new gradient.*loss.backward\(\)"):
        optimizer.step()
    (w * w).sum().backward()
    optimizer.step()
    with pytest.raises(ad.errors.GradientError, match="no parameter has a new gradient"):
        optimizer.step()


def test_a_parameter_outside_the_loss_is_left_alone():
    w, other = ad.Parameter(W0), ad.Parameter(W0)
    optimizer = optim.SGD({"w": w, "other": other}, lr=0.1)
    (w * other).sum().backward()
    optimizer.step()
    held = other.value
    (w * w).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(other.value, held)


@pytest.mark.parametrize("make", [optim.SGD, optim.RMSprop, optim.Adam])
def test_frozen_parameters_and_their_buffers_stay(make):
    """Also where one was frozen after its gradient had come, and it moves again once it is free."""
    net = nn.Linear(3, 2)
    optimizer = make(net)
    nn.l2(net(np.ones((1, 3)))).backward()
    net.freeze("weight")
    before, bias = net.arrays(), net.bias.value
    states = {path: s.value for path, s in optimizer.state().items() if path.startswith("weight")}
    optimizer.step()
    assert np.array_equal(net.weight.value, before["weight"])
    assert (net.bias.value != bias).all()
    assert all(np.array_equal(optimizer.state()[path].value, value) for path, value in states.items())
    net.unfreeze("weight")
    nn.l2(net(np.ones((1, 3)))).backward()
    optimizer.step()
    assert (net.weight.value != before["weight"]).all()


def test_what_was_recorded_keeps_the_old_value():
    w = ad.Parameter(W0)
    optimizer = optim.SGD([w], lr=0.1)
    loss = (w * w).sum()
    loss.backward()
    optimizer.step()
    loss.backward()
    np.testing.assert_allclose(w.grad, 2 * W0)


def test_the_learning_rate_is_a_state():
    w = ad.Parameter(1.0)
    optimizer = optim.SGD([w], lr=0.1)
    optimizer.lr.assign(0.5)
    (w * w).backward()
    optimizer.step()
    assert w.item() == 0.0
    assert list(optim.SGD({"w": w}, momentum=0.9).state()) == ["lr", "steps", "w.velocity"]
    assert list(optim.Adam({"w": w}).state()) == ["lr", "steps", "w.first", "w.second"]


def test_micro_batches_add_up_to_the_batch():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 3)), rng.integers(0, 2, 8)
    whole, parts = (nn.Linear(3, 2, dtype="float64") for _ in range(2))
    nn.cross_entropy(whole(x), y).backward()
    for i, rows in enumerate(np.split(np.arange(8), 4)):
        (nn.cross_entropy(parts(x[rows]), y[rows]) / 4).backward(accumulate=i > 0)
    for path, p in whole.parameters().items():
        np.testing.assert_allclose(parts.parameters()[path].grad, p.grad, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: optim.SGD([ad.Parameter(1.0)], lr=0.0), "expected a positive lr, got 0.0"),
        (lambda: optim.SGD([ad.Parameter(1.0)], lr=float("nan")), "expected a positive lr, got nan"),
        (lambda: optim.SGD([ad.Parameter(1.0)], momentum=1.0), "expected momentum from 0 to below 1, got 1.0"),
        (lambda: optim.SGD([ad.Parameter(1.0)], weight_decay=-0.1), "expected weight_decay from 0 on, got -0.1"),
        (lambda: optim.Adam([ad.tensor(1.0)]), "expected a module or Parameters, got Tensor"),
        (lambda: optim.Adam([]), "expected at least one Parameter, got none"),
        (lambda: optim.Adam(3), "expected a module or Parameters, got int"),
    ],
)
def test_settings_that_are_none(make, said):
    with pytest.raises(ad.AdjointError, match=said):
        make()


# --- beside compiled functions ----------------------------------------------------------------------------------------


def compiled_step(w, optimizer):
    @ad.compile
    def step(x):
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_a_gradient_that_a_compiled_step_dropped_is_not_used():
    w = ad.Parameter(np.ones(2), name="w")
    optimizer = optim.SGD([w], lr=0.1)
    compiled_step(w, optimizer)(np.ones(2))
    with pytest.raises(ad.errors.GradientError, match="no parameter has a new gradient"):
        optimizer.step()
    (w * 2.0).sum().backward(accumulate=True)
    np.testing.assert_array_equal(w.grad, [2.0, 2.0])


def test_a_gradient_from_outside_is_refused_in_a_compiled_step():
    """It would be the same one at every call."""
    w = ad.Parameter(np.ones(2), name="w")
    optimizer = optim.SGD([w], lr=0.1)
    w.sum().backward()
    with pytest.raises(ad.errors.TraceError, match="a gradient from outside would be the same at every call"):
        ad.compile(optimizer.step)()
    np.testing.assert_array_equal(w.value, [1.0, 1.0])
    np.testing.assert_array_equal(w.grad, [1.0, 1.0])


def test_compiled_micro_batches_add_up():
    w, x = ad.Parameter(np.array([1.0, -2.0]), name="w"), np.array([[1.0, 2.0], [3.0, 5.0]])

    def gradient(x):
        for i in range(2):
            (w * x[i]).sum().backward(accumulate=i > 0)
        return w.grad

    np.testing.assert_array_equal(np.asarray(ad.compile(gradient)(x)), x.sum(axis=0))

    def lost(x):
        (w * x[0]).sum().backward(accumulate=True)
        return w.grad

    w.sum().backward()
    with pytest.raises(ad.errors.TraceError, match=r"add to a gradient of w from outside.*without accumulate"):
        ad.compile(lost)(x)
    np.testing.assert_array_equal(w.grad, [1.0, 1.0])


def test_a_state_is_assigned_to_another_one_in_a_compiled_function():
    a, b = ad.State(np.arange(2.0), name="a"), ad.State(np.array([5.0, 6.0]), name="b")

    @ad.compile
    def copy():
        a.assign(b)
        return a * 2.0

    np.testing.assert_array_equal(np.asarray(copy()), [10.0, 12.0])
    np.testing.assert_array_equal(a.value, [5.0, 6.0])
