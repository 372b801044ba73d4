"""When a compiled function agrees with the function itself: the same kinds, shapes and dtypes, values to rounding.

`assert_near` asks for so many ulp of the largest number. `errors_of` says for each element how far two right results
may lie apart, by what conditioning makes of rounding errors on the way, and `assert_within` holds results to that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optree
from tests.compiler.harness import expected

from adjoint.compiler.compiled import Compiled
from adjoint.compiler.compiled import compile as compiled
from adjoint.compiler.lower import lower
from adjoint.compiler.trace import trace
from adjoint.tensor import Tensor


def value_of(x: Any) -> Any:
    """The number or array behind a result."""
    return x.value if isinstance(x, Tensor) else x


def assert_agree(got: Any, wanted: Any, *, ulps: float = 64.0) -> None:
    """Raise unless two results have the same structure, kinds of leaves, shapes and dtypes, and values to rounding."""
    leaves, recipe = optree.tree_flatten(got)
    expected, wanted_recipe = optree.tree_flatten(wanted)
    assert recipe == wanted_recipe
    for x, y in zip(leaves, expected, strict=True):
        assert isinstance(x, Tensor) == isinstance(y, Tensor), (x, y)
        assert_near(value_of(x), value_of(y), ulps=ulps)


def assert_near(x: Any, y: Any, *, ulps: float = 64.0) -> None:
    """Raise unless two arrays have one shape and dtype and agree to some ulp of their largest number."""
    a, b = np.asarray(x), np.asarray(y)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(a, b)
        return
    finite = np.abs(b[np.isfinite(b)]).astype(np.float64)
    size = float(finite.max()) if finite.size else 0.0
    np.testing.assert_allclose(a, b, rtol=0.0, atol=ulps * float(np.finfo(b.dtype).eps) * size)


def errors_of(f: Any, *args: Any) -> list[Any]:
    """How far each result of a function of arrays may be from its own, element by element, as `expected` counts.

    An elementary function is off by up to 4 ulp; a sum of n terms by (n − 1) · eps · Σ |term|, a product of matrices by
    twice that; and each passes on what the errors of its operands make of it. 1 is the error of a bool that may turn.
    """
    traced = trace(f, args)
    return [x.error for x in expected(lower(traced), [np.asarray(x) for x in args])]


def assert_within(got: Any, wanted: Any, error: Any) -> None:
    """Raise unless both are of one kind, shape and dtype, and no further apart than the error; NaN is NaN."""
    assert (type(got) is float) == (type(wanted) is float), (got, wanted)
    a, b = np.asarray(got), np.asarray(wanted)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    with np.errstate(all="ignore"):
        near = np.abs(a.astype(np.float64) - b.astype(np.float64)) <= error
    right = near | (a == b) | ((a != a) & (b != b)) | np.isinf(error) | np.isnan(error)
    assert right.all(), f"got {a[~right]}, expected {b[~right]} ± {np.broadcast_to(error, a.shape)[~right]}"


def assert_bits(x: Any, y: Any) -> None:
    """Raise unless two arrays have the same bytes, also those of NaN and −0."""
    a, b = np.asarray(x), np.asarray(y)
    assert (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())


def both(f: Any, *args: Any, **settings: Any) -> tuple[Any, Any]:
    """What a function returns compiled and as it is."""
    return compiled(f)(*args, **settings), f(*args, **settings)


def agree(f: Any, *args: Any, **settings: Any) -> Compiled:
    """Check a function of plain arguments, three calls of one compiled function: the first, then two found ones."""
    own = compiled(f)
    for _ in range(3):
        with np.errstate(all="ignore"):
            assert_agree(own(*args, **settings), f(*args, **settings))
    assert len(own.variants) == 1
    return own
