"""Losses and penalties: plain functions of ops that end in one number.

Scores are of shape (n, classes), labels integers of shape (n,). Losses are means over the n examples unless
`reduction` says "sum" or "none".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from adjoint.errors import DTypeError, ShapeError
from adjoint.leaves import Parameter
from adjoint.ops.elementwise.arithmetic import square
from adjoint.ops.elementwise.extremes import abs as magnitude
from adjoint.ops.elementwise.extremes import maximum, where
from adjoint.ops.index import take, take_along_axis
from adjoint.ops.loss import check_labels, softmax_cross_entropy
from adjoint.ops.reduce import mean
from adjoint.ops.reduce import sum as total
from adjoint.recording import here
from adjoint.tensor import Array, Tensor
from adjoint.transforms import Parametrised
from adjoint.vocabulary import ARRAYS


def cross_entropy(scores: Any, labels: Any, *, weight: Any = None, reduction: str = "mean") -> Any:
    """Softmax cross-entropy: minus the log-probability of the right class.

    lossᵢ = log Σⱼ e^sᵢⱼ − sᵢ,yᵢ

    Parameters
    ----------
    scores : (n, classes), floating
        Unnormalised log-probabilities.
    labels : (n,), integers from 0 to classes − 1
    weight : (classes,), optional
        Weight of each class; the mean is then Σ weight · loss / Σ weight.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    scalar, or (n,) for "none"

    Gradient: (softmax(s) − onehot(y)) / n.

    Raises
    ------
    LabelError, ShapeError, DTypeError

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> round(float(ad.nn.cross_entropy(np.array([[3.2, 5.1, -1.7]]), [0])), 4)
    2.0404

    Source: CS231n 2017, lecture 3, "softmax classifier" (the slide uses the logarithm to base 10 in its figure).
    """
    checked = _labelled("cross_entropy", scores, labels)
    losses = softmax_cross_entropy.call(scores, checked)
    if weight is None:
        return _reduced(losses, reduction, "cross_entropy")
    of_classes = _class_weights(weight, _shape(scores)[1]).astype(_dtype(scores), copy=False)
    weights = take.apply(of_classes, checked, axis=0)
    if reduction == "mean":
        whole = total.apply(weights, axis=None, keepdims=False)
        return total(losses * weights) / (whole if isinstance(whole, Tensor) else float(whole))
    return _reduced(losses * weights, reduction, "cross_entropy")


def hinge_loss(scores: Any, labels: Any, *, margin: float = 1.0, reduction: str = "mean") -> Any:
    """Multiclass hinge loss (SVM): every wrong class should stay a margin below the right one.

    lossᵢ = Σ_{j ≠ yᵢ} max(0, sᵢⱼ − sᵢ,yᵢ + margin)

    Parameters
    ----------
    scores : (n, classes), floating
    labels : (n,), integers from 0 to classes − 1
    margin : float
    reduction : "mean", "sum" or "none"

    Returns
    -------
    scalar, or (n,) for "none"

    Gradient: 1 for every wrong class inside the margin, minus their number for the right one; at the kink 0.

    Raises
    ------
    LabelError, ShapeError, DTypeError

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> round(float(ad.nn.hinge_loss(np.array([[3.2, 5.1, -1.7]]), [0])), 4)
    2.9

    Source: CS231n 2017, lecture 3, "multiclass SVM loss".
    """
    checked = _labelled("hinge_loss", scores, labels)
    column = checked[:, None]
    right = take_along_axis.apply(scores, column, axis=1)
    wrong = np.arange(_shape(scores)[1]) != column
    margins = where(wrong, maximum(scores - right + margin, 0.0), 0.0)
    return _reduced(total(margins, axis=1), reduction, "hinge_loss")


def squared_loss(prediction: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Squared difference.

    loss = (prediction − target)²

    Parameters
    ----------
    prediction, target : of one shape
    reduction : "mean" (over all elements), "sum" or "none"

    Returns
    -------
    scalar, or the shape of the inputs for "none"

    Gradient: 2 · (prediction − target), divided by the number of elements for "mean".

    Raises
    ------
    ShapeError
        If the shapes differ: broadcasting (n, 1) with (n,) would compare everything with everything.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> float(ad.nn.squared_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0

    Source: CS231n 2017, lecture 4, the loss of the two-layer network in 20 lines (with reduction="sum").
    """
    if _shape(prediction) != _shape(target):
        raise ShapeError(
            f"squared_loss: expected prediction and target of one shape, got {_shape(prediction)} and {_shape(target)}"
            f"{here()}; reshape one of them, for example target.reshape(prediction.shape)"
        )
    return _reduced(square(prediction - target), reduction, "squared_loss")


