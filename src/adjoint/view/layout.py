"""Places of boxes and wires: a layered layout from left to right, as a pure function of whole numbers.

Concepts here: the `Size` of a box around the point where its wires meet, `ranks` (columns by the longest path), lanes
(the places where a wire passes a column), and the `Layout` with a `Link` for each piece of wire between two columns.
The order within a column is found in `ordering.py`, the height of everything in `coordinates.py`.

Invariants. Edges go from a lower box to a higher one, hence wires run from left to right. Boxes and lanes own their
rows, hence nothing ever lies on anything else; wires cross only between columns. All arithmetic is on whole numbers,
and quotients of them: another language gets the same bits. A change of a result is a change of `VERSION`.

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", 1981.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from adjoint.view.coordinates import heights
from adjoint.view.ordering import Layers, ordered
from adjoint.view.tokens import tokens

VERSION: Final = 1


class Size(NamedTuple):
    """How far a box reaches from the point in which its wires meet, and where they enter it, relative to there."""

    left: int
    right: int
    above: int
    below: int
    ports: tuple[int, ...] = ()


class Edge(NamedTuple):
    """A wire from one box to the port of a later one."""

    source: int
    target: int
    port: int


class Link(NamedTuple):
    """A piece of the wire of a box, from one column to the next; `edge` is −1 where it goes on through a lane."""

    wire: int
    edge: int
    rank: int
    start: int
    end: int


class Column(NamedTuple):
    """The strip that the boxes of one rank own, and the line on which their wires meet."""

    left: int
    axis: int
    right: int


class Layout(NamedTuple):
    """Where everything is."""

    rank: list[int]
    y: list[int]
    columns: list[Column]
    links: list[Link]
    width: int
    height: int


# --- columns --------------------------------------------------------------------------------------------------------


def ranks(count: int, edges: Sequence[Edge], near: Sequence[bool]) -> list[int]:
    """The column of each box: one after the last of its inputs.

    A box without inputs is in the first column, or, if it is `near`, beside the first box that uses it.
    """
    rank = [0] * count
    first: list[int | None] = [None] * count
    has_inputs = [False] * count
    for edge in sorted(edges, key=lambda each: each.source):
        rank[edge.target] = max(rank[edge.target], rank[edge.source] + 1)
        has_inputs[edge.target] = True
    for edge in edges:
        held = first[edge.source]
        first[edge.source] = rank[edge.target] if held is None else min(held, rank[edge.target])
    for box in range(count):
        use = first[box]
        if near[box] and not has_inputs[box] and use is not None:
            rank[box] = use - 1
    return rank


# --- the whole ------------------------------------------------------------------------------------------------------


def layout(sizes: Sequence[Size], edges: Sequence[Edge], rank: Sequence[int]) -> Layout:
    """Places of boxes of these sizes in these columns, and of the wires between them.

    Parameters
    ----------
    sizes : one Size for each box
    edges : Edges from a lower number to a higher one
    rank : the column of each box, as `ranks` finds it; it rises along every edge

    Returns
    -------
    Layout

    Example
    -------
    >>> size = Size(10, 10, 10, 10, ports=(0,))
    >>> placed = layout([size, size], [Edge(0, 1, 0)], [0, 1])
    >>> placed.y, [link.rank for link in placed.links]
    ([30, 30], [0])
    """
    layers = _layers(sizes, edges, rank)
    order = ordered(layers)
    lane: int = tokens()["space"]["lane"]
    above = [size.above for size in sizes] + [lane] * (layers.count - len(sizes))
    below = [size.below for size in sizes] + [lane] * (layers.count - len(sizes))
    margin, row = tokens()["space"]["margin"], tokens()["space"]["row"]
    y = heights(layers, order, above, below, row)
    top = min((at - up for at, up in zip(y, above, strict=True)), default=0)
    y = [at - top + margin for at in y]
    links = _links(layers, sizes, y)
    columns = _columns(sizes, rank, links, len(order))
    bottom = max((at + down for at, down in zip(y, below, strict=True)), default=0)
    width = columns[-1].right + margin if columns else 2 * margin
    return Layout(list(rank), y[: len(sizes)], columns, links, width, bottom + margin)


def _layers(sizes: Sequence[Size], edges: Sequence[Edge], rank: Sequence[int]) -> Layers:
    """The graph with lanes: every piece of wire joins two neighbouring columns. A box has one chain of lanes."""
    layers = Layers(list(rank))
    outgoing: list[list[int]] = [[] for _ in sizes]
    for index, edge in enumerate(edges):
        outgoing[edge.source].append(index)
    for source, indices in enumerate(outgoing):
        at, reached = source, rank[source]
        for index in sorted(indices, key=lambda i: (rank[edges[i].target], edges[i].target, edges[i].port)):
            edge = edges[index]
            while reached < rank[edge.target] - 1:
                reached += 1
                lane = layers.add_lane(reached)
                layers.join(at, lane, 0, 1, source, -1)
                at = lane
            layers.join(at, edge.target, edge.port, len(sizes[edge.target].ports), source, index)
    return layers


def _links(layers: Layers, sizes: Sequence[Size], y: Sequence[int]) -> list[Link]:
    links = []
    for piece in layers.pieces:
        port = sizes[piece.end].ports[piece.port] if piece.edge >= 0 else 0
        links.append(Link(piece.wire, piece.edge, layers.rank[piece.start], y[piece.start], y[piece.end] + port))
    return links


def _columns(sizes: Sequence[Size], rank: Sequence[int], links: Sequence[Link], count: int) -> list[Column]:
    """Strips as wide as their widest boxes, with channels between them in which wires have room to bend."""
    left, right, steepest = [0] * count, [0] * count, [0] * count
    for size, at in zip(sizes, rank, strict=True):
        left[at], right[at] = max(left[at], size.left), max(right[at], size.right)
    for link in links:
        steepest[link.rank] = max(steepest[link.rank], abs(link.end - link.start))
    channel: int = tokens()["space"]["channel"]
    columns, free = [], tokens()["space"]["margin"]
    for at in range(count):
        columns.append(Column(free, free + left[at], free + left[at] + right[at]))
        free = columns[-1].right + channel + min(2 * channel, steepest[at] // 5)
    return columns
