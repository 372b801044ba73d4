"""Random numbers of compiled programs: the bits of NumPy's Philox and of eager draws, on any machine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import philox
from adjoint.compiler.llvm import Library, Machine, ir, machine, object_code
from adjoint.compiler.philox import emit_uniform, emit_uniform_at

WORD, POINTER = ir.IntType(64), ir.PointerType()
SEEDS = [0, 7, 2**64 - 1, 2**64, 0x0123456789ABCDEF_FEDCBA9876543210, 2**128 - 1]
DRAWS = [0, 1, 12345, 2**63, 2**64 - 1]
FORMATS = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
#: Machines by how they multiply; the code for narrower vectors runs on this CPU all the same.
MACHINES = {
    "its own": machine(),
    "32 bytes": machine()._replace(features="", vector_bytes=32, registers=16),
    "16 bytes": machine()._replace(features="", vector_bytes=16, registers=16),
}


def numbers(seed: int, draw: int, count: int, dtype: Any) -> Any:
    """The first numbers of a draw, by NumPy alone."""
    stream = np.random.Philox(key=seed, counter=draw << 192)
    return np.random.Generator(stream).random(count).astype(dtype)


def compiled(emit: Callable[..., Any], dtype: Any, *argument_kinds: Any) -> Callable[..., Any]:
    """fill(seed, draw, …): the numbers that `emit(builder, key, draw, …)` gives."""
    kind = ir.FunctionType(ir.VoidType(), [POINTER, WORD, WORD, WORD, *argument_kinds])
    function = ir.Function(ir.Module(), kind, "fill")
    b = ir.IRBuilder(function.append_basic_block())
    out, low, high, draw, *rest = function.args
    values = emit(b, (low, high), draw, *rest)
    b.store(values, out, align=dtype().itemsize)
    b.ret_void()
    count = getattr(values.type, "count", 1)
    library = Library(object_code(function.module))
    words = [ctypes.c_uint64] * (3 + len(argument_kinds))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *words)(library.address("fill"))

    def fill(seed: int, draw: int, *rest: int) -> Any:
        assert library
        found = np.full(count, np.nan, dtype)
        call(found.ctypes.data, seed % 2**64, seed >> 64, draw, *rest)
        return found

    return fill


@cache
def row(lanes: int, dtype: Any) -> Callable[..., Any]:
    """fill(seed, draw, first): consecutive numbers."""
    return compiled(lambda b, key, draw, first: emit_uniform(b, key, draw, first, lanes, np.dtype(dtype)), dtype, WORD)


def at(lanes: int, dtype: Any) -> Callable[..., Any]:
    """fill(seed, draw, address of the indices)."""

    def emit(b: Any, key: Any, draw: Any, address: Any) -> Any:
        kind = WORD if lanes == 1 else ir.VectorType(WORD, lanes)
        index = b.load(b.inttoptr(address, POINTER), typ=kind, align=8)
        return emit_uniform_at(b, key, draw, index, np.dtype(dtype))

    fill = compiled(emit, dtype, WORD)

    def filled(seed: int, draw: int, indices: Any) -> Any:
        kept = np.ascontiguousarray(indices, np.int64)
        return fill(seed, draw, kept.ctypes.data)

    return filled


@FORMATS
@pytest.mark.parametrize("lanes", [4, 8, 16, 32, 64, 128])
def test_rows_have_the_bits_of_numpy(lanes: int, dtype: Any) -> None:
    fill = row(lanes, dtype)
    for seed in SEEDS:
        for draw in DRAWS:
            expected = numbers(seed, draw, 5 * 128, dtype)
            for first in (0, 4, lanes, 508):
                np.testing.assert_array_equal(fill(seed, draw, first), expected[first : first + lanes], strict=True)


@FORMATS
@pytest.mark.parametrize("seed", [3, 2**127 + 5])
def test_rows_have_the_bits_of_eager_draws(seed: int, dtype: Any) -> None:
    rng, fill = ad.random.Generator(seed), row(32, dtype)
    for draw in range(3):
        eager = rng.uniform((5, 32), dtype=np.dtype(dtype)).value
        found = np.array([fill(seed, draw, first) for first in range(0, 160, 32)])
        np.testing.assert_array_equal(found, eager, strict=True)


def test_a_row_far_into_a_draw() -> None:
    """Element 2⁴⁰: its block's number needs more than 32 bits."""
    stream = np.random.Philox(key=9, counter=2**38 + (4 << 192))
    expected = np.random.Generator(stream).random(16)
    np.testing.assert_array_equal(row(16, np.float64)(9, 4, 2**40), expected)


