"""When a subscription is made, renewed, looked after, and where it is reached."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace as with_

from support.post import post
from truckroll.app import subscriptions
from truckroll.app.hub import Hub
from truckroll.app.subscriptions import due_task, public_address, renew_due
from truckroll.app.trouble import TroubleError
from truckroll.connectors.google_calendar import GOOGLE_CALENDAR
from truckroll.connectors.google_calendar.channels import PUSH
from truckroll.kit.errors import RetryLater
from truckroll.kit.push import Subscribed
from truckroll.store.subscriptions import Subscription

AT = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
DAYS = timedelta(days=1)
MINUTE = timedelta(minutes=1)
EMPTY = dict.fromkeys(("tries", "epoch", "pushes", "doubled", "refused", "swept"), 0) | dict(
    dict.fromkeys(("heard_at", "looked_at", "try_at", "busy_until", "scope"), None),
    **dict.fromkeys(("path", "secret", "coming", "former", "remote", "problem", "system"), ""),
)
LIVE = Subscription(
    id=1,
    account=1,
    state="live",
    more={},
    made_at=AT,
    live_at=AT,
    expires_at=AT + 7 * DAYS,
    doubted=False,
    **EMPTY,
)


async def nothing(*_):
    raise AssertionError("nobody is asked")


RENEWS = replace(PUSH, renew=nothing, alive=nothing, silent_after=12 * timedelta(hours=1))


@pytest.mark.parametrize(
    ("row", "push", "after", "task"),
    [
        (with_(LIVE, state="making", live_at=None), PUSH, 0 * DAYS, "make"),
        (with_(LIVE, state="lost"), PUSH, 0 * DAYS, "make"),
        (with_(LIVE, state="off"), PUSH, 30 * DAYS, None),
        (with_(LIVE, state="lost", try_at=AT + DAYS), PUSH, 0.5 * DAYS, None),
        (with_(LIVE, state="lost", try_at=AT + DAYS), PUSH, 1 * DAYS, "make"),
        (with_(LIVE, state="lost", busy_until=AT + DAYS), PUSH, 0.5 * DAYS, None),
        (with_(LIVE, state="lost", busy_until=AT + DAYS), PUSH, 1 * DAYS, "make"),
        (LIVE, PUSH, 4.6 * DAYS, None),
        (LIVE, PUSH, 4.7 * DAYS, "make"),
        (with_(LIVE, expires_at=AT + MINUTE * 30), PUSH, 19 * MINUTE, None),
        (with_(LIVE, expires_at=AT + MINUTE * 30), PUSH, 20 * MINUTE, "make"),
        (with_(LIVE, expires_at=None), PUSH, 300 * DAYS, None),
        (with_(LIVE, doubted=True), PUSH, 9 * MINUTE, None),
        (with_(LIVE, doubted=True), PUSH, 10 * MINUTE, "make"),
        (LIVE, RENEWS, 14 * MINUTE, None),
        (LIVE, RENEWS, 15 * MINUTE, "look"),
        (with_(LIVE, looked_at=AT + DAYS / 3), RENEWS, DAYS / 3 + 14 * MINUTE, None),
        (LIVE, RENEWS, 0.51 * DAYS, "make"),
        (with_(LIVE, heard_at=AT + 4.5 * DAYS), RENEWS, 4.7 * DAYS, "renew"),
        (with_(LIVE, heard_at=AT + 6.9 * DAYS), RENEWS, 7 * DAYS, "make"),
    ],
)
def test_what_is_due_follows_from_the_row_alone(row, push, after, task):
    assert due_task(row, push, AT + after) == task


def test_the_public_address_must_be_one_that_systems_take(monkeypatch):
    monkeypatch.delenv("TRUCKROLL_URL", raising=False)
    assert public_address() == ""
    monkeypatch.setenv("TRUCKROLL_URL", "https://hub.example/base/")
    assert public_address() == "https://hub.example/base"
    assert public_address("http://127.0.0.1:8000") == "http://127.0.0.1:8000"
    assert public_address("http://[::1]:8000/") == "http://[::1]:8000"
    for bad in ("http://hub.example", "hub.example", "https://", "https://a/?x=1", "ftp://a"):
        with pytest.raises(TroubleError, match="https://"):
            public_address(bad)


def test_neither_secrets_nor_addresses_are_printed():
    made = subscriptions.ByHand(account="a", system="s", url="https://hub/push/x", secret="y")
    assert repr(made) == "ByHand(account='a')"


@pytest.fixture
async def hub(store, database_url, tmp_path, monkeypatch):
    """A hub at a Google that lets channels be renewed and asked for."""
    async with post(store, database_url, tmp_path / "home") as made:

        async def renew(_session, _scope, told, wanted):
            made.renewed.append((told.id, wanted.secret))
            return Subscribed(id=told.id, more=told.more, expires_at=made.now() + 7 * DAYS)

        async def alive(_session, _scope, told):
            made.looked.append(told.id)
            if made.trouble:
                raise RetryLater("Google is busy.")
            return told.id in made.open

        made.renewed, made.looked, made.trouble = [], [], False
        push = replace(PUSH, renew=renew, alive=alive)
        speaks = replace(GOOGLE_CALENDAR, push=push)
        monkeypatch.setattr(subscriptions, "connector", lambda _: speaks)
        made.receiver._push_of = lambda _: push
        yield made


@pytest.mark.fault("F10")
async def test_a_subscription_that_can_be_renewed_keeps_its_id_and_secret(hub):
    await hub.renew()
    before = await hub.row()
    await hub.later(days=5)
    done = [await hub.renew() for _ in range(3)]
    assert [(one.renewed, one.made) for one in done] == [(2, 0), (0, 0), (0, 0)]
    row = await hub.row()
    assert (row.remote, row.secret, row.path) == (before.remote, before.secret, before.path)
    assert (row.remote, row.secret) in hub.renewed
    assert row.expires_at > before.expires_at
    assert row.live_at == before.live_at


@pytest.mark.fault("F11")
async def test_what_the_system_deleted_is_noticed_when_it_is_asked_and_made_again(hub):
    event = hub.company.add(summary="Boiler")
    await hub.renew()
    await hub.arrived()
    await hub.read()
    hub.open.clear()
    hub.company.edit(event, summary="Boiler, urgent")
    assert not await hub.is_due()
    await hub.later(minutes=15)
    done = await hub.renew()
    assert len(hub.looked) == 2
    assert all("has ended the subscription" in problem for problem in done.problems)
    assert {one.state for one in await subscriptions.listed(hub.hub)} == {"lost"}
    assert (await hub.renew()).made == 2
    row = await hub.row()
    assert (row.state, row.remote in hub.open) == ("live", True)
    assert await hub.is_due()
    await hub.read()
    assert await hub.known() == {event: "Boiler, urgent"}


async def test_trouble_at_a_look_loses_nothing(hub):
    await hub.renew()
    hub.trouble = True
    await hub.later(minutes=15)
    done = await hub.renew()
    assert len(done.problems) == 2
    row = await hub.row()
    assert (row.state, row.tries, row.remote in hub.open) == ("live", 1, True)
    hub.trouble = False
    await hub.later(minutes=2)
    assert (await hub.renew()).looked == 2
    assert (await hub.row()).problem == ""


async def test_a_recipe_that_cannot_be_read_stops_no_subscription(hub, monkeypatch):
    await hub.renew()

    async def broken(_):
        return {1: "It has a slip."}

    monkeypatch.setattr(subscriptions, "load_all", broken)
    done = await renew_due(hub.hub, hub.address)
    assert (done.stopped, len(hub.open)) == (0, 2)


async def test_a_secret_from_the_system_takes_the_place_of_ours(store, tmp_path):
    await store.add_account("servicetitan", "titan", {}, {})
    hub = Hub(tmp_path, store)
    first = await subscriptions.set_up_by_hand(hub, "titan", "https://hub.example")
    theirs = "a secret of 32 or more characters"
    second = await subscriptions.set_up_by_hand(hub, "titan", "https://hub.example", secret=theirs)
    assert (second.url, second.secret) == (first.url, theirs)
    (row,) = await store.subscriptions()
    assert row.secrets == (theirs, "", first.secret)
    with pytest.raises(TroubleError, match="polled"):
        await subscriptions.set_up_by_hand(hub, "titan", "")
    assert msgspec.json.encode(await subscriptions.listed(hub)).count(theirs.encode()) == 0
