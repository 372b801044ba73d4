"""Evaluation: what a network answers, without recording and with dropout asleep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from adjoint.errors import DataError
from adjoint.nn import Module
from adjoint.recording import here, no_grad
from adjoint.tensor import Array


@contextmanager
def switched(net: Module, *, training: bool) -> Iterator[None]:
    """Run a block with a network in training or evaluation; afterwards every module is as it was."""
    before = [(module, module.training) for module in net.modules().values()]
    net.train() if training else net.eval()
    try:
        yield
    finally:
        for module, was in before:
            module.training = was


def predict(net: Module, x: Any, *, batch_size: int = 1024) -> Array:
    """What a network answers, in evaluation mode and without a graph.

    Parameters
    ----------
    net : Module
    x : array, shape (n, …)
    batch_size : int
        Rows at a time; the answer does not depend on it.

    Returns
    -------
    array, shape (n, …), as the network gives it: scores of a classifier, not probabilities

    Raises
    ------
    DataError
        A batch size below 1, or an x without rows to count.
    ShapeError
        Rows that do not fit the network.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> net = ad.nn.Sequential(ad.nn.Linear(4, 3), ad.nn.Dropout(0.5))
    >>> predict(net, np.ones((5, 4))).shape, net.training
    ((5, 3), True)

    Source: CS231n 2017, lecture 6, "dropout: test time".
    """
    rows = _rows(x)
    _check_size(batch_size)
    with switched(net, training=False), no_grad():
        pieces = [np.asarray(net(rows[i : i + batch_size])) for i in range(0, max(len(rows), 1), batch_size)]
    return np.concatenate(pieces)


def _check_size(batch_size: Any) -> None:
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool) or batch_size < 1:
        raise DataError(f"predict: expected a batch size of at least 1, got {batch_size!r}{here()}")


def _rows(x: Any) -> Array:
    try:
        rows = np.asarray(x)
    except ValueError as error:
        raise DataError(f"predict: expected rows of one length, got {error} (x){here()}") from None
    if rows.ndim == 0:
        raise DataError(f"predict: expected an array with rows, got a single number (x){here()}")
    return rows
