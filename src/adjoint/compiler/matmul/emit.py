"""The loops of a product: pack, meet, then tile after tile through the micro-kernel, each handed to `store`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from adjoint.compiler.integers import I64, chosen, declared, i64, lane_mask, minus, plus, smaller, split, times
from adjoint.compiler.llvm import ir, machine
from adjoint.compiler.matmul.kernel import Kernel, Strip, emit_kernel, kernel_function
from adjoint.compiler.matmul.loops import advanced, counting, float_type, striding
from adjoint.compiler.matmul.packing import Panel, packing_function
from adjoint.compiler.matmul.pairing import pairing_function
from adjoint.compiler.matmul.pairs import LANES
from adjoint.compiler.matmul.places import (
    Tile,
    batch_offset,
    different_offset,
    first_column,
    indices_of,
    packed_matrix,
    tile_at,
    tile_memory,
)
from adjoint.compiler.matmul.plan import Plan, planned
from adjoint.compiler.matmul.product import Product

__all__ = ["Worker", "emit_product"]

Store = Callable[[Any, list[Any], Any, Any, Any, Any], None]


class Worker(NamedTuple):
    """Who runs the code: worker `part` of `parts`, run-time integers; `barrier(builder)` emits where they all meet."""

    part: Any
    parts: Any
    barrier: Callable[[Any], None]


class _Memory(NamedTuple):
    """Operands in place and packed, and this worker's sums: of one tile, or of a slab between blocks of k."""

    a: Any
    b: Any
    left: Any  # A of pairs, else as it is
    packed: Any  # B
    sums: Any


def emit_product(builder: Any, product: Product, a: Any, b: Any, scratch: Any, worker: Worker, store: Store) -> None:
    """Code for one worker; each element of C is handed to `store` exactly once, by one of them.

    C[row, column] = Σₚ A[row, p]·B[p, column], summed in rising p, each step rounded once; of bfloat16 numbers two
    products a step

    Nothing is checked: memory is read by the product's shapes and strides.

    Parameters
    ----------
    builder
        Where the code goes.
    product
        Shapes, strides and dtype.
    a, b
        Pointers to the first elements, aligned to an element.
    scratch
        Pointer to `scratch_bytes(product, parts)` bytes, aligned to 64. No other worker may still be using them for
        something else when one of them comes here.
    worker
        Its number, how many there are, and the barrier.
    store
        `store(builder, batch_index, row, column, vector, mask)` emits what becomes of C[row, column …], a vector of a
        whole register's lanes; those where `mask` is false are beyond the right edge. `mask` is None if none is. It is
        called at most twice.

    Example
    -------
    >>> from adjoint.compiler.llvm import ir
    >>> address, word = ir.PointerType(), ir.IntType(64)
    >>> module = ir.Module()
    >>> function = ir.Function(module, ir.FunctionType(ir.VoidType(), [address] * 3 + [word] * 2), "program")
    >>> builder = ir.IRBuilder(function.append_basic_block())
    >>> a, b, c, part, parts = function.args
    >>> handed = []
    >>> def store(builder, batch_index, row, column, vector, mask):
    ...     handed.append((str(vector.type), mask is None))
    >>> product = Product(m=3, n=1, k=5, dtype="float64", a=(5, 1), b=(1, 1))
    >>> emit_product(builder, product, a, b, c, Worker(part, parts, lambda builder: None), store)
    >>> len(handed), handed[0][1]  # one column: fewer than a vector has lanes
    (1, False)
    """
    if product.empty:
        return
    plan = planned(product)
    memory = _memory(builder, plan, (a, b, scratch), worker)
    _emit_packing(builder, plan, memory, worker)
    if plan.slabs:
        _emit_slabs(builder, plan, memory, worker, store)
    else:
        _emit_tiles(builder, plan, memory, worker, store)


