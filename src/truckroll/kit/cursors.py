"""Where the next read of a scope begins: each kind of cursor a small value.

Each `pages` yields `contract.Page`s from what a connector's `fetch` gives. A cursor moves only on
a page after which everything before it was seen. A cursor that the system does not know any more
raises StartOver, whether the system says so or its age does. The text of a cursor is ours: the
system's own token with what it was asked under.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, Protocol, TypeVar

import msgspec

from truckroll.kit.contract import Item, Known, Missing, Page, Seen, Unreadable
from truckroll.kit.errors import GiveUp, RetryLater, StartOver
from truckroll.kit.http import Limits
from truckroll.kit.pace import utc_now
from truckroll.kit.paging import Got, NextToken, Order, Paging, Walk, circle

Fetch = Callable[[str | None, str | None], Awaitable[Got]]
FetchSince = Callable[[datetime | None, str | None], Awaitable[Got]]
Clock = Callable[[], datetime]

_LIMITS = Limits()


class _Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """The inside of a cursor: token or instant, when it was got, what it was asked under."""

    token: str = ""
    at: datetime | None = None
    under: str = ""
    since: datetime | None = None
    seen: tuple[str, ...] = ()


def _write(mark: _Mark) -> str:
    return msgspec.json.encode(mark).decode()


def _read(text: str, system: str, *, under: str, life: timedelta | None, now: datetime) -> _Mark:
    """Return the inside of a cursor that still holds; raises StartOver."""
    try:
        mark = msgspec.json.decode(text, type=_Mark)
    except msgspec.DecodeError:
        raise _expired(system, "is not readable") from None
    if mark.under != under:
        raise _expired(system, "belongs to other choices than today's")
    if life is not None and mark.at is not None and now - mark.at > life:
        raise _expired(system, "is older than the system keeps it")
    return mark


def _expired(system: str, why: str) -> StartOver:
    return StartOver(
        f"The place at which reading {system} was to go on {why}; "
        "everything is read again from the beginning, and nothing is taken for gone meanwhile."
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What every reading needs: the system's name, its limits, and a clock (aware UTC)."""

    system: str
    limits: Limits = _LIMITS
    now: Clock = utc_now


@dataclass(frozen=True, slots=True)
class Snapshot:
    """No cursor: everything inside the extent is listed each time (Calendly, Acuity, Zoho).

    The listing is complete unless rows slipped over a page border. What is `known` in the same
    version is named as unchanged.
    """

    paging: Paging

    async def pages(
        self, reading: Reading, fetch: Fetch, known: Known | None = None
    ) -> AsyncIterator[Page]:
        """Yield all pages of `fetch(None, position)`."""
        async for page in _whole(self.paging, reading, fetch, cursor=None):
            yield page if known is None else await _news(page, known)


async def _news(page: Page, known: Known) -> Page:
    """Return a page with what is held in the same version named as unchanged."""
    versions = {
        item.id: item.version for item in page.items if isinstance(item, Seen) and item.version
    }
    held = await known.versions(list(versions)) if versions else {}
    same = {id_ for id_, version in versions.items() if held.get(id_) == version}
    news = tuple(item for item in page.items if item.id not in same)
    return msgspec.structs.replace(page, items=news, unchanged=tuple(sorted(same)))


async def _whole(
    paging: Paging, reading: Reading, fetch: Fetch, *, cursor: str | None
) -> AsyncIterator[Page]:
    """Yield a full listing; its last page carries `cursor` and completeness if it proves any."""
    walk = Walk(paging, lambda at: fetch(None, at), reading.system, reading.limits)
    try:
        async for got, last in walk.pages():
            proven = last and not walk.shifted
            yield Page(got.items, cursor if proven else None, last=last, complete=proven)
    except StartOver:
        raise _lost_in_listing(reading.system) from None


def _lost_in_listing(system: str) -> RetryLater:
    """Return what StartOver means in a listing from the beginning: it is begun anew next time."""
    return RetryLater(
        f"{system} lost its place in a listing from the beginning; it is begun anew by itself."
    )


@dataclass(frozen=True, slots=True)
class Tagged:
    """One tag for the whole scope: unchanged, there is nothing to read (ctag, sheet version).

    The tag is asked for before the listing, so that a change meanwhile shows at the next read.
    """

    paging: Paging

    async def pages(
        self,
        reading: Reading,
        tag: Callable[[], Awaitable[str | None]],
        fetch: Fetch,
        cursor: str | None,
    ) -> AsyncIterator[Page]:
        """Yield nothing new where the tag is the cursor's, else all pages."""
        token = await tag()
        fresh = _write(_Mark(token)) if token else None
        if fresh is not None and fresh == cursor:
            yield Page((), cursor, last=True)
            return
        async for page in _whole(self.paging, reading, fetch, cursor=fresh):
            yield page


