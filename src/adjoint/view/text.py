"""A graph as text: a circuit as on the lecture's slides, or for a large graph a table.

Concepts here: `text`, and `describe`, which turns a graph into the plain wires that `circuit.py` lays out.
What is said of a gradient has four forms that are never confused: nothing (no backward pass yet), — (no path
leads here), stopped (a gate lets nothing through), and the number, which may be 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from adjoint.view.circuit import ASCII, BOX, Lines, Wire, draw
from adjoint.view.digits import ENTRIES, FEWEST, Product, enough, lines
from adjoint.view.gates import gate
from adjoint.view.tables import table, without_data

if TYPE_CHECKING:
    from adjoint.graph import Graph
    from adjoint.paths import Edge
    from adjoint.tensor import Tensor

LARGEST_PICTURE: Final = 40  # nodes; beyond, a table says more
_STOPPING: Final = "stop_gradient"


def text(
    graph: Graph | Mapping[str, Any],
    *,
    values: bool = True,
    gradients: bool = True,
    digits: int | None = None,
    ascii: bool = False,
    width: int | None = None,
    color: bool = False,
    ledger: Sequence[Edge] = (),
) -> str:
    """The circuit of a graph, drawn from left to right: the value above each wire, the gradient (∂) below it.

    Parameters
    ----------
    graph : Graph, or a graph document
        A document says by itself what flowed, so that it needs no ledger.
    values, gradients : bool
        What is written on the wires.
    digits : int, optional
        Decimals. Without it as many as make the printed products true: none for whole numbers, else 2 to 6.
    ascii : bool
        Draw with ASCII only; gradients are then marked by d.
    width : int, optional
        Columns of the page; a wider picture is cut and continued below.
    color : bool
        Terminal colours for values and gradients.
    ledger : rows of `ad.ledger`
        With them, each arm of a branch shows its own term of the gradient, and the digits are checked.

    Returns
    -------
    str
        Lines without a newline at the end; of a graph of more than 40 nodes a table, folded by module.

    Example
    -------
    >>> import adjoint as ad
    >>> x, y, z = (ad.tensor(v, name=n) for v, n in ((-2.0, "x"), (5.0, "y"), (-4.0, "z")))
    >>> f = (x + y) * z
    >>> f.backward()
    >>> print(text(f.graph))
         -2
    x ────────╮
       ∂ -4   │      3
             (+)────────╮
          5   │  ∂ -4   │
    y ────────╯         │   -12
       ∂ -4            (×)──────
                        │  ∂ 1
         -4             │
    z ──────────────────╯
        ∂ 3

    Source: CS231n 2017, lecture 4, slides 11 to 22.
    """
    if isinstance(graph, Mapping):
        from adjoint.view.wires import Written, written  # documents are made of what stands in this file

        figures = Written(graph, digits, values=values, gradients=gradients, ascii=ascii)
        return written(figures, width=width, color=color)
    decimals = precision(graph, ledger) if digits is None else digits
    terms = {(id(edge.node), edge.position): edge.product for edge in ledger}
    view = View(graph, decimals, values, gradients, ascii, terms)
    if len(graph.nodes) > LARGEST_PICTURE:
        return table(view, width)
    return draw(describe(view), style=ASCII if ascii else BOX, width=width, color=color)


def precision(graph: Graph, ledger: Sequence[Edge] = ()) -> int:
    """Decimals with which what is printed is true; 2 for a graph that is too large to check by eye."""
    if len(graph.nodes) > LARGEST_PICTURE:
        return FEWEST
    locals = (edge.local for edge in ledger)
    arrays = [array for t in graph.nodes if not without_data(t) for array in (t.value, t.grad)]
    return enough(_numbers([*arrays, *locals]), products(ledger))


@dataclass(frozen=True)
class View:
    """A graph with everything that its rendering depends on."""

    graph: Graph
    digits: int
    values: bool
    gradients: bool
    ascii: bool
    terms: Mapping[tuple[int, int], np.ndarray]  # by node and position of the input

    @cached_property
    def place(self) -> Mapping[int, int]:
        """Number of each node in the graph."""
        return {id(t): index for index, t in enumerate(self.graph.nodes)}

    def value(self, t: Tensor) -> Lines:
        if without_data(t):
            return (f"{t.dtype}{list(t.shape)}",)
        return lines(t.value, self.digits, ascii=self.ascii) if self.values else ()

    def gradient(self, t: Tensor, stopped: bool) -> Lines:
        """The gradient, or what is to be said in its place."""
        if not self.gradients:
            return ()
        if t.grad is not None:
            return lines(t.grad, self.digits, ascii=self.ascii)
        if self.graph.output.grad is None:
            return ()
        return ("stopped",) if stopped else self.nothing

    @property
    def nothing(self) -> Lines:
        """Sign of a gradient that does not exist, because no path leads from the output to here."""
        return ("--" if self.ascii else "—",)

    def term(self, t: Tensor, position: int) -> Lines:
        """What a node sends back into one of its inputs."""
        if not (self.gradients and self.terms):
            return ()
        term = self.terms.get((id(t), position))
        return self.nothing if term is None else lines(term, self.digits, ascii=self.ascii)


def describe(view: View) -> list[Wire]:
    """The plain description that is laid out: a wire for each node, in the order of the graph."""
    nodes = view.graph.nodes
    stopped = {id(x) for t in nodes if stops(t) for x in t.node.inputs}
    return [_wire(view, t, label, id(t) in stopped) for t, label in zip(nodes, labels(nodes), strict=True)]


def _wire(view: View, t: Tensor, label: str, stopped: bool) -> Wire:
    node = t.node
    wired = [(position, view.place[id(x)]) for position, x in enumerate(node.inputs) if id(x) in view.place]
    return Wire(
        gate=gate(node, ascii=view.ascii) if node.op else "",
        inputs=tuple(index for _, index in wired),
        name=label if t.name else "",
        tag=label,
        value=view.value(t),
        gradient=view.gradient(t, stopped),
        terms=tuple(view.term(t, position) for position, _ in wired),
        stops=stops(t),
    )


def labels(nodes: Sequence[Tensor]) -> list[str]:
    """What each node is called: its name, or its number behind a #; both where a name is not its own."""
    uses = Counter(t.name for t in nodes)
    return [
        f"#{index}" if not t.name else t.name if uses[t.name] == 1 else f"{t.name}#{index}"
        for index, t in enumerate(nodes)
    ]


def stops(t: Tensor) -> bool:
    """Whether this node lets no gradient through on purpose."""
    op = t.node.op
    return op is not None and op.name == _STOPPING


def products(ledger: Iterable[Edge]) -> Iterator[Product]:
    """The products of a ledger, element by element, where all three parts have one shape and are few."""
    for edge in ledger:
        if edge.local is None or edge.product.size > ENTRIES or edge.product.shape != edge.local.shape:
            continue
        yield from zip(edge.upstream.flat, edge.local.flat, edge.product.flat, strict=True)


def _numbers(arrays: Iterable[np.ndarray | None]) -> Iterator[float]:
    """The numbers that are printed one by one."""
    for array in arrays:
        if array is not None and array.size <= ENTRIES and array.dtype.kind == "f":
            yield from map(float, array.flat)
