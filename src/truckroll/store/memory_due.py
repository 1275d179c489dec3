"""The agenda of the in-memory twin: what is due, and when."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from truckroll.store.due import RecipeAgenda, ScopeAgenda

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from truckroll.sync.ports import StoredScope
    from truckroll.sync.types import Link


class MemoryDue:
    """What `store.due.DueStore` does, in plain dictionaries. A part of `MemoryStore`.

    `stirred` are scopes whose news their recipes were not told yet; `woken` is called where
    something becomes due.
    """

    scopes: dict[int, StoredScope]
    link_rows: dict[int, Link]
    mirror_of: dict[int, int]

    def __init__(self) -> None:
        super().__init__()
        self.scope_rows: dict[int, ScopeAgenda] = {}
        self.recipe_rows: dict[int, RecipeAgenda] = {}
        self.stirred: set[int] = set()
        self.woken: Callable[[], None] = lambda: None

    async def make_due(self, scopes: Sequence[int], *, at: datetime, whole: bool = False) -> None:
        """Let scopes be read at an instant, or sooner if that was to be."""
        for id_ in scopes:
            row = await self.scope_agenda(id_)
            due_at = min(at, row.due_at) if row.due_at else at
            self.scope_rows[id_] = replace(
                row, due_at=due_at, asked=row.asked + 1, whole=row.whole or whole
            )
        self.woken()

    async def make_recipes_due(self, recipes: Sequence[int], *, at: datetime) -> None:
        """Let recipes be settled at an instant, or sooner if that was to be."""
        for id_ in recipes:
            row = await self.recipe_agenda(id_)
            due_at = min(at, row.due_at) if row.due_at else at
            self.recipe_rows[id_] = replace(row, due_at=due_at, asked=row.asked + 1)
        self.woken()

    async def put_off(self, what: str, id_: int, *, at: datetime) -> None:
        """Let a `scope` or `recipe` that is due wait until an instant."""
        if what == "scope":
            scope = await self.scope_agenda(id_)
            if scope.due_at is not None and scope.due_at < at:
                self.scope_rows[id_] = replace(scope, due_at=at)
            return
        recipe = await self.recipe_agenda(id_)
        if recipe.due_at is not None and recipe.due_at < at:
            self.recipe_rows[id_] = replace(recipe, due_at=at)

    async def scope_agenda(self, scope: int) -> ScopeAgenda:
        """Return when a scope is read."""
        return self.scope_rows.get(scope, ScopeAgenda())

    async def scope_agendas(self, scopes: Sequence[int]) -> dict[int, ScopeAgenda]:
        """Return when scopes are read, by id."""
        return {id_: await self.scope_agenda(id_) for id_ in scopes}

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
        """Note how a read went; who asked since `before` is not served by it."""
        row = await self.scope_agenda(scope)
        served = row.asked == before.asked
        self.scope_rows[scope] = replace(
            row,
            due_at=next_at if served else row.due_at,
            whole=row.whole and not (served and complete),
            failures=failures,
            trouble=trouble,
            code=code,
            emptied=emptied,
            tried_at=at,
        )
        if scope in self.stirred or (before.failures and not failures):
            self.stirred.discard(scope)
            await self.make_recipes_due(recipes, at=at)

    async def pause_account(
        self, account: int, *, until: datetime, trouble: str, code: str
    ) -> None:
        """Read none of an account's scopes before an instant."""
        for id_, scope in self.scopes.items():
            row = await self.scope_agenda(id_)
            if scope.account == account and row.due_at is not None:
                self.scope_rows[id_] = replace(
                    row,
                    due_at=max(row.due_at, until),
                    failures=max(row.failures, 1),
                    trouble=trouble,
                    code=code,
                )

    async def recipe_agenda(self, recipe: int) -> RecipeAgenda:
        """Return when a recipe is settled."""
        return self.recipe_rows.get(recipe, RecipeAgenda())

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
        """Note how settling went; who asked since `before` is not served by it."""
        row = await self.recipe_agenda(recipe)
        due_at = next_at if row.asked == before.asked else row.due_at
        self.recipe_rows[recipe] = replace(
            row, due_at=due_at, failures=failures, trouble=trouble, settled_at=at
        )

    async def calm(self, scopes: Sequence[int]) -> None:
        """Forget that complete reads showed these scopes empty."""
        for id_ in scopes:
            self.scope_rows[id_] = replace(await self.scope_agenda(id_), emptied=0)

    async def watch(
        self, scopes: Sequence[int], settings: int, *, at: datetime, signed_out: str
    ) -> None:
        """Let exactly these scopes be read from now on."""
        del settings
        for id_ in self.scopes:
            row = await self.scope_agenda(id_)
            if id_ not in scopes:
                self.scope_rows[id_] = replace(row, due_at=None)
            elif row.due_at is None or row.code == signed_out:
                failures = 0 if row.code == signed_out else row.failures
                self.scope_rows[id_] = replace(
                    row, due_at=at, asked=row.asked + 1, failures=failures
                )
        self.woken()


class MemoryDesk:
    """What is due over all tenants of a simulated hub, as `errands.ports.Due` asks it."""

    def __init__(self, stores: Mapping[int, MemoryDue]) -> None:
        self._stores = stores
        self._ticking = False

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Be the only tick while the context lasts; False where another is."""
        mine, self._ticking = not self._ticking, True
        try:
            yield mine
        finally:
            if mine:
                self._ticking = False

    async def work(
        self, going: Sequence[tuple[str, int, int]], *, at: datetime, each: int
    ) -> list[tuple[str, int, int, int, datetime]]:
        """Return what is due and not going: at most `each` of every tenant."""
        found = []
        for tenant, store in sorted(self._stores.items()):
            theirs = [
                ("read", tenant, id_, store.scopes[id_].account, row.due_at)
                for id_, row in store.scope_rows.items()
                if row.due_at is not None and row.due_at <= at
            ]
            theirs += [
                ("settle", tenant, id_, 0, row.due_at)
                for id_, row in store.recipe_rows.items()
                if row.due_at is not None and row.due_at <= at
            ]
            waiting = [one for one in theirs if one[:3] not in going]
            found += sorted(waiting, key=lambda one: one[4])[:each]
        return found
