"""Logarithms: x = 2ᵉ·(1 + f) with 1 + f in [√½, √2), a polynomial in f, and e·ln 2.

Near x = 1 the exponent is 0 and the result is f and a small correction, so nothing cancels. The logarithm of 1 + f is
kept as that sum of two until the end.
"""

from __future__ import annotations

from typing import Final

from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Bits, Float, horner

__all__ = ["LN_2", "log", "log1p", "log2", "log10", "split"]

#: The bits of √½: where a binade begins for the split.
ROOT_HALF: Final = {SINGLE: 0x3F3504F3, DOUBLE: 0x3FE6A09E667F3BCD}

#: ln 2 in two parts; e·(first part) is exact for all exponents e. log₁₀ 2 likewise.
LN_2: Final = {SINGLE: (0.693145751953125, 1.4286068203094173e-06), DOUBLE: (0.6931471805598903, 5.497923018708371e-14)}
LOG10_2: Final = {
    SINGLE: (0.30103302001953125, -3.0243555500547862e-06),
    DOUBLE: (0.30102999566395283, 2.8363394551044964e-14),
}
#: log₂ e and log₁₀ e in two parts.
LOG2_E: Final = {
    SINGLE: (1.4426950216293335, 1.9259629911266175e-08),
    DOUBLE: (1.4426950408889634, 2.0355273740931033e-17),
}
LOG10_E: Final = {
    SINGLE: (0.4342944920063019, -1.0103050052231683e-08),
    DOUBLE: (0.4342944819032518, 1.098319650216765e-17),
}

#: float32: (ln(1+f) − f + f²/2)/f³ in f. float64, where that takes twice as many: with s = f/(2+f), (ln(1+f) − 2s)/s³
#: in s². Remez exchange in 60 digits for the least error relative to ln(1+f).
LOG: Final = {
    SINGLE: (0.3333333, -0.2500082, 0.20001227, -0.16623358, 0.14201774, -0.13160188, 0.12761433, -0.076342754),
    DOUBLE: (
        *(0.6666666666666735, 0.39999999999413177, 0.28571428742757593, 0.22222198531943324, 0.18183566626801573),
        *(0.15313987903221235, 0.1479661259012183),
    ),
}


def split(x: Float, *, subnormal: bool = True) -> tuple[Float, Float]:
    """1 + f in [√½, √2) and e, of positive x = 2ᵉ(1 + f)."""
    form = x.format
    if not subnormal:
        return _parts(x.bits(), ROOT_HALF[form])
    tiny = x < form.smallest
    x = (x * 2.0**form.digits).where(tiny, x)
    bits = x.bits()
    start = bits.like(ROOT_HALF[form] + (form.digits << form.digits)).where(tiny, ROOT_HALF[form])
    return _parts(bits, start)


def _parts(bits: Bits, start: Bits | int) -> tuple[Float, Float]:
    """The split of the normal number with these bits, where e = 0 begins at those."""
    one_plus, exponent = _encoded(bits, start)
    return one_plus, exponent.number()


def _encoded(bits: Bits, start: Bits | int) -> tuple[Float, Bits]:
    """The same with e as integer."""
    form = SINGLE if bits.element.width == SINGLE.width else DOUBLE
    above = bits - start
    exponent = above >> form.digits
    return ((above & ((1 << form.digits) - 1)) + ROOT_HALF[form]).float(), exponent


def _correction(f: Float, addend: Float | None = None) -> Float:
    """ln(1 + f) − f (+ addend)."""
    square = f * f
    if f.format is SINGLE:
        rest = horner(f, LOG[SINGLE]).fma(f, -0.5)
        return square * rest if addend is None else square.fma(rest, addend)
    s = f / (f + 2.0)
    half = square * 0.5
    z = s * s
    rest = s.fma(z.fma(horner(z, LOG[DOUBLE]), half), -half)
    return rest if addend is None else rest + addend


def _domain(x: Float, result: Float) -> Float:
    """The result for positive finite x; at and below zero, and at infinity and NaN, what the logarithm is there."""
    finite = result.where(x < float("inf"), x)
    return finite.where(x > 0.0, x.like(float("-inf")).where(x.equal(0.0), float("nan")))


def log(x: Float) -> Float:
    """ln x."""
    one_plus, e = split(x)
    high, low = LN_2[x.format]
    f = one_plus - 1.0
    return _domain(x, e.fma(high, f + _correction(f, e * low)))


def log1p(x: Float) -> Float:
    """ln(1 + x): as ln of the rounded sum u, with what rounding lost added to f."""
    u = x + 1.0
    lost = x - (u - 1.0)
    one_plus, exponent = _encoded(u.bits(), ROOT_HALF[x.format])
    inverse = x.format.one - (exponent << x.format.digits)
    scale = inverse.where(inverse > 0, 0).float()  # 2⁻ᵉ; nothing was lost where it would leave the normal range
    f = lost.fma(scale, one_plus - 1.0)
    e = exponent.number()
    high, low = LN_2[x.format]
    return _domain(u, e.fma(high, f + _correction(f, e * low))).signed(x)


def _pair(f: Float) -> tuple[Float, Float]:
    """ln(1 + f) as an unrounded sum, the larger part first."""
    rest = _correction(f)
    total = f + rest
    return total, (f - total) + rest


def log2(x: Float) -> Float:
    """log₂ x; exact for powers of two."""
    one_plus, e = split(x)
    total, rest = _pair(one_plus - 1.0)
    high, low = LOG2_E[x.format]
    return _domain(x, e + total.fma(high, total.fma(low, rest * high)))


def log10(x: Float) -> Float:
    """log₁₀ x."""
    one_plus, e = split(x)
    total, rest = _pair(one_plus - 1.0)
    high, low = LOG10_E[x.format]
    scale, scale_low = LOG10_2[x.format]
    return _domain(x, e.fma(scale, total.fma(high, total.fma(low, rest.fma(high, e * scale_low)))))
