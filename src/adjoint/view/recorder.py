"""Recorder: writes what a training looks like to a run log, as a callback of `train.fit` or step by step.

Concepts here: the `Recorder`, and the plane, the two features of two-dimensional data with a grid over them, on which
the decision boundary is drawn, or the surface of a regression.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from adjoint.nn import Module
from adjoint.optim import Optimizer
from adjoint.tensor import Array
from adjoint.train.checks import Loss
from adjoint.train.evaluation import predict
from adjoint.train.history import History
from adjoint.train.step import Regularizer
from adjoint.view.runs import RunError, RunLog, head, number
from adjoint.view.strips import Findings, Look, Probe

GRID: Final = 50  # points along each side of the plane
MARGIN: Final = 0.1  # of the range of the data, on every side
MOST_POINTS: Final = 1000
SAMPLE: Final = 8  # rows that a picture of the network shows
MOST_WEIGHTS: Final = 200_000  # parameters of a network whose weights are logged
GROWTH: Final = 1.25  # of the step from one record of the weights to the next


class Plane:
    """The plane of two features: its range, its points, and a grid over it.

    Parameters
    ----------
    names : names of the two features
    points : array of shape (n, 2)
    labels : class numbers, or real targets, shape (n,)
    encode : function from points of shape (m, 2) to rows that the network takes
    """

    def __init__(self, names: tuple[str, str], points: Array, labels: Array, encode: Callable[[Array], Array]) -> None:
        self.names, self.encode = names, encode
        low, high = points.min(axis=0), points.max(axis=0)
        room = np.where(high > low, (high - low) * MARGIN, 1.0)
        self.low, self.high = low - room, high + room
        shown = slice(None, None, max(1, -(-len(points) // MOST_POINTS)))
        self.is_real = labels.dtype.kind == "f"
        targets = labels.reshape(len(points))[shown].tolist()
        self.points = [[*map(float, p), target] for p, target in zip(points[shown], targets, strict=True)]
        across, up = (np.linspace(self.low[i], self.high[i], GRID) for i in (0, 1))
        self.rows = encode(np.stack([np.tile(across, GRID), np.repeat(up, GRID)], axis=1))

    def to_json(self) -> dict[str, Any]:
        """The entry `plane` of a run."""
        low, high = ([float(each) for each in side] for side in (self.low, self.high))
        return {"names": list(self.names), "low": low, "high": high, "size": GRID, "points": self.points}

    def record(self, net: Module, step: int) -> dict[str, Any]:
        """What the network makes of the plane: the boundary between classes, or a surface of real numbers."""
        return self.surface(net, step) if self.is_real else self.boundary(net, step)

    def surface(self, net: Module, step: int) -> dict[str, Any]:
        """The record of the network's one output over the grid."""
        with np.errstate(all="ignore"):
            values = predict(net, self.rows, batch_size=len(self.rows)).reshape(-1).astype("<f4")
        return {"kind": "surface", "step": step, "values": base64.b64encode(values.tobytes()).decode("ascii")}

    def boundary(self, net: Module, step: int) -> dict[str, Any]:
        """The record of which class wins where, and how surely."""
        with np.errstate(all="ignore"):
            scores = np.nan_to_num(predict(net, self.rows, batch_size=len(self.rows)).astype(np.float64))
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
        winner = shares.argmax(axis=1)
        return {
            "kind": "boundary",
            "step": step,
            "winner": _packed(winner),
            "share": _packed(np.rint(255 * shares.max(axis=1))),
        }


def packed(arrays: Mapping[str, Array]) -> dict[str, str]:
    """Arrays as text."""
    return {path: base64.b64encode(array.tobytes()).decode("ascii") for path, array in arrays.items()}


