"""Targets: the column to predict, as class numbers or as a standardised number, and the way back.

Invariant: a target is immutable and made of plain numbers and texts. `decide_task` is the one place where a
column is judged to hold classes or a quantity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adjoint.data.description import Description
from adjoint.data.features import check_finite, mean_and_scale, standardised
from adjoint.data.tables import Column, Kind, Table, listed, shown
from adjoint.errors import DataError

Task = Literal["classification", "regression"]
Label = str | bool | int | float
ClassWeight = Literal["balanced"] | Mapping[Any, float]

MOST_WHOLE_NUMBER_CLASSES = 20
LARGEST_EXACT = 2**53


def decide_task(table: Table, target: str) -> Task:
    """Whether a column holds classes or a quantity.

    Classification: texts and booleans; whole numbers (1.0 is one) of two different values, or of at most 20
    different values that occur twice on average. Regression: every other column of numbers.

    Parameters
    ----------
    table : Table
    target : str
        The column to predict.

    Returns
    -------
    "classification" or "regression"

    Raises
    ------
    DataError
        No such column, missing or infinite values in it, or fewer than two different ones.

    Example
    -------
    >>> table = Table.of({"quality": [5, 6, 5, 6, 7, 7], "price": [9.5, 11.0, 8.2, 7.5, 30.0, 22.1]})
    >>> decide_task(table, "quality"), decide_task(table, "price")
    ('classification', 'regression')
    """
    column = target_column(table, target)
    if column.kind != "number":
        return "classification"
    distinct = np.unique(column.values)
    repeated = len(distinct) <= MOST_WHOLE_NUMBER_CLASSES and len(column.values) >= 2 * len(distinct)
    whole = bool(np.all(distinct == np.round(distinct)))
    return "classification" if whole and (repeated or len(distinct) == 2) else "regression"


def target_column(table: Table, target: str) -> Column:
    """The column to learn from: there, complete, finite, and not one value throughout."""
    column = complete(table.column(target))
    if column.kind != "text":
        check_finite(column)
    distinct = set(column.values.tolist())
    if len(distinct) < 2:
        raise DataError(
            f"{column.where}: expected a target of two different values or more, got {listed(distinct)} only"
        )
    return column


def complete(column: Column) -> Column:
    """The column, if it has a value in every row."""
    if len(absent := np.flatnonzero(column.missing)):
        raise DataError(
            f"{column.where}: expected a target in every row, got {len(absent)} of "
            f"{len(column.values)} missing (first: {column.row(absent[0])}); fill them in, or "
            f"leave those rows out with table.drop_missing({column.name!r})"
        )
    return column


@dataclass(frozen=True)
class ClassTarget:
    """Classes by number, in sorted order of their labels."""

    name: str
    kind: Kind
    labels: tuple[Label, ...]
    weights: tuple[float, ...] | None

    @classmethod
    def fit(cls, column: Column, weight: ClassWeight | None) -> ClassTarget:
        counts = Counter(column.values.tolist())
        _check_classes(column, counts)
        values = sorted(counts)
        labels = _labels(column.kind, values)
        weights = _weights(labels, [counts[value] for value in values], weight)
        return cls(column.name, column.kind, labels, weights)

    def encode(self, column: Column) -> NDArray[np.int64]:
        codes = {label: code for code, label in enumerate(self.labels)}
        numbers = np.array([codes.get(value, -1) for value in column.values.tolist()], dtype=np.int64)
        if len(new := np.flatnonzero(numbers < 0)):
            raise column.error(f"one of {listed(self.labels)}", shown(column.values[new[0]]), new[0])
        return numbers

    def decode(self, output: NDArray[Any]) -> NDArray[Any]:
        if output.dtype.kind == "f" and np.isnan(output).any():
            raise DataError("Encoder.decode: expected scores, got NaN; training has diverged")
        if output.ndim == 2 and output.shape[1] == len(self.labels):
            output = output.argmax(axis=1)
        classes = len(self.labels)
        if output.ndim != 1 or not np.isin(output, np.arange(classes)).all():
            raise DataError(
                f"Encoder.decode: expected class numbers 0 to {classes - 1} of shape (n,), or "
                f"scores of shape (n, {classes}), got shape {output.shape}"
            )
        return np.asarray(self.labels)[output.astype(np.int64)]

    def to_json(self) -> dict[str, Any]:
        weights = None if self.weights is None else list(self.weights)
        return {"name": self.name, "kind": self.kind, "labels": list(self.labels), "weights": weights}

    @classmethod
    def from_json(cls, data: Description) -> ClassTarget:
        kind = data.kind("kind")
        labels = tuple(data.items_of("labels", _LABEL_TYPES[kind], f"{kind} labels"))
        if len(set(labels)) < len(labels) or len(labels) < 2:
            raise data.wrong("two or more different labels as 'labels'", list(labels))
        weights = None if data.is_null("weights") else data.numbers("weights")
        if weights is not None and (len(weights) != len(labels) or min(weights) <= 0):
            raise data.wrong(f"{len(labels)} positive numbers as 'weights'", list(weights))
        return cls(data.text("name"), kind, labels, weights)


@dataclass(frozen=True)
class NumberTarget:
    """A quantity, standardised to learn and given back in its own unit."""

    name: str
    mean: float
    scale: float

    @property
    def kind(self) -> Kind:
        return "number"

    @classmethod
    def fit(cls, column: Column) -> NumberTarget:
        return cls(column.name, *mean_and_scale(column.values))

    def encode(self, column: Column) -> NDArray[np.float32]:
        return standardised(column, self.mean, self.scale)[:, None]

    def decode(self, output: NDArray[Any]) -> NDArray[Any]:
        if output.ndim not in (1, 2) or output.shape[1:] not in ((), (1,)):
            raise DataError(f"Encoder.decode: expected shape (n,) or (n, 1), got {output.shape}")
        return output.reshape(-1).astype(np.float64) * self.scale + self.mean

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_json(cls, data: Description) -> NumberTarget:
        return cls(data.text("name"), data.number("mean"), data.positive("scale"))


Target = ClassTarget | NumberTarget
_LABEL_TYPES: dict[Kind, tuple[type, ...]] = {"text": (str,), "boolean": (bool,), "number": (int, float)}


def _labels(kind: Kind, values: list[Any]) -> tuple[Label, ...]:
    """Labels as a user writes them: booleans and whole numbers come as floats out of a table."""
    if kind == "boolean":
        return tuple(bool(value) for value in values)
    if kind == "number" and all(value == round(value) for value in values):
        return tuple(int(value) for value in values)
    return tuple(values)


def _check_classes(column: Column, counts: Counter[Any]) -> None:
    rows = len(column.values)
    if len(counts) == rows > MOST_WHOLE_NUMBER_CLASSES:
        raise DataError(
            f"{column.where}: expected classes that repeat, got a different value in each of "
            f"{rows} rows; is it a name or an id?"
        )
    if column.kind == "number" and max(map(abs, counts)) > LARGEST_EXACT:
        raise DataError(
            f"{column.where}: expected classes that float64 tells apart, got numbers beyond "
            "2**53; read the column as text"
        )


def _weights(labels: tuple[Label, ...], counts: list[int], wish: ClassWeight | None) -> tuple[float, ...] | None:
    if wish is None or not isinstance(wish, str):
        return None if wish is None else _chosen_weights(labels, wish)
    if wish != "balanced":
        raise DataError(
            f"Encoder.fit: expected 'balanced' or a weight for each label, got {shown(wish)} (class_weight)"
        )
    return tuple(sum(counts) / (len(counts) * count) for count in counts)


def _chosen_weights(labels: tuple[Label, ...], wish: Mapping[Any, float]) -> tuple[float, ...]:
    """The weight of each label, 1 where none is given; a command line writes a label as text."""
    keys = {key for label in labels for key in (label, str(label))}
    if strange := [key for key in wish if key not in keys]:
        raise DataError(f"Encoder.fit: expected weights for {listed(labels)}, got {listed(strange)} (class_weight)")
    weights = tuple(float(wish.get(label, wish.get(str(label), 1.0))) for label in labels)
    if not all(0 < weight < np.inf for weight in weights):
        raise DataError(f"Encoder.fit: expected positive weights, got {listed(weights)} (class_weight)")
    return weights
