"""The store and its in-memory twin live through the same histories, and end up the same."""

import secrets
from contextlib import contextmanager
from functools import partial
from inspect import iscoroutinefunction, signature
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from support.nasty import World
from support.real import Database, Real, RealDiary, counted_keys, what_came
from support.scenario import history
from sync import test_fold, test_histories, test_histories_found

STORIES = {
    name: (module, told)
    for module in (test_histories, test_histories_found, test_fold)
    for name, told in vars(module).items()
    if name.startswith("test_") and iscoroutinefunction(told) and not signature(told).parameters
}


@pytest.fixture(scope="module")
def database(server_url, template, tmp_path_factory):
    """Return one database for all: each history is a tenant of its own."""
    place = tmp_path_factory.mktemp("twins")
    with new_database(server_url, template) as url:
        made = Database(url, place / "home")
        yield made
        made.close()


@contextmanager
def new_database(server_url, template):
    name = f"truckroll_twins_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        connection.execute(f"drop database {name} with (force)")


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


@pytest.mark.parametrize("story", STORIES)
async def test_the_told_histories_end_well_on_the_real_store(database, story):
    module, told = STORIES[story]
    on_it = partial(World, store=Real(database))
    with known_keys(), patch.object(module, "World", on_it):
        await told()


@pytest.mark.parametrize("seed", [100, 101])
async def test_random_rows_are_folded_on_the_real_store(database, seed):
    with patch.object(test_fold, "World", partial(World, store=Real(database))):
        await test_fold.test_random_rows_make_what_the_plain_model_says(seed)
