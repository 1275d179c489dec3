"""Every connector's quality sheet: each rule is done with its proof, or says why not.

A sheet has the rules below, and more of its own; a connector that cannot write says so in `writes`.
"""

import re
import tomllib
from pathlib import Path

import pytest

import truckroll.connectors
from truckroll.app.capabilities import sheet as sheet_of
from truckroll.app.systems import connector, systems

ROOT = Path(__file__).parents[2]
SHEETS = sorted(Path(truckroll.connectors.__file__).parent.glob("*/quality.toml"))
READING = {
    "bad-answers",
    "bounded-input",
    "cursor-expiry",
    "documented-calls",
    "listing-typed",
    "push",
    "quiet-pass",
    "unreadable-isolated",
}
WRITING = {
    "create-repeat-safe",
    "own-writes-quiet",
    "refusals-named",
    "remove-repeatable",
    "round-trip",
    "silent-writes",
    "update-conditional",
    "update-keeps-unknown",
}


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.parent.name)
def test_each_rule_is_proven_or_says_why_not(sheet):
    rules = tomllib.loads(sheet.read_text())["rules"]
    assert set(rules) >= READING
    assert set(rules) >= WRITING or rules["writes"]["status"] == "exempt"
    for name, rule in rules.items():
        if rule["status"] == "done":
            assert rule["proof"], name
            for proof in rule["proof"]:
                assert exists(proof), f"{name}: {proof}"
        else:
            assert rule["status"] in {"todo", "exempt"}, name
            assert len(rule["reason"]) > 10, name


@pytest.mark.parametrize("system", systems())
def test_nothing_is_called_done_that_the_connector_cannot_do(system):
    rules = sheet_of(system)
    for resource in connector(system).resources.values():
        can = {
            "create-repeat-safe": resource.create is not None and resource.repeat_safe != "once",
            "update-conditional": resource.conditional,
            "update-keeps-unknown": resource.update is not None,
            "remove-repeatable": resource.remove is not None,
        }
        for name, possible in can.items():
            assert possible or rules.get(name, {}).get("status") != "done", name


def exists(proof):
    """Tell whether a proof is there: a file, or a test in it."""
    path, _, test = proof.partition("::")
    place = ROOT / path
    if not place.exists():
        return False
    return not test or bool(re.search(rf"\bdef {re.escape(test)}\(", place.read_text()))
