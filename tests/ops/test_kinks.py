"""Where a derivative jumps, overflows or meets infinity: the declared value, never a NaN out of 0 · ∞."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.ops.samples import ELEMENTWISE, OPS

import adjoint as ad
from adjoint.op import Kink

KINKS = [(op, kink) for op in ELEMENTWISE.values() for kink in op.kinks]
kinks = pytest.mark.parametrize(("op", "kink"), KINKS, ids=[f"{op.name}-{i}" for i, (op, _) in enumerate(KINKS)])


def leaves_of(kink: Kink, made: Callable[[float], Any]) -> list[Any]:
    """Tensors where a gradient is declared, plain constants where it is None."""
    return [made(x) if g is not None else x for x, g in zip(kink.inputs, kink.gradient, strict=True)]


@pytest.mark.parametrize(
    "made",
    [ad.tensor, lambda x: ad.tensor(np.array(x)), lambda x: ad.tensor(np.full((2, 1), x, np.float32))],
    ids=["scalar", "0-d", "array"],
)
@kinks
def test_declared_gradient(op: Any, kink: Kink, made: Callable[[float], Any]) -> None:
    xs = leaves_of(kink, made)
    out = op(*xs)
    out.backward(np.full(out.shape, 3.0))
    for x, g in zip(xs, kink.gradient, strict=True):
        if g is not None:
            np.testing.assert_allclose(x.grad, np.full(x.shape, 3.0 * g), rtol=1e-7)


@kinks
def test_declared_gradient_by_transforms(op: Any, kink: Kink) -> None:
    """`grad` and `jvp` agree with `backward`, also nested in another transform."""
    active = [i for i, g in enumerate(kink.gradient) if g is not None]
    primals = tuple(kink.inputs[i] for i in active)

    def f(*given: Any) -> Any:
        known = dict(zip(active, given, strict=True))
        return op(*(known.get(i, x) for i, x in enumerate(kink.inputs)))

    numbers = tuple(range(len(active)))
    expected = tuple(kink.gradient[i] for i in active)
    assert ad.grad(f, numbers)(*primals) == expected
    assert ad.jvp(f, primals, tuple(1.0 for _ in primals))[1] == pytest.approx(sum(expected))
    _, nested = ad.vjp(ad.grad(f, numbers), *primals)
    assert not any(math.isnan(g) for g in nested(expected))


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE.values() if op.kink], ids=lambda op: op.name)
def test_every_kink_has_a_sample(op: Any) -> None:
    assert op.kinks


@pytest.mark.parametrize("op", [ad.max, ad.min], ids=["max", "min"])
def test_ties_over_an_axis_share(op: Any) -> None:
    x = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]]) * (1.0 if op is ad.max else -1.0)
    out, pull = ad.vjp(lambda x: op(x, axis=1), x)
    np.testing.assert_allclose(pull(np.array([6.0, 6.0]))[0], [[3.0, 3.0, 0.0], [2.0, 2.0, 2.0]])
    assert out.shape == (2,)


MASKS: dict[str, tuple[Callable[..., Any], list[float], list[float]]] = {
    "relu": (ad.relu, [-1.0, 0.0, 2.0], [0.0, 0.0, math.inf]),
    "max with 0": (lambda x: ad.maximum(x, 0.0), [-1.0, 0.0, 2.0], [0.0, 0.0, math.inf]),
    "min with 0": (lambda x: ad.minimum(x, 0.0), [-1.0, 0.0, 2.0], [math.inf, 0.0, 0.0]),
    "max of two": (lambda x: ad.maximum(x, 2.0 * x), [-1.0, 2.0], [math.inf, math.inf]),
    "where": (lambda x: ad.where(x > 0.0, x, 0.0), [-1.0, 2.0], [0.0, math.inf]),
    "clip": (lambda x: ad.clip(x, -1.0, 1.0), [-3.0, 0.5, 3.0], [0.0, math.inf, 0.0]),
    "leaky relu": (ad.leaky_relu, [-1.0, 2.0], [math.inf, math.inf]),
    "leaky relu, slope 0": (lambda x: ad.leaky_relu(x, 0.0), [2.0], [math.inf]),
    "elu": (ad.elu, [-1.0, 2.0], [math.inf, math.inf]),
    "abs": (ad.abs, [-1.0, 0.0, 2.0], [-math.inf, 0.0, math.inf]),
    "sign": (ad.sign, [-1.0, 2.0], [0.0, 0.0]),
    "max over an axis": (lambda x: ad.max(x, axis=0, keepdims=True), [-1.0, 0.0, 2.0], [0.0, 0.0, math.inf]),
}


@pytest.mark.parametrize("name", MASKS)
def test_infinite_upstream_through_a_mask(name: str) -> None:
    f, xs, expected = MASKS[name]
    for dtype in (np.float32, np.float64):
        t = ad.tensor(np.array(xs, dtype))
        out = f(t)
        out.backward(np.full(out.shape, math.inf))
        np.testing.assert_array_equal(t.grad, np.array(expected, dtype))


@pytest.mark.parametrize("name", [name for name in MASKS if "axis" not in name])
def test_infinite_upstream_through_a_mask_of_scalars(name: str) -> None:
    f, xs, expected = MASKS[name]
    for x, g in zip(xs, expected, strict=True):
        t = ad.tensor(x)
        f(t).backward(math.inf)
        assert t.grad is not None
        assert t.grad.item() == g


@pytest.mark.parametrize("name", ["elu", "sigmoid", "softplus", "tanh", "relu", "leaky_relu"])
@pytest.mark.parametrize("x", [800.0, -800.0, 40.0, -40.0])
def test_derivatives_of_extremes_are_finite(name: str, x: float) -> None:
    for order in range(4):
        f: Any = OPS[name]
        for _ in range(order):
            f = ad.grad(f)
        assert math.isfinite(f(x)), f"derivative of order {order}"
        assert np.all(np.isfinite(f(np.float64(x))))


@pytest.mark.parametrize("x", [[800.0, -800.0], [-800.0, -800.0], [1e4, 1e4, 0.0]])
def test_logsumexp_of_extremes(x: list[float]) -> None:
    point = np.array(x)
    gradient, hessian = ad.grad(ad.logsumexp)(point), np.asarray(ad.hessian(ad.logsumexp)(point))
    share = np.exp(point - point.max()) / np.exp(point - point.max()).sum()
    np.testing.assert_allclose(gradient, share, atol=1e-15)
    np.testing.assert_allclose(hessian, np.diag(share) - np.outer(share, share), atol=1e-15)


def test_logsumexp_of_a_row_of_minus_infinity() -> None:
    x = np.array([[-math.inf, -math.inf], [0.0, -math.inf]])
    with np.errstate(divide="ignore"):
        out, pull = ad.vjp(lambda x: ad.logsumexp(x, axis=1), x)
    np.testing.assert_array_equal(out, [-math.inf, 0.0])
    np.testing.assert_array_equal(pull(np.ones(2))[0], [[0.0, 0.0], [1.0, 0.0]])


def test_power_at_its_corners() -> None:
    """Exponents 0, 1 and 2 at the base 0: no 0 · ∞, neither for the base nor for the exponent."""
    for exponent, expected in ((0.0, 0.0), (1.0, 1.0), (2.0, 0.0)):
        for made in (float, np.array):
            dx, dy = ad.grad(ad.power, (0, 1))(made(0.0), made(exponent))
            assert (float(dx), float(dy)) == (expected, 0.0)
    for exponent in (0.0, 1.0):
        for x in (0.0, np.zeros(())):
            assert ad.grad(ad.grad(lambda x, y=exponent: ad.power(x, y)))(x) == 0.0
    second = ad.grad(ad.grad(lambda x: x**2.0))
    assert second(0.0) == 2.0
    assert ad.grad(second)(0.0) == 0.0


def test_nan_stays_nan() -> None:
    """A NaN is never hidden by the other input or the other branch."""
    for op in (ad.maximum, ad.minimum):
        for pair in ((math.nan, 1.0), (1.0, math.nan)):
            assert math.isnan(op(*map(ad.tensor, pair)).item())
            assert math.isnan(op(*map(np.array, pair)))
    for name in ("relu", "elu", "leaky_relu", "sigmoid", "softplus", "tanh", "clip", "abs", "exp", "sign", "floor"):
        assert math.isnan(OPS[name](ad.tensor(math.nan)).item()), name
        assert np.isnan(OPS[name](np.array([math.nan]))).all(), name
