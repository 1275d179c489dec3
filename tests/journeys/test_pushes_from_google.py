"""Google tells, the hub hears: over real HTTP, with everything that goes wrong on the way."""

import asyncio
import random
from datetime import timedelta

import httpx
import pytest

from support.post import post
from truckroll.app import accounts, recipes, subscriptions
from truckroll.app.subscriptions import renew_due
from truckroll_sim.kit.faults import Fault


@pytest.fixture
async def hub(store, database_url, tmp_path):
    async with post(store, database_url, tmp_path / "home") as made:
        yield made


async def test_an_edit_at_google_becomes_a_proven_push_and_its_calendar_is_due(hub):
    event = hub.company.add(summary="Boiler")
    done = await hub.renew()
    assert (done.made, done.problems) == (2, ())
    await hub.arrived()
    assert [one.status for one in hub.google.kit.push.sent] == [200, 200]  # the sync messages
    await hub.read()
    row = await hub.row()
    assert (row.state, row.remote in hub.open, row.pushes) == ("live", True, 0)
    before = await hub.asked()
    hub.company.edit(event, summary="Boiler, urgent")
    await hub.arrived()
    assert hub.google.kit.push.sent[-1].status == 200
    assert await hub.asked() == before + 1
    (kept,) = await hub.hub.store.pushes(row.id)
    assert kept.headers["x-goog-resource-state"] == "exists"
    assert row.secret not in str(kept)
    assert await hub.read() == (1, False)
    assert await hub.known() == hub.there() == {event: "Boiler, urgent"}


@pytest.mark.fault("AT-17")
@pytest.mark.fault("F01")
async def test_a_hundred_identical_deliveries_at_once_have_one_effect(hub):
    event = hub.company.add(summary="Boiler")
    await hub.renew()
    await hub.arrived()
    await hub.read()
    hub.receiver.holding = True
    hub.company.edit(event, summary="Boiler, urgent")
    await hub.arrived()
    hub.receiver.holding = False
    ((path, push),) = hub.receiver.held
    before = await hub.asked()
    async with httpx.AsyncClient() as client:
        url = f"{hub.address}/push/{path}"
        sent = [client.post(url, headers=dict(push.headers)) for _ in range(100)]
        answers = await asyncio.gather(*sent)
    assert {answer.status_code for answer in answers} == {200}
    assert await hub.asked() == before + 1
    (kept,) = await hub.hub.store.pushes((await hub.row()).id)
    assert kept.doubled == 99
    assert await hub.read() == (1, False)
    assert await hub.read() == (0, False)


@pytest.mark.fault("F04")
async def test_a_push_about_an_event_that_is_gone_leads_to_a_read_that_proves_it(hub):
    event = hub.company.add(summary="Boiler")
    await hub.renew()
    await hub.arrived()
    await hub.read()
    hub.company.edit(event, summary="Boiler, urgent")
    hub.company.delete(event)  # before anybody could look
    await hub.arrived()
    assert await hub.is_due()
    await hub.read()
    assert await hub.known() == hub.there() == {}
    for _ in range(2):
        assert await hub.read() == (0, False)


@pytest.mark.fault("F02")
@pytest.mark.fault("AT-21")
@pytest.mark.parametrize("seed", range(5))
async def test_pushes_in_any_order_and_number_end_in_what_google_shows(hub, seed):
    chance = random.Random(seed)
    await hub.renew()
    await hub.arrived()
    await hub.read()
    hub.receiver.holding = True
    made = []
    for number in range(8):
        what = chance.choice(["add", "edit", "edit", "delete"]) if made else "add"
        if what == "add":
            made.append(hub.company.add(summary=f"Visit {number}"))
        elif what == "edit":
            hub.company.edit(chance.choice(made), summary=f"Visit {number}, moved")
        else:
            hub.company.delete(made.pop(chance.randrange(len(made))))
        await hub.arrived()
    hub.receiver.holding = False
    deliveries = [one for one in hub.receiver.held for _ in range(chance.randint(1, 3))]
    chance.shuffle(deliveries)
    for path, push in deliveries:
        assert (await hub.receiver.take(path, push)).status == 200
        if chance.random() < 0.4 and await hub.is_due():
            await hub.read()
    if await hub.is_due():
        await hub.read()
    assert await hub.known() == hub.there()
    row = await hub.row()
    assert (row.pushes, row.doubled) == (
        len(hub.receiver.held),
        len(deliveries) - len(hub.receiver.held),
    )


@pytest.mark.fault("F03")
async def test_a_push_that_is_lost_for_ever_is_made_good_by_the_sweep_and_counted(hub):
    event = hub.company.add(summary="Boiler")
    await hub.renew()
    await hub.arrived()
    await hub.read()
    await hub.later(minutes=1)
    await hub.read()
    before = await hub.asked()
    hub.lose(times=1)
    hub.company.edit(event, summary="Boiler, urgent")
    await hub.arrived()
    assert await hub.asked() == before
    await hub.later(minutes=5)
    assert await hub.read() == (1, True)
    assert await hub.known() == {event: "Boiler, urgent"}
    assert (await hub.row()).swept == 1


@pytest.mark.fault("F10")
async def test_of_twenty_who_renew_one_does_and_the_channel_that_is_known_is_the_live_one(hub):
    await hub.renew()
    await hub.arrived()
    await hub.read()
    first = await hub.row()
    assert (await hub.renew()).made == 0
    await hub.later(days=5)
    calls = len(hub.watches())
    done = await asyncio.gather(*(hub.renew() for _ in range(20)))
    assert sum(one.made for one in done) == 2
    assert [problem for one in done for problem in one.problems] == []
    assert len(hub.watches()) == calls + 2
    row = await hub.row()
    assert row.remote != first.remote
    assert row.expires_at > first.expires_at + timedelta(days=4)
    rows = await hub.hub.store.subscriptions()
    assert set(hub.open) == {one.remote for one in rows}


