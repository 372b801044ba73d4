"""Loops, shares of work, and vectors in memory, as kernels write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.compiler.integers import I32, I64, POINTER, VOID, declared, i64
from adjoint.compiler.kernels.elements import in_memory, in_register, splat
from adjoint.compiler.llvm import ir
from adjoint.compiler.mathematics.lanes import suffix

Dtype = np.dtype[Any]


class Part(NamedTuple):
    """What a kernel is called with: the table of addresses, which share of the work is its own, of how many, and the
    barrier where the parts meet.
    """

    table: Any
    index: Any
    count: Any
    barrier: Any


def at(builder: Any, pointer: Any, index: Any, kind: Any) -> Any:
    """The pointer, this many elements further."""
    return builder.gep(pointer, [index], source_etype=kind)


def share(builder: Any, count: int, part: Part) -> tuple[Any, Any]:
    """The contiguous range of `count` pieces of work that is this part's own."""

    def bound(index: Any) -> Any:
        return builder.udiv(builder.mul(index, i64(count)), part.count)

    return bound(part.index), bound(builder.add(part.index, i64(1)))


class Loop:
    """A loop over start, start + step, … below stop, with a builder for its body and values that it carries.

    What comes before it may still be written while the loop is open: `close` links the two.
    """

    def __init__(self, before: Any, start: Any, stop: Any, step: int = 1) -> None:
        self._before: Final = before
        self._step: Final = step
        function = before.function
        self._head = function.append_basic_block("loop")
        body, self._after = function.append_basic_block("body"), function.append_basic_block("after")
        head = ir.IRBuilder(self._head)
        self.index = head.phi(I64)
        self._start = start
        self._carried: list[tuple[Any, Any]] = []
        self._heads: Final = head
        self._stop, self._body = stop, body
        self.builder: Final = ir.IRBuilder(body)

    def carry(self, first: Any) -> Any:
        """A value that the loop carries on, from its first."""
        phi = self._heads.phi(first.type)
        self._carried.append((phi, first))
        return phi

    def close(self, following: list[Any] | None = None) -> Any:
        """End the body, with what is carried to the next turn; the builder before goes on after the loop."""
        head, body, before = self._heads, self.builder, self._before
        head.cbranch(head.icmp_signed("<", self.index, self._stop), self._body, self._after)
        self.index.add_incoming(self._start, before.block)
        self.index.add_incoming(body.add(self.index, i64(self._step)), body.block)
        for (phi, first), later in zip(self._carried, following or [], strict=True):
            phi.add_incoming(first, before.block)
            phi.add_incoming(later, body.block)
        body.branch(self._head)
        before.branch(self._head)
        before.position_at_end(self._after)
        return before


@contextmanager
def loop(builder: Any, start: Any, stop: Any, step: int = 1) -> Iterator[tuple[Any, Any]]:
    """A loop that carries nothing: its builder and its index."""
    opened = Loop(builder, start, stop, step)
    yield opened.builder, opened.index
    opened.close()


def counted(kind: Any) -> Any:
    """0, 1, 2, … as a vector."""
    return ir.Constant(kind, [ir.Constant(kind.element, i) for i in range(kind.count)])


def load(builder: Any, dtype: Dtype, pointer: Any, lanes: int = 0, mask: Any = None) -> Any:
    """A number, or a vector of neighbours; lanes that the mask leaves out are 0, and not touched in memory."""
    kind = ir.VectorType(in_memory(dtype), lanes) if lanes else in_memory(dtype)
    if mask is None:
        value = builder.load(pointer, typ=kind, align=dtype.itemsize)
    else:
        name = f"llvm.masked.load.{suffix(kind)}.p0"
        function = declared(builder, name, kind, [POINTER, I32, mask.type, kind])
        value = builder.call(function, [pointer, ir.Constant(I32, dtype.itemsize), mask, ir.Constant(kind, None)])
    return _from_memory(builder, dtype, value)


