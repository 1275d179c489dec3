"""A hub that comes back from yesterday's backup looks at the world before it does anything."""

import secrets
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from support.company import brief, company, row, slot
from truckroll.store import backup
from truckroll.store.open import open_store

CHANGES = 10


@contextmanager
def another_database(url):
    name = f"truckroll_restored_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"create database {name}")
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        server.execute(f"drop database {name} with (force)")


@asynccontextmanager
async def restored(acme, server_url, database_url, tmp_path, file):
    """Give the company a hub on a database that is as it was at the backup."""
    with another_database(server_url) as url:
        backup.restore(url, file, replace=False)
        async with open_store(url, tmp_path / "home") as store:
            acme.hub = replace_hub(acme.hub, store)
            yield


def replace_hub(hub, store):
    return type(hub)(home=hub.home, store=store, now=hub.now)


def sixty(acme):
    acme.rows = [
        row(n, "Ana" if n % 2 else "Ben", day=2 + n % 20, hour=8 + n % 7) for n in range(60)
    ]
    acme.save()


def a_days_work(acme, *, begin=0):
    """Move ten visits, cancel ten, make ten new ones."""
    cells = {one["Job"]: one for one in acme.rows}
    for n in range(begin, begin + CHANGES):
        cells[f"J-{n}"]["Start"] = slot(30 + n, 15)
        cells[f"J-{n}"]["Notes"] = "Bring the long ladder"
        cells[f"J-{n + 20}"]["Status"] = "Cancelled"
        acme.rows.append(row(100 + n, "Ana" if n % 2 else "Ben", day=5 + n, hour=17))
    acme.save()


def calendars(acme):
    return {name: dict(acme.server.events(name)) for name in ("ana", "ben")}


@pytest.mark.fault("F56")
@pytest.mark.parametrize("by_hand", ["hold", "restore", "keep"])
async def test_a_hub_restored_from_yesterdays_backup_writes_nothing_again(
    store, tmp_path, fresh_radicale, server_url, database_url, by_hand
):
    server, file = fresh_radicale, tmp_path / "yesterday.backup"
    async with company(store, tmp_path, server, "Ana", "Ben", edits_by_hand=by_hand) as acme:
        sixty(acme)
        assert (await acme.apply()).writes == 60
        backup.dump(database_url, file)
        a_days_work(acme)
        done = await acme.apply(confirmed=CHANGES)
        assert done.by_op == {"create": CHANGES, "update": CHANGES, "cancel": CHANGES}, brief(done)
        before = calendars(acme)
        async with restored(acme, server_url, database_url, tmp_path, file):
            plan = await acme.plan()
            assert (plan.writes, plan.holds, plan.stops) == (0, [], []), brief(plan)
            view = await acme.apply()
            assert (view.writes, view.holds, view.stops) == (0, [], []), brief(view)
            assert calendars(acme) == before
            acme.rows[0]["Start"] = slot(40, 10)
            acme.save()
            view = await acme.apply()
            assert view.by_op == {"update": 1}, brief(view)
            assert (await acme.apply()).writes == 0


@pytest.mark.fault("F56")
async def test_what_nobody_synced_since_the_backup_follows_and_nothing_else(
    store, tmp_path, fresh_radicale, server_url, database_url
):
    server, file = fresh_radicale, tmp_path / "yesterday.backup"
    async with company(store, tmp_path, server, "Ana", "Ben") as acme:
        sixty(acme)
        await acme.apply()
        backup.dump(database_url, file)
        a_days_work(acme)
        await acme.apply(confirmed=CHANGES)
        acme.rows[40]["Start"] = slot(50, 9)  # the hub died before it saw this
        acme.save()
        async with restored(acme, server_url, database_url, tmp_path, file):
            view = await acme.apply()
            assert view.by_op == {"update": 1}, brief(view)
            assert sum(len(one) for one in calendars(acme).values()) == 60
            assert (await acme.apply()).writes == 0
