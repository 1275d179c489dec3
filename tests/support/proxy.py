"""A fault proxy: stands in front of an HTTP server and does to its traffic what networks do.

    async with FaultProxy(server.url) as proxy:
        proxy.rule(Status(507), method="PUT", nth=2)
        ...
        assert [call.method for call in proxy.calls] == ["PUT", "PUT"]

A rule applies to the requests that its method and path match: to the `nth` of them (counted from
1 when the rule is set) or, with `nth=None`, to each. The first matching rule acts. Everything that
arrives is in `calls`, also what was answered by a rule.
"""

import asyncio
import gzip
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import aiohttp
from aiohttp import web
from yarl import URL

DAV = "{DAV:}"
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {new} "{f"&{old};" * 10}">'
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + ']><D:multistatus xmlns:D="DAV:">&i;</D:multistatus>'
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    '<D:multistatus xmlns:D="DAV:"><D:response><D:href>&x;</D:href></D:response></D:multistatus>'
)


@dataclass(frozen=True)
class Status:
    """Answer at once with this status; nothing reaches the server."""

    status: int
    body: str = ""
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """Answer 200 with an HTML page, as a login portal does."""

    body: str = "<!DOCTYPE html><html><title>Sign in to the Wi-Fi</title></html>"


@dataclass(frozen=True)
class Truncate:
    """Forward, and give back only the beginning of the body, declared as if it were whole."""

    keep: float = 0.5


@dataclass(frozen=True)
class Cut:
    """Close the connection: before forwarding, or after it (the answer is lost)."""

    after: bool = True


@dataclass(frozen=True)
class Hang:
    """Take the request and never answer."""

    seconds: float = 3600


@dataclass(frozen=True)
class Drop:
    """Forward, and leave `count` responses out of the multistatus, from the last one back."""

    count: int = 1


@dataclass(frozen=True)
class Stale:
    """Forward the first time and keep the answer; give that one back from then on."""


@dataclass(frozen=True)
class NoEtag:
    """Forward, and take every ETag out of the answer: header and getetag."""


@dataclass(frozen=True)
class Rewrite:
    """Forward, and replace text in the answer's body (a pattern of `re`)."""

    pattern: str
    by: str
    status: int | None = None


@dataclass(frozen=True)
class GzipBomb:
    """Answer 207 with a small body that inflates to `megabytes`."""

    megabytes: int = 200


@dataclass(frozen=True)
class XmlBomb:
    """Answer 207 with entities that expand without end, or one that reads a local file."""

    outside: bool = False


Act = Status | Page | Truncate | Cut | Hang | Drop | Stale | NoEtag | Rewrite | GzipBomb | XmlBomb


