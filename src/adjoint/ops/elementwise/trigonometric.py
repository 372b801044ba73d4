"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

import math

from adjoint.families import elementwise

TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


@elementwise
def sin(m, x):
    """The sine of an angle in radians.

    out = sin x

    Gradient: d out/dx = cos x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.sin)(0.0)
    1.0

    Source: any table of derivatives.
    """
    return m.sin(x)


sin.local(lambda m, out, x: m.cos(x))


@elementwise
def cos(m, x):
    """The cosine of an angle in radians.

    out = cos x

    Gradient: d out/dx = −sin x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.cos([0.0])
    array([1.])

    Source: any table of derivatives.
    """
    return m.cos(x)


cos.local(lambda m, out, x: -m.sin(x))


@elementwise(domain=((-1.2, 1.2),))
def tan(m, x):
    """The tangent of an angle in radians.

    out = tan x

    Gradient: d out/dx = 1 + out².

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.tan)(0.0)
    1.0

    Source: any table of derivatives.
    """
    return m.tan(x)


tan.local(lambda m, out, x: 1.0 + out * out)


@elementwise
def arctan(m, x):
    """The angle in radians, between −π/2 and π/2, whose tangent is the value.

    out = arctan x

    Gradient: d out/dx = 1 / (1 + x²).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.arctan)(1.0)
    0.5

    Source: any table of derivatives.
    """
    return m.arctan(x)


arctan.local(lambda m, out, x: 1.0 / (1.0 + x * x))


@elementwise
def sinh(m, x):
    """The hyperbolic sine.

    out = (e^x − e^−x) / 2

    Gradient: d out/dx = cosh x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.sinh)(0.0)
    1.0

    Source: any table of derivatives.
    """
    return m.sinh(x)


sinh.local(lambda m, out, x: m.cosh(x))


@elementwise
def cosh(m, x):
    """The hyperbolic cosine.

    out = (e^x + e^−x) / 2

    Gradient: d out/dx = sinh x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.cosh([0.0])
    array([1.])

    Source: any table of derivatives.
    """
    return m.cosh(x)


cosh.local(lambda m, out, x: m.sinh(x))


@elementwise
def tanh(m, x):
    """The hyperbolic tangent, an activation between −1 and 1 with mean 0.

    out = (e^x − e^−x) / (e^x + e^−x)

    Gradient: d out/dx = 1 − out².

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.tanh)(0.0)
    1.0

    Source: CS231n 2017, lecture 4, "activation functions".
    """
    return m.tanh(x)


tanh.local(lambda m, out, x: 1.0 - out * out)


@elementwise(reference="scipy.special.erf")
def erf(m, x):
    """The error function.

    out = 2/√π · ∫₀ˣ e^(−t²) dt

    Gradient: d out/dx = 2/√π · e^(−x²).

    Example
    -------
    >>> import adjoint as ad
    >>> round(float(ad.erf(1.0)), 12)
    0.84270079295

    Source: NIST DLMF 7.2.1.
    """
    return m.erf(x)


erf.local(lambda m, out, x: TWO_OVER_SQRT_PI * m.exp(-(x * x)))
