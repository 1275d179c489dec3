"""Rows of a table as records: pure, from cells to fields."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

import msgspec

from truckroll.connectors.file.columns import Source, layout
from truckroll.connectors.file.delimited import unguard
from truckroll.connectors.file.moments import (
    CellFault,
    Length,
    Moment,
    Order,
    infer_order,
    read_length,
    read_moment,
    read_time,
)
from truckroll.connectors.file.series import read_exceptions, read_rule
from truckroll.connectors.file.table import Cell, CellError, Row, Table, is_blank, text_of
from truckroll.kit.contract import Item, Seen, Unreadable
from truckroll.kit.errors import GiveUp
from truckroll.model.records import Address, Contact, Value
from truckroll.model.time import AllDay, Timed, instant, wall, zone_info

TEXTS = (
    "number",
    "title",
    "status",
    "job_type",
    "materials",
    "notes",
    "customer",
    "category",
    "link",
)
FLAGS = ("busy", "private")
CONTACT = {"name": "contact", "phone": "phone", "mail": "mail"}
_YES = frozenset(("yes", "y", "true", "1", "x", "✓", "on", "ja", "si", "sí", "oui"))
_NO = frozenset(("no", "n", "false", "0", "", "off", "nein", "non", "-"))
# Raised when rows are read in another way, so that known versions are not taken for read.
_READING = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """How the rows of one table are read.

    `zone` is the IANA zone of wall times ("" if unknown), `order` that of dates in numbers,
    `stated` the same as far as the account states it, `minutes` the length of visits without
    end, `inclusive` whether a last day counts.
    """

    file: str
    table: Table
    sources: Mapping[str, Source]
    zone: str
    order: Order
    stated: Order
    minutes: int
    inclusive: bool
    fingerprint: bytes


class _RowFault(Exception):  # noqa: N818 -- says what is the matter with a row
    """A row cannot be read; `args[0]` goes on after the row's number."""


def reading(table: Table, settings: Mapping[str, str], zone: str, file: str) -> Reading:
    """Return how to read a table under an account's settings; raises GiveUp with what to mend."""
    sources: Mapping[str, Source] = {}
    if table.header:  # an empty JSON array shows none, and no row that would need one
        sources = layout(table.header, settings.get("columns", ""), settings.get("key", ""), file)
    zone = settings.get("zone", "").strip() or zone
    _check_zone(zone, f"The zone of {file}")
    order = _choice(settings, "dates", ("", "dmy", "mdy"), file)
    last_day = _choice(settings, "last_day", ("inclusive", "exclusive"), file)
    minutes = settings.get("minutes", "").strip()
    if minutes and not (minutes.isascii() and minutes.isdigit() and len(minutes) <= len("99999")):
        raise GiveUp(f'The minutes of {file} are "{minutes}"; write a whole number, as in 60.')
    stated = order
    order = order or infer_order(_columns(table, sources, ("start", "date", "end", "end_date")))
    told = (_READING, table.format, table.header, sorted(sources.items()), zone, order, minutes)
    digest = hashlib.blake2b(repr((told, last_day)).encode(), digest_size=12).digest()
    return Reading(
        file=file,
        table=table,
        sources=sources,
        zone=zone,
        order=order,  # type: ignore[arg-type]  # checked by _choice
        stated=stated,  # type: ignore[arg-type]  # the same
        minutes=int(minutes or 0),
        inclusive=last_day == "inclusive",
        fingerprint=digest,
    )


def _choice(settings: Mapping[str, str], name: str, words: tuple[str, ...], file: str) -> str:
    value = settings.get(name, "").strip().lower() or words[0]
    if value not in words:
        raise GiveUp(
            f'The setting {name} of {file} is "{value}"; it can be '
            f"{' or '.join(filter(None, words))}."
        )
    return value


def _check_zone(zone: str, whose: str) -> None:
    try:
        if zone:
            zone_info(zone)
    except (KeyError, ValueError, OSError) as error:
        raise GiveUp(
            f'{whose} is "{zone}", which is no zone; write it as America/New_York.'
        ) from error


def _columns(table: Table, sources: Mapping[str, Source], slots: tuple[str, ...]) -> list[Cell]:
    indexes = [sources[slot].columns[0] for slot in slots if slot in sources]
    return [row.cells[index] for row in table.rows for index in indexes if row.cells]


