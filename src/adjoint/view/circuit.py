"""Circuit layout: a plain description of wires in, lines of text out. Pure; knows neither graph nor array.

A circuit is drawn as a tree from left to right: leaves in the first column, each gate to the right of its
inputs and between them, the value above its wire and the gradient below. A wire that is used more than once
is drawn where it is used first, has a dot there and returns elsewhere as a stub with its name; its trunk
carries the sum of the gradients and each arm its own term. A picture wider than the page is cut into systems,
as a score is.

Invariant: a subtree owns its rows. No wire of another subtree enters them, hence nothing ever crosses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """A leaf or gate with the wire that leaves it; `inputs` are indices of earlier wires."""

    gate: str = ""  # "(+)"; empty for a leaf
    inputs: tuple[int, ...] = ()
    name: str = ""
    tag: str = ""  # what a wire without a name is called where it must be called something
    value: Lines = ()
    gradient: Lines = ()
    terms: tuple[Lines, ...] = ()  # what the gate sends back into each input: the arms of a branch
    stops: bool = False  # the gate lets no gradient through: its input wires are barred


@dataclass(frozen=True, slots=True)
class Style:
    """The characters of a picture."""

    across: str
    down: str
    from_above: str
    from_below: str
    from_beside: str
    dot: str
    onward: str
    bar: str
    partial: str


BOX = Style("─", "│", "╮", "╯", "┤", "●", "▸", "┤", "∂ ")
ASCII = Style("-", "|", ".", "'", "+", "o", ">", "|", "d ")
COLORS = {"value": "\x1b[36m", "gradient": "\x1b[3;31m", "gate": "\x1b[1m", "": ""}
GAP = 1  # blank rows between neighbours, so that nobody reads a gradient as the next wire's value


@dataclass(slots=True)
class Box:
    """A wire's place in the picture; a stub is a wire drawn elsewhere that returns here."""

    wire: Wire
    children: list[Box] = field(default_factory=list)
    stub: bool = False
    branch: bool = False  # used more than once
    barred: bool = False  # its consumer stops the gradient
    term: Lines = ()
    cut: bool = False  # the end of a system, or the stub with which the next one goes on
    rank: int = 0
    row: int = 0
    above: int = 0
    below: int = 0
    join: int = 0  # column in which the inputs meet
    start: int = 0  # column after gate and name, where labels may stand
    zone: int = 0  # column after the labels; a branch has its dot here
    end: int = 0  # first column that is free again

    @property
    def label(self) -> str:
        return self.wire.name or (self.wire.tag if self.stub or self.branch or self.cut or not self.wire.gate else "")


def draw(wires: Sequence[Wire], *, style: Style = BOX, width: int | None = None, color: bool = False) -> str:
    """The picture of the circuit that ends in the last wire."""
    root = _unfold(wires)
    blocks = [_paint(system, style, color) for system in _systems(root, style, width)]
    return "\n\n".join(blocks)


# From the graph to a tree


def _unfold(wires: Sequence[Wire]) -> Box:
    """The tree of boxes below the last wire: each wire once, then as stubs."""
    uses = _uses(wires)
    seen: set[int] = set()

    def visit(index: int, term: Lines, barred: bool) -> Box:
        wire, branch = wires[index], uses[index] > 1
        box = Box(wire, stub=index in seen, branch=branch, term=term if branch else (), barred=barred)
        if index not in seen:
            seen.add(index)
            terms = wire.terms or ((),) * len(wire.inputs)
            box.children = [visit(i, each, wire.stops) for i, each in zip(wire.inputs, terms, strict=True)]
        return box

    return visit(len(wires) - 1, (), False)


def _uses(wires: Sequence[Wire]) -> list[int]:
    """How often each wire is used on the way to the last one."""
    uses = [0] * (len(wires) - 1) + [1]
    for place in range(len(wires) - 1, -1, -1):
        for index in wires[place].inputs if uses[place] else ():
            uses[index] += 1
    return uses


def _walk(box: Box) -> Iterator[Box]:
    """The boxes of a subtree, inputs first."""
    for child in box.children:
        yield from _walk(child)
    yield box


# Places


def _systems(root: Box, style: Style, width: int | None) -> Iterator[Box]:
    """The picture as trees that fit the page, in reading order."""
    _place_columns(root, style)
    while width is not None and _width(root) > width:
        fitting = _widest_rank(root, style, width)
        if fitting < 1 or fitting >= root.rank:
            break  # nothing fits, or only the last label sticks out: a line that is too long is better
        yield from _systems(_cut(root, fitting), style, width)
        _place_columns(root, style)
    yield root


