"""Sources: where the rows of `train` and `predict` come from, a file or the digits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from adjoint.cli.settings import Settings
from adjoint.data import Kind, Table, decide_task, digits, read_table, split
from adjoint.data.tables import listed, suggestion
from adjoint.errors import DataError

DIGITS: Final = "digits"
DIGIT: Final = "digit"


class Parts(NamedTuple):
    """Rows to train on, rows held out (None where there are none), and what to predict."""

    train: Table
    held: Table | None
    target: str
    task: str
    notes: tuple[str, ...] = ()


def training_rows(source: str, target: str | None, settings: Settings) -> Parts:
    """The rows of a file or of the digits, in two parts."""
    if source == DIGITS:
        return _digits_parts(target, settings)
    table = named_table(source)
    if target is None:
        raise DataError(f"{source}: expected the column to predict, --target COLUMN, one of {listed(table.names)}")
    return _file_parts(table, target, settings)


def named_table(source: str, kinds: Mapping[str, Kind] | None = None) -> Table:
    """A table from a file; a word that is no file may be a slip for `digits`."""
    if not Path(source).suffix and not Path(source).exists() and (hint := suggestion(source, [DIGITS])):
        raise DataError(f"{source}: expected a file or the word digits, got no such file{hint}")
    return read_table(source, kinds=kinds)


def _file_parts(table: Table, target: str, settings: Settings) -> Parts:
    complete = table.drop_missing(target)
    dropped = table.rows - complete.rows
    if complete.rows == 0:
        raise DataError(f"{table.source}: column {target!r}: expected values to learn from, got none")
    notes = (f"{dropped} of {table.rows} rows without a value of {target!r} are left out",) if dropped else ()
    task = decide_task(complete, target) if settings.task == "auto" else settings.task
    train, held = _split(complete, target, task, settings)
    return Parts(complete.take(train), complete.take(held) if len(held) else None, target, task, notes)


def _split(table: Table, target: str, task: str, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    labels = table[target].tolist() if task == "classification" else None
    try:
        return split(table.rows, settings.validation, settings.seed, stratify=labels)
    except DataError:
        share, classes = f"{settings.validation:g}", f" of {len(set(labels))} classes" if labels else ""
        raise DataError(
            f"{table.source}: expected enough rows to hold out a share of {share}, got {table.rows} rows{classes}; "
            "use --validation 0"
        ) from None


def _digits_parts(target: str | None, settings: Settings) -> Parts:
    if target not in (None, DIGIT):
        raise DataError(f"digits: expected no --target, since the digit is what is to be predicted, got {target!r}")
    if settings.task == "regression":
        raise DataError("digits: expected a classification, got --task regression")
    train, held = digits_tables(settings.validation, settings.seed)
    return Parts(train, held if held.rows else None, DIGIT, "classification")


def digits_tables(validation: float, seed: int) -> tuple[Table, Table]:
    """The digits as tables: 64 pixels from 0 to 1, and the digit; those to train on, those held out."""
    data = digits(test_fraction=validation, seed=seed)

    def table(x: np.ndarray, y: np.ndarray) -> Table:
        pixels = dict(zip(data.feature_names, x.T, strict=True))
        return Table.of({**pixels, DIGIT: y}, source=DIGITS)

    return table(data.x_train, data.y_train), table(data.x_test, data.y_test)
