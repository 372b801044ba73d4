"""A document as text: the plain wires that `circuit.py` lays out, or a table of its nodes.

Concepts here: `Written`, the figures of a document as lines for a terminal. What is drawn is the same as `text` draws
of the graph itself; a document may in addition have blank labels (`quiz.py`) and grouped gates (`group.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adjoint.view.circuit import ASCII, BOX, Lines, Wire, draw
from adjoint.view.digits import entry, lines, shape
from adjoint.view.figures import LARGEST_CHECKED, NOTHING, Figure, Figures
from adjoint.view.gates import plain
from adjoint.view.tables import MOST_ROWS, aligned
from adjoint.view.words import combined

HEAD = ("node", "operation", "shape", "value", "gradient")


class Written(Figures):
    """The figures of a document in the letters of a terminal."""

    def __init__(
        self,
        document: Mapping[str, Any],
        digits: int | None = None,
        *,
        values: bool = True,
        gradients: bool = True,
        ascii: bool = False,
    ) -> None:
        super().__init__(document, digits)
        self.with_values, self.with_gradients, self.ascii = values, gradients, ascii

    def value(self, node: int) -> Figure:
        """The value of a node, where values are written."""
        return super().value(node) if self.with_values or self.trace is None else Figure()

    def gradient(self, node: int) -> Figure:
        """The gradient of a node, where gradients are written."""
        return super().gradient(node) if self.with_gradients else Figure()

    def term(self, edge: int) -> Figure:
        """What an edge adds to a gradient, where gradients are written."""
        return super().term(edge) if self.with_gradients else Figure()

    def lines(self, figure: Figure) -> Lines:
        """The lines of a figure."""
        return ("--",) if self.ascii and figure.lines == (NOTHING,) else figure.lines

    def plain(self, text: str, otherwise: str) -> str:
        """A text in the letters of this page."""
        return plain(text, otherwise) if self.ascii else text

    def figure(self, held: Any, node: int) -> Figure:
        """An entry as lines: its elements, or the shape and range of a large one."""
        full = self.full(held, node)
        if full is not None:
            return Figure(lines(full, self.digits, ascii=self.ascii))
        found = held["statistics"]
        ends = [entry(float(found[name]), self.digits) for name in ("min", "max") if name in found]
        between = " .. " if self.ascii else " … "
        return Figure((shape(tuple(self.nodes["shape"][node])), *([between.join(dict.fromkeys(ends))] if ends else [])))


def written(figures: Written, *, width: int | None = None, color: bool = False) -> str:
    """The text of a document: a circuit, or of more than 40 nodes a table; below it what grouped gates do."""
    count = figures.graph["count"]
    if count > LARGEST_CHECKED:
        drawn = _table(figures, width)
    else:
        drawn = draw(wires(figures), style=ASCII if figures.ascii else BOX, width=width, color=color)
    said = [figures.plain(line, plain(line.replace("∂", "d"), "")) for line in combined(figures)]
    return "\n".join([drawn, *(["", *said] if said else [])])


def wires(figures: Written) -> list[Wire]:
    """A wire for each node, in the order of the document."""
    return [_wire(figures, node) for node in range(figures.graph["count"])]


def _wire(figures: Written, node: int) -> Wire:
    nodes, edges = figures.nodes, figures.entering[node]
    caption, op = nodes["caption"][node], nodes["op"][node]
    name = figures.graph["ops"][op]["name"] if op >= 0 else ""
    return Wire(
        gate=f"({figures.plain(caption, name)})" if op >= 0 else "",
        inputs=tuple(figures.edges["source"][edge] for edge in edges),
        name=nodes["label"][node] if nodes["name"][node] else "",
        tag=nodes["label"][node],
        value=figures.lines(figures.value(node)),
        gradient=figures.lines(figures.gradient(node)),
        terms=tuple(figures.lines(figures.term(edge)) for edge in edges),
        stops=op >= 0 and figures.graph["ops"][op]["stops"],
    )


def _table(figures: Written, width: int | None) -> str:
    """A row for each node, with a gap in the middle where there are many."""
    count, half = figures.graph["count"], MOST_ROWS // 2
    places = [*range(count)] if count <= MOST_ROWS else [*range(half), *range(count - half, count)]
    page = aligned([HEAD, *(_row(figures, node) for node in places)], width)
    if count > MOST_ROWS:
        page.insert(1 + half, f"{'..' if figures.ascii else '…'} {count - MOST_ROWS:,} more")
    return "\n".join([f"{count:,} nodes", "", *page])


def _row(figures: Written, node: int) -> tuple[str, ...]:
    nodes, kind = figures.nodes, figures.nodes["kind"][node]
    value, gradient = (figures.lines(figure)[-1:] for figure in (figures.value(node), figures.gradient(node)))
    operation = nodes["formula"][node] or kind
    return (
        nodes["label"][node],
        figures.plain(operation, kind),
        shape(tuple(nodes["shape"][node])),
        "".join(value),
        "".join(gradient),
    )
