"""The connectors' pages say what the connectors do."""

from pathlib import Path

import pytest

from truckroll.connectors.google_calendar import GOOGLE_CALENDAR, GOOGLE_WORKSPACE
from truckroll.connectors.google_calendar.connector import CALENDAR, DELEGATED

DOCS = Path(__file__).parents[3] / "docs" / "connectors"
CONNECTORS = {one.system: one for one in (GOOGLE_CALENDAR, GOOGLE_WORKSPACE)}
PAGES = {system: (DOCS / f"{system}.md").read_text() for system in CONNECTORS}
APPOINTMENTS = GOOGLE_CALENDAR.resource("appointment")
CALLS = {
    "google-calendar": {
        "GET calendarList",
        "GET events",
        "GET of an event",
        "GET instances",
        "POST of a new event",
        "PATCH of an event",
        "DELETE of an event",
        "POST batch",
        "POST token",
    },
    "google-workspace": {"GET users", "GET resources calendars", "POST acl", "POST token"},
}


def row(page, name):
    line = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
    return line.split("|")[2].strip()


@pytest.mark.parametrize("system", PAGES)
def test_the_page_has_a_heading_for_every_call(system):
    lines = PAGES[system].splitlines()
    headings = {line.removeprefix("## ") for line in lines if line.startswith("## ")}
    assert CALLS[system] <= headings


@pytest.mark.parametrize("system", PAGES)
def test_the_settings_table_names_every_question(system):
    for setting in CONNECTORS[system].settings:
        assert ("secret" in row(PAGES[system], f"`{setting.name}`")) == setting.secret


def test_the_capability_table_is_what_the_connector_declares():
    page = PAGES["google-calendar"]
    assert set(row(page, "reads").split(", ")) == set(APPOINTMENTS.fields)
    assert row(page, "writes") == "the same, but guests and organizer"
    assert set(APPOINTMENTS.fields) - {"guests", "organizer"} == set(APPOINTMENTS.writes)
    assert row(page, "kind") == APPOINTMENTS.kind
    for name in ("create", "update", "cancel", "remove"):
        assert row(page, name).startswith("yes") == (getattr(APPOINTMENTS, name) is not None)
    assert row(page, "find by mark").startswith("no") == (APPOINTMENTS.find is None)
    assert "repeating it is safe" in row(page, "create")
    assert APPOINTMENTS.repeat_safe == "client id"


def test_the_pages_name_every_right_that_is_asked_for():
    assert all(scope in PAGES["google-calendar"] for scope in CALENDAR)
    names = {scope.rpartition("/")[2] for scope in DELEGATED}
    assert all(f"/{name}`" in PAGES["google-workspace"] for name in names)
