"""Settings of `adjoint train` as plain data, and the option types that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from adjoint import optim
from adjoint.errors import DataError
from adjoint.nn import Module

if TYPE_CHECKING:
    Reader = click.ParamType[Any]
else:
    Reader = click.ParamType  # of which click before 8.4 knows no type arguments

MOMENTUM: Final = 0.9
RATES: Final[Mapping[str, float]] = {"adam": 3e-3, "sgd": 1e-2, "rmsprop": 1e-3}
#: A path for a network of more neurons is likely a slip, and would fill the memory.
MOST_NEURONS: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a person can set about a training."""

    task: str = "auto"
    hidden: tuple[int, ...] = (100,)
    activation: str = "relu"
    loss: str | None = None
    optimizer: str = "adam"
    lr: float | None = None
    momentum: float | None = None
    l1: float = 0.0
    l2: float = 1e-4
    dropout: float = 0.0
    batch_size: int = 32
    epochs: int = 200
    early_stopping: int = 10
    validation: float = 0.2
    seed: int = 0
    compile: bool = True
    class_weight: Any = None
    ignore: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "hidden": list(self.hidden), "ignore": list(self.ignore)}

    def optimizer_of(self, net: Module) -> optim.Optimizer:
        """The optimiser for a network."""
        rate = self.lr or RATES[self.optimizer]
        if self.optimizer == "sgd":
            return optim.SGD(net, rate, momentum=MOMENTUM if self.momentum is None else self.momentum)
        if self.momentum is not None:
            raise DataError(f"--momentum: belongs to the optimiser sgd, got {self.optimizer}; leave it out")
        return optim.Adam(net, rate) if self.optimizer == "adam" else optim.RMSprop(net, rate)


class Sizes(Reader):
    """Sizes of hidden layers: `100`, `100,50`, or `none` for a linear model."""

    name = "sizes"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """As the help shows it."""
        return "N[,N...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The sizes as numbers."""
        if isinstance(value, tuple):
            return value
        if value.strip().lower() == "none":
            return ()
        pieces = value.split(",")
        if not all(piece.strip().isascii() and piece.strip().isdigit() for piece in pieces):
            self.fail(f"expected layer sizes such as 100 or 100,50, or none, got {value!r}", param, ctx)
        sizes = tuple(int(piece) for piece in pieces)
        if not all(1 <= size <= MOST_NEURONS for size in sizes):
            self.fail(f"expected sizes from 1 to {MOST_NEURONS:,}, got {value!r}", param, ctx)
        return sizes


class ClassWeights(Reader):
    """Weights of classes: `balanced`, or `label=weight,label=weight`."""

    name = "weights"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """As the help shows it."""
        return "balanced|A=2,B=1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """ "balanced", or weights by label."""
        if value == "balanced" or not isinstance(value, str):
            return value
        weights: dict[str, float] = {}
        for piece in value.split(","):
            label, equals, weight = piece.rpartition("=")
            if not equals or not _is_number(weight):
                self.fail(f"expected balanced or label=weight, as in a=2,b=1, got {piece!r}", param, ctx)
            weights[label.strip()] = float(weight)
        return weights


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
