"""x to the power y: e^(y ln |x|), the sign from x and the parity of y, and C99's special cases.

y ln |x| may be as large as the exponent's range, and its absolute error is the result's relative one: the logarithm
needs the exponent's bits beyond the result's. float32 is therefore computed in float64, and float64 with a logarithm in
two parts.
"""

from __future__ import annotations

from typing import Final

from adjoint.compiler.mathematics.exponential import EXP, RANGE, exp_polynomial, reduced, scaled, two_to
from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Float, Format, Mask, horner
from adjoint.compiler.mathematics.logarithm import LN_2, split

__all__ = ["pow"]

#: (2 artanh s − 2s)/s³ in s², for s = f/(2+f) and 1 + f in [√½, √2): Remez exchange in 60 digits, to 2⁻³⁶ for float32.
LOG_SINGLE: Final = (0.6666666564370575, 0.40000335626761807, 0.2853727862586834, 0.2358275730199893)
#: (2 artanh s − 2s − ⅔s³)/s⁵ in s², to 2⁻⁶⁵; and ⅔ in two parts.
LOG_DOUBLE: Final = (
    *(0.4000000000000226, 0.28571428570096447, 0.2222222252049893, 0.18181784315236468, 0.15386759786746304),
    *(0.13256759114208894, 0.13196885774395858),
)
TWO_THIRDS: Final = (2 / 3, 2.0**-54 * 2 / 3)

#: Larger exponents make every power but those of ±1 overflow or underflow, as this one does; it is an even integer.
LARGEST: Final = {SINGLE: 2.0**40, DOUBLE: 2.0**70}


def _single(size: Float, y: Float) -> Float:
    """|x|ʸ in float64, then rounded to float32."""
    one_plus, e = split(size.to_double(), subnormal=False)
    f = one_plus - 1.0
    s = f / (f + 2.0)
    z = s * s
    logarithm = e.fma(LN_2[DOUBLE][0], s.fma(z * horner(z, LOG_SINGLE), s + s))
    low, high = RANGE[SINGLE]
    n, _, r = reduced((logarithm * y.to_double()).at_least(low).at_most(high))
    return (horner(r, (1.0, 1.0, *EXP[SINGLE])) * two_to(n, r)).to_single()


def _logarithm(size: Float) -> tuple[Float, Float]:
    """ln of a float64 as a sum of two, to about 2⁻⁶⁸ of the larger."""
    one_plus, e = split(size)
    f = one_plus - 1.0
    divisor = f + 2.0
    inverse = 1.0 / divisor
    s = f * inverse
    s_low = inverse * (-s).fma(f - (divisor - 2.0), (-s).fma(divisor, f))
    z = s * s
    z_low = s.fma(s, -z) + (s + s) * s_low
    cube = s * z
    cube_low = s.fma(z, -cube) + s.fma(z_low, s_low * z)
    part = z * horner(z, LOG_DOUBLE)
    weight = part + TWO_THIRDS[0]
    weight_low = (TWO_THIRDS[0] - weight) + part + TWO_THIRDS[1]
    term = weight * cube
    term_low = weight.fma(cube, -term) + weight.fma(cube_low, weight_low * cube)
    high, low = LN_2[DOUBLE]
    whole, double = e * high, s + s
    first = whole + double
    total = first + term
    rest = ((whole - first) + double) + ((first - total) + term)
    return total, rest + (s_low.fma(2.0, term_low) + e * low)


def _double(size: Float, y: Float) -> Float:
    """|x|ʸ for float64."""
    logarithm, rest = _logarithm(size)
    product = logarithm * y
    low, high = RANGE[DOUBLE]
    moderate = (product > low) & (product < high)
    product_low = logarithm.fma(y, -product) + rest * y
    n, _, r = reduced(product.at_least(low).at_most(high))
    return scaled(exp_polynomial(r + product_low.where(moderate, 0.0)), n)


def pow(x: Float, y: Float) -> Float:
    """xʸ."""
    form: Format = x.format
    size = abs(x)
    exponent = y.at_least(-LARGEST[form]).at_most(LARGEST[form])
    power = (_single if form is SINGLE else _double)(size, exponent)
    half = y * 0.5
    whole = y.call("trunc").equal(y)
    power = x.like(float("nan")).where((x < 0.0) & whole.negated(), power)
    extreme = size.equal(0.0) | size.equal(float("inf"))
    limit = x.like(float("inf")).where((size > 1.0) ^ (y < 0.0), 0.0)
    power = limit.where(extreme, power)
    power = (x + y).where(x.unordered(y), power)
    odd: Mask = whole & half.call("trunc").differs(half)
    sign = x.bits() & x.format.sign
    power = power.flipped(sign.where(odd, 0))
    return x.like(1.0).where(x.equal(1.0) | y.equal(0.0), power)
