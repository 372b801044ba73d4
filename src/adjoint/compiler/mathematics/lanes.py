"""Arithmetic of vectors in the notation of formulas: `x * y + z` appends IR instructions.

Three kinds of value, each a scalar or a vector of any lane count: `Float` (float32 or float64), `Bits` (integers of the
same width, in two's complement) and `Mask` (comparisons). Numbers beside them become constants. Nothing is simplified
and nothing is contracted: one operator, one IEEE operation, so all lane counts give the same bits. `fma` rounds once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final, NamedTuple

from adjoint.compiler.llvm import constant, ir

__all__ = ["DOUBLE", "SINGLE", "Bits", "Float", "Format", "Mask", "function", "horner", "intrinsic", "suffix"]


class Format(NamedTuple):
    """An IEEE format: width in bits, stored bits of the significand, and the exponent's bias."""

    width: int
    digits: int
    bias: int

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.digits

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << (self.width - 1)

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return float(2.0 ** (1 - self.bias))

    @property
    def magic(self) -> float:
        """Added to a small number, it leaves the nearest integer in the sum's low bits (half to even)."""
        return float(1.5 * 2.0**self.digits)

    @property
    def magic_bits(self) -> int:
        """The bits of `magic`."""
        return ((self.bias + self.digits) << self.digits) + (1 << (self.digits - 1))


SINGLE: Final = Format(32, 23, 127)
DOUBLE: Final = Format(64, 52, 1023)


def _like(kind: Any, element: Any) -> Any:
    """A type of the same lane count with another element."""
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element


def suffix(kind: Any) -> str:
    """A type's name in the names of intrinsics: v16f32."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    return str(kind) if isinstance(kind, ir.IntType) else {ir.FloatType(): "f32", ir.DoubleType(): "f64"}[kind]


def intrinsic(builder: Any, name: str, *operands: Any, result: Any = None) -> Any:
    """Call of an LLVM intrinsic that is overloaded on its first operand's type."""
    kind = operands[0].type
    full = f"llvm.{name}.{suffix(kind)}"
    callee = builder.module.globals.get(full)
    if callee is None:
        kinds = [operand.type for operand in operands]
        callee = ir.Function(builder.module, ir.FunctionType(kind if result is None else result, kinds), full)
    return builder.call(callee, operands)


class _Lanes:
    """A value of the IR and the builder that appends what is computed from it."""

    __slots__ = ("builder", "raw")

    def __init__(self, builder: Any, raw: Any) -> None:
        self.builder: Final = builder
        self.raw: Final = raw

    @property
    def element(self) -> Any:
        """The IR type of one lane."""
        kind = self.raw.type
        return kind.element if isinstance(kind, ir.VectorType) else kind

    def _raw(self, other: Any) -> Any:
        return other.raw if isinstance(other, _Lanes) else constant(self.raw.type, other)


class Mask(_Lanes):
    """True or false in every lane."""

    __slots__ = ()

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.and_(self.raw, other.raw))

    def __or__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.or_(self.raw, other.raw))

    def __xor__(self, other: Mask) -> Mask:
        return Mask(self.builder, self.builder.xor(self.raw, other.raw))

    def negated(self) -> Mask:
        """Where this is false."""
        return Mask(self.builder, self.builder.not_(self.raw))

    def any(self) -> Any:
        """One i1: whether any lane is true."""
        if not isinstance(self.raw.type, ir.VectorType):
            return self.raw
        return intrinsic(self.builder, "vector.reduce.or", self.raw, result=ir.IntType(1))


class Bits(_Lanes):
    """Integers as wide as the float format; they wrap around."""

    __slots__ = ()

    def __add__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.add(self.raw, self._raw(other)))

    def __sub__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.sub(self.raw, self._raw(other)))

    def __rsub__(self, other: int) -> Bits:
        return Bits(self.builder, self.builder.sub(self._raw(other), self.raw))

    def __and__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.and_(self.raw, self._raw(other)))

    def __xor__(self, other: Bits | int) -> Bits:
        return Bits(self.builder, self.builder.xor(self.raw, self._raw(other)))

    def __lshift__(self, count: int) -> Bits:
        return Bits(self.builder, self.builder.shl(self.raw, self._raw(count)))

    def __rshift__(self, count: int) -> Bits:
        """Shift that keeps the sign."""
        return Bits(self.builder, self.builder.ashr(self.raw, self._raw(count)))

    def __lt__(self, other: Bits | int) -> Mask:
        return Mask(self.builder, self.builder.icmp_signed("<", self.raw, self._raw(other)))

    def __gt__(self, other: Bits | int) -> Mask:
        return Mask(self.builder, self.builder.icmp_signed(">", self.raw, self._raw(other)))

    def equal(self, other: Bits | int) -> Mask:
        """Equality."""
        return Mask(self.builder, self.builder.icmp_signed("==", self.raw, self._raw(other)))

    def where(self, condition: Mask, other: Bits | int) -> Bits:
        """This where the condition holds, else the other."""
        return Bits(self.builder, self.builder.select(condition.raw, self.raw, self._raw(other)))

    def like(self, number: int) -> Bits:
        """A constant in every lane."""
        return Bits(self.builder, constant(self.raw.type, number))

    def number(self) -> Float:
        """The integer as a number; exact below 2²³ and 2⁵¹.

        For float64 by adding into the low bits of a large number: AVX2 has no conversion of 64-bit integers.
        """
        if self.element.width == SINGLE.width:
            return Float(self.builder, self.builder.sitofp(self.raw, _like(self.raw.type, ir.FloatType())))
        return (self + DOUBLE.magic_bits).float() - DOUBLE.magic

    def float(self) -> Float:
        """The number that these bits encode."""
        element = ir.FloatType() if self.element.width == SINGLE.width else ir.DoubleType()
        return Float(self.builder, self.builder.bitcast(self.raw, _like(self.raw.type, element)))


