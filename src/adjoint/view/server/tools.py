"""What the studio is given: how expressions, trainings and model files are made. Nothing here imports the web.

A refusal is an AdjointError whose message is shown to the reader; one with a `column` points into the expression.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from adjoint.nn import Module
from adjoint.optim import Optimizer
from adjoint.tensor import Array, Tensor
from adjoint.train.checks import Loss
from adjoint.train.step import Regularizer
from adjoint.view.document import Document
from adjoint.view.recorder import Plane, Recorder


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A training that is ready to start.

    `network` is a description from which `Tools.rebuilt` makes such a network; `another` makes one of the same
    architecture, for pictures of earlier steps; `pace` is the most steps a second, 0 for as many as can be.
    """

    title: str
    net: Module
    another: Callable[[], Module]
    loss: Loss
    optimizer: Optimizer
    x: Array
    y: Array
    held: tuple[Array, Array] | None = None
    regularizer: Regularizer | None = None
    epochs: int = 100
    batch_size: int = 32
    seed: int = 0
    pace: float = 0.0
    classes: tuple[str, ...] = ()
    plane: Plane | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] | None = None

    def recorder(self, path: str | os.PathLike[str]) -> Recorder:
        """A recorder of this training, which writes a new log."""
        return Recorder(
            path,
            self.net,
            self.loss,
            self.x,
            self.y,
            optimizer=self.optimizer,
            regularizer=self.regularizer,
            title=self.title,
            classes=self.classes,
            about=self.about,
            plane=self.plane,
            network=self.network,
        )


class Tools(NamedTuple):
    """The functions that the studio calls.

    variables : names that an expression needs, in the order in which they occur
    evaluate : the Tensor that an expression gives for bindings such as "x=2"
    task : the training that a request describes
    rebuilt : network and loss from the description in a run log
    model : the graph document of a model file
    choices : what a training may be made of, for the page
    """

    variables: Callable[[str], Sequence[str]]
    evaluate: Callable[[str, Sequence[str]], Tensor]
    task: Callable[[Mapping[str, Any]], Task]
    rebuilt: Callable[[Mapping[str, Any]], tuple[Module, Loss]]
    model: Callable[[str], Document]
    choices: Mapping[str, Any]
