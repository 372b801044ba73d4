"""Layers against NumPy by hand: linear, maxout, activations, dropout, initialisers."""

from __future__ import annotations

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn

X = np.random.default_rng(0).standard_normal((5, 3))


def test_linear_is_a_product_and_a_bias():
    layer = nn.Linear(3, 2, dtype="float64")
    layer.bias.assign([1.0, -1.0])
    np.testing.assert_allclose(layer(X).value, X @ layer.weight.value + [1.0, -1.0])
    ad.gradcheck(lambda n, x: (n(x) ** 2).sum(), layer, X, order=2)


def test_linear_takes_stacks_and_single_rows():
    layer = nn.Linear(3, 2)
    assert layer(np.ones((4, 5, 3))).shape == (4, 5, 2)
    assert layer(np.ones(3)).shape == (2,)


@pytest.mark.parametrize("x", [X, (X * 10).astype(int), X.tolist(), ad.tensor(X)])
def test_inputs_are_cast_to_the_dtype_of_the_layer(x):
    assert nn.Linear(3, 2)(x).dtype == np.float32


def test_a_gradient_flows_back_through_the_cast():
    x = ad.tensor(X)
    nn.Linear(3, 2)(x).sum().backward()
    assert x.grad.dtype == np.float64


def test_text_is_refused():
    with pytest.raises(ad.errors.DTypeError, match="Linear: expected real numbers"):
        nn.Linear(3, 2)(np.array([["a", "b", "c"]]))


def test_maxout_is_the_largest_piece():
    layer = nn.Maxout(3, 2, pieces=4, dtype="float64")
    layer.bias.assign(np.random.default_rng(1).standard_normal((4, 1, 2)))
    by_hand = np.max([X @ w + b for w, b in zip(layer.weight.value, layer.bias.value, strict=True)], axis=0)
    np.testing.assert_allclose(layer(X).value, by_hand)
    ad.gradcheck(lambda n, x: (n(x) ** 2).sum(), layer, X)


@pytest.mark.parametrize(
    ("layer", "by_hand"),
    [
        (nn.ReLU(), np.maximum(X, 0)),
        (nn.Sigmoid(), 1 / (1 + np.exp(-X))),
        (nn.Tanh(), np.tanh(X)),
        (nn.LeakyReLU(0.2), np.where(X > 0, X, 0.2 * X)),
        (nn.ELU(0.7), np.where(X > 0, X, 0.7 * (np.exp(X) - 1))),
    ],
    ids=lambda x: repr(x) if isinstance(x, nn.Module) else "",
)
def test_activations(layer, by_hand):
    np.testing.assert_allclose(layer(ad.tensor(X)).value, by_hand, rtol=1e-12)


def test_dropout_drops_a_share_and_keeps_the_mean():
    layer = nn.Dropout(0.25, rng=ad.random.Generator(3))
    x = ad.tensor(np.ones(40_000))
    y = layer(x)
    dropped = y.value == 0.0
    assert dropped.mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(y.value[~dropped], 1 / 0.75)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.value)
    assert (layer(x).value != y.value).any(), "every call draws a mask of its own"
    assert layer.eval()(x) is x


def test_dropout_is_reproducible_and_keeps_float32():
    x = ad.tensor(np.ones(100, np.float32))
    first, second = (nn.Dropout(0.5, rng=ad.random.Generator(7))(x) for _ in range(2))
    np.testing.assert_array_equal(first.value, second.value)
    assert first.dtype == np.float32


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_probability_that_is_none(p):
    with pytest.raises(ad.AdjointError, match="expected a probability from 0 to below 1"):
        nn.Dropout(p)


@pytest.mark.parametrize(("init", "variance"), [(nn.init.he, 2 / 300), (nn.init.xavier, 2 / 500)])
def test_initial_weights_have_their_spread(init, variance):
    w = init(ad.random.Generator(0), (300, 200))
    assert w.dtype == np.float32
    assert w.mean() == pytest.approx(0.0, abs=1e-3)
    assert w.var() == pytest.approx(variance, rel=0.02)


def test_an_initialiser_by_name_or_function():
    np.testing.assert_array_equal(
        nn.Linear(2, 2, init=lambda rng, shape, dtype: np.ones(shape, dtype)).weight.value, 1.0
    )
    assert (nn.Linear(9, 9, init="he").weight.value != nn.Linear(9, 9, init="xavier").weight.value).all()
    with pytest.raises(ad.AdjointError, match="expected 'he' or 'xavier' or a function, got 'zeros'"):
        nn.Linear(2, 2, init="zeros")
