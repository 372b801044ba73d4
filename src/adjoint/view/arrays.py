"""An array in a graph document: all its elements, or what is worth knowing of a large one.

Concepts here: the entry (a bare scalar, or an object with `data` or a summary) and the levels of detail. A summary is
made in float64 of the finite elements; how many are not finite is counted apart. Numbers that JSON lacks are strings:
"nan", "inf", "-inf", and whole numbers beyond 2⁵³, which JavaScript would round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from adjoint.tensor import Array

DETAILS: Final = ("structure", "statistics", "histograms", "full")
INLINE: Final = 64  # elements up to which an array is always written in full
BINS: Final = 16
MAP: Final = (8, 16)  # most rows and columns of a heat map
_EXACT: Final = 2**53


def written(value: Any, detail: str) -> Any:
    """The entry of a value at a level of detail."""
    if type(value) is float:
        return number(value)
    if value.ndim == 0:
        return number(value.item())
    if value.size <= INLINE or detail == "full":
        return {"data": _data(value)}
    return summary(value, detail)


def number(value: Any) -> Any:
    """A number as JSON has it."""
    if type(value) is float:
        return value if math.isfinite(value) else str(value)
    return str(value) if type(value) is int and abs(value) > _EXACT else value


def _data(value: Array) -> list[Any]:
    """The elements in C order."""
    elements: list[Any] = value.ravel().tolist()
    if value.dtype.kind == "b" or (value.dtype.kind == "f" and bool(np.isfinite(value).all())):
        return elements
    return [number(element) for element in elements]


def summary(value: Array, detail: str) -> dict[str, Any]:
    """Statistics; from the level `histograms` on a histogram and, of what has two axes or more, a small heat map.

    Of elements that are all alike there is nothing to draw.
    """
    floats = np.asarray(value, np.float64)
    finite = floats[np.isfinite(floats)]
    entry: dict[str, Any] = {"statistics": _statistics(floats, finite)}
    if detail == "histograms" and finite.size and finite.min() < finite.max():
        entry["histogram"] = _histogram(finite)
        if value.ndim > 1:
            entry["map"] = _map(np.where(np.isfinite(floats), floats, 0.0).reshape(-1, value.shape[-1]))
    return entry


def _statistics(floats: Array, finite: Array) -> dict[str, Any]:
    if not finite.size:
        return {"infinite": int(floats.size), "zeros": 0}
    with np.errstate(all="ignore"):
        mean, spread = float(finite.mean()), float(finite.std())
    return {
        **{"min": float(finite.min()), "max": float(finite.max()), "mean": number(mean), "std": number(spread)},
        **{"zeros": int(np.count_nonzero(finite == 0)), "infinite": int(floats.size - finite.size)},
    }


def _histogram(finite: Array) -> dict[str, Any]:
    """Counts of equal bins from the least to the greatest element."""
    low, high = float(finite.min()), float(finite.max())
    scale = max(abs(low), abs(high)) or 1.0  # so that a range of 1e308 has a width
    width = high / scale - low / scale
    places = (finite / scale - low / scale) / width * BINS if width > 0 else np.zeros_like(finite)
    counts = np.bincount(np.minimum(places.astype(np.int64), BINS - 1).ravel(), minlength=BINS)
    return {"low": low, "high": high, "counts": counts.tolist()}


def _map(matrix: Array) -> dict[str, Any]:
    """Means of equal blocks of a matrix."""
    rows, columns = (min(n, most) for n, most in zip(matrix.shape, MAP, strict=True))
    down, across = _edges(matrix.shape[0], rows), _edges(matrix.shape[1], columns)
    with np.errstate(all="ignore"):
        sums = np.add.reduceat(np.add.reduceat(matrix, down[:-1], axis=0), across[:-1], axis=1)
        means = sums / np.outer(np.diff(down), np.diff(across))
    return {"rows": rows, "columns": columns, "data": [number(each) for each in means.ravel().tolist()]}


def _edges(length: int, parts: int) -> Array:
    """Where equal parts of an axis begin, and its end."""
    return np.arange(parts + 1) * length // parts


def restored(entry: Any, shape: tuple[int, ...], dtype: str) -> Array | None:
    """The array that an entry holds in full; None of a summary, or where there is no entry."""
    if entry is None or (isinstance(entry, dict) and "data" not in entry):
        return None
    elements = entry["data"] if isinstance(entry, dict) else [entry]
    kind = np.dtype(dtype)
    convert = int if kind.kind in "iu" else float
    plain = [convert(each) if isinstance(each, str) else each for each in elements]
    return np.array(plain, kind).reshape(shape)


def entry_problem(entry: Any, shape: tuple[int, ...], dtype: str) -> str | None:
    """What is wrong with an entry that fits the schema, for a value of this shape and dtype; None if it is sound."""
    if entry is None or (type(entry) is float and not shape):
        return None
    if type(entry) is not dict or "data" in entry:
        count, wanted = len(entry["data"]) if type(entry) is dict else 1, math.prod(shape)
        if count != wanted:
            return f"expected {wanted:,} numbers, got {count:,}"
        try:
            restored(entry, shape, dtype)
        except (ValueError, OverflowError):
            return f"expected numbers of {dtype}"
        return None
    return None if _is_summary(entry) else "expected a summary that can be drawn"


def _is_summary(entry: Mapping[str, Any]) -> bool:
    """Whether statistics are all there, bins have a count, and a heat map has all its cells."""
    found = entry.get("statistics", {})
    figures = [found.get(name) for name in ("min", "max", "mean", "std")]
    try:
        [float(each) for each in [*figures, *entry.get("map", {}).get("data", ())] if each is not None]
    except OverflowError:
        return False
    bins, cells = entry.get("histogram"), entry.get("map")
    all_or_none = all(each is None for each in figures) or None not in figures
    drawable = cells is None or len(cells["data"]) == cells["rows"] * cells["columns"]
    return bool(found) and all_or_none and (bins is None or max(bins["counts"], default=0) > 0) and drawable
