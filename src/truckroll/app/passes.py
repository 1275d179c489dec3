"""Plan, apply, undo: one pass of an installed recipe, told to people."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from truckroll.app import runs
from truckroll.app.audit import audited
from truckroll.app.failures import failures
from truckroll.app.installed import Installed, load_installed, open_job
from truckroll.app.overlaps import HORIZON, overlaps_in
from truckroll.app.systems import scope_label
from truckroll.app.trouble import BusyError, TroubleError
from truckroll.app.views import HoldView, PassView, by_op, hold_view, step_view, unreadable_view
from truckroll.sync.braked import Tally, check, foresee
from truckroll.sync.churn import HOUR
from truckroll.sync.job import BATCH, Job, Report, under
from truckroll.sync.leases import alone, is_fenced
from truckroll.sync.planned import planned, preview_originated
from truckroll.sync.ports import Busy, Fenced
from truckroll.sync.run import adopt, carry_out, observe, undo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from truckroll.app.hub import Hub
    from truckroll.sync.ports import OpenStep, StoredScope
    from truckroll.sync.types import Decision, Hold, Link, Outcome


async def plan(hub: Hub, recipe: str = "") -> PassView:
    """Read everything and say what `apply` would do. Writes to no system."""
    installed = await load_installed(hub, recipe)
    report = Report()
    async with open_job(hub, installed) as job:
        async with _read(hub, job, report):
            await adopt(job, "source")
        decisions = await _planned(job, report)
        report.steps = [step for one in decisions for step in one.steps]
        report.decisions = [one for one in decisions if one.holds]
        tally = Tally()
        tally.add(report.steps, job.recipe)
        report.stops = await check(job, report, tally, confirmed=0, hour=HOUR)
        view = await _view(hub, installed, job, report, run=None)
        return await _matched(job, decisions, view)


@asynccontextmanager
async def _read(hub: Hub, job: Job, report: Report) -> AsyncIterator[None]:
    """Read every scope; what that proves of each is kept beside what is done in the context."""
    began = hub.now()
    await observe(job, report)
    async with _beside(hub.store.note_reads(report.scopes, began=began)):
        yield


@asynccontextmanager
async def _beside(note: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let something be noted while what is in the context goes on."""
    noted = asyncio.create_task(note)
    try:
        yield
    finally:
        await noted


async def _matched(job: Job, decisions: Sequence[Decision], view: PassView) -> PassView:
    """Add what a first matching found: what was there already, and what is nobody's here."""
    found = [one for one in decisions if any(note.code == "matched" for note in one.notes)]
    if not found and "create" not in view.by_op:
        return view
    scopes = [one.id for one in job.targets]
    loose = await job.store.unlinked(job.mirror, scopes, limit=BATCH) if scopes else []
    return msgspec.structs.replace(
        view,
        found_again=len(found),
        differing=sum(any(step.op == "update" for step in one.steps) for one in found),
        foreign=max(0, len(loose) - len(found)),
    )


async def _planned(job: Job, report: Report) -> list[Decision]:
    given: set[int] = set()
    decisions = []
    async for batch in planned(job, report.waiting, given, at=job.now()):
        decisions += batch
    if "target" in job.originates:
        decisions += await preview_originated(job, report.waiting, given)
    return decisions


@audited("apply", "recipe", "confirmed")
async def apply(
    hub: Hub,
    recipe: str = "",
    *,
    confirmed: int = 0,
    started: Callable[[int], None] | None = None,
    begins: Callable[[int], None] | None = None,
    progress: Callable[[Outcome, OpenStep], None] | None = None,
) -> PassView:
    """Do what `plan` says: read, plan, ask the brakes, write. `confirmed` answers a brake.

    `started` hears the run's number, `begins` how many writes are planned before the first of
    them, `progress` of each.

    Raises BusyError where another run of the recipe is at work, TroubleError where it is paused.
    """
    installed = await load_installed(hub, recipe)
    if installed.row.paused_at is not None:
        raise TroubleError(
            f"{installed.row.name} is paused, so that nothing of it is written. Let it go on: "
            f" truckroll recipe resume {installed.row.name}"
        )
    began = time.monotonic()
    report = Report()
    async with open_job(hub, installed) as job, _alone(job, "apply") as (work, run):
        if started is not None:
            started(run)
        async with _read(hub, work, report):
            report.left = await adopt(work, "source")
        tally, foreseen = await foresee(work, report.waiting)
        report.stops = await check(work, report, tally, confirmed=confirmed, hour=HOUR)
        if not report.stops:
            if begins is not None:
                begins(tally.writes)
            async with _beside(hub.store.plan_run(run, tally.writes)):
                await carry_out(
                    work, run, report, foreseen, hour=HOUR, confirmed=confirmed, progress=progress
                )
            if tally.writes:  # no brake remembers that a scope was empty, if a person went on
                await hub.store.calm([one.id for one in work.sources])
        view = await _view(hub, installed, work, report, run=run)
        await hub.store.end_run(run, _summary(view))
    return msgspec.structs.replace(view, seconds=round(time.monotonic() - began, 3))


