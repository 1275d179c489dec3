"""Settling: what is due of a recipe is planned, asked of the brakes, and performed."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from truckroll.app.failures import failures
from truckroll.app.passes import labels
from truckroll.store.due import TRIES
from truckroll.sync.braked import check, foresee
from truckroll.sync.churn import HOUR
from truckroll.sync.job import Report
from truckroll.sync.read import ScopeReport
from truckroll.sync.run import adopt, carry_out, recover

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.store.due import ScopeAgenda
    from truckroll.sync.job import Job
    from truckroll.sync.types import Link

AGAIN = timedelta(minutes=1)  # after a stumble; each further one doubles it
KILLED = (
    "Truckroll died three times while it worked on this record, so it leaves it alone; the others"
    " go on. Please report what the log says about it, and try it again with  truckroll holds"
    " --retry"
)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Settled:
    """What settling did. `run` is 0 where there was nothing to write.

    `failed` counts what could not be done, `problems` says it; `stops` are the brakes' sentences.
    `killed` says that nothing was done, since it killed whoever did it.
    """

    run: int = 0
    done: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    killed: bool = False


async def settle(
    hub: Hub,
    installed: Installed,
    job: Job,
    agendas: Mapping[int, ScopeAgenda],
    *,
    told: str = "",
    aside: int = 0,
) -> Settled:
    """Do what is due of a recipe whose lease is held by the job, without reading.

    Scopes whose last read failed, and those that were not read yet, wait: nothing of them is
    weighed, nothing is written there.
    A run is noted where something is written, or a brake says something else than it `told`. The
    link `aside` killed whoever worked on it: it is left alone.
    """
    stumbles: list[str] = []
    if aside:
        stumbles.append(KILLED)
        await hub.store.stumble(aside, KILLED, at=hub.now(), again=hub.now(), for_good=True)
    job = replace(job, stumbled=partial(_stumbled, hub, stumbles))
    report = Report(scopes=as_read(job, agendas))
    await recover(job)
    report.left = await adopt(job, "source")
    tally, foreseen = await foresee(job, report.waiting)
    writes = bool(tally.writes) or "target" in job.originates
    if writes:
        report.stops = await check(job, report, tally, confirmed=0, hour=HOUR)
    stops = [one.says for one in report.stops]
    settled = Settled(stops=stops)
    if (writes and not stops) or (stops and "\n".join(stops) != told):
        settled.run = await job.store.start_run(job.recipe, "settle")
    try:
        if settled.run and not stops:
            await hub.store.plan_run(settled.run, tally.writes)
        if not stops:
            await carry_out(job, settled.run, report, foreseen, hour=HOUR)
            settled.stops = [one.says for one in report.stops]
        report.scopes = []  # what could not be read is told by its scope
        failed = failures(installed, job, report, labels(installed), beside_holds=False)
        settled.done, settled.failed = len(report.done), failed.number + len(stumbles)
        settled.problems = [*failed.problems, *failed.writes, *stumbles]
        if settled.run:
            await job.store.end_run(settled.run, _summary(report, settled, tally.writes))
    finally:
        if settled.run:
            await job.store.close_run(settled.run)
    return settled


def as_read(job: Job, agendas: Mapping[int, ScopeAgenda]) -> list[ScopeReport]:
    """Return how the scopes were read last, as far as it concerns waiting and brakes."""
    reports = []
    for scope in (*job.sources, *job.targets):
        one = agendas.get(scope.id)
        if one is None:
            continue
        if one.failures:
            reports.append(ScopeReport(scope=scope.id, error=one.trouble, code=one.code))
        elif not one.known:  # what stands there may be what would be made
            says = f"{scope.scope.title} was not read yet; it waits."
            reports.append(ScopeReport(scope=scope.id, error=says, code="unread"))
        elif one.emptied:
            reports.append(ScopeReport(scope=scope.id, complete=True, before=one.emptied))
    return reports


async def _stumbled(hub: Hub, stumbles: list[str], link: Link, error: Exception) -> None:
    """Set a link aside that cannot be planned; it is tried three times, others go on."""
    log.error("link %s cannot be planned", link.id, exc_info=error)
    says = (
        "Truckroll stumbled over this record and leaves it alone; the others go on. Please report"
        " what the log says about it, and try it again with  truckroll holds --retry"
    )
    now = hub.now()
    tries = await hub.store.stumble(link.id, says, at=now, again=now + AGAIN)
    if tries <= TRIES:
        stumbles.append(says)


def _summary(report: Report, settled: Settled, planned: int) -> dict[str, object]:
    held = {(one.link.id, hold.reason) for one in report.decisions for hold in one.holds}
    return {
        "planned": planned,
        "writes": settled.done,
        "by_op": dict(Counter(step.op for step in report.done)),
        "held": len({link for link, _ in held}),
        "failed": settled.failed,
        "stopped": settled.stops,
        "problems": settled.problems,
    }
