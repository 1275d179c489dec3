"""Every connector's quality sheet: each rule is done with its proof, or says why not.

A sheet has the rules below, and more of its own; a connector that cannot write says so in `writes`.
"""

import re
import tomllib
from pathlib import Path

import pytest

import truckroll.connectors

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


def exists(proof):
    """Tell whether a proof is there: a file, or a test in it."""
    path, _, test = proof.partition("::")
    place = ROOT / path
    if not place.exists():
        return False
    return not test or bool(re.search(rf"\bdef {re.escape(test)}\(", place.read_text()))
