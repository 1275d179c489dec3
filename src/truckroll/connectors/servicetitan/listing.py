"""Listing a tenant's visits: all of them, or what its export feeds tell since the last read.

A visit is composed of parts that have feeds of their own (sheet, section 5), so the cursor holds
one token per feed. A pass without change asks each feed once. What changed in a part leads to its
visits, which are read again by their ids.

Assignments and contacts can only be read by lists, and lists lag: a feed may tell what the list
does not show yet. So visits that such news led to are looked at a second time when the lag is over.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from truckroll.connectors.servicetitan.calls import IDS, Kept, Rows, by_ids, exported, path
from truckroll.connectors.servicetitan.parts import Composer, broken
from truckroll.connectors.servicetitan.resolve import MOST_LOOKED_UP, Trail, follow, look_up
from truckroll.connectors.servicetitan.site import past_days, tenant_of, zone_of
from truckroll.connectors.servicetitan.wire import (
    Appointment,
    Assignment,
    ContactRow,
    Customer,
    Job,
    Location,
    Row,
    Technician,
    instant_text,
    over_by,
    utc,
)
from truckroll.kit.contract import Item, Missing, Page, Scope, Session
from truckroll.kit.errors import RetryLater, StartOver
from truckroll.kit.pace import utc_now

LAG = timedelta(minutes=3)  # reads trail writes by one to three minutes (sheet, section 5)
_OVERLAP = 4 * LAG  # the first read of the parts' feeds begins so long before the listing
_LONGEST = timedelta(days=1)  # lists filter by start, the extent is told by the end
_BATCH = 10 * IDS  # visits that are stored in one transaction


class Feed(NamedTuple):
    """An export feed: the module it belongs to, its name, the form of its rows."""

    module: str
    name: str
    shape: type[Row]


APPOINTMENTS = Feed("jpm", "appointments", Appointment)
PARTS = (
    Feed("dispatch", "appointment-assignments", Assignment),
    Feed("jpm", "jobs", Job),
    Feed("crm", "customers", Customer),
    Feed("crm", "locations", Location),
    Feed("crm", "customers/contacts", ContactRow),
    Feed("crm", "locations/contacts", ContactRow),
    Feed("settings", "technicians", Technician),
)
FEEDS = (APPOINTMENTS, *PARTS)
# This feed alone hides inactive rows unless it is asked for them (the vendor's document).
_ANY = {"appointment-assignments": {"active": "Any"}}


class Cursor(msgspec.Struct, frozen=True):
    """Where the next read of each feed begins, by name; `tenant` is whose tokens they are.

    `again` are visits to be looked at a second time, with the instant (UTC) from which on.
    """

    tenant: str
    tokens: dict[str, str]
    again: dict[int, datetime] = {}


async def listing(session: Session, scope: Scope, cursor: str | None) -> AsyncIterator[Page]:
    """Yield the visits that changed since a cursor, or all that are not long over.

    Complete from the beginning, for what ends after `past_days` ago. Raises StartOver where the
    cursor or one of its tokens does not hold any more.
    """
    held = None if cursor is None else _held(session, scope, cursor)
    reading = _Reading(session)
    pages = reading.everything() if held is None else reading.changes(held)
    async for page in pages:
        yield page


def _held(session: Session, scope: Scope, cursor: str) -> Cursor:
    try:
        held = msgspec.json.decode(cursor, type=Cursor)
    except (msgspec.DecodeError, msgspec.ValidationError):
        held = Cursor("", {})
    if held.tenant != scope.id or held.tokens.keys() != {feed.name for feed in FEEDS}:
        raise StartOver(
            f"The place at which reading {session.system} was to go on is not known; everything "
            "is read again, and nothing is taken for gone meanwhile."
        )
    return held


class Drained(NamedTuple):
    """What feeds told: rows of visits, where the feeds end, what to look at a second time."""

    rows: Rows[Appointment]
    ends: dict[str, str]
    again: dict[int, datetime]


class _Reading:
    """One reading of a tenant's visits."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tenant = tenant_of(session)
        self._now = utc_now()
        self._since = self._now - past_days(session.settings)
        self._zone = zone_of(session)
        self._composer = Composer(session, self._zone)

    async def everything(self) -> AsyncIterator[Page]:
        """Yield all visits, then those whose parts changed while they were read."""
        where = path(self._session, "jpm", "export/appointments")
        end = ""
        begun = instant_text(self._now - _OVERLAP)
        try:
            async for got in exported(self._session, where, Appointment, ""):
                end = got.token
                async for page in self._pages(got.rows):
                    yield page
            tokens = {feed.name: begun for feed in PARTS}
            self._composer = Composer(self._session, self._zone)  # forgets the parts from before
            found = await self._drained(PARTS, Cursor(self._tenant, tokens), most=None)
            async for page in self._pages(found.rows):
                yield page
        except StartOver as error:
            # What was given in this very listing is refused: the next one begins anew anyway.
            raise RetryLater(error.says) from None
        cursor = self._cursor({APPOINTMENTS.name: end, **found.ends}, found.again)
        yield Page((), cursor, last=True, complete=True, since=self._since)

    async def changes(self, held: Cursor) -> AsyncIterator[Page]:
        """Yield hints at the visits that the feeds lead to.

        What a feed shows is not composed: whatever differs would have to be read once more, since
        feeds and lists lag (sheet, section 5).
        """
        found = await self._drained(FEEDS, held)
        if found.rows.broken:
            yield self._unread(found.rows)
        kept = _latest(found.rows)
        for start in range(0, len(kept), _BATCH):
            yield await self._hints(kept[start : start + _BATCH])
        yield Page((), self._cursor(found.ends, found.again), last=True)

    def _cursor(self, tokens: Mapping[str, str], again: dict[int, datetime]) -> str:
        now = Cursor(self._tenant, dict(sorted(tokens.items())), again)
        return msgspec.json.encode(now).decode()

    async def _drained(
        self, feeds: Sequence[Feed], held: Cursor, *, most: int | None = MOST_LOOKED_UP
    ) -> Drained:
        """Read feeds to their ends; return the visits that they lead to."""
        ends: dict[str, str] = {}
        own = Rows[Appointment]([], [])
        sure, late = Trail(set(), set()), Trail(set(), set())

        async def drain(feed: Feed) -> None:
            where = path(self._session, feed.module, f"export/{feed.name}")
            start, asked = held.tokens[feed.name], _ANY.get(feed.name)
            async for got in exported(self._session, where, feed.shape, start, asked):
                ends[feed.name] = got.token
                if feed is APPOINTMENTS:
                    own.broken.extend(got.rows.broken)
                for row, raw in got.rows.kept:
                    if isinstance(row, Appointment):
                        own.kept.append(Kept(row, raw))
                    else:
                        follow(feed.name, row, late if self._may_lag(row) else sure)

        await asyncio.gather(*(drain(feed) for feed in feeds))
        since = self._since - _LONGEST
        news = await look_up(self._session, late, since, most=most)
        again = {id_: at for id_, at in held.again.items() if at > self._now}
        again |= dict.fromkeys(news, self._now + LAG)
        due = held.again.keys() - again.keys()
        ids = news | due | await look_up(self._session, sure, since, most=most)
        told = {one.row.id for one in own.kept} | {one.id for one in own.broken}
        where = path(self._session, "jpm", "appointments")
        reread = await by_ids(self._session, where, Appointment, ids - told)
        rows = Rows([*own.kept, *reread.kept], [*own.broken, *reread.broken])
        return Drained(rows, ends, again)

    def _may_lag(self, row: Row) -> bool:
        """Tell whether a list may not show yet what the feed tells of a row."""
        by_list_only = isinstance(row, Assignment | ContactRow)
        fresh = row.modified_on is None or utc(row.modified_on) > self._now - 2 * LAG
        return by_list_only and fresh

    async def _pages(self, rows: Rows[Appointment]) -> AsyncIterator[Page]:
        """Yield rows as pages that a transaction can hold, none where there are no rows."""
        kept = _latest(rows)
        for start in range(0, len(kept), _BATCH):
            yield await self._page(kept[start : start + _BATCH])
        if rows.broken:
            yield self._unread(rows)

    def _unread(self, rows: Rows[Appointment]) -> Page:
        return Page(tuple(broken(self._session.system, one) for one in rows.broken))

    async def _hints(self, kept: list[Kept[Appointment]]) -> Page:
        """Return a page that hints at visits. What is not held, and gone or over, is left out."""
        held = await self._versions(kept)
        hints = [
            str(one.row.id)
            for one in kept
            if str(one.row.id) in held or (one.row.active and not over_by(one.row, self._since))
        ]
        return Page((), hints=tuple(hints))

    async def _versions(self, kept: list[Kept[Appointment]]) -> Mapping[str, str | None]:
        known = self._session.known
        return {} if known is None else await known.versions([str(one.row.id) for one in kept])

    async def _page(self, kept: list[Kept[Appointment]]) -> Page:
        """Return visits as one page. What is long over and not held is left out."""
        held = await self._versions(kept)
        ids = [str(one.row.id) for one in kept if not one.row.active]
        unknown = self._session.known is None
        items: list[Item] = [Missing(id_) for id_ in ids if unknown or id_ in held]
        live = [
            one
            for one in kept
            if one.row.active and (str(one.row.id) in held or not over_by(one.row, self._since))
        ]
        chunks = [live[start : start + IDS] for start in range(0, len(live), IDS)]
        composed = await asyncio.gather(*(self._composer.items(chunk) for chunk in chunks))
        same: list[str] = []
        for item in (item for chunk in composed for item in chunk):
            if isinstance(item, Missing):
                if item.id in held:
                    items.append(item)
            elif item.version == held.get(item.id):
                same.append(item.id)
            else:
                items.append(item)
        return Page(tuple(items), unchanged=tuple(same))


def _latest(rows: Rows[Appointment]) -> list[Kept[Appointment]]:
    """Return one row of each visit: what was told last."""
    return list({one.row.id: one for one in rows.kept}.values())
