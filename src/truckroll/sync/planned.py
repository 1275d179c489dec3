"""Links planned in bounded batches, each matched before anything is made for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from truckroll.kit import watch
from truckroll.model.records import KINDS
from truckroll.sync.context import no_match
from truckroll.sync.job import BATCH
from truckroll.sync.match import Matcher, coarse_keys
from truckroll.sync.plan import plan
from truckroll.sync.types import End, Link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from truckroll.sync.context import Context
    from truckroll.sync.job import Job
    from truckroll.sync.types import Decision, RecordRow


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
        matcher = Matcher(job.match_names, given)
        ctx = await job.context(links, matcher.find, waiting)
        yield await _matched(job, links, ctx, matcher)
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
        except Exception as error:  # noqa: BLE001 -- a fault of ours sets one link aside, logged
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
        ctx = await job.context(links, no_match, waiting)
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
