"""A person runs `apply` and answers the brakes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from psycopg import OperationalError

from simulation.company import RECIPE, Company
from simulation.process import HubKnown, HubResident
from truckroll.app.installed import make_job
from truckroll.app.settling import as_read
from truckroll.sync.braked import check, foresee
from truckroll.sync.job import Report, under
from truckroll.sync.leases import Terms, alone, is_fenced
from truckroll.sync.ports import Busy
from truckroll.sync.run import adopt, carry_out, recover

if TYPE_CHECKING:
    from simulation.process import Process

HOUR = timedelta(hours=1)
ANSWER_SECONDS = 120.0  # for so long the brakes are not held to the answer
ALL = 10_000


async def confirm(process: Process, company: Company, *, inside: bool = True) -> None:
    """Let a person run `apply` and confirm what the brakes ask."""
    world = process.world
    company.confirmed_until = world.loop.now + ANSWER_SECONDS
    world.tell(f"a person confirms for tenant {company.tenant}")
    if not inside:
        await process.host(confirm(process, company))
        return
    known = _known(process, company)
    try:
        async with alone(known.hub.store, RECIPE, terms=Terms(clock=world.now_steady)) as held:
            job = make_job(known.hub, company.installed, await known.hands(company.installed))
            await _apply(under(job, held))
        await known.hub.store.calm(list(company.store.scopes))
        await known.hub.store.make_recipes_due([RECIPE], at=process.now())
    except (Busy, OperationalError):
        pass
    except Exception as error:
        if not is_fenced(error):
            raise


async def _apply(job) -> None:
    run = await job.store.start_run(RECIPE, "apply")
    scopes = [one.id for one in (*job.sources, *job.targets)]
    report = Report(scopes=as_read(job, await job.store.scope_agendas(scopes)))
    await recover(job)
    report.left = await adopt(job, "source")
    tally, foreseen = await foresee(job, report.waiting)
    report.stops = await check(job, report, tally, confirmed=ALL, hour=HOUR)
    await carry_out(job, run, report, foreseen, confirmed=ALL, hour=HOUR)
    await job.store.close_run(run)


def _known(process: Process, company: Company) -> HubKnown:
    """Return what a process knows of a tenant, for a person's command."""
    known = HubKnown(HubResident(process).hub(company.tenant), 0, {RECIPE: company.installed})
    known.company = company
    return known
