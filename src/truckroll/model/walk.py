"""The starts of a recurrence rule, walked over naive wall time within bounds.

Why not `dateutil.rrule`: it cannot be stopped between two matches, and a rule that never
matches keeps it busy for minutes. Its results are the oracle of the tests.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import product

import msgspec

from truckroll.model.rrule import Rrule

_STEP = {
    "SECONDLY": timedelta(seconds=1),
    "MINUTELY": timedelta(minutes=1),
    "HOURLY": timedelta(hours=1),
}
_BIG_SET = 100_000


@dataclass(slots=True)
class Budget:
    """How much work a walk may still do; one unit is a day or a time looked at.

    `stop` is the naive wall time after whose day nothing is looked for.
    """

    left: int = 80_000
    stop: datetime = datetime.max  # noqa: DTZ901 -- wall time
    spent: bool = field(default=False)

    def take(self, units: int = 1) -> bool:
        """Take units; False once there are none left, and the walk was cut short."""
        if self.left < units:
            self.spent = True
            return False
        self.left -= units
        return True


def says(rule: Rrule, start: datetime) -> bool:
    """Tell whether a rule itself has `start`, as far as its BY parts tell (not BYSETPOS)."""
    wanted = _filled(rule, start)
    return (
        _fits(wanted, start.date())
        and start.hour in (wanted.hours or (start.hour,))
        and start.minute in (wanted.minutes or (start.minute,))
        and start.second in (wanted.seconds or (start.second,))
    )


def walk(
    rule: Rrule, start: datetime, budget: Budget, *, after: datetime | None = None
) -> Iterator[datetime]:
    """Yield the naive wall times of a rule in order: `start` first, then what the rule says.

    COUNT is obeyed, with `start` as the first (RFC 5545 section 3.3.10); UNTIL is the caller's,
    who knows the zone. With `after`, starts before it may be left out. Ends early, with
    `budget.spent` set, when the budget is used up.
    """
    if rule.plain:
        yield from _plain(rule, start, budget, after)
        return
    skipping = after is not None and rule.count is None and after > start
    if not skipping:
        yield start
    left = None if rule.count is None else rule.count - 1
    if left == 0:
        return
    for found in _candidates(rule, start, budget, after if skipping else None):
        if found <= start:
            continue
        yield found
        if left is not None:
            left -= 1
            if left == 0:
                return


def _plain(
    rule: Rrule, start: datetime, budget: Budget, after: datetime | None
) -> Iterator[datetime]:
    unit = {"DAILY": timedelta(days=1), "WEEKLY": timedelta(days=7), **_STEP}[rule.freq]
    step = unit * rule.interval
    index = max(0, (after - start) // step) if after else 0
    while rule.count is None or index < rule.count:
        if not budget.take():
            return
        try:
            yield start + step * index
        except OverflowError:
            return
        index += 1


def _candidates(
    rule: Rrule, start: datetime, budget: Budget, after: datetime | None
) -> Iterator[datetime]:
    try:
        if rule.freq in _STEP:
            yield from _within_days(rule, start, budget, after)
        else:
            yield from _over_days(rule, start, budget, after)
    except OverflowError:
        return  # year 9999 is the end of the calendar


def _over_days(
    rule: Rrule, start: datetime, budget: Budget, after: datetime | None
) -> Iterator[datetime]:
    wanted = _filled(rule, start)
    times = [
        hour * 3600 + minute * 60 + second
        for hour, minute, second in product(
            wanted.hours or (start.hour,),
            wanted.minutes or (start.minute,),
            wanted.seconds or (start.second,),
        )
        if second < 60  # noqa: PLR2004 -- no leap second in wall time
    ]
    for days in _periods(wanted, start, after):
        if days and days[0] > budget.stop.date():
            return
        if not budget.take(len(days) + 1):
            return
        chosen = [day for day in days if _fits(wanted, day)]
        if wanted.positions:
            if len(chosen) * len(times) > _BIG_SET or not budget.take(len(chosen) * len(times)):
                budget.spent = True
                return
            yield from _picked(
                [_midnight(day) + timedelta(seconds=time) for day in chosen for time in times],
                wanted.positions,
            )
            continue
        for day in chosen:
            base = _midnight(day)
            early = int((after - base).total_seconds()) if after else 0
            for time in times[bisect_left(times, early) :]:
                if not budget.take():
                    return
                yield base + timedelta(seconds=time)


def _filled(rule: Rrule, start: datetime) -> Rrule:
    """Return the rule with what it leaves open taken from the start (RFC 5545 3.3.10)."""
    if rule.freq == "WEEKLY" and not (rule.days or rule.month_days or rule.year_days):
        return msgspec.structs.replace(rule, days=((0, start.weekday()),))
    if rule.weeks and not (rule.days or rule.year_days or rule.month_days):
        return msgspec.structs.replace(rule, days=((0, start.weekday()),))
    if rule.days or rule.year_days or rule.month_days or rule.weeks:
        return rule
    if rule.freq == "MONTHLY":
        return msgspec.structs.replace(rule, month_days=(start.day,))
    if rule.freq == "YEARLY":
        months = rule.months or (start.month,)
        return msgspec.structs.replace(rule, months=months, month_days=(start.day,))
    return rule


def _periods(rule: Rrule, start: datetime, after: datetime | None) -> Iterator[list[date]]:
    """Yield the days of each period that the rule looks at, in order."""
    first, late = start.date(), after.date() if after else start.date()
    step = rule.interval
    if rule.freq == "YEARLY":
        year = first.year + max(0, late.year - first.year) // step * step
        while year <= date.max.year:
            months = rule.months or range(1, 13)
            yield [day for month in months for day in _month(year, month)]
            year += step
    elif rule.freq == "MONTHLY":
        base = first.year * 12 + first.month - 1
        gap = max(0, late.year * 12 + late.month - 1 - base)
        index = base + gap // step * step
        while index < (date.max.year + 1) * 12:
            yield _month(index // 12, index % 12 + 1)
            index += step
    else:
        length = 7 if rule.freq == "WEEKLY" else 1
        back = (first.weekday() - rule.week_start) % 7 if length > 1 else 0
        at = first.toordinal() - back
        jump = length * step
        at += max(0, late.toordinal() - at) // jump * jump
        last = date.max.toordinal()
        while at <= last:
            yield [date.fromordinal(max(1, n)) for n in range(at, min(at + length, last + 1))]
            at += jump


def _month(year: int, month: int) -> list[date]:
    first = date(year, month, 1).toordinal()
    return [date.fromordinal(first + n) for n in range(_month_length(year, month))]


def _month_length(year: int, month: int) -> int:
    if month == 2:  # noqa: PLR2004 -- February
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def _fits(rule: Rrule, day: date) -> bool:
    """Tell whether a day is one that the rule's BY parts allow."""
    if rule.months and day.month not in rule.months:
        return False
    if rule.month_days:
        length = _month_length(day.year, day.month)
        if day.day not in rule.month_days and day.day - length - 1 not in rule.month_days:
            return False
    if rule.days and not _weekday_fits(rule, day):
        return False
    if rule.year_days:
        number = day.timetuple().tm_yday
        length = 337 + _month_length(day.year, 2)
        if number not in rule.year_days and number - length - 1 not in rule.year_days:
            return False
    return not rule.weeks or _week_fits(rule, day)


