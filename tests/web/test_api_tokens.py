"""Tokens and members: shown once, kept as a digest, never more than their maker has."""

import logging
from datetime import timedelta

import psycopg
import pytest

from truckroll.app import accounts, members
from truckroll.app.trouble import TroubleError


async def test_a_token_is_shown_once_and_kept_as_a_digest(office, database_url):
    made = await office.well(
        "POST", "/tokens", json={"name": "phone", "member": "csr", "scopes": ["records.see"]}
    )
    assert made["secret"].startswith("tkr_")
    assert len(made["secret"]) == len("tkr_") + 43
    listed = await office.call("GET", "/tokens?limit=200")
    assert made["secret"] not in listed.text
    assert made["secret"] not in _dump(database_url)
    office.tokens["acme", "phone"] = made["secret"]
    me = await office.well("GET", "/me", preset="phone")
    assert me["rights"] == ["records.see"]


async def test_a_token_ends_when_it_should_and_when_it_is_revoked(office):
    for name, days in (("short", 1), ("long", 0)):
        made = await office.well(
            "POST", "/tokens", json={"name": name, "member": "csr", "days": days}
        )
        office.tokens["acme", name] = made["secret"]
        assert (await office.call("GET", "/me", preset=name)).status_code == 200
    office.clock.ahead = timedelta(days=1, seconds=1)
    assert (await office.call("GET", "/me", preset="short")).status_code == 401
    assert (await office.call("GET", "/me", preset="long")).status_code == 200
    listed = (await office.well("GET", "/tokens?limit=200"))["items"]
    by_name = {one["name"]: one for one in listed}
    assert by_name["short"]["state"] == "ended"
    assert by_name["long"]["used_at"] is not None
    await office.well("DELETE", f"/tokens/{by_name['long']['id']}")
    assert (await office.call("GET", "/me", preset="long")).status_code == 401


async def test_a_members_tokens_end_with_them(office):
    assert (await office.call("GET", "/me", preset="csr")).status_code == 200
    await office.well("DELETE", "/members/csr")
    assert (await office.call("GET", "/me", preset="csr")).status_code == 401


async def test_fewer_rights_count_at_once(office):
    assert (await office.call("GET", "/runs", preset="csr")).status_code == 200
    await office.well("PATCH", "/members/csr", json={"presets": ["technician"]})
    assert (await office.call("GET", "/runs", preset="csr")).status_code == 404


async def test_nobody_gives_rights_that_they_do_not_have(office):
    made = await office.well(
        "POST",
        "/tokens",
        json={"name": "hr", "member": "administrator", "scopes": ["members.manage", "plan"]},
    )
    office.tokens["acme", "hr"] = made["secret"]
    tries = [
        ("POST", "/members", {"name": "me-again", "presets": ["administrator"]}),
        ("PATCH", "/members/administrator", {"presets": ["technician"]}),
        ("POST", "/tokens", {"name": "t", "member": "administrator", "scopes": ["undo"]}),
        ("POST", "/tokens", {"name": "t", "member": "csr", "scopes": ["undo"]}),
    ]
    for method, path, body in tries:
        answer = await office.call(method, path, preset="hr", json=body)
        assert answer.status_code == 422, answer.text
    mine = await office.well(
        "POST", "/tokens", preset="hr", json={"name": "less", "member": "administrator"}
    )
    assert mine["token"]["scopes"] == ["members.manage", "plan"]


async def test_a_token_of_two_companies_is_two_tokens_with_one_secret(office):
    acme, beta = office.hubs["acme"], office.hubs["beta"]
    made = await members.make_token(acme, "both", "integrator", also=["beta"])
    office.tokens["acme", "both"] = made.secret
    names = {"acme": {}, "beta": {"Truckroll-Tenant": "Beta"}}
    for name, headers in names.items():
        me = await office.well("GET", "/me", preset="both", headers=headers)
        assert me["tenant"]["name"] == name
    tenants = await office.well("GET", "/tenants", preset="both")
    assert [one["name"] for one in tenants["items"]] == ["acme", "beta"]

    (row,) = [one for one in await beta.store.tokens() if one.name == "both"]
    await members.revoke(beta, row.id)
    answer = await office.call("GET", "/me", preset="both", headers=names["beta"])
    assert answer.status_code == 404
    assert (await office.well("GET", "/me", preset="both"))["tenant"]["name"] == "acme"

    with pytest.raises(TroubleError, match="there is no tenant"):
        await members.make_token(acme, "all", "integrator", also=["gamma"])
    await members.remove(beta, "integrator")
    with pytest.raises(TroubleError, match="there is no member"):
        await members.make_token(acme, "all", "integrator", also=["beta"])


@pytest.mark.fault("F69")
async def test_no_secret_is_in_an_answer_a_log_or_the_database(
    office, database_url, tmp_path, monkeypatch, caplog
):
    canary = "canary-5dfbc1"
    hub = office.hubs["acme"]
    table = tmp_path / "jobs.csv"
    table.write_text("Job,Title,Start,Duration\n")
    await accounts.add(hub, "jobs", "file", {"path": str(table)})
    await hub.store.update_account("jobs", secrets={"password": canary})
    secret = office.tokens["acme", "administrator"]

    def break_down(_hub):
        raise RuntimeError(f"Authorization: Bearer {secret}")

    heard = []
    with caplog.at_level(logging.DEBUG):
        for path in ("/accounts", "/accounts/jobs/scopes", "/audit", "/tokens", "/members", "/me"):
            answer = await office.call("GET", f"{path}?limit=200")
            heard.append(answer.text)
        heard.append((await office.call("POST", "/accounts/jobs/test")).text)
        heard.append((await office.call("GET", f"/runs?cursor={secret}")).text)
        heard.append((await office.call("GET", f"/why/{secret}")).text)
        heard.append((await office.call("DELETE", f"/members/{secret}")).text)
        monkeypatch.setattr("truckroll.app.accounts.listed", break_down)
        answer = await office.call("GET", "/accounts")
    assert answer.status_code == 500
    log = "\n".join(one.getMessage() for one in caplog.records if one.name != "httpx")
    assert "RuntimeError: Authorization: [hidden]" in log
    outputs = [*heard, answer.text, log, _dump(database_url)]
    for text in outputs:
        assert canary not in text
        assert secret not in text


def _dump(url):
    """Return everything that stands in the database, as a backup has it."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'truckroll'"
        ).fetchall()
        rows = [
            connection.execute(f"select t::text from truckroll.{name} t").fetchall()
            for (name,) in tables
        ]
    assert len(tables) > 20
    return "\n".join(text for table in rows for (text,) in table)
