"""Sine, cosine, tangent: x minus the nearest multiple of π/2, then a polynomial or two.

The multiple is subtracted in three parts of π/2; the first difference is exact, and what the second one rounds away is
kept for the tangent, whose slope would double it. (Multiples of π would do with one polynomial for sine and cosine, but
cost an ulp, and cos 0 would not be 1.) Beyond `LIMIT` the first difference rounds: if any lane is there, a branch that
is hardly ever taken reduces lane by lane, with as many bits of 2/π as the exponent asks for. The builder then stands in
another basic block.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Bits, Float, Mask, horner
from adjoint.compiler.mathematics.payne_hanek import HALF_PI, far_reduced

__all__ = ["cos", "sin", "tan"]

TWO_OVER_PI: Final = 0.6366197723675814

#: The three parts serve below this.
LIMIT: Final = {SINGLE: 2.0**17, DOUBLE: 2.0**30}

#: (sin r − r)/r³ and (cos r − 1)/r² in r² on |r| ≤ π/4: Remez exchange in 60 digits, relative to the function.
SIN: Final = {
    SINGLE: (-0.16666655, 0.008332156, -0.0001951463),
    DOUBLE: (
        *(-0.1666666666666663, 0.008333333333322005, -0.0001984126982949581, 2.755731358775207e-06),
        *(-2.505074233100886e-08, 1.5895906167895833e-10),
    ),
}
COS: Final = {
    SINGLE: (-0.5, 0.041666646, -0.0013887311, 2.4432436e-05),
    DOUBLE: (
        *(-0.5, 0.041666666666666595, -0.0013888888888872897, 2.480158728874893e-05, -2.7557314148826006e-07),
        *(2.0875696598583277e-09, -1.135831176349074e-11),
    ),
}

#: (tan r − r)/r³ in r², likewise.
TAN: Final = {
    SINGLE: (0.3333335, 0.13332653, 0.05406106, 0.021276101, 0.010852065, 6.8348556e-05, 0.004387005),
    DOUBLE: (
        *(0.3333333333333276, 0.13333333333416794, 0.053968253925627, 0.021869489634009007, 0.00886321881129483),
        *(0.0035922922688369557, 0.0014547385510793524, 0.0005951466066606979, 0.00022213787133498788),
        *(0.00013702516024651344, -2.709222372106664e-05, 9.010295360742908e-05, -4.522872238297976e-05),
        2.0948179148437828e-05,
    ),
}


class Reduced(NamedTuple):
    """x = n·π/2 + r + tail: n in the low bits of an integer."""

    n: Bits
    r: Float
    tail: Float


def _near(x: Float) -> Reduced:
    """Reduction below the limit."""
    shifted = x.fma(TWO_OVER_PI, x.format.magic)
    n = shifted - x.format.magic
    high, middle, low = HALF_PI[x.format]
    first = n.fma(-high, x)
    product = n * middle
    second = first - product
    rest = n.fma(-low, (first - second) - product) - n.fma(middle, -product)
    r = second + rest
    return Reduced(shifted.bits(), r, (second - r) + rest)


def _reduced(x: Float) -> Reduced:
    """Reduction of x ≥ 0, near and far."""
    near = _near(x)
    huge = x >= LIMIT[x.format]
    builder = x.builder
    before = builder.block
    with builder.if_then(huge.any(), likely=False):
        n, r, tail = far_reduced(x.where(huge, LIMIT[x.format]))
        far = Reduced(n.where(huge, near.n), r.where(huge, near.r), tail.where(huge, near.tail))
        inside = builder.block
    merged = []
    for old, new in zip(near, far, strict=True):
        phi = builder.phi(old.raw.type)
        phi.add_incoming(old.raw, before)
        phi.add_incoming(new.raw, inside)
        merged.append(phi)
    return Reduced(Bits(builder, merged[0]), *(Float(builder, phi) for phi in merged[1:]))


def _wave(n: Bits, r: Float) -> Float:
    """|sin| of r for even n, |cos| for odd n but for r's sign."""
    square = r * r
    sine = (r * square).fma(horner(square, SIN[r.format]), r)
    cosine = square.fma(horner(square, COS[r.format]), 1.0)
    return cosine.where(_odd(n), sine)


def _odd(n: Bits) -> Mask:
    """Whether n is odd."""
    return (n << int(n.element.width - 1)) < 0


def sin(x: Float) -> Float:
    """sin(nπ/2 + r), of |x|: the sign of zero comes back with x's."""
    n, r, _ = _reduced(abs(x))
    sign = x.bits() ^ (n << (x.format.width - 2))  # n = 2, 3: the negative half of the circle
    return _wave(n, r).flipped(sign & x.format.sign)


def cos(x: Float) -> Float:
    """cos(nπ/2 + r) = sin((n+1)π/2 + r)."""
    n, r, _ = _reduced(abs(x))
    n = n + 1
    return _wave(n, r).flipped((n << (x.format.width - 2)) & x.format.sign)


def tan(x: Float) -> Float:
    """tan(nπ/2 + r) = tan r for even n, −1/tan r for odd n."""
    n, r, tail = _reduced(abs(x))
    square = r * r
    t = r + (r * square).fma(horner(square, TAN[x.format]), square.fma(tail, tail))
    return (-1.0 / t).where(_odd(n), t).flipped(x.bits() & x.format.sign)
