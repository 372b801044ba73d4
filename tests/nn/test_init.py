"""Initialisers: how far their numbers spread, and that signals then neither die out nor blow up."""

import numpy as np
import pytest
from scipy import stats

import adjoint as ad
from adjoint import nn
from adjoint.nn import init

SHAPE = (300, 200)
SPREADS = {"he": (init.he, np.sqrt(2 / 300)), "xavier": (init.xavier, np.sqrt(2 / 500))}


@pytest.mark.parametrize("name", SPREADS)
def test_spread_and_distribution(name):
    """60,000 numbers: the mean within 4 of its standard errors, the spread within 2 %, normal by Kolmogorov's test."""
    make, spread = SPREADS[name]
    numbers = np.asarray(make(ad.random.Generator(0), SHAPE, "float64")).ravel()
    assert abs(numbers.mean()) < 4 * spread / np.sqrt(numbers.size)
    assert numbers.std() == pytest.approx(spread, rel=0.02)
    assert stats.kstest(numbers / spread, "norm").pvalue > 0.001


@pytest.mark.parametrize("name", SPREADS)
def test_dtype_shape_and_seed(name):
    make = SPREADS[name][0]
    first, again, other = (make(ad.random.Generator(seed), (4, 3)) for seed in (1, 1, 2))
    assert (first.dtype, first.shape) == (np.float32, (4, 3))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert make(ad.random.Generator(0), (0, 3)).shape == (0, 3)


def spread_after(layers, activation, init):
    rng = ad.random.Generator(0)
    x = np.random.default_rng(0).normal(size=(200, 100)).astype(np.float32)
    net = nn.Sequential(
        *(layer for _ in range(layers) for layer in (nn.Linear(100, 100, init=init, rng=rng), activation))
    )
    return float(np.sqrt(np.mean(np.square(net(x).value))))


def test_signals_stay_alive_over_ten_layers():
    """He for rectifiers keeps the root mean square near its start; Xavier there loses a factor of √2 in every layer."""
    he, xavier = spread_after(10, nn.ReLU(), "he"), spread_after(10, nn.ReLU(), "xavier")
    assert 0.4 < he < 2.5
    assert xavier == pytest.approx(he * 2**-5, rel=0.05)
    assert 0.1 < spread_after(10, nn.Tanh(), "xavier") < 1
