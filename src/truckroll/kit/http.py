"""HTTP out: the only door to the network."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import NamedTuple, Protocol, runtime_checkable

import aiohttp
import msgspec
from yarl import URL

from truckroll.kit import outcomes
from truckroll.kit.addresses import CheckedResolver, Lookup, checked_url, same_site, system_lookup
from truckroll.kit.bodies import BrokenError, TooBigError, joined_headers, read_body
from truckroll.kit.errors import GiveUp, RetryLater, VendorError
from truckroll.kit.pace import REAL_TIME, Gate, Timing, backoff, jittered, retry_after
from truckroll.kit.secrets import redact
from truckroll.kit.tls import no_tls, refused_certificate, tls_context


class Limits(msgspec.Struct, frozen=True):
    """Bounds on everything that is read from a system.

    `total_seconds` bounds one attempt. `tries` is how often a repeatable request is sent.
    `patience_seconds` is how long a request waits for itself when the system asks for a pause;
    a longer pause is the caller's.
    """

    body_bytes: int = 64 * 1024 * 1024
    inflate_ratio: int = 200
    pages: int = 10_000
    redirects: int = 5
    connect_seconds: float = 10.0
    total_seconds: float = 120.0
    tries: int = 3
    patience_seconds: float = 30.0


class Auth(Protocol):
    """Proves who we are; `headers` may fetch or refresh a token, `refused` learns of a 401."""

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that go with every request."""
        ...

    async def refused(self) -> bool:
        """Return whether a new attempt makes sense (a token was renewed)."""
        ...


@runtime_checkable
class QueryAuth(Protocol):
    """An Auth that (also) proves itself in the address, as some systems want their key."""

    async def query(self) -> Mapping[str, str]:
        """Return what is added to the query of each request."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """What an account allows: requests a second (None: unknown) and at one time."""

    per_second: float | None = None
    concurrency: int = 8


@dataclass(frozen=True, slots=True)
class Transport:
    """How a system is reached: base address, proof of identity, pace and limits.

    `private` allows addresses inside the house (an account's choice by a person).
    `ca_file` adds a certificate authority of the person's own. `same_host_redirects` keeps
    redirects within the registrable domain; where it is False they may leave it, but the proof
    of identity does not go along.
    """

    base_url: str
    auth: Auth | None = None
    pace: Pace = Pace()
    limits: Limits = field(default_factory=Limits)
    private: bool = False
    ca_file: str = ""
    same_host_redirects: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole within the limits. Header names are lower case.

    Its text form shows neither body, headers nor address: they may carry secrets.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(repr=False)

    @property
    def content_type(self) -> str:
        """The media type without parameters, lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Http(Protocol):
    """Requests of one account: paced, counted, limited, and refused inside the house."""

    @property
    def calls(self) -> int:
        """Requests sent so far, every attempt counted."""
        ...

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        repeatable: bool | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 -- a bound on the whole exchange
    ) -> Response:
        """Send one request and return the answer, whatever its status below 500 but 401 and 429.

        `url` is absolute or relative to the transport's base. `repeatable` (default: by method;
        GET, HEAD, OPTIONS, PROPFIND, REPORT are) says that a lost answer may be asked for
        again; such a request is tried up to three times. 501, 505 and 507 are answers too: the
        request was surely not carried out. Raises SignIn (401 after one renewed
        attempt), RetryLater (429, 503 and 5xx with their Retry-After; no connection),
        OutcomeUnknown (answer lost or 5xx where the request is not repeatable and was sent),
        GiveUp (address refused, certificate refused, unknown host).
        """
        ...


class Call(NamedTuple):
    """A line of a client's log: status 0 is no answer."""

    method: str
    path: str
    status: int
    ms: int


REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})
_MOVED = frozenset({301, 302, 303, 307, 308})
_SURELY_NOT_DONE = frozenset({501, 505, 507})
_LOG_LINES = 1000
_AGENT = "Truckroll"
_SLOW = "did not answer in time"
_PROOFS = frozenset({"authorization", "cookie", "proxy-authorization"})


class _LostError(Exception):
    """An attempt ended without a usable answer; `sent` tells whether the request went out."""

    def __init__(self, says: str, *, sent: bool, again: bool = True) -> None:
        super().__init__(says)
        self.says = says
        self.sent = sent
        self.again = again


