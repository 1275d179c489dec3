"""The connector's page and its quality sheet say what the connector does."""

import json
import re
import tomllib
from pathlib import Path

from connectors.file.tables import Office
from truckroll.connectors.file import FILE

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "connectors" / "file.md").read_text()
SHEET = ROOT / "src" / "truckroll" / "connectors" / "file" / "quality.toml"
APPOINTMENTS = FILE.resource("appointment")


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
    for setting in FILE.settings:
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


async def test_the_page_s_mapping_and_exceptions_are_read(tmp_path):
    mapping, exceptions = re.findall(r"```(?:json)?\n(.*?)\n```", PAGE, re.DOTALL)
    header = "Key,Day,Hour,Job,Site,Street,City,Tech 1,Tech 2,Status,Minutes,Rule,Exceptions"
    row = f'K-1,2026-12-01,09:00,Boiler,Mill,1 Elm St,Salem,Ana,,New,60,FREQ=WEEKLY,"{exceptions}"'
    table = Office(tmp_path / "visits.csv", f"{header}\n{row}\n", columns=mapping)
    fields = await table.fields("K-1")
    assert fields["title"] == "Boiler at Mill"
    assert fields["people"] == ("Ana",)
    assert "status" not in fields
    assert json.loads(mapping)["status"] is None
    assert list(fields["occurrences"].by_start) == [
        f"2026-12-{day}T09:00:00" for day in ("08", "15", "22")
    ]
