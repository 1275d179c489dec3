"""One UID: a master with its exceptions, read as fields.

Exclusions (EXDATE, EXRULE) and cancelled overrides become cancelled occurrences, other overrides
the fields in which they differ. `RANGE=THISANDFUTURE` is applied to each later visit, and an
endless series that has it is refused, since the model holds exceptions one by one. An exclusion
beats an override of the same start: whoever deleted the visit did so last.
"""

from datetime import date, datetime, time, timedelta

import msgspec

from truckroll.kit.ical.fields import read_fields
from truckroll.kit.ical.lines import Component, Line, RefusedError
from truckroll.kit.ical.times import parse_moment
from truckroll.kit.ical.when import key_in, moment_of, read_when
from truckroll.kit.ical.zones import Zones
from truckroll.model.records import Fields, Occurrence, Occurrences, Value, same
from truckroll.model.recurrence import (
    RuleError,
    canonical_rrule,
    key_of,
    occurrences,
    ordinal_keys,
    visit_at,
)
from truckroll.model.rrule import parse_rrule
from truckroll.model.time import AllDay, Rule, Timed, When
from truckroll.model.walk import says

MAX_EXPANDED = 1_000
_MAX_DAYS = 100
_MAX_EXDATES = 20_000
_DAY = timedelta(days=1)


class Series(msgspec.Struct, frozen=True):
    """What one UID says. `detached` means that its master is not here, only single visits."""

    fields: dict[str, Value]
    problems: tuple[str, ...] = ()
    detached: bool = False


def read_series(master: Component | None, overrides: list[Component], zones: Zones) -> Series:
    """Return the fields of a master and its overrides; raises RefusedError with the reason."""
    problems: list[str] = []
    if master is None:
        return _detached(overrides, zones)
    times = read_when(master, zones)
    problems += times.problems
    when = times.when
    fields: dict[str, Value] = {**read_fields(master), "when": when}
    if when.rule is None:
        if overrides:
            problems.append("It has changed visits but no rule; they were passed over.")
        return Series(fields, tuple(problems))
    apart = {key: Occurrence(fields={"when": own}) for key, own in times.lengths.items()}
    apart |= _overridden(when, fields, overrides, zones, problems)
    for key in _excluded(master, when, zones, problems):
        if apart.get(key, Occurrence()).fields:
            problems.append(f"The visit of {key} is both changed and excluded; it is cancelled.")
        apart[key] = Occurrence(cancelled=True)
    fields["occurrences"] = Occurrences(by_start=dict(sorted(apart.items())))
    return Series(fields, tuple(problems))


def override_key(part: Component, when: When, zones: Zones) -> str:
    """Return the key of the visit that an override is about; raises RefusedError."""
    line = part.line("RECURRENCE-ID")
    if line is None:
        raise RefusedError("It has no RECURRENCE-ID.")
    return key_in(when, moment_of(line, "original time (RECURRENCE-ID)"), line, zones)


def _cancelled(part: Component) -> bool:
    line = part.line("STATUS")
    return line is not None and line.value.strip().upper() == "CANCELLED"


def _overridden(
    when: When, fields: Fields, overrides: list[Component], zones: Zones, problems: list[str]
) -> dict[str, Occurrence]:
    """Return what the overrides change, by key; explicit ones beat those of a range."""
    found: dict[str, Occurrence] = {}
    ranged: list[tuple[str, Component]] = []
    single: list[tuple[str, Component]] = []
    for part in overrides:
        line = part.line("RECURRENCE-ID")
        later = line is not None and line.params.get("RANGE", "").upper() == "THISANDFUTURE"
        (ranged if later else single).append((override_key(part, when, zones), part))
    for key, part in sorted(ranged, key=lambda pair: pair[0]):
        for later_key in _later(when, key):
            found[later_key] = _change(part, when, fields, key, zones, problems, later_key)
        problems.append(f"The change from {key} on was applied to each later visit on its own.")
    for key, part in single:
        found[key] = _change(part, when, fields, key, zones, problems, key)
    return {key: one for key, one in found.items() if one.cancelled or one.fields}


def _later(when: When, key: str) -> list[str]:
    keys = [one for one in ordinal_keys(when, MAX_EXPANDED + 1) if one >= key]
    if not _finite(when) or len(keys) > MAX_EXPANDED:
        raise RefusedError(
            "It has a change for this and all following visits (RANGE=THISANDFUTURE) of a series"
            " that is too long to change visit by visit; split the series."
        )
    return keys


def _finite(when: When) -> bool:
    rules = [parse_rrule(text) for text in (when.rule or Rule()).rrule]
    return all(rule.count is not None or rule.until is not None for rule in rules)


