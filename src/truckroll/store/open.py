"""Open a store: migrate where needed, take on the application's role, refuse a stronger one."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from truckroll.store.base import LARGEST_POOL, Pool, Row
from truckroll.store.embedded import URL_VARIABLE, Embedded
from truckroll.store.migrate import APP_ROLE, SCHEMA, fits, migrate
from truckroll.store.pulse import pulse_of
from truckroll.store.secret import Keyring, load_keyring
from truckroll.store.store import Store
from truckroll.store.trouble import DatabaseTrouble

OLDEST = 150000
HUNG_SECONDS = 20

_TURN = """
insert into chore (name, next_at) values (%(chore)s, now() + make_interval(secs => %(seconds)s))
on conflict (name) do update set next_at = excluded.next_at where chore.next_at <= now()
returning name
"""
_PRESENT = "select version_num from truckroll.alembic_version"
_POWERS = """
select current_user, r.rolsuper or r.rolbypassrls or exists (
  select from pg_class c where c.relnamespace = to_regnamespace('truckroll')
    and pg_has_role(r.oid, c.relowner, 'member'))
from pg_roles r where r.rolname = current_user
"""


class _Stack(deque[AsyncConnection[Row]]):
    """Gives what was put in last: the pool takes connections from the left."""

    def popleft(self) -> AsyncConnection[Row]:
        return self.pop()


class _WarmPool(AsyncConnectionPool[AsyncConnection[Row]]):
    """A pool that gives the connection that was used last.

    Its server process has the tables and the plans of the statements at hand. psycopg_pool gives
    the one that waited longest, and has no option for it: in a hub with little to do each of ten
    is cold when its turn comes, and a change alone took PostgreSQL a quarter longer.
    """

    def __init__(self, url: str, **how: Any) -> None:
        super().__init__(url, **how)
        self._pool = _Stack()


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of all tenants over one pool of connections, for a process that serves many.

    What spans tenants (which of them has work due) goes through `pool`, in functions of the
    database that give ids alone; everything else is asked of one tenant's store.
    """

    pool: Pool
    keyring: Keyring

    def of(self, tenant: int) -> Store:
        """Return a tenant's store; it sees and writes that tenant's rows alone."""
        return Store(self.pool, tenant, self.keyring)

    async def tenants(self) -> list[int]:
        """Return the tenants there are."""
        return await self._ids("select tenants()")

    async def tenants_to_tell(self, at: datetime) -> list[int]:
        """Return the tenants with messages or webhook deliveries that are due."""
        return await self._ids(f"select tenants_to_tell('{at.isoformat()}')")

    async def turn(self, chore: str, seconds: float) -> bool:
        """Tell whether it is time for a chore of the whole hub, and take the turn.

        Of all processes that ask one hears yes, once in so many seconds.
        """
        row = {"chore": chore, "seconds": seconds}
        async with self.of(0)._transaction(durable=False) as cursor:  # noqa: SLF001 -- as below
            await cursor.execute(_TURN, row)
            return await cursor.fetchone() is not None

    async def _ids(self, query: str) -> list[int]:
        nobody = self.of(0)._connection(query.encode())  # noqa: SLF001 -- the store's own opening
        async with nobody as (_, answer):
            return [int(row[0]) async for row in answer]


@asynccontextmanager
async def open_store(
    url: str, home: Path, tenant: int = 1, *, prepared: bool = False
) -> AsyncIterator[Store]:
    """Give the store of a tenant in the database at `url`; makes its workspace if it is new.

    Otherwise as `open_stores`.
    """
    async with open_stores(url, home, prepared=prepared) as stores:
        store = stores.of(tenant)
        await _make_workspace(store, tenant)
        yield store