def gather(builder: Any, dtype: Dtype, pointer: Any, stride: int, lanes: int, mask: Any = None) -> Any:
    """A vector of elements that lie `stride` elements apart."""
    places = ir.Constant(ir.VectorType(I64, lanes), [ir.Constant(I64, i * stride) for i in range(lanes)])
    return gather_at(builder, dtype, addresses(builder, pointer, places, dtype), lanes, mask)


def addresses(builder: Any, pointer: Any, places: Any, dtype: Dtype) -> Any:
    """A vector of addresses, from a vector of places counted in elements."""
    lanes = places.type.count
    start = builder.ptrtoint(pointer, I64)
    size = ir.Constant(places.type, [ir.Constant(I64, dtype.itemsize)] * lanes)
    return builder.inttoptr(
        builder.add(splat(builder, start, lanes), builder.mul(places, size)), ir.VectorType(POINTER, lanes)
    )


def gather_at(builder: Any, dtype: Dtype, pointers: Any, lanes: int, mask: Any = None) -> Any:
    """A vector of elements at a vector of addresses."""
    kind = ir.VectorType(in_memory(dtype), lanes)
    bits = ir.VectorType(ir.IntType(1), lanes)
    every = ir.Constant(bits, [ir.Constant(ir.IntType(1), 1)] * lanes) if mask is None else mask
    wide = ir.VectorType(POINTER, lanes)
    function = declared(builder, f"llvm.masked.gather.{suffix(kind)}.v{lanes}p0", kind, [wide, I32, bits, kind])
    size = ir.Constant(I32, dtype.itemsize)
    return _from_memory(builder, dtype, builder.call(function, [pointers, size, every, ir.Constant(kind, None)]))


def store(builder: Any, dtype: Dtype, value: Any, pointer: Any, mask: Any = None) -> None:
    """A number or a vector to neighbours in memory."""
    value = _to_memory(builder, dtype, value)
    if mask is None:
        builder.store(value, pointer, align=dtype.itemsize)
        return
    function = declared(
        builder, f"llvm.masked.store.{suffix(value.type)}.p0", VOID, [value.type, POINTER, I32, mask.type]
    )
    builder.call(function, [value, pointer, ir.Constant(I32, dtype.itemsize), mask])


def scatter(builder: Any, dtype: Dtype, value: Any, pointer: Any, stride: int, mask: Any = None) -> None:
    """A vector to elements that lie `stride` elements apart."""
    value = _to_memory(builder, dtype, value)
    lanes = value.type.count
    places = ir.Constant(ir.VectorType(I64, lanes), [ir.Constant(I64, i * stride) for i in range(lanes)])
    pointers = addresses(builder, pointer, places, dtype)
    bits = ir.VectorType(ir.IntType(1), lanes)
    every = ir.Constant(bits, [ir.Constant(ir.IntType(1), 1)] * lanes) if mask is None else mask
    wide = ir.VectorType(POINTER, lanes)
    name = f"llvm.masked.scatter.{suffix(value.type)}.v{lanes}p0"
    function = declared(builder, name, VOID, [value.type, wide, I32, bits])
    builder.call(function, [value, pointers, ir.Constant(I32, dtype.itemsize), every])


def _from_memory(builder: Any, dtype: Dtype, value: Any) -> Any:
    return builder.icmp_unsigned("!=", value, ir.Constant(value.type, None)) if dtype.kind == "b" else value


def _to_memory(builder: Any, dtype: Dtype, value: Any) -> Any:
    if dtype.kind != "b":
        return value
    lanes = value.type.count if isinstance(value.type, ir.VectorType) else 0
    byte = ir.IntType(8)
    return builder.zext(value, ir.VectorType(byte, lanes) if lanes else byte)


def zero(dtype: Dtype, lanes: int = 0) -> Any:
    """A zero of a dtype."""
    kind = in_register(dtype, lanes)
    return ir.Constant(kind, None) if lanes else ir.Constant(kind, 0)
