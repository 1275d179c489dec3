"""Each test of the contract runs in each world; a world is started once."""

import pytest

from contract.bench import worlds


@pytest.fixture(scope="session", params=worlds())
def world(request):
    return request.param


@pytest.fixture(scope="session")
def running(world):
    with world.start() as system:
        yield system


@pytest.fixture
async def visit(world, running):
    async with world.visit(running) as stay:
        yield stay
