"""Reductions: from many elements to one, over one axis, several, or all."""

from __future__ import annotations

import math

import numpy as np

from adjoint.abstract import Abstract
from adjoint.families import Select, reduction
from adjoint.op import case, shape_error
from adjoint.shaped import general

INFINITY = math.inf
INDEX = np.dtype(np.intp)


@reduction(symbol="Σ")
def sum(m, x):
    """Sum of the elements.

    out = Σ xᵢ

    Gradient: d out/dxᵢ = 1: the upstream gradient goes to every element.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.])

    Source: CS231n 2017, lecture 4, "add gate: gradient distributor".
    """
    return m.sum(x)


sum.local(lambda m, out, x: 1.0)


@reduction
def mean(m, x):
    """Arithmetic mean of the elements; NaN over none.

    out = Σ xᵢ / n

    Gradient: d out/dxᵢ = 1/n.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.mean([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([1.5, 3.5])

    Source: any table of derivatives.
    """
    return m.sum(x) / m.count(x)


mean.local(lambda m, out, x: 1.0 / (m.count(x) or 1.0))  # over no elements no gradient is asked for


@reduction(kink="ties: equal shares", needs_elements=True)
def max(m, x):
    """Largest element; NaN if one is NaN.

    out = max xᵢ

    Gradient: the largest element gets all, the others 0; elements that tie get equal shares (the minimum-norm
    subgradient).

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.grad(ad.max)(np.array([1.0, 3.0, 2.0]))
    array([0., 1., 0.])

    Source: CS231n 2017, lecture 4, "max gate: gradient router".
    """
    return m.max(x)


max.local(lambda m, out, x: Select(x == out, 1.0 / m.sum(m.where(x == out, 1.0, 0.0)), 0.0))
max.winner = lambda m, x: x == m.max(x)


@reduction(kink="ties: equal shares", needs_elements=True)
def min(m, x):
    """Smallest element; NaN if one is NaN.

    out = min xᵢ

    Gradient: the smallest element gets all, the others 0; elements that tie get equal shares.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.min([[1.0, 3.0], [0.0, 5.0]], axis=1)
    array([1., 0.])

    Source: CS231n 2017, lecture 4, by symmetry with the max gate.
    """
    return m.min(x)


min.local(lambda m, out, x: Select(x == out, 1.0 / m.sum(m.where(x == out, 1.0, 0.0)), 0.0))
min.winner = lambda m, x: x == m.min(x)


@reduction(reference="scipy.special.logsumexp", needs_elements=True)
def logsumexp(m, x):
    """Logarithm of the sum of the exponentials, which does not overflow: a smooth maximum.

    out = log Σ e^xᵢ = c + log Σ e^(xᵢ − c), with c = max xᵢ

    Gradient: d out/dxᵢ = e^(xᵢ − out), the softmax; 0 for every element of a row of −∞.

    Example
    -------
    >>> import adjoint as ad
    >>> float(ad.logsumexp([1000.0, 1000.0]))
    1000.6931471805599

    Source: CS231n 2017, lecture 3, "practical issues: numeric stability" of the softmax classifier.
    """
    c = m.max(x)
    finite = m.where(m.isfinite(c), c, 0.0)  # a row of −∞ would give −∞ − (−∞) = NaN
    return finite + m.log(m.sum(m.exp(x - finite)))


logsumexp.local(lambda m, out, x: m.exp(x - m.where(out != -INFINITY, out, 0.0)))


@reduction(nondiff="its result is yes or no, which does not change smoothly")
def any(m, x):
    """Whether at least one element is true (not zero).

    out = x₁ or x₂ or …

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> bool(ad.any([False, True]))
    True

    Source: NumPy.
    """
    return m.any(x)


@reduction(nondiff="its result is yes or no, which does not change smoothly")
def all(m, x):
    """Whether every element is true (not zero).

    out = x₁ and x₂ and …

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> bool(ad.all([False, True]))
    False

    Source: NumPy.
    """
    return m.all(x)


def _arg_shape(op, x, axis):
    if axis is None:
        if x.shape and 0 in x.shape:
            raise shape_error(op, f"expected at least one element, got shape {x.shape}")
        return Abstract((), INDEX)
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise shape_error(op, f"expected an axis from {-rank} to {rank - 1}, got axis={axis} (shape {x.shape})")
    return Abstract(x.shape[: axis % rank] + x.shape[axis % rank + 1 :], INDEX)


NO_INDEX_GRADIENT = "its result is an index, which does not change smoothly"


@general(nondiff=NO_INDEX_GRADIENT)
def argmax(m, x, /, axis=None):
    """Index of the largest element (the first of equal ones), of the flattened array or along an axis.

    out = argmaxᵢ xᵢ

    Gradient: none; the result is an integer.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.argmax([[1.0, 3.0], [5.0, 2.0]], axis=1)
    array([1, 0])

    Source: NumPy.
    """
    return m.argmax(x, axis=axis)


argmax.shape(lambda x, axis: _arg_shape(argmax, x, axis)).samples(
    case((3, 4), axis=1), case((3, 4), axis=0), case((5,), axis=None), case((), axis=None)
)


@general(nondiff=NO_INDEX_GRADIENT)
def argmin(m, x, /, axis=None):
    """Index of the smallest element (the first of equal ones), of the flattened array or along an axis.

    out = argminᵢ xᵢ

    Gradient: none; the result is an integer.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.argmin([[1.0, 3.0], [5.0, 2.0]], axis=1)
    array([0, 1])

    Source: NumPy.
    """
    return m.argmin(x, axis=axis)


argmin.shape(lambda x, axis: _arg_shape(argmin, x, axis)).samples(
    case((3, 4), axis=1), case((5,), axis=None), case((), axis=None)
)
