"""What is wrong with a graph: dead and saturated units, exploding and vanishing gradients, numbers that are not finite.

Concepts here: the `Finding`, one sentence about one node with its severity, and the measures that it comes from. The
measures know no graph: they take arrays or norms, so that whoever watches a training may ask the same.

A unit is a place along the last axis; the other axes are the batch. Fewer than 8 rows say nothing of a unit: half of
the rows of a healthy rectifier are 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.tensor import Array
from adjoint.view.columns import Columns, kind_of

SEVERITIES: Final = ("error", "warning", "note")
FEWEST_ROWS: Final = 8
NEAR: Final = 0.01  # of the ends of an activation: a unit there is saturated
MANY_DEAD: Final = 0.4
MANY_SATURATED: Final = 0.5
EXPLODING: Final = 1e3  # gradient / weight: a step of 10⁻³ times the gradient would replace the layer
APART: Final = 1e4  # how often larger or smaller than at the last layer a norm may be

#: Ops that are 0 over half of their domain, and the ends of those that are bounded.
_RECTIFIERS: Final = ("relu",)
ENDS: Final[Mapping[str, tuple[float, float]]] = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


class Finding(NamedTuple):
    """What is wrong with a node: a kind that stays the same, a sentence, and how bad it is."""

    kind: str
    node: int
    severity: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """As the document has it."""
        return self._asdict()


# --- measures -------------------------------------------------------------------------------------------------------


def dead_units(out: Array) -> tuple[int, int] | None:
    """How many units are 0 for the whole batch, and how many there are; None of fewer than 8 rows.

    Example
    -------
    >>> out = np.ones((8, 3))
    >>> out[:, 1] = 0.0
    >>> dead_units(out)
    (1, 3)
    """
    rows = _rows(out)
    return None if rows is None else (int(np.sum(~np.any(rows, axis=0))), rows.shape[1])


def saturated_units(out: Array, low: float, high: float) -> tuple[int, int, float] | None:
    """How many units are near an end for the whole batch, how many there are, and which share of all outputs is.

    Near is within 0.01; None of fewer than 8 rows.

    Example
    -------
    >>> out = np.tile([0.999, -0.5], (8, 1))
    >>> saturated_units(out, -1.0, 1.0)
    (1, 2, 0.5)
    """
    rows = _rows(out)
    if rows is None:
        return None
    near = (rows <= low + NEAR) | (rows >= high - NEAR)
    return int(np.sum(np.all(near, axis=0))), rows.shape[1], float(np.mean(near))


def _rows(out: Array) -> Array | None:
    """The batch as rows of units, if there are enough."""
    if out.ndim < 2 or out.size == 0 or out.size // out.shape[-1] < FEWEST_ROWS:
        return None
    return out.reshape(-1, out.shape[-1])


def norm_troubles(gradients: Sequence[float], weights: Sequence[float]) -> Iterator[tuple[int, str]]:
    """The layers whose gradient explodes or vanishes: place and kind.

    Parameters
    ----------
    gradients, weights : numbers
        Norms of each layer, from the first to the last; what is not finite is passed over.

    Yields
    ------
    int, str
        A gradient explodes that is more than 10³ times the weights (or 1, if they are smaller) or 10⁴ times that of
        the last layer, and vanishes below 10⁻⁴ of that of the last layer.

    Example
    -------
    >>> list(norm_troubles([1e-9, 1e-3, 1.0], [1.0, 1.0, 1.0]))
    [(0, 'vanishing gradient')]
    """
    last = next((g for g in reversed(gradients) if np.isfinite(g)), 0.0)
    for place, (gradient, weight) in enumerate(zip(gradients, weights, strict=True)):
        if not np.isfinite(gradient):
            continue
        if gradient > EXPLODING * max(weight, 1.0) or (last > 0 and gradient > APART * last):
            yield place, "exploding gradient"
        elif gradient < last / APART:
            yield place, "vanishing gradient"


def norm(arrays: Sequence[Any]) -> float:
    """√Σ a² over all elements of all arrays, in float64."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(sum(float(np.sum(np.square(np.asarray(a, np.float64)))) for a in arrays)))


