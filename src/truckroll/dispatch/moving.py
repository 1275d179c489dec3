"""Later visits moved together: up into time that became free, or back behind a delay. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from truckroll.dispatch.slots import rounded_up

_NO_TIME = timedelta(0)


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a technician's day, from `begins` to `ends` (aware UTC, end exclusive).

    `fixed` says why it stays where it is, "" where it may be moved. `earliest` and `latest` are
    the instants between which it may begin, as far as somebody was promised any. `travels` says
    that somebody drives to it.
    """

    key: str
    ref: str
    begins: datetime
    ends: datetime
    fixed: str = ""
    earliest: datetime | None = None
    latest: datetime | None = None
    travels: bool = True


class Move(msgspec.Struct, frozen=True):
    """A visit with its new time (aware UTC)."""

    visit: Visit
    begins: datetime
    ends: datetime


class Shift(msgspec.Struct, frozen=True):
    """Moves that go together, and the visits that stay though they are in the way, with why."""

    moves: tuple[Move, ...] = ()
    stays: tuple[tuple[Visit, str], ...] = ()


def moved_up(
    day: Sequence[Visit], *, free: datetime, now: datetime, travel: timedelta = _NO_TIME
) -> Shift:
    """Move the visits after a time that became free up into it, in their order.

    `day` is all else in the technician's day; what begins at or after `free` follows. Each visit
    is moved by at most the time that became free before the first of them, never before `now`,
    never to before its `earliest`, and keeps `travel` from the one before it. What is fixed stays,
    and nothing goes past it.
    """
    order = sorted(day, key=lambda one: (one.begins, one.ends))
    following = [one for one in order if one.begins >= free]
    before = [one for one in order if one.begins < free]
    first = next((one for one in following if not one.fixed), None)
    if first is None:
        return Shift()
    floor = max(free, rounded_up(now))
    most = first.begins - floor
    moves = []
    standing = before
    for one in following:
        if one.fixed:
            standing.append(one)
            continue
        wanted = max(one.begins - most, floor, one.earliest or floor)
        begins = max([wanted, *(_after(left, one, travel) for left in standing)])
        if most > _NO_TIME and begins < one.begins:
            moves.append(Move(one, begins, begins + (one.ends - one.begins)))
            standing.append(_at(one, begins))
        else:
            standing.append(one)
    return Shift(tuple(moves))


def pushed_back(
    day: Sequence[Visit],
    *,
    delayed: Visit,
    now: datetime,
    until: datetime,
    travel: timedelta = _NO_TIME,
) -> Shift:
    """Move the visits that a delay is in the way of behind it, and those behind them.

    `delayed` is the visit with its new end, `day` all else of that day. A visit is moved no
    further than it must be, never before `now`, past what is fixed where there is no room before
    it. One that cannot begin by its `latest` or end by `until` (aware, the end of the day), or
    that the delay meets though it is fixed, stays, and is named.
    """
    stuck: dict[str, str] = {}
    while True:
        order = [msgspec.structs.replace(one, fixed=stuck.get(one.key, one.fixed)) for one in day]
        moves, hindered = _pushed(order, delayed, now, until, travel)
        if hindered is None:
            break
        stuck[hindered[0].key] = hindered[1]  # nothing is moved onto it: begin anew
    met = {
        one.key: one.fixed
        for one in day
        if one.fixed and one.begins >= delayed.begins and _after(delayed, one, travel) > one.begins
    }
    why = met | stuck
    return Shift(tuple(moves), tuple((one, why[one.key]) for one in day if one.key in why))


def _pushed(
    day: Sequence[Visit], delayed: Visit, now: datetime, until: datetime, travel: timedelta
) -> tuple[list[Move], tuple[Visit, str] | None]:
    """Return the moves behind a delay, and the first visit that must but cannot follow."""
    standing = [one for one in day if one.fixed or one.begins < delayed.begins] + [delayed]
    moves = []
    for one in sorted(day, key=lambda one: (one.begins, one.ends)):
        if one.fixed or one.begins < delayed.begins:
            continue
        begins = _room(standing, one, travel)
        if begins > one.begins:
            begins = _room(standing, one, travel, least=rounded_up(now))
        if hindered := _hindered(one, begins, until):
            return [], (one, hindered)
        if begins > one.begins:
            moves.append(Move(one, begins, begins + (one.ends - one.begins)))
        standing.append(_at(one, begins))
    return moves, None


def _hindered(one: Visit, begins: datetime, until: datetime) -> str:
    """Say why a visit cannot begin later than it does, "" where it can or need not."""
    if begins <= one.begins:
        return ""
    if one.latest is not None and begins > one.latest:
        return "it would begin later than was promised"
    return "there is no room left on that day" if begins + (one.ends - one.begins) > until else ""


def _room(
    standing: Sequence[Visit], one: Visit, travel: timedelta, least: datetime | None = None
) -> datetime:
    """Return the first time from its own on at which a visit is in the way of nothing standing."""
    begins = max(one.begins, least or one.begins)
    for other in sorted(standing, key=lambda left: (left.begins, left.ends)):
        apart = travel if other.travels and one.travels else _NO_TIME
        ends = begins + (one.ends - one.begins)
        if begins < other.ends + apart and other.begins < ends + apart:
            begins = max(begins, other.ends + apart)
    return begins


def _after(left: Visit, one: Visit, travel: timedelta) -> datetime:
    return left.ends + (travel if left.travels and one.travels else _NO_TIME)


def _at(one: Visit, begins: datetime) -> Visit:
    return msgspec.structs.replace(one, begins=begins, ends=begins + (one.ends - one.begins))
