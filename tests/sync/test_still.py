"""A link that is taken for unchanged at a glance comes to the same by all the rules."""

import dataclasses
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench import planning
from support.scenario import history
from truckroll.store.memory import MemoryStore
from truckroll.sync import plan
from truckroll.sync.types import Decision, FieldHold, Link


@pytest.mark.parametrize("first", range(0, 40, 20))
def test_nothing_follows_from_a_link_that_is_still(first, monkeypatch):
    seen = {True: 0, False: 0}
    glance, due = plan.still, MemoryStore.due

    def checked(link, ctx):
        found = glance(link, ctx)
        seen[found] += 1
        if found:
            assert plan.decide(link, ctx) == Decision(link=link, changed=False)
        return found

    async def all_of_them(self, mirror, **how):
        return await due(self, mirror, **how | {"everything": True})

    monkeypatch.setattr(plan, "still", checked)
    monkeypatch.setattr(MemoryStore, "due", all_of_them)
    for seed in range(first, first + 20):
        history(seed)
    assert seen[True] > 50
    assert seen[False] > 50


CTX = planning.context(planning.mirror())
STILL = planning.settled(1, plan.decide(planning.fresh(1, planning.appointment(1)), CTX))
HELD = {"title": FieldHold("not_stored", "the system dropped it")}


def _with(side: int, **changed) -> Link:
    """Return the link with one of its ends changed: 0 the source, 1 the follower."""
    ends = list(STILL.ends)
    ends[side] = replace(ends[side], **changed)
    return replace(STILL, ends=tuple(ends))


def test_a_link_in_step_is_still():
    assert plan.still(STILL, CTX)
    assert plan.decide(STILL, CTX) == Decision(link=STILL, changed=False)


@pytest.mark.parametrize(
    "link",
    [
        replace(STILL, hold="ambiguous"),
        replace(STILL, state="ended"),
        replace(STILL, undone=3),
        replace(STILL, agreed={}),
        replace(STILL, agreed={**STILL.agreed, "people": ()}),
        replace(STILL, agreed={**STILL.agreed, "people": ("Nobody we know",)}),
        replace(STILL, agreed={**STILL.agreed, "people": ("Technician 2",)}),
        replace(STILL, agreed={**STILL.agreed, "status": "cancelled"}),
        replace(STILL, agreed={**STILL.agreed, "when": None}),
        replace(STILL, ends=STILL.ends[:1]),
        replace(STILL, ends=STILL.ends[1:]),
        _with(0, state="gone"),
        _with(0, shown={**STILL.ends[0].shown, "title": "New"}),
        _with(0, given={**STILL.ends[0].given, "title": "New"}),
        _with(0, decided="recreate"),
        _with(1, state="unreadable"),
        _with(1, open=True),
        _with(1, holds=HELD),
        _with(1, key="Technician 2"),
        _with(1, scope=102),
        _with(1, given={**STILL.ends[1].given, "title": "New"}),
    ],
)
def test_one_thing_that_is_otherwise_is_enough_to_look_closer(link):
    assert not plan.still(link, CTX)


@pytest.mark.parametrize(
    "ctx", [{"waiting": frozenset({101})}, {"copies": {STILL.key: "copied back"}}]
)
def test_what_surrounds_a_link_may_ask_to_look_closer(ctx):
    assert not plan.still(STILL, dataclasses.replace(CTX, **ctx))
