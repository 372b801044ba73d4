"""One primitive on numbers in registers: scalars, or vectors of any lane count.

Invariant: the same IEEE operations for every lane count, so an element's bits do not depend on where it lies. A bool is
an `i1` in a register and a byte in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from adjoint.compiler.llvm import constant, ir
from adjoint.compiler.mathematics import FUNCTIONS
from adjoint.compiler.mathematics.lanes import intrinsic, suffix
from adjoint.compiler.program import COMPARISONS, Value

Dtype = np.dtype[Any]


class UnsupportedError(Exception):
    """There is no native code for a primitive of this dtype; NumPy computes it between native segments."""


def in_memory(dtype: Dtype) -> Any:
    """The IR type of an element of an array."""
    if dtype.kind == "b":
        return ir.IntType(8)
    return in_register(dtype)


def in_register(dtype: Dtype, lanes: int = 0) -> Any:
    """The IR type of a number, or of a vector of that many."""
    if dtype.kind in "iu":
        kind: Any = ir.IntType(8 * dtype.itemsize)
    elif dtype.kind == "b":
        kind = ir.IntType(1)
    elif dtype in (np.float32, np.float64):
        kind = ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    else:
        raise UnsupportedError(f"there is no native code for {dtype}")
    return ir.VectorType(kind, lanes) if lanes else kind


def number(dtype: Dtype, content: Any, lanes: int = 0) -> Any:
    """A constant."""
    value = float(content) if dtype.kind == "f" else int(content)
    return constant(in_register(dtype, lanes), value)


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """The number in every lane."""
    kind = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), lanes), None))


def is_native(value: Value) -> bool:
    """Whether there is native code for an elementwise primitive and the dtype that it computes in."""
    if value.kind in ("where", "cast", "copied") or value.kind in COMPARISONS or not value.inputs:
        return True
    kind = value.inputs[0].dtype.kind
    if kind == "f":
        return value.kind in _FLOAT or value.kind in FUNCTIONS
    return value.kind in (_INTEGER if kind in "iu" else _BOOL)


def emit(builder: Any, value: Value, operands: Sequence[Any]) -> Any:
    """The primitive that makes `value`, of operands in registers."""
    if value.kind == "where":
        return builder.select(*operands)
    if value.kind == "copied":
        return operands[0]
    dtype = value.inputs[0].dtype
    if value.kind == "cast":
        return cast(builder, operands[0], dtype, value.dtype)
    if value.kind in COMPARISONS:
        return _compared(builder, value.kind, dtype, *operands)
    rules = _FLOAT if dtype.kind == "f" else _INTEGER if dtype.kind in "iu" else _BOOL
    rule = rules.get(value.kind)
    if rule is not None:
        return rule(builder, dtype, *operands)
    if dtype.kind == "f" and value.kind in FUNCTIONS:
        return FUNCTIONS[value.kind](builder, *operands)
    raise UnsupportedError(f"there is no native code for {value.kind} of {dtype}")


def combine(builder: Any, kind: str, dtype: Dtype, x: Any, y: Any) -> Any:
    """Two partial results of a reduction as one."""
    operation = {"sum": "add", "max": "maximum", "min": "minimum", "any": "or_", "all": "and_"}[kind]
    if operation in ("or_", "and_"):
        return builder.or_(x, y) if operation == "or_" else builder.and_(x, y)
    rules = _FLOAT if dtype.kind == "f" else _INTEGER if dtype.kind in "iu" else _BOOL
    return rules[operation](builder, dtype, x, y)


def identity(kind: str, dtype: Dtype) -> Any:
    """What a reduction of no elements gives."""
    if kind in ("sum", "any"):
        return dtype.type(0)
    if kind == "all" or dtype.kind == "b":
        return kind in ("all", "min")
    if dtype.kind == "f":
        return dtype.type(-np.inf if kind == "max" else np.inf)
    limits = np.iinfo(dtype)
    return limits.min if kind == "max" else limits.max


# --- the rules of the dtypes ------------------------------------------------------------------------------------------

Rule = Callable[..., Any]


def _zero(x: Any) -> Any:
    return ir.Constant(x.type, None) if isinstance(x.type, ir.VectorType) else constant(x.type, 0)


def _larger(b: Any, _: Dtype, x: Any, y: Any) -> Any:
    """NaN goes through from either side; one comparison does if y is known to be a number."""
    if _is_number(y):
        return b.select(b.fcmp_unordered(">", x, y), x, y)
    return b.select(b.or_(b.fcmp_ordered(">", x, y), b.fcmp_unordered("uno", x, x)), x, y)


def _smaller(b: Any, _: Dtype, x: Any, y: Any) -> Any:
    if _is_number(y):
        return b.select(b.fcmp_unordered("<", x, y), x, y)
    return b.select(b.or_(b.fcmp_ordered("<", x, y), b.fcmp_unordered("uno", x, x)), x, y)


def _is_number(x: Any) -> bool:
    """Whether x is a constant, and no NaN in any lane."""
    if not isinstance(x, ir.Constant):
        return False
    return all(map(_is_number, x.constant)) if isinstance(x.type, ir.VectorType) else not np.isnan(x.constant)


def _float_sign(b: Any, _: Dtype, x: Any) -> Any:
    """1 or −1; 0 of a zero of either sign, NaN of NaN."""
    zero, one = constant(x.type, 0.0), constant(x.type, 1.0)
    signed = intrinsic(b, "copysign", one, x)
    return b.select(b.fcmp_ordered("!=", x, zero), signed, b.select(_is_nan(b, x), x, zero))


def _is_nan(b: Any, x: Any) -> Any:
    return b.fcmp_unordered("uno", x, x)


def _magnitude(b: Any, x: Any) -> Any:
    return intrinsic(b, "fabs", x)


def _bfloat16(b: Any, _: Dtype, x: Any) -> Any:
    """The nearest bfloat16, half to even: half of a last place is added, the low bits are cut off; NaN stays."""
    word = ir.IntType(32)
    kind = ir.VectorType(word, x.type.count) if isinstance(x.type, ir.VectorType) else word
    bits = b.bitcast(x, kind)
    odd = b.and_(b.lshr(bits, constant(kind, 16)), constant(kind, 1))
    cut = b.and_(b.add(bits, b.add(odd, constant(kind, 0x7FFF))), constant(kind, -0x10000))
    return b.select(_is_nan(b, x), x, b.bitcast(cut, x.type))


_FLOAT: Final[dict[str, Rule]] = {
    "bfloat16": _bfloat16,
    "add": lambda b, _, x, y: b.fadd(x, y),
    "subtract": lambda b, _, x, y: b.fsub(x, y),
    "multiply": lambda b, _, x, y: b.fmul(x, y),
    "divide": lambda b, _, x, y: b.fdiv(x, y),
    "negative": lambda b, _, x: b.fneg(x),
    "square": lambda b, _, x: b.fmul(x, x),
    "reciprocal": lambda b, _, x: b.fdiv(constant(x.type, 1.0), x),
    "maximum": _larger,
    "minimum": _smaller,
    "sign": _float_sign,
    "isnan": lambda b, _, x: _is_nan(b, x),
    "isinf": lambda b, _, x: b.fcmp_ordered("==", _magnitude(b, x), constant(x.type, float("inf"))),
    "isfinite": lambda b, _, x: b.fcmp_ordered("<", _magnitude(b, x), constant(x.type, float("inf"))),
}


def _signed(dtype: Dtype) -> bool:
    return dtype.kind == "i"


def _compare_integers(b: Any, dtype: Dtype, relation: str, x: Any, y: Any) -> Any:
    return (b.icmp_signed if _signed(dtype) else b.icmp_unsigned)(relation, x, y)


def _absolute(b: Any, dtype: Dtype, x: Any) -> Any:
    return b.select(b.icmp_signed("<", x, _zero(x)), b.neg(x), x) if _signed(dtype) else x


def _integer_sign(b: Any, dtype: Dtype, x: Any) -> Any:
    one = constant(x.type, 1)
    positive = b.select(_compare_integers(b, dtype, ">", x, _zero(x)), one, _zero(x))
    return b.select(b.icmp_signed("<", x, _zero(x)), b.neg(one), positive) if _signed(dtype) else positive


def _integer_remainder(b: Any, dtype: Dtype, x: Any, y: Any) -> Any:
    """With the sign of the divisor; 0 where the divisor is 0 (NumPy says so too)."""
    one, zero = constant(x.type, 1), _zero(x)
    none = b.icmp_signed("==", y, zero)
    if not _signed(dtype):
        return b.select(none, zero, b.urem(x, b.select(none, one, y)))
    minus = b.icmp_signed("==", y, constant(x.type, -1))  # the smallest integer over −1 overflows; the remainder is 0
    rest = b.srem(x, b.select(b.or_(none, minus), one, y))
    turned = b.and_(b.icmp_signed("!=", rest, zero), b.icmp_signed("<", b.xor(rest, y), zero))
    return b.select(turned, b.add(rest, y), rest)


def _same(_b: Any, _d: Dtype, x: Any) -> Any:
    return x


_INTEGER: Final[dict[str, Rule]] = {
    "add": lambda b, _, x, y: b.add(x, y),
    "subtract": lambda b, _, x, y: b.sub(x, y),
    "multiply": lambda b, _, x, y: b.mul(x, y),
    "negative": lambda b, _, x: b.neg(x),
    "square": lambda b, _, x: b.mul(x, x),
    "abs": _absolute,
    "sign": _integer_sign,
    "maximum": lambda b, d, x, y: b.select(_compare_integers(b, d, ">", x, y), x, y),
    "minimum": lambda b, d, x, y: b.select(_compare_integers(b, d, "<", x, y), x, y),
    "remainder": _integer_remainder,
    **dict.fromkeys(("floor", "ceil", "trunc", "round"), _same),
}

_BOOL: Final[dict[str, Rule]] = {
    "not_": lambda b, _, x: b.not_(x),
    "add": lambda b, _, x, y: b.or_(x, y),
    "multiply": lambda b, _, x, y: b.and_(x, y),
    "maximum": lambda b, _, x, y: b.or_(x, y),
    "minimum": lambda b, _, x, y: b.and_(x, y),
    **dict.fromkeys(("abs", "floor", "ceil", "trunc"), _same),
}

_RELATIONS: Final = {
    **{"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="},
    **{"equal": "==", "not_equal": "!="},
}


def _compared(b: Any, kind: str, dtype: Dtype, x: Any, y: Any) -> Any:
    if kind in ("and_", "or_"):
        return b.and_(x, y) if kind == "and_" else b.or_(x, y)
    relation = _RELATIONS[kind]
    if dtype.kind == "f":
        return (b.fcmp_unordered if kind == "not_equal" else b.fcmp_ordered)(relation, x, y)
    return (b.icmp_signed if dtype.kind == "i" else b.icmp_unsigned)(relation, x, y)


def cast(b: Any, x: Any, before: Dtype, after: Dtype) -> Any:
    """A number in another dtype."""
    kind = in_register(after, x.type.count if isinstance(x.type, ir.VectorType) else 0)
    if kind == x.type and (before.kind == "b") == (after.kind == "b"):
        return x
    if after.kind == "b":
        return b.fcmp_unordered("!=", x, _zero(x)) if before.kind == "f" else b.icmp_signed("!=", x, _zero(x))
    if after.kind == "f":
        return _as_float(b, x, kind, before, after)
    if before.kind == "f":  # what does not fit is cut to the nearest integer that does; plain conversion is undefined
        return _saturated(b, x, kind, after)
    if after.itemsize > before.itemsize or before.kind == "b":
        return b.sext(x, kind) if before.kind == "i" else b.zext(x, kind)
    return b.trunc(x, kind)


def _as_float(b: Any, x: Any, kind: Any, before: Dtype, after: Dtype) -> Any:
    if before.kind == "f":
        return b.fpext(x, kind) if after.itemsize > before.itemsize else b.fptrunc(x, kind)
    return b.sitofp(x, kind) if before.kind == "i" else b.uitofp(x, kind)


def _saturated(b: Any, x: Any, kind: Any, after: Dtype) -> Any:
    name = "llvm.fpto" + ("si" if after.kind == "i" else "ui") + f".sat.{suffix(kind)}.{suffix(x.type)}"
    function = b.module.globals.get(name)
    if function is None:
        function = ir.Function(b.module, ir.FunctionType(kind, [x.type]), name)
    return b.call(function, [x])
