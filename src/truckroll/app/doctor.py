"""Doctor: whether everything works that a recipe needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from truckroll.app import accounts, freshness, people
from truckroll.app.backup import last_saved
from truckroll.app.freshness import AccountFresh, ago, count, length
from truckroll.app.installed import load_installed
from truckroll.app.trouble import TroubleError
from truckroll.app.views import called
from truckroll.model.records import as_text
from truckroll.store.embedded import URL_VARIABLE

if TYPE_CHECKING:
    from truckroll.app.hub import Hub
    from truckroll.store.accounts import Account

_SHOWN = 5


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """One check: what was looked at, whether it is well, what was found, and what to do."""

    what: str
    well: bool
    says: str
    act: str = ""


async def doctor(hub: Hub) -> list[CheckView]:
    """Look at the database, sign in to every account, and check every installed recipe."""
    checks = [await _database(hub), *await _clocks(hub)]
    fresh = {one.name: one for one in await freshness.fresh(hub)}
    accounts_known = await hub.store.accounts()
    checks += [await _account(hub, account, fresh[account.name]) for account in accounts_known]
    if not accounts_known:
        says, act = "none yet", "truckroll account add NAME --system caldav --url … --user …"
        checks.append(CheckView(what="accounts", well=False, says=says, act=act))
    rows = await hub.store.recipes()
    if not rows:
        act = "truckroll recipe install appointments-to-calendars --from ACCOUNT --to ACCOUNT"
        checks.append(CheckView(what="recipes", well=False, says="none is installed", act=act))
    for row in rows:
        checks += await _recipe(hub, row.name)
    return checks


async def _database(hub: Hub) -> CheckView:
    version, size = await hub.store.database()
    kind = "by TRUCKROLL_DATABASE" if os.environ.get(URL_VARIABLE) else "embedded"
    saved = last_saved(hub.home)
    kept = f"backed up {ago((hub.now() - saved).total_seconds())}" if saved else "never backed up"
    says = f"PostgreSQL {version}, {kind}, {round(size / 1_000_000)} MB, {kept}"
    return CheckView(what="database", well=True, says=says)


async def _clocks(hub: Hub) -> list[CheckView]:
    """Tell which future visits begin at another instant since the rules of the clocks changed."""
    moved = await hub.store.moved_instants(now=hub.now())
    if not moved:
        return []
    told = [
        f"{called(as_text(one.fields.get('number')), as_text(one.fields.get('title')))},"
        f" {as_text(one.fields.get('when'), zone_shown=True)}: {one.was:%H:%M} →"
        f" {one.begins:%H:%M} UTC"
        for one in moved[:_SHOWN]
    ]
    more = f"; and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
    says = (
        f"the rules of the clocks changed: {count(len(moved), 'future visit')} with the same time"
        f" of day begin at another instant: {'; '.join(told)}{more}"
    )
    act = "truckroll plan, and if that is right  truckroll upgrade"
    return [CheckView(what="time zones", well=False, says=says, act=act)]


async def _account(hub: Hub, account: Account, known: AccountFresh) -> CheckView:
    title = f"{account.name} ({known.title})"
    test = f"truckroll account test {account.name}"
    try:
        view = await accounts.refresh(hub, account.name)
    except TroubleError as error:
        return CheckView(what=title, well=False, says=error.says, act=test)
    parts = f"signed in, {count(len(view.scopes), 'part')}"
    scopes = await hub.store.scopes(account.id)
    reads = [one.complete_at for one in scopes if one.complete_at is not None]
    if not reads:
        return CheckView(what=title, well=True, says=f"{parts}, not read yet")
    ages = [one.age_seconds for one in known.scopes if one.age_seconds is not None]
    age = ago(max(ages, default=(hub.now() - min(reads)).total_seconds()))
    promise = f"promise {length(known.promise_seconds)}"
    if known.late:
        why = f": {known.trouble}" if known.trouble else ""
        says = f"signed in, but the last complete read was {age}, {promise}{why}"
        return CheckView(what=title, well=False, says=says, act="truckroll apply")
    live = sum(one.live for one in scopes)
    says = f"{parts}, {count(live, 'record')}, last complete read {age} ({promise})"
    return CheckView(what=title, well=True, says=says)


async def _recipe(hub: Hub, name: str) -> list[CheckView]:
    try:
        installed = await load_installed(hub, name)
    except (TroubleError, ValueError) as error:
        act = f"truckroll recipe show {name}"
        return [CheckView(what=name, well=False, says=str(error), act=act)]
    scopes = [one.id for one in (*installed.sources, *installed.targets)]
    unreadable = await hub.store.unreadable(scopes)
    held = {link.id for link, _, _ in await hub.store.holds(installed.row.id)}
    last = await hub.store.runs(installed.row.id, limit=1)
    ran = (
        f"last run {ago((hub.now() - last[0].started_at).total_seconds())}"
        if last
        else "no run yet"
    )
    says = f"version {installed.row.version}, {ran}, {count(len(held), 'record')} held"
    says += f", {len(unreadable):,} unreadable" if unreadable else ""
    act = "truckroll holds" if held or unreadable else ""
    checks = [CheckView(what=name, well=not unreadable, says=says, act=act)]
    missing = await people.unmapped(hub, installed) if installed.mirror.per else []
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        names = ", ".join(missing[:_SHOWN]) + more
        says = f"nobody said which calendar is whose: {names}"
        act = "truckroll people suggest"
        checks.append(CheckView(what="people", well=False, says=says, act=act))
    elif installed.mirror.per:
        says = f"{count(len(installed.people), 'calendar')} of people are known"
        checks.append(CheckView(what="people", well=True, says=says))
    return checks