def _memory(builder: Any, plan: Plan, pointers: tuple[Any, Any, Any], worker: Worker) -> _Memory:
    a, b, scratch = pointers
    start, after = scratch, advanced(builder, scratch, i64(plan.packed_bytes))
    if not plan.shared:
        start = advanced(builder, scratch, times(builder, worker.part, plan.packed_bytes))
        after = advanced(builder, scratch, times(builder, worker.parts, plan.packed_bytes))
    sums = advanced(builder, after, times(builder, worker.part, plan.sums_bytes))
    packed = advanced(builder, start, i64(plan.left_bytes))
    left = start if plan.left_bytes else a
    return _Memory(a, b, left, packed, sums if plan.sums_bytes else tile_memory(builder, plan))


# ---------------------------------------------------------------------------------------------------------- packing


def _emit_packing(builder: Any, plan: Plan, memory: _Memory, worker: Worker) -> None:
    if plan.left_bytes:
        _emit_left_packing(builder, plan, memory, worker)
    if plan.packed:
        _emit_right_packing(builder, plan, memory, worker)
    if plan.packed_bytes and plan.shared:
        worker.barrier(builder)


def _emit_left_packing(builder: Any, plan: Plan, memory: _Memory, worker: Worker) -> None:
    """A of bfloat16 numbers, some of its rows at a time."""
    product, pairs = plan.source, plan.product
    assert product is not None
    step = pairs.a[0] * pairs.itemsize
    with _panels(builder, plan, worker, plan.left_matrices * plan.left_blocks) as block:
        matrix, rows = split(builder, block, plan.left_blocks, plan.left_matrices)
        row = times(builder, rows, LANES)
        place = different_offset(builder, matrix, product.batch, product.a_batch)
        place = plus(builder, place, times(builder, row, product.a[0]))
        arguments = Panel(
            source=advanced(builder, memory.a, times(builder, place, product.itemsize)),
            column_stride=i64(product.a[0] * product.itemsize),
            k_stride=i64(product.a[1] * product.itemsize),
            columns=smaller(builder, minus(builder, i64(product.m), row), i64(LANES)),
            k=i64(product.k),
            target=advanced(builder, memory.left, times(builder, block, LANES * step)),
            step=i64(step),
        )
        builder.call(pairing_function(builder.module, product.a, rows=True), arguments)


def _emit_right_packing(builder: Any, plan: Plan, memory: _Memory, worker: Worker) -> None:
    product = plan.source or plan.product
    with _panels(builder, plan, worker, plan.packed_matrices * plan.column_tiles) as panel:
        matrix, column_tile = split(builder, panel, plan.column_tiles, plan.packed_matrices)
        place = different_offset(builder, matrix, product.batch, product.b_batch)
        place = plus(builder, place, times(builder, first_column(builder, plan, column_tile)[0], product.b[1]))
        arguments = Panel(
            source=advanced(builder, memory.b, times(builder, place, product.itemsize)),
            column_stride=i64(product.b[1] * product.itemsize),
            k_stride=i64(product.b[0] * product.itemsize),
            columns=i64(min(product.n, plan.width)),
            k=i64(product.k),
            target=advanced(builder, memory.packed, times(builder, panel, plan.panel_bytes)),
            step=i64(plan.width * product.itemsize),
        )
        if product.bfloat16:
            function = pairing_function(builder.module, product.b[::-1], rows=False)
        else:
            function = packing_function(builder.module, plan)
        builder.call(function, arguments)


def _panels(builder: Any, plan: Plan, worker: Worker, count: int) -> AbstractContextManager[Any]:
    """A loop over the panels, of so many, that this worker packs."""
    return counting(builder, *(_share(builder, count, worker) if plan.shared else (i64(0), i64(count))))


# -------------------------------------------------------------------------------------------------------- the loops


