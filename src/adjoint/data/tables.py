"""Table: named columns of one length, as they come from a file or from a program.

Invariants: a column is of one kind, and its array is read-only and one-dimensional:

- `number`: float64, NaN where missing (whole numbers beyond 2**53 are rounded);
- `boolean`: float64, 1 true, 0 false, NaN where missing;
- `text`: objects, `str` without surrounding white space, None where missing. An empty text is a missing one.

A column in which everything is missing is of kind `number`; it may stand for any kind. Files are read in
`reading`, numbers for a network are made in `encoder`.
"""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adjoint.errors import DataError

Kind = Literal["number", "boolean", "text"]
Values = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Column:
    """One column with its place, so that a message can name both column and row."""

    name: str
    kind: Kind
    values: Values
    where: str
    row_numbers: NDArray[np.int64]

    @property
    def missing(self) -> NDArray[np.bool_]:
        if self.values.dtype == object:
            return np.fromiter((value is None for value in self.values), dtype=bool, count=len(self.values))
        return np.isnan(self.values)

    @property
    def present(self) -> list[Any]:
        """The values that are there, as Python's own."""
        values: list[Any] = self.values[~self.missing].tolist()
        return values

    def row(self, index: int) -> str:
        """A row for a message: its number in the file or the whole table, from 1, the header not counted."""
        return f"data row {self.row_numbers[index] + 1}"

    def error(self, expected: str, got: str, index: int) -> DataError:
        return DataError(f"{self.where}: expected {expected}, got {got} ({self.row(index)})")


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns of one length, each of one kind; made by `Table.of` or `read_table`.

    Parameters
    ----------
    columns : mapping of name to array, shape (n,)
        As the module's docstring describes them.
    kinds : mapping of name to "number", "boolean" or "text"
    source : str
        Where the table comes from, for messages.
    row_numbers : int64 array, shape (n,), optional
        Where each row stood in the source, from 0; `take` keeps them.

    Example
    -------
    >>> table = Table.of({"age": [31, None, 27], "city": ["Oslo", "Rome", ""]})
    >>> table.rows, table.kinds["age"], table["city"].tolist()
    (3, 'number', ['Oslo', 'Rome', None])
    """

    columns: Mapping[str, Values]
    kinds: Mapping[str, Kind]
    source: str = "table"
    row_numbers: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if set(self.columns) != set(self.kinds):
            raise DataError(f"{self.source}: expected a kind for each column, got {listed(self.kinds)}")
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            sizes = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
            raise DataError(f"{self.source}: expected columns of one length, got {sizes}")
        for values in self.columns.values():
            values.setflags(write=False)

    @classmethod
    def of(cls, columns: Mapping[str, ArrayLike], *, source: str = "table") -> Table:
        """A table of plain sequences: numbers, booleans or texts, None or NaN where a value is missing.

        Parameters
        ----------
        columns : mapping of name to sequence or array, shape (n,)
        source : str
            Name of the table in messages.

        Returns
        -------
        Table

        Raises
        ------
        DataError
            Columns of different lengths or more than one dimension, or values of mixed or other kinds.

        Example
        -------
        >>> Table.of({"smoker": [True, None]})["smoker"].tolist()
        [1.0, nan]
        """
        made = {name: _column(f"{source}: column {name!r}", values) for name, values in columns.items()}
        return cls(
            {name: column for name, (_, column) in made.items()},
            {name: kind for name, (kind, _) in made.items()},
            source,
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    @property
    def rows(self) -> int:
        return next((len(column) for column in self.columns.values()), 0)

    def __getitem__(self, name: str) -> Values:
        if name not in self.columns:
            raise DataError(
                f"{self.source}: expected a column {name!r}, got {listed(self.names)}{suggestion(name, self.names)}"
            )
        return self.columns[name]

    def column(self, name: str) -> Column:
        """A column with its kind and place."""
        values = self[name]
        return Column(name, self.kinds[name], values, f"{self.source}: column {name!r}", self._numbers())

    def take(self, indices: ArrayLike) -> Table:
        """The rows of these numbers, in this order; messages name them by their place in the source."""
        rows = np.asarray(indices, dtype=np.int64)
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Table(columns, self.kinds, self.source, self._numbers()[rows])

    def drop_missing(self, name: str) -> Table:
        """The rows in which the column `name` has a value."""
        return self.take(np.flatnonzero(~self.column(name).missing))

    def _numbers(self) -> NDArray[np.int64]:
        return np.arange(self.rows) if self.row_numbers is None else self.row_numbers


def is_nan(value: object) -> bool:
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def listed(names: Iterable[object], *, limit: int = 6) -> str:
    """Names for a message, quoted, the first few of many."""
    quoted = [shown(name) for name in names]
    more = f" and {len(quoted) - limit} more" if len(quoted) > limit else ""
    return (", ".join(quoted[:limit]) + more) or "none"


def shown(value: object, *, limit: int = 40) -> str:
    """A value for a message: on one line, the beginning of a long one."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= limit else text[:limit] + "…"


def suggestion(name: str, names: Iterable[str]) -> str:
    """The end of a message about a name that is not there: the likely one, if there is one."""
    folded = {other.strip().lower(): other for other in names}
    close = difflib.get_close_matches(name.strip().lower(), folded, n=1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def _column(where: str, values: ArrayLike) -> tuple[Kind, Values]:
    array = np.asarray(values, dtype=object) if isinstance(values, (list, tuple)) else np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{where}: expected values in one dimension, got shape {array.shape}")
    if array.dtype.kind in "biuf":
        return "boolean" if array.dtype.kind == "b" else "number", array.astype(np.float64)
    return _mixed_column(where, array.tolist())


def _mixed_column(where: str, values: Sequence[object]) -> tuple[Kind, Values]:
    first: dict[Kind | None, object] = {}
    for value in values:
        if not _is_nothing(value):
            first.setdefault(_kind(value), value)
    if None in first or len(first) > 1:
        got = listed(first.values())
        raise DataError(f"{where}: expected numbers, booleans or texts, one kind for all, got {got}")
    kind = next(iter(first), None) or "number"
    return kind, _texts(values) if kind == "text" else _numbers(values)


def _is_nothing(value: object) -> bool:
    return value is None or is_nan(value) or (isinstance(value, str) and not value.strip())


def _kind(value: object) -> Kind | None:
    """A value's kind; booleans are asked for first, since Python counts them among the numbers."""
    if isinstance(value, (bool, np.bool_)):
        return "boolean"
    if isinstance(value, numbers.Real):
        return "number"
    return "text" if isinstance(value, str) else None


def _texts(values: Sequence[object]) -> Values:
    column = np.empty(len(values), dtype=object)
    column[:] = [(value.strip() or None) if isinstance(value, str) else None for value in values]
    return column


def _numbers(values: Sequence[object]) -> Values:
    return np.array([np.nan if _is_nothing(value) else float(cast(float, value)) for value in values])
