"""Uniform random numbers inside compiled programs: the Philox4x64-10 of NumPy, bit for bit.

A draw is a function of a key (the seed's low and high word) and of its number. Its stream consists of blocks of four
words: word i is word i % 4 of block i // 4 + 1, which is ten rounds applied to the counter (block, 0, 0, draw); NumPy
steps its counter before it draws. So any element can be had without those before it, and parts of a program may draw
theirs in any order.

A round multiplies two words to 128 bits each. Blocks stand side by side in vectors; how a product is made depends on
the machine: from 52-bit pieces (AVX-512 IFMA), from 32-bit pieces (other vectors of 4 or more words), else by the CPU's
own 128-bit product, one block after the other. The ten rounds are a loop, since LLVM takes over 50 ms for the straight
line, in a function of the module, since a program may draw in many places. The latency of products hides behind other
vectors only: a number costs least at 64 lanes at a time or more, and twice as much at 8.

Elsewhere: `ops/random.py` has the draws, `vocabulary.py` how NumPy makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from adjoint.compiler.llvm import constant, ir, machine

__all__ = ["emit_uniform", "emit_uniform_at"]

Key = tuple[Any, Any]

ROUNDS: Final = 10
MULTIPLIERS: Final = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
#: Added to the key from round to round: the golden ratio and √3 − 1, as fractions of 2⁶⁴.
WEYL: Final = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)

_I32: Final = ir.IntType(32)
_I64: Final = ir.IntType(64)
_I128: Final = ir.IntType(128)


def emit_uniform(builder: Any, key: Key, draw: Any, first: Any, lanes: int, dtype: np.dtype[Any]) -> Any:
    """Consecutive numbers of a draw.

    out[j] = (word[first + j] >> 11) · 2⁻⁵³, rounded to the dtype

    Parameters
    ----------
    builder : ir.IRBuilder
    key : pair of i64
        Low and high word of the seed.
    draw : i64
        Number of the draw.
    first : i64
        Index of the first number, a multiple of 4; for others there is `emit_uniform_at`.
    lanes : int
        How many numbers; a power of two from 4.
    dtype : np.dtype
        float32 or float64. As in an eager draw, float32 is rounded from float64 and may be 1.

    Returns
    -------
    <lanes x float> or <lanes x double>

    Raises
    ------
    ValueError
        For a number of lanes that is no power of two from 4.

    Example
    -------
    >>> import ctypes, adjoint as ad
    >>> from adjoint.compiler.llvm import Library, object_code
    >>> word, pointer = ir.IntType(64), ir.PointerType()
    >>> kind = ir.FunctionType(ir.VoidType(), [pointer, word])
    >>> function = ir.Function(ir.Module(), kind, "draw")
    >>> builder = ir.IRBuilder(function.append_basic_block())
    >>> out, seed = function.args
    >>> numbers = emit_uniform(builder, (seed, word(0)), word(0), word(0), 8, np.dtype("float64"))
    >>> _ = builder.store(numbers, out, align=8), builder.ret_void()
    >>> library, numbers = Library(object_code(function.module)), np.empty(8)
    >>> call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64)(library.address("draw"))
    >>> call(numbers.ctypes.data, 7)
    >>> bool((numbers == ad.random.Generator(7).uniform(8).value).all())
    True

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    if lanes < 4 or lanes & (lanes - 1):
        raise ValueError(f"emit_uniform: expected a power of two from 4, got lanes={lanes}")
    function = _function(builder.module, "row", lanes, _I64, _emit_row)
    return _uniform(builder, builder.call(function, [*key, draw, first]), dtype)


