"""The rest of what people and programs do by the API: as the command line does it."""

from datetime import timedelta

import pytest

from support import servers
from support.company import company, row
from support.watching import receiving
from truckroll.app import passes, webhooks
from truckroll.app.errands import Errands
from truckroll.app.resident import Resident
from truckroll.recipes.compile import builtin
from truckroll.store.alerts import Finding
from web.web_office import RECIPE, tables


@pytest.fixture
async def acme(office, tmp_path):
    """Let acme keep one table in step with another."""
    hub = office.hubs["acme"]
    await tables(hub, tmp_path, "acme")
    bound = {"from": "acme-jobs", "to": "acme-copy", "zone": "America/New_York"}
    await hub.store.install_recipe(RECIPE, builtin()[RECIPE], bound, {})
    return hub


async def work(office, hub):
    """Do what a process that is up would do."""
    resident = Resident(hub.home, office.app.state.stores, now=office.clock)
    errands = Errands(resident)
    try:
        for scope in await hub.store.scopes():
            await errands.read(hub.store.tenant, scope.id)
        (recipe,) = await hub.store.recipes()
        await errands.settle(hub.store.tenant, recipe.id)
    finally:
        await resident.close()


async def acts(office, *, limit=10):
    lines = (await office.well("GET", f"/audit?limit={limit}"))["items"]
    return [(one["who"], one["act"], one["subject"], one["new"]) for one in lines]


async def test_the_timetable_is_set_and_shown_and_taken_back(office, acme):
    new = {"kind": "cron", "spec": "0 6 * * *", "complete": True}
    row_ = await office.well("POST", "/timetable", json=new, preset="operations-manager")
    assert (row_["act"], row_["zone"], row_["recipe"]) == ("reconcile", "America/New_York", RECIPE)
    wrong = await office.call("POST", "/timetable", json={**new, "spec": "0 6 * *"})
    assert wrong.status_code == 422
    assert (await office.well("GET", "/timetable", preset="csr"))["items"] == [row_]
    assert (
        await office.call("DELETE", f"/timetable/{row_['id']}", preset="csr")
    ).status_code == 404
    await office.well("DELETE", f"/timetable/{row_['id']}")
    assert (await office.well("GET", "/timetable"))["items"] == []
    assert (await office.call("DELETE", f"/timetable/{row_['id']}")).status_code == 404
    told = [(who, act, subject) for who, act, subject, _ in await acts(office)]
    assert ("operations-manager", "timetable.set", "") in told
    assert ("administrator", "timetable.remove", str(row_["id"])) in told


async def test_an_account_is_read_as_often_as_somebody_says(office, acme):
    await office.well("GET", "/top")
    path = "/accounts/acme-jobs"
    said = await office.well("PATCH", path, json={"poll_seconds": 60, "promise_seconds": 300})
    assert said["promise_seconds"] == 300
    (scope,) = await acme.store.scopes((await acme.store.account("acme-jobs")).id)
    agendas = await acme.store.scope_agendas([scope.id])
    assert agendas[scope.id].poll_seconds == 60
    said = await office.well("PATCH", path, json={"promise_seconds": None})
    assert said["promise_seconds"] == 900
    agendas = await acme.store.scope_agendas([scope.id])
    assert agendas[scope.id].poll_seconds == 60, "what is not said stays"
    assert (await office.call("PATCH", "/accounts/none", json={})).status_code == 404
    told = [one for one in await acts(office) if one[1] in ("timetable.every", "promise")]
    assert told == [
        ("administrator", "promise", "acme-jobs", {}),
        ("administrator", "promise", "acme-jobs", {"length": "PT300S"}),
        ("administrator", "timetable.every", "acme-jobs", {"seconds": 60}),
    ]


async def test_now_goes_on_by_itself_and_tells_what_came_of_it(office, acme):
    office.app.state.work._patience = 0.0
    asked = await office.call("POST", "/now", json={}, preset="dispatcher")
    assert asked.status_code == 202
    assert asked.json()["done"] is False
    where = asked.headers["location"].removeprefix("/api/v1")
    assert (await office.well("GET", where))["done"] is False
    await work(office, acme)
    told = await office.well("GET", where)
    assert (told["done"], told["writes"], len(told["runs"])) == (True, 1, 1)
    office.app.state.work._patience = 5.0
    again = await office.call("POST", "/now", json={"recipe": "none"})
    assert again.status_code == 422
    assert ("dispatcher", "now", "", {}) in await acts(office)


