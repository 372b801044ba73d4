"""Loops and integer arithmetic as they are emitted.

Constants are folded here, since each instruction costs compile time. In a loop the condition comes first, so zero
rounds is right, except where at least one round is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from adjoint.compiler.llvm import ir

__all__ = [
    "I64",
    "accumulating",
    "advanced",
    "chosen",
    "counting",
    "element",
    "float_type",
    "i64",
    "internal_function",
    "intrinsic",
    "lane_mask",
    "minus",
    "plus",
    "smaller",
    "split",
    "striding",
    "times",
]

I64 = ir.IntType(64)
_I8 = ir.IntType(8)
_I32 = ir.IntType(32)


def i64(value: int) -> Any:
    """An integer constant."""
    return ir.Constant(I64, value)


def _known(x: Any) -> int | None:
    return int(x.constant) if isinstance(x, ir.Constant) else None


# ------------------------------------------------------------------------------------------------------- arithmetic


def plus(builder: Any, x: Any, y: Any) -> Any:
    """x + y."""
    left, right = _known(x), _known(y)
    if left is not None and right is not None:
        return i64(left + right)
    if left == 0:
        return y
    return x if right == 0 else builder.add(x, y)


def minus(builder: Any, x: Any, y: Any) -> Any:
    """x − y."""
    left, right = _known(x), _known(y)
    if left is not None and right is not None:
        return i64(left - right)
    return x if right == 0 else builder.sub(x, y)


def times(builder: Any, x: Any, y: int) -> Any:
    """x·y."""
    left = _known(x)
    if left is not None or y == 0:
        return i64((left or 0) * y)
    return x if y == 1 else builder.mul(x, i64(y))


def split(builder: Any, index: Any, outer: int, inner: int) -> tuple[Any, Any]:
    """(index // inner, index % inner) of an index below outer·inner."""
    if outer == 1 or inner == 1:
        return (i64(0), index) if outer == 1 else (index, i64(0))
    quotient = builder.udiv(index, i64(inner))
    return quotient, builder.sub(index, builder.mul(quotient, i64(inner)))


def smaller(builder: Any, x: Any, y: Any) -> Any:
    """The smaller of two signed integers."""
    left, right = _known(x), _known(y)
    if left is not None and right is not None:
        return i64(min(left, right))
    return builder.select(builder.icmp_signed("<", x, y), x, y)


def chosen(builder: Any, condition: Any, x: int, y: int) -> Any:
    """x where the condition holds, else y."""
    return i64(x) if x == y else builder.select(condition, i64(x), i64(y))


def lane_mask(builder: Any, lanes: int, valid: Any) -> Any:
    """`<lanes x i1>`, true in the first `valid` lanes."""
    known = _known(valid)
    if known is not None:
        return ir.Constant(ir.VectorType(ir.IntType(1), lanes), [lane < known for lane in range(lanes)])
    kind = ir.VectorType(_I32, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), builder.trunc(valid, _I32), ir.Constant(_I32, 0))
    every = builder.shuffle_vector(first, first, ir.Constant(kind, None))
    return builder.icmp_signed("<", ir.Constant(kind, list(range(lanes))), every)


# ------------------------------------------------------------------------------------------------ types and memory


def float_type(dtype: str) -> Any:
    """The IR type of a dtype."""
    return ir.FloatType() if dtype == "float32" else ir.DoubleType()


def element(kind: Any) -> int:
    """Bytes of a float type."""
    return 4 if isinstance(kind, ir.FloatType) else 8


def advanced(builder: Any, pointer: Any, count: Any) -> Any:
    """The pointer, this many bytes further."""
    return pointer if _known(count) == 0 else builder.gep(pointer, [count], source_etype=_I8)


def intrinsic(module: Any, name: str, result: Any, parameters: list[Any]) -> Any:
    """A function that LLVM knows, declared once in a module."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, parameters), name)


def internal_function(module: Any, name: str, parameters: list[Any], emit: Callable[..., None]) -> Any:
    """The module's function of this name; the first time its body is emitted, by `emit(builder, *arguments)`."""
    found = module.globals.get(name)
    if found is not None:
        return found
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), parameters), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    for argument in function.args:
        if isinstance(argument.type, ir.PointerType):
            argument.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    emit(builder, *function.args)
    builder.ret_void()
    return function


# ------------------------------------------------------------------------------------------------------------ loops


@contextmanager
def counting(builder: Any, start: Any, stop: Any, *, some: bool = False) -> Iterator[Any]:
    """A loop over start, start + 1, … below stop.

    `some` says that there is at least one round, which spares a test and compile time; it is found out for constants.
    None is a loop where a single round is known.
    """
    first, last = _known(start), _known(stop)
    known = first is not None and last is not None
    if known and last == first + 1:  # type: ignore[operator]
        yield start
        return
    if not some and not (known and first < last):  # type: ignore[operator]
        with striding(builder, start, stop) as (index, steps):
            yield index
            steps.append(i64(1))
        return
    before = builder.block
    body, end = (builder.append_basic_block(name) for name in ("body", "end"))
    builder.branch(body)
    builder.position_at_end(body)
    index = builder.phi(I64)
    index.add_incoming(start, before)
    yield index
    following = builder.add(index, i64(1))
    index.add_incoming(following, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, stop), body, end)
    builder.position_at_end(end)


@contextmanager
def striding(builder: Any, start: Any, stop: Any) -> Iterator[tuple[Any, list[Any]]]:
    """A loop from start while below stop, by steps that its body finds out: it appends one to the list."""
    before = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("loop", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(I64)
    index.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, end)
    builder.position_at_end(body)
    steps: list[Any] = []
    yield index, steps
    index.add_incoming(builder.add(index, steps[0]), builder.block)
    builder.branch(head)
    builder.position_at_end(end)


def accumulating(builder: Any, rounds: Any, start: list[Any], step: Callable[[list[Any]], list[Any]]) -> list[Any]:
    """A loop of this many rounds, at least one, that carries values; `step` maps a round's values to the next one's."""
    before = builder.block
    body, end = (builder.append_basic_block(name) for name in ("body", "end"))
    builder.branch(body)
    builder.position_at_end(body)
    left = builder.phi(I64)
    carried = [builder.phi(value.type) for value in start]
    following = [builder.sub(left, i64(1)), *step(list(carried))]
    for phi, first, later in zip([left, *carried], [rounds, *start], following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, builder.block)
    builder.cbranch(builder.icmp_signed(">", following[0], i64(0)), body, end)
    builder.position_at_end(end)
    return following[1:]
