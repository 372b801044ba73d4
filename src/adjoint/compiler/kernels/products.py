"""Products: a matrix product, and what is elementwise in its result, while that is in registers."""

from __future__ import annotations

from typing import Any

from adjoint.compiler.access import Axes, View, view
from adjoint.compiler.integers import I64, i64
from adjoint.compiler.kernels import elements
from adjoint.compiler.kernels.loops import Loop, Part
from adjoint.compiler.kernels.nest import Level, Nest
from adjoint.compiler.llvm import ir
from adjoint.compiler.matmul import Product, Worker, emit_product
from adjoint.compiler.pool import emit_barrier
from adjoint.compiler.program import Value


def product_of(value: Value) -> Product:
    """Shapes and strides of a product; raises `UnsupportedError` for dtypes that have no native code."""
    elements.in_register(value.dtype)
    a, b = (view(x) for x in value.inputs)
    *batch, m, n = value.shape
    return Product(
        m,
        n,
        value.inputs[0].shape[-1],
        str(value.dtype),
        (a.strides[-2], a.strides[-1]),
        (b.strides[-2], b.strides[-1]),
        tuple(batch),
        _batch_strides(a, len(batch)),
        _batch_strides(b, len(batch)),
        "bfloat16" in value.params,
    )


def _batch_strides(x: View, rank: int) -> tuple[int, ...]:
    own = tuple(0 if n == 1 else s for n, s in zip(x.shape[:-2], x.strides[:-2], strict=True))
    return (0,) * (rank - len(own)) + own


def emit(nest: Nest, part: Part, scratch: Any, *, shared: bool) -> None:
    """Write the kernel; `shared`: all parts do their share, else the first does it all."""
    entry = nest.levels[0].builder
    heart = nest.group.values[0]
    a, b = (_first_element(nest, x) for x in heart.inputs)
    if shared:
        worker = Worker(part.index, part.count, lambda builder: emit_barrier(builder, part.barrier, part.count))
        body = Loop(entry, i64(0), i64(1))
    else:
        worker = Worker(i64(0), i64(1), lambda builder: None)
        body = Loop(entry, i64(0), entry.zext(entry.icmp_unsigned("==", part.index, i64(0)), I64))

    def store(builder: Any, batch: list[Any], row: Any, column: Any, vector: Any, mask: Any) -> None:
        _epilogue(nest, builder, (*batch, row, column), vector, mask)

    emit_product(body.builder, product_of(heart), a, b, scratch, worker, store)
    body.close()


def _first_element(nest: Nest, x: Value) -> Any:
    place = view(x)
    none: Axes = (None,) * len(x.shape)
    pointer, _ = nest.address(place, none, nest.levels[0].builder)
    return pointer


def _epilogue(nest: Nest, builder: Any, place: tuple[Any, ...], vector: Any, mask: Any) -> None:
    """What becomes of a vector of the product: the members of the group, and what is stored."""
    heart = nest.group.values[0]
    axes = nest.group.members[heart]
    nest.lane, nest.lanes, nest.mask = axes[-1], vector.type.count, mask
    if nest.lane is None:  # one column: the vector's first element is all there is
        nest.lanes, nest.mask = 0, None
        vector = builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))
    del nest.levels[1:]
    nest.levels.append(Level(builder))
    for axis, index in zip(axes, place, strict=True):
        if axis is not None:
            nest.index[axis], nest.level_of[axis] = index, 1
    nest.levels[-1].known[heart, axes] = vector
    nest.store(nest.groups.stored(nest.group))
