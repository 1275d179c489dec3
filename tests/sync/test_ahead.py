"""What was planned for the brakes is performed; where that is much, it is planned again."""

import pytest

from support.nasty import Nasty, World
from truckroll.sync import braked, planned, run
from truckroll.sync.job import Report


@pytest.mark.parametrize("count", [1, 4, 8, 9, 23])
async def test_each_record_lands_once_however_many_batches_there_are(count, monkeypatch):
    monkeypatch.setattr(planned, "BATCH", 4)
    monkeypatch.setattr(braked, "KEPT", 8)
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b})
    for number in range(count):
        a.put(str(number), title=f"t{number}")
    report = await world.run()
    assert sorted(one["title"] for one in b.show().values()) == sorted(
        f"t{number}" for number in range(count)
    )
    assert (len(report.done), b.writes) == (count, count)
    await world.run()
    assert b.writes == count


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (8, 8), (9, None)])
async def test_no_more_decisions_are_kept_than_agreed(count, kept, monkeypatch):
    monkeypatch.setattr(planned, "BATCH", 4)
    monkeypatch.setattr(braked, "KEPT", 8)
    a = Nasty("A")
    world = World(a, {"b": Nasty("B")})
    for number in range(count):
        a.put(str(number), title=f"t{number}")
    job, report = world.job(), Report()
    await run.observe(job, report)
    await run.adopt(job, "source")
    tally, foreseen = await braked.foresee(job, report.waiting)
    assert tally.writes == count
    assert (None if foreseen is None else sum(map(len, foreseen))) == kept


@pytest.mark.fault("F14")
async def test_what_is_found_emptied_between_two_rounds_is_for_the_brakes(monkeypatch):
    """Somebody empties the source during the run, and it is read by another process."""
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, originates=frozenset({"source", "target"}))
    for number in range(20):
        a.put(str(number), title=f"t{number}")
    await world.settle()
    a.put("0", title="changed")
    real = b.update

    async def update(*what):
        for id_ in list(a.records):
            a.drop(id_)
        await run.observe(world.job(), Report())
        return await real(*what)

    monkeypatch.setattr(b, "update", update)
    report = await world.run()
    assert [one.code for one in report.stops] == ["mass_delete"] * len(report.stops) != []
    assert len(report.done) == 1
    assert len(b.records) == 20
