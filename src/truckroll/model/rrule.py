"""RFC 5545 recurrence rules: read, checked, and written in one canonical text."""

import re
from datetime import UTC, date, datetime

import msgspec

from truckroll.model.time import instant

FREQUENCIES = ("SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ORDER = (
    *("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY"),
    *("BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS", "WKST"),
)
# Part: lowest, highest, whether it counts from the end too (RFC 5545 section 3.3.10).
_RANGES = {
    "BYMONTH": (1, 12, False),
    "BYWEEKNO": (1, 53, True),
    "BYYEARDAY": (1, 366, True),
    "BYMONTHDAY": (1, 31, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 60, False),
    "BYSETPOS": (1, 366, True),
}
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
_DIGITS = 16
_MOST = {"INTERVAL": 1_000_000, "COUNT": 10**12}


class RuleError(ValueError):
    """A recurrence rule that cannot be followed; the text says why, as the end of a sentence."""


class Rrule(msgspec.Struct, frozen=True):
    """A rule, taken apart. `days` are (ordinal or 0, weekday from Monday 0).

    `until` is a date, an aware UTC instant, or naive wall time where the text had no `Z`.
    """

    freq: str
    interval: int = 1
    count: int | None = None
    until: datetime | date | None = None
    months: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    days: tuple[tuple[int, int], ...] = ()
    hours: tuple[int, ...] = ()
    minutes: tuple[int, ...] = ()
    seconds: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0

    @property
    def plain(self) -> bool:
        """Whether each period has exactly the one start that follows from the first."""
        picky = self.months or self.weeks or self.year_days or self.month_days or self.days
        timed = self.hours or self.minutes or self.seconds or self.positions
        return not picky and not timed and self.freq not in {"YEARLY", "MONTHLY"}


