"""The register tile of a product: which rows × vectors take the fewest cycles, by a small model of the machine."""

from __future__ import annotations

from collections import Counter
from math import ceil

from adjoint.compiler.llvm import machine
from adjoint.compiler.matmul.product import Product

__all__ = ["GRAIN", "SPLIT_ROWS", "register_tile", "shortest", "tile_lanes", "whole_columns"]

#: Row tiles from which on workers share out rows alone.
SPLIT_ROWS = 16
#: Multiply-adds below which work is not shared among workers.
GRAIN = 2**14


def tile_lanes(product: Product) -> int:
    """Lanes of the accumulators: a whole vector's, or fewer if C has few columns and no pairs are multiplied."""
    lanes = machine().lanes(product.itemsize)
    return lanes if product.bfloat16 else min(lanes, shortest(product.n))


def whole_columns(product: Product) -> int:
    """Columns of C, with the lanes of its last vector that reach beyond them."""
    lanes = tile_lanes(product)
    return ceil(product.n / lanes) * lanes


def shortest(count: int) -> int:
    """Lanes of the shortest vector that has so many."""
    return 1 << (count - 1).bit_length()


def register_tile(product: Product) -> tuple[int, int]:
    """Rows and vectors of the register tile: the pair with the fewest cycles on two workers.

    16 accumulators of 32 registers: 4×4 ran at 99 % of the rate of 12×2, with two thirds of its code to compile. But
    where the rows of B begin anywhere, most of its vectors lie in two lines and take two loads, and more rows to each
    of them are worth it: at 3072×100×200 3×7 ran at 1.1 times the rate of 2×7.
    """
    vectors, registers = ceil(product.n / tile_lanes(product)), machine().registers
    limit = registers // 2 if registers >= 32 and not _is_ragged(product) else registers * 3 // 4
    candidates = [
        (_cycles(product, vectors, tall, wide), tall, wide)
        for wide in range(1, min(vectors, limit) + 1)
        for tall in range(1, min(product.m, limit // wide) + 1)
        if tall * wide + (wide + 1 if tall > 1 else 0) <= registers and _fits_l1(product, tall)
    ]
    return min(candidates)[1:]


def _is_ragged(product: Product) -> bool:
    """Whether rows of B that are read in place begin beside the lines of memory."""
    step = product.b[0] * product.itemsize
    return product.b[1] == 1 and step % machine().vector_bytes != 0 and not product.bfloat16


def _fits_l1(product: Product, rows: int) -> bool:
    """Whether a line of each of these rows of A, read in place, stays in L1: 8 lines for addresses alike in 12 bits.

    At 200×100×3072 20 rows ran at 35 GFLOP/s, 8 rows at 102.
    """
    if product.a[1] != 1:
        return True
    lines = Counter(row * product.a[0] * product.itemsize // 64 % 64 for row in range(rows))
    return max(lines.values()) <= 8


def _cycles(product: Product, vectors: int, tall: int, wide: int) -> float:
    """The cycles of the later of two workers, twice.

    A tile costs a call, and the handing over of its vectors. Compile time counts as a thousand cycles for 6 ms, which
    is what it comes to over some 20,000 runs: 0.2 ms for an accumulator, 3 ms for a function.
    """
    row_tiles, column_tiles = ceil(product.m / tall), ceil(vectors / wide)
    each = _step(tall, wide, _saved(product, wide)) * max(1, product.k) + 40 + 3 * tall * wide
    items = row_tiles * product.matrices
    if items >= SPLIT_ROWS:
        each *= column_tiles
    else:
        items *= column_tiles
    if product.m * product.n * product.k * product.matrices >= 2 * GRAIN:
        items = 2 * ceil(items / 2)
    return each * items + 30 * tall * wide + (500 if row_tiles * column_tiles * product.matrices > 1 else 0)


def _saved(product: Product, wide: int) -> float:
    """What the end of C's only column tile saves of a vector: vectors of 64 bytes are worked on as two halves."""
    lanes = tile_lanes(product)
    is_half = machine().vector_bytes == lanes * product.itemsize == 64 and 0 < product.n % lanes <= lanes // 2
    return 0.5 if is_half and wide * lanes > product.n and wide > 1 and not product.bfloat16 else 0.0


def _step(tall: int, wide: int, saved: float) -> float:
    """Cycles of a register tile for one k.

    A multiply-add of whole vectors a cycle, eight at a time to hide latency; and loads, which are two a cycle if whole
    and aligned. Weights are such that the model ranks tiles as they were measured.
    """
    loads = tall * 0.6 + (wide - saved) * 1.0
    return max(tall * (wide - saved), loads, 8) + 0.3 * loads
