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

    Parameters
    ----------
    x : number, array or Tensor
    axis : int, default -1

    Returns
    -------
    A Tensor if x is one, else an array or a number, of the shape of x.

    Gradient: g − softmax(x) · Σ g.

    Raises
    ------
    ShapeError
        If there is no such axis.

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

    Parameters
    ----------
    x : number, array or Tensor
    axis : int, default -1

    Returns
    -------
    A Tensor if x is one, else an array or a number, of the shape of x.

    Gradient: out · (g − Σ g · out).

    Raises
    ------
    ShapeError
        If there is no such axis.

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

    Parameters
    ----------
    x : number, array or Tensor
    axis : int, tuple of int, or None for all axes, default None
    keepdims : bool, default False

    Returns
    -------
    A Tensor if x is one, else an array or a number, without the axes (of size 1 there, with keepdims).

    Gradient: 2 · (x − mean x) / n.

    Raises
    ------
    ShapeError
        If there is no such axis.

    Example
    -------
    >>> import adjoint as ad
    >>> float(ad.var([1.0, 3.0]))
    1.0

    Source: NumPy.
    """
    return mean(square(x - mean(x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)


def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Standard deviation, the root of the variance; its gradient is infinite where the variance is 0.

    out = √var(x)

    Parameters
    ----------
    x : number, array or Tensor
    axis : int, tuple of int, or None for all axes, default None
    keepdims : bool, default False

    Returns
    -------
    A Tensor if x is one, else an array or a number, without the axes (of size 1 there, with keepdims).

    Gradient: (x − mean x) / (n · std x).

    Raises
    ------
    ShapeError
        If there is no such axis.

    Example
    -------
    >>> import adjoint as ad
    >>> float(ad.std([1.0, 3.0]))
    1.0

    Source: NumPy.
    """
    from adjoint.ops.elementwise.arithmetic import sqrt

    return sqrt(var(x, axis=axis, keepdims=keepdims))


def asarray(x: Any, dtype: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor as it is (in another dtype, if one is given); anything else as a constant (array API).

    Parameters
    ----------
    x : number, nested list, array or Tensor
    dtype : NumPy dtype, optional
    copy : bool, optional
        Makes no difference: what is no Tensor is copied always, a Tensor never, since its value does not change.

    Returns
    -------
    Tensor

    Gradient: that of x, if x is a Tensor.

    Raises
    ------
    DTypeError
        For complex numbers, text or ragged lists.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.asarray([1.0, 2.0])
    constant([1., 2.])

    Source: Python array API 2024.12.
    """
    from adjoint.ops.shape import astype

    if isinstance(x, Tensor):
        return x if dtype is None or x.dtype == np.dtype(dtype) else astype(x, dtype)
    return constant(x, dtype=dtype)


def zeros(shape: Any, dtype: Any = np.float64) -> Tensor:
    """A constant of zeros.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : NumPy dtype

    Returns
    -------
    Constant

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.zeros(2)
    constant([0., 0.])

    Source: Python array API 2024.12.
    """
    return constant(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = np.float64) -> Tensor:
    """A constant of ones.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : NumPy dtype

    Returns
    -------
    Constant

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.ones((1, 2))
    constant([[1., 1.]])

    Source: Python array API 2024.12.
    """
    return constant(np.ones(shape, dtype))


def full(shape: Any, value: Any, dtype: Any = None) -> Tensor:
    """A constant with one value everywhere.

    Parameters
    ----------
    shape : int or tuple of int
    value : number
    dtype : NumPy dtype, optional

    Returns
    -------
    Constant

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.full(2, 7.0)
    constant([7., 7.])

    Source: Python array API 2024.12.
    """
    return constant(np.full(shape, value, dtype))


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """A constant of zeros in the shape of another tensor.

    Parameters
    ----------
    x : array or Tensor
    dtype : NumPy dtype, optional
        That of x, if left out.

    Returns
    -------
    Constant
        Of the shape of x.

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.zeros_like(ad.tensor([1.0, 2.0]))
    constant([0., 0.])

    Source: Python array API 2024.12.
    """
    return zeros(np.shape(x) if not isinstance(x, Tensor) else x.shape, dtype or _dtype_of(x))


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """A constant of ones in the shape of another tensor.

    Parameters
    ----------
    x : array or Tensor
    dtype : NumPy dtype, optional
        That of x, if left out.

    Returns
    -------
    Constant
        Of the shape of x.

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.ones_like(ad.tensor([5.0, 2.0]))
    constant([1., 1.])

    Source: Python array API 2024.12.
    """
    return ones(np.shape(x) if not isinstance(x, Tensor) else x.shape, dtype or _dtype_of(x))


def _dtype_of(x: Any) -> Any:
    return x.dtype if isinstance(x, Tensor) else np.asarray(x).dtype


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Tensor:
    """A constant of evenly spaced numbers with a given step.

    Parameters
    ----------
    start, stop, step : number
        One alone is the stop, which is excluded.
    dtype : NumPy dtype, optional

    Returns
    -------
    Constant

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.arange(3)
    constant([0, 1, 2])

    Source: Python array API 2024.12.
    """
    bounds = (start,) if stop is None else (start, stop, step)
    return constant(np.arange(*bounds, dtype=dtype))


def linspace(start: float, stop: float, num: int = 50, dtype: Any = np.float64) -> Tensor:
    """A constant of a given count of evenly spaced numbers, both ends included.

    Parameters
    ----------
    start, stop : float
    num : int
    dtype : NumPy dtype

    Returns
    -------
    Constant
        Of shape (num,).

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.linspace(0.0, 1.0, 3)
    constant([0. , 0.5, 1. ])

    Source: Python array API 2024.12.
    """
    return constant(np.linspace(start, stop, num, dtype=dtype))


def eye(n: int, columns: int | None = None, dtype: Any = np.float64) -> Tensor:
    """A constant with ones on the diagonal.

    Parameters
    ----------
    n : int
    columns : int, optional
        n, if left out.
    dtype : NumPy dtype

    Returns
    -------
    Constant
        Of shape (n, columns).

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.eye(2)
    constant([[1., 0.],
              [0., 1.]])

    Source: Python array API 2024.12.
    """
    return constant(np.eye(n, columns, dtype=dtype))


def from_dlpack(x: Any) -> Tensor:
    """A constant from any array that speaks DLPack; copied, since recorded values never change.

    Parameters
    ----------
    x : object with `__dlpack__`

    Returns
    -------
    Constant
        Of the same shape and dtype.

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> import numpy as np
    >>> ad.from_dlpack(np.array([1.0, 2.0]))
    constant([1., 2.])

    Source: Python array API 2024.12.
    """
    return constant(np.from_dlpack(x))
