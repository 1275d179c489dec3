"""One pass of a mirror: read, plan, brake, perform, in bounded batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from truckroll.kit import watch
from truckroll.kit.errors import SignIn
from truckroll.model.records import KINDS
from truckroll.sync.brakes import Brake, Emptied, Width, brakes
from truckroll.sync.leases import holding
from truckroll.sync.match import Matcher, coarse_keys
from truckroll.sync.perform import Hand, Performer, look_up
from truckroll.sync.plan import plan
from truckroll.sync.read import ScopeReport, read_scope
from truckroll.sync.side_by_side import perform_one_by_one, perform_together
from truckroll.sync.types import End, Link
from truckroll.sync.undo import Done, plan_undo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from truckroll.sync.context import Context
    from truckroll.sync.leases import Held
    from truckroll.sync.perform import Guard
    from truckroll.sync.ports import FoldKey, OpenStep, Slots, Store, StoredScope
    from truckroll.sync.types import Decision, Outcome, RecordRow, Step

BATCH = 500
KEPT = 10_000  # decisions that may be kept from a look ahead; more are made again, batch by batch
ROUNDS = 3
PATIENCE_SECONDS = 120.0  # how long a pass waits for a scope that another process reads
REMOVALS = frozenset({"delete", "cancel", "unlink"})

MatchFn = "Callable[[str, int, Mapping[str, object]], Match]"


@dataclass(frozen=True, slots=True)
class Job:
    """What a pass works on: a mirror of an installed recipe with its accounts signed in.

    `context` makes the planner's context for a batch, given the matching function and what the
    scopes that could not be read are. `sources` and `targets` are the scopes of both sides.
    `fold` gives the key by which source records are put together, where the mirror folds. Each
    call that writes is made within `guard`. `stumbled` hears of a link that cannot be planned by
    a fault of ours, and the others go on; without it the fault is raised. `slots` is asked
    before a visit is placed in somebody's time, where overlaps are refused. `marked` is told of
    each link before it is worked on, and of 0 after it; they are then worked on one by one.
    `enough` is asked before each batch is begun, and tells whether the rest waits for another run.
    """

    recipe: int
    mirror: int
    store: Store
    hands: Mapping[int, Hand]
    sources: tuple[StoredScope, ...]
    targets: tuple[StoredScope, ...]
    kind: str
    match_names: tuple[str, ...]
    originates: frozenset[str]
    context: Callable[[Sequence[Link], object, frozenset[int]], Awaitable[Context]]
    now: Callable[[], datetime]
    budget: int | None = None
    fold: FoldKey | None = None
    slots: Slots | None = None
    guard: Guard = contextlib.nullcontext
    stumbled: Callable[[Link, Exception], Awaitable[None]] | None = None
    marked: Callable[[int], Awaitable[None]] | None = None
    enough: Callable[[], Awaitable[bool]] | None = None


def under(job: Job, held: Held) -> Job:
    """Return the job as whoever holds its lease does it: fenced, with each call in the lease."""
    return replace(job, store=held.store, guard=held.call)


@dataclass(slots=True)
class Report:
    """What a pass found and did: `steps` were planned, `done` were carried out.

    `stopped_accounts` were left alone, with the reason; those in `signed_out` need a sign-in.
    `due_since` is when the links became due whose writes are on their way. `cut` says that the
    rest waits for another run.
    """

    scopes: list[ScopeReport] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    done: list[Step] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Step, Outcome]] = field(default_factory=list)
    stops: tuple[Brake, ...] = ()
    stopped_accounts: dict[int, str] = field(default_factory=dict)
    signed_out: frozenset[int] = frozenset()
    due_since: dict[int, datetime | None] = field(default_factory=dict)
    cut: bool = False

    @property
    def waiting(self) -> frozenset[int]:
        """Scopes whose read failed."""
        return frozenset(report.scope for report in self.scopes if report.error)


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


async def adopt(job: Job, side: str) -> None:
    """Make links for the records of a side that have none, and bring folded ones together."""
    store, now = job.store, job.now()
    ids = [scope.id for scope in (job.sources if side == "source" else job.targets)]
    after = 0
    while job.fold is not None:
        after = await store.regroup(job.mirror, job.fold, at=now, after=after, limit=BATCH)
        if not after:
            break
    adopt_more = partial(store.adopt, job.mirror, side, ids, at=now, limit=BATCH, fold=job.fold)
    while await adopt_more() == BATCH:
        pass


async def planned(
    job: Job, waiting: frozenset[int], given: set[int], *, at: datetime, everything: bool = False
) -> AsyncIterator[list[Decision]]:
    """Yield decisions about the due links, a batch at a time; nothing is stored."""
    after = 0
    while True:
        links = await job.store.due(
            job.mirror, at=at, after=after, limit=BATCH, everything=everything
        )
        if not links:
            return
        after = links[-1].id
        # First what is in doubt, then the candidates: what another recipe makes meanwhile is then
        # in one of the two. So neither can be asked once for a whole pass.
        matcher = Matcher(job.match_names)
        matcher.given |= given
        ctx = await job.context(links, matcher.find, waiting)
        yield await _matched(job, links, ctx, matcher)
        given |= matcher.given
        if len(links) < BATCH:
            return


async def _matched(
    job: Job, links: Sequence[Link], ctx: Context, matcher: Matcher
) -> list[Decision]:
    """Plan links, matching each before anything is created for it.

    Candidates are looked up at once for those that surely need some, and for those that turn out
    to: they are planned again.
    """
    await _teach(job, matcher, [link for link in links if _is_bare(link)])
    with watch.span("plan", recipe=job.recipe, links=len(links)):
        decisions = await _decided(job, links, ctx)
    ids = {one.link.id for one in decisions if one.link.key in matcher.asked}
    if not ids:
        return decisions
    asking = [link for link in links if link.id in ids]
    await _teach(job, matcher, asking)
    final = {one.link.id: one for one in decisions if one.link.id not in ids}
    final |= {one.link.id: one for one in await _decided(job, asking, ctx)}
    return [final[link.id] for link in links if link.id in final]


async def _decided(job: Job, links: Sequence[Link], ctx: Context) -> list[Decision]:
    """Plan links. Where the job can tell of it, one that makes the planner fail stops no other."""
    if job.stumbled is None:
        return list(plan(links, ctx))
    decisions: list[Decision] = []
    for link in links:
        if job.marked is not None:
            await job.marked(link.id)
        try:
            decisions += plan([link], ctx)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is this link's alone
            await job.stumbled(link, error)
    if job.marked is not None:
        await job.marked(0)
    return decisions


async def planned_of(
    job: Job, links: Sequence[Link], waiting: frozenset[int], *, said: Mapping[str, str]
) -> list[Decision]:
    """Decide about these links, due or not; nothing is stored. `said` as in the context.

    What a person decided is not held by an overlap: its time was claimed.
    """
    matcher = Matcher(job.match_names)
    ctx = await job.context(links, matcher.find, waiting)
    overlaps = {key: text for key, text in ctx.overlaps.items() if key not in said}
    return await _matched(job, links, replace(ctx, said=said, overlaps=overlaps), matcher)


async def preview_originated(job: Job, waiting: frozenset[int], given: set[int]) -> list[Decision]:
    """Plan what the followers would originate, without making links of their records.

    `given` are the records that links of the source side would find as theirs.
    """
    decisions: list[Decision] = []
    after = 0
    scopes = [scope.id for scope in job.targets]
    while records := await job.store.unlinked(job.mirror, scopes, after=after, limit=BATCH):
        after = records[-1].id
        links = [_lonely(job.mirror, one) for one in records if one.id not in given]
        ctx = await job.context(links, Matcher(job.match_names).find, waiting)
        decisions += plan(links, ctx)
    return decisions


def _lonely(mirror: int, record: RecordRow) -> Link:
    end = End(
        id=record.id,
        side="target",
        account=record.account,
        scope=record.scope,
        external_id=record.external_id,
        state="live",
        shown=record.fields,
        version=record.version,
    )
    return Link(id=-record.id, mirror=mirror, key=f"new-{record.id}", ends=(end,))


def _is_bare(link: Link) -> bool:
    """Tell whether a link has no follower yet, or no source."""
    return not any(end.side == "target" and end.state == "live" for end in link.ends) or not any(
        end.side == "source" for end in link.ends
    )


async def _teach(job: Job, matcher: Matcher, links: Sequence[Link]) -> None:
    """Look up what these links may already have, in one query."""
    if not links:
        return
    shown = [end.shown for link in links for end in link.ends if end.state == "live"]
    keys = coarse_keys(shown, KINDS[job.kind].coarse)
    ids = [scope.id for scope in (*job.targets, *job.sources)]
    marks = [link.key for link in links]
    matcher.teach(marks, await job.store.candidates(job.mirror, ids, keys, marks))


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


async def perform(
    job: Job,
    run: int,
    report: Report,
    *,
    foreseen: list[list[Decision]] | None = None,
    progress: Callable[[Outcome, OpenStep], None] | None = None,
) -> None:
    """Plan, journal and perform in rounds, until nothing is due or three rounds have passed.

    The first round takes what was `foreseen`, if it is given, as planned: a link that changed
    since is left alone by the journal, and is due in the next pass. While a batch is being
    performed the next is planned, journalled and begun, so that no account waits for the last
    writes of a batch.
    """
    scopes = {scope.id: scope.scope for scope in (*job.sources, *job.targets)}

    def heard(outcome: Outcome, opened: OpenStep) -> None:
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

    performer = Performer(
        job.store,
        run,
        dict(job.hands),
        scopes,
        now=job.now,
        progress=heard,
        guard=job.guard,
        isolate=job.stumbled is not None,
        slots=job.slots,
    )
    for _ in range(ROUNDS):
        batches = _again(foreseen) if foreseen is not None else _plans(job, report)
        foreseen = None
        ready = _journalled(job, run, report, batches)
        if job.marked is None:
            await perform_together(performer, ready)
        else:
            await perform_one_by_one(performer, ready, job.marked)
        if report.cut or (not report.outcomes["conflict"] and not report.outcomes["gone"]):
            break
        if job.enough is not None:
            break  # scopes are read meanwhile: what is planned next is for the brakes first
    stopped = performer.stopped
    report.stopped_accounts = {key: error.says for key, error in stopped.items()}
    report.signed_out = frozenset(k for k, error in stopped.items() if isinstance(error, SignIn))


async def undo(job: Job, undone: int, run: int, report: Report) -> None:
    """Take back what a run did, as far as nobody changed it since.

    Reads the scopes first, so that what is compared is what is there now.
    """
    await observe(job, report)
    done: dict[int, list[Done]] = defaultdict(list)
    async for _, step, outcome in job.store.steps_of(undone):
        if outcome is not None and outcome.kind == "done":
            done[step.link].append(Done(step, outcome))
    scopes = {scope.id: scope.scope for scope in (*job.sources, *job.targets)}

    def heard(outcome: Outcome, opened: OpenStep) -> None:
        if outcome.kind == "done":
            report.done.append(opened.step)
        else:
            report.failures.append((opened.step, outcome))

    performer = Performer(
        job.store,
        run,
        dict(job.hands),
        scopes,
        now=job.now,
        progress=heard,
        guard=job.guard,
        isolate=job.stumbled is not None,
    )
    ids = list(done)
    for begin in range(0, len(ids), BATCH):
        links = await job.store.links(ids[begin : begin + BATCH])
        ctx = await job.context(links, Matcher(job.match_names).find, report.waiting)
        decisions = [plan_undo(link, done[link.id], undone, ctx) for link in links]
        opened = await job.store.journal(run, decisions, at=job.now())
        report.decisions.extend(decisions)
        report.steps.extend(one.step for one in opened)
        await performer.perform(opened)


def _plans(job: Job, report: Report) -> AsyncIterator[list[Decision]]:
    return planned(job, report.waiting, set(), at=job.now())


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
