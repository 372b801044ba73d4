"""Products of bfloat16 numbers, summed in float32: as narrow hardware computes them."""

import numpy as np
import pytest

import adjoint as ad
import adjoint.compiler.simplify
from adjoint.compiler.lower import lower
from adjoint.compiler.program import MEANING
from adjoint.compiler.simplify import BFLOAT16, simplify
from adjoint.compiler.trace import trace

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(7, 33)).astype(np.float32), RNG.normal(size=(33, 5)).astype(np.float32)


def rounded(x):
    """To 8 significant bits, half to even, by arithmetic alone."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.rint(mantissa * 256) / 256, exponent).astype(np.float32)


def is_product_of_rounded(x, w, found):
    """As near to the product in higher precision as k roundings of |x|·|w| allow."""
    x, w = rounded(x).astype(float), rounded(w).astype(float)
    bound = x.shape[-1] * np.finfo(np.float32).eps * (np.abs(x) @ np.abs(w))
    assert (np.abs(found - x @ w) <= bound).all()


def test_a_product_takes_operands_of_eight_bits():
    found = ad.compile(lambda x, w: x @ w, bfloat16=True)(X, W)
    is_product_of_rounded(X, W, found)
    assert np.abs(found - X @ W).max() > 1e-4


@pytest.mark.parametrize("size", [(33,), (2, 33), (70, 33), (3, 5, 33)], ids=str)
@pytest.mark.parametrize("columns", [1, 7, 8, 65])
def test_vectors_batches_and_any_number_of_columns(size, columns):
    x, w = RNG.normal(size=size).astype(np.float32), RNG.normal(size=(33, columns)).astype(np.float32)
    is_product_of_rounded(x, w, ad.compile(lambda x, w: x @ w, bfloat16=True)(x, w))


def test_bits_do_not_depend_on_the_number_of_threads():
    x, w = RNG.normal(size=(200, 301)).astype(np.float32), RNG.normal(size=(301, 130)).astype(np.float32)
    threads, found = ad.num_threads(), []
    try:
        for count in (1, 2, 4):
            ad.set_num_threads(count)
            gradient = ad.grad(lambda x, w: ad.tanh(x @ w).sum(), argnums=(0, 1))
            found.append(ad.compile(lambda x, w, f=gradient: (x @ w, *f(x, w)), bfloat16=True)(x, w))
    finally:
        ad.set_num_threads(threads)
    is_product_of_rounded(x, w, found[0][0])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_where_the_cpu_has_no_pairs_rounded_numbers_are_multiplied_as_float32(monkeypatch):
    monkeypatch.setattr(adjoint.compiler.simplify, "has_pairs", lambda: False)
    x, w = RNG.normal(size=(41, 67)).astype(np.float32), RNG.normal(size=(67, 43)).astype(np.float32)
    plain = ad.compile(lambda x, w: x @ w)(MEANING["bfloat16"](x), MEANING["bfloat16"](w))
    np.testing.assert_array_equal(ad.compile(lambda x, w: x @ w, bfloat16=True)(x, w), plain)


def test_a_matrix_and_its_transpose_are_rounded_once(monkeypatch):
    monkeypatch.setattr(adjoint.compiler.simplify, "has_pairs", lambda: False)
    gram = simplify(lower(trace(lambda x: (x @ x.T, x.T @ x), (X,))), BFLOAT16)
    assert [value.kind for value in gram.values].count("bfloat16") == 1


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
