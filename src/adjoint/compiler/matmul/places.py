"""Where things are: a tile's rows and columns in C, its sums, a matrix of a batch, a packed matrix of B."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from adjoint.compiler.integers import chosen, i64, minus, plus, split, times
from adjoint.compiler.llvm import ir, machine
from adjoint.compiler.matmul.plan import Plan
from adjoint.compiler.matmul.product import Product

__all__ = [
    "Tile",
    "batch_offset",
    "different_offset",
    "first_column",
    "indices_of",
    "packed_matrix",
    "tile_at",
    "tile_memory",
]

_TILE = "product_tile"


class Tile(NamedTuple):
    """A tile of C, as run-time values."""

    batch: list[Any]
    column_tile: Any
    row: Any  # the first one that it computes
    column: Any
    above: Any  # rows and columns that a tile before it computes, too
    before: Any
    is_last: Any  # in its row
    sums: Any  # where its sums are kept


def tile_at(builder: Any, plan: Plan, batch: list[Any], row_tile: Any, column_tile: Any, sums: Any) -> Tile:
    """The tile with these numbers."""
    is_last = builder.icmp_signed("==", column_tile, i64(plan.column_tiles - 1))
    row, above = first_row(builder, plan, row_tile)
    column, before = first_column(builder, plan, column_tile)
    return Tile(batch, column_tile, row, column, above, before, is_last, sums)


def tile_memory(builder: Any, plan: Plan) -> Any:
    """Memory for a tile on the stack, the same for all products of a function: there may be hundreds."""
    most = machine().registers * machine().vector_bytes
    assert plan.tile_bytes <= most
    for instruction in builder.function.entry_basic_block.instructions:
        if instruction.name == _TILE:
            return instruction
    with builder.goto_entry_block():
        memory = builder.alloca(ir.ArrayType(ir.IntType(8), most), name=_TILE)
        memory.align = machine().vector_bytes
        memory.type = ir.PointerType()  # llvmlite's own is a typed pointer, which no other type may be stored to
        return memory


def first_row(builder: Any, plan: Plan, row_tile: Any) -> tuple[Any, Any]:
    """The first row that a tile computes, and how many of them the tile before does, too."""
    is_last = builder.icmp_signed("==", row_tile, i64(plan.row_tiles - 1))
    above = chosen(builder, is_last, plan.row_tiles * plan.rows - plan.product.m, 0)
    return minus(builder, times(builder, row_tile, plan.rows), above), above


def first_column(builder: Any, plan: Plan, column_tile: Any) -> tuple[Any, Any]:
    """The same for columns, unless C is narrower than a tile."""
    is_last = builder.icmp_signed("==", column_tile, i64(plan.column_tiles - 1))
    beyond = plan.column_tiles * plan.width - plan.product.n
    before = chosen(builder, is_last, beyond, 0) if plan.column_tiles > 1 else i64(0)
    return minus(builder, times(builder, column_tile, plan.width), before), before


def indices_of(builder: Any, flat: Any, sizes: tuple[int, ...]) -> list[Any]:
    """A flat index as one index for each axis."""
    found: list[Any] = []
    outer = prod(sizes)
    for size in reversed(sizes):
        outer //= size
        flat, index = split(builder, flat, size, outer)
        found.insert(0, index)
    return found


def batch_offset(builder: Any, indices: list[Any], strides: tuple[int, ...]) -> Any:
    """Elements from an operand to its matrix at these batch indices."""
    total = i64(0)
    for index, stride in zip(indices, strides, strict=True):
        total = plus(builder, total, times(builder, index, stride))
    return total


def _moving(strides: tuple[int, ...]) -> list[int]:
    """Batch axes along which an operand differs: only those are packed."""
    return [axis for axis, stride in enumerate(strides) if stride]


def different_offset(builder: Any, matrix: Any, batch: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Elements from an operand to the one with number `matrix` of its matrices that differ."""
    axes = _moving(strides)
    indices = indices_of(builder, matrix, tuple(batch[axis] for axis in axes))
    return batch_offset(builder, indices, tuple(strides[axis] for axis in axes))


def packed_matrix(builder: Any, indices: list[Any], product: Product) -> Any:
    """The number of the packed matrix at these batch indices."""
    flat = i64(0)
    for axis in _moving(product.b_batch):
        flat = plus(builder, times(builder, flat, product.batch[axis]), indices[axis])
    return flat
