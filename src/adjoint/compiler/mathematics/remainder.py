"""The remainder with the sign of the divisor, exactly, and with NumPy's special values.

x − q·y with q the quotient's nearest integer is exact in one fma as long as q has no more bits than the significand; a
quotient with more takes several rounds, which a loop does until no lane needs one. Most often it ends at once.
"""

from __future__ import annotations

from typing import Final

from adjoint.compiler.mathematics.lanes import SINGLE, Float

__all__ = ["remainder"]

#: The nearest integer of a quotient below 2⁵³ is known to the last bit, and the round that has one is the last.
EXACT: Final = 2.0**-53


def _round(rest: Float, y: Float, *, may_overflow: bool) -> Float:
    """What remains after one round; where the quotient would overflow, the divisor is a large multiple of y."""
    divisor = y
    for power in (1000, 700) if may_overflow else ():
        divisor = (divisor * 2.0**power).where(abs(rest) * 2.0**-power >= abs(divisor), divisor)
    quotient = (rest / divisor).call("roundeven")
    # where the quotient is 0 the divisor may be infinite, and x keeps its sign of zero
    return rest.where(quotient.equal(0.0), (-quotient).fma(divisor, rest))


def _exact(x: Float, y: Float, *, may_overflow: bool) -> Float:
    """x minus the nearest multiple of y, in float64; NaN where there is none."""
    builder = x.builder
    before, loop, after = builder.block, builder.append_basic_block("round"), builder.append_basic_block("rounded")
    builder.branch(loop)
    builder.position_at_end(loop)
    phi = builder.phi(x.raw.type)
    phi.add_incoming(x.raw, before)
    rest = Float(builder, phi)
    left = _round(rest, y, may_overflow=may_overflow)
    phi.add_incoming(left.raw, loop)
    builder.cbranch((abs(rest) * EXACT >= abs(y)).any(), loop, after)
    builder.position_at_end(after)
    return left


def remainder(x: Float, y: Float) -> Float:
    """x − y⌊x/y⌋; zero with the sign of y."""
    if x.format is SINGLE:
        wide_x, wide_y = x.to_double(), y.to_double()
        return _signed(_exact(wide_x, wide_y, may_overflow=False), wide_y).to_single()
    return _signed(_exact(x, y, may_overflow=True), y)


def _signed(rest: Float, y: Float) -> Float:
    """The remainder of y's sign that is congruent to this one."""
    opposite = (rest.bits() ^ y.bits()) < 0
    moved = (rest + y).where(opposite, rest)
    return rest.signed(y).where(rest.equal(0.0), moved)
