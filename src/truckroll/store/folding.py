"""Folding: source records come to the link of their fold key, beside `planning`."""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncCursor

from truckroll.model.records import decode_fields
from truckroll.store.base import Row, named_sql, unique
from truckroll.sync.fold import Member, regroup
from truckroll.sync.ports import FoldKey

SQL = named_sql("folding")
KEY_BYTES = 8


class Homeless(NamedTuple):
    """A source record that is to have an end in the link of its fold key."""

    record: int
    key: str


async def adopt_folded(
    cursor: AsyncCursor[Row], mirror: int, records: Sequence[int], fold: FoldKey, at: datetime
) -> None:
    """Give records that have no link in the mirror one each, or the one of their fold key."""
    await cursor.execute(SQL["lock_mirror"], {"mirror": mirror})
    await cursor.execute(SQL["fields"], {"records": list(records)})
    homeless = [Homeless(row[0], fold(decode_fields(row[1]))) async for row in cursor]
    homes = await _homes(cursor, mirror, {one.key for one in homeless})
    await _house(cursor, mirror, homeless, homes, at)


async def regroup_due(
    cursor: AsyncCursor[Row], mirror: int, fold: FoldKey, at: datetime, after: int, limit: int
) -> int:
    """Bring the records of the next due links to the link of their key; see `sync.ports`."""
    place = {"mirror": mirror, "at": at, "after": after, "limit": limit}
    await cursor.execute(SQL["lock_mirror"], place)
    await cursor.execute(SQL["lock_due"], place)
    links = {int(row[0]): str(row[1]) async for row in cursor}
    if not links:
        return 0
    await cursor.execute(SQL["members"], {"links": list(links)})
    members: dict[int, list[Member]] = defaultdict(list)
    owners: dict[int, tuple[int, int]] = {}
    async for link, end, record, fields in cursor:
        members[link].append(Member(end, fold(decode_fields(fields))))
        owners[end] = link, record
    keys = {one.key for ours in members.values() for one in ours}
    homes = await _homes(cursor, mirror, keys | set(links.values()))
    found = regroup([(link, links[link], ours) for link, ours in members.items()], homes)
    if found.renamed:
        await cursor.executemany(
            SQL["rename"], [{"link": link, "fold": key} for link, key in found.renamed.items()]
        )
    if found.leaving:
        await cursor.execute(SQL["leave"], {"ends": [one.end for one in found.leaving]})
        left = {owners[one.end][0] for one in found.leaving}
        await cursor.execute(SQL["stir"], {"links": unique(left), "at": at})
        homeless = [Homeless(owners[one.end][1], one.key) for one in found.leaving]
        await _house(cursor, mirror, homeless, homes, at)
    return max(links)


async def _homes(cursor: AsyncCursor[Row], mirror: int, keys: set[str]) -> dict[str, int]:
    """Return the living link of each key, locked; the earliest, should there be several."""
    named = sorted(keys - {""})
    await cursor.execute(SQL["homes"], {"mirror": mirror, "keys": named})
    homes: dict[str, int] = {}
    async for key, link in cursor:
        homes.setdefault(key, link)
    return homes


async def _house(
    cursor: AsyncCursor[Row],
    mirror: int,
    homeless: Sequence[Homeless],
    homes: Mapping[str, int],
    at: datetime,
) -> None:
    """Give each record an end in the link of its key; a record without a key has its own link."""
    links = dict(homes)
    new = [*{one.key for one in homeless if one.key} - links.keys()]
    alone = [one.record for one in homeless if not one.key]
    made = await _new_links(cursor, mirror, [*new, *("" for _ in alone)], at)
    links |= dict(zip(new, made, strict=False))
    own = dict(zip(alone, made[len(new) :], strict=True))
    where = {one.record: own.get(one.record) or links[one.key] for one in homeless}
    place: dict[str, Any] = {
        "mirror": mirror,
        "records": list(where),
        "links": list(where.values()),
    }
    await cursor.execute(SQL["come_back"], place)
    await cursor.execute(SQL["join"], place)
    await cursor.execute(SQL["stir"], {"links": unique(where.values()), "at": at})


async def _new_links(
    cursor: AsyncCursor[Row], mirror: int, folds: Sequence[str], at: datetime
) -> list[int]:
    """Make a due link for each fold key; return their ids in the same order."""
    if not folds:
        return []
    keys = [secrets.token_hex(KEY_BYTES) for _ in folds]
    place = {"mirror": mirror, "keys": keys, "folds": list(folds), "at": at}
    await cursor.execute(SQL["new_links"], place)
    ids = {row[1]: int(row[0]) async for row in cursor}
    return [ids[key] for key in keys]
