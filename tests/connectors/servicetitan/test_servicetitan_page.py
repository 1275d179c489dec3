"""The connector's page says what the connector does."""

from pathlib import Path

from truckroll.connectors.servicetitan import SERVICETITAN
from truckroll.connectors.servicetitan.listing import FEEDS
from truckroll.connectors.servicetitan.wire import STATUSES

PAGE = (Path(__file__).parents[3] / "docs" / "connectors" / "servicetitan.md").read_text()
APPOINTMENTS = SERVICETITAN.resource("appointment")
CALLS = (
    "POST of the token",
    "GET of an export feed",
    "GET of lists by ids",
    "GET of appointment assignments",
    "GET of contacts",
    "GET of appointments and jobs by something else",
    "GET of an appointment",
    "PATCH of a reschedule",
    "POST of assign-technicians and unassign-technicians",
    "PUT of special-instructions",
    "PATCH of a job",
    "PUT and DELETE of confirmation and hold",
    "PUT of a job's cancel and remove-cancellation",
    "DELETE of an appointment",
    "POST of a job",
    "POST of an appointment",
)


def row(name):
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
    return line.split("|")[2].strip()


def test_the_page_has_a_heading_for_every_call():
    headings = {line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")}
    assert set(CALLS) <= headings
    assert all(f"`{feed.name}`" in PAGE for feed in FEEDS)


def test_the_capability_table_is_what_the_connector_declares():
    assert set(row("reads").split(", ")) == set(APPOINTMENTS.fields)
    names = row("writes").removesuffix(" when a visit is made").replace(";", ",")
    assert set(names.split(", ")) == set(APPOINTMENTS.writes)
    assert row("kind") == APPOINTMENTS.kind
    for name in ("create", "update", "cancel", "remove"):
        assert row(name).startswith("yes") == (getattr(APPOINTMENTS, name) is not None)
    assert row("find by mark").startswith("yes") == (APPOINTMENTS.find is not None)
    assert (row("lag"), APPOINTMENTS.lag.total_seconds()) == ("three minutes", 180)
    assert (row("pass without change").split()[0], len(FEEDS)) == ("eight", 8)


def test_the_statuses_are_those_of_the_code():
    for theirs, ours in STATUSES.items():
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| {theirs}"))
        assert ours in line.split("|")[2]


def test_the_settings_table_names_every_question():
    for setting in SERVICETITAN.settings:
        assert ("secret" in row(f"`{setting.name}`").split(":")[0]) == setting.secret
