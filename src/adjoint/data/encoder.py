"""Encoder: a table made into the numbers a network takes, and its answers made into the table's own again.

Learnt once from the rows to train on, then applied to any table with the same columns. One column's encoding
is in `features`, the column to predict in `targets`; here is what concerns them together: which columns take
part, whether a table still has them, and the description saved in a model file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adjoint.data.description import Description
from adjoint.data.features import Feature, NumberFeature, TextFeature, feature_from_json, mostly_numbers
from adjoint.data.tables import Column, Kind, Table, listed, shown, suggestion
from adjoint.data.targets import (
    ClassTarget,
    ClassWeight,
    Label,
    NumberTarget,
    Target,
    Task,
    complete,
    decide_task,
    target_column,
)
from adjoint.errors import DataError

FORMAT = "adjoint-encoder"
VERSION = 1


@dataclass(frozen=True)
class Encoder:
    """How a table becomes numbers: made by `Encoder.fit` or `Encoder.from_json`, never changed.

    Numbers and booleans: (value − mean) / standard deviation; missing ones take the mean, with an indicator
    column where one was missing while fitting. Texts: one column for each value, one for unknown values, one
    for missing ones where one was missing while fitting. The target: class numbers, or (value − mean) /
    standard deviation.

    Parameters
    ----------
    features : tuple of NumberFeature and TextFeature
        In the order of the encoded columns.
    target : ClassTarget or NumberTarget
    notes : tuple of str
        What was left out or cut while fitting, and why; for a person to read.

    Example
    -------
    >>> table = Table.of({"size": [1.0, 3.0], "colour": ["red", "blue"], "kind": ["cat", "dog"]})
    >>> encoder = Encoder.fit(table, target="kind")
    >>> x, y = encoder.encode(table)
    >>> encoder.feature_names
    ('size', 'colour=blue', 'colour=red', 'colour is unknown')
    >>> x.tolist(), y.tolist()
    ([[-1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]], [0, 1])
    >>> encoder.decode([1, 0]).tolist()
    ['dog', 'cat']
    """

    features: tuple[Feature, ...]
    target: Target
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        table: Table,
        *,
        target: str,
        task: Literal["auto"] | Task = "auto",
        ignore: Iterable[str] = (),
        class_weight: ClassWeight | None = None,
        max_categories: int = 32,
    ) -> Encoder:
        """Learn from a table how its columns become numbers.

        Every column but the target is a feature, except those in `ignore`, a column without a name (the row
        numbers that pandas writes), one in which every value is missing, and a text column with more than
        `max_categories` values that are all different (a name or an id). `notes` lists what was left out.

        Parameters
        ----------
        table : Table
            The rows to train on (not those held out: their statistics must not leak).
        target : str
            The column to predict.
        task : "auto", "classification" or "regression"
            "auto": classification for texts, booleans, and whole numbers with two different values or with at
            most 20 that occur twice on average; else regression (`decide_task`).
        ignore : names of columns that are no features
        class_weight : "balanced" or mapping of label to weight, optional
            Weights of the classes in the loss. "balanced": n / (classes · count); labels that are not named
            weigh 1.
        max_categories : int
            The most frequent values of a text column that get a column of their own; all others are
            "unknown".

        Returns
        -------
        Encoder

        Raises
        ------
        DataError
            No target column, missing or infinite values in it, one value only, a regression on texts,
            infinite values in a feature, no features, a column to ignore that is not there, or weights for
            what is no class.

        Example
        -------
        >>> table = Table.of({"size": [1.0, None, 3.0], "price": [10.5, 20.0, 30.1]})
        >>> encoder = Encoder.fit(table, target="price")
        >>> encoder.task, encoder.feature_names
        ('regression', ('size', 'size is missing'))

        Source
        ------
        Class weights: G. King, L. Zeng, Logistic Regression in Rare Events Data, 2001, as in scikit-learn.
        """
        ignored = {target, *([ignore] if isinstance(ignore, str) else ignore)}
        for name in ignored:
            table[name]  # raises, with the likely name, where there is no such column
        decided = decide_task(table, target) if task == "auto" else task
        fitted = _fit_target(table, target, decided, class_weight)
        names = [name for name in table.names if name not in ignored]
        features, notes = _fit_features(table, names, max_categories)
        if not features:
            raise DataError(
                f"{table.source}: expected a column to learn from besides {target!r}, got {'; '.join(notes) or 'none'}"
            )
        return cls(tuple(features), fitted, tuple(notes))

    @property
    def task(self) -> Task:
        return "classification" if isinstance(self.target, ClassTarget) else "regression"

    @property
    def classes(self) -> tuple[Label, ...]:
        """Labels by class number; empty for a regression."""
        return self.target.labels if isinstance(self.target, ClassTarget) else ()

    @property
    def class_weights(self) -> NDArray[np.float32] | None:
        """Weights by class number, shape (classes,), where some were asked for."""
        weights = self.target.weights if isinstance(self.target, ClassTarget) else None
        return None if weights is None else np.array(weights, dtype=np.float32)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        return tuple(label for feature in self.features for label in feature.labels)

    @property
    def n_inputs(self) -> int:
        """Columns of x, as many as the network takes."""
        return len(self.feature_names)

    @property
    def n_outputs(self) -> int:
        """Numbers the network gives: one for each class, or one."""
        return len(self.classes) or 1

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kinds of the columns by name, target included: `read_table(path, kinds=encoder.kinds)`."""
        return {part.name: part.kind for part in (*self.features, self.target)}

    def encode(self, table: Table) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
        """Features and target as a network takes them.

        Parameters
        ----------
        table : Table
            Columns beyond those fitted on are ignored.

        Returns
        -------
        x : float32, shape (n, n_inputs)
        y : int64 class numbers, shape (n,); or float32, shape (n, 1); None where the table has no target
        column

        Raises
        ------
        DataError
            Missing columns, a column of another kind than when fitted, infinite values, numbers too far from
            those fitted on for float32, a target that is missing or of a class that was not fitted.

        Example
        -------
        >>> table = Table.of({"size": [1, 3], "heavy": [False, True]})
        >>> x, y = Encoder.fit(table, target="heavy").encode(table)
        >>> x.tolist(), y.tolist()
        ([[-1.0], [1.0]], [0, 1])
        """
        x = self.encode_features(table)
        return x, self.encode_target(table) if self.target.name in table.columns else None

    def encode_features(self, table: Table) -> NDArray[np.float32]:
        """x alone, shape (n, n_inputs), whatever the target column holds: to predict with."""
        self._check_columns(table)
        x = np.zeros((table.rows, self.n_inputs), dtype=np.float32)
        start = 0
        for feature in self.features:
            stop = start + len(feature.labels)
            feature.encode(_column(table, feature), x[:, start:stop])
            start = stop
        return x

    def encode_target(self, table: Table) -> NDArray[Any]:
        """y alone: int64 class numbers of shape (n,), or standardised float32 of shape (n, 1)."""
        return self.target.encode(complete(_column(table, self.target)))

    def decode(self, output: ArrayLike) -> NDArray[Any]:
        """A network's output in the table's own terms.

        Parameters
        ----------
        output : class numbers, shape (n,), or scores, shape (n, classes); standardised numbers, shape (n,) or
        (n, 1)

        Returns
        -------
        labels, or numbers in the target's unit as float64; shape (n,)

        Raises
        ------
        DataError
            Another shape, class numbers that are none, or NaN scores.

        Example
        -------
        >>> table = Table.of({"size": [1, 3], "price": [10.5, 20.5]})
        >>> Encoder.fit(table, target="price", task="regression").decode([[-1.0], [0.0]]).tolist()
        [10.5, 15.5]
        """
        return self.target.decode(np.asarray(output))

    def to_json(self) -> dict[str, Any]:
        """A description of plain JSON values, from which `from_json` makes an equal encoder."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "task": self.task,
            "target": self.target.to_json(),
            "features": [feature.to_json() for feature in self.features],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_json` described.

        Parameters
        ----------
        data : mapping
            A description as `to_json` makes it, also after a trip through a JSON file.

        Raises
        ------
        DataError
            The description is damaged or of another version.

        Example
        -------
        >>> table = Table.of({"size": [1, 3], "kind": ["cat", "dog"]})
        >>> encoder = Encoder.fit(table, target="kind")
        >>> Encoder.from_json(encoder.to_json()) == encoder
        True
        """
        description = Description(data, "encoder")
        description.choice("format", (FORMAT,))
        if description.number("version") != VERSION:
            raise DataError(
                f"encoder: expected version {VERSION}, got {shown(data['version'])}; it was saved by another adjoint"
            )
        task = description.choice("task", ("classification", "regression"))
        read_target = ClassTarget.from_json if task == "classification" else NumberTarget.from_json
        target = read_target(description.part("target"))
        features = tuple(feature_from_json(part) for part in description.parts("features"))
        names = [part.name for part in (*features, target)]
        if not features or len(set(names)) < len(names):
            raise description.wrong("features of different names", names)
        return cls(features, target, description.texts("notes"))

    def _check_columns(self, table: Table) -> None:
        absent = [feature.name for feature in self.features if feature.name not in table.columns]
        if absent:
            spare = [name for name in table.names if name not in self.kinds]
            hint = next(filter(None, (suggestion(name, spare) for name in absent)), "")
            found = len(self.features) - len(absent)
            raise DataError(
                f"{table.source}: expected the {len(self.features)} feature columns fitted on, "
                f"got {found} of them, without {listed(absent)}{hint}"
            )


