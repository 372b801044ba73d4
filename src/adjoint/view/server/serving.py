"""Running the web app: a socket on 127.0.0.1, a token, and connections that are closed when they only wait.

uvicorn closes a connection that idles after an answer. One that never sends a whole request head it would keep, so
`Patient` closes it, too.
"""

from __future__ import annotations

import secrets
import socket
from asyncio import Transport
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from adjoint.errors import DataError
from adjoint.view.server.guard import Guard
from adjoint.view.server.routes import application
from adjoint.view.server.studio import Studio

HOST: Final = "127.0.0.1"
HEAD_SECONDS: Final = 10.0  # for the head of a request, and for an idle pause between two
MOST_CONNECTIONS: Final = 400


class Patient(H11Protocol):
    """HTTP/1.1 on a connection that is closed when for a whole period no request is under way on it."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._look_later()

    def _look_later(self) -> None:
        self.loop.call_later(HEAD_SECONDS, self._look, self.cycle)

    def _look(self, before: Any) -> None:
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle  # None until the first head is complete
        if cycle is before and (cycle is None or cycle.response_complete):
            self.transport.close()
        else:
            self._look_later()


class Serving:
    """A studio on a port, ready to run.

    Parameters
    ----------
    studio : Studio
    port : int
        0 for one that is free.

    Raises
    ------
    DataError
        The port is taken.
    """

    def __init__(self, studio: Studio, port: int = 0) -> None:
        self.studio, self.token = studio, secrets.token_urlsafe(24)
        self.socket = _bound(port)
        self.port: int = self.socket.getsockname()[1]
        config = uvicorn.Config(
            Guard(application(studio), self.port, self.token),
            http=Patient,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            limit_concurrency=MOST_CONNECTIONS,
        )
        self.server = uvicorn.Server(config)

    @property
    def address(self) -> str:
        """What to open in a browser: it holds the token."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    def run(self) -> None:
        """Serve until Ctrl-C."""
        try:
            self.server.run(sockets=[self.socket])
        finally:
            self.studio.close()

    @contextmanager
    def beside(self) -> Iterator[Serving]:
        """Serve in a thread, during a block."""
        thread = Thread(target=self.run, name="studio", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.should_exit = True
            thread.join()


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise DataError(f"--port: expected a free port, got {port}: {error.strerror or error}") from None
    return made


def serve(studio: Studio, port: int, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; `ready` is told the address."""
    serving = Serving(studio, port)
    ready(serving.address)
    serving.run()
