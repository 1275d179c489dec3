"""A power cut takes back what the disk did not have yet: what was to be written it always has."""

import contextlib
import os
import signal

import psycopg
import pytest

from journeys.test_on_bad_days import SHORT, ends_well, many
from store.clusters import forget, until
from support.company import company
from truckroll.store.embedded import Embedded
from truckroll.store.open import open_store
from truckroll.store.performing import PerformingStore


def answers(url):
    try:
        return asked(url, "select 1") == [(1,)]
    except psycopg.OperationalError:
        return False


def asked(url, query):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def cut(server):
    """End the whole cluster at once: what it holds in memory alone is gone."""
    backends = [pid for (pid,) in asked(server.url, "select pid from pg_stat_activity")]
    for pid in (server.pid, *backends):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.fault("F25")
async def test_outcomes_that_the_disk_did_not_have_are_looked_up_and_not_made_again(
    tmp_path, fresh_radicale, monkeypatch
):
    home = tmp_path / "home"
    try:
        async with (
            Embedded(home) as server,
            open_store(server.url, home) as store,
            company(store, tmp_path, fresh_radicale, "Ana") as acme,
        ):
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("alter system set wal_writer_delay = '10s'")
                connection.execute("select pg_reload_conf()")
            acme.rows = many()
            acme.save()
            finish, dead = PerformingStore.finish, server.pid

            async def finish_and_cut(*args, **kwargs):
                await finish(*args, **kwargs)
                cut(server)

            with monkeypatch.context() as patch, contextlib.suppress(Exception):
                patch.setattr(PerformingStore, "finish", finish_and_cut)
                await acme.apply()
            await until(lambda: server.pid not in (None, dead) and answers(server.url))
            intents = "select count(*) from truckroll.step where open"
            assert asked(server.url, intents) == [(SHORT,)], "their outcomes were taken back"
            made = fresh_radicale.events("ana")
            assert len(made) == SHORT
            await ends_well(acme, SHORT)
            assert fresh_radicale.events("ana") == made
    finally:
        forget(home)
