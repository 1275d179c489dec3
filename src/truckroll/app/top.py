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


class TopView(msgspec.Struct, frozen=True, kw_only=True):
    """The hub at an instant."""

    at: datetime
    accounts: list[AccountLine]
    waiting: Waiting
    alerts: list[Alert]


async def top(hub: Hub) -> TopView:
    """Return the hub at a glance."""
    await freshness.expect(hub)
    now = hub.now()
    return TopView(
        at=now,
        accounts=[_line(one) for one in await freshness.fresh(hub)],
        waiting=await hub.store.backlog(),
        alerts=await hub.store.alerts(at=now),
    )


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
