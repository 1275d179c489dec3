"""Every route as every preset and as another company: only what one may; else nothing is there."""

import json

import pytest

from truckroll.app import alerts, passes, timetable, webhooks
from truckroll.app.rights import PRESETS, Right
from truckroll.recipes.compile import builtin
from truckroll.store.alerts import Finding
from web.web_office import RECIPE, tables

TOO_LONG = "x" * 201
WORDS = ("name", "ref", "person", "code", "number")
NUMBERS = ("run", "token", "row", "alert", "webhook", "delivery")
OFF = {**dict.fromkeys(WORDS, TOO_LONG), **dict.fromkeys(NUMBERS, 0)}
"""Words for a path that are off: whoever may call the route hears so."""
NOT_THERE = {**dict.fromkeys(WORDS, "no"), **dict.fromkeys(NUMBERS, 999_999)}
BODIES = {
    "/accounts/{name}/sign-in": {"redirect_uri": "https://office.example/"},
    "/accounts/{name}/sign-in/answer": {"ticket": "x", "code": "x", "state": "x"},
}


def routes(app):
    """Return method, path and right of every route of the API."""
    found = []
    for route in app.routes:
        if not route.path_format.startswith("/api/v1"):
            continue
        for handler in route.route_handlers:
            for method in set(handler.http_methods) - {"OPTIONS", "HEAD"}:
                path = route.path_format.removeprefix("/api/v1")
                found.append((method, path, handler.opt["right"]))
    return sorted(found)


def filled(path, words):
    for name, word in words.items():
        path = path.replace(f"{{{name}}}", str(word))
    return path


async def test_every_route_says_who_may_call_it(office):
    rights = {right for _, _, right in routes(office.app)}
    assert rights <= {*Right, "anybody"}
    assert len(routes(office.app)) > 30


@pytest.mark.fault("F65")
async def test_every_route_answers_those_who_may_and_is_not_there_for_the_others(office):
    nothing = await office.call("GET", "/nothing-here")
    assert nothing.status_code == 404
    told = []
    for method, path, right in routes(office.app):
        body = {} if method in ("GET", "DELETE") else {"content": b"{"}
        for preset, rights in PRESETS.items():
            answer = await office.call(method, filled(path, OFF), preset=preset, **body)
            if right == "anybody" or right in rights:
                told.append((method, path, answer.status_code))
                assert answer.status_code not in (401, 404), (method, path, preset, answer.text)
            else:
                assert answer.content == nothing.content, (method, path, preset)
                assert answer.headers["content-type"] == nothing.headers["content-type"]
                assert answer.status_code == 404
    assert {status for _, _, status in told} <= {200, 400, 422}, told


async def test_without_a_token_nobody_gets_in(office):
    for method, path, _ in routes(office.app):
        for headers in (
            {},
            {"Authorization": "Bearer tkr_unknown"},
            {"Authorization": "Basic eA=="},
        ):
            answer = await office.client.request(
                method, f"/api/v1{filled(path, OFF)}", headers=headers
            )
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.fixture
async def busy(office, tmp_path):
    """Let acme have an account, a recipe, a run, and a story; return what names them."""
    hub = office.hubs["acme"]
    await tables(hub, tmp_path, "acme")
    bound = {"from": "acme-jobs", "to": "acme-copy", "zone": "America/New_York"}
    await hub.store.install_recipe(RECIPE, builtin()[RECIPE], bound, {})
    view = await passes.apply(hub)
    assert view.writes == 1
    (row,) = [one for one in await hub.store.tokens() if one.name == "csr's"]
    line = await timetable.put(hub, RECIPE, "cron", "0 6 * * *")
    await alerts.add_channel(hub, "acme-jobs", "slack", {"url": "https://example.com/acme"})
    await hub.store.settle_alerts([Finding("late", "acme-jobs", "It is late.")], at=hub.now())
    (alert,) = await alerts.listed(hub)
    webhook = await webhooks.add(hub, "https://example.com/acme")
    delivery = await hub.store.test_event(webhook.id, at=hub.now())
    return {
        "name": "acme-jobs",
        "ref": "Boiler",
        "person": "Ana",
        "run": view.run,
        "token": row.id,
        "row": line.id,
        "alert": alert.id,
        "webhook": webhook.id,
        "delivery": delivery,
        "number": "J-1",
        "code": "abcde",
    }


