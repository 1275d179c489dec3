"""The rules of alarms, from calls as they are counted to the sentence."""

from datetime import timedelta

import pytest
from aiohttp import web

from support.watching import AT, Clock, make_office
from truckroll.app import alerts, freshness
from truckroll.app.observe import Meter
from truckroll.kit import watch
from truckroll.kit.http import Limits, Transport, open_client
from truckroll.kit.pace import Timing
from truckroll.kit.retiring import retiring
from truckroll.store.base import Base
from truckroll.store.open import Stores


@pytest.fixture
async def office(store, tmp_path, monkeypatch):
    async def keep(_):
        """Leave the scopes of the office expected, though no recipe reads them."""

    monkeypatch.setattr(freshness, "expect", keep)
    office = await make_office(store, tmp_path)
    await freshness.promise(office.hub, "field", timedelta(days=100))
    return office


async def codes(office):
    await alerts.look(office.hub)
    return [one.code for one in await alerts.listed(office.hub)]


async def minutes_until_told(office, *, every, before, after):
    """Let a system fail from now on; return after how many minutes somebody is told."""
    for _ in range(10):
        await office.called(**before)
        assert await codes(office) == []
        office.clock.go(seconds=60)
    began = office.clock()
    while office.clock() - began < timedelta(minutes=30):
        if (office.clock() - began).total_seconds() % every == 0:
            await office.called(**after)
        if "system_down" in await codes(office):
            return (office.clock() - began).total_seconds() / 60
        office.clock.go(seconds=30)
    return None


@pytest.mark.parametrize(
    ("every", "before", "after"),
    [
        (60, {"answered": 4}, {"failed": 3}),
        (60, {"answered": 60}, {"failed": 40}),
        (60, {"answered": 60}, {"failed": 36, "answered": 20}),
        (120, {"answered": 30}, {"failed": 1}),
        (30, {"answered": 1}, {"failed": 1}),
    ],
    ids=["polled", "busy", "most-fail", "hangs", "seldom"],
)
async def test_a_system_that_is_down_is_told_within_five_minutes(office, every, before, after):
    minutes = await minutes_until_told(office, every=every, before=before, after=after)
    assert minutes is not None
    assert minutes <= 5
    (alert,) = await alerts.listed(office.hub)
    assert "nothing is lost, and all of it follows by itself" in alert.says


async def test_it_stays_told_while_nobody_dares_to_call_and_closes_once_it_answers(office):
    await minutes_until_told(office, every=60, before={"answered": 4}, after={"failed": 3})
    for _ in range(40):
        office.clock.go(minutes=1)
        assert await codes(office) == ["system_down"]
    await office.called(answered=3)
    await alerts.look(office.hub)
    office.clock.go(minutes=5)
    assert await codes(office) == []


@pytest.mark.parametrize("calls", [{"answered": 9, "failed": 1}, {"paused": 20, "answered": 1}])
async def test_a_hiccup_is_no_alarm(office, calls):
    for _ in range(8):
        await office.called(**calls)
        assert await codes(office) == []
        office.clock.go(seconds=30)


async def test_one_account_of_many_that_fails_is_told_by_its_name(office):
    await office.hub.store.add_account("caldav", "shop", {"url": "https://y.example"}, {})
    for _ in range(6):
        await office.called(answered=9)
        await office.called(failed=2, account="shop")
        await alerts.look(office.hub)
        office.clock.go(seconds=30)
    (alert,) = await alerts.listed(office.hub)
    assert (alert.code, alert.about) == ("system_down", "shop")
    assert "“shop” answered 0 of" in alert.says


async def test_a_sign_in_that_died_is_told_at_once_and_once(office):
    await office.read(error="CalDAV does not accept the sign-in [401].", code="sign_in")
    assert await codes(office) == ["sign_in"]
    (alert,) = await alerts.listed(office.hub)
    assert alert.act == "truckroll account sign-in field"
    assert "waits in order, and nothing is lost" in alert.says


