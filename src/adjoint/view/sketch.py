"""The page of a picture that is drawn by hand and not laid out: title, description, colours, and the file.

A line says the sign of a weight twice, by colour and by dashes, and its size by its width.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache

from adjoint.atomic import write_atomically
from adjoint.errors import AdjointError
from adjoint.recording import here
from adjoint.view.escape import escaped
from adjoint.view.svg import style
from adjoint.view.tokens import tokens

Path = str | os.PathLike[str] | None


def page(wide: int, high: int, title: str, said: str, lines: Sequence[str], theme: str, path: Path) -> str:
    """A picture with title, description and colours; written to a file if one is named."""
    drawn = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="adjoint" role="img" width="{wide}" height="{high}" '
            f'viewBox="0 0 {wide} {high}" xml:space="preserve">',
            f"<title>{escaped(title)}</title>",
            f"<desc>{escaped(said)}</desc>",
            f"<style>{style(theme)}{_colours(theme)}</style>",
            f'<rect class="page" width="{wide}" height="{high}"/>',
            *lines,
            "</svg>",
        ]
    )
    if path is not None:
        write_atomically(path, drawn.encode("utf-8") + b"\n")
    return drawn


@cache
def _colours(theme: str) -> str:
    """What these pictures need beside the style sheet of the graph."""
    rules = ".adjoint .tiny{font-size:10px}.adjoint .weight{fill:none}.adjoint .negative{stroke-dasharray:5 3}"
    rules += ".adjoint .curve{fill:none;stroke-width:2}.adjoint .slope{stroke-dasharray:6 3}.adjoint .axis{fill:none}"
    rules += "".join(_themed("light" if theme == "auto" else theme))
    return rules + (f"@media(prefers-color-scheme:dark){{{''.join(_themed('dark'))}}}" if theme == "auto" else "")


def _themed(theme: str) -> Iterator[str]:
    color = tokens()[theme]
    yield f".adjoint .positive,.adjoint .function{{stroke:{color['value']}}}"
    yield f".adjoint .negative,.adjoint .slope{{stroke:{color['gradient']}}}"
    yield f".adjoint .zone{{fill:{color['fold']}}}.adjoint .axis{{stroke:{color['wire']}}}"


def sign(weight: float) -> str:
    """The class of a line that stands for a weight."""
    return "negative" if weight < 0 else "positive"


def thickness(weight: float, largest: float) -> str:
    """The width of such a line."""
    return f"{0.5 + 2.2 * min(abs(weight) / largest, 1.0):.1f}"


def place(wanted: int, count: int, what: str, who: str) -> int:
    """A place among so many, counted from the end if negative; AdjointError if there is none."""
    if not -count <= wanted < count:
        raise AdjointError(f"{who}: expected a {what} below {count}, got {wanted}{here()}")
    return wanted % count
