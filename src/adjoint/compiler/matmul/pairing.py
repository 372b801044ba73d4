"""Packing of pairs: float32 numbers, rounded to bfloat16 on the way from where they lie to where a product wants them.

A panel's element (pair, column) goes to `target + column·step + pair` (`rows`: neighbours along k, which A is packed
in) or to `target + pair·step + column` (panels of B). The source has neighbours along k, across, or neither. Where the
two differ, squares are transposed in registers.

Invariant: a source is read only where it has elements, so what fills up a vector is 0. A target has room for whole
vectors, and whole squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adjoint.compiler.integers import i64, lane_mask, plus, times
from adjoint.compiler.llvm import ir
from adjoint.compiler.matmul.loops import advanced, internal_function, masked_load, striding
from adjoint.compiler.matmul.packing import PARAMETERS, Panel, transposed
from adjoint.compiler.matmul.pairs import FLOATS, LANES, neighbours, zipped

__all__ = ["pairing_function"]

_FLOAT, _SIZE = ir.FloatType(), 4


def pairing_function(module: Any, strides: tuple[int, int], *, rows: bool) -> Any:
    """The function with the arguments of a `Panel`, whose k counts numbers; `strides` of the source: across, along k.

    Where both are 1 the source has a single row or column, and is read as it is wanted.
    """
    wanted, other = ("along", "across") if rows else ("across", "along")
    stride = {"across": strides[0], "along": strides[1]}
    kind = wanted if stride[wanted] == 1 else other if stride[other] == 1 else "strided"

    def emit(builder: Any, *arguments: Any) -> None:
        panel = Panel(*arguments)
        if kind == "strided":
            _emit_strided(builder, panel, rows)
        elif (kind == "along") == rows:
            _emit_vectors(builder, panel, rows)
        else:
            _emit_squares(builder, panel, rows)

    return internal_function(module, f"product_pack_pairs_{kind}{'_rows' if rows else ''}", PARAMETERS, emit)


def _emit_vectors(builder: Any, panel: Panel, rows: bool) -> None:
    steps = (1, 2 * LANES) if rows else (LANES, 2)
    with _places(builder, panel, steps, rows) as (column, p):
        take = _along if rows else _across
        _store(builder, panel, rows, column, p, take(builder, panel, column, p))


def _emit_squares(builder: Any, panel: Panel, rows: bool) -> None:
    """Row after row from the source, row after row to the target."""
    with _places(builder, panel, (LANES, 2 * LANES), not rows) as (column, p):
        if rows:
            taken = [_across(builder, panel, column, plus(builder, p, i64(2 * i))) for i in range(LANES)]
        else:
            taken = [_along(builder, panel, plus(builder, column, i64(i)), p) for i in range(LANES)]
        for i, vector in enumerate(transposed(builder, taken)):
            here = (plus(builder, column, i64(i)), p) if rows else (column, plus(builder, p, i64(2 * i)))
            _store(builder, panel, rows, *here, vector)


@contextmanager
def _places(builder: Any, panel: Panel, steps: tuple[int, int], is_along: bool) -> Iterator[tuple[Any, Any]]:
    """Columns and places along k by these steps, in the order of the source: there memory is far apart."""
    bounds = list(zip((panel.columns, panel.k), steps, strict=True))
    (outer, outer_step), (inner, inner_step) = bounds if is_along else bounds[::-1]
    with (
        striding(builder, i64(0), outer) as (slow, slow_steps),
        striding(builder, i64(0), inner) as (fast, fast_steps),
    ):
        yield (slow, fast) if is_along else (fast, slow)
        fast_steps.append(i64(inner_step))
        slow_steps.append(i64(outer_step))


def _emit_strided(builder: Any, panel: Panel, rows: bool) -> None:
    """Pair by pair."""
    first = ir.Constant(ir.IntType(32), 0)
    with _places(builder, panel, (1, 2), True) as (column, p):
        pair = []
        for offset in range(2):
            here = plus(builder, p, i64(offset))
            inside = builder.icmp_signed("<", here, panel.k)
            source = _source(builder, panel, column, builder.select(inside, here, p))
            value = builder.load(source, typ=_FLOAT, align=_SIZE)
            value = builder.select(inside, value, ir.Constant(_FLOAT, 0.0))
            pair.append(builder.insert_element(ir.Constant(FLOATS, None), value, first))
        _store(builder, panel, rows, column, p, builder.extract_element(zipped(builder, *pair), first))


# ------------------------------------------------------------------------------------------------- numbers and pairs


def _along(builder: Any, panel: Panel, column: Any, p: Any) -> Any:
    """Pairs of a column from p on; none of a column beyond the last."""
    inside = builder.icmp_signed("<", column, panel.columns)
    left = builder.select(inside, builder.sub(panel.k, p), i64(0))
    source = _source(builder, panel, column, p)
    first = _loaded(builder, source, left)
    rest = advanced(builder, source, i64(LANES * _SIZE))
    return neighbours(builder, first, _loaded(builder, rest, builder.sub(left, i64(LANES))))


def _across(builder: Any, panel: Panel, column: Any, p: Any) -> Any:
    """The pairs at p, p + 1 of columns from this one on; 0 for p beyond the last."""
    left = builder.sub(panel.columns, column)
    numbers = []
    for offset in range(2):
        here = plus(builder, p, i64(offset))
        count = builder.select(builder.icmp_signed("<", here, panel.k), left, i64(0))
        numbers.append(_loaded(builder, _source(builder, panel, column, here), count))
    return zipped(builder, *numbers)


def _loaded(builder: Any, pointer: Any, count: Any) -> Any:
    return masked_load(builder, FLOATS, pointer, lane_mask(builder, LANES, count))


def _source(builder: Any, panel: Panel, column: Any, p: Any) -> Any:
    place = builder.add(builder.mul(p, panel.k_stride), builder.mul(column, panel.column_stride))
    return advanced(builder, panel.source, place)


def _store(builder: Any, panel: Panel, rows: bool, column: Any, p: Any, pairs: Any) -> None:
    pair = builder.lshr(p, i64(1))
    outer, inner = (column, pair) if rows else (pair, column)
    place = builder.add(builder.mul(outer, panel.step), times(builder, inner, _SIZE))
    builder.store(pairs, advanced(builder, panel.target, place), align=_SIZE)
