"""Reduction of huge arguments modulo π/2 (Payne and Hanek, Radian reduction for trigonometric functions, 1983).

x = m·2ᵉ with an integer m, so x·2/π modulo 4 depends only on the bits of 2/π from about place e on: 192 of them times m
leave a quadrant and a fraction with at least 60 good bits, whatever cancels. One scalar function in the module, which
is called lane by lane.
"""

from __future__ import annotations

from typing import Any, Final

from adjoint.compiler.llvm import ir
from adjoint.compiler.mathematics.lanes import DOUBLE, SINGLE, Bits, Float, Mask, intrinsic

__all__ = ["HALF_PI", "far_reduced"]

NAME: Final = "adjoint.payne_hanek"
TABLE: Final = "adjoint.two_over_pi"

#: Zero bits before the binary point, so that no exponent of a huge number lies before the table.
PADDING: Final = 64
#: Bits of 2/π: the largest exponent and three words more.
LENGTH: Final = 1280

#: π/2 in three parts.
HALF_PI: Final = {
    SINGLE: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    DOUBLE: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}

WORD: Final = ir.IntType(64)
WIDE: Final = ir.IntType(128)
NUMBER: Final = ir.DoubleType()


def _arctangent_of_inverse(n: int, one: int) -> int:
    """arctan(1/n) in units of 1/one, by its series."""
    total, power, k = 0, one // n, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power //= n * n
        k += 2
    return total


