"""Files: CSV and Parquet read into a Table, and everything that can be wrong with a file said in one line.

polars parses; it is imported when the first file is read. What polars lets pass is checked here: short rows,
blank lines, column names used twice. It is handed bytes, never a path, since it would take `*` in a path for
a pattern and `http:` for an address.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adjoint.data.csv_text import CsvText
from adjoint.data.tables import Kind, Table, Values, listed, shown
from adjoint.errors import DataError

if TYPE_CHECKING:
    import polars

Columns = dict[str, tuple[Kind, Values]]


def read_table(path: str | PathLike[str], *, kinds: Mapping[str, Kind] | None = None) -> Table:
    """A CSV or Parquet file as a Table.

    CSV: UTF-8, a header line with a name for each column, the separator (comma, semicolon, tab, |) found from
    it; blank lines are skipped, empty cells are missing values. How a column's kind is found:
    `adjoint.data.cells`.

    Parameters
    ----------
    path : path of a file ending in .csv, .parquet or .pq
    kinds : mapping of name to "number", "boolean" or "text", optional
        Kinds of columns of a CSV file that are known, as in `encoder.kinds`: postal codes stay text, and a
        cell that does not fit is an error that names its row. Names that are not in the file are ignored.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        No such file, a file of another kind, an empty file or one without rows, rows of different lengths, a
        column name used twice, bytes that are not UTF-8, a cell that is not of its known kind, a column type
        that is no number, boolean, text or date, or polars is not installed.

    Example
    -------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "people.csv")
    ...     _ = file.write_text("age,city\\n31,Oslo\\n,Rome\\n")
    ...     table = read_table(file)
    >>> table["age"].tolist(), table["city"].tolist()
    ([31.0, nan], ['Oslo', 'Rome'])

    Source
    ------
    RFC 4180 (CSV), Apache Parquet.
    """
    source = str(path)
    reader = _READERS.get(Path(path).suffix.lower())
    if reader is None:
        raise DataError(f"{source}: expected a file ending in .csv, .parquet or .pq, got {shown(Path(path).suffix)}")
    columns = reader(source, _content(source), kinds or {})
    table = Table(
        {name: column for name, (_, column) in columns.items()},
        {name: kind for name, (kind, _) in columns.items()},
        source,
    )
    if table.rows == 0:
        raise DataError(f"{source}: expected at least one row of data, got column names only ({listed(table.names)})")
    return table


def _content(source: str) -> bytes:
    try:
        content = Path(source).read_bytes()
    except FileNotFoundError:
        raise DataError(f"{source}: expected a file, got no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise DataError(f"{source}: expected a readable file, got {_reason(error)}") from None
    if not content.strip():
        raise DataError(f"{source}: expected a table, got an empty file")
    return content


def _polars() -> Any:
    try:
        import polars
    except ImportError:
        raise DataError(
            "read_table: expected polars, which reads CSV and Parquet, got no such package; "
            'pip install "adjoint[tables]"'
        ) from None
    return polars


def _parquet(source: str, content: bytes, kinds: Mapping[str, Kind]) -> Columns:
    pl = _polars()
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{source}: expected a Parquet file, got one that cannot be read ({_reason(error)})") from None
    from adjoint.data.cells import column_of_values

    return {name: column_of_values(f"{source}: column {name!r}", frame[name]) for name in frame.columns}


def _csv(source: str, content: bytes, kinds: Mapping[str, Kind]) -> Columns:
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")  # lines as Excel for Macintosh ends them
    structure = CsvText.of(source, content)
    frame = _without_blank_lines(structure, _cells(structure, content))
    from adjoint.data.cells import column_of_cells

    return {
        name: column_of_cells(f"{source}: column {name!r}", frame.to_series(position), kinds.get(name))
        for position, name in enumerate(structure.header)
    }


def _cells(structure: CsvText, content: bytes) -> polars.DataFrame:
    """Every cell as text."""
    pl = _polars()
    try:
        source = io.BytesIO(content)
        frame: polars.DataFrame = pl.read_csv(source, infer_schema=False, separator=structure.separator)
    except pl.exceptions.PolarsError as error:
        structure.blank_rows()  # says which line is too long or badly quoted, where that is the reason
        # Polars says how many rows it missed in which chunk, which nobody can find in his file.
        why = "a quote stands where none may be" if "malformed" in str(error) else _reason(error)
        raise DataError(f"{structure.source}: expected a CSV file, got one that cannot be read ({why})") from None
    if frame.width != len(structure.header):
        raise DataError(f"{structure.source}: expected column names as CSV quotes them, got {listed(structure.header)}")
    return frame


def _without_blank_lines(structure: CsvText, frame: polars.DataFrame) -> polars.DataFrame:
    """A blank line leaves its last cell empty, and so does a short row: only then every row is counted."""
    if frame.height == 0 or frame.to_series(-1).null_count() == 0:
        return frame
    blank = structure.blank_rows()
    if blank and blank[-1] >= frame.height:  # a carriage return alone ends a line for one reader, not for the other
        raise DataError(
            f"{structure.source}: expected lines that end in a line feed, got carriage returns alone; "
            "save it as CSV anew"
        )
    kept = np.ones(frame.height, dtype=bool)
    kept[blank] = False
    return frame.filter(kept)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


_READERS: dict[str, Callable[[str, bytes, Mapping[str, Kind]], Columns]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".pq": _parquet,
}
