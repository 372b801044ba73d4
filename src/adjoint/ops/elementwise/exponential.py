"""Exponentials and logarithms."""

from __future__ import annotations

import math

from adjoint.families import elementwise

LOG_2 = math.log(2.0)
LOG_10 = math.log(10.0)


@elementwise
def exp(m, x):
    """The exponential function.

    out = e^x

    Gradient: d out/dx = out.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.exp([0.0, 1.0])
    array([1.        , 2.71828183])

    Source: CS231n 2017, lecture 4, the gate exp of the sigmoid circuit.
    """
    return m.exp(x)


exp.local(lambda m, out, x: out)


@elementwise
def expm1(m, x):
    """The exponential minus one, accurate for small values.

    out = e^x − 1

    Gradient: d out/dx = out + 1.

    Example
    -------
    >>> import adjoint as ad
    >>> float(ad.expm1(1e-12))
    1.0000000000005e-12

    Source: any table of derivatives.
    """
    return m.expm1(x)


expm1.local(lambda m, out, x: out + 1.0)


@elementwise
def exp2(m, x):
    """Two to the power of the value.

    out = 2^x

    Gradient: d out/dx = log(2) · out.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.exp2([0.0, 3.0])
    array([1., 8.])

    Source: any table of derivatives.
    """
    return m.exp2(x)


exp2.local(lambda m, out, x: LOG_2 * out)


@elementwise(domain=((0.2, 3.0),))
def log(m, x):
    """The natural logarithm; −∞ at 0 and NaN below.

    out = log x

    Gradient: d out/dx = 1/x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.log)(4.0)
    0.25

    Source: any table of derivatives.
    """
    return m.log(x)


log.local(lambda m, out, x: 1.0 / x)


@elementwise(domain=((-0.5, 3.0),))
def log1p(m, x):
    """The logarithm of one plus the value, accurate for small values.

    out = log(1 + x)

    Gradient: d out/dx = 1 / (1 + x).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.log1p)(3.0)
    0.25

    Source: any table of derivatives.
    """
    return m.log1p(x)


log1p.local(lambda m, out, x: 1.0 / (1.0 + x))


@elementwise(domain=((0.2, 3.0),))
def log2(m, x):
    """The logarithm to the base 2.

    out = log₂ x

    Gradient: d out/dx = 1 / (x · log 2).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.log2([1.0, 8.0])
    array([0., 3.])

    Source: any table of derivatives.
    """
    return m.log2(x)


log2.local(lambda m, out, x: 1.0 / (x * LOG_2))


@elementwise(domain=((0.2, 3.0),))
def log10(m, x):
    """The logarithm to the base 10.

    out = log₁₀ x

    Gradient: d out/dx = 1 / (x · log 10).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.log10([1.0, 1000.0])
    array([0., 3.])

    Source: any table of derivatives.
    """
    return m.log10(x)


log10.local(lambda m, out, x: 1.0 / (x * LOG_10))
