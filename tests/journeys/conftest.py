import pytest

from support import servers


@pytest.fixture(scope="module")
def radicale():
    with servers.radicale(password="secret") as server:
        yield server


@pytest.fixture
def fresh_radicale():
    with servers.radicale(password="secret") as server:
        yield server