def is_finite(x: Any) -> bool:
    """Whether a number or array has no infinite element and none that is no number."""
    if type(x) is float:
        return math.isfinite(x)
    return not (isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f") or bool(np.isfinite(x).all())


# --- of a graph -----------------------------------------------------------------------------------------------------


def findings(columns: Columns) -> list[Finding]:
    """What is wrong with the values and gradients that a graph has now, the worst first.

    Parameters
    ----------
    columns : Columns
        The graph as columns.

    Returns
    -------
    list of Finding

    Example
    -------
    >>> import adjoint as ad
    >>> x = ad.tensor(np.array([[1.0, -2.0]] * 8), name="x")
    >>> y = ad.relu(x).named("y")
    >>> for finding in findings(Columns(y.graph)):
    ...     print(finding.severity, finding.node, finding.text)
    warning 1 y = relu(x): 1 of 2 units are 0 for the whole batch
    """
    found = [*_not_finite(columns), *_units(columns), *_norms(columns)]
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def _not_finite(columns: Columns) -> Iterator[Finding]:
    """The first node whose value, and the last whose gradient, is not finite: where the trouble began."""
    nodes = columns.graph.nodes
    forward = next((place for place, t in enumerate(nodes) if not is_finite(t._value)), None)
    backward = next((place for place, t in reversed(list(enumerate(nodes))) if not is_finite(t._grad)), None)
    for what, place in (("value", forward), ("gradient", backward)):
        if place is not None:
            text = f"{_called(columns, place)}: the first {what} that is not finite"
            yield Finding("not finite", place, "error", text)


def _units(columns: Columns) -> Iterator[Finding]:
    """Dead units of rectifiers, saturated ones of bounded activations."""
    for place, t in enumerate(columns.graph.nodes):
        op = "" if t._rule.op is None else t._rule.op.name
        if op in _RECTIFIERS and (dead := dead_units(t.value)) is not None and dead[0]:
            text = f"{_called(columns, place)}: {dead[0]:,} of {dead[1]:,} units are 0 for the whole batch"
            yield Finding("dead units", place, "warning" if dead[0] > MANY_DEAD * dead[1] else "note", text)
        if op in ENDS and (full := saturated_units(t.value, *ENDS[op])) is not None:
            units, count, share = full
            if units or share > MANY_SATURATED:
                low, high = (f"{end:g}".replace("-", "−") for end in ENDS[op])
                text = f"{units:,} of {count:,} units are saturated, {share:.0%} of the outputs near {low} or {high}"
                severity = "warning" if share > MANY_SATURATED else "note"
                yield Finding("saturation", place, severity, f"{_called(columns, place)}: {text}")


def _norms(columns: Columns) -> Iterator[Finding]:
    """Gradients of the layers beside their weights and beside the last layer's."""
    nodes, layers = columns.graph.nodes, _layers(columns)
    gradients = [norm([nodes[place]._grad for place in places]) for places in layers.values()]
    weights = [norm([nodes[place].value for place in places]) for places in layers.values()]
    for layer, kind in norm_troubles(gradients, weights):
        name, places = list(layers.items())[layer]
        text = f"{name}: gradient of norm {gradients[layer]:.3g}, weights of {weights[layer]:.3g}"
        yield Finding(kind, places[0], "warning", f"{text}, gradient of the last layer {gradients[-1]:.3g}")


def _layers(columns: Columns) -> dict[str, list[int]]:
    """Parameters that have a gradient, by the module that uses them first; those outside of modules by themselves."""
    nodes = columns.graph.nodes
    layers: dict[str, list[int]] = {}
    seen = set()
    for source, target, _ in columns.edges:
        if source in seen or kind_of(nodes[source]) != "parameter" or not _has_gradient(nodes[source]._grad):
            continue
        seen.add(source)
        scope = nodes[target]._scope
        layers.setdefault(columns.labels[source] if scope is None else scope.path, []).append(source)
    return layers


def _has_gradient(g: Any) -> bool:
    return isinstance(g, float | np.ndarray | np.generic)


def _called(columns: Columns, place: int) -> str:
    """A node with its formula."""
    formula = columns.formula(columns.graph.nodes[place])
    return f"{columns.labels[place]} = {formula}" if formula else columns.labels[place]
