"""Loops and functions of products as they are emitted.

In a loop the condition comes first, so zero rounds is right, except where at least one round is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from adjoint.compiler.integers import I64, declared, i64, known
from adjoint.compiler.llvm import ir

__all__ = [
    "accumulating",
    "advanced",
    "counting",
    "element",
    "float_type",
    "internal_function",
    "masked_load",
    "striding",
]

_I8 = ir.IntType(8)


# ------------------------------------------------------------------------------------------------ types and memory


def float_type(dtype: str) -> Any:
    """The IR type of a dtype."""
    return ir.FloatType() if dtype == "float32" else ir.DoubleType()


def element(kind: Any) -> int:
    """Bytes of a float type, or of a pair."""
    return 8 if isinstance(kind, ir.DoubleType) else 4


def advanced(builder: Any, pointer: Any, count: Any) -> Any:
    """The pointer, this many bytes further."""
    return pointer if known(count) == 0 else builder.gep(pointer, [count], source_etype=_I8)


def masked_load(builder: Any, kind: Any, pointer: Any, mask: Any) -> Any:
    """A vector with zeros where the mask is false; memory there is not touched."""
    word = ir.IntType(32)
    name = f"llvm.masked.load.v{kind.count}f{8 * element(kind.element)}.p0"
    load = declared(builder, name, kind, [ir.PointerType(), word, mask.type, kind])
    return builder.call(load, [pointer, ir.Constant(word, element(kind.element)), mask, ir.Constant(kind, None)])


def internal_function(module: Any, name: str, parameters: Sequence[Any], emit: Callable[..., None]) -> Any:
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
    first, last = known(start), known(stop)
    is_known = first is not None and last is not None
    if is_known and last == first + 1:  # type: ignore[operator]
        yield start
        return
    if not some and not (is_known and first < last):  # type: ignore[operator]
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
