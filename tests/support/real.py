"""The PostgreSQL store behind what the simulated world asks of its in-memory twin.

A loop in a thread of its own works for the store, and each call is over when it returns: nothing
else happens meanwhile, as with the twin. Thus both live through a history in the same order.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import re
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec

from support.chaos import Keeping
from truckroll.store.base import to_json
from truckroll.store.open import open_store
from truckroll.store.performing import decode_step
from truckroll.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Coroutine

PATIENCE_SECONDS = 60
SCOPES = """insert into scope (id, account, external_id, title, kind, writable, owner)
values (%(id)s, %(account)s, %(external_id)s, %(title)s, %(kind)s, %(writable)s, %(owner)s)"""


class Database:
    """A database with a loop for it; `tenant()` gives a new, empty store in it."""

    def __init__(self, url: str, home) -> None:
        self._numbers = itertools.count(2)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._stack = contextlib.AsyncExitStack()
        self._store = self.wait(self._stack.enter_async_context(open_store(url, home)))

    def wait(self, work: Coroutine):
        """Return what comes of some work on the loop; raises TimeoutError naming what hangs."""
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result(PATIENCE_SECONDS)
        except TimeoutError:
            asked.cancel()
            raise TimeoutError(f"{work} has no answer after {PATIENCE_SECONDS} s") from None

    def tenant(self) -> Store:
        store = Store(self._store._pool, next(self._numbers), self._store._keyring)
        begin = [
            f"insert into workspace (tenant, name) values ({store._tenant}, '')",
            "insert into recipe (id, name, version) values (1, 'r', 0)",
            "insert into mirror (id, recipe, name) values (1, 1, 'm')",
        ]
        self.wait(self._all(store, begin))
        return store

    async def _all(self, store: Store, statements) -> None:
        async with store._transaction() as cursor:
            for one in statements:
                await cursor.execute(one)

    def close(self) -> None:
        self.wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()


class Rows(dict):
    """Links by id. A link that is set is stored: its holds, and when it is looked at."""

    def __init__(self, real: Real, links) -> None:
        super().__init__({link.id: link for link in links})
        self._real = real

    def __setitem__(self, id_: int, link) -> None:
        ends = [{"id": end.id, "holds": to_json(end.holds) or None} for end in link.ends]
        self._real.write("update link_end set holds = %(holds)s where id = %(id)s", ends)
        due = "look_at = %(at)s, due = true, touched = touched + 1"
        row = {"id": id_, "at": link.look_at}
        self._real.write(f"update link set {due} where id = %(id)s", [row])


class Real:
    """The store of a tenant as the simulated world wants it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = database.tenant()
        self._scope_ids = itertools.count(1)
        self._known: dict[str, object] = {}

    def __getattr__(self, name: str):
        method = getattr(self._store, name)

        async def call(*args, **kwargs):
            return self._wait(method(*args, **kwargs))

        return call

    def under(self, leases):
        fenced = object.__new__(type(self))
        fenced.__dict__ |= self.__dict__
        fenced._store = self._store.under(leases)
        return fenced

    def _wait(self, work):
        self._known.clear()
        return self._database.wait(work)

    def _remember(self, name: str, ask):
        if name not in self._known:
            self._known[name] = self._database.wait(ask())
        return self._known[name]

    def write(self, statement: str, rows) -> None:
        async def run() -> None:
            async with self._store._transaction() as cursor:
                await cursor.executemany(statement, rows)

        self._wait(run())

    async def _rows(self, statement: str):
        async with self._store._transaction() as cursor:
            await cursor.execute(statement)
            return await cursor.fetchall()

    def put_scope(self, account: int, scope):
        self.write(
            "insert into account (id, system, name, settings, zone)"
            " values (%s, 'nasty', %s, '{}', 'UTC')",
            [(account, f"account {account}")],
        )
        id_ = next(self._scope_ids)
        row = {"id": id_, "account": account, "external_id": scope.id}
        self.write(SCOPES, [{**msgspec.structs.asdict(scope), **row}])
        return self.scope(id_)

    def scope(self, id_: int):
        return self.scopes[id_]

    @property
    def scopes(self):
        found = self._remember("scopes", self._store.scopes)
        return {one.id: one for one in found}

    @property
    def link_rows(self) -> Rows:
        return self._remember("links", self._links)

    async def _links(self) -> Rows:
        ids = [row[0] for row in await self._rows("select id from link order by id")]
        return Rows(self, await self._store.links(ids))

    def _loaded(self, link):
        return link

    @property
    def steps(self):
        return self._remember("steps", self._steps)

    async def _steps(self):
        rows = await self._rows("select id, run, step, opened_at from step order by id")
        return {row[0]: (row[1], decode_step(row[2]), None, row[3]) for row in rows}

    @property
    def story(self):
        ask = functools.partial(self._rows, "select link, code, text from story order by id")
        return self._remember("story", ask)

    @contextlib.asynccontextmanager
    async def run(self, recipe: int, kind: str):
        held = self._store.run(recipe, kind)
        run = self._wait(held.__aenter__())
        try:
            yield run
        except BaseException as error:
            self._wait(held.__aexit__(type(error), error, error.__traceback__))
            raise
        else:
            self._wait(held.__aexit__(None, None, None))

    async def steps_of(self, run: int):
        async def all_of():
            return [one async for one in self._store.steps_of(run)]

        for one in self._wait(all_of()):
            yield one


class RealDiary(Keeping, Real):
    """The store with the diary of the random histories."""

    def __init__(self, database: Database) -> None:
        Real.__init__(self, database)
        Keeping.__init__(self)

    async def journal(self, run, decisions, *, at):
        opened = self._wait(self._store.journal(run, decisions, at=at))
        return self.journalled(opened, decisions)

    async def finish(self, run, outcomes, *, at):
        self.finishing()
        self._wait(self._store.finish(run, outcomes, at=at))


def counted_keys():
    """Return what stands for `secrets` where links get their keys: the twin's counter."""
    numbers = itertools.count(1)
    return SimpleNamespace(token_hex=lambda _bytes: f"{next(numbers):016x}")


def what_came(chaos) -> dict[str, object]:
    """Return all that two stores could be told apart by, but for the numbers of rows and runs."""
    return {
        "systems": {name: system.show() for name, system in chaos.ends.items()},
        "logs": {name: list(system.log) for name, system in chaos.ends.items()},
        "links": {
            link.key: (link.state, link.ended_why, link.agreed, [_end(end) for end in link.ends])
            for link in map(chaos.store._loaded, chaos.store.link_rows.values())
        },
    }


def _end(end) -> dict[str, object]:
    """Return an end without what is the store's own: ids, orders of observations."""
    own = ("id", "seen_order", "changed", "seen_at")
    holds = {
        slot: (hold.reason, re.sub(r"run \d+", "run", hold.detail), hold.answer, hold.of)
        for slot, hold in end.holds.items()
    }
    fields = msgspec.structs.asdict(end) | {"holds": holds}
    return {name: value for name, value in fields.items() if name not in own}
