"""The connector's page and its quality sheet say what the connector does."""

import tomllib
from pathlib import Path

from truckroll.connectors.ical_feed import ICAL_FEED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "connectors" / "ical-feed.md").read_text()
SHEET = ROOT / "src" / "truckroll" / "connectors" / "ical_feed" / "quality.toml"
APPOINTMENTS = ICAL_FEED.resource("appointment")


def row(name):
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {name} |"))
    return line.split("|")[2].strip()


def test_the_capability_table_is_what_the_connector_declares():
    assert set(row("reads").split(", ")) == set(APPOINTMENTS.fields)
    assert row("kind") == APPOINTMENTS.kind
    assert row("writes").startswith("the same") == (APPOINTMENTS.writes == set(APPOINTMENTS.fields))
    assert row("writes").startswith("nothing") == (not APPOINTMENTS.writes)
    for name in ("create", "update", "cancel", "remove"):
        assert row(name).startswith("yes") == (getattr(APPOINTMENTS, name) is not None)
    assert row("find by mark").startswith("no") == (APPOINTMENTS.find is None)


def test_the_settings_table_names_every_question():
    for setting in ICAL_FEED.settings:
        assert ("secret" in row(f"`{setting.name}`")) == setting.secret


def test_every_rule_has_a_proof_or_a_reason():
    for name, rule in tomllib.loads(SHEET.read_text())["rules"].items():
        if rule["status"] != "done":
            assert rule["status"] in ("todo", "exempt"), name
            assert rule["reason"].endswith("."), name
            continue
        for proof in rule["proof"]:
            file, _, test = proof.partition("::")
            assert f"def {test}" in (ROOT / file).read_text() if test else (ROOT / file).exists()
