"""Random draws: pure functions of seed and draw number, of the promised distribution, recorded like any other op."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.ops.samples import DRAWS, abstract

import adjoint as ad

GENERATOR: dict[str, Any] = {
    "uniform": lambda rng: rng.uniform((3, 2)),
    "bounds": lambda rng: rng.uniform((3,), -1.0, 2.0),
    "normal": lambda rng: rng.normal((4,)),
    "float32": lambda rng: rng.normal((4,), dtype="float32"),
    "scalar": lambda rng: rng.normal(),
    "int": lambda rng: rng.uniform(5),
    "empty": lambda rng: rng.normal((0, 3)),
    "bernoulli": lambda rng: rng.bernoulli(0.3, (6,)),
    "integers": lambda rng: rng.integers(-3, 4, (5,)),
    "permutation": lambda rng: rng.permutation(7),
}
draws = pytest.mark.parametrize("draw", GENERATOR.values(), ids=GENERATOR.keys())


@draws
def test_same_seed_same_numbers(draw: Any) -> None:
    a, b, other = ad.random.Generator(5), ad.random.Generator(5), ad.random.Generator(6)
    first, second = draw(a), draw(a)
    np.testing.assert_array_equal(first.value, draw(b).value, strict=True)
    np.testing.assert_array_equal(second.value, draw(b).value, strict=True)
    if first.size > 3:
        assert not np.array_equal(first.value, second.value)
        assert not np.array_equal(first.value, draw(other).value)


@draws
def test_a_draw_is_a_constant_and_moves_the_counter(draw: Any) -> None:
    rng = ad.random.Generator(1)
    assert int(rng.counter.value) == 0
    drawn = draw(rng)
    assert int(rng.counter.value) == 1
    assert type(drawn) is ad.Constant
    with pytest.raises(ad.errors.GradientError, match="no gradient"):
        drawn.sum().backward()


def test_the_counter_is_state_that_can_be_put_back() -> None:
    rng = ad.random.Generator(1)
    rng.normal((3,))
    kept = rng.counter.value.copy()
    first = rng.normal((3,)).value
    rng.counter.assign(kept)
    np.testing.assert_array_equal(rng.normal((3,)).value, first)


def test_a_recorded_draw_replays() -> None:
    """A draw depends on the number that the counter had, not on the generator of today."""
    x = ad.tensor(2.0, name="x")
    rng = ad.random.Generator(3)
    y = x * rng.normal((4,))
    rng.normal((4,))
    np.testing.assert_array_equal(y.graph.forward({"x": 2.0}).output.value, y.value)


def test_gradient_of_scale_and_shift() -> None:
    mu, sigma = ad.tensor(1.0), ad.tensor(2.0)
    noise = ad.random.Generator(0).normal((5,))
    (mu + sigma * noise).sum().backward()
    assert mu.grad is not None
    assert sigma.grad is not None
    assert mu.grad.item() == 5.0
    np.testing.assert_allclose(sigma.grad, noise.value.sum())


def test_distributions() -> None:
    """Kolmogorov-Smirnov and χ² against the promised distributions; the seed is fixed, so nothing flickers."""
    rng, n = ad.random.Generator(12), 20_000
    assert stats.kstest(rng.uniform((n,)).value, "uniform").pvalue > 0.01
    assert stats.kstest(rng.uniform((n,), -1.0, 3.0).value, "uniform", (-1.0, 4.0)).pvalue > 0.01
    normal = rng.normal((n,)).value
    assert stats.kstest(normal, "norm").pvalue > 0.01
    assert abs(normal.mean()) < 3.0 / np.sqrt(n)
    assert abs(normal.var() - 1.0) < 3.0 * np.sqrt(2.0 / n)
    assert stats.chisquare(np.bincount(rng.integers(0, 6, (n,)).value)).pvalue > 0.01
    assert abs(rng.bernoulli(0.3, (n,)).value.mean() - 0.3) < 3.0 * np.sqrt(0.21 / n)
    places = np.array([rng.permutation(4).value for _ in range(2000)])
    assert all(stats.chisquare(np.bincount(column)).pvalue > 0.001 for column in places.T)
    assert all(sorted(row) == [0, 1, 2, 3] for row in places.tolist())


def test_consecutive_draws_and_seeds_are_unrelated() -> None:
    rng = ad.random.Generator(0)
    draws = [rng.normal((500,)) for _ in range(20)] + [ad.random.Generator(s).normal((500,)) for s in range(1, 20)]
    rows = np.array([drawn.value for drawn in draws])
    correlation = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlation).max() < 5.0 / np.sqrt(500)


def test_bounds_and_shapes() -> None:
    rng = ad.random.Generator(0)
    uniform, whole = rng.uniform((1000,), 2.0, 3.0).value, rng.integers(-2, 1, (1000,)).value
    assert uniform.min() >= 2.0
    assert uniform.max() < 3.0
    assert set(whole.tolist()) == {-2, -1, 0}
    assert whole.dtype == np.int64
    assert rng.permutation(0).shape == (0,)


@pytest.mark.parametrize("op", DRAWS.values(), ids=DRAWS.keys())
def test_shape_rule(op: Any) -> None:
    from tests.ops.samples import Sample

    params = {"low": 0, "high": 3, "shape": (2, 3), "n": 4, "seed": 7}
    sample = Sample(op, (np.uint64(0),), {n: params[n] for n in op.signature.params})
    drawn, said = sample.call(), abstract(sample)
    assert (drawn.shape, drawn.dtype) == (said.shape, said.dtype)
    assert op.nondiff is not None


@pytest.mark.parametrize("seed", [-1, 2**128, 1.5, "a"])
def test_seeds_that_are_none(seed: Any) -> None:
    with pytest.raises(ad.errors.DTypeError, match="expected a seed from 0 to"):
        ad.random.Generator(seed)


def test_the_whole_range_of_seeds() -> None:
    low, high = ad.random.Generator(1), ad.random.Generator(1 + 2**64)
    assert low.normal().item() != high.normal().item()
    assert np.isfinite(ad.random.Generator(2**128 - 1).normal().item())
