import psycopg
import pytest
from psycopg import AsyncConnection

from store.worlds import AT, make_world, seen
from truckroll.store.migrate import SCHEMA
from truckroll.store.open import open_store
from truckroll.store.trouble import DatabaseTrouble

TABLES = "select tablename from pg_tables where schemaname = 'truckroll' and tablename <> 'alembic_version'"


@pytest.fixture
async def other(database_url, tmp_path, store):
    """Return the store of a second tenant in the same database."""
    async with open_store(database_url, tmp_path / "home", tenant=2) as opened:
        yield opened


async def as_app(database_url):
    options = f"-c role=truckroll_app -c search_path={SCHEMA}"
    return await AsyncConnection.connect(database_url, options=options, autocommit=True)


async def tables(connection):
    return [row[0] for row in await (await connection.execute(TABLES)).fetchall()]


async def test_a_tenant_sees_nothing_of_another(store, other):
    world = await make_world(store)
    await world.synced()
    theirs = await make_world(other)
    assert await theirs.due(everything=True) == []
    assert await other.links([1, 2, 3]) == []
    assert await other.find_links("Boiler") == []
    assert await other.find_records("Boiler") == []
    assert await other.open_intents(world.recipe) == []
    assert await other.story(1) == []
    assert await other.versions(world.source, ["1"]) == {}
    assert (await other.counts("scope", world.target, since=AT)).writes == 0
    with pytest.raises(KeyError):
        await other.scope(world.source)
    assert [account.name for account in await other.accounts()] == ["r-a", "r-b"]
    assert {account.id for account in await other.accounts()}.isdisjoint(
        {world.source_account, world.target_account}
    )


async def test_a_tenant_changes_nothing_of_another(store, other):
    world = await make_world(store)
    (link,) = await world.synced()
    scope = await store.scope(world.source)
    await other.set_cursor(world.source, "stolen")
    await other.mark_gone([1, 2], at=AT)
    await other.touch(world.mirror, at=AT)
    await other.reset_account(world.source_account, at=AT)
    with pytest.raises(AssertionError):
        await other.begin_listing(world.source)
    assert await store.scope(world.source) == scope
    assert await world.link(link.id) == link


async def test_every_table_has_row_level_security_that_binds_its_owner_too(store, database_url):
    async with await AsyncConnection.connect(database_url) as connection:
        rows = await (
            await connection.execute(
                "select relname from pg_class c where relnamespace = 'truckroll'::regnamespace"
                " and relkind = 'r' and relname not in ('alembic_version', 'chore')"
                " and not (relrowsecurity and relforcerowsecurity and exists"
                "  (select from pg_policy p where p.polrelid = c.oid))"
            )
        ).fetchall()
        assert rows == []
        assert len(await tables(connection)) >= 15


async def test_without_a_tenant_there_is_no_row(store, database_url):
    world = await make_world(store)
    await world.synced(seen("1"))
    async with await as_app(database_url) as connection:
        for table in await tables(connection):
            for setting in ("reset truckroll.tenant", "set truckroll.tenant = ''"):
                await connection.execute(setting)
                count = await connection.execute(f"select count(*) from {table}")
                assert await count.fetchone() == (0,), table
        with pytest.raises(psycopg.Error):
            await connection.execute("insert into workspace (tenant, name) values (1, 'x')")


async def test_the_application_cannot_write_rows_of_another_tenant(store, other, database_url):
    async with await as_app(database_url) as connection:
        await connection.execute("select set_config('truckroll.tenant', '2', false)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            await connection.execute(
                "insert into recipe (tenant, name, version) values (1, 'x', 1)"
            )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("alter table recipe disable row level security")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("create table mine (x int)")


async def test_a_role_that_can_bypass_row_level_security_is_refused(
    database_url, server_url, tmp_path
):
    async with open_store(database_url, tmp_path / "home"):
        pass
    # The role is the whole server's, and other tests use it: it owns a table here instead.
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create table truckroll.extra (x int)")
        connection.execute("grant create on schema truckroll to truckroll_app")
        connection.execute("alter table truckroll.extra owner to truckroll_app")
    with pytest.raises(DatabaseTrouble, match="can see every tenant's records"):
        async with open_store(database_url, tmp_path / "home"):
            pass
