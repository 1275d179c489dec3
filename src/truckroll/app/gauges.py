"""The metrics that are asked of the database when they are scraped."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge

from truckroll.app.freshness import WINDOW, AccountFresh, account_fresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from truckroll.store.open import Stores
    from truckroll.store.watch import ScopeWatch

MOST_SCOPES = 1000  # beyond so many, the lag is told per account alone
MOST_TENANTS = 200  # beyond so many, tenants are told together
_FRESH = timedelta(seconds=10)  # the database is asked no oftener
_NEVER = float("inf")


class Gauges:
    """Levels of the whole hub: lag, backlog, held, dead letters, alerts, the database's pool."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], datetime]) -> None:
        self._now = now
        self._looked_at: datetime | None = None
        self._one = asyncio.Lock()

        def gauge(name: str, says: str, *labels: str) -> Gauge:
            return Gauge(f"truckroll_{name}", says, labels, registry=registry)

        account = ("tenant", "account", "system")
        self._lag = gauge("lag_seconds", "Age of an account's oldest complete read", *account)
        self._read = gauge("read_age_seconds", "Age of an account's oldest try to read", *account)
        self._promise = gauge("promise_seconds", "How old they may grow", *account)
        self._scope_lag = gauge(
            "scope_lag_seconds", "Age of a scope's last complete read", "tenant", "scope"
        )
        self._late = gauge("scopes_late", "Scopes whose promise is broken", "tenant")
        self._due = gauge("backlog", "Links that are due", "tenant")
        self._held = gauge("held", "Links that are held", "tenant")
        self._dead = gauge("dead_letters", "Links held until somebody does something", "tenant")
        self._alerts = gauge("alerts", "Alerts that are open", "tenant")
        self._pool = gauge("db_pool", "Connections to the database", "state")

    async def look(self, stores: Stores) -> None:
        """Bring the levels up to date; at most every ten seconds, and never twice at once."""
        async with self._one:
            now = self._now()
            if self._looked_at is not None and now - self._looked_at < _FRESH:
                return
            self._looked_at = now
            await self._ask(stores, now)

    async def _ask(self, stores: Stores, now: datetime) -> None:
        tenants = await stores.tenants()
        together = len(tenants) > MOST_TENANTS
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        accounts: list[tuple[str, AccountFresh]] = []
        for tenant in tenants:
            store, label = stores.of(tenant), "" if together else str(tenant)
            scopes: dict[int, list[ScopeWatch]] = defaultdict(list)
            for one in await store.scope_watches():
                scopes[one.account].append(one)
            found = [
                account_fresh(one, scopes[one.id], now)
                for one in await store.account_watches(since=now - WINDOW, at=now)
            ]
            accounts += [(label, one) for one in found if one.scopes]
            waiting, alerts = await store.backlog(), await store.alerts(at=now)
            late = sum(len(one.late) for one in found)
            more = (waiting.due, waiting.held, waiting.dead, len(alerts), late)
            sums[label] = [have + new for have, new in zip(sums[label], more, strict=True)]
        for label, numbers in sums.items():
            gauges = (self._due, self._held, self._dead, self._alerts, self._late)
            for gauge, number in zip(gauges, numbers, strict=True):
                gauge.labels(label).set(number)
        self._ages(accounts, together=together)
        for state, number in stores.pool.get_stats().items():
            if state in {"pool_size", "pool_available", "requests_waiting"}:
                self._pool.labels(state).set(number)

    def _ages(self, accounts: list[tuple[str, AccountFresh]], *, together: bool) -> None:
        """Tell ages anew: what is not there any more has none."""
        for gauge in (self._lag, self._read, self._promise, self._scope_lag):
            gauge.clear()
        single = sum(len(one.scopes) for _, one in accounts) <= MOST_SCOPES
        for tenant, account in accounts:
            if together:
                continue
            labels = (tenant, account.name, account.system)
            ages = [_age(one.age_seconds) for one in account.scopes]
            self._lag.labels(*labels).set(max(ages))
            self._read.labels(*labels).set(max(_age(one.tried_seconds) for one in account.scopes))
            self._promise.labels(*labels).set(account.promise_seconds)
            for one, age in zip(account.scopes, ages, strict=True):
                if single:
                    self._scope_lag.labels(tenant, str(one.scope)).set(age)


def _age(seconds: int | None) -> float:
    return _NEVER if seconds is None else seconds
