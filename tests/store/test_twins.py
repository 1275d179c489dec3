"""The store and its in-memory twin live through the same histories, and end up the same."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest

from support.real import Database, RealDiary, counted_keys, what_came
from support.scenario import history


@pytest.fixture
def database(database_url, tmp_path):
    made = Database(database_url, tmp_path / "home")
    yield made
    made.close()


@contextmanager
def known_keys():
    with patch("truckroll.store.adopting.secrets", counted_keys()):
        yield


def live_twice(database, seeds, steps=40):
    for seed in seeds:
        twin = history(seed, steps)
        with known_keys():
            real = history(seed, steps, RealDiary(database))
        ours, theirs = what_came(real), what_came(twin)
        for what in ours:
            assert ours[what] == theirs[what], f"seed {seed}: {what} differ"
        assert real.world.holds() == twin.world.holds(), f"seed {seed}"
        assert real.writes() == twin.writes(), f"seed {seed}"


@pytest.mark.fault("F39")
@pytest.mark.parametrize("first", [30, 60, 111])
def test_the_store_does_what_its_twin_does(database, first):
    live_twice(database, range(first, first + 6))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(1000, 1300, 50))
def test_the_store_does_what_its_twin_does_in_many_histories(database, first):
    live_twice(database, range(first, first + 50))
