"""What the clock makes due: new scopes, rows of the timetable, reconciles, links of their time."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from truckroll.app.polling import PUSHED
from truckroll.app.systems import connector
from truckroll.app.trouble import TroubleError
from truckroll.errands.timetable import next_instant
from truckroll.kit.errors import SignIn
from truckroll.store.trouble import DatabaseTrouble

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.app.resident import Known, Resident
    from truckroll.store.due import DueDesk
    from truckroll.store.timetable import TimetableRow

RECONCILED = timedelta(hours=24)  # a scope is read completely at least so often
LOOK_FOR_STALE = timedelta(minutes=5)
SHARE = 0.05  # of the calls of a day that complete reads by the clock may take
CALLS_A_DAY = 86_400  # where an account's system does not say how many it allows
MOST_ROWS = 100
MOST_STALE = 20
log = logging.getLogger(__name__)


class Agenda:
    """Makes due, over all tenants, what nobody's happening makes due. One tick at a time asks."""

    def __init__(self, resident: Resident, desk: DueDesk) -> None:
        self._resident = resident
        self._desk = desk
        self._stale_at: datetime | None = None

    async def look(self) -> None:
        """Take up what was installed or changed, and the rows whose instant has come."""
        for tenant in await self._desk.restless():
            with _others_go_on(tenant):
                async with self._resident.known(tenant) as known:
                    await known.hub.store.watch(
                        sorted(known.scopes),
                        known.settings,
                        at=self._resident.now(),
                        signed_out=SignIn.code,
                    )
        now = self._resident.now()
        for tenant, row in await self._desk.rows(at=now, most=MOST_ROWS):
            with _others_go_on(tenant):
                async with self._resident.known(tenant) as known:
                    await run_row(known, row, now)

    async def sweep(self) -> None:
        """Take up links whose time has come, and now and then scopes that were long not read."""
        now = self._resident.now()
        for tenant, recipe in await self._desk.loose_recipes():
            await self._resident.hub(tenant).store.make_recipes_due([recipe], at=now)
        if self._stale_at is not None and now < self._stale_at:
            return
        self._stale_at = now + LOOK_FOR_STALE
        for tenant in await self._desk.tenants():
            with _others_go_on(tenant):
                async with self._resident.known(tenant) as known:
                    await reconcile_stale(known, now)

    async def jumped(self) -> None:
        """After a leap of the wall clock: what the old time put far ahead comes when it should."""
        now = self._resident.now()
        self._stale_at = None
        for tenant in await self._desk.tenants():
            store = self._resident.hub(tenant).store
            await store.clamp_due(at=now, longest=int(PUSHED.total_seconds()))
            for row in await store.timetable():
                nearest = next_instant(row.kind, row.spec, row.zone, now)
                if row.next_at > nearest:
                    note = f"put right after a leap of the clock; it was {row.next_at:%d %b %H:%M}"
                    at = row.last_at or now
                    await store.row_ran(row, at=at, next_at=nearest, note=note)


@contextmanager
def _others_go_on(tenant: int) -> Iterator[None]:
    """Let what is wrong with one tenant be its own: it is logged, and looked at again."""
    try:
        yield
    except Exception:
        log.exception("the agenda of tenant %s could not be worked out", tenant)


async def run_row(known: Known, id_: int, now: datetime) -> None:
    """Let a row of the timetable happen once, however many of its instants have passed."""
    store = known.hub.store
    rows = await store.timetable(id_)
    if not rows:
        return
    (row,) = rows
    next_at = next_instant(row.kind, row.spec, row.zone, now)
    installed = known.installed.get(row.recipe)
    if installed is None:
        await store.row_ran(row, at=now, next_at=next_at, note="skipped: the recipe does not work")
        return
    if await _still_going(known.hub, installed, row):
        note = f"skipped at {_wall(row.next_at)}: the run before was still going"
        await store.row_ran(row, at=row.last_at or now, next_at=next_at, note=note)
        return
    missed = next_instant(row.kind, row.spec, row.zone, row.next_at)
    note = "once for several instants that passed while nothing ran" if missed <= now else ""
    if await store.row_ran(row, at=now, next_at=next_at, note=note):
        await store.make_due(_scopes(installed), at=now, whole=row.act == "reconcile")


async def _still_going(hub: Hub, installed: Installed, row: TimetableRow) -> bool:
    if row.last_at is None:
        return False
    agendas = await hub.store.scope_agendas(_scopes(installed))
    return any(
        one.tried_at is None or one.tried_at < row.last_at
        for one in agendas.values()
        if one.due_at is not None and not one.failures
    )


async def reconcile_stale(known: Known, now: datetime) -> None:
    """Let scopes be read completely that were not for long, within their accounts' budgets."""
    store = known.hub.store
    left: dict[int, int] = {}
    for scope, account in await store.stale(before=now - RECONCILED, most=MOST_STALE):
        if account not in left:
            left[account] = await _budget(known, account) - await store.spent(account, now.date())
        if left[account] > 0:
            await store.make_due([scope], at=now, whole=True)


async def _budget(known: Known, account: int) -> int:
    """Return how many calls of a day an account's complete reads may take."""
    for recipe in known.installed.values():
        named = recipe.accounts.get(account)
        if named is None:
            continue
        try:
            whole = await known.hub.store.account(named.name)
            assert whole is not None
            pace = connector(whole.system).transport({**whole.settings, **whole.secrets}).pace
        except (TroubleError, DatabaseTrouble):
            return 0
        allowed = pace.per_second * 86_400 if pace.per_second else CALLS_A_DAY
        return int(allowed * SHARE)
    return 0


def _scopes(installed: Installed) -> list[int]:
    return [one.id for one in (*installed.sources, *installed.targets)]


def _wall(at: datetime) -> str:
    return f"{at.astimezone():%H:%M}"
