"""The activation of a layer: the function, its derivative, where it is saturated, and where the layer really is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from adjoint.errors import AdjointError
from adjoint.nn import Module
from adjoint.recording import here
from adjoint.tensor import Array
from adjoint.view.digits import number
from adjoint.view.layers import Layer, layers
from adjoint.view.sketch import Path, page, place
from adjoint.view.svg import label
from adjoint.view.tokens import width

BINS: Final = 40
POINTS: Final = 241  # of a curve


def activation(module: Module, x: Any, path: Path = None, *, layer: int = 0, theme: str = "auto") -> str:
    """The activation of a layer as SVG, with its derivative, its saturated zones, and where the layer really is.

    Parameters
    ----------
    module : Module
    x : array of shape (n, n_in)
        The batch whose sums before the activation are drawn as a histogram.
    path : path, optional
    layer : int
        Which layer; from the end if negative.
    theme : "auto", "light" or "dark"

    Returns
    -------
    str
        One `svg` element. Zones in which the function is within 0.01 of an end are shaded.

    Raises
    ------
    AdjointError
        There is no such layer, or it has no activation.
    OSError
        The file cannot be written.

    Example
    -------
    >>> import adjoint as ad
    >>> net = ad.nn.Sequential(ad.nn.Linear(2, 8), ad.nn.Sigmoid())
    >>> drawn = activation(net, np.full((4, 2), 100.0))
    >>> "100% of the sums are in the shaded zones" in drawn
    True

    Source: CS231n 2017, lecture 6, "activation functions".
    """
    found = layers(module, x)
    one = found[place(layer, len(found), "layer", "activation")]
    if one.node is None:
        raise AdjointError(f"activation: expected a layer with an activation, got {one.name} without one{here()}")
    return _Curve(one).page(theme, path)


class _Curve:
    """The picture of an activation: the curves above, the histogram below, on one axis."""

    WIDE, HIGH, LEFT, TOP, BARS = 420, 200, 56, 36, 70

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        finite = layer.sums[np.isfinite(layer.sums)]
        self.sums = np.asarray(finite, np.float64)
        reach = float(np.max(np.abs(self.sums), initial=0.0))
        self.reach = float(np.ceil(max(5.0, reach)))
        self.x = np.linspace(-self.reach, self.reach, POINTS)
        self.y, self.slope = layer.curve(self.x)
        self.low = float(min(0.0, self.y.min(), self.slope.min()))
        self.high = float(max(1.0, self.y.max(), self.slope.max()))
        self.share = float(np.mean(layer.is_flat(self.sums))) if self.sums.size else 0.0

    def across(self, x: float) -> float:
        return self.LEFT + (x + self.reach) / (2 * self.reach) * self.WIDE

    def up(self, y: float) -> float:
        return self.TOP + (self.high - y) / (self.high - self.low) * self.HIGH

    def page(self, theme: str, path: Path) -> str:
        name, base = self.layer.activation, self.TOP + self.HIGH
        caption = f"{self.share:.0%} of the sums are in the shaded zones"
        about = f"{self.sums.size:,} sums of {self.layer.name}; {caption}"
        lines = [
            *self._zones(),
            *self._axes(),
            f'<path class="curve function" d="{self._path(self.y)}"/>',
            f'<path class="curve slope" d="{self._path(self.slope)}"/>',
            label(self.LEFT, 22, name, "value"),
            label(self.LEFT + width(name) + 20, 22, "derivative", "gradient"),
            *self._histogram(base + 24 + self.BARS),
            label(self.LEFT, base + self.BARS + 56, about, "muted small"),
        ]
        mean, spread = (float(self.sums.mean()), float(self.sums.std())) if self.sums.size else (0.0, 0.0)
        said = f"The sums before it are {number(mean, 2)} ± {number(spread, 2)}; {caption}."
        wide, title = self.LEFT + self.WIDE + 24, f"{name} of {self.layer.name} and its derivative"
        return page(wide, base + self.BARS + 70, title, said, lines, theme, path)

    def _path(self, y: Array) -> str:
        points = [f"{self.across(float(a)):.1f} {self.up(float(b)):.1f}" for a, b in zip(self.x, y, strict=True)]
        return "M" + "L".join(points)

    def _zones(self) -> Iterator[str]:
        """Where the function is within 0.01 of an end, behind curves and histogram."""
        flat = np.concatenate([[False], self.layer.is_flat(self.x), [False]])
        starts, ends = (np.flatnonzero(flat[1:] != flat[:-1])[side::2] for side in (0, 1))
        for start, end in zip(starts, ends, strict=True):
            left, right = self.across(float(self.x[start])), self.across(float(self.x[end - 1]))
            size = f'width="{right - left:.1f}" height="{self.HIGH + 24 + self.BARS}"'
            yield f'<rect class="zone" x="{left:.1f}" y="{self.TOP}" {size}/>'

    def _axes(self) -> Iterator[str]:
        """The lines of 0, and marks at the ends."""
        zero, base = self.up(0.0), self.TOP + self.HIGH
        yield f'<path class="axis" d="M{self.LEFT} {zero:.1f}h{self.WIDE}M{self.across(0.0):.1f} {self.TOP}V{base}"/>'
        for y in sorted({self.low, 0.0, 1.0, self.high}):
            yield label(self.LEFT - 6, round(self.up(y)) + 4, f"{y:.3g}", "end muted small")
        for x in (-self.reach, 0.0, self.reach):
            yield label(round(self.across(x)), base + 24 + self.BARS + 13, f"{x:.3g}", "middle muted small")

    def _histogram(self, base: int) -> Iterator[str]:
        """How many sums lie where, on the axis of the curves."""
        counts, edges = np.histogram(self.sums, bins=BINS, range=(-self.reach, self.reach))
        highest = max(int(counts.max(initial=0)), 1)
        bars = [
            f"M{self.across(float(left)) + 0.5:.1f} {base}v-{max(self.BARS * count / highest, 1.0):.1f}"
            f"h{self.WIDE / BINS - 1:.1f}V{base}z"
            for left, count in zip(edges, counts.tolist(), strict=False)
            if count
        ]
        yield f'<path class="chart" d="{"".join(bars)}"/>'
