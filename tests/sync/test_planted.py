"""Bugs planted on purpose are found, by a told history or by a random one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plant import found_by, told_by
from planted import BUGS

QUICK = {
    "a restored drift counts as given",
    "absent is empty for people",
    "forget to move the base of a loser",
    "compare raw in place of stored forms",
}


@pytest.mark.parametrize("bug", [one for one in BUGS if one.name in QUICK], ids=lambda b: b.name)
def test_a_planted_bug_is_found_by_random_histories(bug):
    assert found_by(bug, 60) is not None


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", BUGS, ids=lambda b: b.name)
def test_every_planted_bug_is_found(bug):
    assert told_by(bug) or found_by(bug)
