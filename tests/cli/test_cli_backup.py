"""backup, restore, upgrade as people call them."""

import json

import psycopg
import pytest

from cli.conftest import job
from truckroll.cli.main import main
from truckroll.store.embedded import Embedded


def test_a_backup_says_where_the_key_is_and_a_restore_what_comes_next(desk, tmp_path):
    desk.work(job("J-1"))
    desk.well("apply")
    file = str(tmp_path / "hub.backup")
    said = desk.well("backup", file).out
    assert f"saved in {file} (" in said
    assert "The key that opens the sign-ins is not in it." in said
    assert str(desk.home / "secret.key") in said.replace("\n    ", " ")
    refused = desk("restore", file)
    assert refused.code == 1
    assert "add  --replace" in refused.err
    desk.well("recipe", "remove", "appointments-to-calendars")
    restored = desk.well("restore", file, "--replace").out
    assert "is restored" in restored
    assert "truckroll plan" in restored
    assert desk("apply", "--json").json["writes"] == 0
    assert "backed up just now" in desk("doctor").out


@pytest.mark.fault("F56")
def test_a_restore_without_the_key_says_what_to_do(desk, tmp_path):
    desk.work(job("J-1"))
    file = tmp_path / "hub.backup"
    desk.well("backup", str(file))
    (desk.home / "secret.key").unlink()
    said = desk("restore", str(file), "--replace")
    assert said.code == 1
    assert "sealed with another key" in said.out
    assert "truckroll account sign-in NAME" in said.out
    assert len(desk("restore", str(file), "--replace", "--json").json["lost_keys"]) == 1


def test_what_cannot_be_saved_or_restored_is_a_sentence(desk, tmp_path):
    assert "is a directory" in desk("backup", str(tmp_path)).err
    assert "cannot be read" in desk("restore", str(tmp_path / "none")).err
    (tmp_path / "x").write_text("not a backup")
    assert "is no backup" in desk("restore", str(tmp_path / "x")).err
    nowhere = desk("backup", str(tmp_path / "no" / "x"))
    assert "could not be written" in nowhere.err
    assert "Traceback" not in nowhere.err


def test_an_upgrade_of_what_fits_changes_nothing(desk):
    assert "fits this version" in desk.well("upgrade").out
    assert desk("upgrade", "--json").json["old"] == 0


def test_a_home_of_its_own_is_saved_and_restored_into_another_machine(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("TRUCKROLL_DATABASE", raising=False)
    one, two, file = tmp_path / "one", tmp_path / "two", tmp_path / "hub.backup"
    try:
        assert main(["--home", str(one), "init"]) == 0
        with_a_name(one)
        assert main(["--home", str(one), "backup", str(file)]) == 0
        capsys.readouterr()
        assert main(["--home", str(two), "restore", str(file), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["lost_keys"] == []
        assert name_of(two) == "Acme"
        assert main(["--home", str(two), "upgrade"]) == 0
        assert not list(tmp_path.rglob("postmaster.pid")), "nothing is left running"
    finally:
        for home in (one, two):
            Embedded(home).erase()


def test_what_older_code_made_is_saved_before_it_is_brought_up_to_date(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("TRUCKROLL_DATABASE", raising=False)
    home, file = tmp_path / "home", tmp_path / "hub.backup"
    call = ["--home", str(home)]
    try:
        assert main([*call, "init"]) == 0
        asked(home, "drop index truckroll.record_long")
        asked(home, f"update truckroll.alembic_version set version_num = '{BEFORE}'")
        assert main([*call, "backup", str(file)]) == 0
        assert asked(home, VERSION) == [(BEFORE,)]
        assert main([*call, "runs"]) == 0
        assert asked(home, VERSION) != [(BEFORE,)]
        assert main([*call, "restore", str(file), "--replace"]) == 0
        assert asked(home, VERSION) != [(BEFORE,)]
        capsys.readouterr()
    finally:
        Embedded(home).erase()


VERSION, BEFORE = "select version_num from truckroll.alembic_version", "m0015_selective"


def with_a_name(home):
    asked(home, "update truckroll.workspace set name = 'Acme'")


def name_of(home):
    ((name,),) = asked(home, "select name from truckroll.workspace")
    return name


def asked(home, query):
    held = Embedded(home)
    with psycopg.connect(held.hold()) as connection:
        answer = connection.execute(query)
        rows = answer.fetchall() if answer.description else []
    held.let_go()
    return rows


def test_the_journal_says_for_how_long_it_is_kept(desk):
    desk.work(job("J-1"))
    desk.well("apply")
    said = desk.well("journal").out
    assert "Runs are kept for 400 days" in said
    assert "The oldest run that is kept began on" in said
    assert "kept for 90 days" in desk.well("journal", "--days", "90").out
    assert desk("journal", "--json").json["days"] == 90
    refused = desk("journal", "--days", "3")
    assert refused.code == 2
    assert "30 to 36,500 days, not for 3" in refused.err
    unknown = desk("undo", "999")
    assert unknown.code == 2
    assert "there is no run 999; runs are kept for 90 days (truckroll journal)" in unknown.err
