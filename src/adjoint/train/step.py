"""The training step: forward, loss, backward, update, as one small function of a batch; and an epoch of them.

Nothing else in `train` touches a graph, so that a compiled step can take its place: `CompiledSteps` runs many steps in
one native call, and comes back to Python often enough for Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from adjoint.data import minibatches
from adjoint.errors import GradientError
from adjoint.nn import Module
from adjoint.optim import Optimizer
from adjoint.recording import here
from adjoint.tensor import Tensor
from adjoint.train.checks import Loss

Step = Callable[[Any, Any], Any]
Regularizer = Callable[[Module], Any]
Arrays = tuple[Any, Any]


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


# --- an epoch ---------------------------------------------------------------------------------------------------------


class EagerSteps:
    """One step after the other in Python."""

    def __init__(self, step: Step) -> None:
        self.step = step

    def __call__(self, data: Arrays, rows: int, rng: np.random.Generator) -> Iterator[tuple[float, int]]:
        """Loss and number of rows of every step; all rows once, in random order."""
        for x, y in minibatches(data, rows, rng=rng):
            yield float(self.step(x, y)), len(x)


class CompiledSteps:
    """Steps in native code; a last batch that is shorter runs in Python: it is not worth a second compilation."""

    def __init__(self, step: Step) -> None:
        from adjoint.compiler.compiled import compile as compiled

        self.step = step
        self.compiled = compiled(step)

    def __call__(self, data: Arrays, rows: int, rng: np.random.Generator) -> Iterator[tuple[float, int]]:
        """Loss and number of rows of every step; all rows once, in random order."""
        order = rng.permutation(len(data[0]))
        whole = len(order) // rows * rows
        for (losses,), _ in self.compiled.steps(order[:whole].reshape(-1, rows), *data):
            yield from ((float(loss), rows) for loss in losses)
        if rest := len(order) - whole:
            yield float(self.step(*(array[order[whole:]] for array in data))), rest
