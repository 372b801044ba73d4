"""A picture in words, for those who do not see it: one sentence for each node that is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from adjoint.view.figures import NOTHING, STOPPED, Figure, Figures
from adjoint.view.patterns import GROUP
from adjoint.view.picture import LONGEST_NAME, Part, Picture
from adjoint.view.tokens import shortened

LONGEST_FORMULA: Final = 80


def title(drawn: Picture) -> str:
    """What the picture is of."""
    graph = drawn.figures.graph
    nodes = graph["nodes"]
    named = [
        shortened(name, LONGEST_NAME)
        for name, kind in zip(nodes["name"], nodes["kind"], strict=True)
        if kind == "input" and name
    ]
    inputs = f" from {', '.join(named[:6])}{' …' if len(named) > 6 else ''}" if named else ""
    output = shortened(nodes["label"][graph["output"]], LONGEST_NAME)
    return f"Graph of {graph['count']:,} {_nodes(graph['count'])}{inputs} to {output}"


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"


def description(drawn: Picture) -> Iterator[str]:
    """A sentence for every box, in the order of recording, and one for each pattern that occurs."""
    for part in drawn.parts:
        if part.box.kind != "stub":
            yield _sentence(drawn, part)
    said = [_pattern(drawn, part) for part in drawn.parts]
    yield from (f"{each[:1].upper()}{each[1:]}." for each in dict.fromkeys(said) if each)


def about_gate(drawn: Picture, part: Part) -> str:
    """What the lecture says about a gate, and its local gradients where they are numbers."""
    if part.box.kind != "gate":
        return ""
    return "; ".join(text for text in (_pattern(drawn, part), *_locals(drawn.figures, part.box.node)) if text)


def combined(figures: Figures) -> list[str]:
    """The combined local gradients of gates that are groups, a line for each group."""
    ops, nodes = figures.graph["ops"], figures.nodes
    groups = [node for node, op in enumerate(nodes["op"]) if op >= 0 and ops[op]["name"] == GROUP]
    lines = [(nodes["caption"][node], ", ".join(_locals(figures, node))) for node in groups]
    return [f"{shortened(caption, LONGEST_NAME)}: {found}" for caption, found in lines if found]


def _locals(figures: Figures, node: int) -> list[str]:
    """The local gradients of a gate that are numbers: ∂f/∂x = 2."""
    found = figures.local_gradients(node)
    label = figures.nodes["label"]
    return [
        f"∂{shortened(label[node], LONGEST_NAME)}/∂{shortened(label[source], LONGEST_NAME)} = {local}"
        for source, local in found
    ]


def _pattern(drawn: Picture, part: Part) -> str:
    """How the gate of a box hands its gradient on; empty where nothing is to be said."""
    if part.box.kind != "gate":
        return ""
    found = drawn.figures.graph["ops"][drawn.figures.nodes["op"][part.box.node]]["pattern"]
    return "" if found is None else str(found["en"])


def _sentence(drawn: Picture, part: Part) -> str:
    nodes = drawn.figures.nodes
    label, formula = shortened(nodes["label"][part.box.node], LONGEST_NAME), nodes["formula"][part.box.node]
    if part.box.kind == "fold":
        subject = f"{part.box.title}, {len(part.box.members):,} {_nodes(len(part.box.members))} folded, ends in {label}"
    else:
        subject = f"{label} = {shortened(formula, LONGEST_FORMULA)}" if formula else label
    said = _said(part.value)
    value = f" is {said}" if said and part.box.kind != "fold" else f", {said}" if said else ""
    return f"{subject}{value}{_gradient(part.gradient)}."


def _gradient(figure: Figure) -> str:
    if not figure.lines:
        return ""
    if figure.lines == (NOTHING,):
        return ", without a gradient: no path leads here"
    if figure.lines == (STOPPED,):
        return ", without a gradient: it is stopped"
    return f", gradient {_said(figure)}"


def _said(figure: Figure) -> str:
    """Lines as one, the rows of a matrix apart, without brackets that are only drawn."""
    texts = [line.strip("⎡⎤⎢⎥⎣⎦") for line in figure.lines]
    return ("; " if texts and texts[0] != figure.lines[0] else ", ").join(texts)
