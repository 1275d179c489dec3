"""A simulated company, signed in to."""

import pytest

from connectors.acme_dispatch import world


@pytest.fixture
async def stay():
    async with world.visit(None) as visit:
        yield visit
