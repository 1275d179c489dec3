"""The next fitting job: what could be done in time that became free, the nearest first. Pure."""

import math
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import msgspec

from truckroll.model.records import Address

_EARTH_KM = 6371.0
_FAR = math.inf


class OpenJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that could be done: nobody's (`assigned` False), or one that stands for later.

    It takes `length`; `due` is when it stands now (aware UTC), `earliest` and `latest` between
    what it may begin as far as somebody was promised any. `skill` is the kind of work, "" where
    not known.
    """

    key: str
    ref: str
    length: timedelta
    due: datetime
    assigned: bool = False
    earliest: datetime | None = None
    latest: datetime | None = None
    place: Address | None = None
    skill: str = ""


class Fit(msgspec.Struct, frozen=True):
    """A job with the time at which it fits (aware UTC), and why it was chosen, as phrases."""

    job: OpenJob
    begins: datetime
    ends: datetime
    why: tuple[str, ...]


def fitting(
    jobs: Iterable[OpenJob],
    *,
    begins: datetime,
    ends: datetime,
    near: Address | None = None,
    knows: AbstractSet[str] | None = None,
    limit: int = 3,
) -> tuple[Fit, ...]:
    """Return the jobs that fit between two aware instants, best first.

    Travel to what is before and after lies outside these two. Jobs whose kind of work the
    technician is known to do (`knows`; None where nothing is known) go before others, nobody's
    before those that stand for later, then the nearest to `near`, then what is due first.
    """
    found = []
    for job in jobs:
        start = max(begins, job.earliest or begins)
        late = job.latest is not None and start > job.latest
        if late or start + job.length > ends or (job.assigned and start >= job.due):
            continue
        away = distance(near, job.place)
        unsure = bool(knows and job.skill and job.skill not in knows)
        rank = (unsure, job.assigned, away, job.due, job.ref)
        found.append((rank, Fit(job, start, start + job.length, _why(job, away, unsure))))
    found.sort(key=lambda one: one[0])
    return tuple(fit for _, fit in found[:limit])


def distance(a: Address | None, b: Address | None) -> float:
    """Return how far two places are apart in km, infinity where it is not known.

    Without coordinates the same address is 0 km away, and nothing else is known.
    """
    if a is None or b is None:
        return _FAR
    spots = (a.latitude, a.longitude, b.latitude, b.longitude)
    if None in spots:
        return 0.0 if a.one_line().casefold() == b.one_line().casefold() != "" else _FAR
    lat_a, lon_a, lat_b, lon_b = (math.radians(one) for one in spots if one is not None)
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * _EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def _why(job: OpenJob, away: float, unsure: bool) -> tuple[str, ...]:
    minutes = int(job.length.total_seconds() // 60)
    place = job.place.one_line() if job.place is not None else ""
    near = f"{away:.1f} km away" if 0 < away < _FAR else "the same place" if away == 0 else ""
    new = f"a kind of work that is new to them ({job.skill})" if unsure else ""
    parts = ("stands for later" if job.assigned else "unassigned", f"{minutes} min", place)
    return tuple(part for part in (*parts, near, new) if part)
