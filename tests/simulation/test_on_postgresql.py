"""The same lives with the tenants' stores on PostgreSQL in place of the twin.

Determinism: the loop, the engine's twin, the systems and all faults are those of the twin's lives,
and each call to the database is over when it returns. Not determined are the numbers of rows, and
what the database's own clock gives (instants of runs), which nothing here looks at. Not simulated:
backups, and the invariants that look into the store's tables (cursors, epochs).
"""

import secrets
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from simulation.world import simulate
from support.real import Database, counted_keys


@pytest.fixture(scope="module")
def database(server_url, template, tmp_path_factory):
    """Return one database for all lives: their tenants are others."""
    name = f"truckroll_lives_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template}")
        url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        made = Database(url, tmp_path_factory.mktemp("lives") / "home")
        yield made
        made.close()
        connection.execute(f"drop database {name} with (force)")


def live(database, seeds):
    for seed in seeds:
        with patch("truckroll.store.adopting.secrets", counted_keys()):
            simulate(seed, database)


@pytest.mark.fault("F55")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(1, 8))
def test_what_must_hold_holds_on_postgresql(database, seed):
    live(database, [seed])


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(0, 60, 10))
def test_what_must_hold_holds_in_many_lives_on_postgresql(database, first):
    live(database, range(first, first + 10))
