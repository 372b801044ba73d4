"""A run log as server-sent events: every whole line from an offset on, and what is added while somebody listens.

The id of an event is the offset behind its line, so that a browser that lost the connection, or was reloaded, goes on
exactly there. An event of type `status` says what the training is doing; it has no id and is not part of the replay.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from adjoint.view.runs import complete_lines

PIECE: Final = 2**18  # bytes read at a time
PAUSE: Final = 0.05  # seconds between two looks at the file
HEARTBEAT: Final = 10.0  # seconds after which silence is broken, which shows who has gone


async def events(path: Path, offset: int, status: Callable[[], Any]) -> AsyncIterator[bytes]:
    """The events of a log, without end; the listener's going ends it."""
    told, silent, place = None, 0.0, offset
    while True:
        piece = await asyncio.to_thread(_read, path, place)
        for end, line in complete_lines(piece, place):
            yield b"id: %d\ndata: %s\n\n" % (end, line)
            place, silent = end, 0.0
        now = status()
        if now != told:
            told, silent = now, 0.0
            yield b"event: status\ndata: %s\n\n" % json.dumps(now, sort_keys=True).encode("ascii")
        if not piece or b"\n" not in piece:
            await asyncio.sleep(PAUSE)
            silent += PAUSE
        if silent >= HEARTBEAT:
            silent = 0.0
            yield b": still here\n\n"


def _read(path: Path, offset: int) -> bytes:
    """The next piece of a file; a line that is longer than a piece, whole."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            piece = file.read(PIECE)
            return piece if b"\n" in piece or len(piece) < PIECE else piece + file.readline()
    except OSError:  # moved away meanwhile
        return b""
