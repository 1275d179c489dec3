"""The agenda in the in-memory twin: what is due, and when; `truckroll.store.due` in small."""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.store.due import TRIES, RecipeAgenda, ScopeAgenda, is_open_again
from truckroll.store.memory import MemoryStore
from truckroll.sync.leases import LEASE_SECONDS
from truckroll.sync.types import Hold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import date, datetime

    from truckroll.kit.contract import Page, Scope
    from truckroll.model.records import Fields
    from truckroll.store.pushes import Kept
    from truckroll.sync.ports import PageResult, StoredScope
    from truckroll.sync.read import ScopeReport
    from truckroll.sync.types import RecordRow

_NEWS = ("new", "changed", "gone", "unreadable")
_replace = msgspec.structs.replace


class MemoryDue(MemoryStore):
    """The twin with its agenda, and with the pushes that make scopes due.

    `woken` is called whenever something becomes due, as the database's notification is sent.
    """

    def __init__(self, *, recipe: int = 1, mirror: int = 1) -> None:
        super().__init__()
        self.woken: Callable[[], None] = lambda: None
        self.recipe, self.mirror = recipe, mirror
        self.scope_rows: dict[int, ScopeAgenda] = {}
        self.recipe_rows: dict[int, RecipeAgenda] = {recipe: RecipeAgenda()}
        self.stirred: set[int] = set()
        self.tries: dict[int, int] = {}
        self.spendings: dict[tuple[int, date], int] = {}
        self.pushes: dict[bytes, int] = {}
        self.settings_count, self.watched = 1, 0

    def put_scope(self, account: int, scope: Scope) -> StoredScope:
        """Add a scope that is not read yet."""
        stored = super().put_scope(account, scope)
        self.scope_rows[stored.id] = ScopeAgenda()
        return stored

    # What becomes due

    async def make_due(self, scopes: Sequence[int], *, at: datetime, whole: bool = False) -> None:
        """Let scopes be read at an instant, or sooner if that was to be."""
        for id_ in scopes:
            row = self.scope_rows[id_]
            self.scope_rows[id_] = _replace(
                row, due_at=_sooner(row.due_at, at), asked=row.asked + 1, whole=row.whole or whole
            )
        self.woken()

    def doubt_scope(self, scope: int, at: datetime) -> None:
        """Let a scope that is read be read whole."""
        row = self.scope_rows[scope]
        due_at = None if row.due_at is None else min(row.due_at, at)
        self.scope_rows[scope] = _replace(row, whole=True, asked=row.asked + 1, due_at=due_at)
        self.woken()

    async def make_recipes_due(self, recipes: Sequence[int], *, at: datetime) -> None:
        """Let recipes be settled at an instant, or sooner if that was to be."""
        for id_ in recipes:
            row = self.recipe_rows[id_]
            self.recipe_rows[id_] = _replace(
                row, due_at=_sooner(row.due_at, at), asked=row.asked + 1
            )
        self.woken()

    async def keep_push(self, delivery: bytes, scopes: Sequence[int], *, at: datetime) -> Kept:
        """Keep a push once and make its scopes due; scopes that are not read are left alone."""
        if delivery in self.pushes:
            self.pushes[delivery] += 1
            return "doubled"
        self.pushes[delivery] = 0
        await self.make_due([id_ for id_ in scopes if self.scope_rows[id_].due_at], at=at)
        return "new"

    async def put_off(self, what: str, id_: int, *, at: datetime) -> None:
        """Let a `scope` or `recipe` that is due wait until an instant."""
        if what == "scope":
            scope = self.scope_rows[id_]
            if scope.due_at is not None and scope.due_at < at:
                self.scope_rows[id_] = _replace(scope, due_at=at)
        else:
            recipe = self.recipe_rows[id_]
            if recipe.due_at is not None and recipe.due_at < at:
                self.recipe_rows[id_] = _replace(recipe, due_at=at)

    # How reads and settlings went

    async def scope_agenda(self, scope: int) -> ScopeAgenda:
        """Return when a scope is read."""
        known = self.scopes[scope].complete_at is not None
        return _replace(self.scope_rows[scope], known=known)

    async def scope_agendas(self, scopes: Sequence[int]) -> dict[int, ScopeAgenda]:
        """Return when scopes are read, by id."""
        return {id_: await self.scope_agenda(id_) for id_ in scopes if id_ in self.scope_rows}

    async def scope_read(
        self,
        scope: int,
        before: ScopeAgenda,
        *,
        at: datetime,
        next_at: datetime | None,
        complete: bool = False,
        failures: int = 0,
        trouble: str = "",
        code: str = "",
        emptied: int = 0,
        recipes: Sequence[int] = (),
    ) -> None:
        """Note how a read went and when the next is due."""
        row = self.scope_rows[scope]
        unasked = row.asked == before.asked
        self.scope_rows[scope] = _replace(
            row,
            due_at=next_at if unasked else row.due_at,
            whole=row.whole and not (unasked and complete),
            failures=failures,
            trouble=trouble,
            code=code,
            emptied=emptied,
            tried_at=at,
        )
        anyhow = is_open_again(before, failures=failures, complete=complete)
        if scope in self.stirred or anyhow:
            self.stirred.discard(scope)
            await self.make_recipes_due(recipes, at=at)

    async def pause_account(
        self, account: int, *, until: datetime, trouble: str, code: str, settings: int
    ) -> bool:
        """Read none of an account's scopes before an instant, if the settings still are so."""
        paused = False
        for id_, row in self.scope_rows.items() if settings == self.settings_count else ():
            if self.scopes[id_].account == account and row.due_at is not None:
                paused = True
                self.scope_rows[id_] = _replace(
                    row,
                    due_at=max(row.due_at, until),
                    failures=max(row.failures, 1),
                    trouble=trouble,
                    code=code,
                )
        return paused

    async def recipe_agenda(self, recipe: int) -> RecipeAgenda:
        """Return when a recipe is settled."""
        return self.recipe_rows[recipe]

    async def recipe_settled(
        self,
        recipe: int,
        before: RecipeAgenda,
        *,
        at: datetime,
        next_at: datetime | None,
        failures: int = 0,
        trouble: str = "",
    ) -> None:
        """Note how settling went and when it is due next."""
        row = self.recipe_rows[recipe]
        due_at = next_at if row.asked == before.asked else row.due_at
        self.recipe_rows[recipe] = _replace(
            row, due_at=due_at, failures=failures, trouble=trouble, settled_at=at
        )

    async def next_look(
        self, recipe: int, mirror: int, *, at: datetime
    ) -> tuple[bool, datetime | None]:
        """Tell whether anything of a mirror waits already, and when the next is due."""
        open_ones = await self.open_intents(recipe)
        ours = [one for one in self.link_rows.values() if self.mirror_of[one.id] == mirror]
        looks = [one.look_at for one in ours if one.look_at is not None]
        waits = bool(open_ones) or any(look <= at for look in looks)
        return waits, min((look for look in looks if look > at), default=None)

    async def stumble(
        self, link: int, says: str, *, at: datetime, again: datetime, for_good: bool = False
    ) -> int:
        """Note that planning a link failed by a fault of the hub; return how often in a row."""
        del at
        if link not in self.link_rows:
            return 0
        tries = self.tries[link] = self.tries.get(link, 0) + (TRIES if for_good else 1)
        hold = Hold(reason="stumbled", detail=says)
        look_at = None if tries >= TRIES else again
        self.hurried.discard(link)
        held = _replace(self.link_rows[link], look_at=look_at, hold=hold.reason)
        self.link_rows[link] = _replace(held, hold_detail=says)
        return tries

    async def calm(self, scopes: Sequence[int]) -> None:
        """Forget that complete reads showed these scopes empty."""
        for id_ in scopes:
            self.scope_rows[id_] = _replace(self.scope_rows[id_], emptied=0)

    async def is_paused(self, recipe: int) -> bool:
        """Say no: nobody pauses a recipe of the twin."""
        del recipe
        return False

    async def plan_run(self, run: int, planned: int) -> None:
        """Keep nothing: nobody looks how far a run of the twin is."""
        del run, planned

    async def note_reads(self, reports: Sequence[ScopeReport], *, began: datetime) -> None:
        """Keep nothing: the twin has no watchdog."""
        del reports, began

    async def note_read(self, scope: int, *, found: int, began: datetime) -> bool:
        """Say that no change was found by the sweep alone: the twin has no subscriptions."""
        del scope, found, began
        return False

    # What the clock and settings make due

    async def settings(self) -> int:
        """Return the count of changes to what is installed."""
        return self.settings_count

    async def watch(
        self, scopes: Sequence[int], settings: int, *, at: datetime, signed_out: str
    ) -> None:
        """Let exactly these scopes be read from now on."""
        for id_, row in self.scope_rows.items():
            if id_ not in scopes:
                self.scope_rows[id_] = _replace(row, due_at=None)
            elif row.due_at is None or row.code == signed_out:
                failures = 0 if row.code == signed_out else row.failures
                self.scope_rows[id_] = _replace(
                    row, due_at=at, asked=row.asked + 1, failures=failures
                )
        self.watched = settings
        self.woken()

    async def clamp_due(self, *, at: datetime, longest: int) -> None:
        """Let nothing wait longer than it is usually polled; what failed and recipes not at all."""
        for id_, row in self.scope_rows.items():
            poll = longest if row.poll_seconds is None else row.poll_seconds
            last = at + timedelta(seconds=0 if row.failures else poll)
            if row.due_at is not None and row.due_at > last:
                self.scope_rows[id_] = _replace(row, due_at=at)
        for id_, one in self.recipe_rows.items():
            if one.due_at is not None and one.due_at > at:
                self.recipe_rows[id_] = _replace(one, due_at=at, asked=one.asked + 1)
        for link in list(self.link_rows.values()):
            if link.id in self.hurried and link.look_at is not None and link.look_at > at:
                self.link_rows[link.id] = _replace(link, look_at=at)
        for id_, (run, step, outcome, opened) in self.steps.items():
            if outcome is None and opened > at:
                self.steps[id_] = (run, step, None, at)
        over = self.now() + timedelta(seconds=LEASE_SECONDS)
        for lease in self.lease_rows.values():
            lease.until = min(lease.until, over)

    async def stale(self, *, before: datetime, most: int) -> list[tuple[int, int]]:
        """Return scopes (with their account) last read completely before an instant."""
        found = [
            (self.scopes[id_].complete_at, id_)
            for id_, row in self.scope_rows.items()
            if row.due_at is not None and not row.whole and not row.failures
        ]
        old = sorted((at, id_) for at, id_ in found if at is not None and at < before)
        return [(id_, self.scopes[id_].account) for _, id_ in old[:most]]

    async def spend(self, account: int, day: date, calls: int) -> None:
        """Count calls that a complete read of an account took."""
        key = account, day
        self.spendings[key] = self.spendings.get(key, 0) + calls

    async def spent(self, account: int, day: date) -> int:
        """Return how many calls the complete reads of an account took on a day."""
        return self.spendings.get((account, day), 0)

    async def timetable(self) -> list[object]:
        """Return no rows: the twin has no timetable."""
        return []

    # What the planner is told besides the links

    async def recent_writes(
        self, links: Sequence[int], *, since: datetime
    ) -> dict[int, list[Fields]]:
        """Return what was written to the ends of these links since an instant, oldest first."""
        found: dict[int, list[Fields]] = defaultdict(list)
        for _, step, outcome, began in self.steps.values():
            done = outcome is not None and outcome.kind == "done"
            if done and step.op == "update" and step.link in links and began >= since:
                found[step.end].append(step.fields)
        return found

    async def doubtful(self, recipe: int, *, since: datetime) -> frozenset[int]:
        """Return no scopes: the twin knows one recipe."""
        del recipe, since
        return frozenset()

    async def accepted(self, links: Sequence[int]) -> set[int]:
        """Return no links: nobody accepts copies here."""
        del links
        return set()

    async def came_before(
        self, mirror: int, places: Sequence[tuple[int, str]], *, since: datetime
    ) -> list[tuple[tuple[int, str], RecordRow]]:
        """Return no records: the twin does not look for copies."""
        del mirror, places, since
        return []

    # What stirs a scope, in the step that stores it

    async def store_page(
        self, scope: int, listing: int, kind: str, page: Page, *, at: datetime, keep_cursor: bool
    ) -> PageResult:
        """Store a page; what is news stirs the scope."""
        done = await super().store_page(scope, listing, kind, page, at=at, keep_cursor=keep_cursor)
        if any(getattr(done, name) for name in _NEWS):
            self.stirred.add(scope)
        return done

    async def mark_gone(self, records: Sequence[int], *, at: datetime) -> None:
        """Note proven absences; they stir their scopes."""
        self.stirred |= {one.scope for one in self.records.values() if one.id in records}
        await super().mark_gone(records, at=at)


