"""A ring of four systems, each edited by its people: each edit goes round once, then silence."""

import pytest

from support import servers
from support.fleet import fleet
from support.ring import ring

SAMPLE = {
    "technicians": 1,
    "appointments": 8,
    "customers": 4,
    "days": 6,
    "crew_share": 0,
    "return_share": 0,
}
TWO_WAY = {"two_way": "reschedule", "edits_by_hand": "keep"}


@pytest.fixture
def other_radicale():
    with servers.radicale(password="secret") as server:
        yield server


async def _a_ring(store, tmp_path, one, other, seed, *, rounds, edits):
    """Each round is so many edits at random places: each costs one write per other system."""
    async with fleet(store, tmp_path, choices=TWO_WAY, **SAMPLE) as acme:
        circle = await ring(acme, seed, one, other)
        first = await circle.settle()
        count = len(acme.visits())
        assert first == dict.fromkeys(("google", "second", "third"), count), (first, seed)
        assert not circle.same(), (circle.same(), seed)
        for turn in range(rounds):
            circle.edits.clear()
            circle.did.clear()
            for _ in range(edits):
                await circle.edit()
            circle.office.hours.rest()
            written = await circle.settle()
            told = seed, turn, circle.did, written
            for account in ("titan", "google", "second", "third"):
                elsewhere = sum(circle.edits.values()) - circle.edits[account]
                assert written[account] <= elsewhere, (account, *told)
            assert not circle.same(), (circle.same(), *told)
            at_odds = circle.office.should() - circle.office.does()
            assert not at_odds, (at_odds, *told)


@pytest.mark.fault("AT-03")
async def test_an_edit_in_a_ring_goes_round_once(store, tmp_path, fresh_radicale, other_radicale):
    await _a_ring(store, tmp_path, fresh_radicale, other_radicale, seed=3, rounds=4, edits=16)


@pytest.fixture
def fresh_xandikos():
    with servers.xandikos() as server:
        yield server


@pytest.mark.fault("AT-03")
async def test_a_ring_with_another_makers_server_goes_round_once(
    store, tmp_path, fresh_radicale, fresh_xandikos
):
    await _a_ring(store, tmp_path, fresh_radicale, fresh_xandikos, seed=2, rounds=4, edits=16)


@pytest.mark.long
@pytest.mark.fault("AT-03")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.timeout(3600)
async def test_a_thousand_edits_in_a_ring_each_go_round_once(
    store, tmp_path, fresh_radicale, other_radicale, seed
):
    await _a_ring(store, tmp_path, fresh_radicale, other_radicale, seed=seed, rounds=20, edits=50)


@pytest.mark.long
@pytest.mark.fault("AT-03")
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.timeout(900)
async def test_a_ring_with_a_server_that_lets_one_write_in_at_a_time(
    store, tmp_path, fresh_radicale, fresh_xandikos, seed
):
    await _a_ring(store, tmp_path, fresh_xandikos, fresh_radicale, seed=seed, rounds=4, edits=16)


@pytest.mark.fault("AT-03")
@pytest.mark.fault("AT-04")
@pytest.mark.parametrize("missing", ["recreate", "accept"])
@pytest.mark.parametrize("where", [0, 1, 2])
async def test_what_one_recipe_takes_out_and_another_puts_back_comes_to_rest(
    store, tmp_path, fresh_radicale, other_radicale, where, missing
):
    few = {**SAMPLE, "appointments": 3}
    async with fleet(store, tmp_path, choices=TWO_WAY, **few) as acme:
        circle = await ring(acme, 5, fresh_radicale, other_radicale, missing=missing)
        await circle.settle()
        place = circle.places[where]
        place.remove(min(place.read()))
        await circle.settle(most=8)
        circle.office.hours.rest()
        await circle.settle(most=8)
        assert not circle.office.should() - circle.office.does()
        if where == 0 or missing == "accept":
            assert not circle.same(), circle.same()
            assert not circle.office.differs(), circle.office.differs()
