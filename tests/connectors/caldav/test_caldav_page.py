"""The connector's page and its quality sheet say what the connector does."""

from pathlib import Path

from truckroll.connectors.caldav import CALDAV

PAGE = (Path(__file__).parents[3] / "docs" / "connectors" / "caldav.md").read_text()
APPOINTMENTS = CALDAV.resource("appointment")
CALLS = (
    "PROPFIND of the given address, Depth 0",
    "PROPFIND of the principal, Depth 0",
    "PROPFIND of the home, Depth 1",
    "REPORT sync-collection",
    "REPORT calendar-multiget",
    "REPORT calendar-query",
    "GET of an event",
    "PUT of a new event",
    "PUT of a changed event",
    "DELETE of an event",
)


def row(name):
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
    return line.split("|")[2].strip()


def test_the_page_has_a_heading_for_every_call():
    headings = {line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")}
    assert set(CALLS) <= headings


def test_the_capability_table_is_what_the_connector_declares():
    assert set(row("reads").split(", ")) == set(APPOINTMENTS.fields)
    assert row("writes") == "the same, but organizer"
    assert set(APPOINTMENTS.fields) - {"organizer"} == set(APPOINTMENTS.writes)
    assert row("kind") == APPOINTMENTS.kind
    for name in ("create", "update", "cancel", "remove"):
        assert row(name).startswith("yes") == (getattr(APPOINTMENTS, name) is not None)
    assert row("find by mark").startswith("no") == (APPOINTMENTS.find is None)
    assert "repeating it is safe" in row("create")
    assert APPOINTMENTS.repeat_safe == "client id"


def test_the_settings_table_names_every_question():
    for setting in CALDAV.settings:
        assert f"| `{setting.name}` |" in PAGE
        assert ("secret" in row(f"`{setting.name}`")) == setting.secret
