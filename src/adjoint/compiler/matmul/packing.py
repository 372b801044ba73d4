"""Packing: a column tile of B as a panel, in the order in which the micro-kernel reads it, k running slowest.

Element (p, column) goes to `target + p·step + column`. There is a routine for each way B may lie in memory: columns
adjacent and whole vectors of them (copied), k adjacent and whole squares (transposed in registers), or neither.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from adjoint.compiler.integers import I64, i64, smaller
from adjoint.compiler.llvm import ir, machine
from adjoint.compiler.matmul.loops import advanced, counting, element, float_type, internal_function
from adjoint.compiler.matmul.plan import Plan

__all__ = ["PARAMETERS", "Panel", "packing_function", "transposed"]

_POINTER = ir.PointerType()
#: IR types of a `Panel`.
PARAMETERS = (_POINTER, *[I64] * 4, _POINTER, I64)
#: Most bytes in a row of a square: 8×8 float32 take 24 shuffles of two a cycle, 16×16 64 of one a cycle.
_SQUARE_BYTES = 32


class Panel(NamedTuple):
    """Run-time arguments: where the columns are, how many, how far k goes, and where to; strides in bytes."""

    source: Any
    column_stride: Any
    k_stride: Any
    columns: Any
    k: Any
    target: Any
    step: Any


def packing_function(module: Any, plan: Plan) -> Any:
    """The function with the arguments of a `Panel` that packs this product's B."""
    product = plan.product
    columns, side = min(product.n, plan.width), _side(product.itemsize)
    kind, emit_panel = "strided", _emit_strided
    if product.b[1] == 1 and columns % machine().lanes(product.itemsize) == 0:
        kind, emit_panel = "copied", _emit_copied
    elif product.b[0] == 1 and columns % side == 0 and product.k >= side:
        kind, emit_panel = "transposed", _emit_transposed

    def emit(builder: Any, *arguments: Any) -> None:
        emit_panel(builder, float_type(product.dtype), Panel(*arguments))

    return internal_function(module, f"product_pack_{product.dtype}_{kind}", PARAMETERS, emit)


def _side(itemsize: int) -> int:
    return min(machine().vector_bytes, _SQUARE_BYTES) // itemsize


def _emit_strided(builder: Any, scalar: Any, panel: Panel) -> None:
    size = element(scalar)
    with (
        counting(builder, i64(0), panel.k) as p,
        counting(builder, i64(0), panel.columns, some=True) as column,
    ):
        place = builder.add(builder.mul(p, panel.k_stride), builder.mul(column, panel.column_stride))
        value = builder.load(advanced(builder, panel.source, place), typ=scalar, align=size)
        place = builder.add(builder.mul(p, panel.step), builder.mul(column, i64(size)))
        builder.store(value, advanced(builder, panel.target, place), align=size)


def _emit_copied(builder: Any, scalar: Any, panel: Panel) -> None:
    size = element(scalar)
    width = machine().lanes(size)
    vector = ir.VectorType(scalar, width)
    chunks = builder.udiv(panel.columns, i64(width))
    with (
        counting(builder, i64(0), panel.k) as p,
        counting(builder, i64(0), chunks, some=True) as chunk,
    ):
        place = builder.mul(chunk, i64(width * size))
        source = advanced(builder, panel.source, builder.add(builder.mul(p, panel.k_stride), place))
        target = advanced(builder, panel.target, builder.add(builder.mul(p, panel.step), place))
        builder.store(builder.load(source, typ=vector, align=size), target, align=size)


def _emit_transposed(builder: Any, scalar: Any, panel: Panel) -> None:
    """Squares; where they do not divide k, the last ones begin earlier."""
    size = element(scalar)
    side = _side(size)
    vector = ir.VectorType(scalar, side)
    blocks = builder.udiv(builder.add(panel.k, i64(side - 1)), i64(side))
    with (
        counting(builder, i64(0), blocks, some=True) as block,
        counting(builder, i64(0), builder.udiv(panel.columns, i64(side)), some=True) as chunk,
    ):
        p = smaller(builder, builder.mul(block, i64(side)), builder.sub(panel.k, i64(side)))
        column = builder.mul(chunk, i64(side))
        source = builder.add(builder.mul(column, panel.column_stride), builder.mul(p, i64(size)))
        source = advanced(builder, panel.source, source)
        target = builder.add(builder.mul(p, panel.step), builder.mul(column, i64(size)))
        target = advanced(builder, panel.target, target)
        rows = []
        for _ in range(side):
            rows.append(builder.load(source, typ=vector, align=size))
            source = advanced(builder, source, panel.column_stride)
        for row in transposed(builder, rows):
            builder.store(row, target, align=size)
            target = advanced(builder, target, panel.step)


def transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """A square of registers, transposed: rounds swap ever larger blocks beside the diagonal."""
    side = len(rows)
    kind = ir.VectorType(ir.IntType(32), side)
    distance = 1
    while distance < side:
        low = ir.Constant(kind, [lane if not lane & distance else lane - distance + side for lane in range(side)])
        high = ir.Constant(kind, [lane + distance if not lane & distance else lane + side for lane in range(side)])
        swapped = list(rows)
        for index in range(side):
            if not index & distance:
                pair = rows[index], rows[index + distance]
                swapped[index] = builder.shuffle_vector(*pair, low)
                swapped[index + distance] = builder.shuffle_vector(*pair, high)
        rows, distance = swapped, 2 * distance
    return rows
