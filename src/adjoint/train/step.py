"""The training step: forward, loss, backward, update, as one small function of a batch.

Nothing else in `train` touches a graph, so that one traced call of a step can replace it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adjoint.data import minibatches
from adjoint.errors import GradientError
from adjoint.nn import Module
from adjoint.optim import Optimizer
from adjoint.recording import here
from adjoint.tensor import Tensor
from adjoint.train.checks import Loss

Step = Callable[[Any, Any], Any]
Regularizer = Callable[[Module], Any]


def single_step(net: Module, loss: Loss, optimizer: Optimizer, regularizer: Regularizer | None) -> Step:
    """A step on one batch; it returns the loss, without the regulariser."""

    def step(x: Any, y: Any) -> Any:
        data_loss = loss(net(x), y)
        objective = data_loss if regularizer is None else data_loss + regularizer(net)
        _checked(objective).backward()
        optimizer.step()
        return data_loss

    return step


def accumulating_step(
    net: Module, loss: Loss, optimizer: Optimizer, regularizer: Regularizer | None, micro_batch: int
) -> Step:
    """The same step on a batch that is too large to be held as one graph: gradients add up over micro-batches.

    Each micro-batch counts by its share of the rows, so a loss that is a mean over rows gives the gradient of the whole
    batch, also where the last micro-batch is shorter; the regulariser counts once in total.
    """

    def step(x: Any, y: Any) -> Any:
        total = 0.0
        for parameter in optimizer.parameters.values():
            parameter._grad = None  # a parameter that only a later micro-batch uses would add to its last sum
        for start, (x_part, y_part) in enumerate(minibatches((x, y), micro_batch)):
            share = len(x_part) / len(x)
            data_loss = loss(net(x_part), y_part)
            objective = data_loss if regularizer is None else data_loss + regularizer(net)
            (_checked(objective) * share).backward(accumulate=start > 0)
            total += share * float(data_loss)
        optimizer.step()
        return total

    return step


def _checked(objective: Any) -> Tensor:
    if isinstance(objective, Tensor):
        return objective
    raise GradientError(
        f"fit: expected a loss made of operations of adjoint, got a {type(objective).__name__}{here()}; "
        "a loss computed by other means has no gradient"
    )
