"""A trained model as the command line keeps it: network, encoder, and everything that was set and measured.

The description in the file, JSON: `format` "adjoint-train", `version`, `adjoint` (the version that wrote it), `encoder`
(Encoder.to_json), `network` (Architecture.to_json), `loss`, `training` (the settings), `history` (figures by epoch) and
`metrics` (on the validation part). Figures that are not finite are null.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

import adjoint
from adjoint import nn, train
from adjoint.cli.objectives import LOSSES, PROBABILISTIC
from adjoint.data import Encoder, Table
from adjoint.errors import DataError, ModelFileError
from adjoint.formats import Architecture, load_model, rebuild, save_model
from adjoint.tensor import Array

FORMAT: Final = "adjoint-train"
VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class Model:
    """A network with the encoder that it was trained behind."""

    net: nn.Module
    encoder: Encoder
    loss: str

    @property
    def probabilistic(self) -> bool:
        """Whether the scores stand for probabilities."""
        return bool(self.encoder.classes) and self.loss in PROBABILISTIC

    def scores(self, table: Table) -> Array:
        """What the network answers to the rows of a table."""
        scores = train.predict(self.net, self.encoder.encode_features(table))
        if not np.isfinite(scores).all():
            raise DataError(f"{table.source}: the network's answer is not finite; inputs are too far from those seen")
        return scores

    def probabilities(self, scores: Array) -> Array:
        """Scores as probabilities of the classes, shape (n, classes)."""
        return np.asarray(adjoint.softmax(scores.astype(np.float64), axis=1))


def save(path: str | os.PathLike[str], model: Model, architecture: Architecture, about: dict[str, Any]) -> None:
    """Write a model; `about` holds training, history and metrics."""
    description = {
        "format": FORMAT,
        "version": VERSION,
        "adjoint": adjoint.__version__,
        "encoder": model.encoder.to_json(),
        "network": architecture.to_json(),
        "loss": model.loss,
        **about,
    }
    save_model(path, model.net, _json_clean(description))


def load(path: str | os.PathLike[str]) -> tuple[Model, dict[str, Any]]:
    """A model that `adjoint train` wrote, with its description; ModelFileError for everything else."""
    arrays, description = load_model(path)
    name = os.fspath(path)
    if description.get("format") != FORMAT:
        raise ModelFileError(
            f"{name}: expected a model that adjoint train wrote, got one that a program saved; load it with "
            "adjoint.formats.load_model"
        )
    if description.get("version") != VERSION:
        got = f"{description.get('version')!r:.20}"
        raise ModelFileError(f"{name}: expected version {VERSION}, got {got}; it was written by another adjoint")
    try:
        encoder = Encoder.from_json(description.get("encoder") or {})
        net = rebuild(description, arrays)
    except (DataError, ModelFileError) as error:
        raise ModelFileError(f"{name}: {error}") from None
    if (net_sizes := _ends(description)) != (encoder.n_inputs, encoder.n_outputs):
        raise ModelFileError(
            f"{name}: expected a network of {encoder.n_inputs} inputs and {encoder.n_outputs} outputs, as the encoder "
            f"has, got {net_sizes[0]} and {net_sizes[1]}; the file is damaged"
        )
    loss = description.get("loss")
    if loss not in LOSSES[encoder.task]:
        raise ModelFileError(f"{name}: expected a loss for a {encoder.task}, got {loss!r:.40}; the file is damaged")
    return Model(net, encoder, loss), description


def _ends(description: dict[str, Any]) -> tuple[int, int]:
    sizes = Architecture.from_json(description["network"]).sizes
    return sizes[0], sizes[-1]


def _json_clean(value: Any) -> Any:
    """Plain JSON values; a number that is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): _json_clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_clean(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
