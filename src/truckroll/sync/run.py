"""One pass of a mirror: read, then perform what was planned, in rounds that pass the brakes."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from truckroll.kit import watch
from truckroll.kit.errors import SignIn
from truckroll.sync.braked import check, foresee
from truckroll.sync.context import no_match
from truckroll.sync.job import BATCH
from truckroll.sync.leases import holding
from truckroll.sync.perform import Performer, look_up
from truckroll.sync.planned import planned
from truckroll.sync.read import ScopeReport, read_scope
from truckroll.sync.side_by_side import perform_one_by_one, perform_together
from truckroll.sync.undo import Done, plan_undo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import timedelta

    from truckroll.sync.job import Job, Report
    from truckroll.sync.leases import Held
    from truckroll.sync.ports import OpenStep, StoredScope
    from truckroll.sync.types import Decision, Outcome

ROUNDS = 3
PATIENCE_SECONDS = 120.0  # how long a pass waits for a scope that another process reads


async def observe(job: Job, report: Report) -> None:
    """Settle what earlier runs left open, then read every scope; errors stay with their scope.

    What another process reads just then is waited for, and read after it.
    """
    await recover(job)
    waiting = {scope.id: scope for scope in (*job.sources, *job.targets)}
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 0.05
    while waiting:
        async with holding(job.store, "scope", list(waiting)) as held:
            taken = [waiting.pop(lease.id) for lease in held.leases]
            report.scopes += await _read(job, held, taken)
        if waiting and time.monotonic() > deadline:
            report.scopes += [_being_read(scope) for scope in waiting.values()]
            return
        if waiting:
            await asyncio.sleep(pause)
            pause = min(1.0, pause * 2)


def _being_read(scope: StoredScope) -> ScopeReport:
    says = f"{scope.scope.title} is being read by another process all the time; it waits."
    return ScopeReport(scope=scope.id, before=scope.live, error=says, code="busy")


async def _read(job: Job, held: Held, scopes: Sequence[StoredScope]) -> list[ScopeReport]:
    """Read scopes whose leases are held, accounts side by side."""
    by_account: dict[int, list[StoredScope]] = defaultdict(list)
    for scope in scopes:
        by_account[scope.account].append(scope)

    async def read_account(account: int, theirs: list[StoredScope]) -> list[ScopeReport]:
        hand = job.hands[account]
        gate = asyncio.Semaphore(hand.resource.concurrency)

        async def one(scope: StoredScope) -> ScopeReport:
            async with gate:
                return await read_scope(held.store, hand.resource, hand.session, scope, now=job.now)

        return list(await asyncio.gather(*(one(scope) for scope in theirs)))

    done = await asyncio.gather(*(read_account(*item) for item in by_account.items()))
    return [one for reports in done for one in reports]


async def recover(job: Job) -> None:
    """Look up the intents that have no outcome: of runs that died, or whose answer was lost."""
    outcomes = []
    scopes = {scope.id: scope.scope for scope in (*job.sources, *job.targets)}
    for opened in await job.store.open_intents(job.recipe):
        hand, scope = job.hands.get(opened.step.account), scopes.get(opened.step.scope)
        if hand is not None and scope is not None:
            if job.marked is not None:
                await job.marked(opened.step.link)
            says = (
                f"The answer of {hand.label} to a write was lost; it is looked up before anything "
                "is tried again."
            )
            outcomes.append(await look_up(hand, scope, opened, says, now=job.now))
    if job.marked is not None:
        await job.marked(0)
    if outcomes:
        await job.store.finish(0, outcomes, at=job.now())


async def adopt(job: Job, side: str) -> bool:
    """Make links for the records of a side that have none, and bring folded ones together.

    Tells whether some were left to links that may be about to make them.
    """
    store, now = job.store, job.now()
    scopes = job.sources if side == "source" else job.targets
    ids = [scope.id for scope in scopes]
    chosen = {
        one.id: partial(choose, one.scope)
        for one in scopes
        if (hand := job.hands.get(one.account)) and (choose := hand.resource.choose_id)
    }
    after = 0
    while job.fold is not None:
        after = await store.regroup(job.mirror, job.fold, at=now, after=after, limit=BATCH)
        if not after:
            break
    # Where followers originate, the same may come from both sides: here, and made by a link.
    match = job.match_names if "target" in job.originates else ()
    adopt_some = partial(store.adopt, job.mirror, side, ids, match=match, chosen=chosen)
    while True:
        adopted = await adopt_some(at=now, limit=BATCH, fold=job.fold)
        if adopted.made < BATCH:
            return adopted.left > 0


async def carry_out(
    job: Job,
    run: int,
    report: Report,
    foreseen: list[list[Decision]] | None,
    *,
    hour: timedelta,
    confirmed: int = 0,
    progress: Callable[[Outcome, OpenStep], None] | None = None,
) -> None:
    """Journal and perform what was foreseen and passed the brakes, and then what follows from it.

    A link that changed since it was `foreseen` is left alone by the journal, and is due in the
    next pass; None plans again, batch by batch. What conflicted is planned anew, in three rounds,
    and then what the followers originate. Scopes may be read meanwhile, so the brakes are asked
    about every such round: where they stop one, `report.stops` says so and the rest waits.
    `confirmed` answers them, `hour` is how far they look back.
    """
    performer = _performer(job, run, report, progress)

    async def go_on(rounds: int) -> None:
        for _ in range(rounds):
            tally, batches = await foresee(job, report.waiting)
            if tally.writes:
                report.stops = await check(job, report, tally, confirmed=confirmed, hour=hour)
            if report.stops or not await _round(performer, job, run, report, batches):
                return

    if await _round(performer, job, run, report, foreseen):
        await go_on(ROUNDS - 1)
    if "target" in job.originates and not (report.cut or report.stops):
        report.left |= await adopt(job, "target")
        await go_on(ROUNDS)
        if report.left:  # what none of these links took is new after all
            await adopt(job, "source")
            await adopt(job, "target")
            await go_on(ROUNDS)
    stopped = performer.stopped
    report.stopped_accounts = {key: error.says for key, error in stopped.items()}
    report.signed_out = frozenset(k for k, error in stopped.items() if isinstance(error, SignIn))


def _performer(
    job: Job,
    run: int,
    report: Report,
    progress: Callable[[Outcome, OpenStep], None] | None = None,
) -> Performer:
    return Performer(
        job.store,
        run,
        dict(job.hands),
        {scope.id: scope.scope for scope in (*job.sources, *job.targets)},
        now=job.now,
        progress=partial(_heard, job, report, progress),
        guard=job.guard,
        isolate=job.stumbled is not None,
        slots=job.slots,
    )


def _heard(
    job: Job,
    report: Report,
    progress: Callable[[Outcome, OpenStep], None] | None,
    outcome: Outcome,
    opened: OpenStep,
) -> None:
    """Note how a write went."""
    report.outcomes[outcome.kind] += 1
    watch.count("writes", op=opened.step.op, result=outcome.kind)
    since = report.due_since.pop(opened.step.link, None)
    if outcome.kind == "done":
        report.done.append(opened.step)
        if since is not None:
            watch.measure("processing", (job.now() - since).total_seconds())
    else:
        report.failures.append((opened.step, outcome))
    if progress is not None:
        progress(outcome, opened)


async def _round(
    performer: Performer,
    job: Job,
    run: int,
    report: Report,
    foreseen: list[list[Decision]] | None,
) -> bool:
    """Perform what was foreseen, or is planned now; tell whether another round may do more.

    While a batch is being performed the next is journalled and begun, so that no account waits
    for the last writes of a batch.
    """
    before = _clashes(report)
    batches = (
        planned(job, report.waiting, set(), at=job.now()) if foreseen is None else _again(foreseen)
    )
    ready = _journalled(job, run, report, batches)
    if job.marked is None:
        await perform_together(performer, ready)
    else:
        await perform_one_by_one(performer, ready, job.marked)
    return not report.cut and _clashes(report) > before


def _clashes(report: Report) -> int:
    return report.outcomes["conflict"] + report.outcomes["gone"]


async def undo(job: Job, undone: int, run: int, report: Report) -> None:
    """Take back what a run did, as far as nobody changed it since.

    Reads the scopes first, so that what is compared is what is there now.
    """
    await observe(job, report)
    done: dict[int, list[Done]] = defaultdict(list)
    async for _, step, outcome in job.store.steps_of(undone):
        if outcome is not None and outcome.kind == "done":
            done[step.link].append(Done(step, outcome))
    performer = _performer(job, run, report)
    ids = list(done)
    for begin in range(0, len(ids), BATCH):
        links = await job.store.links(ids[begin : begin + BATCH])
        ctx = await job.context(links, no_match, report.waiting)
        decisions = [plan_undo(link, done[link.id], undone, ctx) for link in links]
        opened = await job.store.journal(run, decisions, at=job.now())
        report.decisions.extend(decisions)
        report.steps.extend(one.step for one in opened)
        await performer.perform(opened)


async def _again(batches: list[list[Decision]]) -> AsyncIterator[list[Decision]]:
    for batch in batches:
        yield batch


async def _journalled(
    job: Job, run: int, report: Report, batches: AsyncIterator[list[Decision]]
) -> AsyncIterator[list[OpenStep]]:
    """Journal batches of decisions, and yield the steps of each that are to be performed."""
    at = job.now()
    async for decisions in batches:
        report.cut = job.enough is not None and await job.enough()
        if report.cut:
            return
        opened = await job.store.journal(run, decisions, at=at)
        report.due_since |= {step.link: one.link.look_at for one in decisions for step in one.steps}
        report.decisions.extend(
            msgspec.structs.replace(one, steps=()) for one in decisions if one.holds
        )
        if opened:
            report.steps.extend(one.step for one in opened)
            yield opened
