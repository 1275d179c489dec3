"""Backups: whole, private, put back whole or not at all."""

import secrets
import stat
import subprocess
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from store.worlds import make_world, seen
from truckroll.store import backup
from truckroll.store.migrate import migrate
from truckroll.store.open import open_store
from truckroll.store.trouble import DatabaseTrouble


@contextmanager
def empty_database(server_url):
    name = f"truckroll_empty_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create database {name}")
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        server.execute(f"drop database {name} with (force)")


async def filled(url, home, *ids):
    async with open_store(url, home) as store:
        world = await make_world(store)
        await world.synced(*(seen(one) for one in ids))
        for scope in await store.scopes():
            await store.set_cursor(scope.id, "c1")
        await store.add_account("caldav", "sealed", {}, {"password": "hunter2-canary"})


async def names(url, home):
    async with open_store(url, home) as store:
        return {one.name for one in await store.accounts()}


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "hub.backup"


@pytest.mark.fault("F69")
async def test_a_backup_is_private_and_holds_no_readable_secret(database_url, home, file):
    await filled(database_url, home, "1")
    size = backup.dump(database_url, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size == size
    assert [one.name for one in file.parent.iterdir() if one.is_file()] == [file.name]
    script = plain(file, file.with_suffix(".sql"))
    assert "truckroll.account" in script
    assert "hunter2-canary" not in script
    assert (home / "secret.key").read_text().split(":")[1].strip() not in script


def plain(file, text):
    program = backup._programs().programs / "pg_restore"
    subprocess.run([program, "--file", text, file], check=True, timeout=60)
    return text.read_text()


@pytest.mark.fault("F56")
async def test_what_was_saved_is_all_there_again_and_is_read_anew(
    server_url, database_url, home, file
):
    await filled(database_url, home, "1", "2", "3")
    before = backup.counts(database_url)
    backup.dump(database_url, file)
    with empty_database(server_url) as url:
        backup.restore(url, file, replace=False)
        assert backup.counts(url) == before
        async with open_store(url, home) as store:
            assert {scope.cursor for scope in await store.scopes()} == {None}
            assert (await store.account("sealed")).secrets == {"password": "hunter2-canary"}
        with psycopg.connect(url) as connection:
            connection.execute("set role truckroll_app")
            unseen = connection.execute("select count(*) from truckroll.record").fetchone()
            assert unseen == (0,), "row-level security binds the application as before"


async def test_what_a_hub_has_is_replaced_only_when_somebody_says_so(
    server_url, database_url, home, file
):
    await filled(database_url, home, "1")
    backup.dump(database_url, file)
    with empty_database(server_url) as url:
        async with open_store(url, home) as store:
            await store.add_account("caldav", "mine", {}, {})
        with pytest.raises(DatabaseTrouble, match="--replace"):
            backup.restore(url, file, replace=False)
        assert await names(url, home) == {"mine"}
        backup.restore(url, file, replace=True)
        assert "mine" not in await names(url, home)
        assert "sealed" in await names(url, home)


@pytest.mark.fault("F56")
async def test_a_backup_that_breaks_off_leaves_what_was_there(server_url, database_url, home, file):
    await filled(database_url, home, "1")
    backup.dump(database_url, file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with empty_database(server_url) as url:
        async with open_store(url, home) as store:
            await store.add_account("caldav", "mine", {}, {})
        with pytest.raises(DatabaseTrouble, match="could not be restored"):
            backup.restore(url, file, replace=True)
        assert await names(url, home) == {"mine"}


async def test_nothing_is_restored_under_a_hub_that_works(server_url, database_url, home, file):
    await filled(database_url, home, "1")
    backup.dump(database_url, file)
    async with open_store(database_url, home) as store:
        await store.accounts()
        with pytest.raises(DatabaseTrouble, match="Something else works"):
            backup.restore(database_url, file, replace=True)


async def test_a_restore_that_was_killed_in_its_middle_is_told_and_taken_up_again(
    database_url, home, file
):
    await filled(database_url, home, "1")
    backup.dump(database_url, file)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("alter schema truckroll rename to truckroll_before_restore")
    with pytest.raises(DatabaseTrouble, match="cut off in its middle"):
        migrate(database_url)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatabaseTrouble, match="could not be restored"):
        backup.restore(database_url, file, replace=False)
    assert "sealed" in await names(database_url, home), "what was there is back"
    file.write_bytes(whole)
    backup.restore(database_url, file, replace=True)
    assert "sealed" in await names(database_url, home)


@pytest.mark.parametrize("content", [b"", b"BEGIN:VCALENDAR", None])
def test_what_is_no_backup_is_refused_before_anything_is_touched(tmp_path, content):
    file = tmp_path / "x"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DatabaseTrouble, match="Nothing was changed"):
        backup.restore("postgresql://nobody@/x?host=/nowhere", file, replace=True)


async def test_a_user_who_may_not_read_every_tenant_saves_nothing(server_url, template, home, file):
    name = f"truckroll_owner_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create role {name} login password 'pw'")
        server.execute(f"create database {name} owner {name}")
        server.execute(f"grant truckroll_app to {name}")
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{name}:pw@{host}", path=f"/{name}"))
        try:
            await filled(url, home, "1")
            with pytest.raises(DatabaseTrouble, match="may not read every tenant"):
                backup.dump(url, file)
            assert not file.exists()
            assert len(backup.keys_used(url)) == 1, "the owner looks over all tenants"
        finally:
            server.execute(f"drop database {name} with (force)")
            server.execute(f"drop role {name}")
