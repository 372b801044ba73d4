"""What the studio is handed by the command line: expressions, trainings and models, from requests as plain data.

A request of a training names a source (`digits`, a set of points in the plane, or a table's path) and settings; what it
leaves out is as `DEFAULTS` has it. Every setting is looked at before anything of its size is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.cli import model as models
from adjoint.cli.evaluation import build
from adjoint.cli.expression import parse
from adjoint.cli.objectives import LOSSES, Loss, loss_function, penalty
from adjoint.cli.settings import RATES, Settings
from adjoint.cli.sources import DIGITS, Parts, training_rows
from adjoint.cli.train import Plan
from adjoint.data import Encoder, Table, split
from adjoint.data.features import NumberFeature
from adjoint.errors import DataError
from adjoint.formats import ACTIVATIONS, Architecture
from adjoint.nn import Module
from adjoint.tensor import Array
from adjoint.view.document import Document, document
from adjoint.view.recorder import MOST_WEIGHTS, Plane
from adjoint.view.server.placeless import placeless
from adjoint.view.server.sets import SETS
from adjoint.view.server.tools import Task, Tools

CLASS: Final = "class"
MOST_LAYERS: Final = 8
MOST_NEURONS: Final = 2000  # of a layer that is looked at while it learns


class Field(NamedTuple):
    """A setting of a request: what it is if left out, what it may be, and that in words."""

    default: Any
    fits: Callable[[Any], bool]
    words: str


def _real(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _among(choices: tuple[str, ...]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in choices


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_LAYERS and all(map(_whole(1, MOST_NEURONS), value))


_LOSSES: Final = tuple(dict.fromkeys(loss for losses in LOSSES.values() for loss in losses))

FIELDS: Final[Mapping[str, Field]] = {
    "source": Field("spiral", lambda value: isinstance(value, str) and 0 < len(value) <= 4096, "a name or a path"),
    "target": Field(None, lambda value: value is None or isinstance(value, str), "the name of a column"),
    "hidden": Field([32, 32], _is_sizes, f"at most {MOST_LAYERS} sizes of layers from 1 to {MOST_NEURONS:,}"),
    "activation": Field("relu", _among(ACTIVATIONS), f"one of {', '.join(ACTIVATIONS)}"),
    "loss": Field(
        None,
        lambda value: value is None or _among(_LOSSES)(value),
        f"one of {', '.join(_LOSSES)}",
    ),
    "optimizer": Field("adam", _among(tuple(RATES)), f"one of {', '.join(RATES)}"),
    "lr": Field(None, lambda value: value is None or _real(1e-12, 1e6)(value), "a positive number"),
    "l2": Field(1e-4, _real(0, 1e3), "a number from 0 on"),
    "dropout": Field(0.0, _real(0, 0.99), "a number from 0 to below 1"),
    "batch_size": Field(32, _whole(1, 100_000), "a whole number from 1 on"),
    "epochs": Field(100, _whole(1, 100_000), "a whole number from 1 to 100,000"),
    "validation": Field(0.2, _real(0, 0.9), "a share from 0 to 0.9"),
    "seed": Field(0, _whole(0, 2**32 - 1), "a whole number from 0 on"),
    "points": Field(300, _whole(30, 5000), "a whole number from 30 to 5,000"),
    "noise": Field(0.15, _real(0, 2), "a number from 0 to 2"),
    "pace": Field(0.0, _real(0, 1000), "steps a second from 0 (as many as can be) to 1,000"),
    "run": Field(False, lambda value: isinstance(value, bool), "true or false"),
}
#: Fields that are settings of `adjoint train`, too.
_SETTINGS: Final = (
    *("activation", "loss", "optimizer", "lr", "l2", "dropout", "batch_size", "epochs", "validation", "seed"),
)


def tools() -> Tools:
    """The functions that the studio calls."""
    choices = {
        "sources": [*SETS, DIGITS],
        "activations": list(ACTIVATIONS),
        "losses": list(_LOSSES),
        "optimizers": dict(RATES),
        "defaults": {name: field.default for name, field in FIELDS.items()},
    }
    return Tools(lambda text: list(parse(text).variables), build, task, rebuilt, model, choices)


def task(request: Mapping[str, Any]) -> Task:
    """The training that a request describes; DataError for what is wrong with it."""
    wishes = _checked(request)
    settings = Settings(hidden=tuple(wishes["hidden"]), **{name: wishes[name] for name in _SETTINGS})
    parts = _parts(wishes, settings)
    made = task_of(Plan.of(parts, settings), Path(wishes["source"]).stem)
    return Task(**{**vars(made), "pace": float(wishes["pace"]), "about": wishes})


def _checked(request: Mapping[str, Any]) -> dict[str, Any]:
    """A value for every field."""
    for name in request:
        if name not in FIELDS:
            raise DataError(f"training: expected settings among {', '.join(FIELDS)}, got {name[:40]!r}")
    wishes = {name: request.get(name, field.default) for name, field in FIELDS.items()}
    for name, field in FIELDS.items():
        if not field.fits(wishes[name]):
            raise DataError(f"training: expected {field.words} as {name}, got {wishes[name]!r:.60}")
    return wishes


def _parts(wishes: Mapping[str, Any], settings: Settings) -> Parts:
    source = wishes["source"]
    if source not in SETS:
        return training_rows(source, wishes["target"], settings)
    points = SETS[source](wishes["points"], wishes["noise"], settings.seed)
    table = Table.of({"x1": points.x[:, 0], "x2": points.x[:, 1], CLASS: points.y}, source=source)
    train, held = split(table.rows, settings.validation, settings.seed, stratify=points.y.tolist())
    return Parts(table.take(train), table.take(held) if len(held) else None, CLASS, "classification")


def task_of(plan: Plan, title: str) -> Task:
    """A plan of `adjoint train` as the studio takes it."""
    encoder, settings, parts = plan.model.encoder, plan.settings, plan.parts
    x, y = encoder.encode(parts.train)
    assert y is not None, "rows to train on have a target"
    held = None if parts.held is None else encoder.encode(parts.held)
    return Task(
        title=title,
        net=plan.model.net,
        another=lambda: plan.architecture.build(settings.seed),
        loss=loss_function(plan.model.loss, encoder),
        optimizer=plan.optimizer,
        x=x,
        y=y,
        held=None if held is None or held[1] is None else (held[0], held[1]),
        regularizer=penalty(settings.l1, settings.l2),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        classes=tuple(map(str, encoder.classes)),
        plane=_plane(plan, y),
        about=settings.to_json(),
        network={
            "encoder": encoder.to_json(),
            "network": plan.architecture.to_json(),
            "loss": plan.model.loss,
        },
    )


def rebuilt(description: Mapping[str, Any]) -> tuple[Module, Loss]:
    """Network and loss from the description in a run log; AdjointError if it is damaged."""
    architecture = Architecture.from_json(description.get("network"))
    if architecture.count > MOST_WEIGHTS:
        raise DataError(f"run: expected a network of at most {MOST_WEIGHTS:,} parameters, got {architecture.count:,}")
    encoder = Encoder.from_json(description.get("encoder") or {})
    name = description.get("loss")
    if name not in LOSSES[encoder.task]:
        raise DataError(f"run: expected a loss for a {encoder.task}, got {name!r:.40}")
    return architecture.build(), loss_function(name, encoder)


def _plane(plan: Plan, labels: Array) -> Plane | None:
    """The plane of the data, if they have two features, both numbers."""
    encoder, table = plan.model.encoder, plan.parts.train
    if encoder.n_inputs != 2 or len(encoder.features) != 2:
        return None
    if not all(isinstance(feature, NumberFeature) for feature in encoder.features):
        return None
    first, second = (feature.name for feature in encoder.features)

    def encode(points: Array) -> Array:
        return encoder.encode_features(Table.of({first: points[:, 0], second: points[:, 1]}))

    points = np.stack([np.asarray(table[first], np.float64), np.asarray(table[second], np.float64)], axis=1)
    return Plane((first, second), points, labels, encode)


def model(path: str) -> Document:
    """The graph of a model that `adjoint train` wrote, for a row of mean values, with the history of its training."""
    loaded, description = models.load(path)
    history = description.get("history")
    series = {
        name: [math.nan if value is None else float(value) for value in column]
        for name, column in (history.items() if isinstance(history, dict) else ())
        if isinstance(column, list) and all(value is None or type(value) in (int, float) for value in column)
    }
    row = np.zeros((1, loaded.encoder.n_inputs), np.float32)
    runs = {Path(path).name: series} if series else None
    return placeless(document(loaded.net, row, detail="histograms", runs=runs))