@FORMATS
@pytest.mark.parametrize("lanes", [1, 2, 8, 32])
def test_any_indices_in_any_order(lanes: int, dtype: Any) -> None:
    fill, order = at(lanes, dtype), np.random.default_rng(lanes)
    for seed in SEEDS:
        expected = numbers(seed, 6, 1000, dtype)
        for indices in (np.arange(lanes) + 3, np.arange(lanes)[::-1] * 5, order.integers(0, 1000, lanes)):
            np.testing.assert_array_equal(fill(seed, 6, indices), expected[indices], strict=True)


@pytest.mark.parametrize("host", MACHINES.values(), ids=MACHINES.keys())
def test_all_ways_to_multiply_give_the_same_bits(host: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(philox, "machine", lambda: host)
    fill = compiled(lambda b, *rest: emit_uniform(b, *rest, 64, np.dtype("float64")), np.float64, WORD)
    anywhere = at(16, np.float64)
    for seed in SEEDS:
        expected = numbers(seed, 2, 192, np.float64)
        np.testing.assert_array_equal(fill(seed, 2, 128), expected[128:])
        np.testing.assert_array_equal(anywhere(seed, 2, np.arange(16) * 11), expected[np.arange(16) * 11])


@pytest.mark.parametrize("factor", philox.MULTIPLIERS)
@pytest.mark.parametrize("host", MACHINES.values(), ids=MACHINES.keys())
def test_products_at_the_edges(host: Machine, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carries between pieces: words of few and of many bits, and those around the edges of pieces."""
    monkeypatch.setattr(philox, "machine", lambda: host)
    width = philox._width(8)
    kind = WORD if width == 1 else ir.VectorType(WORD, width)
    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), [POINTER] * 3), "product")
    b = ir.IRBuilder(function.append_basic_block())
    x, *halves = function.args
    for half, out in zip(philox._product(b, b.load(x, typ=kind, align=8), factor), halves, strict=True):
        b.store(half, out, align=8)
    b.ret_void()
    library = Library(object_code(function.module))
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(library.address("product"))
    edges = [2**k + d for k in (0, 12, 31, 32, 33, 51, 52, 53, 63) for d in (-1, 0, 1)]
    words = [*edges, *(2**64 - 1 - edge for edge in edges), *(2**64 - 2**k for k in range(1, 64))]
    words += np.random.default_rng(0).integers(0, 2**64, 1000, np.uint64).tolist()
    words += [0] * (-len(words) % width)
    for start in range(0, len(words), width):
        given = np.array(words[start : start + width], np.uint64)
        high, low = np.empty_like(given), np.empty_like(given)
        call(given.ctypes.data, high.ctypes.data, low.ctypes.data)
        exact = [word * factor for word in given.tolist()]
        assert high.tolist() == [product >> 64 for product in exact]
        assert low.tolist() == [product % 2**64 for product in exact]


def test_draws_of_a_module_share_a_function() -> None:
    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), [WORD]), "twice")
    b = ir.IRBuilder(function.append_basic_block())
    for draw in (0, 1):
        emit_uniform(b, (WORD(1), WORD(2)), WORD(draw), function.args[0], 16, np.dtype("float32"))
    b.ret_void()
    assert str(function.module).count("define internal") == 1


@pytest.mark.parametrize("lanes", [0, 1, 2, 3, 6, 12])
def test_lanes_that_are_no_blocks(lanes: int) -> None:
    b = ir.IRBuilder(ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "f").append_basic_block())
    with pytest.raises(ValueError, match=f"expected a power of two from 4, got lanes={lanes}"):
        emit_uniform(b, (WORD(0), WORD(0)), WORD(0), WORD(0), lanes, np.dtype("float64"))


def test_indices_of_a_lane_count_that_is_none() -> None:
    b = ir.IRBuilder(ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "f").append_basic_block())
    index = ir.Constant(ir.VectorType(WORD, 3), [0, 1, 2])
    with pytest.raises(ValueError, match="expected a power of two, got 3 lanes"):
        emit_uniform_at(b, (WORD(0), WORD(0)), WORD(0), index, np.dtype("float64"))
