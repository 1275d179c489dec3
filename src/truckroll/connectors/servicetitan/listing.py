"""Listing a tenant's visits: all of them, or what its export feeds tell since the last read.

A visit is composed of parts that have feeds of their own (sheet, section 5), so the cursor holds
one token per feed. A pass without change asks each feed once. What changed in a part leads to its
visits, which are read again by their ids.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec

from truckroll.connectors.servicetitan.calls import IDS, Kept, Rows, by_ids, exported, path
from truckroll.connectors.servicetitan.parts import Composer, broken
from truckroll.connectors.servicetitan.resolve import Lookup, leads, look_up
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
    """Where the next read of each feed begins, by name; `tenant` is whose tokens they are."""

    tenant: str
    tokens: dict[str, str]


async def listing(session: Session, scope: Scope, cursor: str | None) -> AsyncIterator[Page]:
    """Yield the visits that changed since a cursor, or all that are not long over.

    Complete from the beginning, for what ends after `past_days` ago. Raises StartOver where the
    cursor or one of its tokens does not hold any more.
    """
    held = None if cursor is None else _held(session, scope, cursor)
    reading = _Reading(session)
    pages = reading.everything() if held is None else reading.changes(held.tokens)
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


class _Reading:
    """One reading of a tenant's visits."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tenant = tenant_of(session)
        self._now = utc_now()
        self._since = self._now - past_days(session.settings)
        self._composer = Composer(session, zone_of(session))

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
            rows, tokens = await self._drained(PARTS, {feed.name: begun for feed in PARTS})
            async for page in self._pages(rows):
                yield page
        except StartOver as error:
            # What was given in this very listing is refused: the next one begins anew anyway.
            raise RetryLater(error.says) from None
        cursor = self._cursor({APPOINTMENTS.name: end, **tokens})
        yield Page((), cursor, last=True, complete=True, since=self._since)

    async def changes(self, tokens: Mapping[str, str]) -> AsyncIterator[Page]:
        """Yield the visits that the feeds lead to."""
        rows, ends = await self._drained(FEEDS, tokens)
        async for page in self._pages(rows):
            yield page
        yield Page((), self._cursor(ends), last=True)

    def _cursor(self, tokens: Mapping[str, str]) -> str:
        return msgspec.json.encode(Cursor(self._tenant, dict(sorted(tokens.items())))).decode()

    async def _drained(
        self, feeds: Sequence[Feed], tokens: Mapping[str, str]
    ) -> tuple[Rows[Appointment], dict[str, str]]:
        """Read feeds to their ends; return the visits that they lead to, and where they end."""
        ends: dict[str, str] = {}
        own = Rows[Appointment]([], [])
        ids: set[int] = set()
        lookups: set[Lookup] = set()

        async def drain(feed: Feed) -> None:
            where = path(self._session, feed.module, f"export/{feed.name}")
            start, asked = tokens[feed.name], _ANY.get(feed.name)
            async for got in exported(self._session, where, feed.shape, start, asked):
                ends[feed.name] = got.token
                if feed is APPOINTMENTS:
                    own.broken.extend(got.rows.broken)
                for row, raw in got.rows.kept:
                    if isinstance(row, Appointment):
                        own.kept.append(Kept(row, raw))
                        continue
                    near, more = leads(feed.name, row)
                    ids.update(near)
                    lookups.update(more)

        await asyncio.gather(*(drain(feed) for feed in feeds))
        ids |= await look_up(self._session, lookups, self._since - _LONGEST)
        told = {one.row.id for one in own.kept} | {one.id for one in own.broken}
        where = path(self._session, "jpm", "appointments")
        again = await by_ids(self._session, where, Appointment, ids - told)
        return Rows([*own.kept, *again.kept], [*own.broken, *again.broken]), ends

    async def _pages(self, rows: Rows[Appointment]) -> AsyncIterator[Page]:
        """Yield rows as pages that a transaction can hold, none where there are no rows."""
        kept = list({one.row.id: one for one in rows.kept}.values())
        for start in range(0, len(kept), _BATCH):
            yield await self._page(kept[start : start + _BATCH])
        if rows.broken:
            yield Page(tuple(broken(self._session.system, one) for one in rows.broken))

    async def _page(self, kept: list[Kept[Appointment]]) -> Page:
        """Return visits as one page. What is long over and not held is left out."""
        known = self._session.known
        ids = [str(one.row.id) for one in kept]
        held = dict(await known.versions(ids)) if known is not None else {}
        gone = [one for one in kept if not one.row.active]
        items: list[Item] = [
            Missing(str(one.row.id)) for one in gone if known is None or str(one.row.id) in held
        ]
        live = [
            one
            for one in kept
            if one.row.active and (str(one.row.id) in held or not over_by(one.row, self._since))
        ]
        chunks = [live[start : start + IDS] for start in range(0, len(live), IDS)]
        composed = await asyncio.gather(*(self._composer.items(chunk) for chunk in chunks))
        same: list[str] = []
        for item in (item for chunk in composed for item in chunk):
            if not isinstance(item, Missing) and item.version == held.get(item.id):
                same.append(item.id)
            else:
                items.append(item)
        return Page(tuple(items), unchanged=tuple(same))
