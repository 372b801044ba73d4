"""Plain functions of ops: no rule of their own, their gradients follow; and new tensors without a history."""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.leaves import constant
from adjoint.ops.elementwise.arithmetic import square
from adjoint.ops.elementwise.exponential import exp
from adjoint.ops.reduce import logsumexp, mean
from adjoint.tensor import Tensor


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Logarithm of the softmax, which does not overflow.

    out = x − log Σ e^xⱼ

    Example
    -------
    >>> import adjoint as ad
    >>> ad.log_softmax([0.0, 0.0])
    array([-0.69314718, -0.69314718])

    Source: CS231n 2017, lecture 3, "softmax classifier".
    """
    return x - logsumexp(x, axis=axis, keepdims=True)


def softmax(x: Any, axis: int = -1) -> Any:
    """Positive numbers that sum to 1 along an axis, in proportion to the exponentials.

    out = e^xᵢ / Σ e^xⱼ

    Example
    -------
    >>> import adjoint as ad
    >>> ad.softmax([0.0, 0.0, 1000.0])
    array([0., 0., 1.])

    Source: CS231n 2017, lecture 3, "softmax classifier".
    """
    return exp(log_softmax(x, axis))


def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Variance: the mean squared distance from the mean (of n, not n − 1).

    out = Σ (xᵢ − mean x)² / n

    Example
    -------
    >>> import adjoint as ad
    >>> float(ad.var([1.0, 3.0]))
    1.0
    """
    return mean(square(x - mean(x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation, the root of the variance; its gradient is infinite where the variance is 0.

    out = √var(x)

    Example
    -------
    >>> import adjoint as ad
    >>> float(ad.std([1.0, 3.0]))
    1.0
    """
    from adjoint.ops.elementwise.arithmetic import sqrt

    return sqrt(var(x, axis=axis, keepdims=keepdims))


def asarray(x: Any, dtype: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor as it is (in another dtype, if one is given); anything else as a constant (array API)."""
    from adjoint.ops.shape import astype

    if isinstance(x, Tensor):
        return x if dtype is None or x.dtype == np.dtype(dtype) else astype(x, dtype)
    return constant(x, dtype=dtype)


def zeros(shape: Any, dtype: Any = np.float64) -> Tensor:
    """A constant of zeros."""
    return constant(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = np.float64) -> Tensor:
    """A constant of ones."""
    return constant(np.ones(shape, dtype))


def full(shape: Any, value: Any, dtype: Any = None) -> Tensor:
    """A constant with one value everywhere."""
    return constant(np.full(shape, value, dtype))


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """A constant of zeros in the shape of another tensor."""
    return zeros(np.shape(x) if not isinstance(x, Tensor) else x.shape, dtype or _dtype_of(x))


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """A constant of ones in the shape of another tensor."""
    return ones(np.shape(x) if not isinstance(x, Tensor) else x.shape, dtype or _dtype_of(x))


def _dtype_of(x: Any) -> Any:
    return x.dtype if isinstance(x, Tensor) else np.asarray(x).dtype


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """A constant of evenly spaced numbers with a given step."""
    bounds = (start,) if stop is None else (start, stop, step)
    return constant(np.arange(*bounds, dtype=dtype))


def linspace(start: float, stop: float, num: int = 50, dtype: Any = np.float64) -> Tensor:
    """A constant of a given count of evenly spaced numbers, both ends included."""
    return constant(np.linspace(start, stop, num, dtype=dtype))


def eye(n: int, columns: int | None = None, dtype: Any = np.float64) -> Tensor:
    """A constant with ones on the diagonal."""
    return constant(np.eye(n, columns, dtype=dtype))


def from_dlpack(x: Any) -> Tensor:
    """A constant from any array that speaks DLPack; copied, since recorded values never change."""
    return constant(np.from_dlpack(x))