def parse_rrule(text: str) -> Rrule:
    """Return the rule that an RRULE value says; raises RuleError.

    Case, order, empty parts and `X-` parts do not matter (RFC 5545 section 3.3.10).
    """
    parts: dict[str, str] = {}
    for piece in text.strip().upper().split(";"):
        name, equals, value = piece.strip().partition("=")
        if not piece.strip() or name.startswith("X-"):
            continue
        if not equals or name not in {*_ORDER, "RSCALE"}:
            raise RuleError(f'its rule has a part that no rule has: "{piece[:60]}"')
        if name in parts:
            raise RuleError(f"its rule says {name} twice")
        parts[name] = value
    if parts.pop("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise RuleError("its rule counts in another calendar than the Gregorian")
    if parts.get("FREQ") not in FREQUENCIES:
        raise RuleError(f'its rule has no known frequency: "{parts.get("FREQ", "")[:40]}"')
    rule = Rrule(
        freq=parts["FREQ"],
        interval=_positive(parts, "INTERVAL") or 1,
        count=_positive(parts, "COUNT"),
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        months=_numbers(parts, "BYMONTH"),
        weeks=_numbers(parts, "BYWEEKNO"),
        year_days=_numbers(parts, "BYYEARDAY"),
        month_days=_numbers(parts, "BYMONTHDAY"),
        days=_days(parts.get("BYDAY", "")),
        hours=_numbers(parts, "BYHOUR"),
        minutes=_numbers(parts, "BYMINUTE"),
        seconds=_numbers(parts, "BYSECOND"),
        positions=_numbers(parts, "BYSETPOS"),
        week_start=_week_start(parts.get("WKST", "MO")),
    )
    _check(rule)
    return rule


def canonical_rrule(text: str, *, zone: str = "", whole_days: bool = False) -> str:
    """Return an RRULE value in canonical text; raises RuleError where it cannot be followed.

    Upper case, FREQ first, lists sorted, defaults left out. UNTIL becomes `YYYYMMDD` for whole
    days and UTC otherwise: a wall time is read in `zone`, a date means the end of that day
    there, which is how phones mean it.
    """
    rule = parse_rrule(text)
    if whole_days:  # a time of day means nothing there (RFC 5545 section 3.3.10)
        if rule.freq in FREQUENCIES[:3]:
            raise RuleError("its rule counts hours or less, and it lasts whole days")
        rule = msgspec.structs.replace(rule, hours=(), minutes=(), seconds=())
    parts = {
        "FREQ": rule.freq,
        "INTERVAL": str(rule.interval) if rule.interval > 1 else "",
        "COUNT": "" if rule.count is None else str(rule.count),
        "UNTIL": "" if rule.until is None else until_text(rule.until, zone, whole_days),
        "BYMONTH": _joined(rule.months),
        "BYWEEKNO": _joined(rule.weeks),
        "BYYEARDAY": _joined(rule.year_days),
        "BYMONTHDAY": _joined(rule.month_days),
        "BYDAY": ",".join(f"{n or ''}{WEEKDAYS[day]}" for n, day in rule.days),
        "BYHOUR": _joined(rule.hours),
        "BYMINUTE": _joined(rule.minutes),
        "BYSECOND": _joined(rule.seconds),
        "BYSETPOS": _joined(rule.positions),
        "WKST": WEEKDAYS[rule.week_start] if rule.week_start else "",
    }
    return ";".join(f"{name}={parts[name]}" for name in _ORDER if parts[name])


def until_text(until: datetime | date, zone: str, whole_days: bool) -> str:
    """Return the canonical text of a last moment; `zone` reads what is not in UTC."""
    if whole_days:
        return f"{until:%Y%m%d}"
    if not isinstance(until, datetime):
        until = datetime(until.year, until.month, until.day, 23, 59, 59)  # noqa: DTZ001 -- wall time
    if until.tzinfo is None:
        until = instant(until, zone or "UTC")
    return f"{until.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _positive(parts: dict[str, str], name: str) -> int | None:
    if name not in parts:
        return None
    value = parts[name]
    most = _MOST[name]
    if not (value.isascii() and value.isdigit() and len(value) < _DIGITS) or (
        not 0 < int(value) <= most
    ):
        raise RuleError(f'its rule has no usable {name}: "{value[:40]}"')
    return int(value)


def _numbers(parts: dict[str, str], name: str) -> tuple[int, ...]:
    low, high, signed = _RANGES[name]
    found = set()
    for piece in parts.get(name, "").split(","):
        text = piece.strip()
        if not text:
            continue
        if not re.fullmatch(r"[+-]?\d{1,3}", text, re.ASCII):
            raise RuleError(f'its rule has no usable {name}: "{text[:40]}"')
        value = int(text)
        if not low <= (abs(value) if signed else value) <= high:
            raise RuleError(f"its rule has a {name} that does not exist: {value}")
        found.add(value)
    return tuple(sorted(found))


def _days(text: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for piece in text.split(","):
        if not piece.strip():
            continue
        match = _DAY.fullmatch(piece.strip())
        if match is None:
            raise RuleError(f'its rule has no usable BYDAY: "{piece[:40]}"')
        found.add((int(match[1] or 0), WEEKDAYS.index(match[2])))
    return tuple(sorted(found, key=lambda day: (day[1], day[0])))


def _week_start(text: str) -> int:
    if text not in WEEKDAYS:
        raise RuleError(f'its rule begins the week on no known day: "{text[:40]}"')
    return WEEKDAYS.index(text)


def _until(text: str) -> datetime | date:
    match = _UNTIL.fullmatch(text.strip())
    if match is None:
        raise RuleError(f'its rule ends at no known moment: "{text[:40]}"')
    try:
        day = date(int(match[1][:4]), int(match[1][4:6]), int(match[1][6:]))
        if match[2] is None:
            return day
        clock = match[2]
        second = min(int(clock[4:]), 59)  # a leap second is the last of its minute
        moment = datetime(day.year, day.month, day.day, int(clock[:2]), int(clock[2:4]), second)  # noqa: DTZ001 -- the zone is told below
    except ValueError:
        raise RuleError(f'its rule ends at no known moment: "{text[:40]}"') from None
    return moment.replace(tzinfo=UTC) if match[3] else moment


def _check(rule: Rrule) -> None:
    if any(n for n, _ in rule.days) and rule.freq not in {"MONTHLY", "YEARLY"}:
        raise RuleError("its rule counts weekdays, which only monthly and yearly rules can")
    if rule.weeks and rule.freq != "YEARLY":
        raise RuleError("its rule names weeks of the year, which only a yearly rule can")
    if rule.positions and not (
        rule.months or rule.weeks or rule.year_days or rule.month_days or rule.days
        or rule.hours or rule.minutes or rule.seconds
    ):  # fmt: skip
        raise RuleError("its rule picks positions (BYSETPOS) out of nothing")


def _joined(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))
