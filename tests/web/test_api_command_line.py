"""Tenants, members, tokens and the audit log on the command line; the page of rights."""

import json
from pathlib import Path

import pytest

from truckroll.app.rights import as_table
from truckroll.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "rights.md"


@pytest.fixture
def hub(tmp_path, capsys, monkeypatch, database_url):
    monkeypatch.setenv("TRUCKROLL_DATABASE", database_url)
    monkeypatch.delenv("TRUCKROLL_TENANT", raising=False)

    def run(*words, code=0):
        capsys.readouterr()
        assert main(["--home", str(tmp_path / "home"), *words]) == code, capsys.readouterr()
        return capsys.readouterr()

    run("init")
    return run


def test_each_tenant_has_its_own_accounts(hub, tmp_path, monkeypatch):
    hub("tenant", "add", "Acme Air")
    table = tmp_path / "t.csv"
    table.write_text("Job,Title,Start\n")
    hub(
        "--tenant",
        "acme air",
        *("account", "add", "jobs", "--system", "file"),
        "--path",
        str(table),
    )
    assert "jobs" not in hub("account", "list").out
    assert "jobs" in hub("account", "list", "--tenant", "Acme Air").out
    monkeypatch.setenv("TRUCKROLL_TENANT", "Acme Air")
    assert "jobs" in hub("account", "list").out
    assert "← here" in hub("tenant", "list").out
    hub("tenant", "rename", "Acme")
    gone = hub("--tenant", "Acme Air", "account", "list", code=2)
    assert 'there is no tenant "Acme Air"; there are: 1, Acme' in gone.err
    assert "Nothing was removed" in hub("--tenant", "1", "tenant", "remove", "Acme", code=2).err
    hub("--tenant", "1", "tenant", "remove", "Acme", "--yes", "Acme")
    assert json.loads(hub("--tenant", "1", "--json", "tenant", "list").out) == {
        "tenants": [{"number": 1, "name": "1"}]
    }


def test_members_tokens_and_who_did_it(hub, monkeypatch):
    monkeypatch.setenv("LOGNAME", "olga")
    hub("member", "add", "Ana Ruiz", "--may", "technician", "--person", "Ana")
    assert "preset" in hub("member", "add", "Ben", "--may", "boss", code=2).err
    assert "holds.answer" in hub("member", "set", "Ana Ruiz", "--may", "dispatcher").out
    made = hub("token", "create", "phone", "--member", "Ana Ruiz", "--scope", "plan", "--days", "3")
    secret = made.out.split()[0]
    assert secret.startswith("tkr_")
    listed = hub("token", "list").out
    assert "phone" in listed
    assert "never used" in listed
    assert secret not in listed
    hub("token", "revoke", "1")
    assert "revoked" in hub("token", "list").out
    hub("token", "revoke", "7", code=2)
    hub("member", "remove", "Ana Ruiz")
    assert "no member yet" in hub("member", "list").out
    lines = json.loads(hub("--json", "audit").out)["audit"]
    told = [(one["act"], one["subject"], one["outcome"][:6]) for one in reversed(lines)]
    assert told == [
        ("member.add", "Ana Ruiz", ""),
        ("member.add", "Ben", ""),
        ("member.add", "Ben", "failed"),
        ("member.set", "Ana Ruiz", ""),
        ("token.create", "phone", ""),
        ("token.revoke", "1", ""),
        ("token.revoke", "7", ""),
        ("token.revoke", "7", "failed"),
        ("member.remove", "Ana Ruiz", ""),
    ]
    assert {(one["who"], one["way"]) for one in lines} == {("olga", "cli")}
    assert "presets" in hub("audit", "member.set").out
    assert "token.revoke" not in hub("audit", "member").out


def test_the_page_of_rights_is_what_the_code_says():
    assert as_table() in PAGE.read_text(encoding="utf-8")
