"""From a product's shape to how it is computed: register tile, blocks of k, packing, and the pieces workers share.

Everything here follows from shapes, strides and the machine; nothing depends on how many workers there are.

All tiles have the same size, so that there is one micro-kernel to compile: where tiles do not divide C, the last one
begins earlier and computes some elements again, which only the tile before hands over. Work is a flat range of items,
(matrix, column group, row tile) with the row tile running fastest, of which each worker takes a contiguous part.

A product of bfloat16 numbers is planned as one of their pairs, 32 bits each like float32, with half of k; its A is
always packed, its B unless few rows go through it.
"""

from __future__ import annotations

from functools import cache
from math import ceil, prod
from typing import NamedTuple

from adjoint.compiler.llvm import machine
from adjoint.compiler.matmul.pairs import LANES
from adjoint.compiler.matmul.product import Product
from adjoint.compiler.matmul.tiling import GRAIN, SPLIT_ROWS, register_tile, shortest, tile_lanes

__all__ = ["Plan", "planned", "scratch_bytes"]

#: Bytes of A from which on a worker goes through C in slabs, and what of A it keeps in L2 meanwhile.
_SLABS_FROM, _SLAB_BYTES = 2**20, 2**19
#: Longest block of k of a slab.
_DEPTH = 512
#: Bytes from which on B is packed: in place it is as fast, up to 512×784.
_PACK_FROM = 2**21
#: Bytes of B from which on few rows go through it in the order of memory.
_STREAM_FROM = 2**24
#: Most memory for a worker's sums between blocks of k: the columns of an item are limited by it.
_SUMS_BYTES = 2**22
#: Rows of A up to which pairs of B are made where they are multiplied.
_ZIP_ROWS = 8
#: Packed bytes up to which each worker packs for itself: it takes 2 µs, a barrier as much.
_PRIVATE = 2**16


