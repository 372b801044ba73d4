"""A graph as SVG: the picture as text, byte by byte the same for the same document.

One file serves light and dark: colours are classes, and the reader's setting chooses between two sets of the tokens.
Title and description say every value and gradient in words. Nothing is fetched and nothing runs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, Final

from adjoint.atomic import write_atomically
from adjoint.view.document import checked, document
from adjoint.view.escape import escaped
from adjoint.view.figures import NOTHING, Figure
from adjoint.view.layout import Link
from adjoint.view.picture import BAR, CELL, Part, Picture, chart_size, picture
from adjoint.view.tokens import tokens, width
from adjoint.view.words import about_gate, combined, description, title

THEMES: Final = ("auto", "light", "dark")
_DOT: Final = 4  # radius


def svg(
    subject: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    digits: int | None = None,
    theme: str = "auto",
    legend: bool = True,
) -> str:
    """The circuit of a graph as SVG, from left to right: the value above each wire, the gradient below it.

    Parameters
    ----------
    subject : Graph, Tensor, function without arguments, or a graph document
    path : path, optional
        A file to write as well, whole or not at all.
    digits : int, optional
        Decimals. Without it as many as make the printed products true: none for whole numbers, else 2 to 6.
    theme : "auto", "light" or "dark"
        Colours; "auto" follows the setting of who looks at it.
    legend : bool
        Say below the picture what stands where.

    Returns
    -------
    str
        One `svg` element; of a graph of more than 250 boxes, modules and long runs are folded.

    Raises
    ------
    GradientError, DocumentError
        The subject has no graph, or is no document.
    OSError
        The file cannot be written.

    Example
    -------
    >>> import adjoint as ad
    >>> x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
    >>> f = (x * y).named("f")
    >>> f.backward()
    >>> drawn = svg(f)
    >>> drawn[:5], "f = x × y is -12, gradient 1." in drawn
    ('<svg ', True)

    Source: CS231n 2017, lecture 4, slides 11 to 45.
    """
    made = checked(subject) if isinstance(subject, dict) else document(subject)
    text = render(picture(made, digits=digits), theme=theme, legend=legend)
    if path is not None:
        write_atomically(path, text.encode("utf-8") + b"\n")
    return text


def render(drawn: Picture, *, theme: str = "auto", legend: bool = True) -> str:
    """A picture as text."""
    keys = _legend(drawn) if legend else []
    wide = max(drawn.layout.width, _legend_width(keys) + 2 * tokens()["space"]["margin"] if keys else 0)
    high = drawn.layout.height + (tokens()["font"]["line"] + tokens()["space"]["margin"] if keys else 0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="adjoint" role="img" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" xml:space="preserve">',
        f"<title>{escaped(title(drawn))}</title>",
        f"<desc>{escaped(' '.join(description(drawn)))}</desc>",
        f"<style>{style(theme)}</style>",
        f'<rect class="page" width="{wide}" height="{high}"/>',
        *_wires(drawn),
        *(line for index, part in enumerate(drawn.parts) for line in _part(drawn, part, index)),
        *_drawn_legend(keys, drawn.layout.height + tokens()["font"]["line"] // 2),
        "</svg>",
    ]
    return "\n".join(lines)


# --- colours --------------------------------------------------------------------------------------------------------


@cache
def style(theme: str) -> str:
    """The style sheet; its rules touch nothing outside of the picture."""
    font = tokens()["font"]
    rules = [
        f".adjoint text{{font-family:{font['family']};font-size:{font['size']}px;white-space:pre}}",
        ".adjoint .gradient{font-style:italic}.adjoint .middle{text-anchor:middle}.adjoint .end{text-anchor:end}",
        f".adjoint .small{{font-size:{font['small']}px}}.adjoint .symbol{{font-size:{font['size'] + 5}px}}",
        ".adjoint .wire{fill:none;stroke-width:1.5}.adjoint .gate{stroke-width:1.5}.adjoint .bar{stroke-width:3}",
        *_colours("light" if theme == "auto" else theme),
    ]
    if theme == "auto":
        rules.append(f"@media(prefers-color-scheme:dark){{{''.join(_colours('dark'))}}}")
    return "".join(rules)


def _colours(theme: str) -> Iterator[str]:
    color, heat = tokens()[theme], tokens()["heat"][theme]
    yield f".adjoint .page{{fill:{color['background']}}}.adjoint text{{fill:{color['ink']}}}"
    yield f".adjoint text.value{{fill:{color['value']}}}.adjoint text.gradient{{fill:{color['gradient']}}}"
    yield f".adjoint text.muted{{fill:{color['muted']}}}.adjoint .wire{{stroke:{color['wire']}}}"
    yield f".adjoint .dot{{fill:{color['line']}}}.adjoint .bar{{stroke:{color['gradient']}}}"
    yield f".adjoint .gate{{fill:{color['gate']};stroke:{color['line']}}}.adjoint .fold{{fill:{color['fold']}}}"
    yield f".adjoint .inner{{fill:none;stroke:{color['line']}}}.adjoint .chart{{fill:{color['muted']}}}"
    yield from (f".adjoint .h{level}{{fill:{fill}}}" for level, fill in enumerate(heat))


# --- wires ----------------------------------------------------------------------------------------------------------


def _wires(drawn: Picture) -> Iterator[str]:
    """A path for each wire with all its branches, and the dots where it branches."""
    pieces: list[list[Link]] = [[] for _ in drawn.parts]
    for link in drawn.layout.links:
        pieces[link.wire].append(link)
    for index, links in enumerate(pieces):
        yield from _wire(drawn, index, links)


def _wire(drawn: Picture, index: int, links: Sequence[Link]) -> Iterator[str]:
    column, y = drawn.layout.columns[drawn.layout.rank[index]], drawn.layout.y[index]
    part = drawn.parts[index]
    start = column.axis + (0 if part.shape == "name" else part.half)
    path = [f"M{start} {y}H{column.right}"]
    ends: dict[tuple[int, int], int] = {}
    for link in links:
        ends[link.rank, link.start] = ends.get((link.rank, link.start), 0) + 1
        path.append(_bend(drawn, link))
    yield f'<path class="wire" d="{"".join(path)}"/>'
    for (rank, height), count in ends.items():
        if count > 1:
            yield f'<circle class="dot" cx="{drawn.layout.columns[rank].right}" cy="{height}" r="{_DOT}"/>'
    if index in drawn.scene.named:
        yield f'<circle class="dot" cx="{column.right}" cy="{y}" r="{_DOT}"/>'
    for link in links:
        yield from _bar(drawn, link)


def _bend(drawn: Picture, link: Link) -> str:
    """The piece between two columns, and what follows of it in the second: a lane, or the way into a gate."""
    columns = drawn.layout.columns
    start, end = columns[link.rank].right, columns[link.rank + 1].left
    middle = (start + end) // 2
    bend = f"M{start} {link.start}" + (
        f"H{end}" if link.start == link.end else f"C{middle} {link.start} {middle} {link.end} {end} {link.end}"
    )
    if link.edge < 0:
        return f"{bend}H{columns[link.rank + 1].right}"
    return bend + _entry(drawn, link)


def _entry(drawn: Picture, link: Link) -> str:
    """From the column's edge straight past the arm's label, then to the edge of the gate."""
    target = drawn.scene.arrows[link.edge].target
    part, y = drawn.parts[target], drawn.layout.y[target]
    axis = drawn.layout.columns[link.rank + 1].axis
    if not part.gather:
        return f"H{axis - half_at(part, link.end - y)}"
    inner = _within(link.end - y, part.rise * 3 // 5)
    return f"H{axis - part.half - part.gather}L{axis - half_at(part, inner)} {y + inner}"


def _within(offset: int, limit: int) -> int:
    return max(-limit, min(limit, offset))


def half_at(part: Part, offset: int) -> int:
    """Half the width of a shape at a height: of a circle and of round ends less than in the middle."""
    radius = part.rise
    if part.shape not in ("circle", "pill") or abs(offset) >= radius:
        return part.half
    return part.half - radius + math.isqrt(radius * radius - offset * offset)


def _bar(drawn: Picture, link: Link) -> Iterator[str]:
    """The barred end of a wire into a gate that lets no gradient through."""
    if link.edge < 0:
        return
    target = drawn.scene.arrows[link.edge].target
    part = drawn.parts[target]
    if any(arm.stops and arm.port == drawn.scene.arrows[link.edge].port for arm in part.arms):
        x = drawn.layout.columns[link.rank + 1].axis - part.half - part.gather // 2 - 6
        yield f'<path class="bar" d="M{x} {link.end - 7}V{link.end + 7}"/>'


# --- boxes and labels -----------------------------------------------------------------------------------------------


def _part(drawn: Picture, part: Part, index: int) -> Iterator[str]:
    x, y = drawn.layout.columns[drawn.layout.rank[index]].axis, drawn.layout.y[index]
    yield from _body(part, x, y, about_gate(drawn, part))
    if part.name:
        yield label(x, y - part.rise - 6, part.name, "muted middle")
    yield from _above(part.value, x + part.label, y)
    yield from _below(part.gradient, x + part.label, y)
    at = x - part.half - part.gather - part.zone + tokens()["label"]["clear"]
    for arm, port in zip(part.arms, part.ports, strict=True):
        yield from _below(arm.term, at, y + port)


def _body(part: Part, x: int, y: int, said: str) -> Iterator[str]:
    """The drawn shape with what stands in it."""
    half, rise = part.half, part.rise
    if part.shape == "name":
        kind = "muted end" if part.box.kind == "stub" else "end"
        yield label(x - tokens()["label"]["near"], y + 4, part.lines[0], kind)
        return
    if part.shape == "circle":
        yield _titled(f'<circle class="gate" cx="{x}" cy="{y}" r="{half}"', "circle", said)
    else:
        corner = rise if part.shape == "pill" else 6
        extra = " fold" if part.shape == "fold" else ""
        yield _titled(_rectangle(f"gate{extra}", x - half, y - rise, half, rise, corner), "rect", said)
        if part.shape == "fold":
            yield _rectangle("inner", x - half + 3, y - rise + 3, half - 3, rise - 3, 4) + "/>"
    line = tokens()["font"]["line"]
    top = y - len(part.lines) * line // 2 + line - 4
    for place, text in enumerate(part.lines):
        symbol = part.shape == "circle" and len(text) == 1
        kind = "middle symbol" if symbol else "middle muted" if place and part.shape == "fold" else "middle"
        yield label(x, top + place * line + (2 if symbol else 0), text, kind)


def _rectangle(kind: str, left: int, top: int, half: int, rise: int, corner: int) -> str:
    size = f'width="{2 * half}" height="{2 * rise}" rx="{corner}"'
    return f'<rect class="{kind}" x="{left}" y="{top}" {size}'


def _titled(start: str, name: str, said: str) -> str:
    """A shape with what is to be known of its gate, which shows when the pointer rests on it."""
    return f"{start}><title>{escaped(said)}</title></{name}>" if said else f"{start}/>"


def label(x: int, y: int, text: str, kind: str) -> str:
    """A text at a place, in the classes of the style sheet."""
    return f'<text class="{kind}" x="{x}" y="{y}">{escaped(text)}</text>'


def _above(figure: Figure, x: int, y: int) -> Iterator[str]:
    """A figure that ends above a wire: chart, then lines."""
    line, clear = tokens()["font"]["line"], tokens()["label"]["clear"]
    last = y - clear - 1
    for place, text in enumerate(reversed(figure.lines)):
        yield label(x, last - place * line, text, "value")
    yield from _chart(figure, x, y - 2 * clear - len(figure.lines) * line - chart_size(figure.chart)[1])


def _below(figure: Figure, x: int, y: int) -> Iterator[str]:
    """A figure that begins below a wire."""
    line, clear = tokens()["font"]["line"], tokens()["label"]["clear"]
    for place, text in enumerate(figure.lines):
        yield label(x, y + clear + line - 5 + place * line, text, "gradient")
    yield from _chart(figure, x, y + 2 * clear + len(figure.lines) * line - 3)


def _chart(figure: Figure, x: int, y: int) -> Iterator[str]:
    """The small heat map of a matrix, or the histogram of what has one axis."""
    chart = figure.chart or {}
    if "map" in chart:
        yield from _heat_map(chart["map"], x, y)
    elif "histogram" in chart:
        counts = chart["histogram"]["counts"]
        highest = max(counts)
        bars = [(place, max(count * BAR[1] // highest, 1)) for place, count in enumerate(counts) if count]
        path = "".join(f"M{x + place * BAR[0]} {y + BAR[1]}v-{high}h{BAR[0] - 1}v{high}z" for place, high in bars)
        yield f'<path class="chart" d="{path}"/>'


def _heat_map(chart: Mapping[str, Any], x: int, y: int) -> Iterator[str]:
    """Cells by level: three below zero, zero, three above."""
    cells = [float(each) for each in chart["data"]]
    largest = max((abs(each) for each in cells if math.isfinite(each)), default=0.0)
    levels = [_level(each, largest) for each in cells]
    paths: dict[int, list[str]] = {}
    for row in range(chart["rows"]):
        column = 0
        for level, run in groupby(levels[row * chart["columns"] : (row + 1) * chart["columns"]]):
            long = sum(1 for _ in run)
            across, (wide, high) = long * CELL[0], CELL
            cell = f"M{x + column * wide} {y + row * high}h{across}v{high}h-{across}z"
            paths.setdefault(level, []).append(cell)
            column += long
    for level, found in sorted(paths.items()):
        yield f'<path class="h{level}" d="{"".join(found)}"/>'


def _level(x: float, largest: float) -> int:
    """Of seven levels, the middle one for what is less than a sixth of the largest."""
    if not largest or not math.isfinite(x):
        return 3
    share = x / largest
    return (
        3 + sum(share > step for step in (1 / 6, 1 / 2, 5 / 6)) - sum(share < -step for step in (1 / 6, 1 / 2, 5 / 6))
    )


# --- legend ---------------------------------------------------------------------------------------------------------


def _legend(drawn: Picture) -> list[tuple[str, str]]:
    """What is explained: text and class of each entry; signs only where they occur."""
    if drawn.figures.trace is None:
        return []
    shown = [part.gradient.lines for part in drawn.parts] + [
        arm.term.lines for part in drawn.parts for arm in part.arms
    ]
    keys = [("value above the wire", "value")]
    if any(shown):
        keys.append(("gradient below it", "gradient"))
    if (NOTHING,) in shown:
        keys.append((f"{NOTHING} no path from the output", "muted"))
    if any(arm.stops for part in drawn.parts for arm in part.arms):
        keys.append(("❙ the gradient stops here", "muted"))
    keys += [(line, "muted") for line in combined(drawn.figures)]
    return keys


def _legend_width(keys: Sequence[tuple[str, str]]) -> int:
    return sum(width(text) + tokens()["space"]["margin"] for text, _ in keys)


def _drawn_legend(keys: Sequence[tuple[str, str]], y: int) -> Iterator[str]:
    x = tokens()["space"]["margin"]
    for text, kind in keys:
        yield label(x, y, text, f"{kind} small")
        x += width(text) + tokens()["space"]["margin"]