def row_key(how: Reading, row: Row) -> str:
    """Return a row's key, "" where it has none."""
    return _text(how, row, how.sources["key"]) if row.cells else ""


def row_version(how: Reading, row: Row) -> str:
    """Return a hash of a row's cells and of all that decides how they are read."""
    digest = hashlib.blake2b(how.fingerprint, digest_size=12)
    if how.table.format == "csv":
        digest.update("\x1f".join(row.cells).encode())  # type: ignore[arg-type]  # all are texts
    else:
        digest.update(repr(row.cells).encode())
    return digest.hexdigest()


def row_item(how: Reading, row: Row, key: str, version: str) -> Item:
    """Return a row as the record that it shows, or as Unreadable with the place and the cure."""
    raw = _raw(how, row)
    if row.fault:
        reason = f"Visit {key} in {how.file}, row {row.number}: the row {row.fault}."
        return Unreadable(key, reason, raw, version)
    try:
        _refuse_errors(how, row)
        fields, problems = _fields(how, row)
    except _RowFault as fault:
        return Unreadable(
            key, f"Visit {key} in {how.file}, row {row.number}{fault.args[0]}.", raw, version
        )
    if how.table.note and not raw.isascii():
        problems.append(f"{how.file}, row {row.number}: {how.table.note}.")
    mark = None
    if "mark" in how.sources:
        mark = _text(how, row, how.sources["mark"]) or None
    return Seen(key, fields, version, raw, mark, problems=tuple(problems))


def _refuse_errors(how: Reading, row: Row) -> None:
    """Refuse a row where a column that counts shows a spreadsheet's error instead of a value."""
    for source in how.sources.values():
        for index, name in zip(source.columns, source.names, strict=True):
            cell = row.cells[index]
            if isinstance(cell, CellError):
                raise _RowFault(f", column {name}: the cell shows {cell.code}; mend its formula")


def _raw(how: Reading, row: Row) -> bytes:
    shown = {
        name: text_of(cell)
        for name, cell in zip(how.table.header, row.cells, strict=False)
        if cell is not msgspec.UNSET
    }
    return msgspec.json.encode(shown)


def _text(how: Reading, row: Row, source: Source) -> str:
    texts = [_plain(how, row.cells[index]) for index in source.columns]
    if source.template:
        filled = source.template
        for name, text in zip(source.names, texts, strict=True):
            filled = filled.replace("{" + name + "}", text)
        return filled.strip(" ,;·-–\n") if not any(texts) else filled.strip()
    return texts[0] if len(texts) == 1 else ", ".join(filter(None, texts))


def _plain(how: Reading, cell: Cell) -> str:
    text = text_of(cell).strip()
    return unguard(text) if how.table.format == "csv" else text


def _given(how: Reading, row: Row, slot: str) -> bool:
    """Tell whether a row says something about a slot, be it that it is empty."""
    source = how.sources.get(slot)
    return source is not None and any(
        row.cells[index] is not msgspec.UNSET for index in source.columns
    )


def _null(how: Reading, row: Row, slot: str) -> bool:
    """Tell whether a JSON row says `null`: the value is unknown, not empty."""
    source = how.sources[slot]
    return how.table.format in ("json", "jsonl") and all(
        row.cells[index] is None for index in source.columns
    )


def _fields(how: Reading, row: Row) -> tuple[dict[str, Value], list[str]]:
    problems: list[str] = []
    fields: dict[str, Value] = {"when": _when(how, row, problems)}
    for slot in (*TEXTS, *FLAGS, "people", "location"):
        if _given(how, row, slot):
            fields[slot] = None if _null(how, row, slot) else _value(how, row, slot)
    if any(_given(how, row, slot) for slot in CONTACT.values()):
        parts = {
            part: _text(how, row, how.sources[slot])
            for part, slot in CONTACT.items()
            if _given(how, row, slot)
        }
        fields["contact"] = Contact(**parts)
    when = fields["when"]
    if (
        isinstance(when, Timed | AllDay)
        and when.rule is not None
        and _given(how, row, "exceptions")
    ):
        source = how.sources["exceptions"]
        with _Place(source):
            fields["occurrences"] = read_exceptions(_text(how, row, source), when)
    return fields, problems