class Plan(NamedTuple):
    """How a product is computed; of bfloat16 numbers, `product` is that of the pairs, `source` the one asked for."""

    product: Product
    lanes: int  # of an accumulator
    rows: int  # of a tile
    vectors: int  # of a tile
    depth: int  # of a block of k
    packed: bool  # B is read from panels in scratch memory
    slabs: bool  # items are groups of column tiles, gone through slab by slab; else single tiles
    group: int = 1  # column tiles of an item
    slab: int = 1  # row tiles that go through a group together
    source: Product | None = None

    @property
    def width(self) -> int:
        """Columns of a tile."""
        return self.vectors * self.lanes

    @property
    def row_tiles(self) -> int:
        """Tiles of a column."""
        return ceil(self.product.m / self.rows)

    @property
    def column_tiles(self) -> int:
        """Tiles of a row."""
        return ceil(self.product.n / self.width)

    @property
    def valid(self) -> int:
        """Lanes of a tile's last vector that are read: fewer than all where C is narrower than the tile.

        A panel has room behind them, so nothing need be masked.
        """
        valid = self.lanes - max(0, self.width - self.product.n)
        if not self.packed:
            return valid
        return self.lanes if self.product.bfloat16 else shortest(valid)

    @property
    def depths(self) -> int:
        """Blocks of k, at least one."""
        return max(1, ceil(self.product.k / self.depth))

    @property
    def groups(self) -> int:
        """Groups of column tiles."""
        return ceil(self.column_tiles / self.group)

    @property
    def items(self) -> int:
        """Pieces of work."""
        return self.product.matrices * self.groups * self.row_tiles

    @property
    def grain(self) -> int:
        """Items that are not worth sharing."""
        return max(1, GRAIN // (self.rows * self.width * self.group * max(1, self.product.k)))

    @property
    def tile_bytes(self) -> int:
        """A tile in memory, whose rows follow each other without gaps, and room to read a whole vector from its end."""
        return _aligned((self.rows * self.width - 1) * self.product.itemsize + machine().vector_bytes)

    @property
    def sums_bytes(self) -> int:
        """Sums of one worker between blocks of k."""
        return self.slab * self.group * self.tile_bytes if self.depths > 1 else 0

    @property
    def panel_bytes(self) -> int:
        """A column tile of B, packed."""
        k = self.product.k if self.source is None else _aligned(self.product.k, LANES)
        return _aligned(self.width * k * self.product.itemsize)

    @property
    def packed_matrices(self) -> int:
        """Matrices of B that differ along the batch: only these are packed."""
        return _different(self.product.batch, self.product.b_batch)

    @property
    def left_matrices(self) -> int:
        """The same of A."""
        return _different(self.product.batch, self.product.a_batch)

    @property
    def left_blocks(self) -> int:
        """Rows of A that are packed together, so many times."""
        return ceil(self.product.m / LANES)

    @property
    def left_bytes(self) -> int:
        """A packed once."""
        if self.source is None:
            return 0
        return self.left_matrices * self.left_blocks * LANES * self.product.a[0] * self.product.itemsize

    @property
    def packed_bytes(self) -> int:
        """A and B packed once."""
        return self.left_bytes + self.packed * self.packed_matrices * self.column_tiles * self.panel_bytes

    @property
    def shared(self) -> bool:
        """Whether all workers pack, with a barrier, and not each for itself."""
        return self.packed_bytes > _PRIVATE


def scratch_bytes(product: Product, threads: int) -> int:
    """Scratch memory, aligned to 64 bytes, that `emit_product` needs when at most this many workers run it.

    Example
    -------
    >>> plain = Product(8, 16, 4, "float32", (4, 1), (16, 1))
    >>> scratch_bytes(plain, 2)
    0
    >>> scratch_bytes(plain._replace(b=(1, 4)), 2) > 0  # B lies transposed: it is packed
    True
    """
    if product.empty:
        return 0
    plan = planned(product)
    return plan.packed_bytes * (1 if plan.shared else threads) + plan.sums_bytes * threads


@cache
def planned(product: Product) -> Plan:
    """The plan of a product that is not empty."""
    if not product.bfloat16:
        return _planned(product)
    return _planned(_of_pairs(product))._replace(source=product)


def _of_pairs(product: Product) -> Product:
    """The product of the pairs: A packed row by row, B as if its pairs were where its rows are."""
    pairs = ceil(product.k / 2)
    row, strides, size = _aligned(pairs, LANES), list[int](), _aligned(product.m, LANES) * _aligned(pairs, LANES)
    for n, stride in reversed(list(zip(product.batch, product.a_batch, strict=True))):
        strides.insert(0, size if stride else 0)
        size *= n if stride else 1
    b = (2 * product.b[0], product.b[1]) if product.k % 2 == 0 else (0, 0)  # the last pair has to be filled up
    return product._replace(k=pairs, a=(row, 1), a_batch=tuple(strides), b=b)


def _planned(product: Product) -> Plan:
    lanes = tile_lanes(product)
    if _few_rows_through_much(product):
        plan = Plan(product, lanes, product.m, vectors=4, depth=8, packed=False, slabs=True)
        return plan._replace(group=ceil(plan.column_tiles / 4))
    rows, vectors = register_tile(product)
    rows = ceil(product.m / ceil(product.m / rows))
    vectors = ceil(ceil(product.n / lanes) / ceil(product.n / (vectors * lanes)))
    packed = _packs(product, vectors * lanes)
    plan = Plan(product, lanes, rows, vectors, max(1, product.k), packed, slabs=False)
    if product.left_bytes < _SLABS_FROM and (plan.row_tiles == 1 or plan.panel_bytes < _SLAB_BYTES):
        return plan
    depth = ceil(product.k / ceil(product.k / _DEPTH))
    slab = min(plan.row_tiles, max(1, _SLAB_BYTES // (rows * depth * product.itemsize)))
    group = 1
    if plan.row_tiles * product.matrices >= SPLIT_ROWS:
        most = min(plan.column_tiles, max(1, _SUMS_BYTES // (slab * plan.tile_bytes)))
        group = ceil(plan.column_tiles / ceil(plan.column_tiles / most))  # of one size: they are what workers share out
    return plan._replace(depth=depth, slabs=True, slab=slab, group=group)


def _few_rows_through_much(product: Product) -> bool:
    """Few rows times a B far larger than L2: some rows of B at a time, in the order of memory.

    1×4096×4096 ran at 32 GB/s; with a column tile's 4096 rows after each other at 16.
    """
    return product.m <= 4 and product.b[1] == 1 and product.right_bytes >= _STREAM_FROM and product.n >= 256


def _packs(product: Product, width: int) -> bool:
    if product.bfloat16:
        return product.b[1] != 1 or product.m > _ZIP_ROWS
    scattered = product.b[1] != 1 and product.n > 1
    # Machines without masked loads have them emulated lane by lane.
    ragged = machine().vector_bytes < 32 and product.n < width
    return scattered or ragged or (product.right_bytes >= _PACK_FROM and product.m >= 32)


def _different(batch: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Matrices of an operand that are not the same one."""
    return prod(size for size, stride in zip(batch, strides, strict=True) if stride)


def _aligned(count: int, unit: int = 64) -> int:
    return ceil(count / unit) * unit