def l2(parameters: Any) -> Any:
    """Sum of squares of all weights: multiply it by a strength and add it to a loss.

    Σ w²

    Parameters
    ----------
    parameters : module, dict or sequence of Parameters, or one tensor

    Returns
    -------
    Tensor of shape ()

    Gradient: 2w.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.l2([ad.Parameter([1.0, 2.0]), ad.Parameter([3.0])]).item()
    14.0

    Source: CS231n 2017, lecture 3, "regularization".
    """
    return _summed(total(square(p)) for p in _several(parameters))


def l1(parameters: Any) -> Any:
    """Sum of magnitudes of all weights: multiply it by a strength and add it to a loss.

    Σ |w|

    Parameters
    ----------
    parameters : module, dict or sequence of Parameters, or one tensor

    Returns
    -------
    Tensor of shape ()

    Gradient: sign(w), 0 at the kink w = 0.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.l1(ad.Parameter([1.0, -2.0])).item()
    3.0

    Source: CS231n 2017, lecture 3, "regularization".
    """
    return _summed(total(magnitude(p)) for p in _several(parameters))


def _class_weights(weight: Any, classes: int) -> Array:
    weights = np.asarray(weight.value if isinstance(weight, Tensor) else weight)
    if weights.shape != (classes,) or weights.dtype.kind not in "fiu" or not (weights >= 0).all() or not weights.any():
        raise ShapeError(
            f"cross_entropy: expected a weight for each of the {classes} classes, none negative and not all 0, "
            f"got shape {weights.shape}{here()}"
        )
    return weights


def _several(parameters: Any) -> Iterable[Any]:
    if isinstance(parameters, Parametrised):
        return parameters.parameters().values()
    if isinstance(parameters, Mapping):
        return list(parameters.values())
    if isinstance(parameters, Parameter | Tensor | np.ndarray):
        return [parameters]
    return list(parameters)


def _summed(terms: Iterable[Any]) -> Any:
    result: Any = None
    for term in terms:
        result = term if result is None else result + term
    return 0.0 if result is None else result


def _shape(x: Any) -> tuple[int, ...]:
    return x.shape if isinstance(x, Tensor | np.ndarray) else np.shape(x)


def _dtype(x: Any) -> Any:
    return x.dtype if isinstance(x, Tensor | np.ndarray) else np.asarray(x).dtype


def _reduced(losses: Any, reduction: str, loss: str) -> Any:
    if reduction == "mean":
        return mean.apply(losses, axis=None, keepdims=False)
    if reduction == "sum":
        return total.apply(losses, axis=None, keepdims=False)
    if reduction == "none":
        return losses
    raise ShapeError(f"{loss}: expected reduction='mean', 'sum' or 'none', got {reduction!r}{here()}")


def _labelled(loss: str, scores: Any, labels: Any) -> Any:
    """Labels as checked class numbers of our own: a Tensor for a Tensor, whose values may not be known yet."""
    given = labels if isinstance(labels, Tensor) else np.asarray(labels)
    shape = _shape(scores)
    if len(shape) != 2 or given.shape != shape[:1]:
        fix = "; turn one-hot rows into labels with .argmax(axis=1)" if given.shape == shape else ""
        raise ShapeError(
            f"{loss}: expected scores (n, classes) and labels (n,), got {shape} and {given.shape}{here()}{fix}"
        )
    if given.dtype.kind not in "iu":
        raise DTypeError(f"{loss}: expected integer labels, got {given.dtype}{here()}; convert with labels.astype(int)")
    if isinstance(given, Tensor):
        return check_labels.apply(given, classes=shape[1], what=loss)
    return ARRAYS.check_labels(given, classes=shape[1], what=loss)  # a tenth of the loss faster than through the op
