"""Who is on which visit changes all day long, and the calendars follow, whatever happens."""

import pytest

from support.company import brief
from support.fleet import fleet
from support.office import ALL_RIGHT, office

SAMPLE = {"technicians": 6, "appointments": 30, "customers": 10, "days": 5}


async def _a_busy_office(store, tmp_path, seed, *, rounds, changes):
    """Each round is so many changes and a pass: then all calendars are right."""
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        work = await office(acme, seed, spare=2, without=1)
        first = await acme.apply()
        assert not work.differs(), (seed, work.differs(), brief(first))
        for turn in range(rounds):
            begun = len(work.did)
            for _ in range(changes):
                await work.change()
            if turn % 3 == 2:
                await work.remap()
            work.hours.rest()
            view = await acme.apply(confirmed=ALL_RIGHT)
            told = seed, turn, work.did[begun:], brief(view)
            assert not view.stops, told
            assert view.failed == 0, told
            assert not work.differs(), (work.differs(), *told)
            again = await acme.apply()
            assert again.writes == 0, (brief(again), *told)
            assert acme.written_to_titan() == []
        assert len(work.did) >= rounds * changes


@pytest.mark.behaviour("CAL-2")
@pytest.mark.fault("AT-24")
async def test_the_events_are_what_the_office_says_of_visits_and_crews(store, tmp_path):
    await _a_busy_office(store, tmp_path, seed=24, rounds=12, changes=15)


@pytest.mark.long
@pytest.mark.behaviour("CAL-2")
@pytest.mark.fault("AT-24")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.timeout(1800)
async def test_after_a_thousand_changes_too(store, tmp_path, seed):
    await _a_busy_office(store, tmp_path, seed=seed, rounds=100, changes=11)
