"""Servers for the CalDAV tests, started once for each worker."""

import pytest

from connectors.caldav import world as worlds
from support.servers import radicale, xandikos


@pytest.fixture(scope="session")
def radicale_server():
    with radicale(password="secret") as server:
        yield server


@pytest.fixture(scope="session")
def xandikos_server():
    with xandikos() as server:
        yield server


@pytest.fixture(scope="session")
def cyrus_server():
    with worlds.cyrus_or_skip() as server:
        yield server


@pytest.fixture
async def at_radicale(radicale_server):
    async with worlds.visit(radicale_server) as stay:
        yield stay


@pytest.fixture
async def at_xandikos(xandikos_server):
    async with worlds.visit(xandikos_server) as stay:
        yield stay


@pytest.fixture
async def at_cyrus(cyrus_server):
    async with worlds.visit(cyrus_server) as stay:
        yield stay


@pytest.fixture(
    params=["at_radicale", "at_xandikos", pytest.param("at_cyrus", marks=pytest.mark.cyrus)]
)
def anywhere(request):
    return request.getfixturevalue(request.param)
