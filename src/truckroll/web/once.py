"""Idempotency-Key: the same call under the same key is done once, and answered alike for 24 h."""

import hashlib
from typing import Any

import msgspec
from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions import ClientException, HTTPException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from truckroll.store.replies import Call, Reply
from truckroll.web.problems import MEDIA, problem

HEADER = "Idempotency-Key"
SECRET = "answers_with_secret"  # noqa: S105 -- the name of a route's option
_LONGEST = 200
_KEPT = (b"content-type", b"location", b"etag")


class Once(ASGIMiddleware):
    """Remembers the answers to POST calls with an Idempotency-Key, by tenant, token and route.

    Only what went well is remembered. What answers with a secret is not: the second call learns
    that it was done.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer from memory, or let the call through and remember its answer."""
        request: Request[Any, Any, Any] = Request(scope, receive)
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None:
            await next_app(scope, receive, send)
            return
        if not (0 < len(key) <= _LONGEST and key.isascii() and key.isprintable()):
            says = f"{HEADER} must be of 1 to {_LONGEST} printable ASCII characters."
            raise ClientException(says)
        call = Call(request.user.token, f"{request.method} {scope['path']}", key)
        asked = hashlib.sha256(scope["query_string"] + b"\0" + await request.body()).digest()
        store, now = request.user.store, request.app.state.now
        known = await store.begin_reply(call, asked, at=now())
        if known is not None:
            await _again(known, asked, send)
            return
        kept = _Kept()
        try:
            await next_app(scope, receive, kept.add)
        except BaseException:
            await store.drop_reply(call)
            raise
        if not kept.well:
            await store.drop_reply(call)
        elif scope["route_handler"].opt.get(SECRET):
            await store.end_reply(call, *_shown_once())
        else:
            await store.end_reply(call, kept.status, kept.headers, kept.body)
        for message in kept.messages:
            await send(message)


class _Kept:
    """An answer on its way out."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    @property
    def well(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 -- HTTP's own class of success

    async def add(self, message: Message) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode(): value.decode()
                for name, value in message["headers"]
                if name.lower() in _KEPT
            }
        elif message["type"] == "http.response.body":
            self.body += message["body"]


def _shown_once() -> tuple[int, dict[str, str], bytes]:
    says = "This was done already, and its secret is shown only once; make another one."
    response = problem(409, says)
    return 409, {"content-type": MEDIA}, msgspec.json.encode(response.content)


async def _again(known: Reply, asked: bytes, send: Send) -> None:
    if known.asked != asked:
        says = f"This {HEADER} was used for another call; take a new one."
        raise HTTPException(says, status_code=422)
    if not known.status:
        says = f"The first call with this {HEADER} is still at work; ask again in a moment."
        raise HTTPException(says, status_code=409, headers={"Retry-After": "1"})
    headers = {
        **known.headers,
        "content-length": str(len(known.body)),
        "idempotency-replayed": "true",
    }
    await send(
        {
            "type": "http.response.start",
            "status": known.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": known.body, "more_body": False})