def emit_uniform_at(builder: Any, key: Key, draw: Any, index: Any, dtype: np.dtype[Any]) -> Any:
    """Any numbers of a draw, by their indices; a number costs four times as much as one of `emit_uniform`.

    out[j] = (word[index[j]] >> 11) · 2⁻⁵³, rounded to the dtype

    Parameters
    ----------
    builder : ir.IRBuilder
    key : pair of i64
        Low and high word of the seed.
    draw : i64
        Number of the draw.
    index : i64 or <n x i64>
        Which numbers, from 0; n is a power of two.
    dtype : np.dtype
        float32 or float64.

    Returns
    -------
    float or double, or a vector of n

    Raises
    ------
    ValueError
        For a number of lanes that is no power of two.

    Example
    -------
    >>> import ctypes, adjoint as ad
    >>> from adjoint.compiler.llvm import Library, object_code
    >>> word = ir.IntType(64)
    >>> function = ir.Function(ir.Module(), ir.FunctionType(ir.DoubleType(), [word]), "number")
    >>> builder = ir.IRBuilder(function.append_basic_block())
    >>> number = emit_uniform_at(builder, (word(7), word(0)), word(0), function.args[0], np.dtype("float64"))
    >>> _ = builder.ret(number)
    >>> library = Library(object_code(function.module))
    >>> call = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(library.address("number"))
    >>> call(5) == ad.random.Generator(7).uniform(6).value[5].item()
    True

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    lanes = _lanes(index.type)
    if lanes & (lanes - 1):
        raise ValueError(f"emit_uniform_at: expected a power of two, got {lanes} lanes")
    function = _function(builder.module, "at", lanes, index.type, _emit_at)
    return _uniform(builder, builder.call(function, [*key, draw, index]), dtype)


def _uniform(b: Any, words: Any, dtype: np.dtype[Any]) -> Any:
    """Words as numbers. Without their low 11 bits they are exact in float64, so only float32 rounds, and once."""
    double = _like(words.type, ir.DoubleType())
    numbers = b.uitofp(b.lshr(words, constant(words.type, 11)), double)
    numbers = b.fmul(numbers, constant(double, 2.0**-53))
    return b.fptrunc(numbers, _like(words.type, ir.FloatType())) if dtype == np.float32 else numbers


# --- the functions of a module ----------------------------------------------------------------------------------------


def _function(module: Any, name: str, lanes: int, index: Any, emit: Callable[..., Any]) -> Any:
    """`adjoint.philox.NAME.LANES(key0, key1, draw, index)`: words of a draw."""
    full = f"adjoint.philox.{name}.{lanes}"
    if full in module.globals:
        return module.globals[full]
    returns = _I64 if lanes == 1 else ir.VectorType(_I64, lanes)
    function = ir.Function(module, ir.FunctionType(returns, [_I64, _I64, _I64, index]), full)
    function.linkage = "internal"
    function.attributes.add("noinline")
    b = ir.IRBuilder(function.append_basic_block())
    low, high, draw, where = function.args
    b.ret(emit(b, (low, high), draw, where, lanes))
    return function


def _emit_row(b: Any, key: Key, draw: Any, first: Any, lanes: int) -> Any:
    """Words first, first + 1, …: whole blocks."""
    width = _width(lanes // 4)
    block = b.add(b.lshr(first, constant(_I64, 2)), constant(_I64, 1))
    groups = []
    for start in range(0, lanes // 4, width):
        numbers = range(start, start + width)
        offsets = constant(_I64, start) if width == 1 else ir.Constant(ir.VectorType(_I64, width), list(numbers))
        groups.append(b.add(_spread(b, block, offsets.type), offsets))
    return _joined(b, [_interleaved(b, words) for words in _blocks(b, key, draw, groups)])


def _emit_at(b: Any, key: Key, draw: Any, index: Any, lanes: int) -> Any:
    """One word for each index: the block that it is in, of which three words are dropped."""
    groups = _split(b, index, _width(lanes))
    one = constant(groups[0].type, 1)
    blocks = [b.add(b.lshr(group, constant(group.type, 2)), one) for group in groups]
    found = []
    for group, words in zip(groups, _blocks(b, key, draw, blocks), strict=True):
        odd, late = (
            b.icmp_unsigned("!=", b.and_(group, constant(group.type, bit)), constant(group.type, 0)) for bit in (1, 2)
        )
        low, high = b.select(odd, words[1], words[0]), b.select(odd, words[3], words[2])
        found.append(b.select(late, high, low))
    return _joined(b, found)


# --- blocks -----------------------------------------------------------------------------------------------------------


def _blocks(b: Any, key: Key, draw: Any, groups: Sequence[Any]) -> list[list[Any]]:
    """The four words of the blocks of each group; all groups go through a round before the next."""
    kind = groups[0].type
    zero = constant(kind, 0)
    keys = [_spread(b, word, kind) for word in key]
    counters = [word for block in groups for word in (block, zero, zero, _spread(b, draw, kind))]

    def turn(values: list[Any]) -> list[Any]:
        keys, words = values[:2], values[2:]
        turned = [word for start in range(0, len(words), 4) for word in _round(b, words[start : start + 4], keys)]
        return [*_stepped(b, keys), *turned]

    words = _repeated(b, ROUNDS, [*keys, *counters], turn)[2:]
    return [words[start : start + 4] for start in range(0, len(words), 4)]


def _stepped(b: Any, keys: Sequence[Any]) -> list[Any]:
    """The key of the next round."""
    return [b.add(key, constant(key.type, step)) for key, step in zip(keys, WEYL, strict=True)]


def _round(b: Any, words: Sequence[Any], keys: Sequence[Any]) -> list[Any]:
    """One round: two products, of which each word of the result has a half."""
    high, low = _product(b, words[0], MULTIPLIERS[0])
    other_high, other_low = _product(b, words[2], MULTIPLIERS[1])
    return [
        b.xor(b.xor(words[1], keys[0]), other_high),
        other_low,
        b.xor(b.xor(words[3], keys[1]), high),
        low,
    ]


def _repeated(b: Any, times: int, values: list[Any], step: Callable[[list[Any]], list[Any]]) -> list[Any]:
    """Values after so many steps, as a loop; `times` is at least 1."""
    before, loop, after = b.block, b.append_basic_block(), b.append_basic_block()
    b.branch(loop)
    b.position_at_end(loop)
    count, *current = (b.phi(value.type) for value in (constant(_I64, 0), *values))
    done = b.add(count, constant(_I64, 1))
    new = step(current)
    for phi, start, end in zip((count, *current), (constant(_I64, 0), *values), (done, *new), strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(end, loop)
    b.cbranch(b.icmp_unsigned("<", done, constant(_I64, times)), loop, after)
    b.position_at_end(after)
    return new


# --- products ---------------------------------------------------------------------------------------------------------


def _width(blocks: int) -> int:
    """Blocks in one vector. Vectors of 2 words are slower than 128-bit products of single ones."""
    width = min(blocks, machine().lanes(8))
    return width if width >= 4 else 1


def _product(b: Any, x: Any, factor: int) -> tuple[Any, Any]:
    """High and low word of x · factor."""
    if _lanes(x.type) == 1:
        wide = b.mul(b.zext(x, _I128), constant(_I128, factor))
        return b.trunc(b.lshr(wide, constant(_I128, 64)), _I64), b.trunc(wide, _I64)
    if "+avx512ifma" in machine().features and machine().vector_bytes == 64:  # 64: all of AVX-512 is there
        return _high_of_52_bits(b, x, factor), b.mul(x, constant(x.type, factor))
    return _product_of_32_bits(b, x, factor)


def _high_of_52_bits(b: Any, x: Any, factor: int) -> Any:
    """High word of x · f by multiplications of 52 bits, of which one gives the high half.

    With x = t·2⁵² + r it is t·⌊f/2¹²⌋ + ⌊(⌊r·f/2⁵²⌋ + t·(f mod 2¹²)) / 2¹²⌋. No sum exceeds 64 bits, since the
    factors' highest 12 bits are not all 1.
    """
    kind, digits = x.type, 2**52 - 1
    top = b.lshr(x, constant(kind, 52))
    rest = b.mul(b.and_(x, constant(kind, digits)), constant(kind, factor >> 52))
    rest = _multiply_add(b, "h", rest, x, constant(kind, factor & digits))
    rest = _multiply_add(b, "l", rest, top, constant(kind, factor & 0xFFF))
    return b.add(b.mul(top, constant(kind, factor >> 12)), b.lshr(rest, constant(kind, 12)))


def _multiply_add(b: Any, half: str, z: Any, x: Any, y: Any) -> Any:
    """z + the high or low 52 bits of the product of the low 52 bits of x and y."""
    name = f"llvm.x86.avx512.vpmadd52{half}.uq.{64 * x.type.count}"
    callee = b.module.globals.get(name) or ir.Function(b.module, ir.FunctionType(x.type, [x.type] * 3), name)
    return b.call(callee, [z, x, y])


def _product_of_32_bits(b: Any, x: Any, factor: int) -> tuple[Any, Any]:
    """High and low word of x · factor, as on paper with two digits each; no sum exceeds 64 bits."""
    half, mask = constant(x.type, 32), constant(x.type, 0xFFFFFFFF)
    low, high = b.and_(x, mask), b.lshr(x, half)
    factor_low, factor_high = constant(x.type, factor & 0xFFFFFFFF), constant(x.type, factor >> 32)
    lowest = b.mul(low, factor_low)
    middle = b.add(b.mul(high, factor_low), b.lshr(lowest, half))
    other = b.add(b.mul(low, factor_high), b.and_(middle, mask))
    highest = b.add(b.mul(high, factor_high), b.add(b.lshr(middle, half), b.lshr(other, half)))
    return highest, b.or_(b.shl(other, half), b.and_(lowest, mask))


# --- vectors ----------------------------------------------------------------------------------------------------------


def _lanes(kind: Any) -> int:
    return kind.count if isinstance(kind, ir.VectorType) else 1


def _like(kind: Any, element: Any) -> Any:
    """A type of as many lanes with another element."""
    return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element


def _shuffled(b: Any, x: Any, y: Any, lanes: Sequence[int]) -> Any:
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes)))


def _spread(b: Any, word: Any, kind: Any) -> Any:
    """A word in every lane."""
    if _lanes(kind) == 1:
        return word
    one = b.insert_element(ir.Constant(kind, ir.Undefined), word, constant(_I32, 0))
    return _shuffled(b, one, one, [0] * kind.count)


def _split(b: Any, x: Any, width: int) -> list[Any]:
    """A vector in vectors of this width, or in its elements."""
    lanes = _lanes(x.type)
    if lanes == width:
        return [x]
    if width == 1:
        return [b.extract_element(x, constant(_I32, lane)) for lane in range(lanes)]
    return [_shuffled(b, x, x, range(start, start + width)) for start in range(0, lanes, width)]


def _joined(b: Any, parts: list[Any]) -> Any:
    """Numbers or vectors behind one another; their number is a power of two."""
    if len(parts) > 1 and _lanes(parts[0].type) == 1:
        whole = ir.Constant(ir.VectorType(_I64, len(parts)), ir.Undefined)
        for lane, part in enumerate(parts):
            whole = b.insert_element(whole, part, constant(_I32, lane))
        return whole
    while len(parts) > 1:
        lanes = range(2 * _lanes(parts[0].type))
        parts = [_shuffled(b, x, y, lanes) for x, y in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _interleaved(b: Any, words: list[Any]) -> Any:
    """The four words of the first block, then those of the second, …"""
    count = _lanes(words[0].type)
    if count == 1:
        return _joined(b, words)
    pairs = [lane for i in range(count) for lane in (i, count + i)]
    first, second, third, fourth = words
    low, high = _shuffled(b, first, second, pairs), _shuffled(b, third, fourth, pairs)
    return _shuffled(
        b, low, high, [lane + j for i in range(0, 2 * count, 2) for lane in (i, 2 * count + i) for j in (0, 1)]
    )
