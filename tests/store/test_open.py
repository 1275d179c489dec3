import os
import secrets
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from store.worlds import make_world, seen
from truckroll.store.migrate import current, migrate
from truckroll.store.open import open_home, open_store
from truckroll.store.trouble import DatabaseTrouble


async def test_a_new_database_gets_its_tables_and_keeps_them(server_url, tmp_path):
    name = f"truckroll_test_{secrets.token_hex(6)}"
    url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create database {name}")
        try:
            async with open_store(url, tmp_path / "home") as store:
                await make_world(store)
            migrate(url)
            async with open_store(url, tmp_path / "home") as store:
                assert len(await store.accounts()) == 2
            with psycopg.connect(url) as connection:
                rows = connection.execute("select version_num from truckroll.alembic_version")
                assert {row[0] for row in rows} == current()
        finally:
            server.execute(f"drop database {name} with (force)")


async def test_the_named_database_takes_the_place_of_the_embedded_one(
    database_url, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRUCKROLL_DATABASE", database_url)
    async with open_home(tmp_path / "home") as store:
        await make_world(store)
    assert [one.name for one in (tmp_path / "home").iterdir()] == ["secret.key"]


async def test_a_database_that_does_not_answer_is_explained(tmp_path):
    url = f"postgresql://nobody@/x?host={tmp_path}"
    with pytest.raises(DatabaseTrouble, match="does not answer") as caught:
        async with open_store(url, tmp_path / "home"):
            pass
    assert "TRUCKROLL_DATABASE" in caught.value.says


async def test_a_user_that_may_not_set_up_the_tables_is_told_what_to_ask_for(server_url, tmp_path):
    name = f"truckroll_test_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create database {name}")
        server.execute(f"create role {name} login password 'pw'")
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{name}:pw@{host}", path=f"/{name}"))
        try:
            with pytest.raises(DatabaseTrouble, match="may not set up") as caught:
                async with open_store(url, tmp_path / "home"):
                    pass
            assert "administrator" in caught.value.says
        finally:
            server.execute(f"drop database {name} with (force)")
            server.execute(f"drop role {name}")


async def test_an_owner_that_is_no_superuser_is_enough(server_url, template, tmp_path):
    name = f"truckroll_test_{secrets.token_hex(6)}"
    parts = urlsplit(server_url)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"create role {name} login password 'pw'")
        server.execute(f"create database {name} owner {name}")
        server.execute(f"grant truckroll_app to {name}")
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{name}:pw@{host}", path=f"/{name}"))
        try:
            async with open_store(url, tmp_path / "home") as store:
                world = await make_world(store)
                await world.synced(seen("1"))
        finally:
            server.execute(f"drop database {name} with (force)")
            server.execute(f"drop role {name}")


def test_a_current_database_costs_no_import_of_the_migrations():
    code = (
        "import sys, truckroll.store.open\n"
        "assert not {'alembic', 'sqlalchemy', 'cryptography'} & set(sys.modules), sys.modules"
    )
    path = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})