def two_over_pi() -> bytes:
    """The padding and the bits of 2/π, the highest first; π by Machin's formula."""
    one = 1 << (LENGTH + 64)
    pi = 4 * (4 * _arctangent_of_inverse(5, one) - _arctangent_of_inverse(239, one))
    return (2 * one * (1 << LENGTH) // pi).to_bytes((PADDING + LENGTH) // 8, "big")


def _table(module: Any) -> Any:
    data = bytearray(two_over_pi())
    kind = ir.ArrayType(ir.IntType(8), len(data))
    table = ir.GlobalVariable(module, kind, TABLE)
    table.initializer = ir.Constant(kind, data)
    table.linkage, table.global_constant = "internal", True
    return table


def _product(builder: Any, x: Any, table: Any) -> Any:
    """x·2/π modulo 4, as a 128-bit integer whose two highest bits are the quadrant."""
    zero = ir.Constant(ir.IntType(32), 0)
    bits = builder.bitcast(x, WORD)
    exponent = builder.lshr(bits, WORD(DOUBLE.digits))
    hidden = 1 << DOUBLE.digits
    m = builder.or_(builder.and_(bits, WORD(hidden - 1)), WORD(hidden))
    # the place of 2 · 2⁻ᵉ in the table: what lies before it contributes multiples of 4
    place = builder.sub(exponent, WORD(DOUBLE.bias + DOUBLE.digits + 2 - PADDING))
    m = builder.shl(m, builder.and_(place, WORD(7)))
    start = builder.lshr(place, WORD(3))
    words = []
    for k in range(3):
        pointer = builder.gep(table, [zero, builder.add(start, WORD(8 * k))], inbounds=True)
        loaded = builder.load(builder.bitcast(pointer, WORD.as_pointer()), align=1)
        words.append(builder.zext(builder.bswap(loaded), WIDE))
    m = builder.zext(m, WIDE)
    high, middle, low = (builder.mul(m, word) for word in words)
    return builder.add(builder.add(builder.shl(high, WIDE(64)), middle), builder.lshr(low, WIDE(64)))


def _angle(builder: Any, value: Any) -> tuple[Any, Any]:
    """A signed 128-bit fraction of π/2 as a sum of two numbers."""
    negative = builder.icmp_signed("<", value, WIDE(0))
    size = builder.select(negative, builder.neg(value), value)
    lead = intrinsic(builder, "ctlz", size, ir.Constant(ir.IntType(1), 0))
    top = builder.trunc(builder.lshr(builder.shl(size, lead), WIDE(64)), WORD)
    head = Float(builder, builder.uitofp(builder.lshr(top, WORD(11)), NUMBER))
    rest = Float(builder, builder.uitofp(builder.and_(top, WORD(2047)), NUMBER)) * 2.0**-11
    high, low, _ = HALF_PI[DOUBLE]
    product = head * high
    small = head.fma(high, -product) + head.fma(low, rest * high)
    r = product + small
    tail = (product - r) + small
    exponent = Bits(builder, builder.trunc(lead, WORD))
    scale = ((DOUBLE.bias - 53 - exponent) << DOUBLE.digits).float()
    scale = (-scale).where(Mask(builder, negative), scale)
    return (r * scale).raw, (tail * scale).raw


def _declared(module: Any) -> Any:
    """The scalar function x → (n, r, tail) for x > 2⁻⁸; defined at first use in a module."""
    found = module.globals.get(NAME)
    if found is not None:
        return found
    result = ir.LiteralStructType([WORD, NUMBER, NUMBER])
    made = ir.Function(module, ir.FunctionType(result, [NUMBER]), NAME)
    made.linkage = "internal"
    made.attributes.add("noinline")
    made.attributes.add("cold")
    builder = ir.IRBuilder(made.append_basic_block("entry"))
    value = _product(builder, made.args[0], _table(module))
    rounded = builder.add(builder.lshr(value, WIDE(125)), WIDE(1))
    n = builder.trunc(builder.lshr(rounded, WIDE(1)), WORD)
    out = ir.Constant(result, ir.Undefined)
    for k, part in enumerate((n, *_angle(builder, builder.shl(value, WIDE(2))))):
        out = builder.insert_value(out, part, k)
    builder.ret(out)
    return made


def _lane(builder: Any, x: Any) -> list[Any]:
    """n, r and tail of one number, in its own format."""
    single = isinstance(x.type, ir.FloatType)
    result = builder.call(_declared(builder.module), [builder.fpext(x, NUMBER) if single else x])
    n, r, tail = (builder.extract_value(result, k) for k in range(3))
    if not single:
        return [n, r, tail]
    rounded = builder.fptrunc(r, x.type)
    tail = builder.fadd(builder.fsub(r, builder.fpext(rounded, NUMBER)), tail)
    return [builder.trunc(n, ir.IntType(SINGLE.width)), rounded, builder.fptrunc(tail, x.type)]


def _each_lane(builder: Any, x: Any) -> list[Any]:
    """The same for each lane of a vector, in a loop: unrolled it would be the largest part of a kernel."""
    kinds = (Float(builder, x).bits().raw.type, x.type, x.type)
    before, loop, after = builder.block, builder.append_basic_block("far"), builder.append_basic_block("far.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    lane = builder.phi(ir.IntType(32))
    columns = [builder.phi(kind) for kind in kinds]
    values = _lane(builder, builder.extract_element(x, lane))
    filled = [builder.insert_element(column, value, lane) for column, value in zip(columns, values, strict=True)]
    following = builder.add(lane, ir.Constant(lane.type, 1))
    for phi, start, end in zip((lane, *columns), (0, *[ir.Undefined] * 3), (following, *filled), strict=True):
        phi.add_incoming(ir.Constant(phi.type, start), before)
        phi.add_incoming(end, loop)
    builder.cbranch(builder.icmp_signed("<", following, ir.Constant(lane.type, x.type.count)), loop, after)
    builder.position_at_end(after)
    return filled


def far_reduced(x: Float) -> tuple[Bits, Float, Float]:
    """x > 2⁻⁸ as n·π/2 + r + tail, n in the low bits of an integer; NaN for infinity."""
    each = _each_lane if isinstance(x.raw.type, ir.VectorType) else _lane
    n, r, tail = each(x.builder, x.raw)
    finite = x < float("inf")
    return Bits(x.builder, n), Float(x.builder, r).where(finite, float("nan")), Float(x.builder, tail)
