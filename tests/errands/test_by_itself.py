"""The hub runs by itself: what changes is read, settled and written, and nothing else is done."""

from datetime import timedelta

import psycopg
import pytest

from support.company import row
from truckroll.kit.push import Subscribed
from truckroll.store.backup import forget_cursors


def wait(agenda):
    """Return after how long a scope is read again; a read takes no second here."""
    return timedelta(seconds=round((agenda.due_at - agenda.tried_at).total_seconds()))


def kinds(done):
    return [one.kind for one in done]


async def test_what_is_installed_is_read_and_settled_without_being_told(hub, office):
    done = await hub.quiet()
    assert sorted(kinds(done)) == ["read"] * 3 + ["settle"]
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]
    (run,) = await hub.store.runs()
    assert (run.kind, run.summary["writes"], run.summary["failed"]) == ("settle", 1, 0)
    assert run.ended_at is not None


@pytest.mark.fault("F56")
@pytest.mark.parametrize("restored", [False, True], ids=["new", "restored"])
async def test_nothing_is_made_in_a_calendar_that_was_not_read(hub, office, database_url, restored):
    """What would be made may stand there: of an office that moves here, or since the backup."""
    if restored:
        await hub.quiet()
        office.rows.append(row(2, "Ben"))
        office.save()
        with psycopg.connect(database_url, autocommit=True) as connection:
            forget_cursors(connection)
    await hub.agenda.look()
    field = next(one for one in await hub.store.accounts() if one.name == "field")
    (source,) = [one.id for one in await hub.store.scopes() if one.account != field.id]
    (installed,) = await hub.store.recipes()
    await hub.errands.registry()["read"](1, source)
    await hub.errands.registry()["settle"](1, installed.id)
    assert office.titles("ana") == (["J-1 Visit 1 · Smith"] if restored else [])
    assert office.titles("ben") == []
    await hub.quiet()
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]
    assert office.titles("ben") == (["J-2 Visit 2 · Smith"] if restored else [])
    assert (await hub.store.recipe_agenda(installed.id)).failures == 0


async def test_nothing_new_settles_nothing_and_leaves_no_run(hub, office):
    await hub.quiet()
    await hub.now()
    done = await hub.quiet()
    assert kinds(done) == ["read"] * 3
    assert len(await hub.store.runs()) == 1
    assert await hub.tick.once() == []


async def test_a_change_goes_through_and_only_what_changed_is_written(hub, office):
    await hub.quiet()
    office.rows.append(row(2, "Ben"))
    office.rows[0]["Title"] = "Visit 1 again"
    office.save()
    await hub.now()
    await hub.quiet()
    assert office.titles("ana") == ["J-1 Visit 1 again · Smith"]
    assert office.titles("ben") == ["J-2 Visit 2 · Smith"]
    assert [one.summary["writes"] for one in await hub.store.runs()] == [2, 1]
    await hub.now()
    await hub.quiet()
    assert len(await hub.store.runs()) == 2


async def test_each_scope_is_due_again_after_its_time(hub, office):
    await hub.quiet()
    scopes = await hub.store.scopes()
    agendas = await hub.store.scope_agendas([one.id for one in scopes])
    waits = {wait(one) for one in agendas.values()}
    assert waits == {timedelta(seconds=10), timedelta(minutes=2)}, "a table, and calendars"
    field = next(one for one in await hub.store.accounts() if one.name == "field")
    await hub.store.set_poll(field.id, 30, at=hub.resident.now())
    done = await hub.quiet()
    assert kinds(done) == ["read", "read"]
    agendas = await hub.store.scope_agendas([one.id for one in scopes])
    waits = sorted(wait(one) for one in agendas.values())
    assert waits == [timedelta(seconds=10)] + [timedelta(seconds=30)] * 2


async def test_what_tells_of_its_changes_is_read_less_often(hub, office):
    await hub.quiet()
    field = next(one for one in await hub.store.accounts() if one.name == "field")
    ana, ben = await hub.store.scopes(field.id)
    now = hub.resident.now()
    for scope, expires in ((ana, timedelta(days=1)), (ben, timedelta(seconds=-1))):
        row = await hub.store.add_subscription(field.id, scope.id, at=now)
        claimed = await hub.store.claim_subscription(
            row, at=now, until=now + timedelta(minutes=1), coming="s"
        )
        told = Subscribed(id="x", expires_at=now + expires)
        assert await hub.store.settle_subscription(claimed, told, at=now, anew=True)
    await hub.now()
    await hub.quiet()
    agendas = await hub.store.scope_agendas([ana.id, ben.id])
    waits = [wait(agendas[one]) for one in (ana.id, ben.id)]
    assert waits == [timedelta(minutes=15), timedelta(minutes=2)], "one of the two has ended"
