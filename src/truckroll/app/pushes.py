"""Pushes in: proven, kept durably with all that arrive together, told apart, then answered.

Nothing is parsed before it is proven, and nothing is answered with success before it is kept. A
push only makes its scopes due: what changed is read from the system.
"""

import asyncio
import hashlib
import re
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import msgspec
from psycopg import DataError, Error, IntegrityError, OperationalError

from truckroll.app.hub import Hub, utc_now
from truckroll.app.systems import connector
from truckroll.app.unwelcome import Unwelcome
from truckroll.kit import watch
from truckroll.kit.contract import Push
from truckroll.kit.handshakes import Answer
from truckroll.kit.proofs import Arrival, Unsigned, refusal, secret_headers
from truckroll.kit.push import Hint, Odd, split
from truckroll.store.open import Stores
from truckroll.store.pushes import Came, Kept
from truckroll.store.subscriptions import PATH_LENGTH, Subscription, subscription_at
from truckroll.store.trouble import DatabaseTrouble

MOST_BYTES = 4 * 1024 * 1024
_PATH = re.compile(rf"[A-Za-z0-9_-]{{{PATH_LENGTH}}}")
_BATCH = 500
_MOST_WAITING = 20_000
_PATIENCE_SECONDS = 3.0
_DOWN_SECONDS = 1.0
_KNOWN_SECONDS = 60.0
_LOOKS_AGAIN = 3.0
_MOST_KNOWN = 50_000
_LOOKUPS_PER_SECOND, _MOST_LOOKUPS = 300.0, 1000.0
_COUNT_SECONDS = 5.0
_OK = 200
_KEPT, _ODD_KEPT = timedelta(days=14), timedelta(days=90)

_RESULTS: dict[Kept, str] = {"new": "accepted", "doubled": "duplicate", "unknown": "unknown"}

NOT_FOUND = Answer(404)
GONE = Answer(410)
REFUSED = Answer(401)
TOO_LARGE = Answer(413)
BUSY = Answer(429, {"Retry-After": "60"})
_UNWELCOME = (401, 404, 413)
UNAVAILABLE = Answer(503, {"Retry-After": "10"})


@dataclass(slots=True)
class _Bucket:
    """Lets through so many a second on average, and as many as that at once."""

    per_second: float
    most: float
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = self.most, time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self.left = min(self.most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(frozen=True, slots=True)
class _Known:
    """A subscription as it was looked up at a moment (monotonic seconds).

    `again` bounds how often it is looked up anew because something was refused.
    """

    tenant: int
    row: Subscription
    push: Push
    at: float
    again: _Bucket
    bucket: _Bucket | None


@dataclass(slots=True)
class _Health:
    """Whether the database answers. While it does not, one try at a time is made now and then."""

    failed_at: float | None = None
    trying: int = 0

    def is_away(self) -> bool:
        if self.failed_at is None:
            return False
        return self.trying > 0 or time.monotonic() - self.failed_at < _DOWN_SECONDS

    @asynccontextmanager
    async def tried(self) -> AsyncIterator[None]:
        """Bound a try in time, and note how it ends."""
        self.trying += 1
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                yield
        except (OperationalError, TimeoutError):
            self.failed_at = time.monotonic()
            raise
        else:
            self.failed_at = None
        finally:
            self.trying -= 1


class _Lane:
    """A tenant's pushes on their way into the store: all that wait go in one transaction."""

    def __init__(self, keep: Callable[[list[Came]], Awaitable[list[Kept]]]) -> None:
        self.health = _Health()
        self._keep = keep
        self._waiting: list[tuple[Came, asyncio.Future[Kept]]] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, came: Came) -> "asyncio.Future[Kept]":
        told: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._waiting.append((came, told))
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return told

    def __len__(self) -> int:
        return len(self._waiting)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                await self._one(batch)
        finally:
            self._task = None

    async def _one(self, batch: list[tuple[Came, "asyncio.Future[Kept]"]]) -> None:
        try:
            async with self.health.tried():
                kinds = await self._keep([came for came, _ in batch])
        except (DataError, IntegrityError) as error:
            # One of them cannot be kept; the others must not wait for it.
            if len(batch) == 1:
                _fail(batch[0][1], error)
            else:
                for one in batch:
                    if self.health.failed_at is None:
                        await self._one([one])
                    else:
                        _fail(one[1], error)
            return
        except Exception as error:  # noqa: BLE001 -- whoever waits gets to know, whatever it was
            waiting, self._waiting = self._waiting, []
            for _, told in (*batch, *waiting):
                _fail(told, error)
            return
        for (_, told), kind in zip(batch, kinds, strict=True):
            if not told.done():
                told.set_result(kind)


