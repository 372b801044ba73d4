"""Which address does what. Every mistake of a request is answered with 4xx and a sentence; nothing is listed.

GET  /                               the page
GET  /studio.js, /viewer.js          its scripts
GET  /api/status                     what is going on, and what a training may be made of
POST /api/playground                 {expression, inputs} → {document, inputs, note}
POST /api/open                       {path} → {kind, id}
GET  /api/documents/{id}             a graph document
POST /api/training                   the settings of a training → {kind, id}
POST /api/training/{command}         run, pause, step, stop → the status
GET  /api/runs/{id}/events           server-sent events, from the offset in Last-Event-ID or ?from=
GET  /api/runs/{id}/graph            ?step=&layer= → the graph document of that moment
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from adjoint.errors import AdjointError
from adjoint.view.server import pages, playground
from adjoint.view.server.events import events
from adjoint.view.server.refusals import BusyError, NotHereError, words
from adjoint.view.server.studio import Studio

JAVASCRIPT: Final = "text/javascript; charset=utf-8"


def application(studio: Studio) -> Starlette:
    """The web app of a studio."""
    desk = Desk(studio)
    routes = [
        Route("/", desk.page),
        Route("/studio.js", desk.script),
        Route("/studio.css", desk.style),
        Route("/viewer.js", desk.viewer),
        Route("/api/status", desk.status),
        Route("/api/playground", desk.playground, methods=["POST"]),
        Route("/api/open", desk.open, methods=["POST"]),
        Route("/api/documents/{name}", desk.document),
        Route("/api/training", desk.train, methods=["POST"]),
        Route("/api/training/{word}", desk.command, methods=["POST"]),
        Route("/api/runs/{name}/events", desk.events),
        Route("/api/runs/{name}/graph", desk.graph),
    ]
    handlers: Any = {AdjointError: _refused, HTTPException: _not_served}
    return Starlette(routes=routes, exception_handlers=handlers)


async def _refused(request: Request, error: Exception) -> Response:
    """What this library refuses: the words, and where in an expression."""
    status = 404 if isinstance(error, NotHereError) else 409 if isinstance(error, BusyError) else 400
    answer: dict[str, Any] = {"error": words(error)}
    if hasattr(error, "column"):
        answer |= {"column": error.column, "hint": getattr(error, "hint", "")}
    return JSONResponse(answer, status)


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


class Desk:
    """The answers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    # --- pages ------------------------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        """The page."""
        content = pages.NOT_BUILT if pages.viewer() is None else pages.PAGE
        return Response(content, media_type="text/html; charset=utf-8")

    async def script(self, request: Request) -> Response:
        """What starts the viewer."""
        return Response(pages.SCRIPT, media_type=JAVASCRIPT)

    async def style(self, request: Request) -> Response:
        """How the page is laid out."""
        return Response(pages.STYLE, media_type="text/css; charset=utf-8")

    async def viewer(self, request: Request) -> Response:
        """The viewer."""
        content = pages.viewer()
        if content is None:
            raise HTTPException(404, "the viewer is not built")
        return Response(content, media_type=JAVASCRIPT)

    # --- data -------------------------------------------------------------------------------------------------------

    async def status(self, request: Request) -> Response:
        """What is going on."""
        return JSONResponse(self.studio.status())

    async def playground(self, request: Request) -> Response:
        """An expression as a graph."""
        wish = await _wish(request)
        return await _made(lambda: playground.answer(self.studio.tools, wish))

    async def open(self, request: Request) -> Response:
        """A file of this machine."""
        path = (await _wish(request)).get("path")
        if not isinstance(path, str) or not path:
            raise HTTPException(400, "expected a path, a text")
        return await _made(lambda: self.studio.open(path))

    async def document(self, request: Request) -> Response:
        """An open document."""
        return _json(self.studio.document(request.path_params["name"]))

    async def train(self, request: Request) -> Response:
        """A new training."""
        wish = await _wish(request)
        return await _made(lambda: self.studio.train(wish))

    async def command(self, request: Request) -> Response:
        """Run, pause, step, stop."""
        return JSONResponse(self.studio.command(request.path_params["word"]))

    async def events(self, request: Request) -> Response:
        """A run as it was and goes on."""
        name = request.path_params["name"]
        path = self.studio.run(name)
        offset = _count(request.headers.get("last-event-id") or request.query_params.get("from", "0"), "an offset")

        def status() -> Any:
            studio = self.studio
            return studio.session.status() if studio.session is not None and studio.session_run == name else None

        return StreamingResponse(events(path, offset, status), media_type="text/event-stream")

    async def graph(self, request: Request) -> Response:
        """The network of a run at a step."""
        step = _count(request.query_params.get("step", "0"), "a step")
        name, layer = request.path_params["name"], request.query_params.get("layer", "")[:500]
        return _json(await run_in_threadpool(self.studio.graph, name, step, layer))


async def _wish(request: Request) -> dict[str, Any]:
    """The JSON object that a request brings."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "expected application/json")
    try:
        made = json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise HTTPException(400, "expected JSON") from None
    if not isinstance(made, dict):
        raise HTTPException(400, "expected a JSON object")
    return made


def _no_constant(text: str) -> Any:
    raise ValueError(text)


async def _made(make: Callable[[], dict[str, Any]]) -> Response:
    """What is made beside the loop, so that others are answered meanwhile."""
    return JSONResponse(await run_in_threadpool(make))


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")


def _count(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise HTTPException(400, f"expected {what}, a whole number, got {text[:40]!r}")
    return int(text)
