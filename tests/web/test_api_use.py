"""What people and programs do by the API."""

import asyncio
import csv

import pytest

from support.company import row
from truckroll.app import passes
from truckroll.recipes.compile import builtin
from truckroll.web.app import LARGEST_BODY
from web.web_office import RECIPE, tables

NEW = {"name": RECIPE, "source": "acme-jobs", "target": "acme-copy"}


@pytest.fixture
async def paths(office, tmp_path):
    return await tables(office.hubs["acme"], tmp_path, "acme")


def titles(path):
    with path.open(newline="") as file:
        return sorted(one["Title"] for one in csv.DictReader(file))


async def test_a_recipe_is_installed_planned_run_explained_and_undone(office, paths):
    made = await office.well("POST", "/recipes", json=NEW)
    assert made == {"name": RECIPE, "version": 1, "changed": True}
    plan = await office.well("POST", "/plans", json={})
    assert (plan["run"], plan["by_op"]) == (None, {"create": 1})
    assert titles(paths[1]) == []

    run = await office.well("POST", "/runs", json={})
    assert run["writes"] == 1
    assert titles(paths[1]) == ["Boiler of acme"]
    shown = await office.well("GET", f"/runs/{run['run']}")
    assert (shown["recipe"], shown["kind"], shown["summary"]["writes"]) == (RECIPE, "apply", 1)
    assert shown["ended_at"] is not None
    (step,) = (await office.well("GET", f"/runs/{run['run']}/steps"))["items"]
    assert (step["step"]["op"], step["step"]["title"]) == ("create", "Boiler of acme")
    (story,) = (await office.well("GET", "/why/Boiler of acme"))["records"]
    assert [one["here"] for one in story["places"]] == [True, True]

    undone = await office.well("POST", f"/runs/{run['run']}/undo")
    assert undone["by_op"] == {"delete": 1}
    assert titles(paths[1]) == []
    held = await office.well("GET", "/holds")
    assert {one["hold"]["reason"] for one in held["items"]} == {"undone"}
    ref = held["items"][0]["hold"]["ref"]
    said = await office.well("POST", "/holds/answers", json={"ref": ref, "answer": "retry"})
    assert said["answered"][0]["answer"] == "retry"
    assert (await office.well("POST", "/runs", json={}))["writes"] == 1
    assert (await office.well("GET", "/conflicts"))["items"] == []


async def test_two_people_do_not_overwrite_each_other(office, paths):
    await office.well("POST", "/recipes", json=NEW)
    shown = await office.call("GET", f"/recipes/{RECIPE}")
    tag = shown.headers["etag"]
    change = {"choices": {"missing": "ask"}}
    path = f"/recipes/{RECIPE}"
    assert (await office.call("PATCH", path, json=change)).status_code == 428
    first = await office.call("PATCH", path, json=change, headers={"If-Match": tag})
    assert first.status_code == 200
    assert first.headers["etag"] == '"2"'
    other = {"choices": {"missing": "accept"}}
    for body, at in ((other, path), ({"version": 1}, f"{path}/rollback")):
        method = "PATCH" if at == path else "POST"
        late = await office.call(method, at, json=body, headers={"If-Match": tag})
        assert late.status_code == 412
        assert "at version 2 now" in late.json()["detail"]
    assert (await office.call("POST", "/recipes", json=NEW)).status_code == 428
    back = await office.call(
        "POST", f"{path}/rollback", json={"version": 1}, headers={"If-Match": "*"}
    )
    assert back.json()["version"] == 3
    versions = await office.well("GET", f"{path}/versions")
    assert [(one["version"], one["now"]) for one in versions["items"]] == [
        (1, False),
        (2, False),
        (3, True),
    ]


async def test_of_two_changes_at_once_one_is_refused(office, paths):
    await office.well("POST", "/recipes", json=NEW)
    calls = [
        office.call(
            "PATCH",
            f"/recipes/{RECIPE}",
            json={"choices": {"private": word}},
            headers={"If-Match": '"1"'},
        )
        for word in ("skip", "copy", "busy_only")
    ]
    statuses = sorted(one.status_code for one in await asyncio.gather(*calls))
    assert statuses == [200, 412, 412]


async def test_a_recipe_of_ones_own_comes_as_text_and_never_from_the_hubs_disk(office, tmp_path):
    own = builtin()[RECIPE].replace(f'name = "{RECIPE}"', 'name = "mine"')
    checked = await office.well("POST", "/recipes/check", json={"toml": "gaurd = 1"})
    assert checked["slips"]
    file = tmp_path / "secret.toml"
    file.write_text("password = 1")
    for body in ({**NEW, "name": str(file)}, {**NEW, "name": "", "toml": "x = 1"}):
        answer = await office.call("POST", "/recipes", json=body)
        assert answer.status_code == 422
        assert "password" not in answer.text
    assert (await office.call("GET", "/recipes/secret.toml")).status_code == 404
    assert own


async def test_the_same_key_does_the_same_once(office, paths):
    await office.well("POST", "/recipes", json=NEW)
    once = {"Idempotency-Key": "a1"}
    first = await office.call("POST", "/runs", json={}, headers=once)
    paths[0].write_text(paths[0].read_text().replace("Boiler", "Furnace"))
    again = await office.call("POST", "/runs", json={}, headers=once)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert titles(paths[1]) == ["Boiler of acme"]
    assert len((await office.well("GET", "/runs"))["items"]) == 1
    other = await office.call("POST", "/runs", json={"recipe": RECIPE}, headers=once)
    assert other.status_code == 422
    theirs = await office.call("POST", "/runs", json={}, headers=once, preset="dispatcher")
    assert "idempotency-replayed" not in theirs.headers
    assert titles(paths[1]) == ["Furnace of acme"]