@asynccontextmanager
async def open_stores(
    url: str, home: Path, *, largest_pool: int = LARGEST_POOL, prepared: bool = False
) -> AsyncIterator[Stores]:
    """Give the stores of the database at `url`; `home` holds the secret key.

    The tables are made or brought up to date if the URL's role may do it, where that was not
    `prepared`. The stores work under `truckroll_app`, which row-level security binds. Raises
    DatabaseTrouble.
    """
    if not prepared:
        await asyncio.to_thread(prepare, url)
    # A worker that hangs in a transaction must not keep others from what it holds.
    hung = f"-c idle_in_transaction_session_timeout={HUNG_SECONDS}s"
    options = f"-c role={APP_ROLE} -c search_path={SCHEMA} -c timezone=UTC {hung}"
    async with _WarmPool(
        url,
        kwargs={"options": options, "autocommit": True},
        min_size=1,
        max_size=largest_pool,
        configure=_configure,
        open=False,
    ) as pool:
        try:
            yield Stores(pool, load_keyring(home))
        finally:
            await pulse_of(pool).close()


@asynccontextmanager
async def open_home(
    home: Path, tenant: int = 1, *, database: Embedded | None = None
) -> AsyncIterator[Store]:
    """Give the store of a home: of its embedded server, or of TRUCKROLL_DATABASE if it is set.

    `database` is the home's embedded server where somebody began to start it.
    """
    if url := os.environ.get(URL_VARIABLE):
        async with open_store(url, home, tenant) as store:
            yield store
        return
    async with (
        database or Embedded(home) as held,
        open_store(held.url, home, tenant, prepared=held.prepared) as store,
    ):
        yield store


@asynccontextmanager
async def open_home_stores(
    home: Path, *, database: Embedded | None = None, largest_pool: int = LARGEST_POOL
) -> AsyncIterator[tuple[str, Stores]]:
    """Give the URL of a home's database, as `open_home` finds it, and the stores of all tenants.

    There is a tenant 1 at least.
    """
    async with AsyncExitStack() as stack:
        url, prepared = os.environ.get(URL_VARIABLE, ""), False
        if not url:
            held = await stack.enter_async_context(database or Embedded(home))
            url, prepared = held.url, held.prepared
        opened = open_stores(url, home, largest_pool=largest_pool, prepared=prepared)
        stores = await stack.enter_async_context(opened)
        await _make_workspace(stores.of(1), 1)
        yield url, stores


async def _make_workspace(store: Store, tenant: int) -> None:
    async with store._transaction() as cursor:  # noqa: SLF001 -- the store's own opening
        await cursor.execute(
            "insert into workspace (tenant, name) values (%s, '') on conflict do nothing", [tenant]
        )


def prepare(url: str) -> None:
    """Migrate where the versions differ, and prove that the application's role can be taken on.

    Blocks. Raises DatabaseTrouble.
    """
    try:
        connection = psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError as error:
        raise DatabaseTrouble(
            f"The database does not answer: {str(error).strip()}. Check {URL_VARIABLE}, and that"
            " the server runs."
        ) from error
    with connection:
        if (version := connection.info.server_version) < OLDEST:
            raise DatabaseTrouble(
                f"The database is PostgreSQL {version // 10000}; Truckroll needs version"
                f" {OLDEST // 10000} or newer."
            )
        if not fits(_present(connection)):
            migrate(url)
        _take_role(connection)


def _present(connection: Connection[Row]) -> frozenset[str]:
    """Return the versions that the tables have; none where they are not there or not ours."""
    try:
        rows = connection.execute(_PRESENT).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return frozenset()
    return frozenset(str(row[0]) for row in rows)


def _take_role(connection: Connection[Row]) -> None:
    """Refuse to serve where the role cannot be taken on or row-level security does not bind it."""
    try:
        connection.execute(f"set role {APP_ROLE}")
    except psycopg.Error as error:
        raise DatabaseTrouble(
            f"The database's user may not work as {APP_ROLE}: {error.diag.message_primary}."
            f" Let its administrator run: grant {APP_ROLE} to <user>."
        ) from error
    row = connection.execute(_POWERS).fetchone()
    if row is None or row[1]:
        raise DatabaseTrouble(
            f"The database role {APP_ROLE} can see every tenant's records, so Truckroll does not"
            " work under it. Let the administrator run: alter role"
            f" {APP_ROLE} nosuperuser nobypassrls, and let another role own the tables."
        )


async def _configure(connection: AsyncConnection[Row]) -> None:
    """Hand over `json` as it was written: the model decodes it."""
    set_json_loads(_as_written, connection)


def _as_written(text: str | bytes) -> str | bytes:
    return text
