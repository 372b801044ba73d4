"""Questions with the answer yes or no: comparisons, logic, and whether a number is one."""

from __future__ import annotations

from adjoint.families import elementwise

NO_GRADIENT = "its result is yes or no, which does not change smoothly"


@elementwise(symbol=">", nondiff=NO_GRADIENT)
def greater(m, x, y):
    """Whether the first value is larger, element by element.

    out = x > y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.greater([1.0, 3.0], 2.0)
    array([False,  True])

    Source: IEEE 754.
    """
    return x > y


@elementwise(symbol="≥", nondiff=NO_GRADIENT)
def greater_equal(m, x, y):
    """Whether the first value is larger or equal, element by element.

    out = x ≥ y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.greater_equal([1.0, 2.0], 2.0)
    array([False,  True])

    Source: IEEE 754.
    """
    return x >= y


@elementwise(symbol="<", nondiff=NO_GRADIENT)
def less(m, x, y):
    """Whether the first value is smaller, element by element.

    out = x < y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.less([1.0, 3.0], 2.0)
    array([ True, False])

    Source: IEEE 754.
    """
    return x < y


@elementwise(symbol="≤", nondiff=NO_GRADIENT)
def less_equal(m, x, y):
    """Whether the first value is smaller or equal, element by element.

    out = x ≤ y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.less_equal([1.0, 3.0], 2.0)
    array([ True, False])

    Source: IEEE 754.
    """
    return x <= y


@elementwise(symbol="=", nondiff=NO_GRADIENT)
def equal(m, x, y):
    """Whether two values are equal, element by element.

    out = x = y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.equal([1.0, 2.0], 2.0)
    array([False,  True])

    Source: IEEE 754.
    """
    return x == y


@elementwise(symbol="≠", nondiff=NO_GRADIENT)
def not_equal(m, x, y):
    """Whether two values differ, element by element.

    out = x ≠ y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.not_equal([1.0, 2.0], 2.0)
    array([ True, False])

    Source: IEEE 754.
    """
    return x != y


@elementwise(symbol="∧", nondiff=NO_GRADIENT)
def logical_and(m, x, y):
    """Whether both values are true (not zero), element by element.

    out = x and y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.logical_and([True, True], [True, False])
    array([ True, False])

    Source: IEEE 754.
    """
    return m.logical_and(x, y)


@elementwise(symbol="∨", nondiff=NO_GRADIENT)
def logical_or(m, x, y):
    """Whether one of two values is true (not zero), element by element.

    out = x or y

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.logical_or([True, False], [False, False])
    array([ True, False])

    Source: IEEE 754.
    """
    return m.logical_or(x, y)


@elementwise(symbol="¬", nondiff=NO_GRADIENT)
def logical_not(m, x):
    """Whether the value is false (zero).

    out = not x

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.logical_not([True, False])
    array([False,  True])

    Source: IEEE 754.
    """
    return m.logical_not(x)


@elementwise(symbol="nan?", nondiff=NO_GRADIENT)
def isnan(m, x):
    """Whether the value is not a number.

    out = x is NaN

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.isnan([1.0, float("nan")])
    array([False,  True])

    Source: IEEE 754.
    """
    return m.isnan(x)


@elementwise(symbol="∞?", nondiff=NO_GRADIENT)
def isinf(m, x):
    """Whether the value is infinite.

    out = x = ±∞

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.isinf([1.0, float("inf")])
    array([False,  True])

    Source: IEEE 754.
    """
    return m.isinf(x)


@elementwise(symbol="finite?", nondiff=NO_GRADIENT)
def isfinite(m, x):
    """Whether the value is finite.

    out = x is neither NaN nor infinite

    Gradient: none; the result is a boolean.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.isfinite([1.0, float("inf")])
    array([ True, False])

    Source: IEEE 754.
    """
    return m.isfinite(x)