def _change(
    part: Component,
    when: When,
    fields: Fields,
    key: str,
    zones: Zones,
    problems: list[str],
    target: str,
) -> Occurrence:
    """Return how the visit at `target` differs, from an override that was made for `key`."""
    if _cancelled(part) and fields.get("status") != "cancelled":
        return Occurrence(cancelled=True)
    own: dict[str, Value] = dict(read_fields(part))
    if "status" in fields:
        own.setdefault("status", None)
    usual = visit_at(when, target)
    if part.line("DTSTART") is not None:
        times = read_when(part, zones)
        problems.extend(text for text in times.problems if text not in problems)
        moved = msgspec.structs.replace(times.when, rule=None)
        own["when"] = _shifted(moved, key, target)
    else:
        own["when"] = usual
    usual_fields = {**fields, "when": usual}
    changed = {
        name: value for name, value in own.items() if not same(usual_fields.get(name), value)
    }
    return Occurrence(fields=changed)


def _shifted(moved: When, key: str, target: str) -> When:
    if key == target:
        return moved
    by = datetime.fromisoformat(target) - datetime.fromisoformat(key)
    if isinstance(moved, AllDay):
        return AllDay(start=moved.start + by, end=moved.end + by)
    return msgspec.structs.replace(moved, start=moved.start + by, fold=0)


def _excluded(master: Component, when: When, zones: Zones, problems: list[str]) -> set[str]:
    found: set[str] = set()
    for line in master.lines("EXDATE"):
        for text in filter(None, line.value.split(",")):
            try:
                moment = parse_moment(
                    text, date_only=line.params.get("VALUE", "").upper() == "DATE"
                )
                found.update(_keys_of(when, moment, line, zones))
            except (ValueError, OverflowError) as error:
                problems.append(f"An excluded visit (EXDATE) was passed over: {error}.")
        if len(found) > _MAX_EXDATES:
            raise RefusedError(f"It has more than {_MAX_EXDATES:,} excluded visits (EXDATE).")
    for line in master.lines("EXRULE"):
        found |= _ruled_out(line, when)
        problems.append("Its exclusion rule (EXRULE) was read as cancelled visits.")
    return found


def _keys_of(when: When, moment: datetime | date, line: Line, zones: Zones) -> list[str]:
    """Return the keys that an EXDATE names; a date names all visits of that day."""
    if isinstance(moment, datetime) or isinstance(when, AllDay) or not _often(when):
        return [key_in(when, moment, line, zones)]
    day = occurrences(when, None, moment, moment + _DAY, limit=_MAX_DAYS)
    return [one.original for one in day.items if one.original[:10] == moment.isoformat()]


def _often(when: Timed) -> bool:
    rules = [parse_rrule(text) for text in (when.rule or Rule()).rrule]
    return any(
        rule.hours or rule.minutes or rule.freq in {"HOURLY", "MINUTELY", "SECONDLY"}
        for rule in rules
    )


def _ruled_out(line: Line, when: When) -> set[str]:
    zone = when.zone if isinstance(when, Timed) else ""
    try:
        text = canonical_rrule(line.value, zone=zone, whole_days=isinstance(when, AllDay))
    except RuleError as error:
        raise RefusedError(f"Its exclusion rule cannot be followed: {error}.") from None
    rule = msgspec.structs.replace(when, rule=Rule(rrule=(text,)))
    ours, theirs = ordinal_keys(when, MAX_EXPANDED + 1), ordinal_keys(rule, MAX_EXPANDED + 1)
    if _finite(when) and len(ours) <= MAX_EXPANDED:
        last = date.fromisoformat(ours[-1][:10]) + _DAY
        start = date.fromisoformat(ours[0][:10])
        theirs = tuple(one.original for one in occurrences(rule, None, start, last).items)
    elif not _finite(rule) or len(theirs) > MAX_EXPANDED:
        raise RefusedError(
            "It has an exclusion rule (EXRULE) without end in a series without end,"
            " which is not kept visit by visit."
        )
    first = when.start if isinstance(when, Timed) else datetime.combine(when.start, time.min)
    ruled = set(theirs)
    if not says(parse_rrule(text), first):
        ruled.discard(key_of(when.start))
    return ruled


def _detached(overrides: list[Component], zones: Zones) -> Series:
    """Return what single visits say whose master is not here (an invitation to one visit)."""
    first = overrides[0]
    times = read_when(first, zones)
    fields: dict[str, Value] = {**read_fields(first), "when": times.when}
    if len(overrides) == 1:
        when = msgspec.structs.replace(times.when, rule=None)
        said = "Only one visit of its series is here; it was read as a single visit."
        return Series({**fields, "when": when}, (*times.problems, said), detached=True)
    keys = sorted({override_key(part, times.when, zones) for part in overrides})
    usual = visit_at(times.when, keys[0])
    when = msgspec.structs.replace(usual, rule=Rule(rdate=tuple(keys[1:])))
    problems = [*times.problems, "Only some visits of its series are here."]
    fields["when"] = when
    apart = _overridden(when, fields, overrides, zones, problems)
    fields["occurrences"] = Occurrences(by_start=dict(sorted(apart.items())))
    return Series(fields, tuple(problems), detached=True)
