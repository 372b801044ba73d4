"""Products of bfloat16 numbers, summed in float32: as narrow hardware computes them."""

import numpy as np

import adjoint as ad
from adjoint.compiler.program import MEANING

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(7, 33)).astype(np.float32), RNG.normal(size=(33, 5)).astype(np.float32)


def rounded(x):
    """To 8 significant bits, half to even, by arithmetic alone."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 256) / 256, exponent).astype(np.float32)


def test_a_product_takes_operands_of_eight_bits():
    found = ad.compile(lambda x, w: x @ w, bfloat16=True)(X, W)
    exact = rounded(X).astype(float) @ rounded(W).astype(float)
    scale = np.abs(rounded(X)).astype(float) @ np.abs(rounded(W)).astype(float)
    assert (np.abs(found - exact) <= 33 * np.finfo(np.float32).eps * scale).all()
    assert np.abs(found - X @ W).max() > 1e-4


def test_only_products_are_rounded():
    plain = ad.compile(lambda x: ad.exp(x) * 3.0)(X)
    np.testing.assert_array_equal(ad.compile(lambda x: ad.exp(x) * 3.0, bfloat16=True)(X), plain)
    wide = X.astype(np.float64)
    np.testing.assert_allclose(ad.compile(lambda x: x @ x.T, bfloat16=True)(wide), wide @ wide.T, rtol=1e-13)


def test_gradients_are_products_too():
    found = ad.compile(ad.grad(lambda x, w: (x @ w).sum(), argnums=1), bfloat16=True)(X, W)
    exact = rounded(X).astype(float).T @ np.ones((7, 5))
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    w = ad.Parameter(W)
    ad.compile(lambda x: (x @ w).sum(), bfloat16=True)(X).backward()
    np.testing.assert_allclose(w.grad, exact, rtol=1e-5)


def test_the_rounding_itself():
    """Halves to even, NaN, infinities, signed zeros, numbers that round up to infinity."""
    tiny = np.array([1.0 + 2**-8, 1.0 + 3 * 2**-8, 1.0 + 2**-8 + 2**-20], np.float32)
    np.testing.assert_array_equal(MEANING["bfloat16"](tiny), [1.0, 1.0 + 2**-6, 1.0 + 2**-7])
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 3.4e38], np.float32)
    with np.errstate(all="ignore"):
        expected = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, np.inf], np.float32)
    np.testing.assert_array_equal(MEANING["bfloat16"](special), expected)
    eye = np.eye(6, dtype=np.float32)
    finite = np.where(np.isfinite(special), special, 1.0).astype(np.float32)
    native = ad.compile(lambda x, y: x @ y, bfloat16=True)(np.diag(finite), eye)
    np.testing.assert_array_equal(np.diag(native), MEANING["bfloat16"](finite))
