"""Dates, times and durations in cells: read as people write them, written as they wrote them."""

import re
from datetime import date, datetime, time, timedelta
from typing import Literal

import msgspec

from truckroll.connectors.file.table import Cell, text_of

Order = Literal["", "dmy", "mdy"]


class Moment(msgspec.Struct, frozen=True):
    """A day, with a time of day unless it is a whole day, and an offset where the cell has one."""

    day: date
    at: time | None = None
    offset: timedelta | None = None


class Length(msgspec.Struct, frozen=True):
    """A duration: calendar days and elapsed seconds."""

    days: int = 0
    seconds: int = 0


class CellFault(Exception):  # noqa: N818 -- says what is the matter with a cell
    """A cell cannot be read; `args[0]` goes on after the cell's place."""


_TIME = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<offset>z|utc|[+-]\d{2}:?\d{2})?"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_DATES = {
    "iso": r"(?P<y>\d{4})(?P<sep>[-/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})",
    "numbers": r"(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<y>\d{4})",
    "day first": (
        r"(?P<d>\d{1,2})(?:st|nd|rd|th|\.)?[\s-](?P<name>[a-z]{3,9})\.?,?[\s-](?P<y>\d{4})"
    ),
    "month first": r"(?P<name>[a-z]{3,9})\.?\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<y>\d{4})",
}
_FORMS = {
    kind: re.compile(
        rf"\s*{_WEEKDAY}{form}(?:(?P<join>t|,?\s+(?:at\s+)?){_TIME})?\s*\Z", re.IGNORECASE
    )
    for kind, form in _DATES.items()
}
_COMPACT = re.compile(
    r"\s*(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"
    r"(?:T(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?P<half>)(?P<offset>Z)?)?\s*\Z"
)
_TIME_ONLY = re.compile(rf"\s*{_TIME}\s*\Z", re.IGNORECASE)
_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_MONTHS = tuple(name[:3] for name in _MONTH_NAMES)
_HALF_DAY = 12
_ADVICE = "write it as 2026-12-01 09:00"


def read_moment(cell: Cell, order: Order = "") -> Moment:
    """Return the moment in a cell; raises CellFault with what to write instead.

    `order` decides dates like 03/04/2026; without it only those that can be read in one way
    are taken. Seconds' fractions are dropped.
    """
    if isinstance(cell, datetime):
        return Moment(cell.date(), cell.time().replace(microsecond=0))
    if isinstance(cell, date):
        return Moment(cell)
    text = text_of(cell).strip()
    shown = f"'{text[:60]}'"
    if not isinstance(cell, str):
        raise CellFault(f"{shown} is not a date; give the cell a date format, or {_ADVICE}")
    kind, match = _match(text)
    if match is None:
        raise CellFault(f"{shown} is not a date; {_ADVICE}")
    try:
        return Moment(_day(kind, match, order), *_time(match))
    except _AmbiguousError:
        raise CellFault(
            f"{shown} may be two different days; {_ADVICE}, or set the account's order of dates "
            "(dates = dmy or mdy)"
        ) from None
    except ValueError:
        raise CellFault(f"{shown} is not a date; {_ADVICE}") from None


class _AmbiguousError(ValueError):
    """A date can be read in two ways."""


def _match(text: str) -> tuple[str, re.Match[str] | None]:
    for kind, form in _FORMS.items():
        match = form.match(text)
        if match:
            return kind, match
    return "compact", _COMPACT.match(text)


def _day(kind: str, match: re.Match[str], order: Order) -> date:
    year = int(match["y"])
    if kind == "numbers":
        first, second = int(match["a"]), int(match["b"])
        if first == second:
            return date(year, first, second)
        # With dots the day comes first wherever dates are written so.
        if match["sep"] == ".":
            order = "dmy"
        order = order or _only_order(year, first, second)
        if not order:
            raise _AmbiguousError
        day, month = (first, second) if order == "dmy" else (second, first)
        return date(year, month, day)
    if kind in ("day first", "month first"):
        name = match["name"].lower()
        if name not in _MONTHS and name not in _MONTH_NAMES and name != "sept":
            raise ValueError(name)
        return date(year, _MONTHS.index(name[:3]) + 1, int(match["d"]))
    return date(year, int(match["m"]), int(match["d"]))


