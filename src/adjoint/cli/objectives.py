"""Objectives: what a network trained from the command line minimises, by name, with class weights and penalties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from adjoint import nn
from adjoint.data import Encoder
from adjoint.errors import DataError, LabelError
from adjoint.tensor import Array

#: By task; the first is the default.
LOSSES: Final[Mapping[str, tuple[str, ...]]] = {
    "classification": ("cross_entropy", "hinge", "squared"),
    "regression": ("squared",),
}
#: The losses whose scores become probabilities by softmax.
PROBABILISTIC: Final = ("cross_entropy",)

Loss = Callable[[Any, Any], Any]


def loss_name(wish: str | None, task: str) -> str:
    """The loss of a task, as wished or by default."""
    if wish is None:
        return LOSSES[task][0]
    if wish not in LOSSES[task]:
        raise DataError(f"--loss: expected {' or '.join(LOSSES[task])} for a {task}, got {wish!r}")
    return wish


def loss_function(name: str, encoder: Encoder) -> Loss:
    """The loss as a mean over rows, each weighted by its class where weights were asked for."""
    weights = encoder.class_weights
    if encoder.task == "regression":
        return nn.squared_loss
    if name == "cross_entropy":
        return lambda scores, labels: nn.cross_entropy(scores, labels, weight=weights)
    if name == "hinge":
        return _weighted(lambda scores, labels: nn.hinge_loss(scores, labels, reduction="none"), weights)
    return _weighted(_squared_to_one_hot, weights)


def _squared_to_one_hot(scores: Any, labels: Array) -> Any:
    """Squared distance of each row of scores to 1 for the right class and 0 for the others."""
    classes = scores.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise LabelError(f"squared: expected labels from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    one_hot = np.eye(classes, dtype=scores.dtype)[labels]
    return nn.squared_loss(scores, one_hot, reduction="none").sum(axis=1)


def _weighted(losses: Loss, weights: Array | None) -> Loss:
    """Mean of the losses of rows: Σ weight · loss / Σ weight."""

    def loss(scores: Any, labels: Array) -> Any:
        each = losses(scores, labels)
        if weights is None:
            return each.mean()
        chosen = weights[labels].astype(scores.dtype, copy=False)
        return (each * chosen).sum() / float(chosen.sum())

    return loss


def penalty(l1: float, l2: float) -> Callable[[nn.Module], Any] | None:
    """l1 · Σ|w| + l2 · Σw² over weights; biases are left free, as usual."""
    if not l1 and not l2:
        return None

    def regularizer(net: nn.Module) -> Any:
        weights = [p for path, p in net.parameters().items() if path.endswith("weight")]
        first = l1 * nn.l1(weights) if l1 else 0.0
        return first + l2 * nn.l2(weights) if l2 else first

    return regularizer
