"""Scoring: how good a model is on rows whose answer is known, beside the simplest answer there is; and the tables.

Baselines know the training part only: the most frequent class with the frequencies as probabilities, or the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from adjoint import train
from adjoint.cli.model import Model
from adjoint.data import Table
from adjoint.tensor import Array

MOST_CLASSES: Final = 20  # a larger confusion matrix is wider than a terminal
LONGEST_LABEL: Final = 12


@dataclass(frozen=True)
class Score:
    """Figures of a model on some rows, in the order in which they are shown."""

    figures: dict[str, float]
    confusion: Array | None = None

    def in_words(self) -> str:
        """`accuracy 97.2 %, log loss 0.083`."""
        return ", ".join(f"{name} {_shown(name, value)}" for name, value in self.figures.items())


def score(model: Model, table: Table) -> Score:
    """Accuracy, log loss, AUC, confusion matrix of a classifier; RMSE and R² of a regression, in the target's unit."""
    scores, truth = model.scores(table), model.encoder.encode_target(table)
    if not model.encoder.classes:
        return Score(_regression_figures(model.encoder.decode(scores), model.encoder.decode(truth)))
    figures = {"accuracy": train.accuracy(scores, truth)}
    if model.probabilistic:
        probabilities = model.probabilities(scores)
        figures |= {"log loss": train.log_loss(probabilities, truth), "AUC": train.auc(probabilities, truth)}
    else:
        figures["AUC"] = train.auc(scores, truth)
    return Score(figures, train.confusion_matrix(scores, truth))


def baseline(model: Model, learnt: Table, table: Table) -> Score:
    """The figures of the most frequent class, or of the mean, of the rows learnt from."""
    known, truth = model.encoder.encode_target(learnt), model.encoder.encode_target(table)
    if not model.encoder.classes:
        mean = np.full(table.rows, model.encoder.decode(known).mean())
        return Score(_regression_figures(mean, model.encoder.decode(truth)))
    shares = np.bincount(known, minlength=len(model.encoder.classes)) / len(known)
    rows = np.tile(shares, (table.rows, 1))
    figures = {"accuracy": train.accuracy(rows, truth), "log loss": train.log_loss(rows, truth), "AUC": 0.5}
    return Score(figures if model.probabilistic else {name: figures[name] for name in ("accuracy", "AUC")})


def _regression_figures(prediction: Array, truth: Array) -> dict[str, float]:
    return {"RMSE": train.rmse(prediction, truth), "R²": train.r2(prediction, truth)}


def _shown(name: str, value: float) -> str:
    if math.isnan(value):
        return "undefined"
    return f"{100 * value:.1f} %" if name == "accuracy" else f"{value:.4g}"


def figures_table(ours: Score, simplest: Score, simplest_name: str) -> Grid:
    """Figures of the network beside those of the baseline."""
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    grid.add_column("")
    for head in ("network", simplest_name):
        grid.add_column(head, justify="right", overflow="fold")
    for name, value in ours.figures.items():
        grid.add_row(Text(name), Text(_shown(name, value)), Text(_shown(name, simplest.figures[name])))
    return grid


def print_confusion(console: Console, counts: Array, classes: tuple[Any, ...]) -> None:
    """The confusion matrix, or for many classes the most frequent confusions."""
    if len(classes) > MOST_CLASSES:
        console.print(Text("\nmost frequent confusions (true, predicted, rows)"), soft_wrap=True)
        for line in _largest(counts, classes):
            console.print(Text(line), soft_wrap=True)
        return
    grid = Grid()
    grid.add_column("")
    for label in classes:
        grid.add_column(Text(_label(label)), justify="right", no_wrap=True)
    for row, (label, line) in enumerate(zip(classes, counts.tolist(), strict=True)):
        grid.add_row(Text(_label(label)), *(_cell(n, right=row == column) for column, n in enumerate(line)))
    console.print(Text("\nconfusion matrix: rows are true, columns predicted"), soft_wrap=True)
    console.print(grid)


def _cell(count: int, *, right: bool) -> Text:
    """Right answers bold, wrong ones red, none a dot: what went wrong stands out, without colour too."""
    return Text(str(count) if count else "·", style="bold" if right else "red" if count else "dim")


def _label(label: Any) -> str:
    text = str(label)
    return text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"


def _largest(counts: Array, classes: tuple[Any, ...], limit: int = 5) -> Iterator[str]:
    wrong = counts - np.diag(np.diag(counts))
    for place in np.argsort(-wrong, axis=None, kind="stable")[:limit]:
        true, predicted = divmod(int(place), len(classes))
        if wrong[true, predicted]:
            yield f"  {classes[true]} → {classes[predicted]}: {wrong[true, predicted]}"
