"""Matrix products of the compiler: every layout against NumPy, the chain of sums bit by bit, and who writes what."""

import ctypes
import mmap
import sys
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from adjoint.compiler import matmul
from adjoint.compiler.llvm import Library, constant, ir, machine, object_code
from adjoint.compiler.matmul import Product, Worker, emit_product, scratch_bytes
from adjoint.compiler.matmul.plan import planned
from adjoint.compiler.pool import emit_barrier, run
from adjoint.compiler.program import MEANING

WORD, POINTER = ir.IntType(64), ir.PointerType()
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
LAYOUTS = ["rows", "columns", "strided", "reversed"]

#: m, n, k: nothing, one, around the lanes of a vector and the sizes of tiles, and more than one block of k.
SIZES = [
    (1, 1, 1),
    (1, 2, 3),
    (2, 1, 5),
    (3, 3, 2),
    (5, 10, 4),
    (7, 3, 0),
    (1, 100, 64),
    (4, 15, 16),
    (6, 16, 15),
    (5, 17, 17),
    (7, 18, 12),
    (9, 20, 30),
    (4, 24, 11),
    (16, 9, 33),
    (17, 31, 9),
    (23, 64, 20),
    (24, 65, 31),
    (25, 113, 7),
    (61, 79, 40),
    (130, 100, 3),
]
#: Slabs, blocks of k whose last is shorter, packing of B where it lies well, and few rows through a large B.
LARGE = [(520, 70, 515), (261, 129, 1100), (40, 1030, 600), (9, 5, 2500), (2, 4100, 1030)]


class Program(NamedTuple):
    """A compiled product, how often `store` was called to emit it, and the module it is in."""

    library: Library
    module: Any
    stores: int


def stored(builder, product, c):
    """An epilogue that adds to C, and so tells if an element is handed over twice; and the list of its calls."""
    scalar = ir.FloatType() if product.dtype == "float32" else ir.DoubleType()
    size, word = product.itemsize, ir.IntType(32)
    calls = []

    def intrinsic(kind, result, parameters, vector):
        name = f"llvm.masked.{kind}.v{vector.count}f{8 * size}.p0"
        declared = builder.module.globals.get(name)
        return declared or ir.Function(builder.module, ir.FunctionType(result, parameters), name)

    def store(builder, batch_index, row, column, vector, mask):
        calls.append(mask)
        place = constant(WORD, 0)
        for index, extent in zip([*batch_index, row], [*product.batch, product.m], strict=True):
            place = builder.add(builder.mul(place, constant(WORD, extent)), index)
        place = builder.add(builder.mul(place, constant(WORD, product.n)), column)
        pointer = builder.gep(c, [place], source_etype=scalar)
        if mask is None:
            held = builder.load(pointer, typ=vector.type, align=size)
            builder.store(builder.fadd(held, vector), pointer, align=size)
            return
        kind, zeros = vector.type, ir.Constant(vector.type, None)
        load = intrinsic("load", kind, [POINTER, word, mask.type, kind], kind)
        held = builder.call(load, [pointer, word(size), mask, zeros])
        write = intrinsic("store", ir.VoidType(), [kind, POINTER, word, mask.type], kind)
        builder.call(write, [builder.fadd(held, vector), pointer, word(size), mask])

    return store, calls


def emitted(*products):
    """A module whose program computes these products, from the table's first pointers; and calls of `store`."""
    module = ir.Module("test")
    kind = ir.FunctionType(ir.VoidType(), [POINTER, WORD, WORD, POINTER])
    function = ir.Function(module, kind, "program")
    builder = ir.IRBuilder(function.append_basic_block())
    table, part, parts, barrier = function.args
    a, b, c, scratch = (
        builder.load(builder.gep(table, [constant(WORD, index)], source_etype=POINTER), typ=POINTER)
        for index in range(4)
    )
    every = []
    for product in products:
        store, calls = stored(builder, product, c)
        worker = Worker(part, parts, lambda builder: emit_barrier(builder, barrier, parts))
        emit_product(builder, product, a, b, scratch, worker, store)
        every.append(len(calls))
    builder.ret_void()
    return module, every


@cache
def compiled(product, shape_of_machine):
    module, (stores,) = emitted(product)
    return Program(Library(object_code(module)), module, stores)


def aligned(count):
    """Bytes that begin at a multiple of 64."""
    raw = np.zeros(count + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count]


