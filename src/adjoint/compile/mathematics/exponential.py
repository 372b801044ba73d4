"""The exponential and what is built on it: x = n·ln 2 + r with |r| ≤ ½ ln 2, a polynomial in r, and 2ⁿ by bits.

n comes from adding `Format.magic`: the sum's low bits are the integer n, shifted into the exponent's place without a
conversion. Whoever scales by 2ⁿ does it in one or two exact factors, so that results underflow gradually.
"""

from __future__ import annotations

from typing import Final

from adjoint.compile.mathematics.lanes import DOUBLE, SINGLE, Bits, Float, horner

__all__ = ["cosh", "exp", "exp2", "exp_polynomial", "expm1", "reduced", "sigmoid", "sinh", "tanh", "two_to"]

LOG2_E: Final = 1.4426950408889634

#: ln 2 in two parts; n·(first part) subtracted by fma is exact for all n that occur.
LN_2: Final = {SINGLE: (0.693147182464599609375, -1.904654323148236e-09), DOUBLE: (0.6931471805599453, 2.3190468138462996e-17)}

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
    DOUBLE: (0.16666666666666677, 0.008333333333321586, 0.00019841269886264874, 2.755724404651044e-06, 2.510910138498163e-08),
}
COSH: Final = {
    SINGLE: (0.5, 0.041666266, 0.0013946333),
    DOUBLE: (
        *(0.5, 0.04166666666666671, 0.0013888888888863753, 2.4801587363738707e-05, 2.755724153852072e-07),
        2.0924513571274735e-09,
    ),
}

#: Below the first every eˣ rounds to zero, above the second to infinity.
RANGE: Final = {SINGLE: (-105.0, 89.0), DOUBLE: (-746.0, 710.0)}
#: The same for 2ˣ.
RANGE_2: Final = {SINGLE: (-151.0, 129.0), DOUBLE: (-1077.0, 1025.0)}
#: e^(−x) is below half an ulp of 1 beyond this.
NEGLIGIBLE: Final = {SINGLE: 18.0, DOUBLE: 40.0}
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


def _expm1_polynomial(r: Float) -> Float:
    """eʳ − 1 for |r| ≤ ½ ln 2."""
    return (r * r).fma(horner(r, EXP[r.format]), r)


def _scaled(value: Float, n: Bits) -> Float:
    """Value · 2ⁿ, rounded once, for n beyond the exponents of one number: 2ⁿ as a product of two."""
    half = n >> 1
    return value * two_to(half, value) * two_to(n - half, value)


def exp(x: Float) -> Float:
    """eˣ."""
    low, high = RANGE[x.format]
    n, _, r = reduced(x.at_least(low).at_most(high))
    return _scaled(exp_polynomial(r), n)


def exp2(x: Float) -> Float:
    """2ˣ."""
    low, high = RANGE_2[x.format]
    x = x.at_least(low).at_most(high)
    shifted = x + x.format.magic
    r = x - (shifted - x.format.magic)
    return _scaled(exp_polynomial(r * LN_2[x.format][0]), shifted.bits())


def expm1(x: Float) -> Float:
    """eˣ − 1 = 2ⁿ(eʳ − 1) + (2ⁿ − 1).

    As half of it and twice that, since 2ⁿ overflows before eˣ does; where n = 0 there is nothing to scale, and halving
    would lose a bit of subnormal numbers.
    """
    n, whole, r = reduced(x.at_least(-NEGLIGIBLE[x.format]).at_most(RANGE[x.format][1]))
    tail = _expm1_polynomial(r)
    scale = two_to(n, x, plus=-1)
    half = scale.fma(tail, scale - 0.5)
    return tail.where(whole.equal(0.0), half + half).signed(x)


def tanh(x: Float) -> Float:
    """(e²ˣ − 1)/(e²ˣ + 1) of |x|, so that nothing cancels and nothing overflows."""
    size = abs(x).at_most(NEGLIGIBLE[x.format] / 2)
    n, _, r = reduced(size + size)
    scale = two_to(n, x)
    less = scale.fma(_expm1_polynomial(r), scale - 1.0)
    return (less / (less + 2.0)).signed(x)


def sigmoid(x: Float) -> Float:
    """1/(1 + e⁻ˣ), for negative x as eˣ/(1 + eˣ): e^(−|x|) overflows nowhere and keeps its small values.

    n ≤ 0 here, so one exact factor brings 2ⁿ into the normal range and another, in the end, takes it back.
    """
    size = (-abs(x)).at_least(RANGE[x.format][0])
    n, _, r = reduced(size)
    lift = x.format.bias // 2
    power = exp_polynomial(r) * two_to(n, x, plus=lift) * 2.0**-lift
    return power.where(x < 0.0, 1.0) / (power + 1.0)


def _halves(x: Float) -> tuple[Float, Float, Float, Float]:
    """2 sinh r, 2 cosh r − 2, ½ sinh(n ln 2) and ½ cosh(n ln 2) of |x| = n ln 2 + r."""
    n, _, r = reduced(abs(x).at_most(OVERFLOW[x.format]))
    square = r * r
    double = r + r
    odd = (double * square).fma(horner(square, SINH[x.format]), double)
    even = square * horner(square, tuple(2 * c for c in COSH[x.format]))
    up, down = two_to(n, x, plus=-2), (x.format.one - (2 << x.format.digits)) - (n << x.format.digits)
    falling = down.where(down < 0, 0) ^ down  # 0 where 2⁻ⁿ would leave the normal range, and is negligible
    return odd, even, up - falling.float(), up + falling.float()


def sinh(x: Float) -> Float:
    """sinh(n ln 2 + r) = sinh(n ln 2) cosh r + cosh(n ln 2) sinh r: no division, and exact where n = 0."""
    odd, even, half_sinh, half_cosh = _halves(x)
    return (half_sinh + (half_sinh + half_cosh.fma(odd, half_sinh * even))).signed(x)


def cosh(x: Float) -> Float:
    """cosh(n ln 2 + r) = cosh(n ln 2) cosh r + sinh(n ln 2) sinh r."""
    odd, even, half_sinh, half_cosh = _halves(x)
    return half_cosh + (half_cosh + half_sinh.fma(odd, half_cosh * even))
