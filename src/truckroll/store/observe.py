"""The one door by which observations enter: what differs from what is held, and its rows. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal

import msgspec

from truckroll.kit.contract import Item, Missing, Seen, Unreadable
from truckroll.model.records import KINDS, Fields, decode_fields, same
from truckroll.model.time import AllDay, Timed
from truckroll.store.base import as_json, decode_changed, to_json

News = Literal["new", "changed", "gone", "same", "unreadable"]
# Whole days have no zone: the first of them begins as early as at UTC+14, the last ends at UTC-12.
_EARLIEST = timedelta(hours=14)
_LATEST = timedelta(hours=12)


class Held(msgspec.Struct, frozen=True):
    """What is held of a record, in the order of the statement `held`."""

    id: int
    external_id: str
    state: str
    version: str | None
    fields: bytes
    changed: bytes
    mark: str | None
    series: str | None
    owned: bool
    problem: str
    listing: int = 0


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of one item: what kind of news it is, and the row to be written.

    `row` is None where only the sight is noted. `stir` says that links that have the record must
    be looked at, `live` by how much the scope's count of present records moves. `doubtful`: it is
    not known whether the item or what is held is the newer, and what is held stays.
    """

    news: News
    held: int = 0
    row: dict[str, Any] | None = None
    stir: bool = False
    live: int = 0
    doubtful: bool = False


def observe(
    item: Item,
    held: Held | None,
    kind: str,
    orders: Iterator[int],
    *,
    reply: bool = False,
    listing: int | None = None,
) -> Observed:
    """Compare an item with what is held of it; `orders` gives the next observation's number.

    A `reply` to a write says nothing of a known record's owner, and of its mark if it made it.
    Where what is held was told by a reply since the item's `listing` began, the item is no news.
    """
    if held is not None and listing is not None and held.listing > listing:
        return Observed(news="same", held=held.id, doubtful=not _is_as_held(item, held))
    if isinstance(item, Missing):
        if held is None or held.state == "gone":
            return Observed(news="same")
        return Observed(news="gone", held=held.id, stir=True, live=-1)
    state = "unreadable" if isinstance(item, Unreadable) else "live"
    if held is None:
        return _new(item, kind, state, next(orders))
    if reply and isinstance(item, Seen):
        series = item.series or held.series
        mark = item.mark or held.mark
        item = msgspec.structs.replace(item, mark=mark, owned=held.owned, series=series)
    if item.version is not None and item.version == held.version and held.state == state:
        return Observed(news="same", held=held.id)
    return _again(item, held, kind, state, orders)


def _is_as_held(item: Item, held: Held) -> bool:
    if isinstance(item, Missing):
        return held.state == "gone"
    if not isinstance(item, Seen) or (item.version, "live") != (held.version, held.state):
        return False
    return item.version is not None or not _differing(item, held)


def _new(item: Seen | Unreadable, kind: str, state: str, order: int) -> Observed:
    fields = item.fields if isinstance(item, Seen) else {}
    row = {
        "external_id": item.id,
        "kind": kind,
        "state": state,
        "raw": item.raw,
        "order": order,
        "changed": to_json(dict.fromkeys(fields, order)),
        **_said(item, None),
        **_derived(kind, fields),
    }
    news: News = "unreadable" if state == "unreadable" else "new"
    return Observed(news=news, row=row, live=1)


def _again(
    item: Seen | Unreadable, held: Held, kind: str, state: str, orders: Iterator[int]
) -> Observed:
    said = _said(item, held)
    differing = _differing(item, held) if isinstance(item, Seen) else ()
    stir = bool(differing) or (state, said["owned"], said["problem"]) != (
        held.state,
        held.owned,
        held.problem,
    )
    row = {"id": held.id, "raw": item.raw or None, **said}
    if not stir:
        return Observed(news="same", held=held.id, row=row)
    order = next(orders)
    changed = decode_changed(held.changed) | dict.fromkeys(differing, order)
    arrives = state == "live" and (held.state != "live" or (said["owned"] and not held.owned))
    fields: Fields = decode_fields(held.fields)
    if isinstance(item, Seen):
        fields = known_after(fields, item.fields)
    row |= {
        "state": state,
        "fields": as_json(fields),
        "changed": to_json(changed),
        "order": order,
        "arrived": order if arrives else None,
        **_derived(kind, fields),
    }
    news: News = "unreadable" if state == "unreadable" else "changed"
    return Observed(
        news=news, held=held.id, row=row, stir=True, live=1 if held.state == "gone" else 0
    )


def is_anew(held: Fields, merged: Fields, told: Fields | None) -> bool:
    """Tell whether what is held is neither what a call was planned on nor what it was told."""
    if all(same(held.get(name), value) for name, value in merged.items()) and merged:
        return False
    return told is None or any(not same(held.get(name), value) for name, value in told.items())


def known_after(before: Fields, read: Fields) -> Fields:
    """Return what is known of a record after a read: what was not read stays.

    Of one that became private nothing stays that it does not show any more.
    """
    became_private = read.get("private") is True and before.get("private") is not True
    return dict(read) if became_private else {**before, **read}


def _said(item: Seen | Unreadable, held: Held | None) -> dict[str, Any]:
    """Return what an item says beside its fields; an unreadable one says nothing new of them."""
    if isinstance(item, Seen):
        return {
            "version": item.version,
            "mark": item.mark,
            "series": item.series,
            "owned": item.owned,
            "problem": " ".join(item.problems),
            "fields": as_json(item.fields),
        }
    return {
        "version": item.version,
        "mark": held.mark if held else None,
        "series": held.series if held else None,
        "owned": held.owned if held else True,
        "problem": item.reason,
        "fields": "{}",
    }


def _differing(item: Seen, held: Held) -> list[str]:
    """Return the fields whose value is another than before; what was not read does not differ."""
    before = decode_fields(held.fields)
    return [
        name
        for name, value in item.fields.items()
        if name not in before or not same(before[name], value)
    ]


def _derived(kind: str, fields: Fields) -> dict[str, Any]:
    """Return the columns by which records are looked up."""
    number = fields.get("number")
    begins, ends, recurring = span(fields)
    return {
        "number": number.lower() if isinstance(number, str) and number else None,
        "coarse": KINDS[kind].coarse(fields) if kind in KINDS else None,
        "begins": begins,
        "ends": ends,
        "recurring": recurring,
    }


def span(fields: Fields) -> tuple[datetime | None, datetime | None, bool]:
    """Return the earliest and latest UTC instants that a record may touch, and if it recurs.

    A series has no latest instant. Whole days are widened to all zones of the world.
    """
    when = fields.get("when")
    if isinstance(when, Timed):
        begins, ends = when.begins, when.ends
    elif isinstance(when, AllDay):
        begins = datetime.combine(when.start, time(), UTC) - _EARLIEST
        ends = datetime.combine(when.end, time(), UTC) + _LATEST
    else:
        return None, None, False
    return begins, (None if when.rule else ends), when.rule is not None
