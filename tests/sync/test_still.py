"""A link that is taken for unchanged at a glance comes to the same by all the rules."""

import pytest

from support.scenario import history
from truckroll.store.memory import MemoryStore
from truckroll.sync import plan
from truckroll.sync.types import Decision


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
