"""Real processes are killed hard: of three workers one, and the database's server."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest

from errands.test_up import until
from support.company import company, row
from truckroll.app.home import make_home
from truckroll.app.hub import utc_now
from truckroll.store.embedded import Embedded
from truckroll.store.open import open_store

CREATES = "select count(*) from truckroll.step where kind = 'done' and step->>'op' = 'create'"


def creates(url):
    with psycopg.connect(url) as connection:
        return connection.execute(CREATES).fetchone()[0]


def answers(url):
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def numbers(office):
    titles = office.titles("ana") + office.titles("ben")
    return sorted(int(title.split()[0].removeprefix("J-")) for title in titles)


@pytest.mark.fault("F55")
@pytest.mark.timeout(240)
async def test_one_of_three_workers_is_killed_under_load(office, ups, store, database_url):
    jobs = 80
    office.rows = [
        row(n, ("Ana", "Ben")[n % 2], day=3 + n % 20, hour=8 + n // 20) for n in range(1, jobs + 1)
    ]
    office.save()
    workers = [ups("--role", "worker") for _ in range(3)]
    await asyncio.gather(*(asyncio.to_thread(one.ready) for one in workers))
    await until(lambda: creates(database_url) > 0 or len(numbers(office)) > 3, 60)
    with psycopg.connect(database_url) as connection:  # who performs is who began the run
        (pid,) = connection.execute(
            "select pid from truckroll.run order by id desc limit 1"
        ).fetchone()
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: numbers(office) == list(range(1, jobs + 1)), 90)
    assert time.monotonic() - began < 75  # taken over within 30 s; the writing takes the rest
    await until(lambda: creates(database_url) == jobs, 30)
    dead = [one for one in workers if one.process.pid == pid]
    assert len(dead) == 1
    office.rows[0]["Title"] = "After all"
    office.save()
    (table,) = [one for one in await store.scopes() if one.scope.id == "table"]
    await store.make_due([table.id], at=utc_now())
    await until(lambda: any("After all" in title for title in office.titles("ben")), 60)
    assert numbers(office) == list(range(1, jobs + 1))


@pytest.mark.fault("F55")
@pytest.mark.timeout(240)
async def test_the_databases_server_is_killed_and_everything_goes_on(
    tmp_path, calendars, monkeypatch
):
    monkeypatch.delenv("TRUCKROLL_DATABASE", raising=False)
    home = tmp_path / "hub"
    make_home(home)
    async with Embedded(home) as embedded:
        async with open_store(embedded.url, home) as store:
            async with company(store, tmp_path, calendars, "Ana") as office:
                scopes = [one.id for one in await store.scopes()]
        up = await asyncio.to_thread(start, home)
        try:
            await until(lambda: len(office.titles("ana")) == 1, 60)
            os.kill(embedded.pid, signal.SIGKILL)
            office.rows.append(row(2, "Ana", day=6))
            office.save()
            await until(lambda: answers(embedded.url), 30)
            async with open_store(embedded.url, home) as store:
                await store.make_due(scopes, at=utc_now())
                await until(lambda: len(office.titles("ana")) == 2, 60)
                async with asyncio.timeout(60):
                    while await store.open_intents(1):  # noqa: ASYNC110 -- another process
                        await asyncio.sleep(0.1)
            up.terminate()
            _, err = await asyncio.to_thread(up.communicate, timeout=30)
            assert (up.returncode, err) == (0, ""), err
        finally:
            if up.poll() is None:
                up.kill()
                up.communicate()
            calendars.delete("ana", "")
    Embedded(home).erase()


def start(home):
    command = [sys.executable, "-m", "truckroll.cli", "--home", str(home), "up"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "Truckroll is up" in process.stdout.readline()
    return process