def _only_order(year: int, first: int, second: int) -> Order:
    """Return the one order in which the numbers are a date; "" if both; ValueError if none."""
    mdy, dmy = _is_date(year, first, second), _is_date(year, second, first)
    if not (mdy or dmy):
        raise ValueError("no such day")
    return "" if mdy and dmy else "mdy" if mdy else "dmy"


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _time(match: re.Match[str]) -> tuple[time | None, timedelta | None]:
    if match["hour"] is None:
        return None, None
    hour, half = int(match["hour"]), (match["half"] or "").lower()[:1]
    if match["minute"] is None and not half:
        raise ValueError("an hour alone")
    if half and not 1 <= hour <= _HALF_DAY:
        raise ValueError("no such hour")
    if half:
        hour = hour % _HALF_DAY + (_HALF_DAY if half == "p" else 0)
    at = time(hour, int(match["minute"] or 0), int(match["second"] or 0))
    return at, _offset(match["offset"])


def _offset(text: str | None) -> timedelta | None:
    if not text:
        return None
    if text.lower() in ("z", "utc"):
        return timedelta(0)
    digits = text[1:].replace(":", "")
    length = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -length if text[0] == "-" else length


def read_time(cell: Cell) -> time | None:
    """Return the time of day in a cell, None where it holds no lone time."""
    if isinstance(cell, datetime):
        return None
    if isinstance(cell, time):
        return cell.replace(microsecond=0)
    match = _TIME_ONLY.match(cell) if isinstance(cell, str) else None
    if not match or match["offset"]:
        return None
    try:
        return _time(match)[0]
    except ValueError:
        return None


def infer_order(cells: list[Cell]) -> Order:
    """Return the order of dates that a column's own unmistakable dates show, "" if none or both."""
    seen: set[Order] = set()
    for cell in cells:
        match = _FORMS["numbers"].match(cell) if isinstance(cell, str) else None
        if match and match["sep"] != ".":
            try:
                seen.add(_only_order(int(match["y"]), int(match["a"]), int(match["b"])))
            except ValueError:
                continue
    seen.discard("")
    return seen.pop() if len(seen) == 1 else ""


_WORDS = re.compile(
    r"(?:(?P<d>\d+)\s*d(?:ays?)?)?\s*(?:(?P<h>\d+(?:[.,]\d+)?)\s*h(?:ou)?(?:rs?)?)?\s*"
    r"(?:(?P<m>\d+)\s*(?:m(?:in(?:ute)?s?)?\.?)?)?\Z",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(?P<h>\d{1,3}):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?\Z")
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+)S)?)?\Z",
    re.IGNORECASE,
)
_LONGEST = timedelta(days=3660)


def read_length(cell: Cell) -> Length:
    """Return a duration: plain numbers are minutes; `1h30`, `90 min`, `1:30`, `2 days`, `PT90M`.

    Raises CellFault.
    """
    length = _length(cell)
    if length is None or timedelta(length.days, length.seconds) > _LONGEST:
        raise CellFault(
            f"'{text_of(cell)[:60]}' is not a duration; write minutes (90), or 1h30, or PT90M"
        )
    return length


def _length(cell: Cell) -> Length | None:
    if isinstance(cell, timedelta):
        return Length(seconds=round(cell.total_seconds())) if cell >= timedelta(0) else None
    if isinstance(cell, time):
        return Length(seconds=cell.hour * 3600 + cell.minute * 60 + cell.second)
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return Length(seconds=round(cell * 60)) if 0 <= cell <= _LONGEST.days * 1440 else None
    text = text_of(cell).strip()
    if not text or len(text) > len("99999 days 99999 hours 99999 minutes"):
        return None
    if match := _CLOCK.match(text):
        return Length(seconds=_sum(match))
    if match := _WORDS.match(text):
        return Length(int(match["d"] or 0), _sum(match))
    match = _ISO.match(text)
    if not match or not any(match.groupdict().values()):
        return None
    return Length(int(match["w"] or 0) * 7 + int(match["d"] or 0), _sum(match))


def _sum(match: re.Match[str]) -> int:
    parts = match.groupdict()
    hours = float((parts["h"] or "0").replace(",", "."))
    return round(hours * 3600) + int(parts["m"] or 0) * 60 + int(parts.get("s") or 0)


