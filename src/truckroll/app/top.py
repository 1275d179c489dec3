"""The hub at a glance: freshness against its promise, what waits, calls, the last trouble."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from truckroll.app import freshness
from truckroll.app.freshness import AccountFresh, ago, length
from truckroll.store.alerts import Alert
from truckroll.store.watch import Waiting

if TYPE_CHECKING:
    from truckroll.app.hub import Hub


class AccountLine(msgspec.Struct, frozen=True, kw_only=True):
    """An account at a glance. `age_seconds` is that of its oldest proven read, None for never.

    `answered` and `failed` are its calls of the last five minutes. `well` sums it up.
    """

    name: str
    title: str
    well: bool
    age_seconds: int | None
    promise_seconds: int
    scopes: int
    late: int
    records: int
    answered: int
    paused: int
    failed: int
    shown: str
    trouble: str


class RecipeLine(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe that is at work or paused: `done` writes of `planned` in its run `run` (0: none)."""

    name: str
    paused: bool
    run: int = 0
    done: int = 0
    planned: int = 0


class TopView(msgspec.Struct, frozen=True, kw_only=True):
    """The hub at an instant."""

    at: datetime
    accounts: list[AccountLine]
    waiting: Waiting
    alerts: list[Alert]
    recipes: list[RecipeLine] = []


async def top(hub: Hub) -> TopView:
    """Return the hub at a glance."""
    await freshness.expect(hub)
    now = hub.now()
    return TopView(
        at=now,
        accounts=[_line(one) for one in await freshness.fresh(hub)],
        waiting=await hub.store.backlog(),
        alerts=await hub.store.alerts(at=now),
        recipes=await _recipes(hub),
    )


async def _recipes(hub: Hub) -> list[RecipeLine]:
    lines = []
    for row in await hub.store.recipes():
        run = next(iter(await hub.store.runs(row.id, limit=1)), None)
        working = run is not None and run.ended_at is None and "planned" in run.summary
        if run is not None and working:
            line = RecipeLine(
                name=row.name,
                paused=row.paused_at is not None,
                run=run.id,
                done=run.done,
                planned=int(run.summary["planned"]),
            )
            lines.append(line)
        elif row.paused_at is not None:
            lines.append(RecipeLine(name=row.name, paused=True))
    return lines


def says_works(line: RecipeLine) -> str:
    """Return what a recipe is doing: `412 of 3,000 writes done`, `paused`."""
    parts = [f"{line.done:,} of {line.planned:,} writes done"] if line.run else []
    return ", ".join([*parts, *(["paused"] if line.paused else [])])


def _line(account: AccountFresh) -> AccountLine:
    oldest = account.oldest
    watch = account.watch
    return AccountLine(
        name=account.name,
        title=account.title,
        well=not account.late and not account.trouble,
        age_seconds=None if oldest is None else oldest.age_seconds,
        promise_seconds=account.promise_seconds,
        scopes=len(account.scopes),
        late=len(account.late),
        records=sum(one.live for one in account.scopes),
        answered=watch.answered,
        paused=watch.paused,
        failed=watch.failed,
        shown=oldest.evidence if oldest is not None else "",
        trouble=account.trouble,
    )


def says_age(line: AccountLine) -> str:
    """Return how fresh an account is against its promise: `2 min ago of 15 min`."""
    if not line.scopes:
        return "not in use"
    age = "never read" if line.age_seconds is None else ago(line.age_seconds)
    return f"{age} of {length(line.promise_seconds)}"
