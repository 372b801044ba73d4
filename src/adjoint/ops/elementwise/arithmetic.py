"""Arithmetic: sums, products, quotients, powers."""

from __future__ import annotations

from adjoint.families import Select, elementwise


@elementwise(symbol="+")
def add(m, x, y):
    """Sum of two values, element by element.

    out = x + y

    Gradient: the add gate hands its upstream gradient to both inputs: d out/dx = 1, d out/dy = 1.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.add([1.0, 2.0], 10.0)
    array([11., 12.])

    Source: CS231n 2017, lecture 4, "add gate: gradient distributor".
    """
    return x + y


add.local(lambda m, out, x, y: 1.0, lambda m, out, x, y: 1.0)


@elementwise(symbol="−")
def subtract(m, x, y):
    """Difference of two values, element by element.

    out = x − y

    Gradient: d out/dx = 1, d out/dy = −1.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.subtract([1.0, 2.0], 10.0)
    array([-9., -8.])

    Source: CS231n 2017, lecture 4.
    """
    return x - y


subtract.local(lambda m, out, x, y: 1.0, lambda m, out, x, y: -1.0)


@elementwise(symbol="×")
def multiply(m, x, y):
    """Product of two values, element by element.

    out = x · y

    Gradient: the multiply gate swaps: d out/dx = y, d out/dy = x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.multiply([1.0, 2.0], 10.0)
    array([10., 20.])

    Source: CS231n 2017, lecture 4, "mul gate: gradient switcher".
    """
    return x * y


multiply.local(lambda m, out, x, y: y, lambda m, out, x, y: x)


@elementwise(symbol="÷", domain=((-2.0, 2.0), (0.5, 2.0)))
def divide(m, x, y):
    """Quotient of two values, element by element.

    out = x / y

    Gradient: d out/dx = 1/y, d out/dy = −out/y.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.divide([1.0, 2.0], 4.0)
    array([0.25, 0.5 ])

    Source: CS231n 2017, lecture 4.
    """
    return x / y


divide.local(lambda m, out, x, y: 1.0 / y, lambda m, out, x, y: -out / y)


@elementwise(symbol="−")
def negative(m, x):
    """The value with its sign turned.

    out = −x

    Gradient: d out/dx = −1.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.negative([1.0, -2.0])
    array([-1.,  2.])

    Source: CS231n 2017, lecture 4, the gate ×−1 of the sigmoid circuit.
    """
    return -x


negative.local(lambda m, out, x: -1.0)


@elementwise(symbol="^", domain=((0.3, 2.0), (-2.0, 2.0)))
def power(m, x, y):
    """First value to the power of the second, element by element.

    out = x^y

    Gradient: d out/dx = y · x^(y−1), and 0 where y = 0; d out/dy = out · log x, and 0 where x = 0.
    A negative x with a fractional y gives NaN, as in NumPy.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.grad(lambda x: x**3)(2.0)
    12.0
    >>> ad.grad(lambda x: x**1)(0.0), ad.grad(lambda x: x**0)(0.0)
    (1.0, 0.0)

    Source: any table of derivatives.
    """
    return m.pow(x, y)


power.local(
    # where y = 0 the exponent −1 is kept from x = 0, the branch that is not taken must be finite too
    lambda m, out, x, y: Select(y == 0.0, 0.0, y * m.pow(x, m.where(y == 0.0, 1.0, y - 1.0))),
    lambda m, out, x, y: Select(x == 0.0, 0.0, out * m.log(m.where(x == 0.0, 1.0, x))),
)


@elementwise(symbol="x²")
def square(m, x):
    """The square of a value.

    out = x²

    Gradient: d out/dx = 2x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.square([1.0, -3.0])
    array([1., 9.])

    Source: CS231n 2017, lecture 4, the L2 gate of ‖W·x‖².
    """
    return m.square(x)


square.local(lambda m, out, x: 2.0 * x)


@elementwise(symbol="√", domain=((0.2, 3.0),))
def sqrt(m, x):
    """The square root; NaN for negative values.

    out = √x

    Gradient: d out/dx = 1 / (2·out), infinite at 0.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.sqrt([1.0, 9.0])
    array([1., 3.])

    Source: any table of derivatives.
    """
    return m.sqrt(x)


sqrt.local(lambda m, out, x: 0.5 / out)


@elementwise(symbol="1/x", domain=((0.5, 3.0),))
def reciprocal(m, x):
    """One divided by the value.

    out = 1/x

    Gradient: d out/dx = −1/x² = −out².

    Example
    -------
    >>> import adjoint as ad
    >>> ad.reciprocal([1.0, 4.0])
    array([1.  , 0.25])

    Source: CS231n 2017, lecture 4, the gate 1/x of the sigmoid circuit.
    """
    return m.reciprocal(x)


reciprocal.local(lambda m, out, x: -(out * out))
