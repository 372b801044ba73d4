"""A training that can be paused: one thread, which takes a step when it may and writes what it sees to the run log.

The page is told of losses and strips by the log alone; `Session.status` says only what the thread is doing. Whoever
asks for a graph gets one from the keeper, so that nobody but the thread touches the network in training.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Any, Final

import numpy as np

from adjoint.data import minibatches
from adjoint.errors import AdjointError, DataError
from adjoint.train import accuracy, predict
from adjoint.train.checks import Data, rehearse
from adjoint.train.step import single_step
from adjoint.view.server.keeper import Keeper
from adjoint.view.server.refusals import words
from adjoint.view.server.tools import Task

LOOKS: Final = 200  # strips of a whole training
COMMANDS: Final = ("run", "pause", "step", "stop")
OVER: Final = ("finished", "stopped", "failed")


class Session:
    """One training.

    Parameters
    ----------
    task : Task
    path : path of the run log, a file that is not there yet

    Raises
    ------
    AdjointError
        The data do not fit network or loss, or the log cannot be made.
    """

    def __init__(self, task: Task, path: str | os.PathLike[str]) -> None:
        self.task = task
        data = Data.of(task.x, task.y)
        output = rehearse(task.net, task.loss, data, task.batch_size)
        self.data = data.y_like(output)
        self.held = None if task.held is None else Data.of(*task.held).y_like(output)
        self.recorder = task.recorder(path)
        self.keeper = Keeper(task.another(), task.loss, self.recorder.probe.x, self.recorder.probe.y)
        self.steps_in_all = task.epochs * math.ceil(len(self.data.x) / task.batch_size)
        self.state, self.epoch, self.allowed, self.reason = "paused", 0, 0, ""
        self.changed = Condition()
        self.thread = Thread(target=self._run, name="training", daemon=True)
        self.keeper.keep(0, task.net.arrays())
        self.thread.start()

    # --- asked by others --------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What the training is doing."""
        return {
            "state": self.state,
            "epoch": self.epoch,
            "epochs": self.task.epochs,
            "step": self.recorder.step,
            "steps": self.steps_in_all,
            "reason": self.reason,
        }

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state in OVER

    def command(self, word: str) -> None:
        """Run, pause, take one step and pause, or stop; DataError for another word, or after the end."""
        if word not in COMMANDS:
            raise DataError(f"training: expected one of {', '.join(COMMANDS)}, got {word[:40]!r}")
        with self.changed:
            if self.over:
                raise DataError(f"training: it is over ({self.state}); start another one")
            self.state = {"run": "running", "stop": "stopping"}.get(word, "paused")
            self.allowed = self.allowed + 1 if word == "step" else 0
            self.changed.notify_all()

    def close(self) -> None:
        """Stop, and wait for the thread."""
        with self.changed:
            if not self.over:
                self.state = "stopping"
            self.changed.notify_all()
        self.thread.join()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Train to the end, and say how it ended."""
        state, reason = "failed", "a fault of this program"
        try:
            with np.errstate(all="ignore"):
                state, reason = self._train()
        except AdjointError as error:
            reason = words(error)[:500]
        finally:
            self.recorder.end(state if state != "failed" else f"failed: {reason}")
            self.recorder.log.close()
            with self.changed:
                self.state, self.reason = state, reason
                self.changed.notify_all()

    def _train(self) -> tuple[str, str]:
        task, every = self.task, -(-self.steps_in_all // LOOKS)
        step = single_step(task.net, task.loss, task.optimizer, task.regularizer)
        task.net.train()
        rng = np.random.default_rng(task.seed)
        for epoch in range(1, task.epochs + 1):
            total = 0.0
            for x, y in minibatches(self.data, task.batch_size, rng=rng):
                if not self._may_step():
                    return "stopped", ""
                loss = float(step(x, y))
                self.recorder.on_step(loss)
                if not math.isfinite(loss):
                    return self._diverged(loss)
                total += loss * len(x)
                if self.recorder.step % every == 0 or self.state != "running":
                    self._look()
            self.epoch = epoch
            self.recorder.epoch(epoch, {"loss": total / len(self.data.x), **dict(self._judge())})
        self._look()
        return "finished", ""

    def _may_step(self) -> bool:
        """Wait until a step may be taken; False if none may be taken any more."""
        with self.changed:
            if self.state == "running" and self.task.pace:
                self.changed.wait_for(lambda: self.state != "running", 1.0 / self.task.pace)
            self.changed.wait_for(lambda: self.state != "paused" or self.allowed > 0)
            self.allowed = max(self.allowed - 1, 0)
            return self.state != "stopping"

    def _look(self) -> None:
        look = self.recorder.look()
        self.keeper.keep(look.step, self.task.net.arrays())

    def _judge(self) -> Iterator[tuple[str, float]]:
        """Figures on the rows held out, or on those learnt from where none are."""
        seen = self.held or self.data
        output = predict(self.task.net, seen.x)
        if self.held is not None:
            yield "val_loss", float(self.task.loss(output, seen.y))
        if self.task.classes:
            yield "accuracy", accuracy(np.nan_to_num(output), seen.y)

    def _diverged(self, loss: float) -> tuple[str, str]:
        rate = float(self.task.optimizer.lr.value)
        reason = f"the loss became {loss} with learning rate {rate:g}; try a smaller one"
        self._look()
        self.recorder.say("not finite", reason)
        return "failed", reason
