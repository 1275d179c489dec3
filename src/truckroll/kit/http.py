"""HTTP out: the only door to the network."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import aiohttp
from yarl import URL

from truckroll.kit import breaker, outcomes, watch
from truckroll.kit.addresses import CheckedResolver, Lookup, checked_url, same_site, system_lookup
from truckroll.kit.answers import Response, expect
from truckroll.kit.batch import Gatherer, Outgoing
from truckroll.kit.bodies import BrokenError, TooBigError, joined_headers, read_body
from truckroll.kit.errors import GiveUp, SignIn
from truckroll.kit.gate import Gate, HeldBackError, Turn
from truckroll.kit.grants import Grants
from truckroll.kit.pace import REAL_TIME, Limit, Pace, Timing, backoff, jittered, retry_after
from truckroll.kit.tls import no_tls, refused_certificate, tls_context
from truckroll.kit.transport import (
    ActingAuth,
    Auth,
    Cost,
    Http,
    KeepsTokens,
    Limits,
    QueryAuth,
    Transport,
)

__all__ = [
    "REPEATABLE",
    "ActingAuth",
    "Auth",
    "Client",
    "Cost",
    "Gates",
    "Http",
    "KeepsTokens",
    "Limit",
    "Limits",
    "Offline",
    "Pace",
    "QueryAuth",
    "Response",
    "Transport",
    "expect",
    "open_client",
]

Gates = Callable[[Pace, Timing], Gate]


REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})
_MOVED = frozenset({301, 302, 303, 307, 308})
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
    whom: str = ""
    weight: int = 1
    sent: bool = False
    waited: float = 0.0


class Client:
    """The `Http` of one account, over kept-alive connections. Made by `open_client`."""

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
        # Protocols are slow to look for.
        self._acts = isinstance(transport.auth, ActingAuth)
        self._proves_in_query = isinstance(transport.auth, QueryAuth)
        self.system = system
        self.account = account
        self.busy = transport.busy
        self._base = self._checked(transport.base_url)
        self._also = tuple(self._checked(url) for url in transport.also)
        self._gatherer = Gatherer(transport.batch, self) if transport.batch else None

    def __repr__(self) -> str:
        return f"Client({self.system}, {self.account}, {self._calls} calls)"

    def close(self) -> None:
        """Let go of writes that nobody waits for any more."""
        if self._gatherer is not None:
            self._gatherer.close()

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
        whom: str = "",
        weight: int = 1,
        alone: bool = False,
    ) -> Response:
        """Send one request; see `Http.request`.

        `timeout` bounds the whole exchange, waiting included. Proof of identity goes only to the
        sites of the transport's addresses, and not from https to http. `weight` is as how many
        requests it counts; `alone` keeps it out of batches.
        """
        verb, target = method.upper(), self._join(self._base, url)
        again = verb in REPEATABLE if repeatable is None else repeatable
        whom = whom if self._acts else ""
        # A batch that gets no answer leaves all its writes in doubt, and each is looked up.
        single = alone or again or timeout or self._gate.shaky
        if self._gatherer is not None and not single:
            return await self._gatherer.send(Outgoing(verb, target, headers or {}, body, whom))
        job = _Job(verb, target, headers or {}, body, again, whom, weight)
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
            there = URL(url)
            joined = there if there.scheme and there.absolute else base.join(there)
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
            watch.count("retries", int(tries > 1), system=self.system)
            try:
                response = await self._follow(job)
            except _LostError as lost:
                unknown = lost.sent and not job.repeatable
                if last or unknown or not lost.again:
                    raise outcomes.lost(self.system, lost.says, unknown=unknown) from None
                await self._timing.sleep(backoff(tries, self._timing.chance()))
                continue
            if response.status == 401:  # noqa: PLR2004 -- statuses are best known by number
                if renewed or not await self.renewed(job.whom):
                    error = outcomes.not_signed_in(self.system, self.account, response.body)
                    raise await self._signed_out(error, job.whom)
                renewed = True
            elif outcomes.asks_for_pause(response, self.busy):
                job.waited = await self.pause(response, tries, job.waited)
            elif outcomes.is_answer(response.status):
                return response
            elif last or not job.repeatable:
                raise outcomes.failed(self.system, response.status, unknown=not job.repeatable)
            else:
                await self._timing.sleep(backoff(tries, self._timing.chance()))

    async def renewed(self, whom: str = "") -> bool:
        """Renew the proof of identity after a 401; return whether another attempt makes sense."""
        auth = self._auth(whom)
        try:
            return auth is not None and await auth.refused()
        except SignIn as error:
            raise await self._signed_out(error, whom) from None

    def _auth(self, whom: str) -> Auth | None:
        auth = self._transport.auth
        return auth.acting(whom) if whom and isinstance(auth, ActingAuth) else auth

    async def _signed_out(self, error: SignIn, whom: str) -> SignIn:
        """Note that the account must be signed in again; whom it acts for is another matter."""
        if not whom:
            await self._gate.tell(partial(breaker.signed_out, says=error.says))
        return error

    async def pause(self, response: Response, tries: int, waited: float) -> float:
        """Hold the account as long as it was asked to; raise RetryLater for a long pause.

        `waited` are the seconds that the request has waited before; the new sum is returned.
        """
        asked = retry_after(
            response.headers.get("retry-after"),
            now=self._timing.now(),
            date=response.headers.get("date"),
        )
        chance = self._timing.chance()
        seconds = max(jittered(asked or timedelta(0), chance), backoff(tries, chance))
        await self._gate.pause(seconds)
        waited += seconds
        unsaid = asked is None and tries >= self._limits.tries
        if unsaid or waited > self._limits.patience_seconds:
            raise outcomes.paused(self.system, seconds, response.status)
        return waited

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
        ours = any(same_site(base, url) for base in (self._base, *self._also))
        return ours and not downgraded

    async def _attempt(self, job: _Job, method: str, url: URL, body: bytes) -> Response:
        """Send once, in turn. Raises _LostError where no usable answer came back."""
        cost = self._transport.cost
        points = cost.asks(method, url, body) if cost else 0.0
        patience = self._limits.patience_seconds
        turn = self._gate.turn(job.weight, points=points, whom=job.whom, patience=patience)
        try:
            async with turn as mine:
                response = await self._sent(job, mine, method, url, body)
                took = cost.took(response) if cost else None
                if took is not None and took < points:
                    await self._gate.spare(points - took, job.whom)
                return response
        except HeldBackError as held:
            raise outcomes.held_back(self.system, held) from None

    async def _sent(self, job: _Job, turn: Turn, method: str, url: URL, body: bytes) -> Response:
        """Send, and tell the breaker and whoever watches how the system answered."""
        headers, target = await self._proven_or_out(job, turn, url)
        self._calls += 1
        response = Response(0, {}, b"", "")
        try:
            async with asyncio.timeout(self._limits.total_seconds):
                response = await self._exchange(job, method, target, headers, body)
        except (TimeoutError, _LostError) as error:
            lost = error if isinstance(error, _LostError) else _LostError(_SLOW, sent=job.sent)
            await turn.failed(f"{self.system} {lost.says}")
            raise lost from None
        finally:
            watch.called(self.account, self.system, response.status, response.headers)
        if not outcomes.is_answer(response.status) and not outcomes.asks_for_pause(
            response, self.busy
        ):
            await turn.failed(f"{self.system} has failures of its own")
        elif response.status != 401:  # noqa: PLR2004 -- a renewed sign-in decides about that one
            await turn.well()
        return replace(response, url=str(url))  # not the one with a key in its query

    async def _proven_or_out(self, job: _Job, turn: Turn, url: URL) -> tuple[dict[str, str], URL]:
        try:
            return await self._proven(job, url)
        except SignIn as error:
            if not job.whom:
                await turn.signed_out(error.says)
            raise

    async def _proven(self, job: _Job, url: URL) -> tuple[dict[str, str], URL]:
        """Return headers and address with the proof of identity, where the site may have it."""
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "gzip, deflate"}
        if not self._trusted(url):
            return headers | {k: v for k, v in job.headers.items() if k.lower() not in _PROOFS}, url
        auth = self._auth(job.whom)
        if auth is not None:
            headers |= await auth.headers()
        if self._proves_in_query and isinstance(auth, QueryAuth):
            url = url.update_query(await auth.query())
        return headers | dict(job.headers), url

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
            raise _LostError(f"cannot be reached at {url.host}", sent=False) from None
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
    gates: Gates | None = None,
    grants: Grants | None = None,
    timing: Timing = REAL_TIME,
    lookup: Lookup = system_lookup,
) -> AsyncIterator[Client]:
    """Open the connections of one account for as long as the context lasts.

    `system` and `account` are the names used in sentences. `gates` gives the gate that all
    clients of the account share; by default the client has its own, from the transport's pace.
    `grants` is where the account's tokens are kept, by default in memory alone. Raises GiveUp
    where the base address or the certificate authority cannot be used.
    """
    pace = transport.pace
    if grants is not None and isinstance(transport.auth, KeepsTokens):
        transport.auth.keep_in(grants)
    gate = (gates or Gate)(pace, timing)
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
        client = Client(
            session,
            transport,
            system=system,
            account=account,
            gate=gate,
            timing=timing,
        )
        with closing(client):
            try:
                yield client
            finally:
                await gate.close()


async def _mark_sent(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.sent = True
