"""Fields as cells: pure, from what shall be stored to the cells that change."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta

from truckroll.connectors.file.columns import Source
from truckroll.connectors.file.delimited import guard
from truckroll.connectors.file.moments import (
    CellFault,
    Length,
    Moment,
    read_moment,
    read_time,
    time_text,
    write_length,
    write_moment,
)
from truckroll.connectors.file.series import write_exceptions, write_rule
from truckroll.connectors.file.table import Cell, Row, is_blank, text_of
from truckroll.connectors.file.wire import CONTACT, FLAGS, TEXTS, Reading
from truckroll.kit.errors import HoldRecord
from truckroll.model.records import Address, Contact, Occurrences, Value
from truckroll.model.time import AllDay, Timed, instant, wall, zone_info


class Cells:
    """The cells of one row to be: what is set, in the form of what stands there.

    A new row (`row` None) takes the form of its columns' first filled cells. `who` names the
    record in the sentences of HoldRecord.
    """

    def __init__(self, how: Reading, row: Row | None, who: str) -> None:
        self._how, self._row, self._who = how, row, who
        self.set: dict[int, Cell] = {}

    def fill(self, fields: Mapping[str, Value], whole: Mapping[str, Value]) -> None:
        """Set the cells of `fields`; `whole` is all that is known of the record.

        A field that the table has no column for is left out, unless nothing else is asked for
        or the visit's time would be wrong without it: then HoldRecord.
        """
        left_out = [name for name, value in fields.items() if not self._field(name, value, whole)]
        if left_out and len(left_out) == len(fields):
            raise self._hold(
                f"there is no column for {', '.join(left_out)}; add one, or name one in the "
                "account's columns"
            )

    def text(self, slot: str, value: str | None) -> bool:
        """Set the cell of a text; False where the table has no column for it."""
        source = self._how.sources.get(slot)
        if source is None:
            return False
        if not source.single:
            raise self._hold(
                f"{slot} is put together from {source.label}, so it cannot be written back"
            )
        cell: Cell = value or ""
        if self._how.table.format == "csv":
            cell = guard(value or "")
        elif value is None and self._json:
            cell = None
        self._put(source, cell)
        return True

    @property
    def _json(self) -> bool:
        return self._how.table.format in ("json", "jsonl")

    def _hold(self, why: str) -> HoldRecord:
        return HoldRecord(f"{self._who} was not written to {self._how.file}: {why}.")

    def _put(self, source: Source, cell: Cell) -> None:
        index = source.columns[0]
        if (
            self._row is None
            or type(self._row.cells[index]) is not type(cell)
            or (self._row.cells[index] != cell)
        ):
            both_blank = (
                self._row is not None and is_blank(self._row.cells[index]) and is_blank(cell)
            )
            if not both_blank or self._json:
                self.set[index] = cell

    def _like(self, slot: str) -> Cell:
        """Return the cell whose form a new value of the slot takes."""
        source = self._how.sources.get(slot)
        if source is None:
            return None
        index = source.columns[0]
        if self._row is not None and not is_blank(self._row.cells[index]):
            return self._row.cells[index]
        rows = self._how.table.rows
        return next(
            (row.cells[index] for row in rows if row.cells and not is_blank(row.cells[index])), None
        )

    def _filled(self, slot: str) -> bool:
        source = self._how.sources.get(slot)
        return source is not None and (
            self._row is None or not is_blank(self._row.cells[source.columns[0]])
        )

    def _field(self, name: str, value: Value, whole: Mapping[str, Value]) -> bool:
        if name == "when":
            self._when(value)
            return True
        if name == "occurrences":
            return self._occurrences(value, whole)
        if name == "people":
            return self._people(value)
        if name == "contact":
            return self._contact(value)
        if name in FLAGS:
            return self._flag(name, value)
        if name == "location":
            return self.text(name, value.one_line() if isinstance(value, Address) else None)
        if name not in TEXTS or self._is_key(name):
            return False
        return self.text(name, None if value is None else str(value))

    def _is_key(self, name: str) -> bool:
        """Tell whether a text stands in the key column, which is never rewritten."""
        sources = self._how.sources
        return name in sources and sources[name].columns == sources["key"].columns

    def _people(self, value: Value) -> bool:
        source = self._how.sources.get("people")
        if source is None:
            return False
        names = tuple(value) if isinstance(value, tuple) else ()
        if source.template or len(names) > len(source.columns) > 1:
            raise self._hold(f"{len(names)} people do not go into {source.label}")
        if len(source.columns) > 1:
            padded = (*names, *("",) * (len(source.columns) - len(names)))
            for index, label, name in zip(source.columns, source.names, padded, strict=True):
                self._put(Source((index,), (label,)), self._guarded(name))
            return True
        like = self._like("people")
        if self._json and (isinstance(like, tuple) or like is None):
            self._put(source, names)
            return True
        text = text_of(like)
        mark = next((one for one in ("\n", "; ", " & ", ", ") if one.strip(" ") in text), ", ")
        if any(one in name for name in names for one in ",&"):
            mark = "; "
        self._put(source, self._guarded(mark.join(names)))
        return True

    def _guarded(self, text: str) -> str:
        return guard(text) if self._how.table.format == "csv" else text

    def _contact(self, value: Value) -> bool:
        contact = value if isinstance(value, Contact) else Contact()
        parts = {slot: getattr(contact, part) for part, slot in CONTACT.items()}
        written = [self.text(slot, text) for slot, text in parts.items()]
        return any(written)

    def _flag(self, slot: str, value: Value) -> bool:
        source = self._how.sources.get(slot)
        if source is None:
            return False
        if not source.single:
            raise self._hold(f"{slot} is put together from {source.label}")
        like = self._like(slot)
        if isinstance(like, bool) or (self._json and like is None):
            self._put(source, bool(value))
        elif text_of(like).strip().lower() in ("true", "false"):
            self._put(source, "true" if value else "false")
        else:
            self._put(source, "yes" if value else "no")
        return True

    def _occurrences(self, value: Value, whole: Mapping[str, Value]) -> bool:
        exceptions = value if isinstance(value, Occurrences) else Occurrences()
        when = whole.get("when")
        if "exceptions" not in self._how.sources and exceptions.by_start:
            raise self._hold(
                "single visits of its series differ, and the table has no column for exceptions"
            )
        if not isinstance(when, Timed | AllDay):
            raise self._hold("nothing says when its series is")
        try:
            return self.text("exceptions", write_exceptions(exceptions, when))
        except ValueError as error:
            raise self._hold(f"a table cannot say {error}") from error

    def _when(self, value: Value) -> None:
        for slot in ("start", "end", "date", "end_date", "duration"):
            source = self._how.sources.get(slot)
            if source is not None and not source.single:
                raise self._hold(f"its {slot} is put together from {source.label}")
        if isinstance(value, AllDay):
            self._days(value)
        elif isinstance(value, Timed):
            self._timed(value)
        else:
            raise self._hold("it has no time, and a row needs one")
        if value.rule is not None and "rule" not in self._how.sources:
            raise self._hold("it repeats, and the table has no column for the rule")
        self.text("rule", write_rule(value.rule))

    def _days(self, when: AllDay) -> None:
        sources, order = self._how.sources, self._how.stated
        last = when.end - timedelta(days=1) if self._how.inclusive else when.end
        count = (when.end - when.start).days
        if "all_day" in sources:
            self._flag("all_day", value=True)
        slot = "date" if "date" in sources and "all_day" in sources else "start"
        self._put(sources[slot], write_moment(Moment(when.start), self._like(slot), order))
        if slot == "date":
            self._put(sources["start"], "")
        end = "end_date" if "end_date" in sources else "end"
        if end in sources:
            self._put(sources[end], write_moment(Moment(last), self._like(end), order))
            if end == "end_date" and self._row is not None:
                self._put(sources["end"], "")
            if "duration" in sources and self._row is not None:
                self._put(sources["duration"], "")
        elif "duration" in sources:
            self._put(sources["duration"], write_length(Length(days=count), None))
        elif count > 1:
            raise self._hold(f"it lasts {count} days, and the table has no column for an end")

    def _timed(self, when: Timed) -> None:
        sources = self._how.sources
        if "all_day" in sources:
            self._flag("all_day", value=False)
        zone = self._zone(when)
        start, fold = (when.start, when.fold) if zone == when.zone else wall(when.begins, zone)
        if when.rule is not None and fold:
            raise self._hold("its series begins in an hour that occurs twice, in the second one")
        self._moment("start", "date", start, fold, zone)
        self._length(when, start, zone)

    def _zone(self, when: Timed) -> str:
        source, default = self._how.sources.get("zone"), self._how.zone
        if source is not None and source.single:
            shown = text_of(self._row.cells[source.columns[0]]).strip() if self._row else ""
            if (shown or default) != when.zone:
                self._put(source, when.zone)
            return when.zone
        zone = default or "UTC"
        if when.rule is not None and zone != when.zone:
            raise self._hold(
                f"its series is meant in {when.zone} and the table in {zone}; add a zone column"
            )
        return zone

    def _moment(self, slot: str, day_slot: str, at: datetime, fold: int, zone: str) -> None:
        sources, order, like = self._how.sources, self._how.stated, self._like(slot)
        offset = self._offset(like, at, fold, zone)
        if offset is None and day_slot in sources and (like is None or read_time(like) is not None):
            day = write_moment(Moment(at.date()), self._like(day_slot), order)
            self._put(sources[day_slot], day)
            self._put(sources[slot], _lone_time(at.time(), like))
            return
        if offset is not None:
            at = (instant(at, zone, fold) + offset).replace(tzinfo=None)
        self._put(sources[slot], write_moment(Moment(at.date(), at.time(), offset), like, order))

    def _offset(self, like: Cell, at: datetime, fold: int, zone: str) -> timedelta | None:
        """Return the offset to be written: where the column has them, or only it tells the hour."""
        try:
            shown = read_moment(like, self._how.order).offset
        except CellFault:
            shown = None
        if shown == timedelta(0) or (shown is None and not self._how.zone and zone == "UTC"):
            return timedelta(0)
        if shown is None and not fold:
            return None
        return instant(at, zone, fold).astimezone(zone_info(zone)).utcoffset()

    def _length(self, when: Timed, start: datetime, zone: str) -> None:
        sources = self._how.sources
        nominal = when.days and when.rule is not None
        if nominal and "duration" not in sources:
            raise self._hold("its series lasts whole days, which only a duration column can say")
        if "end" in sources and not nominal:
            end, fold = wall(when.ends, zone)
            self._end(end, fold, start, zone)
            if "duration" not in sources or not self._filled("duration"):
                return
        elif "end" in sources:
            self._put(sources["end"], "")
        if "duration" in sources:
            length = Length(when.days, when.seconds)
            self._put(sources["duration"], write_length(length, self._like("duration")))
        elif (when.ends - when.begins).total_seconds() != self._how.minutes * 60:
            raise self._hold("the table has no column for its end or duration")

    def _end(self, end: datetime, fold: int, start: datetime, zone: str) -> None:
        like, source = self._like("end"), self._how.sources["end"]
        lone = read_time(like) is not None and "end_date" not in self._how.sources
        if lone and not fold and start <= end < start + timedelta(days=1):
            self._put(source, _lone_time(end.time(), like))
        elif lone:
            offset = self._offset("", end, fold, zone)
            full = write_moment(Moment(end.date(), end.time(), offset), self._like("start"))
            self._put(source, full)
        else:
            self._moment("end", "end_date", end, fold, zone)


def _lone_time(at: time, like: Cell) -> Cell:
    return at if isinstance(like, time) else time_text(at, like)


def cancelled_word(how: Reading) -> str:
    """Return the word for cancelled that the status column uses already, else "cancelled"."""
    source = how.sources.get("status")
    if source is not None:
        for row in how.table.rows:
            word = text_of(row.cells[source.columns[0]]).strip() if row.cells else ""
            if word.lower() in ("cancelled", "canceled", "cancelled."):
                return word
    return "cancelled"