def _value(how: Reading, row: Row, slot: str) -> Value:
    source = how.sources[slot]
    if slot == "people":
        return tuple(
            dict.fromkeys(
                name for index in source.columns for name in _names(how, row.cells[index])
            )
        )
    text = _text(how, row, source)
    if slot == "location":
        return Address(text=text)
    return _flag(text, source) if slot in FLAGS else text


def _names(how: Reading, cell: Cell) -> list[str]:
    """Split names by `;` and line breaks, else by `,` and `&`: `Ruiz, Ana; Cole, Ben` can be."""
    if isinstance(cell, tuple):
        return [name for name in map(str.strip, cell) if name]
    text = _plain(how, cell).replace("\n", ";")
    if ";" not in text:
        text = text.replace(",", ";").replace("&", ";")
    return [name for name in map(str.strip, text.split(";")) if name]


def _flag(text: str, source: Source) -> bool:
    word = text.lower()
    if word not in _YES and word not in _NO:
        raise _RowFault(f", column {source.label}: '{text[:60]}' is neither yes nor no")
    return word in _YES


class _Place:
    """Adds the column to a cell's fault."""

    def __init__(self, source: Source) -> None:
        self._label = source.label

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, CellFault):
            raise _RowFault(f", column {self._label}: {error.args[0]}") from error


def _when(how: Reading, row: Row, problems: list[str]) -> Timed | AllDay:
    start = _start(how, row)
    rule_text = _optional(how, row, "rule")
    when: Timed | AllDay = (
        _days(how, row, start.day) if start.at is None else _timed(how, row, start, problems)
    )
    if rule_text:
        with _Place(how.sources["rule"]):
            when = msgspec.structs.replace(when, rule=read_rule(rule_text, when))
    return when


def _optional(how: Reading, row: Row, slot: str) -> str:
    return _text(how, row, how.sources[slot]) if slot in how.sources else ""


def _cell(how: Reading, row: Row, slot: str) -> Cell:
    """Return the cell of a slot, None where it is blank or there is no such column."""
    source = how.sources.get(slot)
    if source is None:
        return None
    cell = row.cells[source.columns[0]] if source.single else _text(how, row, source)
    return None if is_blank(cell) else cell


def _start(how: Reading, row: Row) -> Moment:
    source, cell, day = how.sources["start"], _cell(how, row, "start"), _cell(how, row, "date")
    whole = _all_day(how, row)
    if cell is None and day is None:
        raise _RowFault(
            f", column {source.label}: the start is missing; write it as 2026-12-01 09:00"
        )
    if cell is None or (whole and day is not None):
        with _Place(how.sources["date"]):
            moment = read_moment(day, how.order)
        if moment.at is None and not whole:
            raise _RowFault(
                f", column {source.label}: the time is missing; write it as 09:00, or say yes in "
                "an all-day column"
            )
    else:
        moment = _moment(how, "start", cell, day)
    return Moment(moment.day) if whole else moment


def _moment(how: Reading, slot: str, cell: Cell, day: Cell) -> Moment:
    """Read a cell that holds a moment, or a time of day beside a cell with the day."""
    at = read_time(cell) if day is not None else None
    if at is not None:
        with _Place(how.sources["date" if slot == "start" else "end_date"]):
            return Moment(read_moment(day, how.order).day, at)
    with _Place(how.sources[slot]):
        return read_moment(cell, how.order)


def _all_day(how: Reading, row: Row) -> bool:
    if "all_day" not in how.sources:
        return False
    return _flag(_optional(how, row, "all_day"), how.sources["all_day"])


def _days(how: Reading, row: Row, first: date) -> AllDay:
    cell, slot = _cell(how, row, "end"), "end"
    if _cell(how, row, "end_date") is not None and (cell is None or read_time(cell) is not None):
        cell, slot = _cell(how, row, "end_date"), "end_date"
    if cell is None or (slot == "end" and read_time(cell) is not None):
        return AllDay(first, first + timedelta(days=_day_count(how, row)))
    with _Place(how.sources[slot]):
        last = read_moment(cell, how.order).day
    end = last + timedelta(days=1) if how.inclusive else last
    if end <= first:
        raise _RowFault(f", column {how.sources[slot].label}: it ends before it starts")
    return AllDay(first, end)


