"""Colours and sizes of the picture, read from `tokens.json`, which the front end reads, too.

Sizes are whole numbers: places that are computed from them are the same in every language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

#: Code points that a fixed-width font draws two cells wide.
_WIDE: Final = (
    *((0x1100, 0x115F), (0x2E80, 0xA4CF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFE30, 0xFE6F)),
    *((0xFF00, 0xFF60), (0xFFE0, 0xFFE6), (0x1F000, 0x1FAFF), (0x20000, 0x3FFFD)),
)


@cache
def tokens() -> Mapping[str, Any]:
    """The whole file."""
    loaded: dict[str, Any] = json.loads(files("adjoint.view").joinpath("tokens.json").read_text("utf-8"))
    return loaded


def cells(text: str) -> int:
    """Cells of a fixed-width font that a text takes: two for the wide letters of East Asia and for emoji."""
    if text.isascii():
        return len(text)
    return len(text) + sum(any(low <= ord(letter) <= high for low, high in _WIDE) for letter in text)


def width(text: str) -> int:
    """Width of a text in the picture."""
    cell: int = tokens()["font"]["cell"]
    return cells(text) * cell


def shortened(text: str, longest: int) -> str:
    """The text, its middle left out where it is longer than so many letters."""
    if len(text) <= longest:
        return text
    head = (longest - 1) // 2
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"
