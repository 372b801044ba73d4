"""Choosing between values: the larger, the smaller, the magnitude, by a condition, within bounds."""

from __future__ import annotations

from adjoint.families import Select, elementwise, share


@elementwise(symbol="max", kink="x == y: half to each; against a constant, nothing")
def maximum(m, x, y):
    """The larger of two values, element by element; NaN if one is NaN.

    out = max(x, y)

    Gradient: the max gate routes: the larger input gets all, the other 0. At a tie each gets half (the
    minimum-norm subgradient), and against a constant nothing.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.maximum, argnums=(0, 1))(2.0, -1.0)
    (1.0, 0.0)

    Source: CS231n 2017, lecture 4, "max gate: gradient router".
    """
    return m.maximum(x, y)


maximum.local(
    lambda m, out, x, y, active: share(m, x > y, x == y, active),
    lambda m, out, x, y, active: share(m, y > x, x == y, active),
)
maximum.winner = lambda m, x, y: x > y
maximum.at_kink(1.0, 1.0, gradient=(0.5, 0.5))
maximum.at_kink(1.0, 1.0, gradient=(0.0, None))
maximum.at_kink(1.0, 1.0, gradient=(None, 0.0))


@elementwise(symbol="min", kink="x == y: half to each; against a constant, nothing")
def minimum(m, x, y):
    """The smaller of two values, element by element; NaN if one is NaN.

    out = min(x, y)

    Gradient: the smaller input gets all, the other 0. At a tie each gets half, and against a constant nothing.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.minimum([1.0, 5.0], 3.0)
    array([1., 3.])

    Source: CS231n 2017, lecture 4, by symmetry with the max gate.
    """
    return m.minimum(x, y)


minimum.local(
    lambda m, out, x, y, active: share(m, x < y, x == y, active),
    lambda m, out, x, y, active: share(m, y < x, x == y, active),
)
minimum.winner = lambda m, x, y: x < y
minimum.at_kink(1.0, 1.0, gradient=(0.5, 0.5))
minimum.at_kink(1.0, 1.0, gradient=(0.0, None))


@elementwise(symbol="|x|", reference="numpy.absolute", kink="x == 0: 0")
def abs(m, x):
    """The magnitude of a value.

    out = |x|

    Gradient: d out/dx = sign(x), 0 at the kink x = 0.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(ad.abs)(-3.0), ad.grad(ad.abs)(0.0)
    (-1.0, 0.0)

    Source: any table of derivatives; minimum-norm subgradient at 0.
    """
    return m.abs(x)


abs.local(lambda m, out, x: Select(x > 0.0, 1.0, Select(x < 0.0, -1.0, 0.0)))
abs.winner = lambda m, x: x > 0.0
abs.at_kink(0.0, gradient=(0.0,))


@elementwise(domain=((0.0, 1.0), (-2.0, 2.0), (-2.0, 2.0)))
def where(m, condition, x, y):
    """The first value where the condition holds, else the second, element by element.

    out = x where condition, else y

    Gradient: d out/dx = 1 where condition, else 0; d out/dy the other way round; 0 for the condition.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.where([True, False], [1.0, 2.0], 0.0)
    array([1., 0.])

    Source: CS231n 2017, lecture 4, the max gate with its choice made outside.
    """
    return m.where(condition, x, y)


where.local(
    lambda m, out, condition, x, y: 0.0,
    lambda m, out, condition, x, y: Select(condition, 1.0, 0.0),
    lambda m, out, condition, x, y: Select(condition, 0.0, 1.0),
)
where.winner = lambda m, condition, x, y: condition


@elementwise(kink="x at a bound: 0", domain=((-2.0, 2.0), (-1.0, -0.5), (0.5, 1.0)))
def clip(m, x, low=-float("inf"), high=float("inf")):
    """The value, held between two bounds.

    out = min(max(x, low), high)

    Gradient: d out/dx = 1 strictly between the bounds, else 0; a bound gets 1 where it holds the value.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.clip([-3.0, 0.5, 3.0], -1.0, 1.0)
    array([-1. ,  0.5,  1. ])

    Source: composition of the max gate and the min gate.
    """
    return m.minimum(m.maximum(x, low), high)


clip.local(
    lambda m, out, x, low, high: Select(m.and_(x > low, x < high), 1.0, 0.0),
    lambda m, out, x, low, high: Select(m.and_(x < low, low < high), 1.0, 0.0),
    lambda m, out, x, low, high: Select(m.maximum(x, low) > high, 1.0, 0.0),
)
clip.winner = lambda m, x, low, high: (x > low) + 2.0 * (x > high)
clip.at_kink(1.0, -1.0, 1.0, gradient=(0.0, None, None))
clip.at_kink(-1.0, -1.0, 1.0, gradient=(0.0, None, None))


@elementwise
def sign(m, x):
    """−1, 0 or 1 for a negative value, zero, a positive value.

    out = sign(x)

    Gradient: 0 everywhere (the function is flat; at 0 it jumps).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.sign([-3.0, 0.0, 2.0])
    array([-1.,  0.,  1.])

    Source: any table of derivatives.
    """
    return m.sign(x)


sign.local(lambda m, out, x: 0.0)
sign.winner = lambda m, x: m.sign(x)


@elementwise
def floor(m, x):
    """The largest integer not above the value.

    out = ⌊x⌋

    Gradient: 0 everywhere (the function is flat between its jumps).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.floor([1.7, -1.2])
    array([ 1., -2.])

    Source: any table of derivatives.
    """
    return m.floor(x)


floor.local(lambda m, out, x: 0.0)
floor.winner = lambda m, x: m.floor(x)


@elementwise
def ceil(m, x):
    """The smallest integer not below the value.

    out = ⌈x⌉

    Gradient: 0 everywhere (the function is flat between its jumps).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.ceil([1.2, -1.7])
    array([ 2., -1.])

    Source: any table of derivatives.
    """
    return m.ceil(x)


ceil.local(lambda m, out, x: 0.0)
ceil.winner = lambda m, x: m.ceil(x)


@elementwise(reference="numpy.rint")
def round(m, x):
    """The nearest integer; halves go to the even one.

    out = round(x)

    Gradient: 0 everywhere (the function is flat between its jumps).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.round([1.4, 2.5])
    array([1., 2.])

    Source: IEEE 754, round half to even.
    """
    return m.round(x)


round.local(lambda m, out, x: 0.0)
round.winner = lambda m, x: m.round(x)
