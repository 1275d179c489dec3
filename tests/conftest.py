"""Databases for the tests: one server for all workers, one fresh database per test."""

import fcntl
import os
import secrets
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from truckroll.store.embedded import Embedded
from truckroll.store.migrate import migrate
from truckroll.store.open import open_store

SERVER_VARIABLE = "TRUCKROLL_TEST_DATABASE"


def with_database(url, name):
    """Return the URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextmanager
def one_worker_at_a_time(place):
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pytest_sessionfinish(session):
    """Remove the server's data, which stand elsewhere if root ran the tests."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is None or hasattr(session.config, "workerinput"):
        return
    home = factory.getbasetemp() / "server-home"
    Embedded(home, durable=False).erase()


@pytest.fixture(scope="session")
def session_place(tmp_path_factory):
    """Return a directory that all workers of this test session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def server_url(session_place):
    """Return a superuser's URL: of the named server, else of an embedded one without fsync."""
    if url := os.environ.get(SERVER_VARIABLE):
        yield url
        return
    server = Embedded(session_place / "server-home", durable=False)
    yield server.hold()
    server.let_go()


@pytest.fixture(scope="session")
def template(server_url, session_place):
    """Return the name of a migrated database, made by the first worker that asks."""
    noted = session_place / "template"
    with one_worker_at_a_time(session_place / "template.lock"):
        if not noted.exists():
            name = f"truckroll_template_{secrets.token_hex(4)}"
            with psycopg.connect(server_url, autocommit=True) as connection:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            migrate(with_database(server_url, name))
            noted.write_text(name)
    return noted.read_text()


@pytest.fixture
def database_url(server_url, template, session_place):
    """Return the URL of a fresh, migrated database, for its owner."""
    name = sql.Identifier(f"truckroll_test_{secrets.token_hex(6)}")
    create = sql.SQL("create database {} template {} strategy file_copy").format(
        name, sql.Identifier(template)
    )
    with psycopg.connect(server_url, autocommit=True) as connection:
        with one_worker_at_a_time(session_place / "template.lock"):
            connection.execute(create)
        yield with_database(server_url, name.as_string().strip('"'))
        connection.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
async def store(database_url, tmp_path):
    """Return the store of tenant 1 in a fresh database."""
    async with open_store(database_url, tmp_path / "home") as opened:
        yield opened


def pytest_collection_modifyitems(items):
    """Let every report carry the numbers that its test proves."""
    for item in items:
        for sort in ("behaviour", "fault"):
            numbers = {mark.args[0] for mark in item.iter_markers(sort)}
            item.user_properties += [(sort, number) for number in sorted(numbers)]


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """Say what failed at once: a run that is cut off later has no summary."""
    if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
        sys.__stdout__.write(f"\n{report.nodeid} ({report.when}): {report.longreprtext}\n")
        sys.__stdout__.flush()


def pytest_terminal_summary(terminalreporter):
    """Say which numbered behaviours and faults were proven, and which were not."""
    proven, broken = set(), set()
    for outcome, found in (("passed", proven), ("failed", broken)):
        for report in terminalreporter.getreports(outcome):
            found |= {pair for pair in report.user_properties if pair[0] in ("behaviour", "fault")}
    for sort in ("behaviour", "fault"):
        held = sorted({number for kind, number in proven - broken if kind == sort}, key=_by_number)
        lost = sorted({number for kind, number in broken if kind == sort}, key=_by_number)
        if held:
            terminalreporter.write_line(f"{sort}s proven: {' '.join(held)}")
        if lost:
            terminalreporter.write_line(f"{sort}s NOT proven: {' '.join(lost)}")


def _by_number(number):
    letters = number.rstrip("0123456789")
    return letters, int(number[len(letters) :] or 0)