def _fail(told: "asyncio.Future[Kept]", error: Exception) -> None:
    if not told.done():
        told.set_exception(error)


class Receiver:
    """Takes pushes for all tenants of a hub. `address` is the hub's public address.

    One for each process; `close` before the stores are closed.
    """

    def __init__(
        self,
        stores: Stores,
        address: str,
        *,
        now: Callable[[], datetime] = utc_now,
        push_of: Callable[[str], Push | None] = lambda system: connector(system).push,
    ) -> None:
        self.address = address.rstrip("/")
        self.now = now
        self.counts: Counter[str] = Counter()
        self._stores = stores
        self._push_of = push_of
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lanes: dict[int, _Lane] = {}
        self._lookups = _Bucket(_LOOKUPS_PER_SECOND, _MOST_LOOKUPS)
        self._refused: dict[int, Counter[int]] = {}
        self._counting: asyncio.Task[None] | None = None
        self._finding = _Health()
        self._unwelcome = Unwelcome()

    def arrival(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Arrival:
        """Return a push as it came; `target` is path and query as they were sent."""
        return Arrival(
            method=method,
            url=f"{self.address}{target}",
            headers=headers,
            body=body,
            at=self.now(),
        )

    def listens_to(self, source: str, path: str) -> bool:
        """Tell whether a push from an address is looked at; else it is BUSY, its body unread."""
        return not self._unwelcome.is_full(source, self._end(path))

    def _end(self, path: str) -> str:
        return path if path in self._known else ""

    def answered(self, source: str, path: str, status: int) -> None:
        """Note how an address was answered; BUSY itself does not count."""
        if status in _UNWELCOME:
            self._unwelcome.add(source, self._end(path))

    async def take(self, path: str, push: Arrival) -> Answer:
        """Take a push that came for the secret end of an address, and return the answer to it.

        Never raises for what came or for a database that is away: then it is 503, and the system
        sends it again.
        """
        try:
            answer = await self._take(path, push)
        except (Error, DatabaseTrouble, TimeoutError):
            answer = UNAVAILABLE
        self.counts[str(answer.status)] += 1
        return answer

    async def close(self) -> None:
        """Write the counts that are not written yet."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)
            await self._write_counts()

    async def _take(self, path: str, push: Arrival) -> Answer:
        if not _PATH.fullmatch(path):
            return NOT_FOUND
        began = time.monotonic()
        known = await self._find(path)
        if isinstance(known, Answer):
            return known
        judged = _judge(known, push)
        if known.at < began and judged is not None:
            # It may have been made, or its secret exchanged, in another process since.
            if not known.again.take():
                if isinstance(judged, Answer):
                    return UNAVAILABLE if judged.status == _OK else judged
                return self._refuse(known, judged)
            known = await self._find(path, anew=True)
            if isinstance(known, Answer):
                return known
            judged = _judge(known, push)
        if isinstance(judged, Answer):
            return await self._shaken(known, judged) if judged.status == _OK else judged
        if judged is not None:
            return self._refuse(known, judged)
        if known.bucket is not None and not known.bucket.take():
            return BUSY
        return await self._keep(path, known, push)

    async def _shaken(self, known: _Known, echo: Answer) -> Answer:
        """Answer a handshake; a secret that came with it is kept first."""
        self.counts["handshakes"] += 1
        if not echo.secret:
            return echo
        async with asyncio.timeout(_PATIENCE_SECONDS):
            kept = await self._stores.of(known.tenant).learn_secret(known.row, echo.secret)
        return echo if kept else REFUSED

    async def _keep(self, path: str, known: _Known, push: Arrival) -> Answer:
        scopes, odd = split(_parts(known.push, push))
        headers, query = _kept_headers(known.push, push), push.url.partition("?")[2]
        came = Came(
            subscription=known.row.id,
            delivery=_delivery(known.push, push, headers, query),
            at=push.at,
            query=query,
            headers=headers.decode(),
            body=push.body,
            scopes=scopes,
            odd=odd,
        )
        lane = self._lane(known.tenant)
        if lane.health.is_away() or len(lane) >= _MOST_WAITING:
            return UNAVAILABLE
        kind = await lane.put(came)
        self.counts[kind] += 1
        watch.count("pushes", system=known.row.system, result=_RESULTS[kind])
        if kind == "unknown":
            self._known.pop(path, None)
            return NOT_FOUND
        return Answer(_OK)

    def _lane(self, tenant: int) -> _Lane:
        if tenant not in self._lanes:
            self._lanes[tenant] = _Lane(partial(self._keep_together, tenant))
        return self._lanes[tenant]

    async def _keep_together(self, tenant: int, came: Sequence[Came]) -> list[Kept]:
        """Keep those that came together; their span is where the traces of what follows begin."""
        with watch.bound(tenant=tenant), watch.span("push", pushes=len(came)):
            return await self._stores.of(tenant).keep_pushes(came)

    async def _find(self, path: str, *, anew: bool = False) -> _Known | Answer:
        known = self._known.get(path)
        now = time.monotonic()
        if known is not None and now - known.at < _KNOWN_SECONDS and not anew:
            return known
        if self._finding.is_away() or (known is None and not self._lookups.take()):
            # What was known before still counts, as far as it can be kept.
            return UNAVAILABLE if anew or known is None else known
        async with self._finding.tried():
            found = await subscription_at(self._stores.pool, path)
            if found is None:
                self._known.pop(path, None)
                return NOT_FOUND
            tenant, id_ = found
            store = self._stores.of(tenant)
            row = await store.subscription(id_)
        push = self._push_of(row.system) if row else None
        if row is None or push is None:
            return NOT_FOUND
        fresh = _Known(
            tenant=tenant,
            row=row,
            push=push,
            at=now,
            again=known.again if known else _Bucket(1.0, _LOOKS_AGAIN),
            bucket=known.bucket if known else _bucket(push),
        )
        self._known[path] = fresh
        self._known.move_to_end(path)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return fresh

    def _refuse(self, known: _Known, why: str) -> Answer:
        """Count what is refused; the counts are written together, now and then.

        While the system is being told of a secret it is asked to come again.
        """
        self.counts[f"refused, {why}"] += 1
        self._refused.setdefault(known.tenant, Counter())[known.row.id] += 1
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count_later())
        return UNAVAILABLE if known.row.is_busy(self.now()) else REFUSED

    async def _count_later(self) -> None:
        await asyncio.sleep(_COUNT_SECONDS)
        await self._write_counts()

    async def _write_counts(self) -> None:
        counts, self._refused = self._refused, {}
        for tenant, numbers in counts.items():
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._stores.of(tenant).count_refused(numbers)
            except (Error, TimeoutError):
                self._refused.setdefault(tenant, Counter()).update(numbers)


async def forget_old(hub: Hub) -> int:
    """Forget pushes that no system will send again; return how many. Repeat it every hour.

    The longest that a system tries is three days (ServiceM8).
    """
    now = hub.now()
    return await hub.store.prune_pushes(before=now - _KEPT, odd_before=now - _ODD_KEPT)


def _judge(known: _Known, push: Arrival) -> Answer | str | None:
    """Return the answer to a handshake or an error; why it is refused; None: it is to be kept."""
    if known.row.state == "off":
        return GONE
    if len(push.body) > known.push.most_bytes:
        return TOO_LARGE
    shake = known.push.handshake
    echo = shake.answer(push) if shake and push.method in shake.methods else None
    awaited = known.row.is_busy(push.at) or (shake is not None and shake.later)
    if shake and echo and not shake.proven:
        return echo if awaited else "not asked for"
    if push.method != "POST":
        return NOT_FOUND
    if reason := refusal(known.push.proof, push, known.row.secrets):
        return reason
    return echo


def _parts(speaks: Push, push: Arrival) -> Sequence[Hint | Odd]:
    if speaks.parts is None:
        return (Hint(),)
    try:
        return speaks.parts(push)
    except Exception as error:  # noqa: BLE001 -- a proven push is not lost, whatever is in it
        return (Hint(), Odd(0, f"The push cannot be taken apart ({error}).", push.body))


def _bucket(push: Push) -> _Bucket | None:
    if not isinstance(push.proof, Unsigned):
        return None
    return _Bucket(push.proof.per_minute / 60, push.proof.per_minute)


def _delivery(speaks: Push, push: Arrival, headers: bytes, query: str) -> bytes:
    """Return the hash of what tells a delivery from others."""
    named = speaks.delivery_id(push) if speaks.delivery_id else ""
    if named:
        return hashlib.sha256(b"id\n" + named.encode()).digest()
    parts = (b"body", headers, query.encode(), push.body)
    return hashlib.sha256(b"\n".join(parts)).digest()


def _kept_headers(speaks: Push, push: Arrival) -> bytes:
    names = (*speaks.keep, "content-type", "content-encoding")
    hidden = secret_headers(speaks.proof)
    kept = {name: push.headers[name] for name in names if name in push.headers}
    return msgspec.json.encode({k: v for k, v in kept.items() if k not in hidden})