def write_moment(moment: Moment, like: Cell, order: Order = "") -> Cell:
    """Return a moment as a cell in the form of another cell of its column.

    `order` is the one that is stated for the table, not one that its dates show: without it a
    date that may be two days is written in ISO form. Typed cells stay typed. An offset is
    written only if the moment has one. A blank or unknown form gives `2026-12-01 09:00`.
    """
    if not isinstance(like, str) and like is not None and isinstance(like, date):
        if moment.offset is None:
            return moment.day if moment.at is None else datetime.combine(moment.day, moment.at)
        like = ""
    kind, match = _match(like) if isinstance(like, str) and like.strip() else ("", None)
    if match is None:
        kind = ""
    day = _day_text(moment.day, kind, match, order)
    if moment.at is None:
        return day
    if kind == "compact":
        return f"{day}T{moment.at:%H%M%S}" + ("Z" if moment.offset is not None else "")
    joined = (match["join"] if match is not None and kind else None) or " "
    zone = "" if moment.offset is None else _offset_text(moment.offset, match)
    return day + joined + time_text(moment.at, like) + zone


def _day_text(day: date, kind: str, match: re.Match[str] | None, order: Order) -> str:
    if match is None:
        return day.isoformat()
    if kind == "compact":
        return f"{day:%Y%m%d}"
    if kind == "day first":
        return f"{day.day} {day:%b} {day.year}"
    if kind == "month first":
        return f"{day:%b} {day.day}, {day.year}"
    separator = match["sep"]
    if kind == "iso":
        return day.isoformat().replace("-", separator)
    clear = separator == "." or order or day.day == day.month or day.day > _HALF_DAY
    order = "dmy" if separator == "." else order or _order_of(match)
    if not order or not clear:
        return day.isoformat()
    padded = len(match["a"]) == len(match["b"]) == len("01")
    width = 2 if padded else 1
    parts = (day.day, day.month) if order == "dmy" else (day.month, day.day)
    return separator.join((*(f"{part:0{width}d}" for part in parts), str(day.year)))


def _order_of(match: re.Match[str]) -> Order:
    try:
        return _only_order(int(match["y"]), int(match["a"]), int(match["b"]))
    except ValueError:
        return ""


def _offset_text(offset: timedelta, match: re.Match[str] | None) -> str:
    written = match.groupdict().get("offset") if match is not None else None
    if not offset and (written or "z").lower() in ("z", "utc"):
        return "Z"
    minutes = round(offset.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def time_text(at: time, like: Cell) -> str:
    """Return a time of day as text, with `am` and `pm` where the other cell has them."""
    seconds = ":%S" if at.second else ""
    half = re.search(r"\d\s*([ap])\.?m", like, re.IGNORECASE) if isinstance(like, str) else None
    if half is None:
        return at.strftime(f"%H:%M{seconds}")
    upper = half[1].isupper()
    word = "am" if at.hour < _HALF_DAY else "pm"
    clock = f"{at.hour % _HALF_DAY or _HALF_DAY}{at.strftime(f':%M{seconds}')}"
    return f"{clock} {word.upper() if upper else word}"


def write_length(length: Length, like: Cell) -> Cell:
    """Return a duration as a cell in the form of another one; minutes where that is empty."""
    minutes, rest = divmod(length.seconds, 60)
    if isinstance(like, timedelta) and not length.days:
        return timedelta(seconds=length.seconds)
    if isinstance(like, time) and not length.days and minutes < 24 * 60:
        return time(minutes // 60, minutes % 60, rest)
    text = text_of(like).strip()
    if rest or length.days:
        return _iso_length(length)
    if isinstance(like, int | float):
        return minutes
    if _CLOCK.match(text):
        return f"{minutes // 60}:{minutes % 60:02d}"
    if text[:1].upper() == "P":
        return _iso_length(length)
    if re.search(r"\d\s*h", text, re.IGNORECASE) and minutes >= 60:  # noqa: PLR2004 -- an hour
        return f"{minutes // 60}h{minutes % 60:02d}" if minutes % 60 else f"{minutes // 60}h"
    return f"{minutes} min" if re.search(r"[a-z]", text, re.IGNORECASE) else str(minutes)


def _iso_length(length: Length) -> str:
    hours, rest = divmod(length.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    days = f"{length.days}D" if length.days else ""
    return f"P{days}{'T' + clock if clock else ''}" if days or clock else "PT0M"
