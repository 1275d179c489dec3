"""Ana's calendar at the simulated Google, by each of the two connectors."""

import pytest

from connectors.google_calendar import world as worlds


@pytest.fixture
async def at_google():
    async with worlds.WORLDS[0].visit(None) as stay:
        yield stay


@pytest.fixture
async def at_workspace():
    async with worlds.WORLDS[1].visit(None) as stay:
        yield stay
