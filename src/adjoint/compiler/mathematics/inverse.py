"""Inverse trigonometric functions: a polynomial where it converges fast, and identities that bring all else there.

Each result is base ± value with a base of 0, π/2 or π in two parts.
"""

from __future__ import annotations

from typing import Final

from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Float, Mask, horner
from adjoint.compiler.mathematics.payne_hanek import HALF_PI

__all__ = ["arccos", "arcsin", "arctan", "arctan2"]

#: (arcsin s − s)/s³ in s² on s ≤ ½: Remez exchange in 60 digits, relative to arcsin s.
ARCSIN: Final = {
    SINGLE: (0.16666752, 0.07495289, 0.045471564, 0.024173165, 0.042177867),
    DOUBLE: (
        *(0.1666666666666676, 0.07499999999970629, 0.04464285717478507, 0.030381942699054063, 0.02237221524430552),
        *(0.017351607226621105, 0.013980879911004416, 0.011398411180084694, 0.01078314349679102),
        *(0.003695189082552256, 0.0217354566940021, -0.02103968256164775, 0.032654627561769074),
    ),
}

#: (arctan t − t)/t³ in t² on t ≤ 1, likewise.
ARCTAN: Final = {
    SINGLE: (-0.33333153, 0.19993773, -0.1421106, 0.1066602, -0.07552245, 0.043212194, -0.016368119, 0.002920737),
    DOUBLE: (
        *(-0.3333333333333186, 0.19999999999754942, -0.1428571427133235, 0.11111110678712689, -0.09090901235145805),
        *(0.07692212930540338, -0.06665860378072667, 0.05877307914702562, -0.0523923377798646, 0.046739524565849414),
        *(-0.040926457587302116, 0.034067958769983135, -0.025827014116280057, 0.016978274755284826),
        *(-0.009184752788432829, 0.0038560871444594507, -0.001164115816218734, 0.00022303288811610064),
        -2.025969642479506e-05,
    ),
}


def _arcsine(x: Float) -> tuple[Mask, Float, Float]:
    """Whether |x| > ½, and s and arcsin(s) − s: for |x| > ½ with s = √((1−|x|)/2), else s = |x|.

    The root's rounding error counts twice in π/2 − 2 arcsin s, so its residual over 2s is added back. For 1/(2s) the
    line 3 − 4s will do: it is good where s is large, and where s is small the error is.
    """
    size = abs(x)
    large = size > 0.5
    square = size.fma(-0.5, 0.5).where(large, size * size)
    root = square.call("sqrt")
    residual = (-root).fma(root, square) * root.fma(-4.0, 3.0)
    s = root.where(large, size)
    rest = (s * square).fma(horner(square, ARCSIN[x.format]), residual.where(large, 0.0))
    return large, s, rest


def arcsin(x: Float) -> Float:
    """arcsin s, or π/2 − 2 arcsin s."""
    large, s, rest = _arcsine(x)
    high, low, _ = HALF_PI[x.format]
    far = s.fma(-2.0, high) + rest.fma(-2.0, low)
    return far.where(large, s + rest).signed(x)


def arccos(x: Float) -> Float:
    """π/2 ∓ arcsin s for small x, 2 arcsin s for x > ½, and π minus that for x < −½."""
    large, s, rest = _arcsine(x)
    high, low, _ = HALF_PI[x.format]
    sign = x.bits() & x.format.sign
    middle = (x.like(high) - s.flipped(sign)) + (x.like(low) - rest.flipped(sign))
    double = (s + rest) * 2.0
    negative = 2 * high - (double - 2 * low)
    return negative.where(x < 0.0, double).where(large, middle)


def _arctangent(t: Float) -> Float:
    """arctan t for 0 ≤ t ≤ 1."""
    square = t * t
    return (t * square).fma(horner(square, ARCTAN[t.format]), t)


def arctan(x: Float) -> Float:
    """arctan |x|, or π/2 − arctan(1/|x|)."""
    size = abs(x)
    large = size > 1.0
    value = _arctangent((-1.0 / size).where(large, size))
    high, low, _ = HALF_PI[x.format]
    return ((value + low) + high).where(large, value).signed(x)


def arctan2(y: Float, x: Float) -> Float:
    """The angle of (x, y): arctan of the smaller over the larger, from the nearest axis."""
    high, low, _ = HALF_PI[x.format]
    across, along = abs(x), abs(y)
    steep = along > across
    least, most = across.where(steep, along), along.where(steep, across)
    diagonal = x.like(0.0).where(least.equal(0.0), 1.0)  # also for infinities
    t = diagonal.where(across.equal(along), least / most)
    sign = x.bits() & x.format.sign
    left = sign < 0
    value = _arctangent(t)
    value = value.flipped(sign ^ sign.like(x.format.sign).where(steep, 0))
    base = x.like(high).where(steep, x.like(2 * high).where(left, 0.0))
    small = x.like(low).where(steep, x.like(2 * low).where(left, 0.0))
    return (base + (value + small)).signed(y)
