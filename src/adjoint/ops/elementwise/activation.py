"""The activation functions of neurons."""

from __future__ import annotations

from adjoint.families import Select, elementwise


@elementwise(symbol="σ", reference="scipy.special.expit")
def sigmoid(m, x):
    """The logistic function, which squashes numbers into 0 to 1.

    out = 1 / (1 + e^−x), computed from e^−|x|, which never overflows

    Gradient: d out/dx = (1 − out) · out.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.sigmoid([0.0, 800.0, -800.0])
    array([0.5, 1. , 0. ])

    Source: CS231n 2017, lecture 4, "sigmoid gate".
    """
    small = m.exp(-m.abs(x))
    upper = 1.0 / (1.0 + small)
    return m.where(x >= 0.0, upper, small * upper)


sigmoid.local(lambda m, out, x: (1.0 - out) * out)


@elementwise(reference="adjoint.ops.elementwise.references.softplus")
def softplus(m, x):
    """A smooth rectifier.

    out = log(1 + e^x) = max(x, 0) + log(1 + e^−|x|)

    Gradient: d out/dx = sigmoid(x).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.softplus([0.0, 800.0])
    array([6.93147181e-01, 8.00000000e+02])

    Source: C. Dugas et al., "Incorporating second-order functional knowledge", 2000.
    """
    return m.maximum(x, 0.0) + m.log1p(m.exp(-m.abs(x)))


softplus.local(lambda m, out, x: m.sigmoid(x))


@elementwise(kink="x == 0: 0, as for the mask x > 0", reference="adjoint.ops.elementwise.references.relu")
def relu(m, x):
    """The rectified linear unit.

    out = max(0, x)

    Gradient: d out/dx = 1 where x > 0, else 0 (also at the kink x = 0). Its Jacobian is diagonal.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.relu([-1.0, 0.0, 2.0])
    array([0., 0., 2.])

    Source: CS231n 2017, lecture 4, "activation functions" and "vectorized operations".
    """
    return m.maximum(x, 0.0)


relu.local(lambda m, out, x: Select(x > 0.0, 1.0, 0.0))
relu.winner = lambda m, x: x > 0.0
relu.at_kink(0.0, gradient=(0.0,))


@elementwise(
    kink="x == 0: slope, as for the mask x > 0",
    domain=((-2.0, 2.0), (0.1, 0.5)),
    reference="adjoint.ops.elementwise.references.leaky_relu",
)
def leaky_relu(m, x, slope=0.01):
    """A rectifier that leaks: negative values pass, scaled by a slope (which may be a Parameter: PReLU).

    out = x where x > 0, else slope · x

    Gradient: d out/dx = 1 where x > 0, else slope; d out/dslope = 0 where x > 0, else x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.leaky_relu([-1.0, 2.0], 0.1)
    array([-0.1,  2. ])

    Source: CS231n 2017, lecture 4, "activation functions".
    """
    return m.where(x > 0.0, x, slope * x)


leaky_relu.local(
    lambda m, out, x, slope: Select(x > 0.0, 1.0, slope),
    lambda m, out, x, slope: Select(x > 0.0, 0.0, x),
)
leaky_relu.winner = lambda m, x, slope: x > 0.0
leaky_relu.at_kink(0.0, 0.1, gradient=(0.1, 0.0))


@elementwise(
    kink="x == 0: alpha, as for the mask x > 0",
    domain=((-2.0, 2.0), (0.5, 1.5)),
    reference="adjoint.ops.elementwise.references.elu",
)
def elu(m, x, alpha=1.0):
    """The exponential linear unit.

    out = x where x > 0, else alpha · (e^x − 1)

    Gradient: d out/dx = 1 where x > 0, else alpha · e^x; d out/dalpha = 0 where x > 0, else e^x − 1.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.elu([-1.0, 2.0])
    array([-0.63212056,  2.        ])

    Source: CS231n 2017, lecture 4, "activation functions".
    """
    return m.where(x > 0.0, x, alpha * m.expm1(m.minimum(x, 0.0)))


elu.local(
    # exp(x) of the branch not taken would overflow, and be NaN in the second derivative
    lambda m, out, x, alpha: Select(x > 0.0, 1.0, alpha * m.exp(-m.maximum(-x, 0.0))),
    lambda m, out, x, alpha: Select(x > 0.0, 0.0, m.expm1(-m.maximum(-x, 0.0))),
)
elu.winner = lambda m, x, alpha: x > 0.0
elu.at_kink(0.0, 2.0, gradient=(2.0, 0.0))
