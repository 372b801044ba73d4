"""Dropout: how much is dropped, what stays, and when."""

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, train
from adjoint.errors import AdjointError

ONES = np.ones((200, 500))


def layer(p, seed=0):
    return nn.Dropout(p, rng=ad.random.Generator(seed))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_scale_and_mean(p):
    """Of 100,000 ones: a share p is 0, within four standard errors, the others 1 / (1 − p), the mean 1."""
    out = np.asarray(layer(p)(ONES))
    error = np.sqrt(p * (1 - p) / out.size)
    assert np.mean(out == 0) == pytest.approx(p, abs=4 * error)
    np.testing.assert_allclose(out[out != 0], 1 / (1 - p), rtol=1e-12)
    assert out.mean() == pytest.approx(1, abs=4 * error / (1 - p))


def test_rows_and_columns_are_dropped_independently():
    kept = np.asarray(layer(0.5)(ONES)) != 0
    for axis, n in ((0, 200), (1, 500)):
        assert kept.mean(axis=axis).std() == pytest.approx(0.5 / np.sqrt(n), rel=0.2)


def test_the_gradient_flows_where_values_do():
    x = ad.tensor(np.full((20, 30), 3.0))
    out = layer(0.25)(x)
    out.sum().backward()
    np.testing.assert_allclose(x.grad, out.value / 3.0, rtol=1e-12)
    assert set(np.unique(out.value == 0)) == {True, False}


def test_in_evaluation_it_passes_everything_on():
    dropout, x = layer(0.5).eval(), ad.tensor(ONES)
    assert dropout(x) is x
    assert int(dropout.rng.counter.value) == 0, "no number is drawn"
    dropout.train()
    assert dropout(x) is not x


def test_nothing_to_drop():
    x = ad.tensor(ONES)
    assert layer(0.0)(x) is x


def test_a_seed_settles_the_masks_and_each_call_has_its_own():
    first, again, other = layer(0.5, 1), layer(0.5, 1), layer(0.5, 2)
    masks = [[np.asarray(d(ONES[:5])) for _ in range(2)] for d in (first, again, other)]
    assert np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0][0], masks[0][1])
    assert not np.array_equal(masks[0][0], masks[2][0])


def test_two_layers_of_one_generator_have_masks_of_their_own():
    rng = ad.random.Generator(0)
    first, second = nn.Dropout(0.5, rng=rng), nn.Dropout(0.5, rng=rng)
    assert not np.array_equal(np.asarray(first(ONES)), np.asarray(second(ONES)))


def test_infinity_and_nan_that_are_dropped_leave_no_trace():
    """0 · ∞ would be NaN."""
    x = np.full(100, np.inf)
    assert set(np.asarray(layer(0.5)(x)).tolist()) == {0.0, np.inf}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_stays(dtype):
    x = ad.tensor(ONES[:3].astype(dtype))
    out = layer(0.3)(x)
    out.sum().backward()
    assert (out.dtype, x.grad.dtype) == (dtype, dtype)
    assert np.asarray(layer(0.3)(ONES[:3].astype(dtype))).dtype == dtype


def test_predictions_do_not_depend_on_chance():
    net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    x = np.ones((5, 3))
    assert np.array_equal(train.predict(net, x), train.predict(net, x))
    assert not np.array_equal(net(x).value, net(x).value)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_a_probability_that_is_none(p):
    with pytest.raises(AdjointError, match=rf"Dropout: expected a probability from 0 to below 1, got p={p}, at "):
        nn.Dropout(p)


def test_its_repr():
    assert repr(nn.Dropout(0.25)) == "Dropout(0.25)"
