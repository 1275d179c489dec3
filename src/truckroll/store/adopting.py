"""Adoption: links for records that no link has, and moved records given to the links they had."""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncCursor

from truckroll.model.records import decode_fields
from truckroll.store.base import Row, Statements
from truckroll.store.folding import KEY_BYTES, adopt_folded
from truckroll.store.links import SQL, decode_holds
from truckroll.store.story import write_story
from truckroll.sync.match import AMBIGUOUS, is_made, key_of
from truckroll.sync.ports import FoldKey, Names
from truckroll.sync.types import Note

# The columns of an arrival: `free` says that it may be linked and is not yet in the mirror,
# `marked` that it carries the mark of one of the mirror's links, `copied` that this has its own
# record beside it, where the hub chooses the ids. Renamed, or seen through another account, it is
# no copy: its series tells.
_ARRIVAL = b"""r.id, r.arrived, r.account, r.external_id,
  r.state = 'live' and r.owned and (
    select e.id from link_end e where e.record = r.id and e.mirror = %(mirror)s limit 1) is null,
  r.mark is not null and (
    select l.id from link l where l.mirror = %(mirror)s and l.key = r.mark limit 1) is not null,
  %(chosen)s and r.mark is not null and exists (
    select from link l join link_end e on e.link = l.id join record o on o.id = e.record
    where l.mirror = %(mirror)s and l.key = r.mark and l.state = 'live' and e.scope = r.scope
      and e.state = 'live' and not e.open and o.id <> r.id and o.state = 'live'
      and not exists (select from link_end x left join record y on y.id = x.record
        where x.link = l.id and (x.external_id = r.external_id or y.series = r.series))),
  r.series is not null, r.mark"""


class _Arrival(NamedTuple):
    id: int
    arrived: int
    account: int
    external_id: str
    free: bool
    marked: bool
    copied: bool
    serial: bool
    mark: str | None


async def adopt_in_scope(
    cursor: Statements,
    mirror: int,
    side: str,
    scope: int,
    at: datetime,
    limit: int,
    *,
    fold: FoldKey | None,
    match: tuple[str, ...],
    names: Names | None,
) -> tuple[int, int, bool]:
    """Adopt among the next `limit` arrivals of a scope, and those passed over before.

    Where the hub chooses the ids there, `names` returns them by create key: what carries the mark
    of a record beside it and another id is a copy that somebody made. With `fold` no record is
    one that moved or is awaited: it comes to the link of its key anyway. `match` and the rest as
    `sync.ports` say.
    Returns how many were adopted, how many left to links, and whether there may be more arrivals.
    """
    place = {"mirror": mirror, "scope": scope, "side": side, "at": at, "chosen": names is not None}
    locked = await cursor.ask(SQL["adoption"], place)
    arrivals = await cursor.ask(_query("arrivals"), {**place, "limit": limit})
    after, again = await locked.fetchone() or (0, [])
    fresh = [_Arrival(*row) async for row in arrivals]
    passed_over = []
    if again:
        await cursor.execute(_query("passed_over"), {**place, "again": again})
        passed_over = [_Arrival(*row) async for row in cursor]
    if not fresh and not passed_over:
        return 0, 0, False
    seen = {one.id: one for one in (*passed_over, *fresh)}
    free = [one for one in seen.values() if one.free]
    moved = await _moved(cursor, free, place) if side == "source" and not fold else set()
    free = [one for one in free if one.id not in moved]
    ours = {one.id for one in free if one.marked and not _is_copy(one, scope, names)}
    theirs = [one.id for one in free if one.id not in ours]
    awaited: set[int] = set()
    if match and theirs and not fold:
        awaited = await _awaited(cursor, theirs, set(again), match, place)
    waiting = [one.id for one in free if one.id in ours or one.id in awaited]
    taken = [one for one in free if one.id not in ours and one.id not in awaited]
    if fresh or waiting != again:
        arrived = fresh[-1].arrived if fresh else after
        await cursor.execute(SQL["move_adoption"], {**place, "arrived": arrived, "again": waiting})
    if taken and fold is not None:
        await adopt_folded(cursor, mirror, [one.id for one in taken], fold, at)
    elif taken:
        await _link(cursor, taken, place)
    return len(taken) + len(moved), len(awaited), len(fresh) == limit


def _is_copy(one: _Arrival, scope: int, names: Names | None) -> bool:
    return one.copied and not (
        names is not None and one.mark and is_made(names, one.mark, scope, one.external_id)
    )


def _query(name: str) -> bytes:
    return SQL[name].replace(b"{arrival}", _ARRIVAL)


async def _awaited(
    cursor: AsyncCursor[Row],
    asked: Sequence[int],
    again: set[int],
    match: tuple[str, ...],
    place: dict[str, Any],
) -> set[int]:
    """Return the records that links may be about to make; these are due, and match them first.

    A record that was passed over for this before is awaited only as long as its link is due, or
    is held because several may be it.
    """
    await cursor.execute(SQL["awaited"], {**place, "records": list(asked)})
    found = [
        (record, link)
        for record, fields, link, due, holds, shown in await cursor.fetchall()
        if (
            due
            or record not in again
            or any(one.hold.reason == AMBIGUOUS for one in decode_holds(holds))
        )
        and (key := key_of(decode_fields(fields), match)) is not None
        and key == key_of(decode_fields(shown), match)
    ]
    stirred = sorted({link for record, link in found if record not in again})
    if stirred:
        await cursor.execute(SQL["stir"], {**place, "links": stirred})
    return {record for record, _ in found}


async def _link(cursor: AsyncCursor[Row], taken: Sequence[_Arrival], place: dict[str, Any]) -> None:
    """Make a new link for each of these records."""
    keys = [secrets.token_hex(KEY_BYTES) for _ in taken]
    await cursor.execute(SQL["new_links"], {**place, "keys": keys})
    ids = {row[1]: row[0] async for row in cursor}
    ends = {
        "account": taken[0].account,
        "links": [ids[key] for key in keys],
        "external_ids": [one.external_id for one in taken],
        "records": [one.id for one in taken],
    }
    await cursor.execute(SQL["new_ends"], {**place, **ends})


async def _moved(cursor: Statements, free: Iterable[_Arrival], place: dict[str, Any]) -> set[int]:
    """Give records to the links of the ones that they were; return which were."""
    asked = {one.id: one for one in free if one.marked or one.serial}
    if not asked:
        return set()
    await cursor.execute(SQL["moved"], {**place, "records": list(asked)})
    given: set[int] = set()
    links: set[int] = set()
    for record, link, end in await cursor.fetchall():
        if record in given or link in links:
            continue
        given.add(record)
        links.add(link)
        one = asked[record]
        to = {"account": one.account, "external_id": one.external_id, "record": record, "end": end}
        await cursor.execute(SQL["move_end"], {**place, **to})
    if links:
        await cursor.execute(SQL["stir"], {**place, "links": sorted(links)})
    note = Note(code="moved", text="it was moved, and keeps its identity")
    await write_story(cursor, [(link, note) for link in sorted(links)], 0, place["at"])
    return given