class Float(_Lanes):
    """float32 or float64 in every lane. Comparisons are false for NaN, except `differs`."""

    __slots__ = ()

    @property
    def format(self) -> Format:
        """The format of a lane."""
        return SINGLE if self.element == ir.FloatType() else DOUBLE

    def __add__(self, other: Float | float) -> Float:
        return Float(self.builder, self.builder.fadd(self.raw, self._raw(other)))

    def __sub__(self, other: Float | float) -> Float:
        return Float(self.builder, self.builder.fsub(self.raw, self._raw(other)))

    def __rsub__(self, other: float) -> Float:
        return Float(self.builder, self.builder.fsub(self._raw(other), self.raw))

    def __mul__(self, other: Float | float) -> Float:
        return Float(self.builder, self.builder.fmul(self.raw, self._raw(other)))

    def __truediv__(self, other: Float | float) -> Float:
        return Float(self.builder, self.builder.fdiv(self.raw, self._raw(other)))

    def __rtruediv__(self, other: float) -> Float:
        return Float(self.builder, self.builder.fdiv(self._raw(other), self.raw))

    def __neg__(self) -> Float:
        return Float(self.builder, self.builder.fneg(self.raw))

    def __abs__(self) -> Float:
        return self.call("fabs")

    def __lt__(self, other: Float | float) -> Mask:
        return self._compare("<", other)

    def __le__(self, other: Float | float) -> Mask:
        return self._compare("<=", other)

    def __gt__(self, other: Float | float) -> Mask:
        return self._compare(">", other)

    def __ge__(self, other: Float | float) -> Mask:
        return self._compare(">=", other)

    def equal(self, other: Float | float) -> Mask:
        """Equality; false for NaN."""
        return self._compare("==", other)

    def differs(self, other: Float | float) -> Mask:
        """Inequality; true for NaN."""
        return Mask(self.builder, self.builder.fcmp_unordered("!=", self.raw, self._raw(other)))

    def unordered(self, other: Float | float) -> Mask:
        """Whether this or the other is NaN."""
        return Mask(self.builder, self.builder.fcmp_unordered("uno", self.raw, self._raw(other)))

    def _compare(self, relation: str, other: Float | float) -> Mask:
        return Mask(self.builder, self.builder.fcmp_ordered(relation, self.raw, self._raw(other)))

    def call(self, name: str, *others: Float | float) -> Float:
        """An LLVM intrinsic of this type."""
        return Float(self.builder, intrinsic(self.builder, name, self.raw, *(self._raw(other) for other in others)))

    def fma(self, factor: Float | float, addend: Float | float) -> Float:
        """This · factor + addend, rounded once."""
        return self.call("fma", factor, addend)

    def like(self, number: float) -> Float:
        """A constant in every lane."""
        return Float(self.builder, constant(self.raw.type, number))

    def where(self, condition: Mask, other: Float | float) -> Float:
        """This where the condition holds, else the other."""
        return Float(self.builder, self.builder.select(condition.raw, self.raw, self._raw(other)))

    def at_most(self, bound: float) -> Float:
        """The smaller of this and the bound; NaN stays."""
        return self.like(bound).where(self.like(bound) < self, self)

    def at_least(self, bound: float) -> Float:
        """The larger of this and the bound; NaN stays."""
        return self.like(bound).where(self.like(bound) > self, self)

    def signed(self, other: Float) -> Float:
        """This with the sign of the other."""
        return self.call("copysign", other)

    def bits(self) -> Bits:
        """The encoding."""
        return Bits(self.builder, self.builder.bitcast(self.raw, _like(self.raw.type, ir.IntType(self.format.width))))

    def flipped(self, sign: Bits) -> Float:
        """This, negated where the sign bit is set; the other bits must be clear."""
        return (self.bits() ^ sign).float()

    def to_double(self) -> Float:
        """In float64."""
        return Float(self.builder, self.builder.fpext(self.raw, _like(self.raw.type, ir.DoubleType())))

    def to_single(self) -> Float:
        """In float32, rounded."""
        return Float(self.builder, self.builder.fptrunc(self.raw, _like(self.raw.type, ir.FloatType())))


def horner(x: Float, coefficients: Sequence[float]) -> Float:
    """c₀ + c₁x + c₂x² + …, one fma a coefficient."""
    *rest, last = coefficients
    out = x.like(last)
    for coefficient in reversed(rest):
        out = out.fma(x, coefficient)
    return out


def function(rule: Callable[..., Float]) -> Callable[..., Any]:
    """A rule on `Float` as a function of a builder and IR values."""

    @wraps(rule)
    def emit(builder: Any, *values: Any) -> Any:
        return rule(*(Float(builder, value) for value in values)).raw

    return emit
