"""A simulated tenant, signed in to."""

import pytest

from connectors.servicetitan import world as worlds


@pytest.fixture
async def stay():
    async with worlds.visit(None) as visit:
        yield visit


@pytest.fixture
def company(stay):
    return stay.server