@dataclass(slots=True)
class _Job:
    """A request under way. `sent`: it went out and no answer has come back yet."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes
    repeatable: bool
    sent: bool = False
    waited: float = 0.0


class Client:
    """The `Http` of one account, over kept-alive connections. Made by `open_client`.

    `log` holds the last thousand attempts: method, path without query, status, milliseconds.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        transport: Transport,
        *,
        system: str,
        account: str,
        gate: Gate,
        timing: Timing,
    ) -> None:
        self._session = session
        self._transport = transport
        self._limits = transport.limits
        self._gate = gate
        self._timing = timing
        self._calls = 0
        self.system = system
        self.account = account
        self.log: deque[Call] = deque(maxlen=_LOG_LINES)
        self._base = self._checked(transport.base_url)
        self._query_auth = transport.auth if isinstance(transport.auth, QueryAuth) else None

    def __repr__(self) -> str:
        return f"Client({self.system}, {self.account}, {self._calls} calls)"

    @property
    def calls(self) -> int:
        """Requests sent so far, every attempt counted."""
        return self._calls

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        repeatable: bool | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 -- a bound on the whole exchange
    ) -> Response:
        """Send one request and return the answer; see `Http.request`.

        `timeout` bounds the whole exchange, waiting and repeating included. Proof of identity
        goes only to the site of the transport's base address, and not from https to http.
        """
        verb = method.upper()
        job = _Job(
            method=verb,
            url=self._join(self._base, url),
            headers=headers or {},
            body=body,
            repeatable=verb in REPEATABLE if repeatable is None else repeatable,
        )
        try:
            async with asyncio.timeout(timeout.total_seconds() if timeout else None):
                return await self._persist(job)
        except TimeoutError:
            raise outcomes.lost(
                self.system, _SLOW, unknown=job.sent and not job.repeatable
            ) from None

    def _checked(self, url: str) -> URL:
        return checked_url(url, private=self._transport.private, system=self.system)

    def _join(self, base: URL, url: str) -> URL:
        try:
            joined = base.join(URL(url))
            if joined.authority == self._base.authority and joined.scheme == self._base.scheme:
                return joined  # no other server than the one that was checked
            text = str(joined)
        except ValueError:
            raise GiveUp(f"An address that {self.system} gave cannot be read.") from None
        return self._checked(text)

    async def _persist(self, job: _Job) -> Response:
        """Send until there is an answer, or no more sense in asking."""
        tries, renewed = 0, False
        while True:
            tries += 1
            last = tries >= self._limits.tries
            try:
                response = await self._follow(job)
            except _LostError as lost:
                unknown = lost.sent and not job.repeatable
                if last or unknown or not lost.again:
                    raise outcomes.lost(self.system, lost.says, unknown=unknown) from None
                await self._timing.sleep(backoff(tries, self._timing.chance()))
                continue
            if response.status == 401:  # noqa: PLR2004 -- statuses are best known by number
                if renewed or not await self._renewed():
                    raise outcomes.not_signed_in(self.system, self.account, response.body)
                renewed = True
            elif self._asks_for_pause(response):
                self._pause(job, response, tries)
            elif response.status < 500 or response.status in _SURELY_NOT_DONE:  # noqa: PLR2004
                return response
            elif last or not job.repeatable:
                raise outcomes.failed(self.system, response.status, unknown=not job.repeatable)
            else:
                await self._timing.sleep(backoff(tries, self._timing.chance()))

    async def _renewed(self) -> bool:
        auth = self._transport.auth
        return auth is not None and await auth.refused()

    @staticmethod
    def _asks_for_pause(response: Response) -> bool:
        return response.status == 429 or (  # noqa: PLR2004
            response.status == 503 and "retry-after" in response.headers  # noqa: PLR2004
        )

    def _pause(self, job: _Job, response: Response, tries: int) -> None:
        """Hold the account as long as it was asked to; raise RetryLater for a long pause."""
        asked = retry_after(
            response.headers.get("retry-after"),
            now=self._timing.now(),
            date=response.headers.get("date"),
        )
        chance = self._timing.chance()
        seconds = max(jittered(asked or timedelta(0), chance), backoff(tries, chance))
        self._gate.pause(seconds)
        job.waited += seconds
        unsaid = asked is None and tries >= self._limits.tries
        if unsaid or job.waited > self._limits.patience_seconds:
            raise outcomes.paused(self.system, seconds, response.status)

    async def _follow(self, job: _Job) -> Response:
        """Send, and go after redirects by hand: each hop is checked like the first address."""
        method, url, body = job.method, job.url, job.body
        for _ in range(self._limits.redirects + 1):
            response = await self._attempt(job, method, url, body)
            place = response.headers.get("location", "")
            if response.status not in _MOVED or not place:
                return response
            there = self._join(url, place)
            self._may_follow(url, there)
            url = there
            if response.status == 303 and method != "HEAD":  # noqa: PLR2004
                method, body = "GET", b""
        raise GiveUp(
            f"{self.system} sends every request on to another address, without end. "
            "Check the address of the account."
        )

    def _may_follow(self, here: URL, there: URL) -> None:
        if here.scheme == "https" and there.scheme == "http":
            raise GiveUp(
                f"{self.system} sends requests on to an address without encryption "
                f"({there.host}); that is not followed. Check the address of the account."
            )
        known = same_site(here, there) or same_site(self._base, there)
        if self._transport.same_host_redirects and not known:
            raise GiveUp(
                f"{self.system} sends requests on to another site ({there.host}); that is not "
                "followed. If the server has moved, give its new address."
            )

    def _trusted(self, url: URL) -> bool:
        downgraded = self._base.scheme == "https" and url.scheme == "http"
        return same_site(self._base, url) and not downgraded

    async def _attempt(self, job: _Job, method: str, url: URL, body: bytes) -> Response:
        """Send once. Raises _LostError where no usable answer came back."""
        headers, target = await self._proven(job.headers, url)
        if self._gate.paused > self._limits.patience_seconds:
            raise outcomes.paused(self.system, self._gate.paused)
        async with self._gate.turn():
            self._calls += 1
            started, status = self._timing.monotonic(), 0
            try:
                async with asyncio.timeout(self._limits.total_seconds):
                    response = await self._exchange(job, method, target, headers, body)
                status = response.status
                return replace(response, url=str(url))  # not the one with a key in its query
            except TimeoutError:
                raise _LostError(_SLOW, sent=job.sent) from None
            finally:
                ms = round((self._timing.monotonic() - started) * 1000)
                self.log.append(Call(method, redact(url.raw_path), status, ms))

    async def _proven(self, given: Mapping[str, str], url: URL) -> tuple[dict[str, str], URL]:
        """Return headers and address with the proof of identity, where the site may have it."""
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "gzip, deflate"}
        if not self._trusted(url):
            return headers | {k: v for k, v in given.items() if k.lower() not in _PROOFS}, url
        auth = self._transport.auth
        if auth is not None:
            headers |= await auth.headers()
        if self._query_auth is not None:
            url = url.update_query(await self._query_auth.query())
        return headers | dict(given), url

    async def _exchange(
        self, job: _Job, method: str, url: URL, headers: Mapping[str, str], body: bytes
    ) -> Response:
        job.sent = False
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("Content-Type",),
                trace_request_ctx=job,
            ) as answer:
                read = await read_body(
                    answer, most_bytes=self._limits.body_bytes, ratio=self._limits.inflate_ratio
                )
        except aiohttp.ClientConnectorCertificateError as error:
            raise refused_certificate(self.system, url.host or "", error) from None
        except aiohttp.ClientSSLError:
            raise no_tls(self.system, url.host or "") from None
        except TooBigError as error:
            raise _LostError(str(error), sent=True, again=False) from None
        except BrokenError:
            raise _LostError("sent an answer that cannot be unpacked", sent=True) from None
        except aiohttp.ClientConnectorError:
            raise _LostError("cannot be connected to", sent=False) from None
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise _LostError("broke off the connection", sent=job.sent) from None
        job.sent = False
        return Response(answer.status, joined_headers(answer), read, str(url))


