# ruff: noqa: ARG001 -- every gate is given the same two things
"""Gates: named conditions that a record must pass, or it waits with a reason.

Each takes the record's fields and what surrounds it, and its settings by name; it returns None,
or why the record waits and what would release it. The docstrings are the reference. A project
of your own adds some by the entry point group `truckroll.gates`.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache

from truckroll.model.records import STATUSES, Fields, Occurrences
from truckroll.model.recurrence import occurrences
from truckroll.model.time import AllDay, Timed, When, instant, zone_info
from truckroll.recipes.mirror import GateContext, Problem

_DAY = timedelta(days=1)  # no zone is further from UTC

# How far ahead a series without a near visit is searched for its next one.
_SERIES_HORIZON = timedelta(days=5 * 366)


def has_time(fields: Fields, ctx: GateContext) -> Problem | None:
    """Ask for a start and an end; a record without them waits as `no_time`."""
    if isinstance(fields.get("when"), (Timed, AllDay)):
        return None
    return Problem("no_time", "it has no start and end yet", "it goes as soon as it has a time")


def assigned(fields: Fields, ctx: GateContext) -> Problem | None:
    """Ask for at least one technician; a record without one waits as `unassigned`.

    Where the source has not shown who is assigned, it waits as `incomplete`.
    """
    people = fields.get("people")
    if people is None:
        detail = "the source has not shown who is assigned to it"
        return Problem("incomplete", detail, "it goes as soon as the source shows that")
    if people:
        return None
    return Problem(
        "unassigned", "nobody is assigned to it", "it goes as soon as a technician is assigned"
    )


def not_cancelled(fields: Fields, ctx: GateContext) -> Problem | None:
    """Let no cancelled record through; it waits as `cancelled`.

    A copy that is there already then follows the mirror's `leaving` rule, not `cancelled`.
    """
    if fields.get("status") != "cancelled":
        return None
    return Problem("cancelled", "it is cancelled", "it goes if it is scheduled again")


def status_known(fields: Fields, ctx: GateContext) -> Problem | None:
    """Ask for a status that means something here; else the record waits as `status_unmapped`.

    Without this gate only the status waits, and the other fields go on.
    """
    status = fields.get("status")
    if status in STATUSES:
        return None
    said = f'its status "{status}" has no meaning here' if status else "it has no known status"
    release = "add the word to the recipe's map of statuses: truckroll recipe set"
    return Problem("status_unmapped", said, release)


def inside_window(
    fields: Fields,
    ctx: GateContext,
    *,
    past_days: int | None = None,
    future_days: int | None = None,
) -> Problem | None:
    """Let visits through that end after the day `past_days` ago began and start by `future_days`.

    Days are whole days of the company's time zone, both ends included: with 1 and 0 the window
    is yesterday and today. Without a number that side is open. A series is inside while any of
    its visits is. Outside it waits as `outside_window`; a later visit comes in by itself.
    """
    when = fields.get("when")
    if not isinstance(when, (Timed, AllDay)):
        return None
    first, last = _window(ctx.now, ctx.zone, past_days, future_days)
    if last is None and (first is None or _surely_after(first, when)):
        return None
    exceptions = fields.get("occurrences")
    exceptions = exceptions if isinstance(exceptions, Occurrences) else None
    visit = _next_visit(when, exceptions, first, ctx)
    if visit is None:
        return Problem(
            "outside_window",
            f"it ended more than {_days(past_days or 0)} ago",
            "it goes if it is moved to a later day",
        )
    if last is None or (begins := _begins(visit, ctx.zone)) < last:
        return None
    enters = begins.astimezone(zone_info(ctx.zone)).date() - timedelta(days=future_days or 0)
    detail = f"it is more than {_days(future_days or 0)} ahead"
    release = f"it goes by itself on {enters:%a} {enters.day} {enters:%b}"
    return Problem("outside_window", detail, release, _midnight(enters, ctx.zone))


def not_private(fields: Fields, ctx: GateContext) -> Problem | None:
    """Let no private record through; it waits as `private`."""
    if fields.get("private") is not True:
        return None
    return Problem("private", "it is marked as private", "it goes if the mark is taken off")


def overlap_free(fields: Fields, ctx: GateContext) -> Problem | None:
    """Let no visit through that overlaps another one of its technician; it waits as `overlap`.

    Travel between visits and time off count. It hangs on other records, so it is looked at again
    in every run.
    """
    says = ctx.overlaps.get(ctx.link_key)
    if not says:
        return None
    release = "it goes as soon as one of the two is moved"
    return Problem("overlap", says, release, again_at=ctx.now)


def type_enabled(
    fields: Fields, ctx: GateContext, *, types: tuple[str, ...] = ()
) -> Problem | None:
    """Let only the kinds of work in `types` through (any case; none named: all of them).

    Others wait as `type_not_enabled`.
    """
    if not types:
        return None
    job_type = fields.get("job_type")
    word = job_type if isinstance(job_type, str) else ""
    if word.strip().casefold() in {one.strip().casefold() for one in types}:
        return None
    said = f'the kind of work "{word}" is not switched on' if word else "it has no kind of work"
    return Problem("type_not_enabled", said, f"these are: {', '.join(types)}")


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


@lru_cache(maxsize=64)  # all records of a pass have one window
def _window(
    now: datetime, zone: str, past_days: int | None, future_days: int | None
) -> tuple[datetime | None, datetime | None]:
    """Return the instants at which a window begins and ends, None for an open side."""
    today = now.astimezone(zone_info(zone)).date()
    first = None if past_days is None else _midnight(today - timedelta(days=past_days), zone)
    if future_days is None:
        return first, None
    return first, _midnight(today + timedelta(days=future_days + 1), zone)


def _surely_after(first: datetime, when: When) -> bool:
    """Tell whether a visit begins later in any zone: by far most do, and this asks no clock."""
    if when.rule is not None:
        return False
    if isinstance(when, Timed):
        return when.start - _DAY > first.replace(tzinfo=None)
    return when.start > first.date() + _DAY


def _midnight(day: date, zone: str) -> datetime:
    return instant(datetime.combine(day, time()), zone)


def _begins(when: When, zone: str) -> datetime:
    """Return the instant at which a visit begins; whole days are those of the company's zone."""
    return when.begins if isinstance(when, Timed) else _midnight(when.start, zone)


def _ends(when: When, zone: str) -> datetime:
    """Return the instant at which a visit ends; see `_begins`."""
    return when.ends if isinstance(when, Timed) else _midnight(when.end, zone)


def _next_visit(
    when: When, exceptions: Occurrences | None, first: datetime | None, ctx: GateContext
) -> When | None:
    """Return the first visit that ends after `first`, or None where all are over."""
    if when.rule is None or first is None:
        over = first is not None and _ends(when, ctx.zone) <= first
        return None if over else when
    until = max(first, ctx.now) + _SERIES_HORIZON
    found = occurrences(when, exceptions, first, until, limit=8)
    ahead = (one.when for one in found.items if not one.cancelled)
    visit = next((one for one in ahead if _ends(one, ctx.zone) > first), None)
    # Where the search was cut short, the series is not known to be over.
    return when if visit is None and found.truncated else visit


GATES = {
    call.__name__: call
    for call in (
        assigned,
        has_time,
        inside_window,
        not_cancelled,
        not_private,
        overlap_free,
        status_known,
        type_enabled,
    )
}
