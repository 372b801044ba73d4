"""One neuron with its numbers: what comes in, the weights, the sum with the bias, and the activation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from adjoint.nn import Module
from adjoint.view.digits import number
from adjoint.view.layers import Layer, layers
from adjoint.view.sketch import Path, page, place, sign, thickness
from adjoint.view.svg import label
from adjoint.view.tokens import width

MOST_INPUTS: Final = 8  # wires; of more inputs, those with the largest products
_ROW: Final = 44


def neuron(
    module: Module,
    x: Any,
    path: Path = None,
    *,
    layer: int = 0,
    unit: int = 0,
    row: int = 0,
    digits: int = 2,
    theme: str = "auto",
) -> str:
    """One neuron as SVG, with its numbers: inputs, weights, their products, sum and bias, activation.

    out = f(Σ wᵢ · xᵢ + b)

    Parameters
    ----------
    module : Module
    x : array of shape (n, n_in) or (n_in,)
    path : path, optional
    layer, unit, row : int
        Which layer, which of its units, and which row of the batch; from the end if negative.
    digits : int
        Decimals.
    theme : "auto", "light" or "dark"

    Returns
    -------
    str
        One `svg` element; of more than 8 inputs those with the largest products are drawn.

    Raises
    ------
    AdjointError
        There is no such layer, unit or row.
    OSError
        The file cannot be written.

    Example
    -------
    >>> import adjoint as ad
    >>> net = ad.nn.Sequential(ad.nn.Linear(2, 1), ad.nn.Sigmoid())
    >>> net.layers[0].weight.assign([[2.0], [-3.0]]), net.layers[0].bias.assign([-3.0])
    (None, None)
    >>> drawn = neuron(net, [-1.0, -2.0])
    >>> "Unit 0 of layers.0: 2.00 × -1.00 + -3.00 × -2.00 + bias -3.00 = 1.00, sigmoid gives 0.73." in drawn
    True

    Source: CS231n 2017, lecture 4, the sketch of a neuron and the circuit of slide 40.
    """
    found = layers(module, x)
    one = found[place(layer, len(found), "layer", "neuron")]
    at = place(unit, one.weight.shape[1], "unit", "neuron")
    of = place(row, len(one.inputs), "row", "neuron")
    return _Neuron(one, at, of, digits).page(theme, path)


class _Neuron:
    """The picture: inputs at the left, the sum in the middle, the activation at the right."""

    LEFT, SUM, FUNCTION, END = 130, 360, 500, 620

    def __init__(self, layer: Layer, unit: int, row: int, digits: int) -> None:
        self.layer, self.unit, self.digits = layer, unit, digits
        self.x, self.w = layer.inputs[row], layer.weight[:, unit]
        self.b = None if layer.bias is None else float(layer.bias[unit])
        self.sum, self.out = float(layer.sums[row, unit]), float(layer.outputs[row, unit])
        with np.errstate(all="ignore"):
            products = self.x * self.w
        largest = np.argsort(-np.abs(products), kind="stable")[:MOST_INPUTS]
        self.shown = sorted(int(i) for i in largest)
        self.rest = float(products.sum() - products[self.shown].sum()) if len(self.shown) < len(self.w) else None
        self.top = 40
        self.high = self.top + (len(self.shown) + (self.rest is not None) + (self.b is not None)) * _ROW
        self.middle = (self.top + self.high - _ROW) // 2

    def said(self, x: float) -> str:
        return number(float(x), self.digits)

    def page(self, theme: str, path: Path) -> str:
        lines = [*self._inputs(), *self._body()]
        title = f"Neuron {self.unit} of {self.layer.name}"
        return page(self.END + 90, self.high + 16, title, self._description(), lines, theme, path)

    def _description(self) -> str:
        terms = [f"{self.said(self.w[i])} × {self.said(self.x[i])}" for i in self.shown]
        terms += [] if self.rest is None else [f"others {self.said(self.rest)}"]
        terms += [] if self.b is None else [f"bias {self.said(self.b)}"]
        name = self.layer.activation
        given = f", {name} gives {self.said(self.out)}" if name else ""
        return f"Unit {self.unit} of {self.layer.name}: {' + '.join(terms)} = {self.said(self.sum)}{given}."

    def _inputs(self) -> Iterator[str]:
        """A row for each input: its value, its weight, and what comes out of their product."""
        largest = float(np.max(np.abs(self.w), initial=0.0)) or 1.0
        for at, i in enumerate(self.shown):
            weight = float(self.w[i])
            texts = (f"x{i} = {self.said(self.x[i])}", f"w{i} = {self.said(weight)}", self.said(weight * self.x[i]))
            yield from self._row(
                at, texts, f'class="weight {sign(weight)}" stroke-width="{thickness(weight, largest)}"'
            )
        at = len(self.shown)
        if self.rest is not None:
            count = len(self.w) - len(self.shown)
            yield from self._row(at, (f"{count:,} others", "", self.said(self.rest)), 'class="wire"')
            at += 1
        if self.b is not None:
            yield from self._row(at, ("bias", "", self.said(self.b)), 'class="wire"')

    def _row(self, at: int, texts: tuple[str, str, str], kind: str) -> Iterator[str]:
        """Name, weight and product along a straight piece of wire, then the bend to the sum."""
        y = self.top + at * _ROW
        bend, end = self.LEFT + 150, self.SUM - 24
        middle = (bend + end) // 2
        entry = self.middle + max(-16, min(16, (y - self.middle) // 8))
        curve = f"M{self.LEFT} {y}H{bend}C{middle} {y} {middle} {entry} {end} {entry}"
        yield f'<path {kind} fill="none" d="{curve}"/>'
        yield label(self.LEFT - 8, y + 4, texts[0], "end value" if "=" in texts[0] else "end muted")
        if texts[1]:
            yield label(self.LEFT + 8, y - 6, texts[1], "muted")
        yield label(bend, y + 16, texts[2], "end value")

    def _body(self) -> Iterator[str]:
        """Sum and activation with what they give."""
        y, name = self.middle, self.layer.activation
        yield f'<path class="wire" d="M{self.SUM + 24} {y}H{self.END}"/>'
        yield f'<circle class="gate" cx="{self.SUM}" cy="{y}" r="24"/>'
        yield label(self.SUM, y + 6, "Σ", "middle symbol")
        yield label(self.SUM + 34, y - 8, self.said(self.sum), "value")
        if name:
            half = max(24, width(name) // 2 + 10)
            yield f'<rect class="gate" x="{self.FUNCTION - half}" y="{y - 18}" width="{2 * half}" height="36" rx="18"/>'
            yield label(self.FUNCTION, y + 4, name, "middle")
        yield label(self.END, y - 8, self.said(self.out), "end value")
        yield label(self.END + 8, y + 4, "out", "muted")
