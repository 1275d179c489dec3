"""A record that kills the process that works on it is found, set aside, and the others go on."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from support.children import child
from support.company import row
from support.deadly import DIED
from truckroll.app import holds as app_holds

TESTS = Path(__file__).parent.parent


@pytest.fixture
def worker(hub, database_url, tmp_path):
    """Return what works in a process of its own until nothing is due, and tells how it ended."""

    def run(where):
        command = [sys.executable, "-m", "support.deadly", database_url, str(tmp_path / "home")]
        paths = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
        env = {**os.environ, "PYTHONPATH": paths}
        with child([*command, where], env=env, stderr=subprocess.PIPE, text=True) as process:
            _, err = process.communicate()
            assert process.returncode in (0, DIED), err
            return process.returncode

    return run


async def poisoned(hub, office):
    """Let everything be due: a poisoned record between good ones. Nothing was read before."""
    office.rows = [
        row(1, "Ana"),
        row(2, "Ana", Title="Poison"),
        row(3, "Ben"),
        row(4, "Ben", day=5),
    ]
    office.save()
    await hub.tick.once()
    for one in await hub.engine.going():  # it is the other process that does them
        taken = await hub.engine.take()
        assert taken is not None, one
        await hub.engine.finish(taken)


async def deaths(worker, where, most=8):
    count = 0
    while worker(where) == DIED:
        count += 1
        assert count < most, "it dies without end"
    return count


@pytest.mark.fault("F59")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["plan", "write"])
async def test_a_record_that_kills_is_set_aside_after_three_deaths(hub, office, worker, where):
    await poisoned(hub, office)
    assert await deaths(worker, where) == 3
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]
    assert office.titles("ben") == ["J-3 Visit 3 · Smith", "J-4 Visit 4 · Smith"]
    (held,) = await app_holds.waiting(office.hub)
    assert (held.hold.ref, held.hold.reason) == ("J-2", "stumbled")
    assert "died three times while it worked on this record" in held.hold.detail

    office.rows.append(row(5, "Ana", day=6))  # it stays set aside while others change
    office.save()
    await hub.now(whole=True)
    assert worker(where) == 0
    assert len(office.titles("ana")) == 2

    await app_holds.answer(office.hub, "J-2", "retry", by="test")  # mended; a person says so
    for _ in range(2):  # what is in doubt is looked up first
        assert worker("nowhere") == 0
        (recipe,) = await hub.store.recipes()
        await hub.store.make_recipes_due([recipe.id], at=hub.resident.now())
    assert worker("nowhere") == 0
    assert office.titles("ana") == [
        "J-1 Visit 1 · Smith", "J-2 Poison · Smith", "J-5 Visit 5 · Smith",
    ]  # fmt: skip
    assert await app_holds.waiting(office.hub) == []


@pytest.mark.fault("F59")
@pytest.mark.timeout(120)
async def test_a_page_that_kills_has_its_scope_left_alone_and_says_so(hub, office, worker):
    await poisoned(hub, office)
    assert await deaths(worker, "read") == 3
    agendas = {
        one.scope.title: await hub.store.scope_agenda(one.id) for one in await hub.store.scopes()
    }
    table = agendas.pop("jobs.csv", None) or agendas.pop("table")
    assert table.code == "killed"
    assert "died again and again while it worked on" in table.trouble
    assert table.due_at - table.tried_at >= timedelta(minutes=30)
    for other in agendas.values():  # the calendars that were read beside it are read
        assert (other.failures, other.code) == (0, "")
        assert other.tried_at is not None
    await hub.now()  # a push for it does not let it kill at once
    assert worker("read") == 0
