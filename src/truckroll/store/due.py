"""What is due, and when: scopes to be read, recipes to be settled; the agenda of every tenant."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime

import msgspec
from psycopg import Error

from truckroll.store.base import Base, Pool, Row, named_sql, unique
from truckroll.store.links import encode_holds
from truckroll.store.secret import Keyring
from truckroll.sync.leases import LEASE_SECONDS
from truckroll.sync.types import Hold

SQL = named_sql("due")
CHANNEL = "truckroll_due"  # told whenever something becomes due
TRIES = 3


class ScopeAgenda(msgspec.Struct, frozen=True, kw_only=True):
    """When a scope is read, and how the last read went.

    `asked` counts who asked for a read, `whole` that a complete one was asked for. `failures`
    counts the reads in a row that failed, `trouble` says why in a sentence, `code` which kind.
    `emptied` is how many records the last complete read found gone that showed none at all.
    `poll_seconds` is how often it is read at least, None for what is usual with its system.
    `trace` is the traceparent of the push that made it due, or "". `pushed` says that a live
    subscription tells of its changes, `known` that it was read completely, and since the hub was
    restored last.
    """

    asked: int = 0
    whole: bool = False
    failures: int = 0
    trouble: str = ""
    code: str = ""
    emptied: int = 0
    poll_seconds: int | None = None
    due_at: datetime | None = None
    tried_at: datetime | None = None
    trace: str = ""
    pushed: bool = False
    known: bool = False


class RecipeAgenda(msgspec.Struct, frozen=True, kw_only=True):
    """When a recipe is settled next, and how the last settling went; as of a scope.

    `pushed_at` is when the earliest push came that led to its being due, None where none did.
    """

    asked: int = 0
    failures: int = 0
    trouble: str = ""
    due_at: datetime | None = None
    settled_at: datetime | None = None
    trace: str = ""
    pushed_at: datetime | None = None


class DueStore(Base):
    """The agenda of a tenant."""

    async def make_due(self, scopes: Sequence[int], *, at: datetime, whole: bool = False) -> None:
        """Let scopes be read at an instant, or sooner if that was to be; wakes the tick.

        With `whole` they are read completely. A read that is going on does not count: the scope
        is read again after it.
        """
        row = {"scopes": unique(scopes), "at": at, "whole": whole}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["make_due"], row)
            await cursor.execute(SQL["wake"])

    async def make_recipes_due(self, recipes: Sequence[int], *, at: datetime) -> None:
        """Let recipes be settled at an instant, or sooner if that was to be; wakes the tick."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["make_recipes_due"], {"recipes": unique(recipes), "at": at})
            await cursor.execute(SQL["wake"])

    async def put_off(self, what: str, id_: int, *, at: datetime) -> None:
        """Let a `scope` or `recipe` that is due wait until an instant: another works on it."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL[f"put_off_{what}"], {"id": id_, "at": at})

    async def scope_agenda(self, scope: int) -> ScopeAgenda:
        """Return when a scope is read; raises KeyError where there is none."""
        found = await self.scope_agendas([scope])
        return found[scope]

    async def scope_agendas(self, scopes: Sequence[int]) -> dict[int, ScopeAgenda]:
        """Return when scopes are read, by id."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["scope_troubles"], {"scopes": list(scopes)})
            return {row[0]: _scope_agenda(row[1:]) async for row in cursor}

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
        """Note how a read went and when the next is due; who asked since `before` is not served.

        Where something changed since they were told last, or the scope can be read again or is
        known only now, these recipes become due.
        """
        row = {
            "scope": scope,
            "asked": before.asked,
            "at": at,
            "next": next_at,
            "complete": complete,
            "failures": failures,
            "trouble": trouble,
            "code": code,
            "emptied": emptied,
        }
        async with self._transaction(durable=False, fenced=True) as cursor:
            anyhow = is_open_again(before, failures=failures, complete=complete)
            news = {"scope": scope, "at": at, "recipes": unique(recipes), "anyhow": anyhow}
            await cursor.execute(SQL["news"], news)
            if await cursor.fetchone() is not None:
                await cursor.execute(SQL["wake"])
            await cursor.execute(SQL["scope_read"], row)

    async def pause_account(
        self, account: int, *, until: datetime, trouble: str, code: str, settings: int
    ) -> bool:
        """Read none of an account's scopes before an instant: it waits for a person.

        Returns False where that person came meanwhile: `settings` is the count that was tried.
        """
        row = {"account": account, "until": until, "trouble": trouble, "code": code}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["pause_account"], {**row, "settings": settings})
            return await cursor.fetchone() is not None

    async def recipe_agenda(self, recipe: int) -> RecipeAgenda:
        """Return when a recipe is settled; raises KeyError where there is none."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["recipe_agenda"], {"recipe": recipe})
            row = await cursor.fetchone()
        if row is None:
            raise KeyError(recipe)
        return RecipeAgenda(
            asked=row[0],
            failures=row[1],
            trouble=row[2],
            due_at=row[3],
            settled_at=row[4],
            trace=row[5],
            pushed_at=row[6],
        )

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
        """Note how settling went and when it is due next; who asked since is not served by it."""
        row = {
            "recipe": recipe,
            "asked": before.asked,
            "at": at,
            "next": next_at,
            "failures": failures,
            "trouble": trouble,
        }
        async with self._transaction(durable=False, fenced=True) as cursor:
            await cursor.execute(SQL["recipe_settled"], row)

    async def next_look(
        self, recipe: int, mirror: int, *, at: datetime
    ) -> tuple[bool, datetime | None]:
        """Tell whether anything of a mirror waits already, and when the clock makes the next due.

        What waits are links that are due at an instant, and intents without an outcome.
        """
        async with self._transaction() as cursor:
            place = {"recipe": recipe, "mirror": mirror, "at": at}
            await cursor.execute(SQL["next_look"], place)
            row = await cursor.fetchone()
        assert row is not None
        return bool(row[0]), row[1]

    async def calm(self, scopes: Sequence[int]) -> None:
        """Forget that complete reads showed these scopes empty: somebody said that it is right."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["calm"], {"scopes": list(scopes)})

    async def settings(self) -> int:
        """Return the count of changes to what is installed, whose accounts, and for whom."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["settings"])
            row = await cursor.fetchone()
        return int(row[0]) if row is not None else 0

    async def watch(
        self, scopes: Sequence[int], settings: int, *, at: datetime, signed_out: str
    ) -> None:
        """Let exactly these scopes be read from now on, as worked out at a count of `settings`.

        Those that are new, or waited for a sign-in (`signed_out`), are due at once.
        """
        row = {"scopes": unique(scopes), "at": at, "signed_out": signed_out}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["watch_used"], row)
            await cursor.execute(SQL["watch_unused"], row)
            await cursor.execute(SQL["watched"], {"settings": settings})
            await cursor.execute(SQL["wake"])

    async def clamp_due(self, *, at: datetime, longest: int) -> None:
        """After the clock leapt back: let nothing wait longer than it is usually polled.

        What failed is tried at once, links that were due are, and recipes look at once what waits
        for when: their instants are of the old time. Writes without an answer count from now on,
        and so do leases.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL["clamp"], {"at": at, "longest": longest})
            await cursor.execute(SQL["clamp_recipes"], {"at": at})
            await cursor.execute(SQL["clamp_links"], {"at": at})
            await cursor.execute(SQL["clamp_steps"], {"at": at})
            await cursor.execute(SQL["clamp_leases"], {"lease": LEASE_SECONDS})

    async def set_poll(self, account: int, seconds: int | None, *, at: datetime) -> None:
        """Say how often an account's scopes are read at least; None is what is usual."""
        row = {"account": account, "seconds": seconds, "at": at}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["set_poll"], row)
            await cursor.execute(SQL["wake"])

    async def stale(self, *, before: datetime, most: int) -> list[tuple[int, int]]:
        """Return scopes (with their account) that were last read completely before an instant."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["stale"], {"before": before, "most": most})
            return [(row[0], row[1]) async for row in cursor]

    async def spend(self, account: int, day: date, calls: int) -> None:
        """Count calls that a complete read of an account took."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["spend"], {"account": account, "day": day, "calls": calls})

    async def spent(self, account: int, day: date) -> int:
        """Return how many calls the complete reads of an account took on a day (UTC)."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["spent"], {"account": account, "day": day})
            row = await cursor.fetchone()
        return int(row[0]) if row is not None else 0

    async def stumble(
        self, link: int, says: str, *, at: datetime, again: datetime, for_good: bool = False
    ) -> int:
        """Note that planning a link failed by a fault of the hub; return how often in a row.

        It is held, and looked at again at an instant; after three times when it changes, or when
        a person says so; at once so where it is `for_good`.
        """
        holds = encode_holds([Hold(reason="stumbled", detail=says)], None, at)
        more = TRIES if for_good else 1
        row = {"link": link, "holds": holds, "again": again, "most": TRIES, "more": more}
        async with self._transaction(fenced=True) as cursor:
            await cursor.execute(SQL["stumble"], row)
            found = await cursor.fetchone()
        return int(found[0]) if found is not None else 0


def is_open_again(before: ScopeAgenda, *, failures: int, complete: bool) -> bool:
    """Tell whether a scope that had to wait can be planned for after a read."""
    return bool(before.failures and not failures) or (complete and not before.known)


def _scope_agenda(row: Row) -> ScopeAgenda:
    return ScopeAgenda(
        asked=row[0],
        whole=row[1],
        failures=row[2],
        trouble=row[3],
        code=row[4],
        emptied=row[5],
        poll_seconds=row[6],
        due_at=row[7],
        tried_at=row[8],
        trace=row[9],
        pushed=row[10],
        known=row[11],
    )


class DueDesk(Base):
    """What is due over all tenants, as `errands.ports.Due` asks it. Ids alone come back."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        super().__init__(pool, 0, keyring)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Be the only tick of all processes while the context lasts; False where another is."""
        async with self._connection(SQL["tick"]) as (connection, answer):
            row = await answer.fetchone()
            mine = row is not None and bool(row[0])
            try:
                yield mine
            finally:
                if mine:
                    with suppress(Error):  # a session that broke has given it up
                        await connection.execute(SQL["tick_done"])

    async def work(
        self, going: Sequence[tuple[str, int, int]], *, at: datetime, each: int
    ) -> list[tuple[str, int, int, int, datetime]]:
        """Return what is due and not going: kind, tenant, id, account (or 0), since when."""
        row = {
            "at": at,
            "each": each,
            "kinds": [one[0] for one in going],
            "tenants": [one[1] for one in going],
            "abouts": [one[2] for one in going],
        }
        async with self._transaction() as cursor:
            await cursor.execute(SQL["due_work"], row)
            return [(one[0], one[1], one[2], one[3], one[4]) async for one in cursor]

    async def loose_recipes(self) -> list[tuple[int, int]]:
        """Return tenant and recipe where links are due that no agenda has, or only for later."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["loose"])
            return [(row[0], row[1]) async for row in cursor]

    async def restless(self) -> list[int]:
        """Return the tenants whose settings changed since their scopes were worked out."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["restless"])
            return [row[0] async for row in cursor]

    async def rows(self, *, at: datetime, most: int) -> list[tuple[int, int]]:
        """Return tenant and id of rows of the timetable whose instant has come."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["due_rows"], {"at": at, "most": most})
            return [(row[0], row[1]) async for row in cursor]

    async def tenants(self) -> list[int]:
        """Return all tenants."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["tenants"])
            return [row[0] async for row in cursor]
