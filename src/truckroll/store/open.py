"""Open a store: migrate where needed, take on the application's role, refuse a stronger one."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import AsyncConnection
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from truckroll.store.base import Pool, Row
from truckroll.store.embedded import Embedded
from truckroll.store.migrate import APP_ROLE, SCHEMA, current, migrate
from truckroll.store.secret import load_keyring
from truckroll.store.store import Store
from truckroll.store.trouble import DatabaseTrouble

URL_VARIABLE = "TRUCKROLL_DATABASE"
OLDEST = 150000
_LARGEST_POOL = 10

_PRESENT = "select version_num from truckroll.alembic_version"
_POWERS = """
select r.rolsuper or r.rolbypassrls
  or exists (select from pg_class c where c.relnamespace = to_regnamespace(%(schema)s)
             and pg_has_role(r.oid, c.relowner, 'member')),
  r.rolname,
  (select pg_has_role(r.oid, a.oid, 'member') from pg_roles a where a.rolname = %(app)s)
from pg_roles r where r.rolname = current_user
"""


@asynccontextmanager
async def open_store(url: str, home: Path, tenant: int = 1) -> AsyncIterator[Store]:
    """Give the store of a tenant in the database at `url`; `home` holds the secret key.

    The tables are made or brought up to date if the URL's role may do it. The store works under
    `truckroll_app`, which row-level security binds. Raises DatabaseTrouble.
    """
    await _prepare(url)
    options = f"-c role={APP_ROLE} -c search_path={SCHEMA} -c timezone=UTC"
    async with AsyncConnectionPool(
        url,
        kwargs={"options": options},
        min_size=1,
        max_size=_LARGEST_POOL,
        configure=_configure,
        open=False,
    ) as pool:
        store = Store(pool, tenant, load_keyring(home))
        await _check(pool)
        async with store._transaction() as cursor:  # noqa: SLF001 -- the store's own opening
            await cursor.execute(
                "insert into workspace (tenant, name) values (%s, '') on conflict do nothing",
                [tenant],
            )
        yield store


@asynccontextmanager
async def open_home(home: Path, tenant: int = 1) -> AsyncIterator[Store]:
    """Give the store of a home: of its embedded server, or of TRUCKROLL_DATABASE if it is set."""
    if url := os.environ.get(URL_VARIABLE):
        async with open_store(url, home, tenant) as store:
            yield store
        return
    async with Embedded(home) as server, open_store(server.url, home, tenant) as store:
        yield store


async def _prepare(url: str) -> None:
    """Migrate where the versions differ; explain what stands in the way."""
    try:
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            version = connection.info.server_version
            try:
                rows = await (await connection.execute(_PRESENT)).fetchall()
            except psycopg.errors.UndefinedTable:
                rows = []
    except psycopg.OperationalError as error:
        raise DatabaseTrouble(
            f"The database does not answer: {str(error).strip()}. Check {URL_VARIABLE}, and that"
            " the server runs."
        ) from error
    if version < OLDEST:
        raise DatabaseTrouble(
            f"The database is PostgreSQL {version // 10000}; Truckroll needs version"
            f" {OLDEST // 10000} or newer."
        )
    if frozenset(row[0] for row in rows) != current():
        await asyncio.to_thread(migrate, url)


async def _configure(connection: AsyncConnection[Row]) -> None:
    """Hand over `json` as it was written: the model decodes it."""
    set_json_loads(_as_written, connection)


def _as_written(text: str | bytes) -> str | bytes:
    return text


async def _check(pool: Pool) -> None:
    """Refuse to serve under a role that row-level security does not bind."""
    async with pool.connection() as connection:
        row = await (
            await connection.execute(_POWERS, {"schema": SCHEMA, "app": APP_ROLE})
        ).fetchone()
    if row is None or row[0]:
        name = row[1] if row else "the current role"
        raise DatabaseTrouble(
            f"The database role {name} can see every tenant's records, so Truckroll does not"
            f" work under it. Let the administrator make {APP_ROLE} an ordinary role: alter role"
            f" {APP_ROLE} nosuperuser nobypassrls."
        )
