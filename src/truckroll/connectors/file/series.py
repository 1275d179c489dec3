"""Recurrence in cells: the rule column and the exceptions column.

Rule: RFC 5545 RRULE values, one a line (`FREQ=WEEKLY;BYDAY=TU`), and extra starts as `RDATE:`
with values separated by commas. Exceptions, separated by `;` or line breaks:

    2026-12-08 cancelled; 2026-12-15 09:00 -> 2026-12-15 14:00 to 2026-12-15 15:30;
    2026-12-22 title: Boiler, second floor

A visit is named by its original start; the time may be left out where the rule gives one visit
a day. After `to` stands the end (for whole days the last day); without it the length stays. A
text that holds `;` or a line break stands in JSON quotation marks.
"""

import json
import re
from datetime import date, datetime, timedelta

from truckroll.connectors.file.moments import CellFault, read_moment
from truckroll.model.records import Address, Occurrence, Occurrences, Value
from truckroll.model.rrule import RuleError, canonical_rrule
from truckroll.model.time import AllDay, Rule, Timed, instant, wall

_ENTRY = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|[^;\n"]|"(?![^"\n]*"))+""")
_KEY = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?:[ T](?P<at>\d{1,2}:\d{2}(?::\d{2})?))?\s+(?P<rest>.+)\Z",
    re.DOTALL,
)
_MOVED = re.compile(r"(?:->|→)\s*(?P<start>.+?)(?:\s+to\s+(?P<end>.+))?\Z")
_TEXTS = ("title", "notes", "status", "job_type", "materials", "customer")
_KNOWN = (*_TEXTS, "location", "people")


def read_rule(text: str, when: Timed | AllDay) -> Rule | None:
    """Return the rule in a cell, None for an empty one; raises CellFault."""
    days = isinstance(when, AllDay)
    rules: list[str] = []
    extra: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(":")
        if name.upper() == "RDATE":
            extra.extend(_extra(one, days=days) for one in rest.split(","))
            continue
        value = rest if name.upper() == "RRULE" else line
        try:
            zone = "" if isinstance(when, AllDay) else when.zone
            rules.append(canonical_rrule(value, zone=zone, whole_days=days))
        except RuleError as error:
            raise CellFault(
                f"'{line[:60]}': {error}; write a rule as FREQ=WEEKLY;BYDAY=TU"
            ) from error
    return Rule(tuple(rules), tuple(extra)) if rules or extra else None


def _extra(text: str, *, days: bool) -> str:
    moment = read_moment(text.strip())
    if days:
        return moment.day.isoformat()
    if moment.at is None or moment.offset is not None:
        raise CellFault(f"'{text[:60]}' is not a start of a timed series; write its local time")
    return datetime.combine(moment.day, moment.at).isoformat()


def write_rule(rule: Rule | None) -> str:
    """Return a rule as the text of a cell; `read_rule` gives it back."""
    if rule is None:
        return ""
    extra = [re.sub(r"[-:]", "", one) for one in rule.rdate]
    return "\n".join((*rule.rrule, *([f"RDATE:{','.join(extra)}"] if extra else [])))


def read_exceptions(text: str, when: Timed | AllDay) -> Occurrences:
    """Return the exceptions in a cell of a series; raises CellFault naming the entry."""
    cancelled: set[str] = set()
    changed: dict[str, dict[str, Value]] = {}
    for entry in filter(None, (found[0].strip() for found in _ENTRY.finditer(text))):
        match = _KEY.match(entry)
        if match is None:
            raise _bad(entry)
        key = _key(match, when)
        rest = match["rest"].strip()
        if rest.lower() in ("cancelled", "canceled"):
            cancelled.add(key)
            continue
        name, value = _change(entry, rest, when)
        changed.setdefault(key, {})[name] = value
    return Occurrences(
        {
            key: Occurrence(cancelled=key in cancelled, fields=changed.get(key, {}))
            for key in sorted({*cancelled, *changed})
        }
    )


def _bad(entry: str) -> CellFault:
    return CellFault(
        f"'{entry[:60]}' is not an exception; write 2026-12-08 cancelled, or 2026-12-15 09:00 -> "
        f"2026-12-15 14:00, or 2026-12-22 title: New title (also {', '.join(_KNOWN[1:])})"
    )


def _key(match: re.Match[str], when: Timed | AllDay) -> str:
    day = read_moment(match["day"]).day
    if isinstance(when, AllDay):
        return day.isoformat()
    at = read_moment(f"{match['day']} {match['at']}").at if match["at"] else when.start.time()
    return datetime.combine(day, at or when.start.time()).isoformat()


def _change(entry: str, rest: str, when: Timed | AllDay) -> tuple[str, Value]:
    moved = _MOVED.match(rest)
    if moved:
        return "when", _moved(moved, when)
    name, colon, text = rest.partition(":")
    name, text = name.strip().lower().replace(" ", "_"), text.strip()
    if not colon or name not in _KNOWN:
        raise _bad(entry)
    if text.startswith('"'):
        try:
            text = str(json.loads(text))
        except ValueError:
            raise _bad(entry) from None
    if name == "location":
        return name, Address(text=text)
    if name == "people":
        return name, tuple(filter(None, (one.strip() for one in text.split(","))))
    return name, text


def _moved(match: re.Match[str], when: Timed | AllDay) -> Timed | AllDay:
    start = read_moment(match["start"])
    end = read_moment(match["end"]) if match["end"] else None
    if isinstance(when, AllDay):
        length = when.end - when.start
        last = end.day + timedelta(days=1) if end else start.day + length
        if last <= start.day:
            raise CellFault(f"'{match[0][:60]}' ends before it starts")
        return AllDay(start.day, last)
    begins = _wall(match, start.day, start.at)
    if end is None:
        return Timed(begins, when.zone, when.seconds, when.days)
    length = instant(_wall(match, end.day, end.at), when.zone) - instant(begins, when.zone)
    if length < timedelta(0):
        raise CellFault(f"'{match[0][:60]}' ends before it starts")
    return Timed(begins, when.zone, round(length.total_seconds()))


def _wall(match: re.Match[str], day: date, at: object) -> datetime:
    if at is None:
        raise CellFault(f"'{match[0][:60]}' has no time of day; write 2026-12-15 14:00")
    return datetime.fromisoformat(f"{day} {at}")


def write_exceptions(exceptions: Occurrences, when: Timed | AllDay) -> str:
    """Return exceptions as the text of a cell; raises ValueError with what cannot be said."""
    entries: list[str] = []
    for key, one in sorted(exceptions.by_start.items()):
        shown = key if isinstance(when, AllDay) else _minute(datetime.fromisoformat(key))
        if one.cancelled:
            entries.append(f"{shown} cancelled")
        for name, value in one.fields.items():
            entries.append(f"{shown} {_said(name, value, when)}")
    return "; ".join(entries)


def _minute(at: datetime) -> str:
    return at.isoformat(" ", "seconds" if at.second else "minutes")


def _said(name: str, value: Value, when: Timed | AllDay) -> str:
    if name == "when":
        return _said_when(value, when)
    if name not in _KNOWN:
        raise ValueError(f'a change of "{name}" of a single visit')
    if isinstance(value, Address):
        value = value.one_line()
    text = ", ".join(value) if isinstance(value, tuple) else str(value or "")
    quoted = any(mark in text for mark in ';"\n') or text != text.strip()
    return f"{name}: {json.dumps(text, ensure_ascii=False) if quoted else text}"


def _said_when(value: Value, when: Timed | AllDay) -> str:
    if isinstance(value, AllDay) and isinstance(when, AllDay):
        last = value.end - timedelta(days=1)
        same = value.end - value.start == when.end - when.start
        return f"-> {value.start}" if same else f"-> {value.start} to {last}"
    if isinstance(value, Timed) and isinstance(when, Timed):
        start, first = wall(value.begins, when.zone)
        end, last_fold = wall(value.ends, when.zone)
        if not first and not last_fold:
            same = (value.days, value.seconds) == (when.days, when.seconds)
            return f"-> {_minute(start)}" + ("" if same else f" to {_minute(end)}")
    raise ValueError("a single visit's move between whole days and a time, or into a doubled hour")
