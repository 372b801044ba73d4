"""Features: how one column of a table becomes columns of a float32 matrix, as learnt when fitting.

- A number (a boolean is one, 0 or 1) is standardised, (value − mean) / scale; a missing one takes the mean,
  so 0; where one was missing while fitting, an indicator column says so.
- A text is one-hot: a column for each of its most frequent values, one for every other value ("unknown"), and
  one for a missing value where one was missing while fitting (else it counts as unknown).

Invariant: a feature is immutable and made of plain numbers and texts, so it is equal after a round trip
through JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adjoint.data.description import Description
from adjoint.data.tables import Column, Kind, shown

FLOAT32_MAX = float(np.finfo(np.float32).max)
# A column that only rounding makes uneven is a constant; dividing by its spread would blow the rounding up.
ROUNDING = 1e-14


@dataclass(frozen=True)
class NumberFeature:
    """A column of numbers or booleans, standardised."""

    name: str
    kind: Kind
    mean: float
    scale: float
    indicator: bool

    @classmethod
    def fit(cls, column: Column) -> NumberFeature:
        check_finite(column)
        absent = column.missing
        mean, scale = mean_and_scale(column.values[~absent])
        return cls(column.name, column.kind, mean, scale, bool(absent.any()))

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def encode(self, column: Column, out: NDArray[np.float32]) -> None:
        """Fill the columns of `out`, which are zero."""
        absent = column.missing
        out[:, 0] = np.where(absent, 0.0, standardised(column, self.mean, self.scale))
        if self.indicator:
            out[:, 1] = absent

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "mean": self.mean,
            "scale": self.scale,
            "indicator": self.indicator,
        }

    @classmethod
    def from_json(cls, data: Description) -> NumberFeature:
        mean, scale = data.number("mean"), data.positive("scale")
        return cls(data.text("name"), data.kind("kind"), mean, scale, data.flag("indicator"))


@dataclass(frozen=True)
class TextFeature:
    """A column of texts, one-hot with an unknown class."""

    name: str
    categories: tuple[str, ...]
    missing: bool

    @property
    def kind(self) -> Kind:
        return "text"

    @classmethod
    def fit(cls, column: Column, limit: int) -> TextFeature:
        counts = Counter(column.values.tolist())
        absent = counts.pop(None, 0)
        frequent = sorted(counts, key=lambda value: (-counts[value], value))[:limit]
        return cls(column.name, tuple(sorted(frequent)), absent > 0)

    @property
    def labels(self) -> tuple[str, ...]:
        known = tuple(f"{self.name}={category}" for category in self.categories)
        return (*known, f"{self.name} is unknown", *([f"{self.name} is missing"] if self.missing else []))

    def encode(self, column: Column, out: NDArray[np.float32]) -> None:
        """Fill the columns of `out`, which are zero."""
        values = column.values.tolist()
        unknown = len(self.categories)
        codes: dict[str | None, int] = {category: code for code, category in enumerate(self.categories)}
        codes[None] = unknown + 1 if self.missing else unknown
        hot = np.fromiter(map(codes.get, values, repeat(unknown)), dtype=np.intp, count=len(values))
        out[np.arange(len(values)), hot] = 1.0

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "categories": list(self.categories), "missing": self.missing}

    @classmethod
    def from_json(cls, data: Description) -> TextFeature:
        categories = data.texts("categories")
        if len(set(categories)) < len(categories):
            raise data.wrong("different texts as 'categories'", list(categories))
        return cls(data.text("name"), categories, data.flag("missing"))


Feature = NumberFeature | TextFeature


def feature_from_json(data: Description) -> Feature:
    return TextFeature.from_json(data) if data.kind("kind") == "text" else NumberFeature.from_json(data)


def mean_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and standard deviation (1 for a constant), of values / largest lest squares overflow."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return 0.0, 1.0
    relative = values / largest
    mean, spread = float(relative.mean()), float(relative.std())
    scale = spread * largest
    return mean * largest, scale if spread > ROUNDING and scale > 0 else 1.0


def standardised(column: Column, mean: float, scale: float) -> NDArray[np.float32]:
    """(value − mean) / scale, NaN where missing; refuses what float32 cannot hold."""
    check_finite(column)
    with np.errstate(over="ignore"):
        result = (column.values - mean) / scale
    if len(far := np.flatnonzero(np.abs(result) > FLOAT32_MAX)):
        expected = f"a number near those fitted on (mean {mean:g}, standard deviation {scale:g})"
        raise column.error(expected, shown(column.values[far[0]]), far[0])
    return np.asarray(result, dtype=np.float32)


def check_finite(column: Column) -> None:
    if len(infinite := np.flatnonzero(np.isinf(column.values))):
        raise column.error("finite numbers, or an empty cell", shown(column.values[infinite[0]]), infinite[0])


def mostly_numbers(texts: Iterable[str]) -> bool:
    """Whether most texts read as numbers: a few odd cells have then made a number column one of text."""
    verdicts = [_is_number(text) for text in texts]
    return sum(verdicts) > len(verdicts) / 2


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
