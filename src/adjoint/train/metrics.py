"""Metrics: how good predictions are, as one number or a table, in plain NumPy.

The order of arguments is that of the losses: what was predicted, then what is true. Predictions of classes
are scores of shape (n, classes), of which the largest counts, or class numbers of shape (n,). NaN
predictions, which a diverged training makes, give wrong answers or NaN, never a good figure.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adjoint.errors import DataError, LabelError, ShapeError

Array = NDArray[Any]
NO_CLASS = -1
# Row sums of float32 probabilities stay well within this; those of scores do not.
SUM_TOLERANCE = 1e-3


def accuracy(prediction: ArrayLike, labels: ArrayLike) -> float:
    """Share of rows whose predicted class is the true one.

    Σ [argmaxⱼ prediction[i, j] = labels[i]] / n

    Parameters
    ----------
    prediction : scores of any scale, shape (n, classes), or class numbers, shape (n,)
    labels : class numbers, shape (n,)

    Returns
    -------
    float in 0..1

    Raises
    ------
    ShapeError, LabelError, DataError
        Shapes that do not fit, labels that are no class numbers, no rows.

    Example
    -------
    >>> accuracy([[0.1, 2.0], [3.0, 1.0]], [1, 1])
    0.5
    """
    true = _labels("accuracy", labels)
    return float(np.mean(_predicted("accuracy", prediction, true) == true))


def confusion_matrix(prediction: ArrayLike, labels: ArrayLike, *, classes: int | None = None) -> NDArray[np.int64]:
    """Counts of rows by true class (row) and predicted class (column).

    C[i, j] = number of rows of class i that were predicted as j

    Parameters
    ----------
    prediction : scores, shape (n, classes), or class numbers, shape (n,)
    labels : class numbers, shape (n,)
    classes : int, optional
        Number of classes; otherwise that of the scores, or one more than the largest class number.

    Returns
    -------
    int64, shape (classes, classes)

    Raises
    ------
    ShapeError, LabelError, DataError
        Shapes that do not fit, labels that are no class numbers below `classes`, no rows, NaN scores.

    Example
    -------
    >>> confusion_matrix([0, 1, 1], [0, 0, 1]).tolist()
    [[1, 1], [0, 1]]
    """
    true = _labels("confusion_matrix", labels)
    predicted = _predicted("confusion_matrix", prediction, true)
    if np.any(predicted == NO_CLASS):
        raise DataError("confusion_matrix: expected scores, got NaN; training has diverged")
    size = classes or _width(prediction) or int(max(true.max(), predicted.max())) + 1
    if max(true.max(), predicted.max()) >= size:
        raise LabelError(
            f"confusion_matrix: expected classes 0 to {size - 1}, got {max(true.max(), predicted.max())} (classes)"
        )
    return np.bincount(true * size + predicted, minlength=size * size).reshape(size, size)


def log_loss(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean of −log of the probability given to the true class.

    −Σ log p[i, labels[i]] / n, with p kept within ε..1 − ε, ε the rounding of its dtype

    Parameters
    ----------
    probabilities : shape (n, classes), rows that sum to 1; or shape (n,), the probability of class 1 of two
    labels : class numbers, shape (n,)

    Returns
    -------
    float, 0 or more; NaN where a probability is

    Raises
    ------
    ShapeError, LabelError, DataError
        Shapes that do not fit, a label without a column, numbers that are no probabilities, no rows.

    Example
    -------
    >>> round(log_loss([[0.5, 0.5], [0.25, 0.75]], [0, 1]), 4)
    0.4904

    Source
    ------
    CS231n, lecture 3: the cross-entropy loss.
    """
    true = _labels("log_loss", labels)
    table = _two_columns(_floats(probabilities))
    _check_rows("log_loss", table, true)
    _check_probabilities(table)
    epsilon = np.finfo(table.dtype).eps
    chosen = np.clip(table[np.arange(len(true)), true], epsilon, 1 - epsilon)
    return float(-np.log(chosen).mean(dtype=np.float64))


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve: how often a row of a class scores higher for it than a row of another class.

    P(score⁺ > score⁻) + P(score⁺ = score⁻) / 2, from ranks; for more than two classes the mean of one class
    against the rest.

    Parameters
    ----------
    scores : shape (n,), score of class 1 of two, or shape (n, classes); probabilities or any other scores
    labels : class numbers, shape (n,)

    Returns
    -------
    float in 0..1. Classes without rows are left out of the mean; NaN where all rows are of one class or a
    score is NaN.

    Raises
    ------
    ShapeError, LabelError, DataError
        Shapes that do not fit, a label without a column, no rows.

    Example
    -------
    >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75

    Source
    ------
    J. A. Hanley, B. J. McNeil: The Meaning and Use of the Area under a ROC Curve, Radiology 143, 1982.
    """
    true = _labels("auc", labels)
    table = _floats(scores)
    table = np.stack([-table, table], axis=1) if table.ndim == 1 else table
    _check_rows("auc", table, true)
    if np.isnan(table).any() or len(np.unique(true)) < 2:
        return math.nan
    if table.shape[1] == 2:
        return _area(table[:, 1] - table[:, 0], true == 1)
    return float(np.mean([_area(table[:, label], true == label) for label in np.unique(true)]))


def rmse(prediction: ArrayLike, target: ArrayLike) -> float:
    """Root of the mean squared error, in the target's unit.

    √(Σ (prediction − target)² / n); the mean over outputs where there are several

    Parameters
    ----------
    prediction : shape (n,), (n, 1) or (n, outputs)
    target : as many rows and outputs

    Returns
    -------
    float, 0 or more

    Raises
    ------
    ShapeError, DataError
        Shapes that do not fit, no rows.

    Example
    -------
    >>> rmse([[1.0], [2.0]], [4.0, 6.0])
    3.5355339059327378
    """
    errors, _ = _errors("rmse", prediction, target)
    return float(np.sqrt(np.mean(errors**2, axis=0)).mean())


def r2(prediction: ArrayLike, target: ArrayLike) -> float:
    """Share of the target's variance that the prediction explains.

    1 − Σ (prediction − target)² / Σ (target − mean)²; the mean over outputs where there are several. A target
    without variance gives 1 for a perfect prediction, else 0.

    Parameters
    ----------
    prediction : shape (n,), (n, 1) or (n, outputs)
    target : as many rows and outputs

    Returns
    -------
    float, at most 1; 0 is as good as the mean

    Raises
    ------
    ShapeError, DataError
        Shapes that do not fit, no rows.

    Example
    -------
    >>> r2([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
    errors, true = _errors("r2", prediction, target)
    unexplained = np.sum(errors**2, axis=0)
    total = np.sum((true - true.mean(axis=0)) ** 2, axis=0)
    perfect = np.where(unexplained == 0, 1.0, np.where(np.isnan(unexplained), np.nan, 0.0))
    return float(np.where(total > 0, 1 - unexplained / np.where(total > 0, total, 1.0), perfect).mean())


def _labels(op: str, labels: ArrayLike) -> NDArray[np.int64]:
    true = np.asarray(labels)
    if true.ndim != 1:
        raise ShapeError(f"{op}: expected class numbers of shape (n,), got {true.shape} (labels)")
    if len(true) == 0:
        raise DataError(f"{op}: expected at least one row, got none (labels)")
    if true.dtype.kind not in "biuf" or np.any(true != np.round(true)) or np.any(true < 0):
        raise LabelError(f"{op}: expected class numbers 0, 1, …, got {_first_odd(true)!r} (labels)")
    return true.astype(np.int64)


def _first_odd(labels: Array) -> object:
    if labels.dtype.kind not in "biuf":
        return labels.tolist()[0]
    return labels[(labels != np.round(labels)) | (labels < 0)].tolist()[0]


def _width(scores: ArrayLike) -> int | None:
    shape = np.shape(scores)
    return shape[1] if len(shape) == 2 else None


def _predicted(op: str, prediction: ArrayLike, true: Array) -> NDArray[np.int64]:
    """Class numbers; NO_CLASS for a row of scores with a NaN."""
    scores = np.asarray(prediction)
    if scores.ndim == 1:
        return _class_numbers(op, scores, true)
    _check_rows(op, scores, true)
    unknown = np.isnan(scores).any(axis=1) if scores.dtype.kind == "f" else False
    return np.where(unknown, NO_CLASS, scores.argmax(axis=1))


def _class_numbers(op: str, numbers: Array, true: Array) -> NDArray[np.int64]:
    if len(numbers) != len(true):
        raise ShapeError(f"{op}: expected one prediction for each label, got shapes {numbers.shape} and {true.shape}")
    if numbers.dtype.kind not in "biuf" or np.any(numbers != np.round(numbers)) or np.any(numbers < 0):
        raise DataError(
            f"{op}: expected class numbers of shape (n,) or scores of shape (n, classes), got "
            "other numbers of shape "
            f"{numbers.shape} (prediction)"
        )
    return numbers.astype(np.int64)


def _check_rows(op: str, table: Array, true: Array) -> None:
    if table.ndim != 2 or len(table) != len(true) or table.shape[1] < 2:
        raise ShapeError(
            f"{op}: expected shape ({len(true)}, classes), two classes or more, for {len(true)} "
            "labels, "
            f"got {table.shape}"
        )
    if true.max() >= table.shape[1]:
        raise LabelError(
            f"{op}: expected labels 0 to {table.shape[1] - 1}, as there are columns, got {true.max()} (labels)"
        )


def _floats(values: ArrayLike) -> Array:
    array = np.asarray(values)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _two_columns(probabilities: Array) -> Array:
    return np.stack([1 - probabilities, probabilities], axis=1) if probabilities.ndim == 1 else probabilities


def _check_probabilities(table: Array) -> None:
    sums = table.sum(axis=1)
    outside = ((table < 0) | (table > 1 + SUM_TOLERANCE)).any(axis=1)
    wrong = outside | (np.abs(sums - 1) > SUM_TOLERANCE)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            "log_loss: expected probabilities, 0 to 1, rows that sum to 1, got "
            f"{table[row].tolist()[:4]} with sum "
            f"{sums[row]:g} (row {row}); take softmax of scores first"
        )


def _area(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Rank sum of the positive rows, less its least, over its range; tied scores share their mean rank."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n_positive = int(positive.sum())
    surplus = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(surplus / (n_positive * (len(scores) - n_positive)))


def _errors(op: str, prediction: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    """Errors and target, float64, shape (n, outputs): (n,) against (n, 1) must not broadcast to (n, n)."""
    predicted, true = (_outputs(op, values) for values in (prediction, target))
    if predicted.shape != true.shape:
        raise ShapeError(
            f"{op}: expected prediction and target of one shape, got {np.shape(prediction)} and {np.shape(target)}"
        )
    if len(true) == 0:
        raise DataError(f"{op}: expected at least one row, got none")
    return predicted - true, true


def _outputs(op: str, values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2):
        raise ShapeError(f"{op}: expected shape (n,) or (n, outputs), got {array.shape}")
    return array[:, None] if array.ndim == 1 else array