class Offline:
    """The `Http` of a system that is not reached over the network: a table, a local file."""

    calls = 0

    async def request(self, method: str, url: str, **_: object) -> Response:
        """Refuse: nothing of this account is on the network."""
        raise GiveUp(f"This account is not on the network; {method} {url} makes no sense here.")


@asynccontextmanager
async def open_client(
    transport: Transport,
    *,
    system: str,
    account: str = "",
    gate: Gate | None = None,
    timing: Timing = REAL_TIME,
    lookup: Lookup = system_lookup,
) -> AsyncIterator[Client]:
    """Open the connections of one account for as long as the context lasts.

    `system` and `account` are the names used in sentences. `gate` is shared by clients of one
    account; by default the client has its own, from the transport's pace. Raises GiveUp where
    the base address or the certificate authority cannot be used.
    """
    pace = transport.pace
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_mark_sent)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=pace.concurrency,
            resolver=CheckedResolver(private=transport.private, system=system, lookup=lookup),
            ssl=tls_context(transport.ca_file, system),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=transport.limits.connect_seconds),
        auto_decompress=False,
        trace_configs=[trace],
    )
    # aiohttp would send PUT and DELETE a second time in silence when a kept-alive connection
    # breaks: a change that may have been done is not ours to repeat, and every attempt counts.
    session._retry_connection = False  # noqa: SLF001 -- there is no public switch for it
    async with session:
        yield Client(
            session,
            transport,
            system=system,
            account=account,
            gate=gate or Gate(pace.per_second, pace.concurrency, timing),
            timing=timing,
        )


async def _mark_sent(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.sent = True


def expect(
    response: Response,
    content_types: Collection[str],
    system: str,
    *,
    wanted: str = "data",
    otherwise: type[VendorError] = RetryLater,
) -> None:
    """Raise `otherwise` unless a successful answer is of one of these media types.

    A web page where data was wanted is the sign-in page of a network or of a wrong address:
    RetryLater while working (nothing is taken from it), GiveUp when an account is set up.
    """
    kind = response.content_type
    if kind in content_types:
        return
    if kind in {"text/html", "application/xhtml+xml"} or response.body[
        :200
    ].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise otherwise(
            f"{system} answered with a web page where {wanted} was expected. Either the address "
            "is not the right one, or a sign-in page of the network stands in between "
            f"[{response.status}]."
        )
    raise otherwise(
        f"{system} answered in a form ({kind or 'not named'}) that is not {wanted}. "
        f"Check the address [{response.status}]."
    )