@dataclass(frozen=True, slots=True)
class SyncToken:
    """A token for the next read comes once per read, on any of its pages.

    Google `nextSyncToken`, Graph `@odata.deltaLink`, Trello's newest action id (on the first
    page). From the beginning, everything is listed (`whole`). `under` names the choices that are
    baked into the token (window, filter): with others, the token is void. `life` is how long the
    system keeps a token. Where no token came, nothing moves: the next read repeats this one.
    """

    paging: Paging = field(default_factory=NextToken)
    under: str = ""
    life: timedelta | None = None
    whole: bool = True

    async def pages(
        self, reading: Reading, fetch: Fetch, cursor: str | None
    ) -> AsyncIterator[Page]:
        """Yield the pages of `fetch(token, position)`; the token is None at the beginning."""
        token = None
        if cursor is not None:
            mark = _read(
                cursor, reading.system, under=self.under, life=self.life, now=reading.now()
            )
            token = mark.token
        begun, given = reading.now(), None
        walk = Walk(self.paging, lambda at: fetch(token, at), reading.system, reading.limits)
        try:
            async for got, last in walk.pages():
                given = given or got.cursor
                proven = last and not walk.shifted
                mark = _Mark(given or "", begun, self.under)
                yield Page(
                    got.items,
                    _write(mark) if proven and given else None,
                    last=last,
                    complete=proven and token is None and self.whole,
                )
        except StartOver:
            if token is None:
                raise _lost_in_listing(reading.system) from None
            raise


@dataclass(frozen=True, slots=True)
class TokenChain:
    """Each page carries the token of the next; the last one is where the next read begins.

    WebDAV sync-collection with its 507 for "more" (RFC 6578 section 3.6), ServiceTitan exports,
    Asana events, the HubSpot journal, Smartsheet events, Salesforce's `latestDateCovered`. The
    cursor moves with every page. From the beginning, everything is listed if `whole`. `life` and
    `under` are as for SyncToken.
    """

    under: str = ""
    life: timedelta | None = None
    whole: bool = True

    async def pages(
        self, reading: Reading, fetch: Callable[[str | None], Awaitable[Got]], cursor: str | None
    ) -> AsyncIterator[Page]:
        """Yield the pages of `fetch(token)` while `Got.more`.

        A page that says more without a new token raises RetryLater. A token on the last page may
        stay the same: nothing has happened.
        """
        token = None
        if cursor is not None:
            token = _read(
                cursor, reading.system, under=self.under, life=self.life, now=reading.now()
            ).token
        whole = self.whole and token is None
        walk = Walk(_Chain(token), fetch, reading.system, reading.limits)
        begun = reading.now()
        try:
            async for got, last in walk.pages():
                if got.more and not got.cursor:
                    raise circle(reading.system)
                mark = _write(_Mark(got.cursor, begun, self.under)) if got.cursor else None
                partial = whole and not last
                yield Page(got.items, None if partial else mark, last=last, complete=whole and last)
        except StartOver:
            if token is None:
                raise _lost_in_listing(reading.system) from None
            raise


@dataclass(frozen=True, slots=True)
class _Chain:
    first: str | None
    order: Order = "steady"

    def after(self, at: str | None, got: Got) -> str | None:
        del at
        return got.cursor if got.more else None


_F_contra = TypeVar("_F_contra", contravariant=True)


class Kept(Protocol[_F_contra]):
    """A kind of cursor that reads changes from a token on: SyncToken, TokenChain."""

    @property
    def under(self) -> str:
        """The choices baked into the token."""
        ...

    def pages(self, reading: Reading, fetch: _F_contra, cursor: str | None) -> AsyncIterator[Page]:
        """Yield the pages of changes."""
        ...


@dataclass(frozen=True, slots=True)
class Log(Generic[_F_contra]):
    """A log of happenings beside a list: the log's end is noted first, then all is listed.

    What happens while the list is read is in the log after the noted end (Asana events after
    their 412, Trello actions, HubSpot's journal).
    """

    everything: Paging
    log: Kept[_F_contra]

    async def pages(
        self,
        reading: Reading,
        begin: Callable[[], Awaitable[str]],
        everything: Fetch,
        changes: _F_contra,
        cursor: str | None,
    ) -> AsyncIterator[Page]:
        """Yield the whole list from the beginning, else what the log tells since the cursor.

        `begin` returns the token of the log's present end.
        """
        if cursor is None:
            begun = reading.now()
            mark = _write(_Mark(await begin(), begun, self.log.under))
            pages = _whole(self.everything, reading, everything, cursor=mark)
        else:
            pages = self.log.pages(reading, changes, cursor)
        async for page in pages:
            yield page