def unpacked(texts: Mapping[str, str], like: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of the shapes and dtypes of others from texts; RunError if they are none.

    Example
    -------
    >>> ones = {"weight": np.ones((2, 3))}
    >>> unpacked(packed(ones), ones)["weight"].shape
    (2, 3)
    """
    if texts.keys() != like.keys():
        raise RunError(f"run: expected weights of {', '.join(like):.200}, got those of other parameters")
    try:
        return {
            path: np.frombuffer(base64.b64decode(texts[path], validate=True), array.dtype).reshape(array.shape)
            for path, array in like.items()
        }
    except ValueError as error:  # no base64, or another size
        raise RunError(f"run: expected weights of the network described, got others: {error}") from None


def _packed(numbers: Array) -> str:
    return base64.b64encode(numbers.astype(np.uint8).tobytes()).decode("ascii")


class Recorder:
    """A training's log: losses of steps, figures of epochs, a strip per layer, findings.

    Parameters
    ----------
    path : path of a file that is not there yet
    net, loss, optimizer, regularizer : as in `train.fit`
    x, y : arrays
        At most 256 rows of them are looked at.
    every : int
        As a callback of `fit`, look after every so many epochs.
    title : str, optional
    classes : tuple of str, optional
    about : mapping, optional
        Settings to be kept with the run, JSON values.
    plane : Plane, optional
        For data with two features: where the decision boundary is recorded.
    network : mapping, optional
        A description from which the network can be made anew, JSON values; with it the weights of some steps are
        logged, up to 200,000 of them.

    Raises
    ------
    RunError
        The file is there already or cannot be written.

    Example
    -------
    >>> import adjoint as ad, numpy as np, pathlib, tempfile
    >>> from adjoint.view.runs import read_run
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> net = ad.nn.Sequential(ad.nn.Linear(1, 16), ad.nn.Tanh(), ad.nn.Linear(16, 1))
    >>> adam = ad.optim.Adam(net, lr=0.01)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "parabola.run.jsonl")
    ...     with Recorder(path, net, ad.nn.squared_loss, x, x**2, optimizer=adam) as recorder:
    ...         _ = ad.train.fit(net, ad.nn.squared_loss, x, x**2, optimizer=adam, epochs=3, progress=False,
    ...                          callbacks=[recorder])
    ...     run = read_run(path)
    >>> [(record["epoch"], record["step"]) for record in run.of("epoch")], run.of("end")[0]["reason"]
    ([(1, 2), (2, 4), (3, 6)], 'finished')
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        net: Module,
        loss: Loss,
        x: Any,
        y: Any,
        *,
        optimizer: Optimizer,
        regularizer: Regularizer | None = None,
        every: int = 1,
        title: str = "training",
        classes: tuple[str, ...] = (),
        about: Mapping[str, Any] | None = None,
        plane: Plane | None = None,
        network: Mapping[str, Any] | None = None,
    ) -> None:
        self.probe = Probe(net, loss, optimizer, x, y, regularizer=regularizer)
        self.findings, self.plane, self.every = Findings(self.probe.layers), plane, every
        self.losses: list[float] = []
        self.written = int(optimizer.steps.value)  # steps whose loss is in the log
        self.ended, self.weights_of, self.next_weights = False, -1, 0.0
        self.log = RunLog(path)
        layers = [{"path": layer.path, "type": layer.type} for layer in self.probe.layers]
        plan = None if plane is None else plane.to_json()
        if sum(p.size for p in net.parameters().values()) > MOST_WEIGHTS:
            network = None
        self.log.write(head(title, layers, classes=classes, about=about, plane=plan, network=self._sample(network)))
        self.with_weights = network is not None
        self.look()

    # --- step by step -----------------------------------------------------------------------------------------------

    def on_step(self, loss: float) -> None:
        """A step was taken, and this was its loss."""
        self.losses.append(loss)

    def write_losses(self) -> None:
        """The losses that are not in the log yet."""
        if self.losses:
            rate = number(float(self.probe.optimizer.lr.value))
            losses = [*map(number, self.losses)]
            self.log.write({"kind": "steps", "first": self.written + 1, "loss": losses, "rate": rate})
            self.written += len(losses)
            self.losses.clear()

    def _sample(self, description: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """The entry `network` of a run."""
        if description is None:
            return None
        x, y = self.probe.x[:SAMPLE], self.probe.y[:SAMPLE]
        return {"description": dict(description), "x": x.tolist(), "y": y.tolist()}

    def look(self) -> Look:
        """The strips of this moment, what is new among the findings, and in their turn boundary and weights."""
        self.write_losses()
        look = self.probe.look()
        self.log.write(look.record())
        for finding in self.findings.of(look):
            self.log.write(finding)
        if self.plane is not None:
            self.log.write(self.plane.record(self.probe.net, look.step))
        if look.step >= self.next_weights:
            self.write_weights()
        return look

    def write_weights(self) -> None:
        """The weights of this moment, if this log has weights and not yet these."""
        if self.with_weights and self.weights_of != self.step:
            self.weights_of, self.next_weights = self.step, self.step * GROWTH
            self.log.write({"kind": "weights", "step": self.step, "arrays": packed(self.probe.net.arrays())})

    def epoch(self, number_of: int, figures: Mapping[str, float]) -> None:
        """An epoch is complete."""
        self.write_losses()
        kept = {name: number(value) for name, value in figures.items() if name != "seconds"}
        self.log.write({"kind": "epoch", "epoch": number_of, "step": self.step, "figures": kept})

    def say(self, what: str, text: str) -> None:
        """A finding that concerns the whole training."""
        self.write_losses()
        self.log.write({"kind": "finding", "step": self.step, "layer": -1, "what": what, "text": text})

    def end(self, reason: str) -> None:
        """The training has ended; only the first reason counts."""
        if not self.ended:
            self.ended = True
            self.write_losses()
            self.write_weights()
            self.log.write({"kind": "end", "step": self.step, "reason": reason})

    @property
    def step(self) -> int:
        """How many steps the optimiser has taken."""
        return int(self.probe.optimizer.steps.value)

    # --- as a callback of fit, and as a context ---------------------------------------------------------------------

    def on_epoch_end(self, history: History, net: Module) -> None:
        """Write the figures of an epoch and, in its turn, a strip."""
        self.epoch(history.epochs, history.last)
        if history.epochs % self.every == 0:
            self.look()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.end("finished" if error is None else "interrupted" if interrupted else f"failed: {error}"[:500])
        self.log.close()
