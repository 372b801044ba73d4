"""Progress: what a person sees while a network trains.

A bar that lives in place on a terminal; elsewhere, in a file or a pipe, a line every few epochs. Both are sinks that
`fit` tells about epochs; rich is imported when training starts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Protocol

from adjoint.train.history import History

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

MOST_LINES: Final = 10


class Sink(Protocol):
    """What `fit` tells about a training."""

    def __enter__(self) -> Sink: ...
    def __exit__(self, *error: Any) -> None: ...
    def epoch(self, history: History) -> None:
        """An epoch is over."""

    def say(self, sentence: str) -> None:
        """Something that a person should know."""


class Silent:
    """Nothing is shown."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def epoch(self, history: History) -> None:
        """Nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""


class Lines(Silent):
    """A line for at most ten of the epochs, the first and the last among them."""

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self.every = math.ceil(epochs / MOST_LINES)

    def epoch(self, history: History) -> None:
        """A line, if it is this epoch's turn."""
        if history.epochs in (1, self.epochs) or history.epochs % self.every == 0:
            self.say(f"epoch {history.epochs}/{self.epochs}: {figures(history)}")

    def say(self, sentence: str) -> None:
        """A line."""
        self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)


class Bar(Lines):
    """A bar that fills, with the figures of the last epoch behind it."""

    def __init__(self, console: Console, epochs: int) -> None:
        super().__init__(console, epochs)
        self.progress = _progress(console)

    def __enter__(self) -> Bar:
        self.progress.start()
        self.task = self.progress.add_task("", total=self.epochs, figures="")
        return self

    def __exit__(self, *error: Any) -> None:
        self.progress.stop()

    def epoch(self, history: History) -> None:
        """The bar goes on."""
        self.progress.update(self.task, completed=history.epochs, figures=figures(history))

    def say(self, sentence: str) -> None:
        """A line below the bar, which has ended then."""
        self.progress.stop()
        super().say(sentence)


def _progress(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeElapsedColumn(),
        console=console,
    )


def figures(history: History) -> str:
    """The figures of the last epoch in words: `loss 0.41, val_loss 0.38, accuracy 91.4 %`."""
    return ", ".join(_figure(name, value) for name, value in history.last.items() if name != "seconds")


def _figure(name: str, value: float) -> str:
    return f"{name} {100 * value:.1f} %" if name == "accuracy" else f"{name} {value:.4g}"


def sink(wanted: bool | Console, epochs: int) -> Sink:
    """A bar on a terminal, lines elsewhere, nothing where nothing is wanted."""
    if wanted is False:
        return Silent()
    from rich.console import Console

    console = Console() if wanted is True else wanted
    return Bar(console, epochs) if console.is_terminal or console.is_jupyter else Lines(console, epochs)
