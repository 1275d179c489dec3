"""Freshness: only a read that proves what is there makes a scope younger."""

from datetime import timedelta

import pytest

from support.watching import make_office
from truckroll.app import alerts, freshness
from truckroll.app.top import top
from truckroll.app.trouble import TroubleError


@pytest.fixture
async def office(store, tmp_path, monkeypatch):
    async def keep(_):
        """Leave the scopes of the office expected, though no recipe reads them."""

    monkeypatch.setattr(freshness, "expect", keep)
    return await make_office(store, tmp_path)


async def only(office):
    (account,) = await freshness.fresh(office.hub)
    (scope,) = account.scopes
    return account, scope


@pytest.mark.fault("AT-15")
async def test_what_failed_or_never_took_place_is_no_success(office):
    _, scope = await only(office)
    assert scope.age_seconds is None
    assert not scope.evidence
    await office.read()
    office.clock.go(minutes=10)
    await office.read(error="Radicale does not answer.", code="try_later")
    account, scope = await only(office)
    assert scope.age_seconds == 600, "a read that failed makes nothing younger"
    assert scope.tried_seconds == 0
    assert account.trouble == "Radicale does not answer."
    office.clock.go(minutes=2)
    await office.read(complete=False)
    account, scope = await only(office)
    assert (scope.age_seconds, account.trouble) == (0, ""), "changes followed to their end"
    assert scope.evidence == "followed its changes to the end: none"


@pytest.mark.fault("AT-15")
async def test_changes_prove_nothing_without_a_complete_listing_behind_them(office):
    await office.read(complete=False)
    _, scope = await only(office)
    assert scope.age_seconds is None
    assert scope.tried_seconds == 0


@pytest.mark.fault("AT-15")
async def test_nothing_where_hundreds_were_raises_an_alert_until_something_is_there(office):
    await office.read()
    office.clock.go(minutes=1)
    await office.read(live=0)
    office.clock.go(minutes=1)
    await office.read(live=0, before=0)
    await alerts.look(office.hub)
    (alert,) = await alerts.listed(office.hub)
    assert alert.code == "emptied"
    assert "shows nothing any more, where 312 records were" in alert.says
    (account,) = await freshness.fresh(office.hub)
    assert account.scopes[0].evidence == "listed whole: nothing is there"
    await office.read(live=312, before=0)
    await alerts.look(office.hub)
    office.clock.go(minutes=6)
    await office.read()
    await alerts.look(office.hub)
    assert await alerts.listed(office.hub) == []


@pytest.mark.fault("AT-16")
async def test_a_poller_that_stopped_is_set_going_and_said_out_loud(office):
    await office.read()
    office.clock.go(minutes=14)
    await alerts.look(office.hub, office.restart)
    assert office.restarted == [], "the promise is kept so far"
    office.clock.go(minutes=2)
    await alerts.look(office.hub, office.restart)
    assert office.restarted == [office.scope]
    (alert,) = await alerts.listed(office.hub)
    assert alert.code == "late"
    assert "the calendar “Ana”: last complete read 16 min ago, promise 15 min" in alert.says
    assert "nothing has even tried to read it, so its read was set going again" in alert.says
    assert "status" not in alert.says
    view = await top(office.hub)
    assert (view.accounts[0].late, view.accounts[0].well) == (1, False)
    office.clock.go(seconds=60)
    await alerts.look(office.hub, office.restart)
    assert office.restarted == [office.scope], "a read is given time to begin"
    office.clock.go(seconds=61)
    await alerts.look(office.hub, office.restart)
    assert office.restarted == [office.scope] * 2
    await office.read()
    await alerts.look(office.hub, office.restart)
    office.clock.go(minutes=5)
    await alerts.look(office.hub, office.restart)
    assert await alerts.listed(office.hub) == []


@pytest.mark.fault("AT-16")
async def test_a_scope_that_was_never_read_is_missed_too(office):
    office.clock.go(minutes=16)
    await alerts.look(office.hub, office.restart)
    assert office.restarted == [office.scope]
    (alert,) = await alerts.listed(office.hub)
    assert "last complete read never" in alert.says


async def test_a_read_that_is_tried_and_fails_is_not_hurried(office):
    await office.read()
    for _ in range(5):
        office.clock.go(minutes=4)
        await office.read(error="Radicale asked for a pause.", code="try_later")
        await alerts.look(office.hub, office.restart)
    assert office.restarted == []
    (alert,) = await alerts.listed(office.hub)
    assert alert.says.endswith("promise 15 min: Radicale asked for a pause.")


async def test_a_promise_is_the_accounts_own(office):
    await freshness.promise(office.hub, "field", timedelta(minutes=3))
    await office.read()
    office.clock.go(minutes=4)
    account, scope = await only(office)
    assert (account.promise_seconds, scope.late) == (180, True)
    await freshness.promise(office.hub, "field", None)
    account, scope = await only(office)
    assert (account.promise_seconds, scope.late) == (900, False)
    with pytest.raises(TroubleError, match="no account"):
        await freshness.promise(office.hub, "fiedl", None)


async def test_only_the_scopes_of_recipes_are_expected(store, tmp_path):
    office = await make_office(store, tmp_path)
    await freshness.expect(office.hub)
    (account,) = await freshness.fresh(office.hub)
    assert account.scopes == []