def _width(root: Box) -> int:
    """Columns of a picture: one more than its labels need, and one for the mark of a cut."""
    return root.end + 1 + root.cut


def _widest_rank(root: Box, style: Style, width: int) -> int:
    """The last rank whose boxes all end on the page, with the name that a cut wire must have."""
    over = [box.rank for box in _walk(root) if box.end + 2 + _tag_length(box, style) > width]
    return min(over, default=root.rank) - 1


def _tag_length(box: Box, style: Style) -> int:
    return 0 if box.label else len(f"{style.across} {box.wire.tag} ")


def _cut(root: Box, rank: int) -> Box:
    """Take out the longest subtree that reaches up to this rank; a stub goes on in its place."""
    places = [(box, place) for box in _walk(root) for place in range(len(box.children)) if box.rank > rank]
    parent, place = max(places, key=lambda at: _reach(at[0].children[at[1]], rank))
    child = parent.children[place]
    parent.children[place] = replace(child, children=[], stub=True, cut=True)
    child.cut, child.term = True, ()
    return child


def _reach(box: Box, rank: int) -> int:
    """The rank of a subtree that can be cut out; −1 for a leaf or what is longer."""
    return box.rank if box.children and box.rank <= rank else -1


def _place_columns(root: Box, style: Style) -> None:
    """Ranks from the leaves on, and a column for each rank."""
    for box in _walk(root):
        box.rank = 1 + max((child.rank for child in box.children), default=-1)
    boxes = sorted(_walk(root), key=lambda box: box.rank)
    margin = max(len(_leaf_text(box, style)) for box in boxes if box.rank == 0)
    free = 0
    for rank in range(root.rank + 1):
        level = [box for box in boxes if box.rank == rank]
        join = free + 1 + max(len(box.wire.gate) for box in level) // 2 if rank else 0
        for box in level:
            box.join = join
            box.start = margin if box.rank == 0 else _gate_end(box) + len(_inline_name(box, style))
        free = _align(level, style)


def _gate_end(box: Box) -> int:
    return box.join - len(box.wire.gate) // 2 + len(box.wire.gate)


def _align(level: list[Box], style: Style) -> int:
    """Let the labels of one rank end in the same column; the first column that is free after all of them."""
    zone = max(box.start + _length(box.wire.value, _gradient(box, style)) for box in level)
    for box in level:
        box.zone = box.end = zone
        if _has_arm(box):
            box.end += 1 + _length(_signed(box.term, style))
    return max(box.end for box in level)


def _has_arm(box: Box) -> bool:
    """Whether a branch begins at the end of this wire: a dot, and the first arm behind it."""
    return box.branch and not box.stub and not box.cut


def _gradient(box: Box, style: Style) -> Lines:
    """The sum on a trunk, its own term on an arm that comes from elsewhere."""
    return _signed(box.term if box.stub and box.branch else box.wire.gradient, style)


def _length(*labels: Lines) -> int:
    """Length of the straight stretch of wire that carries these labels."""
    return 2 + max((len(line) for label in labels for line in label), default=1)


def _signed(label: Lines, style: Style) -> Lines:
    """Gradient lines behind the sign that tells them from values."""
    indent = " " * len(style.partial)
    return tuple((indent if place else style.partial) + line for place, line in enumerate(label))


def _leaf_text(box: Box, style: Style) -> str:
    """A leaf's name; a stub's name with the mark of where it comes from."""
    mark = "" if not box.stub else style.dot if box.branch else style.onward
    return f"{box.label} {mark}"


def _inline_name(box: Box, style: Style) -> str:
    """The name of an intermediate value, set into its wire."""
    return f"{style.across} {box.label} " if box.label else ""


def _place_rows(box: Box, style: Style) -> None:
    """Rows relative to the first child, and how many rows above and below its own the subtree owns."""
    for child in box.children:
        _place_rows(child, style)
    box.above, box.below = len(box.wire.value), max(len(_gradient(box, style)), len(box.term))
    if box.children:
        _stack(box.children)
        first, last = box.children[0], box.children[-1]
        box.row = _middle([child.row for child in box.children])
        box.above = max(box.above, box.row - first.row + first.above)
        box.below = max(box.below, last.row + last.below - box.row)


