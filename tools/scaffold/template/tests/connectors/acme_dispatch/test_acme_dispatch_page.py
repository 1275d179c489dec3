"""The connector's page says what the connector does."""

import tomllib
from pathlib import Path

from truckroll.connectors import acme_dispatch
from truckroll.connectors.acme_dispatch.wire import STATUSES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "connectors" / "acme-dispatch.md").read_text()
RULES = tomllib.loads((Path(acme_dispatch.__file__).parent / "quality.toml").read_text())["rules"]
CONNECTOR = acme_dispatch.ACME_DISPATCH
VISITS = CONNECTOR.resource("appointment")


def row(name):
    lines = [line for line in PAGE.splitlines() if line.startswith(f"| {name} |")]
    assert len(lines) == 1, f"the page has one row for {name}"
    return lines[0].split("|")[2].strip()


def test_the_capability_table_is_what_the_connector_declares():
    assert row("kind") == VISITS.kind
    assert set(row("reads").split(", ")) == set(VISITS.fields)
    assert set(row("writes").split(", ")) == set(VISITS.writes)
    for name in ("create", "update", "cancel", "remove"):
        assert row(name).startswith("yes") == (getattr(VISITS, name) is not None)
    assert row("find by mark").startswith("yes") == (VISITS.find is not None)


def test_the_statuses_are_those_of_the_code():
    assert {theirs: row(theirs) for theirs in STATUSES} == STATUSES


def test_the_settings_table_names_every_question():
    for setting in CONNECTOR.settings:
        assert ("secret" in row(f"`{setting.name}`").split(":")[0]) == setting.secret


def test_what_is_made_up_is_not_called_a_fact():
    assert ("made up" in PAGE) == (RULES["vendor-facts"]["status"] != "done")
