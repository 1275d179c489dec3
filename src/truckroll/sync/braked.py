"""What is due, planned and counted, and what the brakes say about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from truckroll.sync.brakes import Brake, Emptied, Width, brakes
from truckroll.sync.planned import planned

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from truckroll.sync.job import Job, Report
    from truckroll.sync.types import Decision, Step

KEPT = 10_000  # decisions that may be kept from a look ahead; more are made again, batch by batch
REMOVALS = frozenset({"delete", "cancel", "unlink"})


class Tally:
    """Counts what is planned at the three widths that the brakes watch."""

    def __init__(self) -> None:
        self.removals: Counter[tuple[str, int]] = Counter()
        self.statuses: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        self.writes = 0

    def add(self, steps: Sequence[Step], recipe: int) -> None:
        """Count steps."""
        for step in steps:
            self.writes += 1
            for width in (("scope", step.scope), ("account", step.account), ("recipe", recipe)):
                if step.op in REMOVALS:
                    self.removals[width] += 1
                status = step.fields.get("status")
                if step.op == "update" and isinstance(status, str):
                    self.statuses[width][status] += 1


async def check(
    job: Job, report: Report, tally: Tally, *, confirmed: int, hour: timedelta
) -> tuple[Brake, ...]:
    """Ask the brakes about what is planned."""
    since = job.now() - hour
    widths = []
    for kind, id_ in sorted(tally.removals.keys() | tally.statuses.keys()):
        counts = await job.store.counts(kind, id_, since=since)
        widths.append(
            Width(
                kind=kind,
                id=id_,
                label=_label(job, kind, id_),
                live=counts.live,
                removals=tally.removals[kind, id_],
                recent=counts.removals,
                statuses=dict(tally.statuses[kind, id_]),
                writes=tally.writes,
            )
        )
    names = {scope.id: scope.scope.title for scope in job.sources}
    emptied = [
        Emptied(label=names[one.scope], before=one.before)
        for one in report.scopes
        if one.scope in names and one.complete and one.before and not one.live
    ]
    return brakes(widths, emptied=emptied, budget=job.budget, confirmed=confirmed)


def _label(job: Job, kind: str, id_: int) -> str:
    if kind == "scope":
        scopes = {scope.id: scope.scope.title for scope in (*job.sources, *job.targets)}
        return scopes.get(id_, "a calendar")
    if kind == "account" and id_ in job.hands:
        return job.hands[id_].label
    return "all calendars together"


async def foresee(job: Job, waiting: frozenset[int]) -> tuple[Tally, list[list[Decision]] | None]:
    """Plan what is due and count it; return the batches of decisions, None where they are many."""
    tally, kept, count = Tally(), [], 0
    async for batch in planned(job, waiting, set(), at=job.now()):
        for decision in batch:
            tally.add(decision.steps, job.recipe)
        count += len(batch)
        kept.append(batch)
        if count > KEPT:
            kept.clear()
    return tally, kept if count <= KEPT else None
