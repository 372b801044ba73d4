"""The exponential and what is built on it: x = n·ln 2 + r with |r| ≤ ½ ln 2, a polynomial in r, and 2ⁿ by bits.

n comes from adding `Format.magic`: the sum's low bits are the integer n, shifted into the exponent's place without a
conversion. Whoever scales by 2ⁿ does it in one or two exact factors, so that results underflow gradually.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Bits, Float, horner

__all__ = ["cosh", "exp", "exp2", "exp_polynomial", "expm1", "reduced", "scaled", "sigmoid", "sinh", "tanh", "two_to"]

LOG2_E: Final = 1.4426950408889634

#: ln 2 in two parts; n·(first part) subtracted by fma is exact for all n that occur.
LN_2: Final = {
    SINGLE: (0.6931471824645996, -1.904654299957768e-09),
    DOUBLE: (0.6931471805599453, 2.3190468138462996e-17),
}

#: (eʳ − 1 − r)/r² on |r| ≤ ½ ln 2: Remez exchange in 60 digits, for the least error relative to eʳ − 1.
EXP: Final = {
    SINGLE: (0.49999997, 0.16666543, 0.0416672, 0.008366547, 0.0013882526),
    DOUBLE: (
        *(0.5000000000000006, 0.16666666666666588, 0.041666666666576466, 0.008333333333389675, 0.0013888888931665924),
        *(0.0001984126971885246, 2.4801505144646597e-05, 2.7557407554261294e-06, 2.7626091959181907e-07),
        2.5053817580941413e-08,
    ),
}

#: (sinh r − r)/r³ and (cosh r − 1)/r² in r², on |r| ≤ ½ ln 2: Remez exchange in 60 digits, relative to sinh r and r².
SINH: Final = {
    SINGLE: (0.16666543, 0.008366595),
    DOUBLE: (
        *(0.16666666666666677, 0.008333333333321586, 0.00019841269886264874, 2.755724404651044e-06),
        2.510910138498163e-08,
    ),
}
COSH: Final = {
    SINGLE: (0.5, 0.041666266, 0.0013946333),
    DOUBLE: (
        *(0.5, 0.04166666666666671, 0.0013888888888863753, 2.4801587363738707e-05, 2.755724153852072e-07),
        2.0924513571274735e-09,
    ),
}

#: (tanh r − r)/r³ in r² on |r| ≤ ¼ ln 2, likewise.
TANH: Final = {
    SINGLE: (-0.33333322, 0.13331176, -0.05272483),
    DOUBLE: (
        *(-0.33333333333332477, 0.13333333332778857, -0.05396825277358151, 0.02186937008830526, -0.008857287863769426),
        0.00344458037649531,
    ),
}

#: Below the first every eˣ rounds to zero, above the second to infinity.
RANGE: Final = {SINGLE: (-105.0, 89.0), DOUBLE: (-746.0, 710.0)}
#: The same for 2ˣ.
RANGE_2: Final = {SINGLE: (-151.0, 129.0), DOUBLE: (-1077.0, 1025.0)}
#: e^(−x) is below half an ulp of 1 beyond this.
NEGLIGIBLE: Final = {SINGLE: 18.0, DOUBLE: 40.0}
#: eˣ − 1 rounds to x where x² is below this, which is below the square of every r where n ≠ 0.
TINY_SQUARE: Final = {SINGLE: 2.0**-60, DOUBLE: 2.0**-120}
#: sinh and cosh overflow beyond this.
OVERFLOW: Final = {SINGLE: 89.5, DOUBLE: 710.5}


def reduced(x: Float) -> tuple[Bits, Float, Float]:
    """n in the low bits of an integer (all higher bits of no meaning), n, and r = x − n·ln 2."""
    shifted = x.fma(LOG2_E, x.format.magic)
    n = shifted - x.format.magic
    high, low = LN_2[x.format]
    return shifted.bits(), n, n.fma(-low, n.fma(-high, x))


def two_to(n: Bits, x: Float, *, plus: int = 0) -> Float:
    """2ⁿ⁺ᵖˡᵘˢ by the exponent's bits, where that is a normal number; n in the low bits of an integer."""
    return ((n << x.format.digits) + (x.format.one + (plus << x.format.digits))).float()


def exp_polynomial(r: Float) -> Float:
    """eʳ for |r| ≤ ½ ln 2."""
    return horner(r, (1.0, 1.0, *EXP[r.format]))


def scaled(value: Float, n: Bits) -> Float:
    """Value · 2ⁿ, rounded once, for n beyond the exponents of one number: 2ⁿ as a product of two."""
    half = n >> 1
    return value * two_to(half, value) * two_to(n - half, value)


def exp(x: Float) -> Float:
    """eˣ."""
    low, high = RANGE[x.format]
    n, _, r = reduced(x.at_least(low).at_most(high))
    return scaled(exp_polynomial(r), n)