def _middle(rows: list[int]) -> int:
    """The gate's row: level with the middle input of an odd number, else half way between the outer two."""
    return rows[len(rows) // 2] if len(rows) % 2 else (rows[0] + rows[-1]) // 2


def _stack(children: list[Box]) -> None:
    """Set subtrees below one another."""
    for upper, lower in pairwise(children):
        _move(lower, upper.row + upper.below + GAP + lower.above + 1 - lower.row)


def _move(box: Box, rows: int) -> None:
    for each in _walk(box):
        each.row += rows


# Paint


class Canvas:
    """Characters by place; what is painted later wins."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}

    def write(self, row: int, column: int, text: str, ink: str = "") -> None:
        for offset, character in enumerate(text):
            self.cells[row, column + offset] = (character, ink)

    def text(self, color: bool) -> str:
        """The painted lines, without blanks at their ends."""
        rows = range(min(row for row, _ in self.cells), 1 + max(row for row, _ in self.cells))
        return "\n".join(self._line(row, color) for row in rows)

    def _line(self, row: int, color: bool) -> str:
        length = 1 + max((column for r, column in self.cells if r == row), default=-1)
        cells = [self.cells.get((row, column), (" ", "")) for column in range(length)]
        if not color:
            return "".join(character for character, _ in cells).rstrip()
        return _colored(cells)


def _colored(cells: list[tuple[str, str]]) -> str:
    """Characters with terminal colours, one sequence per run of the same ink."""
    out, current = [], ""
    for character, ink in cells:
        if ink != current:
            out.append(("\x1b[0m" if current else "") + COLORS[ink])
            current = ink
        out.append(character)
    return "".join(out).rstrip() + ("\x1b[0m" if current else "")


def _paint(root: Box, style: Style, color: bool) -> str:
    """One system as text."""
    _place_rows(root, style)
    canvas = Canvas()
    last = _paint_wire(canvas, root, root.end + 1, style)
    if root.cut:
        canvas.write(root.row, last, style.dot if root.branch else style.onward)
    for box in _walk(root):
        _paint_inputs(canvas, box, style)
    for box in _walk(root):
        _paint_labels(canvas, box, style)
    return canvas.text(color)


def _paint_inputs(canvas: Canvas, box: Box, style: Style) -> None:
    """The wires that lead into a gate, and the line in which they meet."""
    if not box.children:
        return
    first, last = box.children[0].row, box.children[-1].row
    for row in range(first, last + 1):
        canvas.write(row, box.join, style.down)
    for child in box.children:
        corner = (
            style.from_above if child.row == first else style.from_below if child.row == last else style.from_beside
        )
        _paint_wire(canvas, child, box.join, style)
        canvas.write(child.row, box.join, corner)
        if child.barred:
            edge = box.join - (len(box.wire.gate) // 2 if child.row == box.row else 0)
            canvas.write(child.row, edge - 1, style.bar)


def _paint_wire(canvas: Canvas, box: Box, until: int, style: Style) -> int:
    """The wire of a box from its gate or name up to a column."""
    start = len(_leaf_text(box, style).rstrip()) if box.rank == 0 else box.join
    start += 0 if box.rank == 0 and box.stub else 1
    canvas.write(box.row, start, style.across * (until - start))
    return until


def _paint_labels(canvas: Canvas, box: Box, style: Style) -> None:
    """Gate or name, value above the wire, gradient below it, the dot of a branch and its first arm."""
    gate = box.wire.gate if box.children else ""
    if gate:
        canvas.write(box.row, _gate_end(box) - len(gate), gate, "gate")
        canvas.write(box.row, _gate_end(box), _inline_name(box, style))
    else:
        canvas.write(box.row, 0, _leaf_text(box, style).rstrip())
    _write_above(canvas, box.row, box.zone - 1, box.wire.value)
    _write_below(canvas, box.row, box.zone - 1, _gradient(box, style))
    if _has_arm(box):
        canvas.write(box.row, box.zone, style.dot)
        _write_below(canvas, box.row, box.end - 1, _signed(box.term, style))


def _write_above(canvas: Canvas, row: int, right: int, label: Lines) -> None:
    """Lines above a wire, ending left of a column."""
    for offset, line in enumerate(reversed(label)):
        canvas.write(row - 1 - offset, right - len(line), line, "value")


def _write_below(canvas: Canvas, row: int, right: int, label: Lines) -> None:
    """Lines below a wire, ending left of a column."""
    for offset, line in enumerate(label):
        canvas.write(row + 1 + offset, right - len(line), line, "gradient")