@pytest.mark.fault("F10")
async def test_what_happened_after_a_subscription_had_ended_is_read(hub):
    event = hub.company.add(summary="Boiler")
    await hub.renew()
    await hub.arrived()
    await hub.read()
    await hub.later(days=8)  # nobody was there to renew it
    before = await hub.asked()
    hub.company.edit(event, summary="Boiler, urgent")
    await hub.arrived()
    assert await hub.asked() == before
    assert (await hub.renew()).made == 2
    assert await hub.is_due()
    await hub.read()
    assert await hub.known() == {event: "Boiler, urgent"}


@pytest.mark.fault("F11")
async def test_a_channel_that_google_dropped_is_noticed_by_the_next_read_and_made_again(hub):
    event = hub.company.add(summary="Boiler")
    await hub.renew()
    await hub.arrived()
    await hub.read()
    await hub.later(minutes=15)
    await hub.read()
    lost = (await hub.row()).remote
    hub.open.clear()  # Google tells nobody
    hub.company.edit(event, summary="Boiler, urgent")
    await hub.later(minutes=5)
    assert await hub.read() == (1, True)
    hub.company.edit(event, summary="Boiler, done")
    assert (await hub.renew()).made == 1
    row = await hub.row()
    assert (row.remote in hub.open, row.remote != lost, row.doubted) == (True, True, False)
    assert await hub.is_due()
    await hub.read()
    assert await hub.known() == {event: "Boiler, done"}
    hub.company.edit(event, summary="Boiler, paid")
    await hub.arrived()
    assert await hub.is_due()


async def test_a_lost_answer_to_the_call_leaves_no_second_channel_that_is_heard(hub):
    hub.google.kit.faults.add(Fault(kind="drop", path="*/watch", times=2, after=True))
    done = await hub.renew()
    assert len(done.problems) == 2
    row = await hub.row()
    assert (row.state, row.tries) == ("making", 1)
    assert (await hub.renew()).made == 0  # not before its time
    await hub.later(minutes=2)
    assert (await hub.renew()).made == 2
    row = await hub.row()
    assert (row.state, row.problem, row.remote in hub.open) == ("live", "", True)
    await hub.arrived()
    event = hub.company.add(summary="Boiler")
    await hub.arrived()
    # Both channels told of it; only the one that is known has a secret that counts.
    assert sorted(one.status for one in hub.google.kit.push.sent[-2:]) == [200, 401]
    await hub.read()
    assert await hub.known() == {event: "Boiler"}


async def test_an_account_that_is_removed_is_told_of_nothing_any_more(hub):
    await hub.renew()
    assert len(hub.open) == 2
    await recipes.remove(hub.hub, "calendar-to-calendar")
    await accounts.remove(hub.hub, "google")
    assert hub.open == {}
    assert await hub.hub.store.subscriptions() == []


async def test_what_no_recipe_reads_any_more_is_let_go(hub):
    await hub.renew()
    await recipes.remove(hub.hub, "calendar-to-calendar")
    done = await hub.renew()
    assert (done.stopped, done.made) == (2, 0)
    assert hub.open == {}
    assert await hub.hub.store.subscriptions() == []


async def test_what_a_person_stopped_stays_stopped_until_it_is_renewed(hub):
    await hub.renew()
    done = await subscriptions.stop_account(hub.hub, "google")
    assert (done.stopped, done.problems, hub.open) == (2, (), {})
    assert (await hub.renew()).made == 0
    assert {one.state for one in await subscriptions.listed(hub.hub)} == {"off"}
    assert (await hub.renew(names=["google"])).made == 2
    assert {one.state for one in await subscriptions.listed(hub.hub, "google")} == {"live"}


async def test_without_an_address_nothing_is_subscribed_and_it_says_so(hub):
    assert await renew_due(hub.hub, "") == subscriptions.Worked(polled=True)
    assert hub.watches() == []


async def test_a_refusal_is_told_in_a_sentence_and_tried_again_later_and_later(hub):
    hub.google.kit.faults.add(Fault(kind="status", path="*/watch", status=403, reason="forbidden"))
    pauses = []
    for _ in range(4):
        done = await hub.renew()
        assert len(done.problems) == 2
        assert all(problem.startswith("google, the calendar “") for problem in done.problems)
        row = await hub.row()
        pauses.append(row.try_at - hub.now())
        await hub.later(seconds=pauses[-1].total_seconds() + 1)
    minutes = [round(pause.total_seconds() / 60) for pause in pauses]
    assert minutes == [1, 2, 4, 8]
    assert row.state == "making"


async def test_an_organisations_calendars_are_watched_in_their_owners_names(
    store, database_url, tmp_path
):
    async with post(store, database_url, tmp_path / "home", system="google-workspace") as hub:
        assert (await hub.renew()).made == 2
        owners = {one.account for one in hub.open.values()}
        assert owners == {hub.company.ana, hub.company.others[0]}
        await hub.arrived()
        event = hub.company.add(summary="Boiler")
        await hub.arrived()
        assert await hub.is_due()
        await hub.read()
        assert await hub.known() == {event: "Boiler"}
        await subscriptions.stop_account(hub.hub, "google")
        assert hub.open == {}