@dataclass
class Call:
    """A request that arrived: `status` is what the caller was told, 0 where nothing was."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int = 0


@dataclass
class _Rule:
    act: Act
    method: str
    path: str
    nth: int | None
    body: bytes = b""
    seen: int = 0
    kept: tuple[int, dict[str, str], bytes] | None = None

    def takes(self, call: Call) -> bool:
        fits = self.method in {"*", call.method} and self.body in call.body
        if not fits or not re.search(self.path, call.path):
            return False
        self.seen += 1
        return self.nth is None or self.seen == self.nth


class FaultProxy:
    """The proxy; `url` is its base address, equal to the server's but for the port."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = f"{parts.scheme}://{parts.netloc}"
        self._base_path = parts.path or "/"
        self._rules: list[_Rule] = []
        self._hung: set[asyncio.Task[Any]] = set()
        self.calls: list[Call] = []
        self.url = ""

    def rule(
        self,
        act: Act,
        *,
        method: str = "*",
        path: str = "",
        body: bytes = b"",
        nth: int | None = None,
    ) -> None:
        """Add a rule: `method` "*" is any, `path` is searched as a pattern, `body` as it is."""
        self._rules.append(_Rule(act, method, path, nth, body))

    def clear(self) -> None:
        """Forget rules and calls."""
        self._rules.clear()
        self.calls.clear()

    def count(self, method: str = "") -> int:
        """Return how many requests (of a method) arrived."""
        return sum(not method or call.method == method for call in self.calls)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=True)
        server = web.Server(self._handle)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}{self._base_path}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._hung:
            task.cancel()
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        call = Call(request.method, request.rel_url.raw_path, _lower(request.headers), body)
        self.calls.append(call)
        rule = next((rule for rule in self._rules if rule.takes(call)), None)
        answer = await self._answer(request, rule, body)
        if answer is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        call.status = answer.status
        return answer

    async def _answer(
        self, request: web.BaseRequest, rule: _Rule | None, body: bytes
    ) -> web.Response | None:
        act = rule.act if rule else None
        if isinstance(act, Hang):
            await self._hang(act.seconds)
            return None
        if isinstance(act, Cut) and not act.after:
            return None
        at_once = _at_once(act)
        if at_once is not None:
            return at_once
        if rule is not None and rule.kept is not None:
            return _response(*rule.kept)
        try:
            status, headers, data = await self._forward(request, body)
        except aiohttp.ClientError:
            return None
        if rule is not None and isinstance(act, Stale):
            rule.kept = (status, headers, data)
        return None if isinstance(act, Cut) else _response(*_spoil(act, status, headers, data))

    async def _hang(self, seconds: float) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._hung.add(task)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._hung.discard(task)  # type: ignore[arg-type]  # there is one inside a handler

    async def _forward(
        self, request: web.BaseRequest, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in {"host", "connection", "transfer-encoding", "content-length"}
        }
        url = f"{self._upstream}{request.rel_url.raw_path_qs}"
        async with self._session.request(
            request.method,
            URL(url, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        ) as answer:
            return answer.status, _kept(answer.headers), await answer.read()


def _at_once(act: Act | None) -> web.Response | None:
    match act:
        case Status():
            body, headers = act.body.encode(), {"Content-Type": act.content_type, **act.headers}
            return web.Response(status=act.status, body=body, headers=headers)
        case Page():
            return web.Response(text=act.body, content_type="text/html")
        case GzipBomb():
            return _xml(_bomb(act.megabytes), {"Content-Encoding": "gzip"})
        case XmlBomb():
            return _xml((OUTSIDE if act.outside else BOMB).encode(), {})
    return None


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    dropped = {"content-length", "transfer-encoding", "content-encoding", "connection", "upgrade"}
    return {n: v for n, v in headers.items() if n.lower() not in {*dropped, "alt-svc", "date"}}


def _response(status: int, headers: dict[str, str], data: bytes) -> web.Response:
    return web.Response(status=status, headers=headers, body=data)


def _xml(data: bytes, headers: dict[str, str]) -> web.Response:
    sent = {"Content-Type": "application/xml; charset=utf-8", **headers}
    return web.Response(status=207, headers=sent, body=data)


def _spoil(
    act: Act | None, status: int, headers: dict[str, str], data: bytes
) -> tuple[int, dict[str, str], bytes]:
    match act:
        case Truncate():
            return status, headers, data[: int(len(data) * act.keep)]
        case Drop():
            return status, headers, _without(data, act.count)
        case NoEtag():
            bare = {n: v for n, v in headers.items() if n.lower() not in {"etag", "schedule-tag"}}
            return status, bare, re.sub(rb"<([\w:]*)getetag>[^<]*</\1getetag>", b"", data)
        case Rewrite():
            text = re.sub(act.pattern, act.by, data.decode(), flags=re.DOTALL)
            return act.status or status, headers, text.encode()
    return status, headers, data


def _without(data: bytes, count: int) -> bytes:
    root = ET.fromstring(data)
    for response in root.findall(f"{DAV}response")[-count:]:
        root.remove(response)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


@lru_cache(maxsize=2)
def _bomb(megabytes: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as packed:
        packed.write(b'<D:multistatus xmlns:D="DAV:"><!--')
        for _ in range(megabytes):
            packed.write(b" " * (1 << 20))
        packed.write(b"--></D:multistatus>")
    return out.getvalue()