def _share(builder: Any, count: int, worker: Worker) -> tuple[Any, Any]:
    """This worker's contiguous range of `count` things; a single one goes to worker 0."""
    if count == 1:
        return i64(0), builder.zext(builder.icmp_signed("==", worker.part, i64(0)), I64)

    def bound(part: Any) -> Any:
        scaled = times(builder, part, count)
        return builder.udiv(builder.sub(builder.add(scaled, worker.parts), i64(1)), worker.parts)

    return bound(worker.part), bound(builder.add(worker.part, i64(1)))


def _items(builder: Any, plan: Plan, worker: Worker) -> tuple[Any, Any]:
    """This worker's range of items, in whole grains."""
    start, stop = _share(builder, -(-plan.items // plan.grain), worker)
    start, stop = times(builder, start, plan.grain), times(builder, stop, plan.grain)
    return start, stop if plan.items % plan.grain == 0 else smaller(builder, stop, i64(plan.items))


def _emit_tiles(builder: Any, plan: Plan, memory: _Memory, worker: Worker, store: Store) -> None:
    """Small products: a loop over tiles, one of them an item."""
    with counting(builder, *_items(builder, plan, worker)) as item:
        rest, row_tile = split(builder, item, plan.row_tiles, plan.items // plan.row_tiles)
        matrix, column_tile = split(builder, rest, plan.column_tiles, plan.product.matrices)
        tile = tile_at(
            builder, plan, indices_of(builder, matrix, plan.product.batch), row_tile, column_tile, memory.sums
        )
        _emit_multiply(builder, plan, memory, tile, i64(0))
        _emit_store(builder, plan, tile, store)


def _emit_slabs(builder: Any, plan: Plan, memory: _Memory, worker: Worker, store: Store) -> None:
    """Big products: this worker's items in slabs, as many row tiles of a column group as L2 holds."""
    start, stop = _items(builder, plan, worker)
    with striding(builder, start, stop) as (item, steps):
        rest, first = split(builder, item, plan.row_tiles, plan.items // plan.row_tiles)
        count = smaller(builder, minus(builder, i64(plan.row_tiles), first), builder.sub(stop, item))
        if plan.slab < plan.row_tiles:
            count = smaller(builder, count, i64(plan.slab))
        _emit_slab(builder, plan, memory, (rest, first, count), store)
        steps.append(count)


def _emit_slab(builder: Any, plan: Plan, memory: _Memory, slab: tuple[Any, Any, Any], store: Store) -> None:
    """`slab`: matrix and column group as one number, first row tile, and how many."""
    rest, first, count = slab
    matrix, group = split(builder, rest, plan.groups, plan.product.matrices)
    batch = indices_of(builder, matrix, plan.product.batch)
    column = times(builder, group, plan.group)
    last_column = smaller(builder, plus(builder, column, i64(plan.group)), i64(plan.column_tiles))
    if plan.depths > 1:
        columns = minus(builder, last_column, column)
        _emit_zeros(builder, memory.sums, times(builder, columns, plan.slab * plan.tile_bytes))
    with (
        counting(builder, i64(0), i64(plan.depths)) as block,
        counting(builder, column, last_column, some=True) as column_tile,
        counting(builder, first, plus(builder, first, count), some=True) as row_tile,
    ):
        sums = memory.sums
        if plan.depths > 1:
            place = times(builder, minus(builder, column_tile, column), plan.slab)
            place = times(builder, plus(builder, place, minus(builder, row_tile, first)), plan.tile_bytes)
            sums = advanced(builder, memory.sums, place)
        tile = tile_at(builder, plan, batch, row_tile, column_tile, sums)
        _emit_multiply(builder, plan, memory, tile, block)
        if plan.depths == 1:
            _emit_store(builder, plan, tile, store)
        else:
            with builder.if_then(builder.icmp_signed("==", block, i64(plan.depths - 1))):
                _emit_store(builder, plan, tile, store)


def _emit_zeros(builder: Any, pointer: Any, count: Any) -> None:
    byte, flag = ir.IntType(8), ir.IntType(1)
    function = declared(builder, "llvm.memset.p0.i64", ir.VoidType(), [ir.PointerType(), byte, I64, flag])
    builder.call(function, [pointer, ir.Constant(byte, 0), count, ir.Constant(flag, 0)])


# --------------------------------------------------------------------------------------------------------- one tile


def _emit_multiply(builder: Any, plan: Plan, memory: _Memory, tile: Tile, block: Any) -> None:
    """A tile's sums over one block of k."""
    product, size = plan.product, plan.product.itemsize
    if product.k == 0:
        _emit_zeros(builder, tile.sums, i64(plan.tile_bytes))
        return
    p = times(builder, block, plan.depth)
    place = plus(builder, batch_offset(builder, tile.batch, product.a_batch), times(builder, p, product.a[1]))
    place = plus(builder, place, times(builder, tile.row, product.a[0]))
    b, b_row = _right_operand(builder, plan, memory, tile, p)
    strip = Strip(
        a=advanced(builder, memory.left, times(builder, place, size)),
        a_row=i64(product.a[0] * size),
        a_column=i64(product.a[1] * size),
        b=b,
        b_row=b_row,
        k=smaller(builder, minus(builder, i64(product.k), p), i64(plan.depth)),
        tile=tile.sums,
    )
    kernel = Kernel(
        dtype=product.dtype,
        lanes=plan.lanes,
        rows=plan.rows,
        vectors=plan.vectors,
        adjacent=product.a[0] == 1,
        valid=plan.valid,
        resumes=plan.depths > 1,
        pairs=product.bfloat16,
        zips=product.bfloat16 and not plan.packed,
    )
    if plan.items == 1 and not plan.slabs:
        emit_kernel(builder, kernel, strip)
    else:
        builder.call(kernel_function(builder.module, kernel), strip)


def _right_operand(builder: Any, plan: Plan, memory: _Memory, tile: Tile, p: Any) -> tuple[Any, Any]:
    """Where the tile's columns of B begin at k = p, and the stride of its rows in bytes."""
    product = plan.product
    if plan.packed:
        step = plan.width * product.itemsize
        panel = times(builder, packed_matrix(builder, tile.batch, product), plan.column_tiles)
        place = times(builder, plus(builder, panel, tile.column_tile), plan.panel_bytes)
        return advanced(builder, memory.packed, plus(builder, place, times(builder, p, step))), i64(step)
    place = plus(builder, batch_offset(builder, tile.batch, product.b_batch), times(builder, p, product.b[0]))
    place = plus(builder, place, tile.column)
    return advanced(builder, memory.b, times(builder, place, product.itemsize)), i64(product.b[0] * product.itemsize)


def _emit_store(builder: Any, plan: Plan, tile: Tile, store: Store) -> None:
    """Hands over what no tile before it does: whole vectors, row by row, and the right edge."""
    product, lanes = plan.product, machine().lanes(plan.product.itemsize)
    vector, edge = ir.VectorType(float_type(product.dtype), lanes), product.n % lanes
    column = plus(builder, tile.column, tile.before)
    last = (product.n - (plan.column_tiles - 1) * plan.width) // lanes

    def hand_over(row: Any, offset: Any, mask: Any) -> None:
        place = plus(builder, plus(builder, times(builder, row, plan.width), tile.before), offset)
        place = advanced(builder, tile.sums, times(builder, place, product.itemsize))
        value = builder.load(place, typ=vector, align=product.itemsize)
        store(builder, tile.batch, plus(builder, tile.row, row), plus(builder, column, offset), value, mask)

    with counting(builder, tile.above, i64(plan.rows), some=True) as row:
        if product.n >= lanes:
            whole = chosen(builder, tile.is_last, last, plan.width // lanes)
            with counting(builder, i64(0), whole, some=last > 0) as index:
                hand_over(row, times(builder, index, lanes), None)
        if edge:
            with builder.if_then(tile.is_last) if plan.column_tiles > 1 else nullcontext():
                hand_over(row, i64(last * lanes), lane_mask(builder, lanes, i64(edge)))