def _day_count(how: Reading, row: Row) -> int:
    cell = _cell(how, row, "duration")
    if cell is None:
        return 1
    with _Place(how.sources["duration"]):
        length = read_length(cell)
    return max(length.days + -(-length.seconds // 86_400), 1)


def _timed(how: Reading, row: Row, start: Moment, problems: list[str]) -> Timed:
    zone = _zone(how, row, start)
    begins, fold = _local(start, zone)
    if start.offset is None:
        _note_clock_change(how, row, begins, zone, problems)
    length = _length(how, row, begins, fold, zone)
    return Timed(begins, zone, length.seconds, length.days, fold)


def _zone(how: Reading, row: Row, start: Moment) -> str:
    zone = _optional(how, row, "zone")
    if zone:
        try:
            zone_info(zone)
        except (KeyError, ValueError, OSError):
            raise _RowFault(
                f", column {how.sources['zone'].label}: '{zone[:60]}' is no zone; write it as "
                "America/New_York"
            ) from None
        return zone
    if how.zone:
        return how.zone
    if start.offset == timedelta(0):
        return "UTC"
    raise _RowFault(
        f", column {how.sources['start'].label}: nothing says in which zone the time is meant; set "
        "the account's zone (America/New_York) or add a zone column"
    )


def _local(moment: Moment, zone: str) -> tuple[datetime, int]:
    at = datetime.combine(moment.day, moment.at or datetime.min.time())
    if moment.offset is None:
        return at, 0
    return wall(at.replace(tzinfo=timezone(moment.offset)), zone)


def _note_clock_change(
    how: Reading, row: Row, begins: datetime, zone: str, problems: list[str]
) -> None:
    first, second = instant(begins, zone), instant(begins, zone, fold=1)
    if first == second:
        return
    place = f"{how.file}, row {row.number}: {begins:%Y-%m-%d %H:%M}"
    if wall(first, zone)[0] != begins:
        shown = wall(first, zone)[0]
        problems.append(
            f"{place} is skipped by the clocks in {zone}; it is taken as {shown:%H:%M}."
        )
    else:
        problems.append(
            f"{place} occurs twice in {zone}; the first is meant unless an offset says so."
        )


def _length(how: Reading, row: Row, begins: datetime, fold: int, zone: str) -> Length:
    cell, day = _cell(how, row, "end"), _cell(how, row, "end_date")
    if cell is not None or day is not None:
        return _until(how, row, begins, fold, zone)
    cell = _cell(how, row, "duration")
    if cell is not None:
        with _Place(how.sources["duration"]):
            return read_length(cell)
    if how.minutes:
        return Length(seconds=how.minutes * 60)
    columns = [how.sources[slot].label for slot in ("end", "duration") if slot in how.sources]
    place = f", column {' and '.join(columns)}" if columns else ""
    raise _RowFault(
        f"{place}: neither an end nor a duration is given; write one, or set the account's "
        "minutes for visits without"
    )


def _until(how: Reading, row: Row, begins: datetime, fold: int, zone: str) -> Length:
    cell, day = _cell(how, row, "end"), _cell(how, row, "end_date")
    source = how.sources["end"]
    at = read_time(cell)
    if at is not None and day is None:
        # A lone time is the first such time after the start: 22:00 to 02:00 is a night.
        end = datetime.combine(begins.date(), at)
        moment = Moment((end if end >= begins else end + timedelta(days=1)).date(), at)
    else:
        moment = _moment(how, "end", cell if cell is not None else day, day)
    if moment.at is None:
        raise _RowFault(
            f", column {source.label}: the end has no time; write it as 2026-12-01 10:00"
        )
    ends, end_fold = _local(moment, zone)
    # An end in a doubled hour is its second one where the first would lie before the start.
    lengths = [
        (instant(ends, zone, one) - instant(begins, zone, fold)).total_seconds()
        for one in ((0, 1) if moment.offset is None else (end_fold,))
    ]
    seconds = min((length for length in lengths if length >= 0), default=-1)
    if seconds < 0:
        raise _RowFault(f", column {source.label}: it ends before it starts")
    return Length(seconds=round(seconds))