def _sooner(due_at: datetime | None, at: datetime) -> datetime:
    return at if due_at is None else min(due_at, at)


class MemoryDesk:
    """What is due over all tenants of the twin; implements `errands.ports.Due`."""

    def __init__(self, stores: Mapping[int, MemoryDue], now: Callable[[], datetime]) -> None:
        self._stores = stores
        self._now = now
        self.ticking = False

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Be the only tick of all processes while the context lasts."""
        if self.ticking:
            yield False
            return
        self.ticking = True
        try:
            yield True
        finally:
            self.ticking = False

    async def work(
        self, going: Sequence[tuple[str, int, int]], *, at: datetime, each: int
    ) -> list[tuple[str, int, int, int, datetime]]:
        """Return what is due and not going: kind, tenant, id, account (or 0), since when."""
        busy, found = set(going), []
        for tenant, store in self._stores.items():
            rows = [
                ("read", tenant, id_, store.scopes[id_].account, row.due_at)
                for id_, row in store.scope_rows.items()
                if row.due_at is not None and row.due_at <= at
            ]
            rows += [
                ("settle", tenant, id_, 0, one.due_at)
                for id_, one in store.recipe_rows.items()
                if one.due_at is not None and one.due_at <= at
            ]
            free = [row for row in rows if row[:3] not in busy]
            found += sorted(free, key=lambda row: row[4])[:each]
        return found

    async def loose_recipes(self) -> list[tuple[int, int]]:
        """Return tenant and recipe where links are due that no agenda has."""
        now = self._now()
        return [
            (tenant, store.recipe)
            for tenant, store in self._stores.items()
            if _is_idle(store.recipe_rows[store.recipe], now)
            and any(
                one.look_at is not None and one.look_at <= now for one in store.link_rows.values()
            )
        ]

    async def restless(self) -> list[int]:
        """Return the tenants whose settings changed since their scopes were worked out."""
        return [
            tenant
            for tenant, store in self._stores.items()
            if store.watched != store.settings_count
        ]

    async def rows(self, *, at: datetime, most: int) -> list[tuple[int, int]]:
        """Return no rows: the twin has no timetable."""
        del at, most
        return []

    async def tenants(self) -> list[int]:
        """Return all tenants."""
        return sorted(self._stores)


def _is_idle(row: RecipeAgenda, now: datetime) -> bool:
    """Tell whether a recipe waits for nothing, or for a later look that nothing failed before."""
    return row.due_at is None or (not row.failures and row.due_at > now + timedelta(minutes=1))