def multiplied(x, y, *, threads=1, bfloat16=False):
    """x @ y by a compiled product, C and scratch memory watched for what it must not touch."""
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    views = [np.broadcast_to(v, batch + v.shape[-2:]) for v in (x, y)]
    (*a_batch, a_row, a_column), (*b_batch, b_row, b_column) = (
        [stride // x.itemsize for stride in view.strides] for view in views
    )
    (m, k), n = x.shape[-2:], y.shape[-1]
    strides = (a_row, a_column), (b_row, b_column), batch, tuple(a_batch), tuple(b_batch)
    product = Product(m, n, k, str(x.dtype), *strides, bfloat16)
    program = compiled(product, matmul.plan.machine())
    assert program.stores <= 2
    guarded = np.zeros(m * n * product.matrices + 32, x.dtype)
    guarded[:16] = guarded[-16:] = 7
    need = scratch_bytes(product, threads)
    scratch = aligned(need + 64)
    scratch[:] = 255  # NaN in both dtypes
    pointers = [v.ctypes.data for v in views] + [guarded[16:].ctypes.data, scratch.ctypes.data]
    table = (ctypes.c_void_p * 4)(*pointers)
    run(program.library.address("program"), ctypes.addressof(table), threads)
    assert (guarded[:16] == 7).all()
    assert (guarded[-16:] == 7).all()
    assert (scratch[need:] == 255).all()
    return guarded[16:-16].reshape(*batch, m, n)


def filled(shape, dtype, layout="rows", seed=0):
    """Random numbers that lie in memory as told, from an odd element on, with NaN around them."""
    rows, columns = shape[-2:]
    if layout == "columns":
        return filled((*shape[:-2], columns, rows), dtype, seed=seed).swapaxes(-1, -2)
    steps = {"rows": (1, 1), "strided": (2, 3), "reversed": (-1, -2)}[layout]
    room = (*shape[:-2], rows * abs(steps[0]), columns * abs(steps[1]))
    memory = np.full(int(np.prod(room)) + 33, np.nan, dtype)
    view = memory[17 : 17 + int(np.prod(room))].reshape(room)[..., :: steps[0], :: steps[1]]
    view[...] = np.random.default_rng(seed).standard_normal(shape)
    return view


def agrees(x, y, got):
    """As near to the product in higher precision as k roundings of |x|·|y| allow."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    exact = np.matmul(x.astype(wide), y.astype(wide))
    bound = max(1, x.shape[-1]) * np.finfo(x.dtype).eps * np.matmul(np.abs(x).astype(wide), np.abs(y).astype(wide))
    assert got.dtype == x.dtype
    assert (np.abs(got - exact) <= bound).all()


@pytest.fixture(params=["this machine", "AVX2", "NEON"])
def shapes(request, monkeypatch):
    """Plans and vectors of this machine, and those of others: LLVM makes do with the registers there are."""
    other = {"this machine": {}, "AVX2": {"vector_bytes": 32, "registers": 16}, "NEON": {"vector_bytes": 16}}
    shape = machine()._replace(**other[request.param])
    for module in (matmul.emit, matmul.packing, matmul.places, matmul.plan, matmul.tiling):
        monkeypatch.setattr(module, "machine", lambda: shape)
    planned.cache_clear()
    yield
    planned.cache_clear()


# ------------------------------------------------------------------------------------------------------------ values


@DTYPES
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_every_layout(left, right, dtype):
    for m, n, k in [(1, 1, 1), (5, 10, 4), (17, 33, 19), (40, 70, 50)]:
        x, y = filled((m, k), dtype, left, 1), filled((k, n), dtype, right, 2)
        agrees(x, y, multiplied(x, y, threads=2))


@DTYPES
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_sizes_around_tiles_on_machines_of_several_shapes(shapes, layout, dtype):
    for m, n, k in SIZES:
        x, y = filled((m, k), dtype, "rows", 1), filled((k, n), dtype, layout, 2)
        agrees(x, y, multiplied(x, y, threads=2))


@pytest.mark.parametrize("size", LARGE, ids=str)
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "rows"), ("rows", "columns")], ids="·".join)
def test_large_products(size, layouts):
    m, n, k = size
    x, y = filled((m, k), "float32", layouts[0], 1), filled((k, n), "float32", layouts[1], 2)
    agrees(x, y, multiplied(x, y, threads=2))


def test_few_rows_go_through_a_large_matrix_in_the_order_of_memory():
    x, y = filled((2, 1030), "float32", seed=1), filled((1030, 4200), "float32", seed=2)
    agrees(x, y, multiplied(x, y, threads=2))
    assert planned(Product(2, 4200, 1030, "float32", (1030, 1), (4200, 1))).depths > 100


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (0, 0, 0)])
def test_a_product_without_elements_emits_nothing(shape):
    m, n, k = shape
    product = Product(m, n, k, "float32", (k, 1), (n, 1))
    module, stores = emitted(product)
    assert stores == [0]
    assert scratch_bytes(product, 2) == 0
    assert [function.name for function in module.functions] == ["program"]


@DTYPES
def test_a_sum_of_nothing_is_zero(dtype):
    for m, n in [(1, 1), (3, 20), (40, 130)]:
        got = multiplied(np.zeros((m, 0), dtype), np.zeros((0, n), dtype), threads=2)
        assert (got == 0).all()


@DTYPES
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_nan_and_infinity_reach_their_row_and_column_and_no_other(layout, dtype):
    x, y = filled((37, 50), dtype, "rows", 1), filled((50, 69), dtype, layout, 2)
    x[5, 7], x[36, 49], y[3, 68], y[4, 20] = np.nan, np.inf, -np.inf, np.nan
    got = multiplied(x, y, threads=2)
    with np.errstate(invalid="ignore"):
        expected = np.matmul(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_array_equal(np.isposinf(got), np.isposinf(expected))
    np.testing.assert_array_equal(np.isneginf(got), np.isneginf(expected))
    assert np.isfinite(got).sum() == 35 * 67


def between_pages(x):
    """The same numbers in memory that ends where a page ends, with none after it: who reads on ends the process."""
    page = mmap.PAGESIZE
    room = -(-x.nbytes // page) * page
    start = np.frombuffer(mmap.mmap(-1, room + page), np.uint8)
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start.ctypes.data + room), ctypes.c_size_t(page), 0) == 0
    copy = start[room - x.nbytes : room].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


@DTYPES
@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is POSIX")
def test_nothing_is_read_beyond_an_operand(dtype):
    for m, n, k in SIZES:
        if k == 0:
            continue
        x, y = filled((m, k), dtype, seed=1), filled((k, n), dtype, seed=2)
        expected = multiplied(x, y)
        for left in (between_pages(x), between_pages(x.T).T):
            for right in (between_pages(y), between_pages(y.T).T):
                np.testing.assert_array_equal(multiplied(left, right), expected)


# ----------------------------------------------------------------------------------------------------------- batches


@DTYPES
@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize(
    "batches", [((3,), (3,)), ((3,), (1,)), ((1,), (3,)), ((2, 3), (2, 1)), ((1, 3), (2, 3)), ((2, 1, 3), (2, 2, 1))]
)
def test_batches_with_repeated_matrices(batches, layout, dtype):
    x, y = filled((*batches[0], 9, 20), dtype, "rows", 1), filled((*batches[1], 20, 37), dtype, layout, 2)
    agrees(x, y, multiplied(x, y, threads=2))


def test_an_empty_batch_emits_nothing():
    product = Product(2, 3, 4, "float32", (4, 1), (3, 1), (5, 0), (8, 8), (0, 12))
    assert emitted(product)[1] == [0]


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_a_batch_of_one_has_the_bits_of_a_single_product(layout):
    x, y = filled((33, 300), "float32", "rows", 1), filled((300, 70), "float32", layout, 2)
    np.testing.assert_array_equal(multiplied(x[None], y[None])[0], multiplied(x, y))


# ------------------------------------------------------------------------------------------------------- one chain


@pytest.mark.parametrize("size", [(5, 10, 4), (33, 65, 70), (64, 100, 300), (2, 1, 40), *LARGE[1:3]], ids=str)
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_every_element_is_one_chain_of_fused_multiply_adds(size, layout):
    m, n, k = size
    x, y = filled((m, k), "float32", "rows", 1), filled((k, n), "float32", layout, 2)
    total = np.zeros((m, n), np.float32)
    for p in range(k):  # the product is exact in 48 bits, and the sum nearly always in those of a long double
        exact = x[:, p : p + 1].astype(np.longdouble) * y[p : p + 1].astype(np.longdouble) + total
        total = exact.astype(np.float32)
    if np.finfo(np.longdouble).nmant < 63:
        pytest.skip("a long double is too short here to round only once")
    np.testing.assert_array_equal(multiplied(x, y, threads=2), total)


@DTYPES
@pytest.mark.parametrize("size", [(33, 65, 70), (64, 100, 32), (16, 3, 2500), *LARGE[:2]], ids=str)
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_bits_do_not_depend_on_the_number_of_threads(size, layout, dtype):
    m, n, k = size
    x, y = filled((m, k), dtype, "rows", 1), filled((k, n), dtype, layout, 2)
    alone = multiplied(x, y)
    for threads in (2, 3):
        np.testing.assert_array_equal(multiplied(x, y, threads=threads), alone)


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_bits_do_not_depend_on_the_other_rows_and_columns(layout):
    x, y = filled((61, 700), "float32", "rows", 1), filled((700, 130), "float32", layout, 2)
    whole = multiplied(x, y, threads=2)
    for rows, columns in [(slice(1), slice(None)), (slice(60, 61), slice(3)), (slice(9, 30), slice(100, 117))]:
        np.testing.assert_array_equal(multiplied(x[rows], y[:, columns]), whole[rows, columns])


# --------------------------------------------------------------------------------------------- pairs of bfloat16

PAIRS = pytest.mark.skipif(not matmul.has_pairs(), reason="this CPU does not multiply pairs of bfloat16 numbers")
#: Around vectors of pairs and of columns, with k odd and even, and B made into pairs in place (8 rows and fewer).
PAIRED = [(1, 1, 2), (3, 2, 34), (8, 64, 30), (8, 37, 66), (16, 70, 95), (33, 16, 31), (70, 129, 32), (100, 17, 257)]


def pairs(x, y, **settings):
    return multiplied(x, y, bfloat16=True, **settings)


def is_of_rounded(x, y, got):
    agrees(MEANING["bfloat16"](x), MEANING["bfloat16"](y), got)


@PAIRS
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_pairs_of_every_layout(left, right):
    for m, n, k in [(1, 1, 1), (5, 10, 4), (17, 33, 19), (40, 70, 50)]:
        x, y = filled((m, k), "float32", left, 1), filled((k, n), "float32", right, 2)
        is_of_rounded(x, y, pairs(x, y, threads=2))


@PAIRS
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_sizes_around_pairs(layout):
    for m, n, k in SIZES + PAIRED:
        x, y = filled((m, k), "float32", layout, 1), filled((k, n), "float32", layout, 2)
        is_of_rounded(x, y, pairs(x, y, threads=2))


@PAIRS
@pytest.mark.parametrize("size", LARGE, ids=str)
@pytest.mark.parametrize("layouts", [("rows", "rows"), ("columns", "rows"), ("rows", "columns")], ids="·".join)
def test_large_products_of_pairs(size, layouts):
    m, n, k = size
    x, y = filled((m, k), "float32", layouts[0], 1), filled((k, n), "float32", layouts[1], 2)
    is_of_rounded(x, y, pairs(x, y, threads=2))


@PAIRS
@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("batches", [((3,), (3,)), ((3,), (1,)), ((2, 3), (2, 1)), ((1, 3), (2, 3)), ((2, 1), (2, 3))])
def test_batches_of_pairs(batches, layout):
    for rows, k in [(20, 9), (5, 20)]:
        x = filled((*batches[0], rows, k), "float32", layout, 1)
        y = filled((*batches[1], k, 37), "float32", layout, 2)
        is_of_rounded(x, y, pairs(x, y, threads=2))


@PAIRS
@pytest.mark.parametrize("size", [(16, 70, 95), (33, 65, 70), (64, 100, 300), (5, 513, 400), *LARGE[:2]], ids=str)
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_bits_of_pairs_do_not_depend_on_threads_or_on_other_rows(size, layout):
    m, n, k = size
    x, y = filled((m, k), "float32", layout, 1), filled((k, n), "float32", layout, 2)
    alone = pairs(x, y)
    for threads in (2, 3, 4):
        np.testing.assert_array_equal(pairs(x, y, threads=threads), alone)
    for rows, columns in [(slice(1), slice(None)), (slice(m - 1, m), slice(3)), (slice(2, 4), slice(7, n))]:
        np.testing.assert_array_equal(pairs(x[rows], y[:, columns]), alone[rows, columns])


@PAIRS
def test_sums_of_pairs_that_need_no_rounding_are_exact():
    rng = np.random.default_rng(0)
    for m, n, k in [*PAIRED, *LARGE[:2]]:
        x, y = (rng.integers(-16, 17, shape).astype(np.float32) for shape in ((m, k), (k, n)))
        np.testing.assert_array_equal(pairs(x, y, threads=2), x @ y)


@PAIRS
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_nan_and_infinity_in_pairs_reach_their_row_and_column_and_no_other(layout):
    x, y = filled((37, 51), "float32", layout, 1), filled((51, 69), "float32", layout, 2)
    x[5, 7], x[36, 50], y[3, 68], y[4, 20] = np.nan, np.inf, -np.inf, np.nan
    x[9, 9:10].view(np.uint32)[0] = 0x7F800001  # a NaN whose only bit is cut off in rounding
    x[12, 3] = 3.4e38  # rounds to infinity
    got = pairs(x, y, threads=2)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = np.matmul(MEANING["bfloat16"](x).astype(np.float64), MEANING["bfloat16"](y).astype(np.float64))
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(got), kind(expected))
    assert np.isfinite(got).sum() == 33 * 67


@PAIRS
def test_denormal_numbers_in_pairs_count_as_zero():
    tiny, small = 2.0**-130, 2.0**-100
    x = np.array([[tiny, 1.0], [1.0, tiny], [small, 1.0], [-tiny, tiny]], np.float32)
    y = np.array([[1.0, 2.0**-30], [2.0, 0.0]], np.float32)
    np.testing.assert_array_equal(pairs(x, y), [[2.0, 0.0], [1.0, 2.0**-30], [2.0 + small, 0.0], [0.0, 0.0]])


@PAIRS
@pytest.mark.skipif(sys.platform == "win32", reason="mprotect is POSIX")
def test_pairs_are_made_of_nothing_beyond_an_operand():
    for m, n, k in [size for size in SIZES + PAIRED if size[2]]:
        x, y = filled((m, k), "float32", seed=1), filled((k, n), "float32", seed=2)
        expected = pairs(x, y)
        for left in (between_pages(x), between_pages(x.T).T):
            for right in (between_pages(y), between_pages(y.T).T):
                np.testing.assert_array_equal(pairs(left, right), expected)


@PAIRS
def test_packed_pairs_take_half_the_memory_of_their_numbers():
    product = Product(256, 512, 1024, "float32", (1024, 1), (512, 1), bfloat16=True)
    assert scratch_bytes(product, 2) == (256 + 512) * 1024 * 2


# ------------------------------------------------------------------------------------------------- size of the code


def kernels(module):
    names = [function.name for function in module.functions if not function.is_declaration]
    return [name for name in names if name.startswith("product_") and "pack" not in name]


def test_a_product_has_one_micro_kernel():
    for m, n, k in SIZES + LARGE:
        module, (stores,) = emitted(Product(m, n, k, "float32", (k, 1), (n, 1)))
        assert len(kernels(module)) <= 1
        assert 1 <= stores <= 2


@pytest.mark.parametrize("b", ["in place", "packed"])
def test_the_end_of_a_row_takes_the_shortest_vector_that_holds_it(b):
    """Vectors of 64 bytes take two cycles on many machines: of 100 columns the last 4 need not take as long as 16."""
    lanes = machine().lanes(4)
    n, short = lanes + lanes // 4, f"llvm.fma.v{lanes // 4}f32"
    product = Product(9, n, 12, "float32", (12, 1), (n, 1) if b == "in place" else (1, 12))
    assert short in str(emitted(product)[0])
    assert short not in str(emitted(product._replace(n=2 * lanes, b=(2 * lanes, 1)))[0])


@pytest.mark.skipif(machine().registers < 32, reason="with 16 registers no tile is higher")
def test_more_rows_share_vectors_that_lie_in_two_lines():
    lanes = machine().lanes(4)
    aligned, beside = 4 * lanes, 4 * lanes + 4
    heights = [planned(Product(999, 4 * lanes, 99, "float32", (99, 1), (step, 1))).rows for step in (aligned, beside)]
    assert heights[0] < heights[1]


def test_products_of_a_program_share_functions():
    product = Product(128, 500, 784, "float32", (784, 1), (1, 784))
    once, twice = emitted(product)[0], emitted(product, product._replace(k=500, a=(500, 1), b=(1, 500)))[0]
    assert [function.name for function in once.functions] == [function.name for function in twice.functions]
    assert str(twice).count('"product_tile" = alloca') == 1


def test_a_single_tile_calls_nothing():
    assert kernels(emitted(Product(4, 16, 10, "float32", (10, 1), (16, 1)))[0]) == []


def test_scratch_memory_grows_with_threads_by_whole_cache_lines():
    product = Product(64, 64, 64, "float64", (64, 1), (1, 64))
    sizes = [scratch_bytes(product, threads) for threads in (1, 2, 8)]
    assert sizes == sorted(sizes)
    assert all(size % 64 == 0 for size in sizes)


@pytest.mark.parametrize(("m", "n", "k"), [(1024, 4096, 4096), (4096, 4096, 1024), (512, 5000, 3000), (300, 9001, 700)])
def test_groups_of_columns_are_of_one_size(m, n, k):
    """Workers take equal numbers of items, so an item of few columns would leave one of them without work."""
    plan = planned(Product(m, n, k, "float32", (k, 1), (n, 1)))
    last = plan.column_tiles - (plan.groups - 1) * plan.group
    assert plan.group - last < plan.groups