def _column(table: Table, part: Feature | Target) -> Column:
    """A column of the kind fitted on; one in which everything is missing may stand for any."""
    column = table.column(part.name)
    if column.kind == part.kind:
        return column
    if column.missing.all():
        return replace(column, values=np.full(table.rows, None if part.kind == "text" else np.nan))
    first = int(np.flatnonzero(~column.missing)[0])
    got = f"a {column.kind} column with {shown(column.values[first])}"
    raise column.error(f"a {part.kind} column, as when fitted", got, first)


def _fit_target(table: Table, name: str, task: str, weight: ClassWeight | None) -> Target:
    column = target_column(table, name)
    if task == "classification":
        return ClassTarget.fit(column, weight)
    if task != "regression":
        raise DataError(f"Encoder.fit: expected auto, classification or regression, got {task!r} (task)")
    if column.kind != "number":
        raise column.error("numbers for a regression", f"a {column.kind} column", 0)
    if weight is not None:
        raise DataError(
            "Encoder.fit: expected class weights for a classification only, got a regression (class_weight)"
        )
    return NumberTarget.fit(column)


def _fit_features(table: Table, names: list[str], limit: int) -> tuple[list[Feature], list[str]]:
    """Features of the columns that say something, and notes on the others and on what was cut."""
    features: list[Feature] = []
    notes: list[str] = []
    for column in map(table.column, names):
        if reason := _reason_to_leave_out(column, limit):
            notes.append(f"column {column.name!r} is left out: {reason}{_number_hint(column)}")
        elif column.kind == "text":
            features.append(TextFeature.fit(column, limit))
            notes.extend(_note_on_cut(column, limit))
        else:
            features.append(NumberFeature.fit(column))
    return features, notes


def _reason_to_leave_out(column: Column, limit: int) -> str | None:
    if not column.name:
        return "it has no name, as row numbers that pandas writes"
    present = column.present
    if not present:
        return "every value is missing"
    if column.kind == "text" and len(present) > limit and len(set(present)) == len(present):
        return f"its {len(present)} texts are all different, as names or ids"
    return None


def _note_on_cut(column: Column, limit: int) -> list[str]:
    distinct = len(set(column.present))
    if distinct <= limit:
        return []
    return [
        f"column {column.name!r} has {distinct} different texts: all but the {limit} most frequent count "
        f"as unknown{_number_hint(column)}"
    ]


def _number_hint(column: Column) -> str:
    """For a column that is text only because of a few cells: the first of them."""
    texts = column.present if column.kind == "text" else []
    odd = next((text for text in texts if not mostly_numbers([text])), None)
    if odd is None or not mostly_numbers(texts):
        return ""
    return f"; most of its texts are numbers: is {shown(odd)} a slip?"
