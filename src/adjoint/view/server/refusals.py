"""What the web app refuses, and the words in which it says so."""

from __future__ import annotations

import re
from typing import Final

from adjoint.errors import AdjointError

_PLACE: Final = re.compile(r", at [^;]*?:\d+(?: in [\w.]+)?")
_DASHES: Final = re.compile(r"(?<!\S)--(?=\w)")


class NotHereError(AdjointError, LookupError):
    """A document or run that is not open."""


class BusyError(AdjointError, RuntimeError):
    """A training is going on, and there is only one at a time."""


def words(error: Exception) -> str:
    """The message of an error on one line, without file and line, which are the web app's own here, and without the
    dashes of options, which are fields of a form here.

    Example
    -------
    >>> words(AdjointError("f: expected 1, got 2, at app.py:3 in net.layers.1; try 1"))
    'f: expected 1, got 2; try 1'
    """
    message = _PLACE.sub("", getattr(error, "message", "") or str(error))
    return " ".join(_DASHES.sub("", message).split())