@asynccontextmanager
async def _alone(job: Job, kind: str) -> AsyncIterator[tuple[Job, int]]:
    """Hold the recipe's lease, and give the job as its holder does it, with the run's id."""
    try:
        async with alone(job.store, job.recipe) as held:
            run = await job.store.start_run(job.recipe, kind)
            try:
                yield under(job, held), run
            except BaseException:
                await job.store.close_run(run)  # else it was ended with its counts
                raise
    except Busy as error:
        raise BusyError(error.says) from error
    except Exception as error:
        if not is_fenced(error):
            raise
        raise TroubleError(Fenced().says) from error


@audited("undo", "run")
async def undo_run(hub: Hub, run: int, *, started: Callable[[int], None] | None = None) -> PassView:
    """Take back what a run did, as far as nobody changed it since.

    `started` hears the number of the run that takes it back.
    """
    installed = await load_installed(hub, (await runs.shown(hub, run)).recipe)
    report = Report()
    async with open_job(hub, installed) as job, _alone(job, "undo") as (work, new):
        if started is not None:
            started(new)
        await undo(work, run, new, report)
        view = await _view(hub, installed, work, report, run=new, undoing=True)
        await hub.store.end_run(new, _summary(view))
    kept = [
        note.text
        for decision in report.decisions
        for note in decision.notes
        if note.code == "not_undone"
    ]
    return msgspec.structs.replace(view, not_undone=kept)


def _summary(view: PassView) -> dict[str, object]:
    return {
        "writes": view.writes,
        "by_op": view.by_op,
        "held": view.held,
        "failed": view.failed,
        "stopped": view.stops,
        "problems": view.problems,
    }


def labels(installed: Installed) -> Callable[[int], str]:
    """Return how the scopes of an installed recipe are named in sentences."""
    known = {
        one.id: scope_label(installed.accounts[one.account].system, one.scope.title)
        for one in (*installed.sources, *installed.targets)
    }
    return lambda id_: known.get(id_, "a calendar that is not in use now")


async def _view(
    hub: Hub,
    installed: Installed,
    job: Job,
    report: Report,
    *,
    run: int | None,
    undoing: bool = False,
) -> PassView:
    label = labels(installed)
    accounts = {key: (one.name, one.system) for key, one in installed.accounts.items()}
    steps = [
        step_view(step, accounts, label) for step in (report.steps if run is None else report.done)
    ]
    holds = await _holds(hub, installed, report, run=run)
    failed = failures(installed, job, report, label, beside_holds=not undoing)
    return PassView(
        run=run,
        recipe=installed.row.name,
        writes=len(steps),
        by_op=by_op(steps),
        held=len({(one.ref, one.title) for one in holds}),
        failed=failed.number,
        steps=steps,
        holds=holds,
        failures=failed.writes,
        problems=failed.problems,
        overlaps=await _overlaps(hub, installed) if run is None else [],
        stops=[one.says for one in report.stops],
        confirm=max((one.number for one in report.stops), default=0),
        calls={accounts[key][0]: hand.session.http.calls for key, hand in job.hands.items()},
        sources=_named(installed, installed.sources),
        targets=targets_text(installed),
    )


async def _holds(
    hub: Hub, installed: Installed, report: Report, *, run: int | None
) -> list[HoldView]:
    label = labels(installed)
    scopes = [one.id for one in (*installed.sources, *installed.targets)]
    stored, unreadable = await asyncio.gather(
        hub.store.holds(installed.row.id), hub.store.unreadable(scopes)
    )
    decisions = report.decisions if run is None else []
    found: list[tuple[Link, Hold]] = [(one.link, hold) for one in decisions for hold in one.holds]
    planned_links = {one.link.id for one in decisions}
    found += [(link, hold) for link, hold, _ in stored if link.id not in planned_links]
    views = [hold_view(link, hold, label) for link, hold in found]
    return views + [unreadable_view(row, label) for row in unreadable]


async def _overlaps(hub: Hub, installed: Installed) -> list[str]:
    if installed.mirror.overlap == "off" or not installed.mirror.per:
        return []
    start = hub.now()
    found = await overlaps_in(hub, installed, [(start, start + HORIZON)])
    return [f"{one.b.ref} {one.says(one.b.key)}" for one in found]


def targets_text(installed: Installed) -> str:
    """Return how the targets of a recipe are named in a sentence: in short where they are many."""
    if len(installed.targets) == 1:
        return _named(installed, installed.targets)
    return f"{len(installed.targets)} calendars"


def _named(installed: Installed, scopes: tuple[StoredScope, ...]) -> str:
    label = labels(installed)
    return ", ".join(label(one.id) for one in scopes)