def exp2(x: Float) -> Float:
    """2ˣ."""
    low, high = RANGE_2[x.format]
    x = x.at_least(low).at_most(high)
    shifted = x + x.format.magic
    r = x - (shifted - x.format.magic)
    return scaled(exp_polynomial(r * LN_2[x.format][0]), shifted.bits())


def expm1(x: Float) -> Float:
    """eˣ − 1 = 2ⁿ(eʳ − 1) + (2ⁿ − 1), as half of it and twice that, since 2ⁿ overflows before eˣ does.

    r is taken apart again for the sum: 2ⁿr̂ + (2ⁿ − 1) with r̂ = r + n·(second part of ln 2) hardly rounds where the two
    cancel, and all else is small. Tiny x are their own result; halving would lose a bit of subnormal ones.
    """
    bounded = x.at_least(-NEGLIGIBLE[x.format]).at_most(RANGE[x.format][1])
    shifted = bounded.fma(LOG2_E, x.format.magic)
    n = shifted - x.format.magic
    high, low = LN_2[x.format]
    first, second = n.fma(-high, bounded), n * low
    r = first - second
    square = r * r
    rest = square.fma(horner(r, EXP[x.format]), -second)
    scale = two_to(shifted.bits(), x, plus=-1)
    half = scale.fma(rest, scale.fma(first, scale - 0.5))
    return x.where(square < TINY_SQUARE[x.format], half + half)


def tanh(x: Float) -> Float:
    """|x| = ½n ln 2 + r; with s = 2⁻ⁿ and t = tanh r the addition theorem says ((1−s) + (1+s)t)/((1+s) + (1−s)t).

    (1 − s)² is near the result, and only what is missing is computed as a quotient, so that its errors count little.
    Where n = 0 that is 2t/2: t need only be right near zero, and small x lose nothing.
    """
    size = abs(x).at_most(NEGLIGIBLE[x.format] / 2)
    shifted = size.fma(2 * LOG2_E, x.format.magic)
    n = shifted - x.format.magic
    high, low = LN_2[x.format]
    r = n.fma(-low / 2, n.fma(-high / 2, size))
    square = r * r
    t = (r * square).fma(horner(square, TANH[x.format]), r)
    s = (x.format.one - (shifted.bits() << x.format.digits)).float()
    less = 1.0 - s
    missing = s * s.fma(s - 3.0, 4.0).fma(t, s * less) / less.fma(t, s + 1.0)
    return less.fma(less, missing).signed(x)


def sigmoid(x: Float) -> Float:
    """1/(1 + e⁻ˣ) from p = e^(−|x|), which overflows nowhere: 1 − p/(1 + p), and for negative x p − p·p/(1 + p).

    p/(1 + p) alone would be the answer for negative x too, but with the errors of sum and quotient at full weight.

    n ≤ 0 here, so one exact factor brings 2ⁿ into the normal range and another, in the end, takes it back.
    """
    n, _, r = reduced((-abs(x)).at_least(RANGE[x.format][0]))
    lift = x.format.bias // 2
    power = exp_polynomial(r) * two_to(n, x, plus=lift) * 2.0**-lift
    other = power / (power + 1.0)
    whole = power.where(x < 0.0, 1.0)
    return (-whole).fma(other, whole)


class _Hyperbolic(NamedTuple):
    """The parts of sinh(n ln 2 + r) and cosh(n ln 2 + r), n ≥ 0."""

    twice_sinh_r: Float
    twice_cosh_r_less_2: Float
    rising: Float  # ¼·2ⁿ: halves, since 2ⁿ itself overflows before the results do
    falling: Float  # ½·2⁻ⁿ, or 0 where that would be subnormal: negligible then


def _hyperbolic(x: Float) -> _Hyperbolic:
    form = x.format
    n, _, r = reduced(abs(x).at_most(OVERFLOW[form]))
    square = r * r
    double = r + r
    odd = (double * square).fma(horner(square, SINH[form]), double)
    even = square * horner(square, tuple(2 * c for c in COSH[form]))
    down = (form.one - (1 << form.digits)) - (n << form.digits)
    return _Hyperbolic(odd, even, two_to(n, x, plus=-2), down.where(down > 0, 0).float())


def sinh(x: Float) -> Float:
    """sinh(n ln 2) cosh r + cosh(n ln 2) sinh r: no division, and exactly sinh r where n = 0."""
    odd, even, rising, falling = _hyperbolic(x)
    half_sinh, half_cosh = falling.fma(-0.5, rising), falling.fma(0.5, rising)
    return half_sinh.fma(2.0, half_cosh.fma(odd, half_sinh * even)).signed(x)


def cosh(x: Float) -> Float:
    """cosh(n ln 2) cosh r + sinh(n ln 2) sinh r, the largest part added last."""
    odd, even, rising, falling = _hyperbolic(x)
    half_sinh, half_cosh = falling.fma(-0.5, rising), falling.fma(0.5, rising)
    return rising.fma(2.0, half_sinh.fma(odd, half_cosh.fma(even, falling)))
