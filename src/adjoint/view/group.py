"""Several gates drawn as one, with their combined local gradient: the lecture's sigmoid out of four gates.

    d out / d x = Σ over the paths from x to out of the product of the local gradients along the path

A group is made of a document and gives a document, so that every surface can draw it and groups can be made in turn.

Invariants. One gate of a group is used outside of it, its output; hence no path leaves a group and comes back. Numbers
of nodes become smaller, labels stay, so that what was called #9 still is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from adjoint.errors import DocumentError
from adjoint.recording import here
from adjoint.tensor import Array
from adjoint.view.arrays import INLINE, restored, written
from adjoint.view.document import Document
from adjoint.view.patterns import GROUP, patterns
from adjoint.view.references import document_of, places


def group(subject: Any, nodes: Iterable[Any], name: str = "group") -> Document:
    """The document in which some gates are one, with the product of their local gradients.

    Parameters
    ----------
    subject : Graph, Tensor, Trace, function without arguments, or a document
    nodes : iterable of Tensor, str or int
        The gates, by themselves, by label ("q", "#7") or by number.
    name : str
        What stands in the gate.

    Returns
    -------
    dict
        A document; its local gradients are exact where all gates of the group are elementwise, else left out.

    Raises
    ------
    DocumentError
        A node is not in the graph, is a leaf, or the group has more than one output.

    Example
    -------
    >>> import adjoint as ad
    >>> x = ad.tensor(1.0, name="x")
    >>> f = (1.0 / (1.0 + ad.exp(-x))).named("f")
    >>> f.backward()
    >>> made = group(f, ["#1", "#2", "#3", "f"], "sigmoid")
    >>> made["graph"]["nodes"]["formula"], made["traces"][0]["locals"]
    (['', 'sigmoid(x)'], [0.196...])
    >>> print(ad.view.text(made, digits=2))
         1.00                  0.73
    x ─────────(sigmoid)─ f ─────────
       ∂ 0.20                ∂ 1.00
    <BLANKLINE>
    sigmoid: ∂f/∂x = 0.20

    Source: CS231n 2017, lecture 4, slide 40: (0.73) × (1 − 0.73) = 0.2.
    """
    made = document_of(subject)
    inside = places(subject, made, nodes, "group")
    output = _output(made["graph"], inside)
    return _Grouping(made, inside, output, name).document()


def _output(graph: Mapping[str, Any], inside: Sequence[int]) -> int:
    """The one gate of a group that is used outside of it, or the error that says why there is none."""
    labels, kinds = graph["nodes"]["label"], graph["nodes"]["kind"]
    leaf = next((node for node in inside if kinds[node] != "op"), None)
    if leaf is not None or not inside:
        raise DocumentError(f"group: expected gates, got {'nothing' if leaf is None else labels[leaf]}{here()}")
    held = set(inside)
    pairs = zip(graph["edges"]["source"], graph["edges"]["target"], strict=True)
    used = {source for source, target in pairs if source in held and target not in held}
    used |= {graph["output"]} & held
    if len(used) != 1:
        names = ", ".join(labels[node] for node in sorted(used))
        raise DocumentError(f"group: expected one gate that is used outside of the group, got {names}{here()}")
    (output,) = used
    return int(output)


def _spliced(op: Mapping[str, Any], given: Sequence[Any], before: int) -> list[dict[str, Any]]:
    """The parts of a gate behind so many others: itself, or of a group its own."""
    if op["name"] != GROUP:
        return [{"op": op["name"], "inputs": list(given)}]

    def outer(x: Mapping[str, int]) -> Any:
        return given[x["input"]] if "input" in x else {"part": x["part"] + before} if "part" in x else x

    return [{"op": part["op"], "inputs": [outer(x) for x in part["inputs"]]} for part in op["parts"]]


class _Grouping:
    """The making of one group."""

    def __init__(self, made: Document, inside: Sequence[int], output: int, name: str) -> None:
        self.made, self.graph, self.inside, self.output, self.name = made, made["graph"], set(inside), output, name
        self.nodes, self.edges = self.graph["nodes"], self.graph["edges"]
        self.pairs = list(zip(self.edges["source"], self.edges["target"], strict=True))
        entering = [source for source, target in self.pairs if target in self.inside and source not in self.inside]
        self.inputs = list(dict.fromkeys(entering))
        self.kept = [node for node in range(self.graph["count"]) if node not in self.inside or node == output]
        self.number = {node: place for place, node in enumerate(self.kept)}
        self.number |= dict.fromkeys(inside, self.number[output])
        self.order = self._order()

    def _order(self) -> list[int | None]:
        """The edges of the new graph by target: those that stay, and in place of the group's None."""
        order: list[int | None] = []
        for edge, (_, target) in enumerate(self.pairs):
            if target not in self.inside:
                order.append(edge)
            elif target == self.output and (not order or order[-1] is not None):
                order.append(None)
        return order

    def document(self) -> Document:
        traces = [self._trace(trace) for trace in self.made["traces"]]
        view = {name: self.made["view"][name] for name in ("budget", "digits") if name in self.made["view"]}
        findings = [found | {"node": self._renumbered(found["node"])} for found in self.made["findings"]]
        return self.made | {"graph": self._graph(), "traces": traces, "findings": findings, "view": view}

    def _renumbered(self, node: int) -> int:
        return self.number[node] if node >= 0 else node

    def _graph(self) -> dict[str, Any]:
        nodes = {column: [entries[node] for node in self.kept] for column, entries in self.nodes.items()}
        ops = [self.graph["ops"][self.nodes["op"][node]] for node in self.inside]
        elementwise = all(op["elementwise"] or op["stops"] for op in ops)
        row = {"name": GROUP, "elementwise": elementwise, "stops": False, "pattern": patterns(GROUP)}
        row["parts"] = self._parts()
        at, inputs = self.number[self.output], ", ".join(self.nodes["label"][node] for node in self.inputs)
        nodes["caption"][at], nodes["formula"][at] = self.name, f"{self.name}({inputs})"
        nodes["op"][at] = len(self.graph["ops"])
        edges: dict[str, list[int]] = {
            "source": self._column(
                [self.number[source] for source, _ in self.pairs], map(self.number.get, self.inputs)
            ),
            "target": self._column([self.number[target] for _, target in self.pairs], [at] * len(self.inputs)),
            "position": self._column(self.edges["position"], range(len(self.inputs))),
        }
        return {
            **self.graph,
            **{"count": len(self.kept), "output": self.number[self.graph["output"]]},
            **{"nodes": nodes, "edges": edges, "ops": [*self.graph["ops"], row], "constants": self._constants()},
        }

    def _constants(self) -> dict[str, list[Any]]:
        """The constants of the gates that stay; those of the group are in its parts."""
        columns = self.graph["constants"]
        kept = [place for place, node in enumerate(columns["node"]) if node not in self.inside]
        chosen = {name: [column[place] for place in kept] for name, column in columns.items()}
        return chosen | {"node": [self.number[node] for node in chosen["node"]]}

    def _parts(self) -> list[dict[str, Any]] | None:
        """What each gate computes of what; gates that are groups are taken apart. None where an array is a constant."""
        given = self._given()
        parts: list[dict[str, Any]] = []
        place: dict[int, int] = {}
        for node in sorted(self.inside):
            own = [given[node].get(position) for position in range(max(given[node], default=-1) + 1)]
            own = [{"part": place[x["node"]]} if x and "node" in x else x for x in own]
            op = self.graph["ops"][self.nodes["op"][node]]
            if None in own or (op["name"] == GROUP and op["parts"] is None):
                return None
            parts += _spliced(op, own, len(parts))
            place[node] = len(parts) - 1
        return parts

    def _given(self) -> dict[int, dict[int, dict[str, Any]]]:
        """For every gate what it is given by position: an input of the group, another gate, or a constant."""
        given: dict[int, dict[int, dict[str, Any]]] = {node: {} for node in self.inside}
        for (source, target), position in zip(self.pairs, self.edges["position"], strict=True):
            if target in self.inside:
                inner = source in self.inside
                given[target][position] = {"node": source} if inner else {"input": self.inputs.index(source)}
        constants = self.graph["constants"]
        for node, position, value in zip(*(constants[name] for name in ("node", "position", "value")), strict=True):
            if node in self.inside:
                given[node][position] = {"constant": value}
        return given

    def _column(self, column: Sequence[Any], own: Iterable[Any]) -> list[Any]:
        """A column of the edges with the group's own entries in their place."""
        new = list(own)
        return [entry for edge in self.order for entry in (new if edge is None else [column[edge]])]

    # --- what flows -------------------------------------------------------------------------------------------------

    def _trace(self, trace: Mapping[str, Any]) -> dict[str, Any]:
        columns = {name: [trace[name][node] for node in self.kept] for name in ("values", "gradients", "states")}
        contributions = self._column(trace["contributions"], [self._contribution(trace, x) for x in self.inputs])
        locals_ = self._column(trace["locals"], [self._local(trace, x) for x in self.inputs])
        return {"title": trace["title"], **columns, "contributions": contributions, "locals": locals_}

    def _contribution(self, trace: Mapping[str, Any], source: int) -> Any:
        """The sum of what the group sends back into one of its inputs; None where an entry is not there in full."""
        entering = [e for e, (x, target) in enumerate(self.pairs) if x == source and target in self.inside]
        held = [trace["contributions"][edge] for edge in entering if trace["contributions"][edge] is not None]
        if len(held) < 2:
            return held[0] if held else None
        terms = [self._array(entry, source) for entry in held]
        return None if any(term is None for term in terms) else written(sum(terms), "full")

    def _local(self, trace: Mapping[str, Any], source: int) -> Any:
        """d out / d source, swept from the source along the local gradients within the group."""
        tangents: dict[int, Array | float] = {source: 1.0}
        for edge, (x, target) in enumerate(self.pairs):
            if target not in self.inside or x not in tangents or not self._flows(trace, edge):
                continue
            local = self._array(trace["locals"][edge], target)
            if local is None:
                return None
            with np.errstate(all="ignore"):
                term = local * tangents[x]
                tangents[target] = tangents[target] + term if target in tangents else term
        found = tangents.get(self.output)
        shape = tuple(self.nodes["shape"][self.output])
        return None if found is None else written(np.broadcast_to(np.asarray(found), shape), "full")

    def _flows(self, trace: Mapping[str, Any], edge: int) -> bool:
        """Whether a gradient goes back over an edge: not where a local gradient would be written, but is not."""
        target = self.pairs[edge][1]
        op = self.graph["ops"][self.nodes["op"][target]]
        in_full = self.made["detail"] == "full" or math.prod(self.nodes["shape"][target]) <= INLINE
        return trace["locals"][edge] is not None or not (op["stops"] or (op["elementwise"] and in_full))

    def _array(self, entry: Any, node: int) -> Array | None:
        return restored(entry, tuple(self.nodes["shape"][node]), self.nodes["dtype"][node])
