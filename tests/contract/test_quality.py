"""Every connector's quality sheet: each rule is done with its proof, or says why not."""

import re
import tomllib
from pathlib import Path

import pytest

import truckroll.connectors

ROOT = Path(__file__).parents[2]
SHEETS = sorted(Path(truckroll.connectors.__file__).parent.glob("*/quality.toml"))
RULES = {
    "discovery",
    "listing-typed",
    "quiet-pass",
    "cursor-expiry",
    "unreadable-isolated",
    "bounded-input",
    "create-repeat-safe",
    "update-conditional",
    "update-keeps-unknown",
    "remove-repeatable",
    "round-trip",
    "own-writes-quiet",
    "refusals-named",
    "silent-writes",
    "private-addresses",
    "independent-server",
    "documented-calls",
    "vendor-account",
    "push",
}


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.parent.name)
def test_each_rule_is_proven_or_says_why_not(sheet):
    rules = tomllib.loads(sheet.read_text())["rules"]
    assert set(rules) == RULES
    for name, rule in rules.items():
        if rule["status"] == "done":
            assert rule["proof"], name
            for proof in rule["proof"]:
                assert exists(proof), f"{name}: {proof}"
        else:
            assert rule["status"] in {"todo", "exempt"}, name
            assert len(rule["reason"]) > 20, name


def exists(proof):
    """Tell whether a proof is there: a file, or a test in it."""
    path, _, test = proof.partition("::")
    place = ROOT / path
    if not place.exists():
        return False
    return not test or bool(re.search(rf"\bdef {re.escape(test)}\(", place.read_text()))
