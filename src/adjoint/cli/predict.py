"""`adjoint predict`: a model and a table in, a CSV table of predictions out.

The table may lack the target column and have others that the model does not know. Where the target column is there, how
good the predictions are is said on stderr: stdout holds the predictions and nothing else.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from adjoint.cli import HELP
from adjoint.cli import model as models
from adjoint.cli.scoring import score
from adjoint.cli.sources import DIGIT, DIGITS, digits_tables, named_table
from adjoint.data import Table, read_table
from adjoint.errors import AdjointError, DataError
from adjoint.formats import write_atomically
from adjoint.tensor import Array


@click.command(context_settings=HELP)
@click.argument("model_file", metavar="MODEL")
@click.argument("source", metavar="FILE|digits")
@click.option("--output", "-o", metavar="OUT.csv", help="Write to a file, whole or not at all, instead of stdout.")
@click.option("--probabilities/--no-probabilities", default=None, help="A column for each class. Default: where known.")
def predict(model_file: str, source: str, output: str | None, probabilities: bool | None) -> None:
    """Predict every row of FILE (CSV or Parquet) with MODEL, which `adjoint train` wrote.

    Prints CSV: `prediction`, and for a classifier `probability_CLASS` for each class. The word `digits` stands for the
    digits that were held out when the model was trained.
    """
    _check_output(output, model_file, source)
    model, description = models.load(model_file)
    if probabilities and not model.probabilistic:
        raise DataError(f"--probabilities: {_why_none(model)}")
    table = _table(model, description, source)
    scores = model.scores(table)
    with_probabilities = model.probabilistic if probabilities is None else probabilities
    _write(_csv(model, scores, with_probabilities), output)
    if output is not None:
        click.echo(f"{table.rows:,} predictions written to {output}", err=True)
    if model.encoder.target.name in table.columns:
        click.echo(_verdict(model, table, source), err=True)


def _check_output(output: str | None, *inputs: str) -> None:
    if output is None:
        return
    if Path(output).suffix.lower() in (".parquet", ".pq"):
        raise DataError(f"--output: expected a name ending in .csv, since CSV is written, got {output!r}")
    if not Path(output).resolve().parent.is_dir() or Path(output).is_dir():
        raise DataError(f"--output: expected a file in a folder that exists, got {output!r}")
    for given in inputs:
        if os.path.exists(given) and os.path.exists(output) and os.path.samefile(given, output):
            raise DataError(f"--output: {output} is read from; choose another name")


def _why_none(model: models.Model) -> str:
    if not model.encoder.classes:
        return "a regression has none"
    return f"a model trained with the loss {model.loss} gives scores that are no probabilities"


def _table(model: models.Model, description: dict[str, Any], source: str) -> Table:
    """The rows; features must be of the kinds learnt, the target may be anything, since it is not needed."""
    target = model.encoder.target.name
    if source != DIGITS:
        return named_table(source, {name: kind for name, kind in model.encoder.kinds.items() if name != target})
    training = description.get("training")
    share, seed = (training.get(key) for key in ("validation", "seed")) if isinstance(training, dict) else (None, None)
    if target != DIGIT or not isinstance(share, int | float) or not isinstance(seed, int):
        raise DataError("digits: expected a model trained on the digits, got another; name a file")
    if not 0 < share < 1 or seed < 0:
        raise DataError("digits: expected a model trained with digits held out, got one that learnt from all of them")
    return digits_tables(share, seed)[1]


def _csv(model: models.Model, scores: Array, with_probabilities: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = model.encoder.classes if with_probabilities else ()
    writer.writerow(["prediction", *(f"probability_{_cell(label)}" for label in classes)])
    chances = model.probabilities(scores) if with_probabilities else scores[:, :0]
    answers = model.encoder.decode(scores).tolist()
    writer.writerows(_rows(answers, chances))
    return text.getvalue()


def _rows(answers: list[Any], chances: Array) -> Iterator[list[str]]:
    for answer, row in zip(answers, chances.tolist(), strict=True):
        yield [_cell(answer), *(f"{p:.6g}" for p in row)]


def _cell(value: Any) -> str:
    """A value as the table it came from would have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _write(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_atomically(output, text.encode())
    except OSError as error:
        raise DataError(f"--output: {output} cannot be written: {error.strerror or error}") from None


def _verdict(model: models.Model, table: Table, source: str) -> str:
    """How good the predictions are, where the answers are known, or why that cannot be said."""
    target = model.encoder.target
    try:
        if table.kinds[target.name] != target.kind and source != DIGITS:
            table = read_table(source, kinds=model.encoder.kinds)  # as text: 01 and 1 are two labels then
        known = table.drop_missing(target.name)
        if known.rows == 0:
            return f"column {target.name!r} is empty: no score"
        return f"on the {known.rows:,} rows with a value of {target.name!r}: {score(model, known).in_words()}"
    except AdjointError as error:
        return f"column {target.name!r} cannot be compared with the predictions: {error}"
