"""`adjoint export`: a trained network as machine code for C, which needs neither Python nor this library.

The encoder goes with the network: the function takes the numbers of a table's row as they are (texts by their code in
the header), and gives what `adjoint predict` prints as probabilities or as the answer of a regression. What `predict`
refuses, such as an infinite number, goes through here: C gets the NaN that comes of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np

import adjoint
from adjoint.cli import HELP, Mistake
from adjoint.cli import model as models
from adjoint.cli.predict import _cell
from adjoint.compiler.export import LIBRARY_SUFFIX, Exported, export_native, is_exported
from adjoint.data import Encoder
from adjoint.data.features import NumberFeature, TextFeature
from adjoint.data.targets import NumberTarget
from adjoint.errors import DataError

NAME: Final = "predict"


@click.command(context_settings=HELP | {"show_default": True})
@click.argument("model_file", metavar="MODEL")
@click.option("--native", is_flag=True, show_default=False, help="As machine code of this kind of CPU.")
@click.option("--output", "-o", metavar="FOLDER", default=".", help="Where the files go.")
@click.option("--name", metavar="NAME", default=NAME, help="Name of the C function and of the files.")
@click.option("--batch", type=click.IntRange(1), default=1, help="Rows for each call.")
@click.option("--force", is_flag=True, show_default=False, help="Overwrite files that no export has written.")
def export(model_file: str, native: bool, output: str, name: str, batch: int, force: bool) -> None:
    """Write MODEL, which `adjoint train` wrote, as machine code that C can call.

    There will be an object file NAME.o, its header NAME.h and, where there is a C compiler, a shared library NAME.so.
    The header says what to pass in which order.

    \b
      adjoint export --native iris.adjoint.safetensors
      cc program.c predict.o
    """
    if not native:
        raise Mistake("adjoint export: expected --native, the one form that there is; add it")
    model, _ = models.load(model_file)
    _check_output(Path(output), name, model_file, force)
    row = np.zeros((batch, len(model.encoder.features)))
    about = "\n".join(_about(model, Path(model_file).name))
    try:
        files = export_native(_answer(model), [row], output, name, about=about, texts=_texts(model.encoder))
    except OSError as error:
        raise DataError(f"--output: {output} cannot be written to: {error.strerror or error}") from None
    click.echo(_said(files))


def _check_output(folder: Path, name: str, model_file: str, force: bool) -> None:
    """Refuse before anything is made."""
    if not folder.is_dir():
        raise DataError(f"--output: expected a folder that exists, got {str(folder)!r}")
    if not os.access(folder, os.W_OK):
        raise DataError(f"--output: expected a folder that can be written to, got {str(folder)!r}")
    paths = [folder / f"{name}{suffix}" for suffix in (".o", ".h", LIBRARY_SUFFIX)]
    for path in (path for path in paths if path.exists()):
        if path.is_dir():
            raise DataError(f"--name: expected a name for files, got that of the folder {str(path)!r}")
        if path.samefile(model_file):
            raise DataError(f"--name: {path} is the model; choose another name")
        if not force and not is_exported(paths[1]):
            raise DataError(f"--name: {path} is there and not of an export; choose another name, or add --force")


def _said(files: Exported) -> str:
    written = [str(path) for path in files if path is not None]
    missing = [] if files.library else ["no C compiler (cc) is found here, so there is no shared library"]
    return "\n".join([f"written: {', '.join(written)}", *missing, f"next:    cc program.c {files.object}"])


# --- the function -----------------------------------------------------------------------------------------------------


def _answer(model: models.Model) -> Callable[[Any], Any]:
    """From rows as the table has them to what `predict` says of them."""
    encode = _Columns.of(model.encoder)

    def answer(row: Any) -> Any:
        scores = model.net(encode(row)).astype(np.float64)
        target = model.encoder.target
        if isinstance(target, NumberTarget):
            return scores.reshape(-1) * target.scale + target.mean
        return adjoint.softmax(scores, axis=1) if model.probabilistic else scores

    return answer


class _Column(NamedTuple):
    """One encoded column: which number of the row it looks at, and what it says of it.

    `says` is "number", "code", "unknown" or "missing"; `codes` counts the categories, and `missing_apart` says whether
    a missing text has a column of its own.
    """

    source: int
    says: str
    mean: float = 0.0
    scale: float = 1.0
    code: int = 0
    codes: int = 0
    missing_apart: bool = False


class _Columns(NamedTuple):
    """All encoded columns, property by property: arrays of shape (n_inputs,)."""

    source: Any
    says: Any
    mean: Any
    scale: Any
    code: Any
    codes: Any
    missing_apart: Any

    @classmethod
    def of(cls, encoder: Encoder) -> _Columns:
        return cls(*map(np.array, zip(*_columns(encoder), strict=True)))

    def __call__(self, row: Any) -> Any:
        """What `Encoder.encode_features` makes of the rows, as a graph."""
        x = row[:, self.source]
        missing = adjoint.isnan(x)
        number = adjoint.where(missing, 0.0, (x - self.mean) / self.scale)
        known = (x >= 0) & (x < self.codes) & (adjoint.floor(x) == x)
        unknown = ~known & ~(missing & self.missing_apart)
        hot = adjoint.where(
            self.says == "code", x == self.code, adjoint.where(self.says == "missing", missing, unknown)
        )
        return adjoint.where(self.says == "number", number.astype(np.float32), hot.astype(np.float32))


def _columns(encoder: Encoder) -> Iterator[_Column]:
    for source, feature in enumerate(encoder.features):
        if isinstance(feature, NumberFeature):
            yield _Column(source, "number", feature.mean, feature.scale)
            apart = feature.indicator
        else:
            codes, apart = len(feature.categories), feature.missing
            for code in range(codes):
                yield _Column(source, "code", code=code)
            yield _Column(source, "unknown", codes=codes, missing_apart=apart)
        if apart:
            yield _Column(source, "missing")


# --- what the header says ---------------------------------------------------------------------------------------------


def _about(model: models.Model, file: str) -> Iterator[str]:
    encoder = model.encoder
    yield f"The network of {file}. Each row has {len(encoder.features)} numbers, as in the table:"
    for place, feature in enumerate(encoder.features):
        yield f"  row[{place}]: {feature.name}, {_KINDS[feature.kind]}"
        if isinstance(feature, TextFeature):
            yield f"    {', '.join(f'{code} {text}' for code, text in enumerate(feature.categories))}"
    yield "A number that is NaN counts as missing; a text whose code is not in its list, as unknown."
    if isinstance(encoder.target, NumberTarget):
        yield f"out: {encoder.target.name} for each row"
        return
    what = "probability" if model.probabilistic else "score (no probability; the largest counts)"
    yield f"out: for each row the {what} of each {encoder.target.name}:"
    yield f"    {', '.join(f'{i} {_cell(label)}' for i, label in enumerate(encoder.classes))}"


_KINDS: Final = {"number": "a number", "boolean": "0 or 1", "text": "a text, by its code"}


def _texts(encoder: Encoder) -> dict[str, list[str]]:
    """Names of the classes, and of the categories of each text, as arrays for C."""
    texts = {f"texts_{i}": list(x.categories) for i, x in enumerate(encoder.features) if isinstance(x, TextFeature)}
    return {"classes": [_cell(label) for label in encoder.classes], **texts}
