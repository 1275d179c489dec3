"""The door for pushes: `/push/<secret>`, as plain ASGI, since every millisecond of it counts.

The body is read up to a limit and handed on byte for byte; nothing is decoded here.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from truckroll.app.pushes import BUSY, MOST_BYTES, NOT_FOUND, TOO_LARGE, UNAVAILABLE, Receiver
from truckroll.kit.handshakes import Answer

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Send

_READ_SECONDS = 10.0
_MOST_IN_HAND = 64 * 1024 * 1024
_METHODS = ("POST", "HEAD")


class _LeftError(Exception):
    """The sender hung up before the end of the body."""


class _FullError(Exception):
    """All that is being taken together has no room for more."""


class _Room:
    """Bounds the bytes of all pushes that are in hand at once."""

    def __init__(self) -> None:
        self._bytes = 0

    @contextmanager
    def taken(self) -> Iterator[Callable[[int], None]]:
        """Give what takes room for so many bytes more, or raises; all are given back at the end."""
        mine = 0

        def more(size: int) -> None:
            nonlocal mine
            mine += size
            self._bytes += size
            if self._bytes > _MOST_IN_HAND:
                raise _FullError

        try:
            yield more
        finally:
            self._bytes -= mine


def pushes_first(receiver: Receiver, app: "ASGIApp") -> "ASGIApp":
    """Return an application that takes pushes itself and leaves all else to `app`.

    What a framework does around a handler is a seventh of what a push takes.
    """
    room = _Room()

    async def first(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/push/"):
            await _take(receiver, room, scope, receive, send)
        else:
            await app(scope, receive, send)

    return first


async def _take(
    receiver: Receiver, room: _Room, scope: Any, receive: "Receive", send: "Send"
) -> None:
    try:
        answer = await _answer(receiver, room, scope, receive)
    except _LeftError:
        return
    receiver.answered(*_from(scope), answer.status)
    await _send(send, answer, head=scope["method"] == "HEAD")


async def _answer(receiver: Receiver, room: _Room, scope: Any, receive: "Receive") -> Answer:
    if scope["method"] not in _METHODS:
        return NOT_FOUND
    source, end = _from(scope)
    if not receiver.listens_to(source, end):
        return BUSY
    headers = _headers(scope["headers"])
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MOST_BYTES:
        return TOO_LARGE
    path, query = _path(scope), scope["query_string"].decode("latin-1")
    target = f"{path}?{query}" if query else path
    with room.taken() as held:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                body = await _body(receive, held)
        except (TimeoutError, _FullError):
            return UNAVAILABLE
        if body is None:
            return TOO_LARGE
        push = receiver.arrival(scope["method"], target, headers, body)
        return await receiver.take(end, push)


def _path(scope: Any) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _from(scope: Any) -> tuple[str, str]:
    """Return the address that a push comes from, and the secret end that it goes to."""
    source = (scope.get("client") or ("",))[0]
    return source, _path(scope).rstrip("/").rpartition("/")[2]


def _headers(pairs: Any) -> dict[str, str]:
    """Return headers by name in lower case; of several with a name, joined as HTTP says."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _body(receive: "Receive", held: Callable[[int], None]) -> bytes | None:
    """Return the body as it came, None where it is too large; `held` is told of each part."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _LeftError
        part = message.get("body", b"")
        size += len(part)
        held(len(part))
        if size > MOST_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send(send: "Send", answer: Answer, *, head: bool) -> None:
    body = b"" if head else answer.body
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.items()
    ]
    headers.append((b"content-length", str(len(body)).encode()))
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
