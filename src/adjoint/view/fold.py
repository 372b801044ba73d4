"""Which boxes of a document are seen: modules, repeats and long runs folded until a budget is kept.

Concepts here: the `Span`, a run of ops that can be shown as one box (a call of a module, siblings that repeat, or a
piece of a run that is too long), and the `Box`. Everything starts as one span; the best is opened as long as the
budget lasts. Leaves stand before who uses them, or inside a folded box if nobody else does.

Invariants. A span is unbroken in recording order, which is topological: whatever is folded, every wire still goes from
an earlier box to a later one. What is seen depends on the document and its entry `view` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import groupby
from typing import Any, Final, NamedTuple

BUDGET: Final = 250  # boxes
FEWEST_REPEATS: Final = 3
PIECES: Final = 60  # into which a run is cut that does not fit the budget


class Box(NamedTuple):
    """What is drawn in one place. `node` is the node whose wire leaves it.

    kind: "gate", "leaf", "fold", or "stub" (a leaf or gate that is drawn elsewhere and is only named here).
    """

    kind: str
    node: int
    members: tuple[int, ...]
    key: str = ""
    title: str = ""
    about: str = ""
    repeats: int = 1


class Arrow(NamedTuple):
    """A wire between two boxes; `edge` is the edge of the document that it stands for, or −1 for several."""

    source: int
    target: int
    port: int
    edge: int


@dataclass(slots=True)
class Span:
    """Ops that stand together in recording order, and the spans within them."""

    key: str
    title: str = ""
    about: str = ""
    depth: int = 0
    repeats: int = 1
    items: list[Span | int] = field(default_factory=list)

    def nodes(self) -> Iterator[int]:
        """The ops in it, in order."""
        stack: list[Span | int] = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, Span):
                stack.extend(reversed(item.items))
            else:
                yield item


# --- spans ----------------------------------------------------------------------------------------------------------


def spans(graph: Mapping[str, Any]) -> Span:
    """The ops of a document by call of module."""
    modules, column = graph["modules"], graph["nodes"]["module"]
    root = Span("")
    chains: dict[int, list[int]] = {-1: []}
    open_spans, calls = [root], [-1]
    for node, kind in enumerate(graph["nodes"]["kind"]):
        if kind != "op":
            continue
        chain = _chain(modules, column[node], chains)
        common = 0
        while common < min(len(chain), len(calls) - 1) and chain[common] == calls[common + 1]:
            common += 1
        del open_spans[common + 1 :], calls[common + 1 :]
        for call in chain[common:]:
            span = _span(modules, call, len(open_spans), node)
            open_spans[-1].items.append(span)
            open_spans.append(span)
            calls.append(call)
        open_spans[-1].items.append(node)
    return root


def _chain(modules: Sequence[Mapping[str, Any]], call: int, known: dict[int, list[int]]) -> list[int]:
    """A call and those around it, the outermost first."""
    if call not in known:
        missing = []
        at = call
        while at not in known:
            missing.append(at)
            at = modules[at]["parent"]
        for each in reversed(missing):
            known[each] = [*known[modules[each]["parent"]], each]
    return known[call]


def _span(modules: Sequence[Mapping[str, Any]], call: int, depth: int, node: int) -> Span:
    path, parent = modules[call]["path"], modules[call]["parent"]
    outer = "" if parent < 0 else f"{modules[parent]['path']}."
    return Span(f"{path}@{node}", path.removeprefix(outer), modules[call]["type"], depth)


class Folding:
    """The choice of what is open."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.graph = document["graph"]
        view = document["view"]
        self.budget = view.get("budget", BUDGET)
        self.open, self.closed = set(view.get("open", ())), set(view.get("closed", ()))
        self.troubled = _troubled(self.graph, {finding["node"] for finding in document["findings"]})
        self.weight = _weights(self.graph)

    def items(self) -> list[Span | int]:
        """What is seen of the ops, in order."""
        root = spans(self.graph)
        opened: dict[int, list[Span | int]] = {}
        heap: list[tuple[Any, int, Span]] = []
        seen, count = 1, 0
        heappush(heap, (self._rank(root, count), count, root))
        while heap:
            _, _, span = heappop(heap)
            inside = self._inside(span)
            cost = sum(self._cost(item) for item in inside) - 1
            if span.key and not self._opens(span, seen + cost):
                continue
            seen += cost
            opened[id(span)] = inside
            for item in inside:
                if isinstance(item, Span):
                    count += 1
                    heappush(heap, (self._rank(item, count), count, item))
        return list(_visible(root, opened))

    def _opens(self, span: Span, seen: int) -> bool:
        if span.key in self.closed or span.key in self.open:
            return span.key in self.open
        return span.repeats == 1 and seen <= self.budget

    def _rank(self, span: Span, count: int) -> tuple[Any, ...]:
        """Those asked for first, then those where something is wrong, then from the outside in."""
        troubled = bool(self.troubled) and any(node in self.troubled for node in span.nodes())
        return (span.key not in self.open, not troubled, span.depth, count)

    def _cost(self, item: Span | int) -> int:
        return 1 if isinstance(item, Span) else self.weight[item]

    def _inside(self, span: Span) -> list[Span | int]:
        """What a span shows when it is opened: its items, repeats as one; a long run in pieces, if it does not fit."""
        items = span.items if span.repeats > 1 else _repeats_folded(span, self.graph)
        must_be_seen = not span.key  # the whole: it cannot stay folded
        if sum(map(self._cost, items)) <= self.budget or len(items) <= (2 if must_be_seen else PIECES):
            return items
        pieces = max(min(PIECES, self.budget // 2), 2)
        size = -(-len(items) // pieces)
        return [_piece(items[at : at + size], span.depth + 1) for at in range(0, len(items), size)]


def _troubled(graph: Mapping[str, Any], found: set[int]) -> set[int]:
    """The ops where something was found, or that use a leaf where it was."""
    ends = zip(graph["edges"]["source"], graph["edges"]["target"], strict=True) if found else ()
    kinds = graph["nodes"]["kind"]
    return found | {target for source, target in ends if source in found and kinds[source] != "op"}


def _weights(graph: Mapping[str, Any]) -> list[int]:
    """Boxes that an op brings along: itself, and the leaves that it is the first to use."""
    weight = [1] * graph["count"]
    kinds, used = graph["nodes"]["kind"], set()
    for source, target in zip(graph["edges"]["source"], graph["edges"]["target"], strict=True):
        if kinds[source] != "op" and source not in used:
            used.add(source)
            weight[target] += 1
    return weight


def _visible(root: Span, opened: Mapping[int, list[Span | int]]) -> Iterator[Span | int]:
    stack: list[Span | int] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, Span) and id(item) in opened:
            stack.extend(reversed(opened[id(item)]))
        else:
            yield item


def _repeats_folded(span: Span, graph: Mapping[str, Any]) -> list[Span | int]:
    """The items of a span, three or more neighbours of the same ops and shapes as one."""
    items: list[Span | int] = []
    for _, group in groupby(enumerate(span.items), key=lambda pair: _signature(pair, graph)):
        alike = [item for _, item in group]
        calls = [item for item in alike if isinstance(item, Span)]
        items += [_repeated(calls, span.depth + 1)] if len(calls) >= FEWEST_REPEATS else alike
    return items


def _signature(pair: tuple[int, Span | int], graph: Mapping[str, Any]) -> Any:
    """What two calls have in common that do the same to values of the same shapes; an op is like no other."""
    place, item = pair
    if not isinstance(item, Span):
        return place
    nodes = graph["nodes"]
    return (item.about, *((nodes["op"][node], *nodes["shape"][node]) for node in item.nodes()))


def _repeated(calls: list[Span], depth: int) -> Span:
    title = f"{calls[0].title} … {calls[-1].title}"
    return Span(f"{calls[0].key}×{len(calls)}", title, calls[0].about, depth, len(calls), list(calls))


def _piece(items: list[Span | int], depth: int) -> Span:
    piece = Span("", "", "", depth, 1, items)
    nodes = list(piece.nodes())
    piece.key = f"#{nodes[0]}…#{nodes[-1]}"
    piece.title = piece.key
    return piece


# --- boxes and wires ------------------------------------------------------------------------------------------------


def boxes_of(document: Mapping[str, Any]) -> tuple[list[Box], list[Arrow]]:
    """What is seen of a document, in an order in which every wire goes from a lower box to a higher."""
    graph = document["graph"]
    boxes = [_box(item) for item in Folding(document).items()]
    owner = {node: index for index, box in enumerate(boxes) for node in box.members}
    users: list[set[int]] = [set() for _ in range(graph["count"])]
    for source, target in zip(graph["edges"]["source"], graph["edges"]["target"], strict=True):
        users[source].add(owner[target])
    inside: dict[int, list[int]] = {}
    leaves = []
    for node, kind in enumerate(graph["nodes"]["kind"]):
        if kind != "op":
            only = next(iter(users[node])) if len(users[node]) == 1 else -1
            if only >= 0 and boxes[only].kind == "fold" and _belongs(graph, node, boxes[only]):
                inside.setdefault(only, []).append(node)
            else:
                leaves.append(Box("leaf", node, (node,)))
    boxes = [box._replace(members=(*inside.get(index, ()), *box.members)) for index, box in enumerate(boxes)]
    boxes = sorted([*boxes, *leaves], key=lambda box: box.members[-1])
    return boxes, _arrows(graph, boxes)


def _belongs(graph: Mapping[str, Any], leaf: int, fold: Box) -> bool:
    """Whether a leaf that only one folded box uses is part of it: what a module is given is not."""
    return (
        not fold.about or graph["nodes"]["kind"][leaf] in ("parameter", "state") or graph["nodes"]["module"][leaf] >= 0
    )


def _box(item: Span | int) -> Box:
    if not isinstance(item, Span):
        return Box("gate", item, (item,))
    nodes = tuple(item.nodes())
    return Box("fold", nodes[-1], nodes, item.key, item.title, item.about, item.repeats)


def _arrows(graph: Mapping[str, Any], boxes: Sequence[Box]) -> list[Arrow]:
    """Wires between boxes; all between the same two are one where one of them is folded."""
    owner = {node: index for index, box in enumerate(boxes) for node in box.members}
    edges = graph["edges"]
    found: dict[Any, Arrow] = {}
    columns = zip(edges["target"], edges["position"], edges["source"], range(len(edges["source"])), strict=True)
    for target, position, source, edge in sorted(columns):
        ends = owner[source], owner[target]
        if ends[0] == ends[1]:
            continue
        is_gate = boxes[ends[1]].kind == "gate"
        key = (*ends, position) if is_gate else ends
        found[key] = Arrow(*ends, 0, -1 if key in found else edge)
    ports = [0] * len(boxes)
    arrows = []
    for arrow in found.values():
        arrows.append(arrow._replace(port=ports[arrow.target]))
        ports[arrow.target] += 1
    return arrows
