"""Both engines live through the same random operations and end up with the same rows."""

import random
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from truckroll.errands.memory import Board, MemoryEngine
from truckroll.errands.ports import EngineAway, Errand
from truckroll.errands.procrastinate import open_engine
from truckroll.store.migrate import APP_ROLE

START = datetime(2026, 12, 1, tzinfo=UTC)
ERRANDS = [Errand(kind, 1, about) for kind in ("read", "settle") for about in (1, 2)]
ROWS = """select id, task_name, args->>'tenant', args->>'about', status::text
from engine.procrastinate_jobs order by id"""


class Clock:
    """The twin turns its clock; on PostgreSQL what was written is made older."""

    def __init__(self, url):
        self.at = START
        self._url = url

    def __call__(self):
        return self.at

    def turn(self, seconds):
        self.at += timedelta(seconds=seconds)
        with psycopg.connect(self._url, autocommit=True) as connection:
            back = f"- interval '{seconds} seconds'"
            connection.execute(
                f"update engine.procrastinate_workers set last_heartbeat = last_heartbeat {back}"
            )
            connection.execute(f"update engine.procrastinate_events set at = at {back}")


def rows_of(url):
    with psycopg.connect(url) as connection:
        return [
            (id_, Errand(kind, int(tenant), int(about)), status)
            for id_, kind, tenant, about, status in connection.execute(ROWS)
        ]


def engine(url):
    return open_engine(url, role=APP_ROLE)


async def one_step(chance, engines, taken, clock):
    """Do the same random thing with a worker of each engine; return what both answered."""
    worker = chance.randrange(2)
    real, twin = engines[worker]
    match chance.choice(
        (
            "defer",
            "defer",
            "take",
            "take",
            "finish",
            "turn",
            "beat",
            "recover",
            "prune",
            "going",
            "leave",
        )
    ):
        case "defer":
            some = chance.sample(ERRANDS, chance.randint(1, 3))
            return [await one.defer(some) for one in (real, twin)]
        case "take":
            both = [await one.take() for one in (real, twin)]
            if both[1] is not None:
                taken[worker].append(both)
            return [one and one.errand for one in both]
        case "finish" if taken[worker]:
            both = taken[worker].pop(chance.randrange(len(taken[worker])))
            well = chance.random() < 0.7
            return [
                await one.finish(mine, well=well)
                for one, mine in zip((real, twin), both, strict=True)
            ]
        case "turn":
            clock.turn(chance.choice((3, 9, 20)))
        case "beat":
            await real.beat()
            await twin.beat()
        case "recover":
            return [await one.recover(seconds=15) for one in (real, twin)]
        case "prune":
            return [await one.prune(seconds=30, most=3) for one in (real, twin)]
        case "going":
            return [sorted(await one.going()) for one in (real, twin)]
        case "leave":
            await real.leave()
            await twin.leave()
    return [None, None]


@pytest.mark.parametrize("seed", range(3))
async def test_the_engine_does_what_its_twin_does(database_url, seed):
    chance = random.Random(seed)
    clock = Clock(database_url)
    board = Board(clock)
    async with engine(database_url) as first, engine(database_url) as second:
        engines = [(first, MemoryEngine(board)), (second, MemoryEngine(board))]
        taken = ([], [])
        for step in range(150):
            try:
                ours, theirs = await one_step(chance, engines, taken, clock)
            except EngineAway:  # a dead worker may not take: it beats, and counts as a new one
                for both in engines:
                    await both[0].beat()
                    await both[1].beat()
                continue
            assert ours == theirs, step
            rows = [(row.id, row.errand, row.status) for row in board.rows.values()]
            assert numbered(rows_of(database_url)) == numbered(rows), step


def numbered(rows):
    """Ids differ where an insert clashed: the order is what counts."""
    return [(errand, status) for _, errand, status in rows]


async def test_of_one_key_one_waits_and_one_runs(database_url):
    errand = ERRANDS[0]
    async with engine(database_url) as first, engine(database_url) as second:
        assert await first.defer([errand] * 1) == [errand]
        assert await second.defer([errand, ERRANDS[1]]) == [ERRANDS[1]]
        running = await first.take()
        assert await second.defer([errand]) == [errand]  # a successor waits beside the running one
        assert (await second.take()).errand == ERRANDS[1]
        assert await second.take() is None
        assert await first.finish(running)
        assert (await second.take()).errand == errand


async def test_a_dead_workers_errand_is_given_up_though_a_successor_waits(database_url):
    errand = ERRANDS[0]
    async with engine(database_url) as dead, engine(database_url) as living:
        await dead.defer([errand])
        zombies = await dead.take()
        await living.defer([errand])
        Clock(database_url).turn(60)
        await living.beat()
        assert await living.recover() == [errand]
        taken = await living.take()
        assert taken.errand == errand
        assert not await dead.finish(zombies)  # the zombie ends late: nothing happens by it
        assert [status for _, _, status in rows_of(database_url)] == ["failed", "doing"]
        assert await living.finish(taken)
