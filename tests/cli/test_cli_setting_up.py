"""Accounts, recipes, people, doctor, inspect: setting up, and what goes wrong with it."""

import json
import stat

import pytest

from cli.conftest import job
from truckroll.app import accounts
from truckroll.cli.main import main

CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//T//T//EN
BEGIN:VEVENT
UID:a
DTSTAMP:20261101T000000Z
SUMMARY:Weekly check
DTSTART;TZID=America/New_York:20261201T090000
DTEND;TZID=America/New_York:20261201T100000
RRULE:FREQ=WEEKLY;COUNT=4
EXDATE;TZID=America/New_York:20261208T090000
END:VEVENT
END:VCALENDAR
"""


def inspected(tmp_path, capsys, text, *words):
    file = tmp_path / "calendar.ics"
    file.write_text(text)
    code = main(["inspect", str(file), "--from", "2026-12-01", "--to", "2027-01-01", *words])
    return code, capsys.readouterr()


@pytest.mark.behaviour("CAL-11")
def test_inspect_shows_the_visits_of_a_range(tmp_path, capsys):
    code, heard = inspected(tmp_path, capsys, CALENDAR)
    assert code == 0
    assert "1 event, 3 visits in the range, 1 cancelled" in heard.out
    assert "Tue 15 Dec 2026 09:00–10:00 America/New_York" in heard.out
    code, heard = inspected(tmp_path, capsys, CALENDAR, "--json")
    visits = json.loads(heard.out)["entries"][0]["visits"]
    assert visits[0]["starts"] == "2026-12-01T14:00:00+00:00"


def test_inspect_refuses_with_the_reason(tmp_path, capsys):
    broken = CALENDAR.replace("FREQ=WEEKLY;COUNT=4", "FREQ=SOMETIMES")
    code, heard = inspected(tmp_path, capsys, broken)
    assert code == 1
    assert "refused" in heard.out
    assert main(["inspect", str(tmp_path / "none.ics")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["inspect", "x.ics", "--from", "tomorrow"]) == 2


def test_a_directory_that_is_no_home_says_how_to_make_it_one(tmp_path, capsys):
    assert main(["--home", str(tmp_path / "none"), "plan"]) == 2
    assert "truckroll init" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_wrong_call_is_one_line(capsys):
    assert main(["plann"]) == 2
    assert "plann" in capsys.readouterr().err
    assert main(["undo", "many"]) == 2
    assert main(["--help"]) == 0


def test_init_can_be_said_twice(desk):
    again = desk.well("init", "--json").json
    assert (again["new"], again["home"]) == (False, str(desk.home))
    assert stat.S_IMODE(desk.home.stat().st_mode) == 0o700


def test_accounts_are_added_tested_listed_and_removed_without_showing_a_secret(desk):
    desk.table(job("J-1"))
    assert desk.add_table().code == 0
    assert desk.add_calendars().code == 0
    said = desk.well("account", "list").out + desk.well("account", "list", "--json").out
    assert "field (CalDAV): 3 parts" in said
    assert str(desk.path) in said
    assert "secret" not in said
    desk.calendars.make_calendar("dee", "Dee Fox")
    try:
        assert "Dee Fox" in desk.well("account", "test", "field").out
    finally:
        desk.calendars.delete("dee", "")
    desk.well("account", "remove", "field")
    assert [one["name"] for one in desk.well("account", "list", "--json").json["accounts"]] == [
        "jobs"
    ]
    assert "there are: jobs" in desk("account", "test", "field").err


def test_the_password_may_come_by_environment_or_standard_input(desk, monkeypatch):
    words = (
        *("account", "add", "field", "--system", "caldav", "--url", desk.calendars.url),
        *("--user", "field", "--private", "yes"),
    )
    missing = desk(*words)
    assert missing.code == 2
    assert "password" in missing.err
    monkeypatch.setenv("TRUCKROLL_PASSWORD", "secret")
    desk.well(*words)
    desk.well("account", "remove", "field")
    monkeypatch.delenv("TRUCKROLL_PASSWORD")
    warned = desk.well(*words, "--set", "password=secret").out
    assert "shell's history" in warned
    assert "secret" not in warned


def test_an_account_that_a_recipe_needs_stays(desk):
    desk.work(job("J-1"))
    kept = desk("account", "remove", "jobs")
    assert kept.code == 2
    assert "truckroll recipe remove appointments-to-calendars" in kept.err


def test_a_removed_recipe_does_nothing_and_installed_again_knows_its_records(desk):
    desk.work(job("J-1"))
    name = "appointments-to-calendars"
    desk.well("apply")
    made = desk.events()
    assert desk.well("recipe", "remove", name, "--json").json["removed"] == name
    listed = {one["name"]: one for one in desk.well("recipe", "list", "--json").json["recipes"]}
    assert listed[name]["installed"] == 0
    assert desk("plan").code == 2
    assert desk("recipe", "remove", name).code == 2
    told = desk("why", "J-1")
    assert f"the recipe {name} was removed" in told.out
    assert "new in" in told.out
    assert desk.events() == made
    desk.well("recipe", "install", name, "--from", "jobs", "--to", "field")
    desk.change("J-1", Title="Boiler repair")
    desk.well("apply")
    assert list(desk.events()) == list(made)
    assert "Boiler repair" in next(iter(desk.events().values()))


def test_an_account_can_be_removed_once_its_recipe_is(desk):
    desk.work(job("J-1"))
    desk.well("apply")
    desk.well("recipe", "remove", "appointments-to-calendars")
    desk.well("account", "remove", "jobs")
    assert [one["name"] for one in desk.well("account", "list", "--json").json["accounts"]] == [
        "field"
    ]
    told = desk("why", "Boiler service")
    assert told.code == 1
    assert "a calendar that is not in use now" in told.out


def test_recipes_are_shown_set_and_rolled_back(desk):
    desk.work(job("J-1"))
    name = "appointments-to-calendars"
    assert (
        "installed, version 1: jobs → field, zone America/New_York"
        in desk.well("recipe", "list").out
    )
    shown = desk.well("recipe", "show", name).out
    assert "two_way: A technician moves an event in the calendar: what happens?" in shown
    desk.well("apply")
    desk.well("recipe", "set", name, "cancelled=mark", 'maps.status."On hold"=paused')
    options = desk.well("recipe", "show", name, "--json").json["options"]
    assert {one["name"]: one["present"] for one in options}["cancelled"] == "mark"
    desk.change("J-1", Status="Cancelled")
    desk.well("apply")
    assert "CANCELLED" in next(iter(desk.events().values()))
    desk.well("recipe", "rollback", name, "1")
    versions = desk.well("recipe", "history", name, "--json").json["versions"]
    assert [(one["version"], one["now"]) for one in versions] == [(1, False), (2, False), (3, True)]
    assert versions[2]["choices"] == {}
    desk("apply")
    assert desk.events() == {}
    assert desk("recipe", "rollback", name, "9").code == 2
    desk.well("recipe", "set", name, "cancelled=remove")
    assert "is set so already" in desk.well("recipe", "set", name, "cancelled=remove").out


def test_wrong_choices_are_all_named(desk):
    desk.work(job("J-1"))
    wrong = desk("recipe", "set", "appointments-to-calendars", "two_way=maybe", "overlapp=off")
    assert wrong.code == 2
    assert '"two_way" cannot be "maybe"; its words are: off, ask, reschedule' in wrong.err
    assert 'did you mean "overlap"?' in wrong.err
    assert "2 slips" in wrong.err
    history = desk.well("recipe", "history", "appointments-to-calendars", "--json").json
    assert len(history["versions"]) == 1


FIVE_SLIPS = """name = "my-own"
title = "Mine"
version = 1
[options.two]
asks = "Which?"
default = "c"
[options.two.words]
a = "one"
b = "two"
[maps.status]
words = { "Open" = "scheduled" }
[mirror.m]
kind = "appointment"
gatess = ["has_time"]
deletes = "perhaps"
[[mirror.m.field]]
target = "when"
from = "wen"
"""


def test_five_slips_get_five_lines_and_run_nothing(desk):
    desk.table(job("J-1"))
    desk.add_table()
    desk.add_calendars()
    file = desk.folder / "my.toml"
    file.write_text(FIVE_SLIPS)
    said = desk("recipe", "check", str(file))
    assert said.code == 2
    lines = said.out.splitlines()
    assert [line.split("  ")[0] for line in lines[:5]] == [
        f"my.toml:{line}" for line in (6, 10, 14, 15, 18)
    ]
    assert 'did you mean "' in lines[2]
    assert "propagate" in lines[3]
    assert lines[5] == "5 slips; nothing was installed"
    refused = desk("recipe", "install", str(file), "--from", "jobs", "--to", "field/Ana Ruiz")
    assert refused.code == 2
    assert "5 slips; nothing was installed" in refused.err
    assert desk("plan").code == 2
    assert len(desk("recipe", "check", str(file), "--json").json["slips"]) == 5


def test_a_calendar_is_not_kept_in_step_with_itself(desk):
    desk.table(job("J-1"))
    desk.add_calendars()
    words = ("recipe", "install", "calendar-to-calendar", "--from", "field/Ana Ruiz")
    assert "with itself" in desk(*words, "--to", "field/Ana Ruiz").err
    several = desk(
        "recipe", "install", "calendar-to-calendar", "--from", "field/Ana Ruiz", "--to", "field"
    )
    assert several.code == 2
    desk.well(*words, "--to", "field/Ben Cole")
    assert "there are: " in desk(*words, "--to", "nowhere").err


def test_people_are_seen_suggested_mapped_and_taken_out(desk):
    desk.table(job("J-1", "Ana Ruiz, Benny"), job("J-2", "Zoe"))
    desk.add_table()
    desk.add_calendars()
    installed = desk.well(
        "recipe", "install", "appointments-to-calendars", "--from", "jobs", "--to", "field"
    )
    assert "3 people without a calendar" in installed.out
    listed = desk("people", "list", "--json").json["people"]
    assert {one["name"]: one["records"] for one in listed} == {"Ana Ruiz": 1, "Benny": 1, "Zoe": 1}
    found = desk("people", "suggest", "--json").json
    assert [(one["person"], one["sure"]) for one in found["suggestions"]] == [("Ana Ruiz", True)]
    assert found["nobody"] == ["Benny", "Zoe"]
    desk("people", "suggest", "--take-sure")
    assert "field/Ana Ruiz" in desk("people", "list").out
    wrong = desk("people", "map", "Beny", "field/ben")
    assert "did you mean “Benny”?" in wrong.err
    unknown = desk("people", "map", "Benny", "field/zed")
    assert "field/Ben Cole" in unknown.err
    desk.well("people", "map", "Benny", "field/ben")
    desk("apply")
    assert len(desk.events("ben")) == 1
    desk.well("people", "unmap", "Benny")
    assert desk("people", "unmap", "Benny").code == 2


def test_doctor_says_what_is_well_and_what_is_not(desk):
    empty = desk("doctor")
    assert empty.code == 1
    assert "truckroll account add" in empty.out
    desk.work(job("J-1"))
    desk.well("apply")
    well = desk.well("doctor")
    assert "PostgreSQL" in well.out
    assert "last complete read just now" in well.out
    assert "secret" not in well.out
    desk.change("J-1", Technicians="Zoe")
    desk.well("runs")
    desk("apply")
    sick = desk("doctor", "--json")
    assert sick.code == 1
    checks = {one["what"]: one for one in sick.json["checks"]}
    assert "Zoe" in checks["people"]["says"]
    assert checks["people"]["act"] == "truckroll people suggest"


def test_what_nobody_foresaw_is_a_sentence_and_the_rest_is_in_the_log(desk, monkeypatch):
    async def broken(hub):
        raise ZeroDivisionError("password=hunter22")

    monkeypatch.setattr(accounts, "listed", broken)
    ran = desk("account", "list")
    assert ran.code == 1
    assert "Traceback" not in ran.out + ran.err
    assert len(ran.err.splitlines()) == 1
    log = (desk.home / "truckroll.log").read_text()
    assert "ZeroDivisionError" in log
    assert "hunter22" not in log
    assert "error" in desk("account", "list", "--json").json


def test_ctrl_c_is_quiet(desk, monkeypatch):
    async def interrupted(hub):
        raise KeyboardInterrupt

    monkeypatch.setattr(accounts, "listed", interrupted)
    ran = desk("account", "list")
    assert (ran.code, ran.err) == (130, "")
