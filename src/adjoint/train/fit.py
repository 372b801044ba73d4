"""The training loop: epochs of steps, a look at the validation part after each, and an end that leaves things whole.

Invariant: however training ends, network and optimiser are as they were after an epoch that was completed. Values are
never changed in place, so keeping the state of an epoch costs a few references.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from adjoint.errors import AdjointError, DataError, NumericalError, TraceError
from adjoint.nn import Module
from adjoint.optim import Optimizer
from adjoint.recording import here
from adjoint.tensor import Array
from adjoint.train.checks import Data, Loss, rehearse
from adjoint.train.evaluation import predict, switched
from adjoint.train.history import History
from adjoint.train.progress import Sink, sink
from adjoint.train.step import CompiledSteps, EagerSteps, Regularizer, accumulating_step, single_step

if TYPE_CHECKING:
    from rich.console import Console

Metric = Callable[[Array, Array], float]
TAKEN = ("loss", "val_loss", "seconds")
#: A training of fewer steps is over before its step would be compiled.
FEWEST_STEPS = 200


class Callback(Protocol):
    """What may be called after every epoch."""

    def on_epoch_end(self, history: History, net: Module) -> bool | None:
        """Look at the history so far, save the network, change the learning rate; True stops training."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `fit`: `.history` is that of the epochs completed, and the network is as after the last of them."""

    def __init__(self, history: History) -> None:
        super().__init__(f"training interrupted after {history.epochs} complete epochs")
        self.history = history