def _weekday_fits(rule: Rrule, day: date) -> bool:
    weekday = day.weekday()
    by_year = rule.freq == "YEARLY" and not rule.months
    for ordinal, wanted in rule.days:
        if wanted != weekday:
            continue
        if not ordinal or rule.weeks:
            return True
        place = day.timetuple().tm_yday if by_year else day.day
        length = 337 + _month_length(day.year, 2) if by_year else _month_length(day.year, day.month)
        if ordinal in {(place - 1) // 7 + 1, -((length - place) // 7 + 1)}:
            return True
    return False


def _week_fits(rule: Rrule, day: date) -> bool:
    monday = date.fromordinal(day.toordinal() - (day.weekday() - rule.week_start) % 7)
    pivot = date.fromordinal(monday.toordinal() + 3)  # the year that holds most of the week
    number = (pivot.timetuple().tm_yday - 1) // 7 + 1
    length = 337 + _month_length(pivot.year, 2)
    weeks = number + (length - pivot.timetuple().tm_yday) // 7
    return number in rule.weeks or number - weeks - 1 in rule.weeks


def _within_days(
    rule: Rrule, start: datetime, budget: Budget, after: datetime | None
) -> Iterator[datetime]:
    """Walk hours, minutes or seconds, leaping over what the rule leaves out."""
    step = _STEP[rule.freq] * rule.interval
    coarse = rule.freq == "HOURLY"
    zeroed = start.replace(
        minute=0 if coarse else start.minute, second=start.second if rule.freq == "SECONDLY" else 0
    )
    index = max(0, (after - zeroed) // step) if after else 0
    day_ok: tuple[date | None, bool] = (None, False)
    while budget.take(2):
        at = zeroed + step * index
        if at > budget.stop:
            return
        if day_ok[0] != at.date():
            day_ok = (at.date(), _fits(rule, at.date()))
        leap = _leap(rule, at) if day_ok[1] else _midnight(at.date()) + timedelta(days=1)
        if leap is not None:
            index = max(index + 1, -((zeroed - leap) // step))
            continue
        yield from _in_period(rule, start, at)
        index += 1


def _leap(rule: Rrule, at: datetime) -> datetime | None:
    """Return the next moment worth looking at, or None where `at` itself is."""
    if rule.hours and at.hour not in rule.hours:
        return at.replace(minute=0, second=0) + timedelta(hours=1)
    if rule.freq != "HOURLY" and rule.minutes and at.minute not in rule.minutes:
        return at.replace(second=0) + timedelta(minutes=1)
    if rule.freq == "SECONDLY" and rule.seconds and at.second not in rule.seconds:
        return at + timedelta(seconds=1)
    return None


def _in_period(rule: Rrule, start: datetime, at: datetime) -> list[datetime]:
    minutes = (rule.minutes or (start.minute,)) if rule.freq == "HOURLY" else (at.minute,)
    fine = rule.freq == "SECONDLY"
    seconds = (at.second,) if fine else (rule.seconds or (start.second,))
    every = [
        at.replace(minute=minute, second=second)
        for minute in minutes
        for second in seconds
        if second < 60  # noqa: PLR2004 -- no leap second in wall time
    ]
    return _picked(every, rule.positions) if rule.positions else every


def _picked(every: list[datetime], positions: tuple[int, ...]) -> list[datetime]:
    size = len(every)
    places = {n - 1 if n > 0 else size + n for n in positions}
    return [every[place] for place in sorted(places) if 0 <= place < size]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 -- wall time
