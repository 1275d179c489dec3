"""Freshness: how old the last complete read of every scope is, against what was promised.

A read proves what is there where it listed all, or followed the changes to their end from a
complete listing. A read that failed, or that never took place, proves nothing and makes nothing
younger.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.audit import audited
from truckroll.app.installed import load_all
from truckroll.app.polling import longest
from truckroll.app.systems import connector, scope_label
from truckroll.app.trouble import TroubleError, known
from truckroll.store.watch import AccountWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from truckroll.app.hub import Hub
    from truckroll.kit.contract import Connector
    from truckroll.store.watch import ScopeWatch

PROMISE = timedelta(minutes=15)
WINDOW = timedelta(minutes=5)  # the calls that a system's health is judged by
AGAIN = timedelta(minutes=2)  # a read that was set going is given so long to begin
_SHORTEST = timedelta(minutes=1)


class ScopeFresh(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh a scope is: `age_seconds` is None while nothing was ever proven.

    `late` says that the promise is broken, `stopped` that nobody even tried to read for as long.
    """

    scope: int
    label: str
    age_seconds: int | None
    tried_seconds: int | None
    late: bool
    stopped: bool
    live: int
    evidence: str
    error: str
    error_code: str
    emptied: int
    restarted_at: datetime | None = None


class AccountFresh(msgspec.Struct, frozen=True, kw_only=True):
    """An account with its scopes that are in use, and its calls of the last minutes."""

    name: str
    title: str
    system: str
    promise_seconds: int
    scopes: list[ScopeFresh]
    watch: AccountWatch

    @property
    def oldest(self) -> ScopeFresh | None:
        """The scope that was proven longest ago; None where none is in use."""
        return max(
            self.scopes,
            key=lambda one: float("inf") if one.age_seconds is None else one.age_seconds,
            default=None,
        )

    @property
    def late(self) -> list[ScopeFresh]:
        """The scopes whose promise is broken."""
        return [one for one in self.scopes if one.late]

    @property
    def trouble(self) -> str:
        """What ended the last read of a scope, "" where all went well."""
        return next((one.error for one in self.scopes if one.error), "")

    def needs(self, code: str) -> bool:
        """Tell whether the last read of a scope ended with an error of this code."""
        return any(one.error_code == code for one in self.scopes)


async def expect(hub: Hub) -> None:
    """Say which scopes are to be read: those of the installed recipes.

    A recipe that cannot be loaded leaves everything as it was.
    """
    scopes: set[int] = set()
    try:
        everything = await load_all(hub)
    except (TroubleError, ValueError):
        return
    for installed in everything.values():
        if isinstance(installed, str):
            return
        scopes |= {one.id for one in (*installed.sources, *installed.targets)}
    await hub.store.expect(scopes, at=hub.now())


async def fresh(hub: Hub) -> list[AccountFresh]:
    """Return how fresh every account is, by name."""
    now = hub.now()
    accounts = await hub.store.account_watches(since=now - WINDOW, at=now)
    by_account: dict[int, list[ScopeWatch]] = defaultdict(list)
    for one in await hub.store.scope_watches():
        by_account[one.account].append(one)
    return [account_fresh(one, by_account[one.id], now) for one in accounts]


def account_fresh(
    account: AccountWatch, scopes: Sequence[ScopeWatch], now: datetime
) -> AccountFresh:
    """Return how fresh an account is at an instant. Pure."""
    speaks = connector(account.system)
    seconds = account.promise_seconds or int(usual_promise(speaks).total_seconds())
    return AccountFresh(
        name=account.name,
        title=speaks.title,
        system=account.system,
        promise_seconds=seconds,
        scopes=[
            _scope_fresh(one, account.system, timedelta(seconds=seconds), now) for one in scopes
        ],
        watch=account,
    )


def usual_promise(speaks: Connector) -> timedelta:
    """Return how old a system's reads may grow, where nobody said so.

    That is a quarter of an hour, or twice the time between two reads where that is more.
    """
    return max(PROMISE, 2 * longest(speaks))


def _scope_fresh(watch: ScopeWatch, system: str, promise: timedelta, now: datetime) -> ScopeFresh:
    late = now - (watch.proven_at or watch.since) > promise
    return ScopeFresh(
        scope=watch.scope,
        label=scope_label(system, watch.title),
        age_seconds=_seconds(watch.proven_at, now),
        tried_seconds=_seconds(watch.tried_at, now),
        late=late,
        stopped=late and now - (watch.tried_at or watch.since) > promise,
        live=watch.live,
        evidence=watch.evidence,
        error=watch.error,
        error_code=watch.error_code,
        emptied=watch.emptied,
        restarted_at=watch.restarted_at,
    )


def _seconds(at: datetime | None, now: datetime) -> int | None:
    return None if at is None else max(0, round((now - at).total_seconds()))


async def restart_stopped(
    hub: Hub, accounts: Sequence[AccountFresh], restart: Callable[[Sequence[int]], Awaitable[None]]
) -> list[int]:
    """Set going again the reads of scopes that nobody even tried to read in time.

    A read that was tried and failed is not hurried: its own pauses are being kept. `restart`
    makes scopes due; the scopes are returned.
    """
    now = hub.now()
    scopes = [
        one.scope
        for account in accounts
        for one in account.scopes
        if one.stopped and (one.restarted_at is None or now - one.restarted_at >= AGAIN)
    ]
    if scopes:
        await restart(scopes)
        await hub.store.restarted(scopes, at=now)
    return scopes


@audited("promise", "name", "length")
async def promise(hub: Hub, name: str, length: timedelta | None) -> None:
    """Set an account's promise, None for its system's own; raises TroubleError."""
    if length is not None and length < _SHORTEST:
        raise TroubleError("a promise of less than a minute cannot be kept", usage=True)
    accounts = {one.name: one.id for one in await hub.store.accounts()}
    if name not in accounts:
        raise known(name, list(accounts), "account")
    await hub.store.promise(accounts[name], length, at=hub.now())


def ago(seconds: float) -> str:
    """Return how long ago something was, as people say it."""
    return "just now" if seconds < 60 else f"{length(seconds)} ago"  # noqa: PLR2004 -- a minute


def length(seconds: float) -> str:
    """Return a length of time as people say it: 40 s, 5 min, 3 h, 2 days."""
    for unit, size, least in (("days", 86400, 2), ("h", 3600, 2), ("min", 60, 1)):
        if seconds >= least * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def count(number: int, word: str) -> str:
    """Return a number with its word: 1 call, 2 calls, 1,204 calls."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")
