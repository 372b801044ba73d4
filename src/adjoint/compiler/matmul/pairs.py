"""Pairs of bfloat16 numbers: neighbours along k in 32 bits, which are multiplied and added up in one step.

The earlier number is in the low half. A matrix of pairs is laid out and walked through as one of float32 with half of
k; where k is odd the last pair has 0 for its later number. Vectors of 16 pairs only: what multiplies them has AVX-512.

The intrinsics are declared with integers, as LLVM had them before it had a type bfloat: it converts that itself.
"""

from __future__ import annotations

from typing import Any, Final

from adjoint.compiler.integers import declared
from adjoint.compiler.llvm import ir, machine

__all__ = ["FEW_COLUMNS", "FLOATS", "LANES", "PAIRS", "fused_pairs", "has_pairs", "neighbours", "zipped"]

#: Pairs in a vector.
LANES: Final = 16
#: Columns below which a product is not made of pairs: packing A takes as long as multiplying it.
FEW_COLUMNS: Final = 8
FLOATS: Final = ir.VectorType(ir.FloatType(), LANES)
PAIRS: Final = ir.VectorType(ir.IntType(32), LANES)
_HALVES = ir.VectorType(ir.IntType(16), 2 * LANES)
_ZIP = ir.Constant(ir.VectorType(ir.IntType(32), 2 * LANES), [i // 2 + LANES * (i % 2) for i in range(2 * LANES)])


def has_pairs() -> bool:
    """Whether this CPU multiplies pairs."""
    return "+avx512bf16" in machine().features and machine().vector_bytes == 64  # 64: all of AVX-512 is there


def fused_pairs(builder: Any, x: Any, y: Any, total: Any) -> Any:
    """total + x₀·y₀ + x₁·y₁ for each pair; a denormal number counts as 0, and becomes 0 where it results."""
    function = declared(builder, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, [FLOATS, PAIRS, PAIRS])
    return builder.call(function, [total, x, y])


def neighbours(builder: Any, first: Any, second: Any) -> Any:
    """Pairs of 32 numbers in a row, each rounded to the nearest bfloat16, half to even; NaN stays NaN."""
    return builder.bitcast(_rounded(builder, first, second), PAIRS)


def zipped(builder: Any, earlier: Any, later: Any) -> Any:
    """Pairs whose earlier numbers are in one vector and whose later ones are in another, rounded likewise."""
    both = _rounded(builder, earlier, later)
    return builder.bitcast(builder.shuffle_vector(both, both, _ZIP), PAIRS)


def _rounded(builder: Any, first: Any, second: Any) -> Any:
    function = declared(builder, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", _HALVES, [FLOATS, FLOATS])
    return builder.call(function, [second, first])
