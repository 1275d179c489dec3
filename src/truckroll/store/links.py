"""Links as rows: how they are read back whole, with their ends, in two queries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncCursor

from truckroll.model.records import Fields, decode_fields
from truckroll.store.base import Row, as_json, decode_changed, named_sql, to_json
from truckroll.sync.types import End, FieldHold, Hold, Link

SQL = named_sql("planning")

# The columns of a link in the order of `_link`.
LINK = b"""l.id, l.mirror, l.key, l.state, l.ended_why, l.agreed, l.agreed_by, l.hold,
  l.hold_detail, l.undone, l.look_at, l.row, l.touched, l.fold"""
_field_holds = msgspec.json.Decoder(dict[str, FieldHold])


class HeldSince(msgspec.Struct, frozen=True):
    """A hold as it stands at its link, with the instant since when."""

    hold: Hold
    since: datetime


_held = msgspec.json.Decoder(tuple[HeldSince, ...])


async def whole_links(cursor: AsyncCursor[Row]) -> list[Link]:
    """Return the links that the cursor's last statement selected as LINK, with their ends."""
    rows = await cursor.fetchall()
    if not rows:
        return []
    await cursor.execute(SQL["ends"], {"links": [row[0] for row in rows]})
    ends: dict[int, list[End]] = defaultdict(list)
    async for row in cursor:
        ends[row[0]].append(_end(row))
    return [_link(row, ends[row[0]]) for row in rows]


def _link(row: Row, ends: Sequence[End]) -> Link:
    return Link(
        id=row[0],
        mirror=row[1],
        key=row[2],
        state=row[3],
        ended_why=row[4],
        agreed=decode_fields(row[5]),
        by=decode_changed(row[6]),
        hold=row[7],
        hold_detail=row[8],
        undone=row[9],
        look_at=row[10],
        row=row[11],
        touched=row[12],
        fold=row[13],
        ends=tuple(ends),
    )


def _end(row: Row) -> End:
    shown, base, given = decode_words(row[11], row[12], row[13])
    return End(
        id=row[1],
        side=row[2],
        account=row[3],
        scope=row[4],
        external_id=row[5],
        key=row[6],
        generation=row[7],
        state=row[8],
        version=row[9],
        owned=row[10],
        shown=shown,
        base=base,
        given=given,
        holds=decode_field_holds(row[14]),
        seen_order=row[15] or 0,
        changed=decode_changed(row[16]) if row[16] is not None else {},
        seen_at=row[17],
        gone_at=row[18],
        removed_by_hub=row[19],
        open=row[20],
        decided=row[21],
        series=row[22],
    )


def decode_words(shown: bytes | None, base: bytes, given: bytes) -> tuple[Fields, Fields, Fields]:
    """Return what an end shows, its base, and what it was given; mostly these are one text."""
    first = decode_fields(base)
    then = first if given == base else decode_fields(given)
    if shown == base:
        return first, first, then
    return decode_fields(shown) if shown is not None else {}, first, then


def decode_field_holds(text: bytes | None) -> dict[str, FieldHold]:
    """Return the field holds of an end from its column."""
    return _field_holds.decode(text) if text is not None else {}


def end_row(end: End) -> dict[str, Any]:
    """Return what of an end is stored with it, by column."""
    return {
        "side": end.side,
        "account": end.account,
        "scope": end.scope,
        "external_id": end.external_id,
        "key": end.key,
        "generation": end.generation,
        "state": end.state,
        "base": as_json(end.base),
        "given": as_json(end.given),
        "holds": to_json(end.holds) if end.holds else None,
        "removed_by_hub": end.removed_by_hub,
        "decided": end.decided,
    }


def link_row(link: Link) -> dict[str, Any]:
    """Return what of a link is decided about it, by column."""
    return {
        "id": link.id,
        "state": link.state,
        "ended_why": link.ended_why,
        "agreed": as_json(link.agreed),
        "agreed_by": to_json(link.by),
        "hold": link.hold,
        "hold_detail": link.hold_detail,
        "undone": link.undone,
    }


def decode_holds(text: bytes | None) -> tuple[HeldSince, ...]:
    """Return a link's holds from its column."""
    return _held.decode(text) if text is not None else ()


def encode_holds(holds: Iterable[Hold], before: bytes | None, at: datetime) -> str | None:
    """Return a link's holds for its column; one that stood before keeps its instant."""
    since = {
        (one.hold.end, one.hold.field, one.hold.reason): one.since for one in decode_holds(before)
    }
    held = [HeldSince(one, since.get((one.end, one.field, one.reason), at)) for one in holds]
    return to_json(held) if held else None
