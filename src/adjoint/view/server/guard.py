"""The guard in front of the web app: who may ask, and how much.

A request is let through if it is addressed to this machine by name (a foreign page that rebinds its own name to
127.0.0.1 still says its name), comes from no other page, and carries the token: as a cookie, which the first visit
with the address from the terminal sets, or as a bearer. A cookie alone is not enough to change anything: the browser
must also say that the page is ours. Bodies are read here, with a limit and a time-out, before anybody looks at them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY: Final = 2**20  # bytes
BODY_SECONDS: Final = 10.0
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class RefusedError(Exception):
    """A request that is not let through: status and words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Guard:
    """An ASGI app around another.

    Parameters
    ----------
    app : ASGI app
    port : int
    token : str
    """

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self.app, self.token, self.cookie = app, token, f"adjoint-studio-{port}"
        self.hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self.origins = {f"http://{host}" for host in self.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            return
        careful = _with_headers(send)
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            self._check_sender(headers)
            welcome = self._welcome(scope)
            if welcome is not None:
                await welcome(scope, receive, careful)
                return
            self._check_token(headers, changing=scope["method"] not in ("GET", "HEAD"))
            body = await _body(headers, receive)
        except RefusedError as refusal:
            answer = JSONResponse({"error": refusal.words}, refusal.status, {"connection": "close"})
            await answer(scope, receive, careful)
            return
        await self.app(scope, _again(body, receive), careful)

    def _check_sender(self, headers: Mapping[str, str]) -> None:
        if headers.get("host", "").lower() not in self.hosts:
            raise RefusedError(403, "the request is addressed to another host")
        if headers.get("origin", next(iter(self.origins))) not in self.origins:
            raise RefusedError(403, "the request comes from another origin")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise RefusedError(403, "the request comes from another site")

    def _welcome(self, scope: Scope) -> Response | None:
        """The answer to the first visit: the token moves from the address into a cookie."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] != "/" or scope["method"] != "GET" or not given:
            return None
        if not self._is_token(given[0]):
            raise RefusedError(401, "the token is not that of this studio; open the address that the terminal shows")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict", path="/")
        return answer

    def _check_token(self, headers: Mapping[str, str], *, changing: bool) -> None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return
        cookies = [each.strip().partition("=") for each in headers.get("cookie", "").split(";")]
        if not any(name == self.cookie and self._is_token(value) for name, _, value in cookies):
            raise RefusedError(401, "the token is missing; open the address that the terminal shows")
        if changing and "origin" not in headers:
            raise RefusedError(403, "the request does not say which page it comes from")

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def _with_headers(send: Send) -> Send:
    """Send with the headers that every answer has."""

    async def careful(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return careful


async def _body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """All of the body, if it is small enough and comes soon enough."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > MOST_BODY:
        raise RefusedError(413, f"expected a body of at most {MOST_BODY:,} bytes")
    if length == "0" and "transfer-encoding" not in headers:
        return b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(receive)
    except TimeoutError:
        raise RefusedError(408, f"expected the body within {BODY_SECONDS:g} seconds") from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, "the connection was closed before the body was complete")
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            raise RefusedError(413, f"expected a body of at most {MOST_BODY:,} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as one message; after it whatever the connection says."""
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