async def test_the_same_key_at_once_does_it_once(office):
    body = {"name": "Zoe", "presets": ["csr"]}
    calls = [
        office.call("POST", "/members", json=body, headers={"Idempotency-Key": "k"})
        for _ in range(5)
    ]
    statuses = sorted(one.status_code for one in await asyncio.gather(*calls))
    assert set(statuses) <= {201, 409}
    assert (
        await office.call("POST", "/members", json=body, headers={"Idempotency-Key": "k"})
    ).status_code == 201


async def test_a_key_of_what_failed_may_be_used_again_and_a_secret_is_never_kept(office):
    key = {"Idempotency-Key": "k"}
    wrong = {"name": "t", "member": "nobody"}
    right = {"name": "t", "member": "csr"}
    assert (await office.call("POST", "/tokens", json=wrong, headers=key)).status_code == 422
    assert (await office.call("POST", "/tokens", json=right, headers=key)).status_code == 201
    again = await office.call("POST", "/tokens", json=right, headers=key)
    assert again.status_code == 409
    assert "shown only once" in again.json()["detail"]
    for bad in ("", "x" * 201, "a\tb"):
        answer = await office.call("POST", "/plans", json={}, headers={"Idempotency-Key": bad})
        assert answer.status_code in (400, 422), bad


async def test_lists_come_in_pieces(office):
    seen, cursor = [], ""
    while True:
        piece = await office.well("GET", f"/audit?limit=7&cursor={cursor}")
        assert len(piece["items"]) <= 7
        seen += [one["id"] for one in piece["items"]]
        if not (cursor := piece["next"]):
            break
    assert len(seen) == len(set(seen)) == 23
    assert seen == sorted(seen, reverse=True)
    names, cursor = [], ""
    for _ in range(4):
        piece = await office.well("GET", f"/members?limit=3&cursor={cursor}")
        names += [one["name"] for one in piece["items"]]
        cursor = piece["next"]
    assert len(names) == 11
    assert cursor == ""
    assert (await office.call("GET", "/members?limit=201")).status_code == 400
    assert (await office.call("GET", "/members?cursor=bm8=")).status_code == 400


async def test_long_work_goes_on_and_is_asked_about(office, paths, monkeypatch):
    await office.well("POST", "/recipes", json=NEW)
    gate = asyncio.Event()
    observe = passes.observe

    async def slowly(job, report):
        await gate.wait()
        await observe(job, report)

    monkeypatch.setattr(passes, "observe", slowly)
    office.app.state.work._patience = 0.05
    answer = await office.call("POST", "/runs", json={})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/runs/{answer.json()['id']}"
    assert answer.json()["ended_at"] is None
    busy = await office.call("POST", "/runs", json={})
    assert busy.status_code == 409
    assert busy.json()["detail"].startswith("Another run of this recipe is at work")
    gate.set()
    for _ in range(200):
        shown = await office.well("GET", answer.headers["location"].removeprefix("/api/v1"))
        if shown["ended_at"]:
            break
        await asyncio.sleep(0.02)
    assert shown["summary"]["writes"] == 1


async def test_every_act_of_a_person_is_in_the_audit_log(office, paths):
    await office.well("POST", "/recipes", json=NEW, preset="integrator")
    await office.call(
        "PATCH", f"/recipes/{RECIPE}", json={"choices": {"no": "x"}}, headers={"If-Match": "*"}
    )
    await office.well("POST", "/runs", json={}, preset="dispatcher")
    await office.well("PATCH", "/members/csr", json={"presets": ["auditor"]})
    await office.well("PATCH", "/tenant", json={"name": "Acme Air"})
    lines = (await office.well("GET", "/audit?limit=6", preset="auditor"))["items"]
    told = [(one["who"], one["act"], one["subject"], one["old"], one["new"]) for one in lines]
    told = [line for line in told if line[0] != "op"]
    assert told == [
        ("administrator", "tenant.rename", "Acme Air", {"name": "acme"}, {}),
        ("administrator", "member.set", "csr", {"presets": ["csr"]}, {"presets": ["auditor"]}),
        ("dispatcher", "apply", "", None, {}),
        ("administrator", "recipe.set", RECIPE, None, None),
        ("administrator", "recipe.set", RECIPE, {"choices": {}}, {"choices": {"no": "x"}}),
        (
            "integrator",
            "recipe.install",
            RECIPE,
            None,
            {"source": "acme-jobs", "target": "acme-copy"},
        ),
    ]
    assert lines[3]["outcome"].startswith("failed: ")
    assert {one["way"] for one in lines} == {"api"}
    assert lines[2]["token"] == "dispatcher's"


async def test_bodies_have_a_limit_and_answers_no_banner(office):
    big = b'{"toml": "' + b"x" * LARGEST_BODY + b'"}'
    answer = await office.call("POST", "/recipes/check", content=big)
    assert answer.status_code == 413
    for path in ("/me", "/nothing-here", "/runs/0"):
        headers = (await office.call("GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    for body in (b"", b"[]", b"{", b'{"a": 1}', b'{"name": "\\u0000", "presets": ["csr"]}'):
        answer = await office.call("POST", "/members", content=body)
        assert answer.status_code in (400, 422), (body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_what_is_off_is_said_in_a_sentence(office):
    answer = await office.call("POST", "/plans", json={})
    assert answer.json() == {
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "No recipe is installed yet:  truckroll recipe install appointments-to-calendars --from ACCOUNT --to ACCOUNT. (422)",
    }
    wrong = await office.call("POST", "/members", json={"name": "x", "presets": ["boss"]})
    assert wrong.status_code == 400
    assert wrong.json()["errors"]
    assert row(1)["Job"] == "J-1"
