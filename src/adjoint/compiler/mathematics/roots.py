"""The cube root, by the inverse cube root: no division but the guess's, which the bits of the number give."""

from __future__ import annotations

from typing import Final

from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Float, horner

__all__ = ["cbrt"]

#: Bits dropped so that the rest fit under `Format.magic`, and the guess's constant for the bits that are kept.
DROPPED: Final = {SINGLE: 10, DOUBLE: 14}
#: Subnormals are scaled by the cube of this.
LIFT: Final = {SINGLE: 2.0**8, DOUBLE: 2.0**18}
#: What the guess's line through the bits lies too high, as a share of one exponent step: halves its largest error.
SHARE: Final = 0.08

#: (1−h)^(−⅓) = 1 + h(⅓ + …): the binomial series.
SERIES: Final = (1 / 3, 2 / 9, 14 / 81)


def _guess(x: Float) -> Float:
    """x^(−⅓) within 4 %: bits are about a logarithm, so a third of them, negated."""
    form = x.format
    drop = DROPPED[form]
    start = round((form.one * 4 / 3 - SHARE * 2.0**form.digits) / 2**drop)
    kept = (((x.bits() >> drop) + form.magic_bits).float()) - form.magic
    return (kept.fma(-1 / 3, form.magic + start).bits() << drop).float()


def _refined(z: Float, x: Float) -> Float:
    """z(1 − h)^(−⅓) with 1 − h = x·z³: four times the digits."""
    h = -((z * z) * z).fma(x, -1.0)
    return (z * h).fma(horner(h, SERIES), z)


def cbrt(x: Float) -> Float:
    """x^⅓ = x·z² with z = x^(−⅓), and a last step of Newton's on y³ = x."""
    size = abs(x)
    tiny = size < x.format.smallest
    lift = LIFT[x.format]
    scaled = (size * lift**3).where(tiny, size)
    z = _refined(_guess(scaled), scaled)
    if x.format is DOUBLE:
        z = _refined(z, scaled)
    square = z * z
    y = square * scaled
    y = (y * y).fma(y, -scaled).fma(square * (-1 / 3), y)
    root = (y * (1 / lift)).where(tiny, y)
    ordinary = (size > 0.0) & (size < float("inf"))
    return root.where(ordinary, size).signed(x)
