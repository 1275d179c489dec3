"""Old and new code at once: what newer code has made ready (pre) bears the old one."""

import shutil
from contextlib import contextmanager

import psycopg
import pytest

from store.test_twins import live_twice
from store.worlds import make_world, seen
from support.real import Database
from truckroll.store import migrate as module
from truckroll.store.migrate import current, migrate
from truckroll.store.open import open_store
from truckroll.store.trouble import DatabaseTrouble

PRE = '''
"""What a newer version brings: a column, a table, an index."""
from alembic import op
from truckroll.store.migrations.guard import guarded
revision = "m9001_more"
down_revision = {last!r}
branch_labels = None
depends_on = None
def upgrade():
    run = op.get_bind().exec_driver_sql
    run("alter table link add colour text not null default 'blue'")
    run("alter table record add weight bigint")
    run("create table parcel (tenant bigint not null references workspace (tenant),"
        " id bigint not null, primary key (tenant, id))")
    run(guarded("parcel"))
    run("create index parcel_colour on link (tenant, colour)")
'''
POST = '''
"""What a newer version takes away, once nothing older runs."""
from alembic import op
revision = "p9001_less"
down_revision = None
branch_labels = None
depends_on = None
def upgrade():
    op.get_bind().exec_driver_sql("alter table link drop column undone")
'''


@pytest.fixture
def newer(tmp_path, monkeypatch):
    """Return a context in which the code is that of a newer version."""
    place = tmp_path / "migrations"
    shutil.copytree(module._PLACE, place)
    (last,) = current()
    (place / "pre" / "m9001_more.py").write_text(PRE.format(last=last))
    (place / "post" / "p9001_less.py").write_text(POST)

    @contextmanager
    def code():
        with monkeypatch.context() as patched:
            patched.setattr(module, "_PLACE", place)
            yield

    return code


@pytest.mark.fault("F58")
async def test_older_code_works_beside_newer_on_what_that_made_ready(database_url, tmp_path, newer):
    home = tmp_path / "home"
    async with open_store(database_url, home) as before:
        world = await make_world(before)
        await world.synced(seen("1"))
        with newer():
            async with open_store(database_url, home) as store:
                with psycopg.connect(database_url) as connection:
                    rows = connection.execute("select colour from truckroll.link").fetchall()
                assert rows == [("blue",)]
                assert [one.live for one in await store.scopes()] == [1, 1]
        await world.page(seen("2"), cursor="c")  # the older one was at work all the time
    async with open_store(database_url, home) as opened:  # and starts again
        assert sum(one.live for one in await opened.scopes()) == 3
        world.store = opened
        assert await world.due(everything=True)


@pytest.mark.fault("F58")
def test_older_code_plans_the_same_on_newer_tables(database_url, tmp_path, newer):
    with newer():
        migrate(database_url)
    database = Database(database_url, tmp_path / "home")
    try:
        live_twice(database, range(30, 34))
    finally:
        database.close()


@pytest.mark.fault("F58")
async def test_older_code_refuses_what_was_made_ready_for_newer_code_alone(
    database_url, tmp_path, newer
):
    with newer():
        migrate(database_url, finish=True)
        async with open_store(database_url, tmp_path / "home") as store:
            assert await store.accounts() == []
    with pytest.raises(DatabaseTrouble, match=r"newer version of Truckroll alone.*Install"):
        async with open_store(database_url, tmp_path / "home"):
            pass
