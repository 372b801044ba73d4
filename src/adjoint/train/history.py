"""History: what a training looked like, epoch by epoch, as plain floats that keep no graph alive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from adjoint.errors import DataError
from adjoint.recording import here


@dataclass(eq=False)
class History:
    """The figures of every epoch that was completed.

    Columns: `loss` (mean over the rows, without the regulariser), `val_loss` where there is a validation part, one for
    each metric, and `seconds`. `stopped` says in words why training ended before its last epoch, else it is None.

    Example
    -------
    >>> history = History()
    >>> for loss in (0.9, 0.4, 0.5):
    ...     history.append({"loss": loss, "seconds": 0.1})
    >>> history["loss"], history.epochs, history.best_epoch
    ([0.9, 0.4, 0.5], 3, 2)
    """

    columns: dict[str, list[float]] = field(default_factory=dict)
    stopped: str | None = None

    def append(self, figures: Mapping[str, float]) -> None:
        """Add an epoch."""
        for name, value in figures.items():
            self.columns.setdefault(name, []).append(float(value))

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.columns:
            raise DataError(f"history: expected one of {', '.join(self.columns) or 'no columns'}, got {name!r}{here()}")
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    @property
    def epochs(self) -> int:
        """Number of epochs that were completed."""
        return len(self.columns.get("loss", ()))

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss (or loss, without a validation part), from 1; 0 before one.

        Its figures are `history[name][history.best_epoch - 1]`.
        """
        losses = self.columns.get("val_loss") or self.columns.get("loss") or []
        return min(range(len(losses)), key=losses.__getitem__) + 1 if losses else 0

    @property
    def last(self) -> dict[str, float]:
        """The figures of the last epoch."""
        return {name: values[-1] for name, values in self.columns.items()}

    def __repr__(self) -> str:
        figures = "".join(f", {name} {value:.4g}" for name, value in self.last.items())
        return f"<History of {self.epochs} epochs{figures}>"
