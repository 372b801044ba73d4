"""`adjoint train`: from a table to a model file.

The order is one of care: everything that can be refused is refused before training starts, the model file is written
whole or not at all, and nothing that is no model of ours is overwritten.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from adjoint import train as training
from adjoint.cli import HELP
from adjoint.cli import model as models
from adjoint.cli.objectives import LOSSES, loss_function, loss_name, penalty
from adjoint.cli.scoring import Score, baseline, figures_table, print_confusion, score
from adjoint.cli.settings import MOMENTUM, RATES, ClassWeights, Settings, Sizes
from adjoint.cli.sources import DIGITS, Parts, training_rows
from adjoint.data import Encoder
from adjoint.errors import DataError
from adjoint.formats import ACTIVATIONS, Architecture, is_model_file
from adjoint.optim import Optimizer

SUFFIX: Final = ".adjoint.safetensors"
DEFAULTS: Final = Settings()
_RATES_IN_WORDS: Final = ", ".join(f"{name} {rate:g}" for name, rate in RATES.items())


@click.command(context_settings=HELP | {"show_default": True})
@click.argument("source", metavar="FILE|digits")
@click.option("--target", metavar="COLUMN", help="Column to predict (of a file).")
@click.option("--task", type=click.Choice(["auto", *LOSSES]), default=DEFAULTS.task)
@click.option("--ignore", metavar="COLUMN", multiple=True, help="Column not to learn from; may be given several times.")
@click.option("--hidden", type=Sizes(), default="100", help="Neurons of each hidden layer, or none.")
@click.option("--activation", type=click.Choice(ACTIVATIONS), default=DEFAULTS.activation)
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=DEFAULTS.dropout)
@click.option(
    "--loss", type=click.Choice(LOSSES["classification"]), help="Default: cross_entropy; squared for a regression."
)
@click.option("--class-weight", type=ClassWeights(), help="Weights of classes in the loss.")
@click.option("--optimizer", type=click.Choice(list(RATES)), default=DEFAULTS.optimizer)
@click.option("--lr", type=click.FloatRange(0, min_open=True), help=f"Learning rate. Default: {_RATES_IN_WORDS}.")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), help=f"Of sgd. Default: {MOMENTUM}.")
@click.option("--l1", type=click.FloatRange(0), default=DEFAULTS.l1, help="Strength of the penalty on |w|.")
@click.option("--l2", type=click.FloatRange(0), default=DEFAULTS.l2, help="Strength of the penalty on w².")
@click.option("--batch-size", type=click.IntRange(1), default=DEFAULTS.batch_size)
@click.option("--epochs", type=click.IntRange(1), default=DEFAULTS.epochs)
@click.option(
    "--early-stopping",
    type=click.IntRange(0),
    metavar="PATIENCE",
    default=DEFAULTS.early_stopping,
    help="Stop after so many epochs without a lower validation loss and keep the best; 0: never.",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, max_open=True),
    default=DEFAULTS.validation,
    help="Share of the rows to hold out.",
)
@click.option("--seed", type=click.IntRange(0), default=DEFAULTS.seed, help="Of split, weights, dropout and order.")
@click.option(
    "--compile/--no-compile", default=DEFAULTS.compile, help="Run steps as native code; the result is the same."
)
@click.option("--watch", is_flag=True, show_default=False, help="Watch the training in a browser (extra studio).")
@click.option("--output", "-o", metavar="MODEL", help=f"Model file. Default: name of FILE + {SUFFIX}, in this folder.")
@click.option("--force", is_flag=True, show_default=False, help="Overwrite MODEL even if it is no model of adjoint.")
@click.option("--quiet", "-q", is_flag=True, show_default=False, help="Print nothing but mistakes.")
def train(
    source: str, target: str | None, output: str | None, *, force: bool, quiet: bool, watch: bool, **wishes: Any
) -> None:
    """Train a network on FILE (CSV or Parquet) to predict a column, or on the word `digits`.

    \b
      adjoint train digits
      adjoint train iris.csv --target species
      adjoint train houses.csv --target price --hidden 50,50 --epochs 200
    """
    settings = Settings(**wishes)
    path = checked_output(output or default_output(source), source, force)
    parts = training_rows(source, target, settings)
    plan = Plan.of(parts, settings)
    console = Console(file=sys.stdout, highlight=False, quiet=quiet)
    introduce(console, parts, plan.model.encoder)
    with _watched(plan, path) if watch else nullcontext([]) as callbacks:
        history = plan.run(False if quiet else console, callbacks)
        result = report(console, plan.model, parts)
        about = {"training": settings.to_json(), "history": history.columns, "metrics": result.figures}
        models.save(path, plan.model, plan.architecture, about)
        after = f"\nmodel: {path}\nnext:  adjoint predict {_quoted(path)} {_example(source)}"
        console.print(Text(after), soft_wrap=True)


def _watched(plan: Plan, path: str) -> AbstractContextManager[Sequence[Any]]:
    from adjoint.cli.studio import watched

    return watched(plan, path)


@dataclass(frozen=True, eq=False)
class Plan:
    """A training that is ready to start: every setting has been looked at."""

    parts: Parts
    settings: Settings
    architecture: Architecture
    model: models.Model
    optimizer: Optimizer

    @classmethod
    def of(cls, parts: Parts, settings: Settings) -> Plan:
        """Encoder, network and optimiser; raises what is wrong with the settings."""
        encoder = Encoder.fit(
            parts.train,
            target=parts.target,
            task="classification" if parts.task == "classification" else "regression",
            ignore=settings.ignore,
            class_weight=settings.class_weight,
        )
        loss = loss_name(settings.loss, encoder.task)
        sizes = (encoder.n_inputs, *settings.hidden, encoder.n_outputs)
        architecture = Architecture(sizes, settings.activation, settings.dropout)
        net = architecture.build(settings.seed)
        return cls(parts, settings, architecture, models.Model(net, encoder, loss), settings.optimizer_of(net))

    def run(self, progress: bool | Console, callbacks: Sequence[training.Callback] = ()) -> training.History:
        """Train the network."""
        model, settings = self.model, self.settings
        x, y = model.encoder.encode(self.parts.train)
        held = None if self.parts.held is None else model.encoder.encode(self.parts.held)
        return training.fit(
            model.net,
            loss_function(model.loss, model.encoder),
            x,
            y,
            optimizer=self.optimizer,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            validation=held,
            metrics={"accuracy": training.accuracy} if model.encoder.classes else {},
            early_stopping=(settings.early_stopping or None) if held else None,
            regularizer=penalty(settings.l1, settings.l2),
            compile=settings.compile,
            seed=settings.seed,
            progress=progress,
            callbacks=callbacks,
        )


def default_output(source: str) -> str:
    """The model's name beside the data's: iris.csv gives iris.adjoint.safetensors, in the current folder."""
    return f"{Path(source).stem}{SUFFIX}"


def checked_output(path: str, source: str, force: bool) -> str:
    """The path, if a model may be written there; asked before training, not after."""
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise DataError(f"--output: expected a folder that exists, got {str(Path(path).parent)!r}")
    if Path(path).is_dir():
        raise DataError(f"--output: expected a file, got the folder {path!r}")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--output: expected a folder that can be written to, got {str(folder)!r}")
    if os.path.exists(source) and os.path.exists(path) and os.path.samefile(source, path):
        raise DataError(f"--output: {path} is the table to learn from; choose another name")
    if Path(path).is_file() and not force and not is_model_file(path):
        raise DataError(f"--output: {path} is there and no model of adjoint; choose another name, or add --force")
    return path


def introduce(console: Console, parts: Parts, encoder: Encoder) -> None:
    """What is going to be learnt from what."""
    kinds = f"{len(encoder.classes)} classes" if encoder.classes else "a number"
    held = f", {parts.held.rows:,} to validate" if parts.held else ""
    console.print(
        Text(
            f"{parts.train.source}: {encoder.task} of {parts.target!r} ({kinds}) from {len(encoder.features)} columns "
            f"({encoder.n_inputs} inputs); {parts.train.rows:,} rows to train on{held}"
        ),
        soft_wrap=True,
    )
    for note in (*parts.notes, *encoder.notes):
        console.print(Text(f"note: {note}"), soft_wrap=True)
    console.print()


def report(console: Console, model: models.Model, parts: Parts) -> Score:
    """How good the network is on rows that it has not seen."""
    rows = parts.held or parts.train
    result = score(model, rows)
    if parts.held is None:
        console.print(Text("\nno rows are held out: these figures are of the rows learnt from, and too good"))
    console.print()
    simplest = "most frequent class" if model.encoder.classes else "mean"
    console.print(figures_table(result, baseline(model, parts.train, rows), simplest))
    if result.confusion is not None:
        print_confusion(console, result.confusion, model.encoder.classes)
    return result


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path


def _example(source: str) -> str:
    return source if source == DIGITS else "FILE.csv"