def fit(
    net: Module,
    loss: Loss,
    x: Any,
    y: Any,
    *,
    optimizer: Optimizer,
    epochs: int = 30,
    batch_size: int = 32,
    validation: tuple[Any, Any] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    early_stopping: int | None = None,
    regularizer: Regularizer | None = None,
    accumulate: int = 1,
    compile: bool = True,
    seed: int = 0,
    progress: bool | Console = True,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Train a network: every epoch takes all rows once, in random order, a batch a step.

    w ← optimizer(w, ∂ [loss(net(x), y) + regularizer(net)] / ∂w)

    Parameters
    ----------
    net : Module
        Trained in place. In training mode during steps, in evaluation mode during validation, and afterwards in the
        mode it came in.
    loss : function (output, y) -> one number, a mean over the rows
    x : array, shape (n, …)
    y : array, shape (n, …)
        Class numbers for `nn.cross_entropy` and `nn.hinge_loss`, numbers for `nn.squared_loss`.
    optimizer : Optimizer
        Made of the same network.
    epochs, batch_size : int
        The last batch of an epoch has the rows that are left.
    validation : (x, y), optional
        Rows to look at after every epoch and never to train on.
    metrics : mapping of name to function (output, y) -> float, optional
        Computed after every epoch, on the validation part if there is one, else on the training part.
    early_stopping : int, optional
        Stop after so many epochs without a lower validation loss. However training ends, by this or by itself, the
        parameters of the best epoch are restored.
    regularizer : function net -> one number, optional
        Added to the loss of every step: `lambda net: 1e-4 * nn.l2(net)`. Not part of the losses in the history.
    accumulate : int
        Batches whose gradients are averaged before each update, as if they were one.
    compile : bool
        Run steps as native code (`ad.compile`) where that pays: from 200 steps in total on, and without `accumulate`.
        The result is the same, to rounding. A loss or network that cannot be traced runs without, and is told of.
    seed : int
        Of the order of the rows.
    progress : bool or rich Console
        A live bar on a terminal, a line every few epochs elsewhere; False: nothing.
    callbacks : sequence of objects with a method `on_epoch_end(history, net)`, which stops training by returning True
        One that has a method `on_step(loss)` is told the loss of every step, too.

    Returns
    -------
    History

    Raises
    ------
    DataError, LabelError, ShapeError
        Data that cannot be used: NaN or infinite (naming row and column), of unequal lengths, of wrong shapes, labels
        without a score. Found before training starts.
    NumericalError
        The loss became infinite or NaN.
    Interrupted
        A KeyboardInterrupt (Ctrl-C), with the history so far.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> net = ad.nn.Sequential(ad.nn.Linear(1, 16), ad.nn.Tanh(), ad.nn.Linear(16, 1))
    >>> history = ad.train.fit(net, ad.nn.squared_loss, x, x**2, optimizer=ad.optim.Adam(net, lr=0.01), progress=False)
    >>> history.epochs, history["loss"][-1] < 0.1 * history["loss"][0]
    (30, True)

    Source: CS231n 2017, lecture 3, "minibatch gradient descent", and lecture 7, "babysitting the learning process".
    """
    _check_parts(net, loss, optimizer, callbacks)
    _check_counts(epochs=epochs, batch_size=batch_size, accumulate=accumulate)
    _check_wishes(early_stopping, validation, metrics or {})
    data = Data.of(x, y)
    held = None if validation is None else Data.of(*validation, " of validation")
    output = rehearse(net, loss, data, batch_size)
    if held is not None:
        rehearse(net, loss, held, batch_size, " of validation")
    if accumulate == 1:
        step = single_step(net, loss, optimizer, regularizer)
    else:
        step = accumulating_step(net, loss, optimizer, regularizer, batch_size)
    pays = accumulate == 1 and epochs * (len(data.x) // batch_size) >= FEWEST_STEPS
    with sink(progress, epochs) as shown:
        return Training(
            net=net,
            loss=loss,
            optimizer=optimizer,
            steps=CompiledSteps(step) if compile and pays else EagerSteps(step),
            data=data.y_like(output),
            held=None if held is None else held.y_like(output),
            rows=batch_size * accumulate,
            metrics=metrics or {},
            callbacks=callbacks,
            patience=early_stopping,
            rng=np.random.default_rng(seed),
            shown=shown,
        ).run(epochs)


def _check_parts(net: Any, loss: Any, optimizer: Any, callbacks: Any) -> None:
    if not isinstance(net, Module):
        raise AdjointError(f"fit: expected a network, an nn.Module, got {_named(net)}{here()}")
    if not callable(loss):
        raise AdjointError(f"fit: expected a loss such as nn.cross_entropy, a function, got {_named(loss)}{here()}")
    if not isinstance(optimizer, Optimizer):
        wish = "expected an optimiser such as optim.SGD(net, lr=0.01)"
        raise AdjointError(f"fit: {wish}, got {_named(optimizer)} (optimizer){here()}")
    own = {id(parameter) for parameter in net.parameters().values()}
    if own.isdisjoint(map(id, optimizer.parameters.values())):
        raise AdjointError(f"fit: expected an optimiser of this network's parameters, got one of others{here()}")
    for callback in callbacks:
        if not callable(getattr(callback, "on_epoch_end", None)):
            wish = "expected callbacks with a method on_epoch_end(history, net)"
            raise AdjointError(f"fit: {wish}, got {_named(callback)}{here()}")


def _named(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, str) else f"a {type(value).__name__}"


def _check_counts(**counts: Any) -> None:
    for name, count in counts.items():
        if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 1:
            raise DataError(f"fit: expected a whole number of at least 1, got {count!r} ({name}){here()}")


def _check_wishes(patience: int | None, validation: Any, metrics: Mapping[str, Metric]) -> None:
    if validation is not None and (not isinstance(validation, tuple | list) or len(validation) != 2):
        raise DataError(f"fit: expected validation=(x, y), got a {type(validation).__name__}{here()}")
    if patience is not None:
        _check_counts(early_stopping=patience)
        if validation is None:
            raise DataError(f"fit: early_stopping watches the validation loss{here()}; give validation=(x, y)")
    for name in metrics:
        if name in TAKEN:
            raise DataError(f"fit: expected metrics of other names than {', '.join(TAKEN)}, got {name!r}{here()}")


class Snapshot:
    """Network and optimiser as they were: arrays are never changed in place, so references are enough."""

    def __init__(self, net: Module, optimizer: Optimizer) -> None:
        self.arrays = net.arrays()
        self.states = {path: state.value for path, state in optimizer.state().items()}

    def restore(self, net: Module, optimizer: Optimizer) -> None:
        """Both of them as they were."""
        self.restore_network(net)
        for path, state in optimizer.state().items():
            state.assign(self.states[path])

    def restore_network(self, net: Module) -> None:
        """The network alone."""
        net.load_arrays(self.arrays)


@dataclass(kw_only=True, eq=False)
class Training:
    """One run of `fit`."""

    net: Module
    loss: Loss
    optimizer: Optimizer
    steps: EagerSteps | CompiledSteps
    data: Data
    held: Data | None
    rows: int
    metrics: Mapping[str, Metric]
    callbacks: Iterable[Callback]
    patience: int | None
    rng: np.random.Generator
    shown: Sink
    history: History = field(default_factory=History)

    def run(self, epochs: int) -> History:
        """All epochs, or as many as make sense."""
        self.latest = self.best = Snapshot(self.net, self.optimizer)
        try:
            while self.history.epochs < epochs and self.history.stopped is None:
                with np.errstate(all="ignore"):  # `_finite` says it, once and with advice
                    self._one_epoch()
        except KeyboardInterrupt:
            self.latest.restore(self.net, self.optimizer)
            self.history.stopped = "interrupted"
            raise Interrupted(self.history) from None
        except BaseException:
            self.latest.restore(self.net, self.optimizer)
            raise
        self._finish()
        return self.history

    def _one_epoch(self) -> None:
        start = perf_counter()
        figures = {"loss": self._learn(), **self._judge()}
        self.latest = Snapshot(self.net, self.optimizer)
        self.history.append({**figures, "seconds": perf_counter() - start})
        self.shown.epoch(self.history)
        if self.history.best_epoch == self.history.epochs:
            self.best = self.latest
        if self.patience is not None and self.history.epochs - self.history.best_epoch >= self.patience:
            self.history.stopped = f"no lower validation loss for {self.patience} epochs"
        wishes = [callback.on_epoch_end(self.history, self.net) for callback in self.callbacks]
        if True in wishes:
            self.history.stopped = "stopped by a callback"
        self.latest = Snapshot(self.net, self.optimizer)  # a callback may have changed the learning rate

    def _learn(self) -> float:
        """All rows once; the mean loss."""
        before = self.rng.bit_generator.state
        with switched(self.net, training=True), np.errstate(all="ignore"):  # a loss that overflows is told of in words
            try:
                return self._mean_loss()
            except TraceError as error:  # raised before the first step has run
                if isinstance(self.steps, EagerSteps):
                    raise
                self.rng.bit_generator.state = before
                self.shown.say(f"training runs without the compiler: {error}")
                self.steps = EagerSteps(self.steps.step)
                return self._mean_loss()

    def _mean_loss(self) -> float:
        total = 0.0
        told = [callback.on_step for callback in self.callbacks if hasattr(callback, "on_step")]
        for number, (loss, rows) in enumerate(self.steps(self.data, self.rows, self.rng), start=1):
            for tell in told:
                tell(loss)
            total += self._finite(loss, f"step {number}") * rows
        return total / len(self.data.x)

    def _judge(self) -> dict[str, float]:
        """Validation loss and metrics."""
        seen = self.held or self.data
        if self.held is None and not self.metrics:
            return {}
        losses = {}
        with np.errstate(all="ignore"):
            output = predict(self.net, seen.x)
            if self.held is not None:
                losses["val_loss"] = self._finite(float(self.loss(output, seen.y)), "validation")
        return losses | {name: float(metric(output, seen.y)) for name, metric in self.metrics.items()}

    def _finite(self, loss: float, place: str) -> float:
        if math.isfinite(loss):
            return loss
        done, rate = self.history.epochs, float(self.optimizer.lr)
        kept = f"after epoch {done}" if done else "before training"
        raise NumericalError(
            f"fit: the loss became {loss} in epoch {done + 1}, {place}, with learning rate {rate:g}{here()}; "
            f"the network is left as it was {kept}; try a smaller learning rate, such as {min(rate / 10, 0.01):g}, "
            "or inputs scaled to -1..1"
        )

    def _finish(self) -> None:
        if self.patience is None:
            if self.history.stopped:
                self.shown.say(f"training ended after epoch {self.history.epochs}: {self.history.stopped}")
            return
        self.best.restore_network(self.net)
        why = f" ({self.history.stopped})" if self.history.stopped else ""
        self.shown.say(
            f"training ended after epoch {self.history.epochs}{why}; "
            f"the network is that of epoch {self.history.best_epoch}, the best"
        )
