"""When a visit happens: wall times with an IANA zone, whole days, and rules of recurrence."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """Return the IANA zone `name`; raises ZoneInfoNotFoundError where it is not known."""
    return ZoneInfo(name)


@lru_cache(maxsize=8192)  # visits share their starts, and each is asked for several times
def instant(wall: datetime, zone: str, fold: int = 0) -> datetime:
    """Return the UTC instant of a naive wall time in an IANA zone.

    A time that the clocks skip takes the offset before the gap, one that occurs twice is
    the first unless `fold` is 1 (RFC 5545 section 3.3.5).
    """
    return wall.replace(tzinfo=zone_info(zone), fold=fold).astimezone(UTC)


def wall(at: datetime, zone: str) -> tuple[datetime, int]:
    """Return the naive wall time of an aware instant in a zone, and its fold."""
    local = at.astimezone(zone_info(zone))
    return local.replace(tzinfo=None, fold=0), local.fold


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A recurrence: RRULE values and extra starts, both in canonical text.

    `rrule` holds RFC 5545 RRULE values (upper case, parts sorted with FREQ first, UNTIL as
    `YYYYMMDDTHHMMSSZ` for timed and `YYYYMMDD` for whole days). `rdate` holds extra starts as
    ISO text in the series' own terms: naive wall time, or date. Excluded starts are not here:
    they are cancelled entries of the record's `occurrences`.
    """

    rrule: tuple[str, ...] = ()
    rdate: tuple[str, ...] = ()


class Timed(msgspec.Struct, frozen=True, tag="timed", omit_defaults=True, gc=False):
    """A stretch of time that begins at a wall time of a zone.

    `start` is naive wall time in `zone` (IANA; `UTC` only where the source said UTC). The end
    is `days` later on the wall clock and then `seconds` later in elapsed time, so that PT24H
    and P1D differ over a change of the clocks. `fold` tells the second of two equal wall times.
    """

    start: datetime
    zone: str
    seconds: Annotated[int, msgspec.Meta(ge=0)] = 0
    days: Annotated[int, msgspec.Meta(ge=0)] = 0
    fold: int = 0
    rule: Rule | None = None

    @property
    def begins(self) -> datetime:
        """The UTC instant of the start."""
        return instant(self.start, self.zone, self.fold)

    @property
    def ends(self) -> datetime:
        """The UTC instant of the (exclusive) end."""
        last = self.start + timedelta(days=self.days) if self.days else self.start
        return instant(last, self.zone, self.fold) + timedelta(seconds=self.seconds)


class AllDay(msgspec.Struct, frozen=True, tag="days", omit_defaults=True, gc=False):
    """Whole days, `start` to `end` (exclusive). No zone is ever attached."""

    start: date
    end: date
    rule: Rule | None = None


When = Timed | AllDay


@lru_cache(maxsize=4096)
def _links_to(zone: str) -> str:
    """Return a zone's identity for comparing: names that are the same file are the same zone."""
    return _CANONICAL.get(zone, zone)


# Names of one zone that phones and servers swap freely (tz database file `backward`).
_CANONICAL = {
    "US/Eastern": "America/New_York",
    "US/Central": "America/Chicago",
    "US/Mountain": "America/Denver",
    "US/Pacific": "America/Los_Angeles",
    "US/Arizona": "America/Phoenix",
    "US/Hawaii": "Pacific/Honolulu",
    "US/Alaska": "America/Anchorage",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Saigon": "Asia/Ho_Chi_Minh",
    "Europe/Kiev": "Europe/Kyiv",
    "Etc/UTC": "UTC",
    "Etc/GMT": "UTC",
    "GMT": "UTC",
    "Zulu": "UTC",
    "Etc/Zulu": "UTC",
}


def same_when(a: When, b: When) -> bool:
    """Tell whether two values mean the same time.

    A single visit is compared by its instants: another spelling of the zone is no move. A
    series is compared by rule, wall time, length and zone, because the zone decides its future.
    """
    if isinstance(a, AllDay) or isinstance(b, AllDay):
        return a == b
    if a.rule is None and b.rule is None:
        return a.begins == b.begins and a.ends == b.ends
    return (
        a.rule == b.rule
        and a.start == b.start
        and _links_to(a.zone) == _links_to(b.zone)
        and (a.days, a.seconds) == (b.days, b.seconds)
    )
