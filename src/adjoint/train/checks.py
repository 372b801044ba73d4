"""What must be right before training starts, so that no mistake in the data shows up as a strange loss an hour later.

`Data` is a pair of arrays with equally many rows and finite numbers. `rehearse` runs network and loss once on a few
rows, and on every label that occurs, without recording: wrong shapes and labels are named before anything has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from adjoint.errors import DataError, LabelError, ShapeError
from adjoint.nn import Module
from adjoint.recording import here, no_grad
from adjoint.tensor import Array
from adjoint.train.evaluation import switched

Loss = Callable[[Any, Any], Any]


class Data(NamedTuple):
    """Inputs and targets, row by row."""

    x: Array
    y: Array

    @classmethod
    def of(cls, x: Any, y: Any, where: str = "") -> Data:
        """Checked arrays; `where` is " of validation" for a message."""
        data = cls(_array(f"x{where}", x), _array(f"y{where}", y))
        if len(data.x) != len(data.y):
            raise DataError(
                f"fit: expected as many rows in x{where} as in y{where}, got {len(data.x)} and {len(data.y)}{here()}"
            )
        return data

    def head(self, n: int) -> Data:
        """The first rows."""
        return Data(self.x[:n], self.y[:n])

    def y_like(self, output: Array) -> Data:
        """Floating targets in the dtype of the network's output, which would else be computed with in float64."""
        if self.y.dtype.kind != "f" or output.dtype.kind != "f":
            return self
        return Data(self.x, self.y.astype(output.dtype, copy=False))


def _array(name: str, given: Any) -> Array:
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise DataError(f"fit: expected rows of one length, got {error} ({name}){here()}") from None
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"fit: expected real numbers, got {array.dtype} ({name}){here()}; adjoint.data.Encoder encodes tables"
        )
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"fit: expected at least one row, got shape {array.shape} ({name}){here()}")
    if array.dtype.kind == "f":
        _check_finite(name, array)
    return array


def _check_finite(name: str, array: Array) -> None:
    with np.errstate(all="ignore"):
        if np.isfinite(np.sum(array)):  # one pass without a mask; a sum that overflows is told apart below
            return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, *rest = (int(i) for i in bad[0])
        column = f", column {rest[0]}" if len(rest) == 1 else f", index {tuple(rest)}" if rest else ""
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise DataError(
            f"fit: expected finite numbers, got {array[tuple(bad[0])]} at row {row}{column} of {name}, counted from 0"
            f"{more}{here()}; leave such rows out, or fill them in, with the column's mean for example"
        )


def rehearse(net: Module, loss: Loss, data: Data, rows: int, where: str = "") -> Array:
    """The network's output for the first rows, after a loss that is only computed to see whether it can be."""
    first = data.head(rows)
    with switched(net, training=False), no_grad(), np.errstate(all="ignore"):
        output = _output(net, first.x, f"x{where}")
        _check_labels(loss, output, data.y, f"y{where}")
        value = loss(output, first.y)
    if np.shape(value) != ():
        raise DataError(f"fit: expected a loss of one number, got shape {np.shape(value)}{here()}; take its mean")
    return output


def _output(net: Module, x: Array, name: str) -> Array:
    try:
        return np.asarray(net(x))
    except ShapeError as error:
        expected = "expected rows that the network takes"
        raise ShapeError(f"fit: {expected}, got rows of shape {x.shape[1:]} ({name}): {error}") from None


def _check_labels(loss: Loss, output: Array, y: Array, name: str) -> None:
    """Let the loss itself judge each label that occurs, on scores that are there anyway."""
    if y.dtype.kind not in "iu" or y.ndim != 1 or output.ndim != 2:
        return
    labels, first = np.unique(y, return_index=True)
    if not any(_refused(loss, output[:1], label) for label in labels[[0, -1]]):  # right labels are a range
        return
    bad = [(row, label) for label, row in zip(labels, first, strict=True) if _refused(loss, output[:1], label)]
    if bad:
        row, label = min(bad)
        raise LabelError(
            f"fit: expected labels from 0 to {output.shape[1] - 1}, as the network gives {output.shape[1]} scores, "
            f"got {label} at row {row} of {name}, counted from 0{here()}"
        )


def _refused(loss: Loss, scores: Array, label: Any) -> bool:
    try:
        loss(scores, np.array([label]))
    except LabelError:
        return True
    except Exception:  # whatever else is wrong, the loss of a whole batch says it better
        return False
    return False
