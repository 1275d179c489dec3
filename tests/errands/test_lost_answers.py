"""The engine's answer was lost: what nobody has in hand does not stay with a living worker."""

from datetime import UTC, datetime

import pytest

from truckroll.errands.memory import Board, MemoryEngine
from truckroll.errands.ports import Errand
from truckroll.errands.procrastinate import open_engine
from truckroll.store.migrate import APP_ROLE

ONE, OTHER = Errand("read", 1, 1), Errand("read", 1, 2)


@pytest.fixture(params=["twin", "postgresql"])
async def engine(request, database_url):
    if request.param == "twin":
        yield MemoryEngine(Board(lambda: datetime.now(UTC)))
        return
    async with open_engine(database_url, role=APP_ROLE) as real:
        yield real


async def test_what_is_not_in_hand_is_free_and_what_is_stays(engine):
    await engine.defer([ONE, OTHER])
    kept, _ = await engine.take(), await engine.take()
    assert await engine.recover() == []
    assert await engine.recover(hands=[kept.id]) == [OTHER]
    assert await engine.defer([OTHER]) == [OTHER]
    assert (await engine.take()).errand == OTHER
    assert await engine.finish(kept)


async def test_a_heartbeat_from_the_future_is_none():
    clock = [datetime(2026, 12, 1, 9, tzinfo=UTC)]
    board = Board(lambda: clock[0])
    dead, living = MemoryEngine(board), MemoryEngine(board)
    await dead.defer([ONE])
    await dead.take()
    clock[0] = datetime(2026, 12, 1, 8, tzinfo=UTC)
    await living.beat()
    assert await living.recover() == [ONE]
