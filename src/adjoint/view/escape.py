"""Text from outside, made harmless for XML and HTML.

Names of nodes, parameters and files come from users and from documents of others. They are only ever text: never part
of a tag, an attribute's name, an address or a script.
"""

from __future__ import annotations

import re
from typing import Final

#: What XML forbids, what breaks a line in some languages, and what turns the direction of writing.
_HARMFUL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_REFERENCES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_SPECIAL: Final = re.compile("[&<>\"']")


def clean(text: str) -> str:
    """The text with a mark in place of every character that cannot be shown."""
    return text if text.isascii() and text.isprintable() else _HARMFUL.sub("�", text)


def escaped(text: str) -> str:
    """The text as content or attribute of an element."""
    return _SPECIAL.sub(lambda found: _REFERENCES[found.group()], clean(text))