async def test_now_says_that_nobody_is_up(office, acme):
    office.app.state.work._patience = 0.0
    asked = await office.call("POST", "/now", json={})
    office.clock.ahead += timedelta(seconds=20)
    answer = await office.call("GET", asked.headers["location"].removeprefix("/api/v1"))
    assert answer.status_code == 409
    assert "no process of the hub is up" in answer.json()["detail"]


async def test_everything_at_a_glance_and_how_old_it_is(office, acme):
    await work(office, acme)
    office.clock.ahead += timedelta(minutes=20)
    view = await office.well("GET", "/top", preset="auditor")
    assert [(one["name"], one["promise_seconds"], one["late"]) for one in view["accounts"]] == [
        ("acme-copy", 900, 1),
        ("acme-jobs", 900, 1),
    ]
    assert set(view["waiting"]) == {"due", "held", "dead"}
    (copy, jobs) = (await office.well("GET", "/freshness"))["items"]
    assert (copy["late"], jobs["scopes"][0]["label"]) == (1, "the table “acme-jobs.csv”")
    assert 1190 < jobs["scopes"][0]["age_seconds"] < 1300


async def test_what_waits_is_told_by_cause(office, acme, tmp_path):
    view = await passes.apply(acme)
    await passes.undo_run(acme, view.run)
    (cause,) = (await office.well("GET", "/holds/causes", preset="csr"))["items"]
    assert (cause["reason"], cause["records"], len(cause["refs"])) == ("undone", 1, 1)
    assert cause["since"]


async def test_alerts_are_shown_and_silenced(office, acme):
    await acme.store.settle_alerts([Finding("late", "acme-jobs", "It is late.")], at=acme.now())
    (alert,) = (await office.well("GET", "/alerts"))["items"]
    assert alert["says"] == "It is late."
    path = f"/alerts/{alert['id']}/silence"
    assert (await office.call("POST", path, json={}, preset="csr")).status_code == 404
    await office.well("POST", path, json={"seconds": 3600}, preset="operations-manager")
    (alert,) = (await office.well("GET", "/alerts"))["items"]
    assert alert["silenced_until"]
    for hours in (1, 2):
        await acme.store.settle_alerts([], at=acme.now() + timedelta(hours=hours))
    assert (await office.well("GET", "/alerts"))["items"] == []
    assert len((await office.well("GET", "/alerts?all=true"))["items"]) == 1


async def test_channels_keep_their_secrets_and_never_lead_into_the_house(office, acme):
    url = "https://hooks.slack.example/services/T0/B0/canary"
    slack = {"name": "ops", "kind": "slack", "settings": {"url": url}}
    mail = {
        "name": "mail",
        "kind": "mail",
        "settings": {"host": "mail.example", "to": "ops@acme.example", "password": "canary"},
    }
    for body in (slack, mail):
        made = await office.call("POST", "/alerts/channels", json=body)
        assert made.status_code == 201, made.text
        assert "canary" not in made.text
    hook = {"name": "hook", "kind": "webhook", "settings": {"url": "https://hook.example/"}}
    made = await office.well("POST", "/alerts/channels", json=hook)
    assert made["secret"].startswith("whsec_")
    listed = await office.call("GET", "/alerts/channels", preset="csr")
    assert [one["name"] for one in listed.json()["items"]] == ["hook", "mail", "ops"]
    for word in ("canary", "whsec_", made["secret"]):
        assert word not in listed.text
        assert word not in (await office.call("GET", "/audit")).text
    for settings in ({"url": "http://127.0.0.1:9/"}, {"url": url, "private": "yes"}):
        body = {"name": "in", "kind": "webhook", "settings": settings}
        assert (await office.call("POST", "/alerts/channels", json=body)).status_code == 422
    await office.well("DELETE", "/alerts/channels/hook")
    assert (await office.call("DELETE", "/alerts/channels/hook")).status_code == 404
    assert (await office.call("POST", "/alerts/channels/hook/test", json={})).status_code == 404


