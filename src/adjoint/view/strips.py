"""What a network looks like at one moment of its training: a strip of figures per layer, and what is wrong with them.

Concepts here: the `Probe`, which runs network, loss and optimiser on rows that stay the same for the whole training;
the `Look`, what it saw; `Findings`, which says each trouble once, when it begins.

Invariant: looking changes nothing. The probe runs in evaluation mode, so that it draws no random number, takes a step
of the optimiser to see how far it goes, and puts network and optimiser back as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.graph import Graph
from adjoint.leaves import Parameter, constant
from adjoint.nn import Module
from adjoint.optim import Optimizer
from adjoint.tensor import Array, Tensor
from adjoint.train.checks import Loss
from adjoint.train.evaluation import switched
from adjoint.train.fit import Snapshot
from adjoint.train.step import Regularizer
from adjoint.view.findings import (
    ENDS,
    MANY_DEAD,
    MANY_SATURATED,
    dead_units,
    norm,
    norm_troubles,
    saturated_units,
)
from adjoint.view.runs import STRIPS, number

ROWS: Final = 256

Strip = dict[str, float | int | None]


class Layer(NamedTuple):
    """A module that computes something itself: its path as pictures have it, and its own parameters by their paths."""

    path: str
    module: Module
    parameters: Mapping[str, Parameter]

    @property
    def type(self) -> str:
        """Name of its class."""
        return type(self.module).__name__


class Look(NamedTuple):
    """What a probe saw: the number of steps taken before, a strip per layer, and the recorded loss."""

    step: int
    strips: tuple[Strip, ...]
    loss: Tensor

    def record(self) -> dict[str, Any]:
        """As the run log has it."""
        columns = {name: [_entry(strip[name]) for strip in self.strips] for name in STRIPS}
        return {"kind": "strips", "step": self.step, **columns}


def _entry(value: float | int | None) -> Any:
    return value if value is None or type(value) is int else number(value)


class Probe:
    """Network, loss and optimiser, watched on some rows.

    Parameters
    ----------
    net : Module
    loss : function (output, y) -> one number
    optimizer : Optimizer of the same network
    x, y : arrays with equally many rows
        At most 256 of them, evenly spread, are looked at.
    regularizer : function net -> one number, optional
        As in `train.fit`.

    Example
    -------
    >>> import adjoint as ad, numpy as np
    >>> net = ad.nn.Sequential(ad.nn.Linear(2, 3), ad.nn.Tanh(), ad.nn.Linear(3, 1))
    >>> probe = Probe(net, ad.nn.squared_loss, ad.optim.SGD(net, lr=0.1), np.ones((4, 2)), np.ones((4, 1)))
    >>> [layer.type for layer in probe.layers], [sorted(layer.parameters) for layer in probe.layers][1:]
    (['Linear', 'Tanh', 'Linear'], [[], ['layers.2.bias', 'layers.2.weight']])
    >>> look = probe.look()
    >>> look.step, look.strips[1]["gradient"], look.strips[0]["gradient"] > 0
    (0, None, True)

    Source: CS231n 2017, lecture 6, "babysitting the learning process": the ratio of updates to weights should be
    about 10⁻³.
    """

    def __init__(
        self, net: Module, loss: Loss, optimizer: Optimizer, x: Any, y: Any, *, regularizer: Regularizer | None = None
    ) -> None:
        chosen = np.unique(np.linspace(0, len(x) - 1, min(ROWS, len(x))).astype(int))
        self.net, self.loss, self.optimizer, self.regularizer = net, loss, optimizer, regularizer
        self.x, self.y = np.asarray(x)[chosen], np.asarray(y)[chosen]
        self.layers = _layers(net, forward(net, loss, self.x, self.y)[0])

    def look(self) -> Look:
        """See the strips of this moment."""
        before, kept = Snapshot(self.net, self.optimizer), self._gradients()
        step = int(self.optimizer.steps.value)
        try:
            with np.errstate(all="ignore"):
                output, loss = forward(self.net, self.loss, self.x, self.y)
                objective = loss if self.regularizer is None else loss + self.regularizer(self.net)
                objective.backward()
                gradients = self._gradients()
                self.optimizer.step()
                updates = {path: p.value - before.arrays[path] for path, p in self.net.parameters().items()}
                ends = {id(module): node for module, node in _ends(output)}
                strips = tuple(
                    _strip(layer, ends[id(layer.module)], gradients, updates, before.arrays) for layer in self.layers
                )
        finally:
            before.restore(self.net, self.optimizer)
            for path, parameter in self.net.parameters().items():
                parameter._grad = kept[path]
        return Look(step, strips, loss)

    def _gradients(self) -> dict[str, Any]:
        return {path: parameter._grad for path, parameter in self.net.parameters().items()}


def forward(net: Module, loss: Loss, x: Array, y: Array) -> tuple[Tensor, Tensor]:
    """Output and loss of some rows, recorded, in evaluation mode."""
    with switched(net, training=False), np.errstate(all="ignore"):
        output = net(constant(x, name="x"))
        value: Tensor = loss(output, y)
    return output, value if value.name else value.named("loss")


def _layers(net: Module, output: Tensor) -> tuple[Layer, ...]:
    """The layers in the order in which they compute."""
    paths = {id(module): path for path, module in net.modules().items()}
    return tuple(
        Layer(f"{net.name}.{path}" if path else net.name, module, _own(path, module))
        for module, _ in _ends(output)
        if (path := paths.get(id(module))) is not None
    )


def _own(path: str, module: Module) -> dict[str, Parameter]:
    """The parameters that are attributes of a module itself, by path from the network."""
    return {
        f"{path}.{name}" if path else name: value
        for name, value in vars(module).items()
        if isinstance(value, Parameter)
    }


def _ends(output: Tensor) -> Iterator[tuple[Module, Tensor]]:
    """Each module that has ops of its own, with the last of them, ordered by the first."""
    last: dict[int, tuple[Module, Tensor]] = {}
    for node in Graph(output).nodes:
        if node._rule.op is not None and node._scope is not None:
            last[id(node._scope.module)] = (node._scope.module, node)
    yield from last.values()


# --- figures --------------------------------------------------------------------------------------------------------


def _strip(
    layer: Layer,
    end: Tensor,
    gradients: Mapping[str, Any],
    updates: Mapping[str, Array],
    weights: Mapping[str, Array],
) -> Strip:
    active = np.asarray(end.value, np.float64)
    finite = active[np.isfinite(active)]
    mine = [gradients[path] for path in layer.parameters if gradients[path] is not None]
    arrays = [active, *mine, *(weights[path] for path in layer.parameters)]
    ratio = norm([updates[path] for path in layer.parameters]) / (norm([weights[p] for p in layer.parameters]) or 1.0)
    return {
        "gradient": norm(mine) if mine else None,
        "update": ratio if mine else None,
        "mean": float(finite.mean()) if finite.size else None,
        "spread": float(finite.std()) if finite.size else None,
        "dead": None if layer.parameters else _dead(active),
        "saturated": _saturated(end, active),
        "infinite": sum(int(np.size(a) - np.isfinite(a).sum()) for a in arrays),
    }


def _dead(active: Array) -> float | None:
    """The share of units that are 0 for every row; None of too few rows to tell."""
    found = dead_units(active)
    return None if found is None else found[0] / found[1]


def _saturated(end: Tensor, active: Array) -> float | None:
    """The share of activations near an end; None of a function that has no ends, and of too few rows to tell."""
    op = end._rule.op
    ends = ENDS.get(op.name) if op is not None else None
    found = None if ends is None else saturated_units(active, *ends)
    return None if found is None else found[2]


# --- findings -------------------------------------------------------------------------------------------------------


class Findings:
    """What goes wrong in a training; each trouble of a layer is said when it begins, and again if it comes back."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers
        self.known: set[tuple[int, str]] = set()

    def of(self, look: Look) -> list[dict[str, Any]]:
        """The records of what is new."""
        now = {(place, what): text for place, what, text in self._troubles(look)}
        new = [key for key in now if key not in self.known]
        self.known = set(now)
        return [
            {"kind": "finding", "step": look.step, "layer": place, "what": what, "text": now[place, what]}
            for place, what in new
        ]

    def _troubles(self, look: Look) -> Iterator[tuple[int, str, str]]:
        for place, strip in enumerate(look.strips):
            name = self.layers[place].path
            dead, saturated = _finite(strip["dead"]), _finite(strip["saturated"])
            if strip["infinite"]:
                yield place, "not finite", f"{name}: {strip['infinite']:,} numbers are not finite"
            if dead > MANY_DEAD:
                yield place, "dead units", f"{name}: {dead:.0%} of the units are 0 for every row"
            if saturated > MANY_SATURATED:
                yield place, "saturation", f"{name}: {saturated:.0%} of the activations are where the slope is near 0"
        yield from self._norms(look)

    def _norms(self, look: Look) -> Iterator[tuple[int, str, str]]:
        """Layers with parameters whose gradient explodes or vanishes."""
        places = [place for place, strip in enumerate(look.strips) if strip["gradient"] is not None]
        gradients = [float(look.strips[place]["gradient"] or 0.0) for place in places]
        weights = [norm([p.value for p in self.layers[place].parameters.values()]) for place in places]
        for which, what in norm_troubles(gradients, weights):
            sizes = f"gradient of norm {gradients[which]:.3g}, weights of {weights[which]:.3g}"
            yield places[which], what, f"{self.layers[places[which]].path}: {sizes}"


def _finite(value: float | None) -> float:
    return 0.0 if value is None or not np.isfinite(value) else float(value)
