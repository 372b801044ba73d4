"""From a document to a picture in whole numbers: what each box looks like, how large it is, and where it stands.

Concepts here: the `Part`, a box of the picture with its texts and its extent, and the `Picture`, everything that a
renderer needs. A wire leaves its box on a straight stretch that carries its labels, the value above and the gradient
below; where a wire branches, each arm carries its own term on a straight stretch before the gate that it enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from adjoint.view.figures import Figure, Figures
from adjoint.view.fold import Box, boxes_of
from adjoint.view.layout import Edge, Layout, Size, layout
from adjoint.view.stubs import Scene, scene
from adjoint.view.tokens import shortened, tokens, width

LONGEST_NAME: Final = 24
LONGEST_CAPTION: Final = 20
MOST_CHIPS: Final = 3
CELL: Final = (6, 6)  # width and height of a heat map's cell
BAR: Final = (5, 24)  # width of a histogram's bar and height of the highest


class Arm(NamedTuple):
    """Where a wire enters a box: its port, the term that it brings back, and whether the gate stops it."""

    edge: int
    port: int
    term: Figure
    stops: bool


@dataclass(slots=True)
class Part:
    """A box with everything that is written on it and beside it."""

    box: Box
    shape: str  # "circle", "pill", "box", "fold", "name"
    lines: tuple[str, ...]
    name: str = ""
    value: Figure = field(default_factory=Figure)
    gradient: Figure = field(default_factory=Figure)
    arms: list[Arm] = field(default_factory=list)
    half: int = 0  # half its width; of a name, its width
    rise: int = 0  # half its height
    zone: int = 0  # width of the arms' straight stretch
    gather: int = 0  # room in which arms come together
    ports: tuple[int, ...] = ()
    label: int = 0  # where its labels begin, right of the axis


class Picture(NamedTuple):
    """Everything that a renderer needs."""

    parts: list[Part]
    scene: Scene
    layout: Layout
    figures: Figures


def picture(document: Mapping[str, Any], *, digits: int | None = None, trace: int = -1) -> Picture:
    """The picture of what a document shows."""
    figures = Figures(document, digits, trace)
    made = scene(*boxes_of(document))
    parts = [_part(figures, box) for box in made.boxes]
    for arrow in made.arrows:
        known = arrow.edge >= 0
        term = figures.term(arrow.edge) if known and parts[arrow.target].shape != "fold" else Figure()
        parts[arrow.target].arms.append(Arm(arrow.edge, arrow.port, term, known and figures.stops(arrow.edge)))
    for arrow in made.arrows:
        if parts[arrow.source].box.kind == "stub":
            _say_term_only(parts[arrow.source])
    sizes = [measured(part) for part in parts]
    edges = [Edge(arrow.source, arrow.target, arrow.port) for arrow in made.arrows]
    return Picture(parts, made, layout(sizes, edges, made.rank), figures)


def _say_term_only(part: Part) -> None:
    """A stub carries no labels: they stand where the wire begins, and the arm says the term."""
    part.value, part.gradient = Figure(), Figure()


def _part(figures: Figures, box: Box) -> Part:
    nodes = figures.nodes
    name = shortened(nodes["label"][box.node], LONGEST_NAME)
    value, gradient = figures.value(box.node), figures.gradient(box.node)
    if box.kind in ("leaf", "stub"):
        return Part(box, "name", (f"{name} ●" if box.kind == "stub" else name,), "", value, gradient)
    if box.kind == "fold":
        return Part(box, "fold", _fold_lines(figures, box), "", value, gradient)
    caption = shortened(nodes["caption"][box.node], LONGEST_CAPTION)
    own = name if nodes["name"][box.node] is not None else ""
    elementwise = figures.graph["ops"][nodes["op"][box.node]]["elementwise"]
    kind = "box" if not elementwise and nodes["shape"][box.node] else "pill"
    short = len(caption) <= tokens()["gate"]["characters"] and kind == "pill"
    return Part(box, "circle" if short else kind, (caption,), own, value, gradient)


def _fold_lines(figures: Figures, box: Box) -> tuple[str, ...]:
    """What a folded box says: its name, its type or size, and the parameters in it."""
    nodes = figures.nodes
    count = sum(nodes["kind"][node] == "op" for node in box.members)
    held = [nodes["name"][node] or nodes["label"][node] for node in box.members if nodes["kind"][node] == "parameter"]
    names = list(dict.fromkeys(held))
    chips = ", ".join(names[:MOST_CHIPS]) + (" …" if len(names) > MOST_CHIPS else "")
    badge = f" ×{box.repeats}" if box.repeats > 1 else ""
    about = f"{box.about}{badge} · " if box.about else ""
    texts = (box.title, f"{about}{count:,} {'gate' if count == 1 else 'gates'}", chips)
    return tuple(shortened(each, LONGEST_NAME) for each in texts if each)


# --- sizes ----------------------------------------------------------------------------------------------------------


def chart_size(chart: Mapping[str, Any] | None) -> tuple[int, int]:
    """Width and height of the small chart of a figure; nothing without one."""
    if chart is None:
        return (0, 0)
    if "map" in chart:
        return (chart["map"]["columns"] * CELL[0], chart["map"]["rows"] * CELL[1])
    return (len(chart["histogram"]["counts"]) * BAR[0], BAR[1]) if "histogram" in chart else (0, 0)


def figure_size(figure: Figure) -> tuple[int, int]:
    """Width and height of a figure."""
    across, up = chart_size(figure.chart)
    line: int = tokens()["font"]["line"]
    gap: int = tokens()["label"]["clear"] if up else 0
    return max([across, *map(width, figure.lines)]), len(figure.lines) * line + up + gap


def measured(part: Part) -> Size:
    """The extent of a part; it also says where in it the pieces stand."""
    gate, label, space = tokens()["gate"], tokens()["label"], tokens()["space"]
    _measure_body(part)
    ports = part.ports = _ports(part)
    reach = max((abs(port) for port in ports), default=0)
    if part.shape in ("box", "fold"):
        part.rise = max(part.rise, reach + space["lane"])
    part.gather = gate["radius"] if reach > part.rise // 2 and part.shape in ("circle", "pill") else 0
    part.zone = max((label["end"] + figure_size(arm.term)[0] for arm in part.arms if arm.term.lines), default=0)
    (value_wide, value_high), (gradient_wide, gradient_high) = figure_size(part.value), figure_size(part.gradient)
    half_name = width(part.name) // 2 if part.name else 0
    body = part.half if part.shape != "name" else 0
    part.label = max(body, half_name) + label["near"]
    wide = max(value_wide, gradient_wide)
    arms_high = max((figure_size(arm.term)[1] for arm in part.arms), default=0)
    return Size(
        left=max(part.half + part.gather + part.zone, half_name),
        right=part.label + (wide + label["end"] if wide else label["near"]),
        above=max(part.rise + (space["name"] if part.name else 0), value_high + label["clear"], reach + space["lane"]),
        below=max(part.rise, gradient_high + label["clear"], reach + label["clear"] + max(arms_high, 1)),
        ports=ports,
    )


def _measure_body(part: Part) -> None:
    """Half the extent of the drawn shape; of a name, all of its width, left of the axis."""
    gate, line = tokens()["gate"], tokens()["font"]["line"]
    wide = max(map(width, part.lines))
    part.rise = max(gate["radius"] if part.shape == "circle" else 0, len(part.lines) * line // 2 + 8)
    if part.shape == "name":
        part.half = wide + tokens()["label"]["near"]
    elif part.shape == "circle":
        part.half = gate["radius"]
    else:
        part.half = wide // 2 + gate["padding"] + (2 if part.shape == "fold" else 0)


def _ports(part: Part) -> tuple[int, ...]:
    """Heights of the places where wires enter, around the axis; farther apart where the arms carry terms."""
    count = len(part.arms)
    lines = max((len(arm.term.lines) for arm in part.arms), default=0)
    apart = tokens()["space"]["port"] + (lines * tokens()["font"]["line"] if lines else 0)
    return tuple((2 * index - (count - 1)) * apart // 2 for index in range(count))
