"""What fails waits longer each time, concerns nobody else, and is never forgotten."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from support.company import row
from truckroll.app import errands as app_errands
from truckroll.errands import worker as errands_worker
from truckroll.errands.worker import Worker
from truckroll.kit.errors import RetryLater, SignIn
from truckroll.store.store import Store
from truckroll.sync import planned as sync_planned
from truckroll.sync.plan import plan
from truckroll.sync.read import ScopeReport


async def agenda_of(hub, title):
    (scope,) = [one for one in await hub.store.scopes() if title in (one.scope.title, one.scope.id)]
    return scope.id, await hub.store.scope_agenda(scope.id)


def reading(monkeypatch, what, then):
    """Let the read of a scope do something else before, after, or instead."""
    real = app_errands.read_scope

    async def read(store, resource, session, scope, **how):
        if what in (scope.scope.id, scope.scope.title):
            return await then(lambda: real(store, resource, session, scope, **how))
        return await real(store, resource, session, scope, **how)

    monkeypatch.setattr(app_errands, "read_scope", read)


async def test_a_read_that_fails_is_tried_again_later_and_says_why(hub, office, monkeypatch):
    async def fails(_):
        raise RetryLater("The table is locked by somebody.")

    reading(monkeypatch, "table", fails)
    await hub.quiet()
    _, agenda = await agenda_of(hub, "table")
    assert (agenda.failures, agenda.trouble) == (1, "The table is locked by somebody.")
    assert agenda.due_at - agenda.tried_at == timedelta(seconds=30)
    await hub.now()
    await hub.quiet()
    _, agenda = await agenda_of(hub, "table")
    assert agenda.due_at - agenda.tried_at == timedelta(minutes=1)
    monkeypatch.undo()
    await hub.now()
    await hub.quiet()
    _, agenda = await agenda_of(hub, "table")
    assert (agenda.failures, agenda.trouble) == (0, "")
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]


async def test_as_long_as_a_system_asks_nobody_comes_back(hub, office, monkeypatch):
    real = app_errands.read_scope

    async def asks(_):
        scope, _ = await agenda_of(hub, "table")
        return ScopeReport(scope=scope, error="Later.", code="try_later", after=timedelta(hours=2))

    reading(monkeypatch, "table", asks)
    await hub.quiet()
    _, agenda = await agenda_of(hub, "table")
    assert agenda.due_at - agenda.tried_at == timedelta(hours=2)
    assert real is not app_errands.read_scope


async def test_a_push_during_a_run_that_fails_is_read_after_it(hub, office, monkeypatch):
    seen = []

    async def pushed(read):
        seen.append("read")
        if len(seen) == 1:
            scope, _ = await agenda_of(hub, "table")
            await hub.store.make_due([scope], at=hub.resident.now())
            raise RetryLater("It broke just then.")
        return await read()

    reading(monkeypatch, "table", pushed)
    await hub.quiet()
    assert seen == ["read", "read"]
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]


async def test_a_signed_out_account_pauses_and_goes_on_after_the_sign_in(hub, office, monkeypatch):
    await hub.quiet()
    calls = []

    async def refused(_):
        calls.append(1)
        raise SignIn("Radicale does not accept the password of “field”.")

    for calendar in ("ana", "ben"):
        reading(monkeypatch, calendar, refused)
    await hub.now()
    await hub.quiet()
    for calendar in ("ana", "ben"):
        _, agenda = await agenda_of(hub, calendar)
        assert agenda.code == "sign_in"
        assert "does not accept the password" in agenda.trouble
        assert agenda.due_at > hub.resident.now() + timedelta(hours=5)
    assert len(calls) <= 2
    monkeypatch.undo()
    account = await hub.store.account("field")
    await hub.store.update_account("field", secrets=account.secrets)  # signed in again
    office.rows.append(row(2, "Ben"))
    office.save()
    scope, _ = await agenda_of(hub, "table")
    await hub.store.make_due([scope], at=hub.resident.now())
    await hub.quiet()
    assert office.titles("ben") == ["J-2 Visit 2 · Smith"]
    _, agenda = await agenda_of(hub, "ben")
    assert (agenda.failures, agenda.code) == (0, "")


@pytest.mark.fault("F59")
async def test_a_record_that_breaks_the_planner_is_set_aside_after_three_tries(
    hub, office, monkeypatch
):
    tries = []

    def poisoned(links, ctx):
        for link in links:
            if any(end.shown.get("title") == "Poison" for end in link.ends):
                tries.append(link.id)
                raise ZeroDivisionError
            yield from plan([link], ctx)

    monkeypatch.setattr(sync_planned, "plan", poisoned)
    office.rows = [row(1, "Ana"), row(2, "Ana", Title="Poison"), row(3, "Ben")]
    office.save()
    await hub.quiet()
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]
    assert office.titles("ben") == ["J-3 Visit 3 · Smith"]
    first = len(tries)
    assert first >= 1
    for _ in range(4):
        links = await hub.store.links(tries)
        again = [link.look_at for link in links if link.look_at is not None]
        if not again:
            break
        await hub.store.touch(
            (await hub.store.links(tries))[0].mirror, links=[tries[0]], at=hub.resident.now()
        )
        (recipe,) = await hub.store.recipes()
        await hub.store.make_recipes_due([recipe.id], at=hub.resident.now())
        await hub.quiet()
    assert len(tries) <= 6  # each try looks ahead once, and the third one was the last
    (link,) = await hub.store.links([tries[0]])
    assert link.look_at is None
    (recipe,) = await hub.store.recipes()
    held = [(one.id, hold.reason) for one, hold, _ in await hub.store.holds(recipe.id)]
    assert held == [(link.id, "stumbled")]
    count = len(tries)
    await hub.now(whole=True)
    await hub.quiet()
    assert len(tries) == count
    monkeypatch.undo()  # the fault is mended; a person says so
    await hub.store.touch(link.mirror, links=[link.id], at=hub.resident.now())
    await hub.store.make_recipes_due([recipe.id], at=hub.resident.now())
    await hub.quiet()
    assert office.titles("ana") == ["J-1 Visit 1 · Smith", "J-2 Poison · Smith"]
    assert await hub.store.holds(recipe.id) == []


async def test_a_brake_stops_the_service_too_and_leaves_one_run(hub, office):
    office.rows = [row(n, "Ana", day=3 + n % 20, hour=8 + n % 9) for n in range(1, 31)]
    office.save()
    await hub.quiet()
    assert len(office.titles("ana")) == 30
    office.rows = []
    office.save()
    await hub.now()
    await hub.quiet()
    assert len(office.titles("ana")) == 30
    runs = await hub.store.runs()
    assert [bool(one.summary["stopped"]) for one in runs] == [True, False]
    (recipe,) = await hub.store.recipes()
    agenda = await hub.store.recipe_agenda(recipe.id)
    assert agenda.trouble
    assert agenda.due_at - agenda.settled_at == timedelta(minutes=5)
    await hub.store.make_recipes_due([recipe.id], at=hub.resident.now())
    await hub.quiet()
    assert len(await hub.store.runs()) == 2  # nothing new to say
    view = await office.apply(confirmed=30)
    assert view.writes == 30
    await hub.store.make_recipes_due([recipe.id], at=hub.resident.now())
    await hub.quiet()
    agenda = await hub.store.recipe_agenda(recipe.id)
    assert (agenda.trouble, agenda.due_at) == ("", None)


async def test_what_was_listed_empty_once_is_listed_whole_until_it_shows_something(
    hub, office, database_url
):
    await hub.quiet()
    scope, _ = await agenda_of(hub, "ana")
    with psycopg.connect(database_url, options="-c search_path=truckroll") as connection:
        connection.execute("update scope set emptied = 1 where id = %s", [scope])
    office.rows[0]["Title"] = "Moved"
    office.save()
    await hub.now()
    await hub.quiet()
    await hub.quiet()
    assert (await agenda_of(hub, "ana"))[1].emptied == 0
    assert office.titles("ana") == ["J-1 Moved · Smith"]


async def test_a_recipe_that_a_person_runs_just_then_is_settled_after_it(hub, office):
    (recipe,) = await hub.store.recipes()
    async with office.hub.store.run(recipe.id, "apply"):
        await hub.quiet()
        assert office.titles("ana") == []
        agenda = await hub.store.recipe_agenda(recipe.id)
        assert agenda.due_at is not None
    await hub.store.make_recipes_due([recipe.id], at=hub.resident.now())
    await hub.quiet()
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]


async def test_a_database_that_is_away_when_it_is_noted_is_no_fault_of_the_hub(
    hub, office, monkeypatch, caplog
):
    async def goes_away(*_, **__):
        stop.set()
        raise psycopg.OperationalError("the connection is lost")

    await hub.tick.once()
    await hub.one()
    await hub.tick.once()  # what is to be settled waits
    stop = asyncio.Event()
    worker = Worker(hub.engine, hub.errands.registry())
    monkeypatch.setattr(Store, "recipe_settled", goes_away)
    await worker.run(stop)
    said = [
        (one.levelname, one.getMessage())
        for one in caplog.records
        if one.name == errands_worker.log.name
    ]
    assert [level for level, _ in said] == ["WARNING"]
    assert "The database does not answer just now; what was done is kept." in said[0][1]
    monkeypatch.undo()
    await hub.quiet()
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]
    (recipe,) = await hub.store.recipes()
    assert (await hub.store.recipe_agenda(recipe.id)).due_at is None
