"""Claims on technicians' time: who wants it, what is in the way, and what comes of it. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

_NO_TIME = timedelta(0)


class Wish(msgspec.Struct, frozen=True):
    """A visit that is to be placed: `technician` by id, from `begins` to `ends` (aware UTC).

    `visit` is the key of what is placed, `ref` what people call it. A visit's own present time is
    never in its way.
    """

    technician: int
    begins: datetime
    ends: datetime
    visit: str
    ref: str = ""


class Occupied(msgspec.Struct, frozen=True):
    """A stretch of a technician's time that is taken (aware UTC, end exclusive).

    `travels` says that somebody drives to it, so that a visit keeps the travel buffer from it.
    """

    technician: int
    begins: datetime
    ends: datetime
    visit: str
    ref: str = ""
    travels: bool = True


class Clash(msgspec.Struct, frozen=True):
    """A wish that cannot be granted, and what is in its way."""

    wish: Wish
    taken: Occupied


class Claimed(msgspec.Struct, frozen=True):
    """What came of wishes: all were granted (`ids` of the claims), or none (`clashes`)."""

    ids: tuple[int, ...] = ()
    clashes: tuple[Clash, ...] = ()


def clashes(
    wishes: Sequence[Wish], taken: Iterable[Occupied], *, travel: timedelta = _NO_TIME
) -> tuple[Clash, ...]:
    """Return for each wish all that is in its way: what is taken, and the wishes before it.

    Where a visit is now does not matter if it is among the wishes: it is moved.
    """
    placed = {one.visit for one in wishes}
    others = [one for one in taken if one.visit not in placed]
    found = []
    for wish in wishes:
        mine = [one for one in others if one.technician == wish.technician]
        found += [Clash(wish, one) for one in mine if _meet(wish, one, travel)]
        others.append(Occupied(wish.technician, wish.begins, wish.ends, wish.visit, wish.ref))
    return tuple(found)


def _meet(wish: Wish, taken: Occupied, travel: timedelta) -> bool:
    apart = travel if taken.travels else _NO_TIME
    return wish.begins < taken.ends + apart and taken.begins < wish.ends + apart
