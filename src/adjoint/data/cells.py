"""The cells of a file's column, as polars holds them, turned into a column of a Table.

A CSV file holds text only, so the kind is found from all cells of a column, never from the first hundred:

- `number` where every cell that has a value is a decimal number (or inf); NA, N/A, NaN, null, None and ?
  count as missing among numbers;
- `boolean` where every cell that has a value is true or false, in any case;
- `text` otherwise. Dates and times are texts, from Parquet too (ISO 8601), so that both formats of one table
  agree.

Only this file and `reading` know polars; `reading` imports it, and this file, when a file is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from adjoint.data.tables import Kind, Values, shown
from adjoint.errors import DataError

MISSING_WORDS = ("na", "n/a", "#n/a", "nan", "null", "none", "?")
TRUTH = {"true": 1.0, "false": 0.0}


def column_of_cells(where: str, cells: pl.Series, wanted: Kind | None) -> tuple[Kind, Values]:
    """A CSV column: of the kind that is wanted, or an error naming the first odd cell; else as it looks."""
    cells = _stripped(cells)
    if wanted is None:
        return _as_it_looks(cells)
    if wanted == "text":
        return "text", _objects(cells)
    parsed = _numbers(cells) if wanted == "number" else _booleans(cells)
    if len(odd := _odd(cells, parsed)):
        expected = "a number" if wanted == "number" else "true or false"
        first = int(odd[0])
        raise DataError(f"{where}: expected {expected}, got {shown(cells[first])} (data row {first + 1})")
    return wanted, _floats(parsed)


def column_of_values(where: str, values: pl.Series) -> tuple[Kind, Values]:
    """A Parquet column, which brings its type."""
    if values.dtype == pl.Boolean:
        return "boolean", _floats(values.cast(pl.Float64))
    if values.dtype.is_numeric() or values.dtype == pl.Null:
        return "number", _floats(values.cast(pl.Float64))
    if values.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Time):
        texts = _stripped(values.cast(pl.String))
        return ("number", _floats(texts)) if _is_all_missing(texts) else ("text", _objects(texts))
    raise DataError(
        f"{where}: expected numbers, booleans, texts or dates, got {values.dtype}; leave the column out of the file"
    )


def _as_it_looks(cells: pl.Series) -> tuple[Kind, Values]:
    if _is_all_missing(cells):
        return "number", _floats(cells)
    for kind, parsed in _readings(cells):
        if not _is_all_missing(parsed) and not len(_odd(cells, parsed)):
            return kind, _floats(parsed)
    return "text", _objects(cells)


def _readings(cells: pl.Series) -> Iterator[tuple[Kind, pl.Series]]:
    yield "number", _numbers(cells)
    yield "boolean", _booleans(cells)


def _stripped(texts: pl.Series) -> pl.Series:
    """Texts without surrounding white space; what is empty then is missing."""
    stripped = texts.str.strip_chars()
    return stripped.set(stripped == "", None)


def _is_all_missing(cells: pl.Series) -> bool:
    return cells.null_count() == len(cells)


def _numbers(cells: pl.Series) -> pl.Series:
    return cells.cast(pl.Float64, strict=False)


def _booleans(cells: pl.Series) -> pl.Series:
    return cells.str.to_lowercase().replace_strict(TRUTH, default=None, return_dtype=pl.Float64)


def _odd(cells: pl.Series, parsed: pl.Series) -> NDArray[np.int64]:
    """Rows whose cell was not understood and is no word for a missing value."""
    lost = parsed.is_null() & cells.is_not_null()
    words = cells.filter(lost).str.to_lowercase().is_in(MISSING_WORDS).to_numpy()
    odd: NDArray[np.int64] = np.flatnonzero(lost.to_numpy())[~words]
    return odd


def _floats(values: pl.Series) -> Values:
    return np.array(values.cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _objects(texts: pl.Series) -> Values:
    column = np.empty(len(texts), dtype=object)
    column[:] = texts.to_list()
    return column
