"""The timetable: list, set, remove; how often an account is read; and "now"."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.audit import audited
from truckroll.app.holds import waiting
from truckroll.app.installed import load_installed
from truckroll.app.trouble import TroubleError, known
from truckroll.errands.timetable import next_instant
from truckroll.model.time import zone_info
from truckroll.store.timetable import TimetableRow

if TYPE_CHECKING:
    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed

_LOOK_SECONDS = 0.2
_STARTS_WITHIN = 15.0  # a worker takes what is due long before


class RowView(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the timetable as people see it; instants are aware."""

    id: int
    recipe: str
    act: str
    kind: str
    spec: str
    zone: str
    person: str
    next_at: datetime
    last_at: datetime | None
    note: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """When something was asked for (aware UTC), and the recipe's last run before."""

    at: datetime
    run: int = 0


class NowView(msgspec.Struct, frozen=True, kw_only=True):
    """What came of reading a recipe's scopes now: problems are sentences, `runs` those it took.

    `asked` tells when it was asked for, `done` whether all of it is done; `held` counts records.
    """

    recipe: str
    asked: Asked
    done: bool
    scopes: int
    writes: int
    failed: int
    held: int
    problems: list[str]
    runs: list[int]
    seconds: float


async def listed(hub: Hub) -> list[RowView]:
    """Return the rows, the next one first."""
    names = {row.id: row.name for row in await hub.store.recipes()}
    return [
        RowView(
            id=row.id,
            recipe=names.get(row.recipe, "a removed recipe"),
            act=row.act,
            kind=row.kind,
            spec=row.spec,
            zone=row.zone,
            person=row.person,
            next_at=row.next_at,
            last_at=row.last_at,
            note=row.note,
        )
        for row in await hub.store.timetable()
    ]


@audited("timetable.set", "recipe", "kind", "spec", "act", "zone", "person")
async def put(
    hub: Hub,
    recipe: str,
    kind: str,
    spec: str,
    *,
    act: str = "read",
    zone: str = "",
    person: str = "",
) -> RowView:
    """Add a row in the company's zone, or in the given one; raises TroubleError."""
    installed = await load_installed(hub, recipe)
    try:
        where = str(zone_info(zone or installed.zone))
        next_at = next_instant(kind, spec, where, hub.now())
    except (ValueError, KeyError) as error:
        says = str(error) if isinstance(error, ValueError) else f"“{zone}” is no IANA zone"
        raise TroubleError(says, usage=True) from error
    row = TimetableRow(
        id=0,
        recipe=installed.row.id,
        act=act,
        kind=kind,
        spec=spec,
        zone=where,
        person=person,
        next_at=next_at,
    )
    id_ = await hub.store.put_row(row)
    return next(one for one in await listed(hub) if one.id == id_)


@audited("timetable.remove", "id_")
async def remove(hub: Hub, id_: int) -> None:
    """Take a row out; raises TroubleError where there is none."""
    if not await hub.store.remove_row(id_):
        raise TroubleError(f"the timetable has no row {id_}:  truckroll timetable list", usage=True)


@audited("timetable.every", "account", "seconds")
async def set_poll(hub: Hub, account: str, seconds: int | None) -> int:
    """Say how often an account's scopes are read at least; return how many scopes it has."""
    rows = {one.name: one for one in await hub.store.accounts()}
    if account not in rows:
        raise known(account, list(rows), "account")
    await hub.store.set_poll(rows[account].id, seconds, at=hub.now())
    return len(await hub.store.scopes(rows[account].id))


async def now(hub: Hub, recipe: str = "", *, whole: bool = False, patience: float = 600) -> NowView:
    """Let a recipe's scopes be read now by a process that is up, and wait for what comes of it.

    Raises TroubleError where nothing takes it up, or it is not done in time.
    """
    asked = await ask(hub, recipe, whole=whole)
    view = await come_of(hub, recipe, asked, patience=patience)
    if not view.done:
        raise TroubleError(
            f"It is not done after {timedelta(seconds=int(view.seconds))}; it goes on by itself."
        )
    return view


@audited("now", "recipe", "whole")
async def ask(hub: Hub, recipe: str = "", *, whole: bool = False) -> Asked:
    """Let a recipe's scopes be read as soon as a process that is up gets to it.

    Returns when that was asked for, by which `come_of` tells what came of it.
    """
    installed = await load_installed(hub, recipe)
    last = await hub.store.runs(installed.row.id, limit=1)
    asked = Asked(at=hub.now(), run=last[0].id if last else 0)
    await hub.store.make_due(_scopes(installed), at=asked.at, whole=whole)
    return asked


async def come_of(hub: Hub, recipe: str, asked: Asked, *, patience: float = 0) -> NowView:
    """Return what came of what was asked for, once it is done, or as it is after `patience` s.

    Raises TroubleError where nothing takes it up.
    """
    installed = await load_installed(hub, recipe)
    scopes = _scopes(installed)
    began = time.monotonic()
    before = max(0.0, (hub.now() - asked.at).total_seconds())  # another process may have asked
    while not (done := await _done(hub, installed, scopes, asked.at)):
        waited = before + time.monotonic() - began
        if waited > _STARTS_WITHIN and not await _begun(hub, scopes, asked.at):
            raise TroubleError(
                "Nobody does it: no process of the hub is up. Start one with  truckroll up  or do"
                " it here with  truckroll apply"
            )
        if time.monotonic() - began >= patience:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return await _view(hub, installed, scopes, asked, done=done)


def _scopes(installed: Installed) -> list[int]:
    return [one.id for one in (*installed.sources, *installed.targets)]


async def _begun(hub: Hub, scopes: list[int], asked: datetime) -> bool:
    agendas = await hub.store.scope_agendas(scopes)
    return any(one.tried_at and one.tried_at >= asked for one in agendas.values())


async def _done(hub: Hub, installed: Installed, scopes: list[int], asked: datetime) -> bool:
    agendas = await hub.store.scope_agendas(scopes)
    if not all(one.tried_at and one.tried_at >= asked for one in agendas.values()):
        return False
    agenda = await hub.store.recipe_agenda(installed.row.id)
    return agenda.due_at is None or agenda.due_at > hub.now()


async def _view(
    hub: Hub, installed: Installed, scopes: list[int], asked: Asked, *, done: bool
) -> NowView:
    runs = [one for one in await hub.store.runs(installed.row.id) if one.id > asked.run]
    agendas = await hub.store.scope_agendas(scopes)
    agenda = await hub.store.recipe_agenda(installed.row.id)
    troubles = [one.trouble for one in agendas.values() if one.failures]
    troubles += agenda.trouble.splitlines()
    held = await waiting(hub, installed.row.name)
    return NowView(
        recipe=installed.row.name,
        asked=asked,
        done=done,
        scopes=len(scopes),
        writes=sum(one.summary.get("writes", 0) for one in runs),
        failed=sum(one.summary.get("failed", 0) for one in runs) + len(troubles),
        held=len({(one.hold.ref, one.hold.title) for one in held}),
        problems=list(dict.fromkeys(troubles)),
        runs=[one.id for one in runs],
        seconds=round(max(0.0, (hub.now() - asked.at).total_seconds()), 3),
    )
