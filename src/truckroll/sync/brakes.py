"""Brakes: stop before harm (SYNC §9). A pure function over counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

# A few removals are an ordinary day; below this many no share of a small calendar stops a run.
FEW = 2
SMALL_SCOPE = 40
REMOVALS_FLOOR = 10
REMOVALS_SHARE = 0.05
STATUS_SHARE = 0.20


class Width(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do, with what the last hour did, at one width.

    `kind` is scope · account · recipe, `label` its name for people. `removals` counts deletes,
    cancels and removals through a left key together; `recent` the same of the last hour.
    `live` is how many records live there. `statuses` counts records that would change to each
    status. `writes` is all the run would write.
    """

    kind: str
    id: int
    label: str
    live: int
    removals: int = 0
    recent: int = 0
    statuses: dict[str, int] = {}
    writes: int = 0


class Brake(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run stops: a code, a sentence, and the number a person would have to confirm."""

    code: str
    says: str
    number: int


class Emptied(msgspec.Struct, frozen=True, kw_only=True):
    """A side that was full and shows nothing now."""

    label: str
    before: int


def brakes(
    widths: Iterable[Width],
    *,
    emptied: Iterable[Emptied] = (),
    budget: int | None = None,
    confirmed: int = 0,
) -> tuple[Brake, ...]:
    """Return why the run must stop, or nothing.

    `confirmed` is a person's answer, with its bound: so many removals are right.
    """
    stops = [
        Brake(
            code="empty_side",
            says=f"{one.label} now shows 0 of {one.before} records that were there",
            number=one.before,
        )
        for one in emptied
        if one.before > FEW and one.before > confirmed
    ]
    for width in widths:
        stops.extend(_width(width, confirmed))
        if budget is not None and width.kind == "recipe" and width.writes > budget:
            says = f"the run would write {width.writes} records, and its budget is {budget}"
            stops.append(Brake(code="write_budget", says=says, number=width.writes))
    return tuple(stops)


def _width(width: Width, confirmed: int) -> list[Brake]:
    stops = []
    total = width.removals + width.recent
    limit = max(REMOVALS_FLOOR, REMOVALS_SHARE * width.live)
    small = width.kind == "scope" and width.live < SMALL_SCOPE
    if small:
        limit = min(limit, max(FEW, width.live / 2))
    if width.removals and total > limit and width.removals > confirmed:
        recently = f" ({width.recent} more within the hour)" if width.recent else ""
        says = f"{width.removals} of {width.live} records would be removed from {width.label}"
        stops.append(Brake(code="mass_delete", says=says + recently, number=width.removals))
    for status, count in sorted(width.statuses.items()):
        if count > max(REMOVALS_FLOOR, STATUS_SHARE * width.live) and count > confirmed:
            says = f"{count} of {width.live} records of {width.label} would become “{status}”"
            stops.append(Brake(code="mass_status", says=says, number=count))
    return stops
