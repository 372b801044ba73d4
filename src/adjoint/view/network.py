"""The layers of a network as the lecture draws them: a column of circles for each, and a wire for each weight.

The layers are those that `layers.py` finds. One of their neurons is drawn by `neuron`, its activation by `activation`,
and the gates behind them by `svg`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from adjoint.nn import Module
from adjoint.tensor import Array
from adjoint.view.digits import number
from adjoint.view.layers import Layer, layers
from adjoint.view.sketch import Path, page, sign, thickness
from adjoint.view.svg import label
from adjoint.view.tokens import width

MOST_UNITS: Final = 8  # circles of a layer; of more, some are left out
_RADIUS: Final = 16
_ROW: Final = 44
_COLUMN: Final = 150
_TOP: Final = 44


def network(module: Module, x: Any, path: Path = None, *, theme: str = "auto") -> str:
    """The layers of a network as SVG: a circle for each unit, a wire for each weight.

    Parameters
    ----------
    module : Module
    x : array of shape (n, n_in) or (n_in,)
        A batch; where layers are small, the numbers of its first row stand in the circles.
    path : path, optional
        A file to write as well, whole or not at all.
    theme : "auto", "light" or "dark"

    Returns
    -------
    str
        One `svg` element; of a layer of more than 8 units the first and the last are drawn.

    Raises
    ------
    AdjointError
        Nothing in the module is a matrix product with a parameter.
    OSError
        The file cannot be written.

    Example
    -------
    >>> import adjoint as ad
    >>> net = ad.nn.Sequential(ad.nn.Linear(3, 4), ad.nn.Tanh(), ad.nn.Linear(4, 2))
    >>> drawn = network(net, np.ones(3))
    >>> "3-4-2: 2-layer network = 1 hidden layer" in drawn, "6 neurons, 20 weights + 6 biases = 26 parameters" in drawn
    (True, True)

    Source: CS231n 2017, lecture 4, "neural networks: architectures".
    """
    found = layers(module, x)
    columns = [found[0].inputs, *(layer.outputs for layer in found)]
    sizes = [column.shape[1] for column in columns]
    rows = [_shown(size) for size in sizes]
    high = _TOP + max(map(len, rows)) * _ROW
    wide = max(2 * 70 + (len(sizes) - 1) * _COLUMN, width(_caption(sizes)) + 40, width(_count(found)) + 40)
    left = (wide - (len(sizes) - 1) * _COLUMN) // 2
    places = [_heights(shown, high) for shown in rows]
    lines = [
        *(line for at, layer in enumerate(found) for line in _weights(layer, places[at : at + 2], left + at * _COLUMN)),
        *(line for at, column in enumerate(columns) for line in _units(column, places[at], left + at * _COLUMN)),
        *(line for at, name in enumerate(_titles(found)) for line in _title(name, left + at * _COLUMN)),
        label(wide // 2, high + 34, _caption(sizes), "middle"),
        label(wide // 2, high + 54, _count(found), "middle muted small"),
    ]
    said = [
        f"{name}: {size:,} {'unit' if size == 1 else 'units'}."
        for name, size in zip(_titles(found), sizes, strict=True)
    ]
    return page(wide, high + 74, f"Network {_caption(sizes)}", " ".join(said), lines, theme, path)


def _caption(sizes: Sequence[int]) -> str:
    """The lecture's two ways to count: layers with weights, and hidden layers."""
    hidden = len(sizes) - 2
    counted = f"{hidden} hidden {'layer' if hidden == 1 else 'layers'}" if hidden else "no hidden layer"
    return f"{'-'.join(map(str, sizes))}: {hidden + 1}-layer network = {counted}"


def _count(found: Sequence[Layer]) -> str:
    neurons = sum(layer.weight.shape[1] for layer in found)
    weights = sum(layer.weight.size for layer in found)
    biases = sum(layer.bias.size for layer in found if layer.bias is not None)
    return f"{neurons:,} neurons, {weights:,} weights + {biases:,} biases = {weights + biases:,} parameters"


def _titles(found: Sequence[Layer]) -> list[str]:
    """What the columns are called."""
    hidden = [f"hidden layer {place}" if len(found) > 2 else "hidden layer" for place in range(1, len(found))]
    names = ["input layer", *hidden, "output layer"]
    kinds = ["", *(layer.activation for layer in found)]
    return [f"{name}, {kind}" if kind else name for name, kind in zip(names, kinds, strict=True)]


def _title(name: str, x: int) -> Iterator[str]:
    for place, text in enumerate(name.split(", ")):
        yield label(x, 18 + 14 * place, text, "middle muted small")


def _shown(size: int) -> list[int]:
    """The units that are drawn; −1 where some are left out."""
    if size <= MOST_UNITS:
        return list(range(size))
    return [*range(MOST_UNITS - 3), -1, size - 2, size - 1]


def _heights(shown: Sequence[int], high: int) -> list[tuple[int, int]]:
    """Units with their heights, in the middle of the picture."""
    top = _TOP + (high - _TOP - len(shown) * _ROW) // 2 + _ROW // 2
    return [(unit, top + place * _ROW) for place, unit in enumerate(shown)]


def _weights(layer: Layer, places: Sequence[Sequence[tuple[int, int]]], x: int) -> Iterator[str]:
    """A wire for each weight between units that are drawn."""
    largest = float(np.max(np.abs(layer.weight), initial=0.0)) or 1.0
    for source, start in places[0]:
        for target, end in places[1]:
            if source < 0 or target < 0:
                continue
            weight = float(layer.weight[source, target])
            path = f"M{x + _RADIUS} {start}L{x + _COLUMN - _RADIUS} {end}"
            yield f'<path class="weight {sign(weight)}" stroke-width="{thickness(weight, largest)}" d="{path}"/>'


def _units(column: Array, places: Sequence[tuple[int, int]], x: int) -> Iterator[str]:
    """A circle for each unit, with the number of the first row."""
    for unit, y in places:
        if unit < 0:
            yield label(x, y + 5, "⋮", "middle muted")
            continue
        yield f'<circle class="gate" cx="{x}" cy="{y}" r="{_RADIUS}"><title>unit {unit}</title></circle>'
        shown = number(float(column[0, unit]), 2)
        yield label(x, y + 4, shown if len(shown) <= 5 else number(float(column[0, unit]), 0)[:5], "middle value tiny")
    if places and any(unit < 0 for unit, _ in places):
        yield label(x, places[-1][1] + _RADIUS + 14, f"{column.shape[1]:,} units", "middle muted small")
