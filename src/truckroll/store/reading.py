"""Reading: observations come in, and the cursor moves with them in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncCursor

from truckroll.kit.contract import Item, Missing, Page
from truckroll.store.base import (
    RECORD,
    Base,
    Row,
    Statements,
    named_sql,
    record_row,
    retried,
    unique,
)
from truckroll.store.observe import Held, Observed, observe
from truckroll.sync.ports import PageResult
from truckroll.sync.types import RecordRow

SQL = named_sql("reading")
_NEW = "insert_record"
_NEWS = frozenset({"new", "changed", "gone", "unreadable"})


class ReadingStore(Base):
    """Implements `sync.ports.Reading`."""

    async def begin_listing(self, scope: int) -> int:
        """Return the id of a new listing of a scope; ids grow."""
        async with self._transaction(durable=False, fenced=True) as cursor:
            await cursor.execute(SQL["begin_listing"], {"scope": scope})
            row = await cursor.fetchone()
            assert row is not None, "the scope is not known"
            return int(row[0])

    @retried
    async def store_page(
        self, scope: int, listing: int, kind: str, page: Page, *, at: datetime, keep_cursor: bool
    ) -> PageResult:
        """Store a page's items as observations and move the scope's cursor, in one transaction.

        The last of several items with one id counts. An item whose version is the one held is
        the same, whatever its fields. Fields that an item does not name were not read and stay.
        """
        items = {item.id: item for item in page.items}
        async with self._transaction(durable=False, fenced=True) as cursor:
            locked = await cursor.ask(SQL["lock_scope"], {"scope": scope})
            known = await ask_known(cursor, scope, list(items.values())) if items else None
            row = await locked.fetchone()
            assert row is not None, "the scope is not known"
            place = {"account": row[0], "scope": scope, "listing": listing, "at": at}
            seen = await observe_items(cursor, place, kind, known) if known else []
            sighted = [one.held for one in seen if one.row is None and one.news == "same"]
            if page.unchanged:
                await cursor.execute(SQL["ids"], {**place, "ids": list(page.unchanged)})
                sighted += [row[0] async for row in cursor]
            if sighted:
                await cursor.execute(SQL["same"], {**place, "ids": sighted})
            stirred = [one.held for one in seen if one.stir]
            await touch(cursor, stirred, at=at)
            if page.cursor is not None and not keep_cursor:
                await cursor.execute(SQL["move_cursor"], {"scope": scope, "cursor": page.cursor})
        tally = Counter(one.news for one in seen)
        tally["same"] += len(page.unchanged)
        return PageResult(**{str(news): count for news, count in tally.items()})

    async def finish_listing(self, scope: int, listing: int, *, at: datetime) -> list[RecordRow]:
        """End a complete listing: set `complete_at`; return present records it did not show.

        Unreadable records count as present. Nothing is marked gone by this.
        """
        async with self._transaction(durable=False, fenced=True) as cursor:
            await cursor.execute(SQL["finish_listing"], {"scope": scope, "at": at})
            await cursor.execute(
                SQL["unseen"].replace(b"{record}", RECORD), {"scope": scope, "listing": listing}
            )
            return [record_row(row) async for row in cursor]

    async def overtaken(self, scope: int, listing: int) -> list[str]:
        """Return ids of present records of which a reply came since a listing began."""
        rows = await self._rows(SQL["overtaken"], {"scope": scope, "listing": listing})
        return [row[0] for row in rows]

    async def doubt(self, scope: int, *, at: datetime) -> None:
        """Let a scope be read whole: it is not known which of two observations is the newer."""
        async with self._transaction(durable=False, fenced=True) as cursor:
            await cursor.execute(SQL["lock_scopes"], {"scopes": [scope]})
            await doubt(cursor, [scope], at=at)

    async def set_cursor(self, scope: int, cursor: str | None) -> None:
        """Set the cursor of a scope."""
        async with self._transaction(durable=False, fenced=True) as transaction:
            await transaction.execute(SQL["move_cursor"], {"scope": scope, "cursor": cursor})

    @retried
    async def mark_gone(self, records: Sequence[int], *, at: datetime) -> None:
        """Note that these records are proven absent; links that have them become due."""
        async with self._transaction(durable=False, fenced=True) as cursor:
            await cursor.execute(SQL["scopes_of"], {"ids": list(records)})
            scopes = unique([row[0] async for row in cursor])
            await cursor.execute(SQL["lock_scopes"], {"scopes": scopes})
            await cursor.execute(SQL["stir"], {"scopes": scopes})
            await mark_gone(cursor, records, at=at)
            await touch(cursor, records, at=at)

    async def versions(self, scope: int, ids: Sequence[str]) -> Mapping[str, str | None]:
        """Return the version held of each record among `ids` that is there, readable or not."""
        rows = await self._rows(SQL["versions"], {"scope": scope, "ids": list(ids)})
        return {row[0]: row[1] for row in rows}


class Known(NamedTuple):
    """Items of one scope, and where what is held of them and their numbers will be."""

    items: Sequence[Item]
    held: AsyncCursor[Row]
    orders: AsyncCursor[Row]


async def ask_known(cursor: Statements, scope: int, items: Sequence[Item]) -> Known:
    """Ask what is held of items of a scope, whose row was locked before."""
    held = await cursor.ask(SQL["held"], {"scope": scope, "ids": [item.id for item in items]})
    return Known(items, held, await cursor.ask(SQL["orders"], {"count": len(items)}))


async def doubt(cursor: AsyncCursor[Row], scopes: Sequence[int], *, at: datetime) -> None:
    """Let scopes, which are locked, be read whole; wakes the tick."""
    await cursor.execute(SQL["doubt"], {"scopes": list(scopes), "at": at})
    await cursor.execute(SQL["wake"])


async def observe_items(
    cursor: Statements,
    place: Mapping[str, Any],
    kind: str,
    known: Known,
    *,
    reply: bool = False,
) -> list[Observed]:
    """Write observations of one scope, whose row is locked; return what each was.

    `place` holds `account`, `scope`, `listing` and `at`. Sights of unchanged records and links
    are left to the caller. A `reply` says nothing of a known record's owner.
    """
    held = {row[1]: Held(*row) async for row in known.held}
    orders = iter([int(row[0]) for row in await known.orders.fetchall()])
    listing = None if reply else place["listing"]
    seen = [
        observe(item, held.get(item.id), kind, orders, reply=reply, listing=listing)
        for item in known.items
    ]
    if missed := [one.id for one in known.items if isinstance(one, Missing) and one.id not in held]:
        await cursor.execute(SQL["insert_missed"], {**place, "kind": kind, "ids": missed})
    if any(one.doubtful for one in seen):
        await doubt(cursor, [place["scope"]], at=place["at"])
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in seen:
        if one.row is not None:
            rows[_statement(one.row)].append(one.row)
    if new := rows.pop(_NEW, None):
        await cursor.put(SQL[_NEW], new, **place)
    for name, chosen in rows.items():
        await cursor.executemany(SQL[name], [{**row, **place} for row in chosen])
    if gone := [one.held for one in seen if one.news == "gone"]:
        await cursor.execute(SQL["gone"], {"ids": gone, "at": place["at"]})
    if not reply and any(one.news in _NEWS for one in seen):
        await cursor.execute(SQL["stir"], {"scopes": [place["scope"]]})
    if moved := sum(one.live for one in seen):
        await cursor.execute(SQL["shift_live"], {"scope": place["scope"], "by": moved})
    return seen


def _statement(row: Mapping[str, Any]) -> str:
    if "id" not in row:
        return _NEW
    return "update_record" if "state" in row else "update_version"


async def mark_gone(cursor: AsyncCursor[Row], records: Iterable[int], *, at: datetime) -> None:
    """Mark present records as gone and count them out of their scopes, which are locked."""
    await cursor.execute(SQL["gone"], {"ids": list(records), "at": at})
    for scope, count in sorted(Counter([row[0] async for row in cursor]).items()):
        await cursor.execute(SQL["shift_live"], {"scope": scope, "by": -count})


async def touch(
    cursor: AsyncCursor[Row],
    records: Iterable[int],
    *,
    at: datetime,
    own: Container[tuple[int, int]] = (),
) -> None:
    """Make the links due that have one of these records, but for the pairs of both in `own`."""
    if not (ids := unique(records)):
        return
    await cursor.execute(SQL["links_of"], {"records": ids})
    links = unique([link async for link, record in cursor if (record, link) not in own])
    if links:
        await cursor.execute(SQL["lock_links"], {"links": links})
        await cursor.execute(SQL["touch"], {"links": links, "at": at})
