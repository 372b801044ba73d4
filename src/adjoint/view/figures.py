"""What is written on the wires of a picture, read from a document: numbers, ranges, states, small charts.

Digits rise until the printed products are true, as in the terminal; of a graph that is too large to be checked by eye
two decimals are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.tensor import Array
from adjoint.view.arrays import restored, summary
from adjoint.view.digits import ENTRIES, FEWEST, SIDE, Product, enough, entry, lines, number, shape

LARGEST_CHECKED: Final = 40  # nodes
NOTHING: Final = "—"
STOPPED: Final = "stopped"
BLANK: Final = "[ ? ]"  # a label that the reader is to find


class Figure(NamedTuple):
    """Lines of text and, of a large array, its summary, from which a small chart is drawn."""

    lines: tuple[str, ...] = ()
    chart: Mapping[str, Any] | None = None


class Figures:
    """The figures of one trace of a document; without one, nothing is written."""

    def __init__(self, document: Mapping[str, Any], digits: int | None = None, trace: int = -1) -> None:
        self.graph = document["graph"]
        self.nodes, self.edges = self.graph["nodes"], self.graph["edges"]
        traces = document["traces"]
        self.trace: Mapping[str, Any] | None = traces[trace] if traces else None
        wanted = document["view"].get("digits") if digits is None else digits
        self.digits: int = self._precision() if wanted is None else wanted
        self.blank = {(question["node"], question["what"]) for question in document["view"].get("quiz", ())}
        self.uses = np.bincount(np.array(self.edges["source"], np.int64), minlength=self.graph["count"])

    @cached_property
    def entering(self) -> list[list[int]]:
        """The edges into each node, in the order of its inputs."""
        found: list[list[int]] = [[] for _ in range(self.graph["count"])]
        for edge, target in enumerate(self.edges["target"]):
            found[target].append(edge)
        return found

    def value(self, node: int) -> Figure:
        """The value of a node; of one that was recorded without data, its dtype and shape."""
        if self.trace is None:
            sizes = ", ".join(map(str, self.nodes["shape"][node]))
            return Figure((f"{self.nodes['dtype'][node]}[{sizes}]",))
        if (node, "value") in self.blank:
            return Figure((BLANK,))
        return self.figure(self.trace["values"][node], node)

    def gradient(self, node: int) -> Figure:
        """The gradient of a node, or why there is none."""
        if self.trace is None:
            return Figure()
        state = self.trace["states"][node]
        if state in ("unknown", "none", "stopped"):
            return Figure({"unknown": (), "none": (NOTHING,), "stopped": (STOPPED,)}[state])
        if (node, "gradient") in self.blank:
            return Figure((BLANK,))
        figure = self.figure(self.trace["gradients"][node], node)
        return figure._replace(lines=figure.lines[1:]) if figure.chart else figure

    def term(self, edge: int) -> Figure:
        """What an edge adds to the gradient of a node that is used more than once."""
        source = self.edges["source"][edge]
        if self.trace is None or self.uses[source] < 2 or self.trace["states"][source] not in ("value", "zero"):
            return Figure()
        if self.trace["contributions"][edge] is None:
            gate = self.edges["target"][edge]
            known = self.graph["ops"][self.nodes["op"][gate]]["stops"] or self.trace["states"][gate] == "none"
            return Figure((NOTHING,) if known else ())
        if (source, "gradient") in self.blank:
            return Figure((BLANK,))
        return Figure(self.figure(self.trace["contributions"][edge], source).lines)

    def local_gradients(self, node: int) -> list[tuple[int, str]]:
        """The local gradients of a gate that are single numbers: source and number; nothing where labels are blank."""
        if self.trace is None or self.blank:
            return []
        found = ((self.edges["source"][edge], self.array("locals", edge, node)) for edge in self.entering[node])
        return [(source, entry(x[()], self.digits)) for source, x in found if x is not None and x.ndim == 0]

    def stops(self, edge: int) -> bool:
        """Whether the gate at the end of an edge lets no gradient through."""
        op: int = self.nodes["op"][self.edges["target"][edge]]
        return bool(self.graph["ops"][op]["stops"])

    def array(self, column: str, place: int, node: int) -> Array | None:
        """An entry in full, or None."""
        return None if self.trace is None else self.full(self.trace[column][place], node)

    def full(self, held: Any, node: int) -> Array | None:
        """An entry of the shape and dtype of a node, in full; None of a summary."""
        return restored(held, tuple(self.nodes["shape"][node]), self.nodes["dtype"][node])

    def figure(self, held: Any, node: int) -> Figure:
        """An entry of the shape and dtype of a node as lines, a large one with its summary."""
        sizes, full = tuple(self.nodes["shape"][node]), self.full(held, node)
        if full is not None and (full.size == 0 or _is_short(full)):
            return Figure(lines(full, self.digits))
        chart = held if full is None else summary(full, "histograms")
        return Figure((shape(sizes), *self._statistics(chart["statistics"])), chart)

    def _statistics(self, found: Mapping[str, Any]) -> Iterator[str]:
        if "min" in found:
            low, high, mean, spread = (float(found[name]) for name in ("min", "max", "mean", "std"))
            yield entry(low, self.digits) if low == high else f"{self._brief(low)} … {self._brief(high)}"
            if low != high:
                yield f"{self._brief(mean)} ± {self._brief(spread)}"
        if found["infinite"]:
            yield f"{found['infinite']:,} not finite"

    def _brief(self, x: float) -> str:
        return number(x, max(self.digits, FEWEST))

    # --- digits -----------------------------------------------------------------------------------------------------

    def _precision(self) -> int:
        if self.trace is None or self.graph["count"] > LARGEST_CHECKED:
            return FEWEST
        products = list(self._products())
        return enough([*self._numbers(), *(local for _, local, _ in products)], products)

    def _numbers(self) -> Iterator[float]:
        """The numbers that are printed one by one."""
        for node in range(self.graph["count"]):
            for column in ("values", "gradients"):
                array = self.array(column, node, node)
                if array is not None and array.dtype.kind == "f" and _is_short(array):
                    yield from map(float, array.flat)

    def _products(self) -> Iterator[Product]:
        """Upstream, local and downstream of every edge, element by element, where all have one shape and are few."""
        for edge, (source, target) in enumerate(zip(self.edges["source"], self.edges["target"], strict=True)):
            upstream, local = self.array("gradients", target, target), self.array("locals", edge, target)
            product = self.array("contributions", edge, source)
            if upstream is None or local is None or product is None:
                continue
            if product.shape == local.shape and product.size <= ENTRIES:
                yield from zip(*(map(float, each.flat) for each in (upstream, local, product)), strict=True)


def _is_short(array: Array) -> bool:
    """Whether an array is written number by number."""
    if array.ndim < 2:
        return array.ndim == 0 or array.size <= SIDE
    return array.ndim == 2 and 0 < array.size <= ENTRIES and max(array.shape) <= SIDE