@pytest.mark.fault("F65")
async def test_what_another_company_has_is_not_there(office, busy):
    nothing = await office.call("GET", "/nothing-here")
    before = await _everything(office)
    tried = 0
    for method, path, _ in routes(office.app):
        if "{" not in path or "recipes" in path or "members" in path:
            continue
        for words in (busy, NOT_THERE):
            body = {"json": BODIES.get(path, {})} if method in ("POST", "PATCH") else {}
            answer = await office.call(method, filled(path, words), tenant="beta", **body)
            assert answer.content == nothing.content, (method, path, answer.text)
            tried += 1
    assert tried >= 40
    assert await _everything(office) == before

    refused = await office.well("GET", "/audit?about=api.refused&limit=200", tenant="beta")
    assert len(refused["items"]) == tried
    line = refused["items"][0]
    assert (line["who"], line["way"], line["outcome"]) == ("administrator", "api", "404")


async def _everything(office):
    acme = office.hubs["acme"].store
    tokens = [(one.id, one.revoked_at) for one in await acme.tokens()]
    runs = [one.id for one in await acme.runs()]
    people = [one.name for one in await acme.people()]
    told = await acme.endpoints(), await acme.channels(), await acme.deliveries()
    alarms = await acme.alerts(at=office.clock())
    settings = await acme.members(), await acme.accounts(), await acme.timetable()
    return tokens, runs, people, settings, told, alarms


@pytest.mark.fault("F65")
async def test_no_list_shows_anything_of_another_company(office, busy):
    cursors = {}
    for method, path, _ in routes(office.app):
        if method == "GET" and "{" not in path and path != "/people":
            answer = await office.call("GET", f"{path}?limit=1", tenant="acme")
            if answer.status_code == 200 and "next" in answer.json():
                cursors[path] = answer.json()["next"]
    for path, cursor in cursors.items():
        for more in ("", f"&cursor={cursor}"):
            answer = await office.call("GET", f"{path}?limit=200{more}", tenant="beta")
            assert answer.status_code in (200, 422), (path, answer.text)
            for word in ("acme", "Boiler", "Ana"):
                assert word not in answer.text, (path, word)
    assert {"/accounts", "/runs", "/audit", "/tokens"} <= set(cursors)


@pytest.mark.fault("F65")
async def test_a_body_that_names_what_another_company_has_is_as_wrong_as_any(office, busy):
    calls = [
        ("/tokens", {"name": "t", "member": "X"}, "only-acme"),
        ("/recipes", {"name": RECIPE, "source": "X", "target": "X"}, "acme-jobs"),
        ("/runs", {"recipe": "X"}, RECIPE),
        ("/plans", {"recipe": "X"}, RECIPE),
        ("/holds/answers", {"ref": "X", "answer": "accept"}, "J-1"),
        ("/people", {"person": "Ana", "calendar": "X"}, "acme-copy"),
    ]
    await office.well("POST", "/members", json={"name": "only-acme", "presets": ["csr"]})
    for path, body, theirs in calls:
        answers = []
        for word in (theirs, "no-such-thing"):
            filled_in = json.loads(json.dumps(body).replace('"X"', json.dumps(word)))
            answer = await office.call("POST", path, tenant="beta", json=filled_in)
            assert answer.status_code == 422, (path, answer.text)
            answers.append(answer.text.replace(word, "X"))
        assert answers[0] == answers[1], path


@pytest.mark.fault("F65")
async def test_the_header_of_a_tenant_that_was_not_given_leads_nowhere(office):
    nothing = await office.call("GET", "/nothing-here")
    for name in ("beta", "2", "gamma", "0", ""):
        answer = await office.call("GET", "/me", headers={"Truckroll-Tenant": name})
        if name:
            assert answer.content == nothing.content
        else:
            assert answer.json()["tenant"]["name"] == "acme"
