"""The door for pushes: `/push/<secret>`, as plain ASGI, since every millisecond of it counts.

The body is read up to a limit and handed on byte for byte; nothing is decoded here.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from truckroll.app.pushes import MOST_BYTES, NOT_FOUND, TOO_LARGE, UNAVAILABLE, Receiver
from truckroll.kit.handshakes import Answer

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Send

_READ_SECONDS = 10.0
_METHODS = ("POST", "HEAD")


class _LeftError(Exception):
    """The sender hung up before the end of the body."""


def pushes_first(receiver: Receiver, app: "ASGIApp") -> "ASGIApp":
    """Return an application that takes pushes itself and leaves all else to `app`.

    What a framework does around a handler is a seventh of what a push takes.
    """

    async def first(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/push/"):
            await _take(receiver, scope, receive, send)
        else:
            await app(scope, receive, send)

    return first


async def _take(receiver: Receiver, scope: Any, receive: "Receive", send: "Send") -> None:
    try:
        answer = await _answer(receiver, scope, receive)
    except _LeftError:
        return
    await _send(send, answer, head=scope["method"] == "HEAD")


async def _answer(receiver: Receiver, scope: Any, receive: "Receive") -> Answer:
    if scope["method"] not in _METHODS:
        return NOT_FOUND
    headers = _headers(scope["headers"])
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > MOST_BYTES:
        return TOO_LARGE
    try:
        async with asyncio.timeout(_READ_SECONDS):
            body = await _body(receive)
    except TimeoutError:
        return UNAVAILABLE
    if body is None:
        return TOO_LARGE
    raw = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    target = f"{path}?{query}" if query else path
    push = receiver.arrival(scope["method"], target, headers, body)
    return await receiver.take(path.rstrip("/").rpartition("/")[2], push)


def _headers(pairs: Any) -> dict[str, str]:
    """Return headers by name in lower case; of several with a name, joined as HTTP says."""
    found: dict[str, str] = {}
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


async def _body(receive: "Receive") -> bytes | None:
    """Return the body as it came, None where it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _LeftError
        part = message.get("body", b"")
        size += len(part)
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
