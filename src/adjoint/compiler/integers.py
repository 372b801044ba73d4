"""Integers of programs as they are emitted: constants are folded here, since each instruction costs compile time."""

from __future__ import annotations

from typing import Any, Final

from adjoint.compiler.llvm import ir

I64: Final = ir.IntType(64)
I32: Final = ir.IntType(32)
POINTER: Final = ir.PointerType()
VOID: Final = ir.VoidType()


def i64(value: int) -> Any:
    """An integer constant."""
    return ir.Constant(I64, value)


def known(x: Any) -> int | None:
    """The value of a constant; None for what is known only at run time."""
    return int(x.constant) if isinstance(x, ir.Constant) else None


def plus(builder: Any, x: Any, y: Any) -> Any:
    """x + y."""
    left, right = known(x), known(y)
    if left is not None and right is not None:
        return i64(left + right)
    if left == 0:
        return y
    return x if right == 0 else builder.add(x, y)


def minus(builder: Any, x: Any, y: Any) -> Any:
    """x − y."""
    left, right = known(x), known(y)
    if left is not None and right is not None:
        return i64(left - right)
    return x if right == 0 else builder.sub(x, y)


def times(builder: Any, x: Any, y: int) -> Any:
    """x·y."""
    left = known(x)
    if left is not None or y == 0:
        return i64((left or 0) * y)
    return x if y == 1 else builder.mul(x, i64(y))


def split(builder: Any, index: Any, inner: int, outer: int = 0) -> tuple[Any, Any]:
    """(index // inner, index % inner); of an index below outer·inner, if outer is given."""
    if outer == 1 or inner == 1:
        return (i64(0), index) if outer == 1 else (index, i64(0))
    quotient = builder.udiv(index, i64(inner))
    return quotient, builder.sub(index, builder.mul(quotient, i64(inner)))


def smaller(builder: Any, x: Any, y: Any) -> Any:
    """The smaller of two signed integers."""
    left, right = known(x), known(y)
    if left is not None and right is not None:
        return i64(min(left, right))
    return builder.select(builder.icmp_signed("<", x, y), x, y)


def chosen(builder: Any, condition: Any, x: int, y: int) -> Any:
    """x where the condition holds, else y."""
    return i64(x) if x == y else builder.select(condition, i64(x), i64(y))


def lane_mask(builder: Any, lanes: int, valid: Any) -> Any:
    """`<lanes x i1>`, true in the first `valid` lanes."""
    count = valid if isinstance(valid, int) else known(valid)
    if count is not None:
        return ir.Constant(ir.VectorType(ir.IntType(1), lanes), [lane < count for lane in range(lanes)])
    kind = ir.VectorType(I32, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), builder.trunc(valid, I32), ir.Constant(I32, 0))
    every = builder.shuffle_vector(first, first, ir.Constant(kind, None))
    return builder.icmp_signed("<", ir.Constant(kind, list(range(lanes))), every)


def declared(builder: Any, name: str, returns: Any, kinds: list[Any]) -> Any:
    """An intrinsic or function of the module, declared once."""
    found = builder.module.globals.get(name)
    return found if found is not None else ir.Function(builder.module, ir.FunctionType(returns, kinds), name)