async def test_webhooks_are_added_tested_looked_at_and_sent_again(office, acme):
    made = await office.well("POST", "/webhooks", json={"url": "https://hook.example/k?key=canary"})
    assert made["secret"].startswith("whsec_")
    assert "canary" not in (await office.call("GET", "/audit")).text
    inside = await office.call("POST", "/webhooks", json={"url": "http://127.0.0.1:9/"})
    assert inside.status_code == 422
    await office.well("DELETE", f"/webhooks/{made['id']}")
    assert (await office.call("GET", "/webhooks", preset="auditor")).status_code == 404
    async with receiving() as receiver:
        one = await webhooks.add(acme, receiver.url, private=True)
        listed = await office.call("GET", "/webhooks", preset="integrator")
        assert [item["id"] for item in listed.json()["items"]] == [one.id]
        assert one.secret not in listed.text
        line = await office.well("POST", f"/webhooks/{one.id}/test", preset="integrator")
        assert (line["status"], line["problem"]) == (200, "")
        again = await office.well("POST", f"/deliveries/{line['id']}/again")
        assert (again["id"], again["status"]) == (line["id"], 200)
        assert len(receiver.got) == 2
        await acme.store.pause_endpoint(one.id, "it was closed.", at=acme.now())
        await office.well("POST", f"/webhooks/{one.id}/resume")
        (shown,) = (await office.well("GET", "/webhooks"))["items"]
        assert shown["paused_at"] is None
        await office.well("POST", f"/webhooks/{one.id}/test")
        first = await office.well("GET", f"/deliveries?limit=1&webhook={one.id}")
        rest = await office.well("GET", f"/deliveries?limit=1&cursor={first['next']}")
        assert [first["items"][0]["id"] > rest["items"][0]["id"], rest["next"]] == [True, ""]


async def test_subscriptions_need_an_address_and_are_stopped(office, acme):
    assert (await office.well("GET", "/subscriptions"))["items"] == []
    answer = await office.call("POST", "/subscriptions/renew", json={}, preset="integrator")
    assert answer.status_code == 409
    assert "no public address" in answer.json()["detail"].lower()
    office.app.state.public = "https://hub.example"
    assert (await office.well("POST", "/subscriptions/renew", json={}))["problems"] == []
    assert (await office.well("POST", "/accounts/acme-jobs/unsubscribe"))["stopped"] == 0
    told = {(one[1], one[2]) for one in await acts(office)}
    assert {("subscription.renew", ""), ("subscription.stop", "acme-jobs")} <= told


async def test_a_link_to_sign_in_is_only_for_what_has_a_consent(office, acme):
    path = "/accounts/acme-jobs/sign-in"
    answer = await office.call("POST", path, json={"redirect_uri": "https://office.example/"})
    assert answer.status_code == 422
    assert "knows no sign-in in the browser" in answer.json()["detail"]
    back = {"ticket": "a.b", "code": "x", "state": "y"}
    answer = await office.call("POST", f"{path}/answer", json=back)
    assert answer.status_code == 422
    assert "nothing was kept" in answer.json()["detail"]


@pytest.fixture(scope="module")
def calendars():
    with servers.radicale(password="secret") as server:
        yield server


async def test_what_a_cancellation_asks_for_is_offered_planned_and_done(
    office, tmp_path, calendars
):
    hub = office.hubs["acme"]
    async with company(hub.store, tmp_path, calendars, "Ana") as made:
        made.rows = [row(1, "Ana", hour=14), row(2, "Ana", hour=16)]
        made.save()
        await passes.apply(hub)
        made.rows[0]["Status"] = "Cancelled"
        made.save()
        await passes.apply(hub)
        before = made.saved()
        (happened,) = (await office.well("GET", "/offers", preset="dispatcher"))["items"]
        code = happened["offers"][0]["code"]
        assert happened["technician"] == "Ana"
        plan = await office.well("POST", f"/offers/{code}/plan", json={}, preset="csr")
        assert (plan["run"], plan["writes"] > 0, made.saved() == before) == (None, True, True)
        assert (
            await office.call("POST", f"/offers/{code}", json={}, preset="csr")
        ).status_code == 404
        done = await office.well("POST", f"/offers/{code}", json={}, preset="dispatcher")
        assert (done["writes"] > 0, done["failed"], made.saved() != before) == (True, 0, True)
        assert (await office.call("POST", f"/offers/{code}", json={})).status_code == 404
        assert ("dispatcher", "follow.take", code, {}) in await acts(office)