_SEEN_MOST = 1000
_STEP_BACK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class UpdatedSince:
    """Rows that were changed since an instant, by the system's own stamps.

    Each read goes back by `overlap` behind the newest stamp delivered, which must be at least
    the system's lag, skew and rounding together; rows known by id and version are not delivered
    again, but named as unchanged, and a deletion is told once. The mark never passes the present
    instant, so that a row from the future hides nothing. With `newest_first` reading ends at the
    first page that is older as a whole (Housecall Pro, Jobber jobs, monday). `most_rows` is where
    a search ends (HubSpot: 10,000): it is begun anew at the newest stamp, in rising order. `life`
    and `under` are as for SyncToken. From the beginning (since None), everything is listed.
    """

    overlap: timedelta
    paging: Paging
    newest_first: bool = False
    most_rows: int | None = None
    under: str = ""
    life: timedelta | None = None

    async def pages(
        self, reading: Reading, fetch: FetchSince, cursor: str | None
    ) -> AsyncIterator[Page]:
        """Yield the pages of `fetch(since, position)`, `since` being inclusive and aware UTC.

        Each page's `Got.stamps` give the change stamp of every item.
        """
        now = reading.now()
        mark = _Mark()
        if cursor is not None:
            mark = _read(cursor, reading.system, under=self.under, life=self.life, now=now)
        since = mark.since - self.overlap if mark.since else None
        tally = _Tally(now, mark.since, set(mark.seen))
        try:
            async for got, last in self._walk(reading, fetch, since, tally):
                items, same = tally.take(got)
                moved = last and not tally.shifted and tally.newest is not None
                yield Page(
                    items,
                    _write(tally.mark(self.overlap, self.under)) if moved else None,
                    last=last,
                    complete=last and not tally.shifted and since is None,
                    unchanged=same,
                )
        except StartOver:
            if since is None:
                raise _lost_in_listing(reading.system) from None
            raise

    async def _walk(
        self, reading: Reading, fetch: FetchSince, since: datetime | None, tally: "_Tally"
    ) -> AsyncIterator[tuple[Got, bool]]:
        """Yield pages and whether they are the last, over as many searches as it takes."""
        begin = since
        while True:
            walk = Walk(self.paging, partial(fetch, begin), reading.system, reading.limits)
            rows, cut, reached = 0, False, begin
            async with aclosing(walk.pages()) as pages:
                async for got, last in pages:
                    rows += got.count
                    reached = max((*got.stamps.values(), *filter(None, (reached,))), default=None)
                    cut = self.most_rows is not None and rows >= self.most_rows
                    ends = last or self._all_older(got, since)
                    tally.shifted = tally.shifted or walk.shifted
                    yield got, ends and not cut
                    if ends or cut:
                        break
            if not cut:
                return
            begin = self._onward(reading.system, begin, reached)

    def _all_older(self, got: Got, since: datetime | None) -> bool:
        if not self.newest_first or since is None or not got.stamps:
            return False
        return all(stamp < since for stamp in got.stamps.values())

    def _onward(self, system: str, begin: datetime | None, newest: datetime | None) -> datetime:
        onward = newest - _STEP_BACK if newest else None
        if onward is None or (begin is not None and onward <= begin):
            raise GiveUp(
                f"{system} has more records changed in one second than a search of it shows "
                f"({self.most_rows}). Choose a smaller part to keep in step."
            )
        return onward


class _Tally:
    """What one reading of changes has seen so far."""

    def __init__(self, now: datetime, newest: datetime | None, known: set[str]) -> None:
        self._now = now
        self._known = known
        self._stamped: dict[str, datetime] = {}
        self._back: set[str] = set()  # shown in this reading: a tombstone after that is news
        self.newest = newest
        self.shifted = False

    def take(self, got: Got) -> tuple[tuple[Item, ...], tuple[str, ...]]:
        """Return the items that are new to us and the ids of those that are not."""
        items: list[Item] = []
        same: list[str] = []
        for item in got.items:
            stamp = got.stamps.get(item.id)
            if stamp is not None:
                stamp = min(stamp, self._now)
                self.newest = stamp if self.newest is None else max(self.newest, stamp)
            print_ = _fingerprint(item, stamp)
            known = print_ is not None and print_ in self._known
            if isinstance(item, Missing):
                if not known or item.id in self._back:
                    items.append(item)
            elif known:
                same.append(item.id)
            else:
                items.append(item)
                self._back.add(item.id)
            if print_ is not None and stamp is not None:
                self._known.add(print_)
                self._stamped[print_] = stamp
        return tuple(items), tuple(same)

    def mark(self, overlap: timedelta, under: str) -> _Mark:
        """Return the inside of the next cursor; too many fingerprints are left out."""
        assert self.newest is not None  # asked for only then
        edge = self.newest - overlap
        seen = sorted(name for name, stamp in self._stamped.items() if stamp >= edge)
        kept = tuple(seen) if len(seen) <= _SEEN_MOST else ()
        return _Mark(at=self._now, under=under, since=self.newest, seen=kept)


def _fingerprint(item: Item, stamp: datetime | None) -> str | None:
    """Return what an item is known by: its version, or when it was deleted."""
    version = stamp and stamp.isoformat() if isinstance(item, Missing) else item.version
    if isinstance(item, Unreadable) or version is None:
        return None
    text = f"{len(item.id)} {item.id} {version}".encode()
    return hashlib.blake2s(text, digest_size=6).hexdigest()