@pytest.mark.fault("F60")
async def test_an_account_that_is_not_used_is_told_before_its_sign_in_dies(office):
    await office.read()
    await office.called(answered=1)
    office.clock.now = max(
        office.clock.now, (await office.hub.store.account_watches(since=AT, at=AT))[0].added_at
    )
    await office.read()
    office.clock.go(days=39)
    assert await codes(office) == []
    office.clock.go(days=2)
    assert await codes(office) == ["idle"]
    (alert,) = await alerts.listed(office.hub)
    assert "for 41 days" in alert.says
    await office.called(answered=1)
    await alerts.look(office.hub)
    office.clock.go(minutes=6)
    assert await codes(office) == []


@pytest.mark.fault("F60")
async def test_what_a_system_says_of_its_end_is_told_before_the_end(office, store, tmp_path):
    async def answer(_):
        return web.Response(
            text="{}",
            headers={
                "Deprecation": "@1793491200",
                "Sunset": "Mon, 01 Mar 2027 00:00:00 GMT",
                "Link": '<https://x.example/v3>; rel="successor-version", '
                '<https://x.example/bye>; rel="deprecation"; type="text/html"',
            },
        )

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    meter = Meter(now=office.clock)
    transport = Transport(f"http://127.0.0.1:{runner.addresses[0][1]}", private=True)
    with watch.watched(meter), watch.bound(tenant=1):
        async with open_client(transport, system="CalDAV", account="field") as client:
            await client.request("GET", "/")
    await runner.cleanup()
    await meter.flush(stores_of(store))
    assert await codes(office) == ["retiring"]
    (alert,) = await alerts.listed(office.hub)
    assert "ends on 1 March 2027. It says more at https://x.example/bye." in alert.says
    office.clock.go(days=8)
    await alerts.look(office.hub)
    office.clock.go(minutes=6)
    assert await codes(office) == [], "a system that says so no more has no end"


def stores_of(store: Base):
    return Stores(store._pool, store._keyring)


@pytest.mark.parametrize(
    ("headers", "deprecated", "sunset", "more"),
    [
        ({"deprecation": "@1688169599"}, "2023-06-30T23:59:59+00:00", None, ""),
        ({"deprecation": "true"}, AT.isoformat(), None, ""),
        ({"sunset": "Sat, 31 Dec 2018 23:59:59 GMT"}, None, "2018-12-31T23:59:59+00:00", ""),
        (
            {"sunset": "Sat, 31 Dec 2018 23:59:59 GMT", "link": "<https://a/b,c>;rel=sunset"},
            None,
            "2018-12-31T23:59:59+00:00",
            "https://a/b,c",
        ),
        (
            {"deprecation": "@1688169599", "link": '<javascript:x>; rel="deprecation"'},
            "2023-06-30T23:59:59+00:00",
            None,
            "",
        ),
    ],
)
def test_the_headers_of_an_end_are_read(headers, deprecated, sunset, more):
    found = retiring(headers, now=AT)
    assert (found.deprecated_at and found.deprecated_at.isoformat()) == deprecated
    assert (found.sunset_at and found.sunset_at.isoformat()) == sunset
    assert found.more == more


@pytest.mark.parametrize(
    "headers",
    [{}, {"deprecation": "soon"}, {"deprecation": "@99999999999999999999"}, {"sunset": "never"}],
)
def test_what_says_nothing_of_an_end_is_none(headers):
    assert retiring(headers, now=AT) is None


async def test_calls_that_fail_are_counted_as_such(office, store):
    """From a server that hangs up to the numbers of the alarm."""

    async def fail(request):
        request.transport.close()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", fail)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    meter = Meter(now=Clock(AT))

    async def at_once(_):
        return None

    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    transport = Transport(url, private=True, limits=Limits(tries=3))
    with watch.watched(meter), watch.bound(tenant=1):
        client = open_client(
            transport, system="CalDAV", account="field", timing=Timing(sleep=at_once)
        )
        async with client as opened:
            with pytest.raises(Exception, match="broke off"):
                await opened.request("GET", "/")
    await runner.cleanup()
    await meter.flush(stores_of(store))
    (account,) = await store.account_watches(since=AT - timedelta(minutes=5), at=AT)
    assert (account.answered, account.failed) == (0, 3)
    sample = {"tenant": "1", "account": "field", "system": "CalDAV", "status": "none"}
    assert meter.registry.get_sample_value("truckroll_calls_total", sample) == 3
