"""A process dies at each commit in turn, or is away too long: another goes on, and all is well."""

import asyncio
import contextlib
from contextlib import asynccontextmanager
from unittest.mock import patch

import psycopg
import pytest

from errands.conftest import runtime
from support.company import row
from truckroll.store.base import Base
from truckroll.store.pulse import pulse_of
from truckroll.sync import perform as sync_perform
from truckroll.sync.leases import Terms

SEEN = "select count(*) from step where kind = 'done' and step->>'op' = 'create'"


class Killed(BaseException):
    """The process is no more: nothing after this happens."""


class Death:
    """Ends a process before or after its n-th commit; what it would do afterwards fails too."""

    def __init__(self, pool, number, when):
        self.pool = pool
        self.left = number
        self.when = when
        self.dead = False

    def patched(self):
        real = Base._transaction
        death = self

        @asynccontextmanager
        async def transaction(store, **how):
            if store._pool is not death.pool:
                async with real(store, **how) as cursor:
                    yield cursor
                return
            if death.dead:
                raise Killed
            death.left -= 1
            last = death.left == 0
            async with real(store, **how) as cursor:
                yield cursor
                if last and death.when == "before":
                    death.dead = True
                    raise Killed
            if last:
                death.dead = True
                raise Killed

        return patch.object(Base, "_transaction", transaction)


def make_old(url):
    """Let the engine not have heard of its workers for long."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "update engine.procrastinate_workers set last_heartbeat = now() - interval '1 hour'"
        )


async def dies(url, home, number, when):
    """Run a process until it is killed; return whether it came to that."""
    async with runtime(url, home) as process:
        death = Death(process.stores.pool, number, when)
        with death.patched():
            with contextlib.suppress(Killed, BaseExceptionGroup):
                await process.now()
                await process.quiet()
        await pulse_of(process.stores.pool).close()  # as the server sees it when a process ends
    make_old(url)
    return death.dead


@pytest.mark.long
@pytest.mark.fault("F55")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_dies_at_any_commit_is_taken_over(
    office, database_url, tmp_path, when
):
    await die_again_and_again(office, database_url, tmp_path / "home", when, 1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_dies_at_some_commits_is_taken_over(
    office, database_url, tmp_path, when
):
    await die_again_and_again(office, database_url, tmp_path / "home", when, 7)


async def die_again_and_again(office, database_url, home, when, stride):
    """Let a process die at every so-manieth commit, until one comes to its end."""
    async with runtime(database_url, home) as survivor:
        await survivor.quiet()
        number, deaths, jobs = 5 - stride, 0, 1
        while True:
            number += stride
            jobs += 1
            who, day = ("Ana", "Ben")[jobs % 2], 3 + jobs % 25
            office.rows.append(row(jobs, who, day=day))
            office.rows[jobs - 2]["Title"] = "Moved"
            office.save()
            if not await dies(database_url, home, number, when):
                break
            deaths += 1
            await survivor.engine.beat()
            await survivor.engine.recover()
            await survivor.quiet()
            if number % 5 == 0:
                converged(office, jobs)
        converged(office, jobs)
        await survivor.now()
        runs = len(await survivor.store.runs(limit=1000))
        await survivor.quiet()
        assert len(await survivor.store.runs(limit=1000)) == runs  # nothing is left to be done
        assert await survivor.store.open_intents(1) == []
    assert deaths > 15 // stride
    with psycopg.connect(database_url, options="-c search_path=truckroll") as connection:
        assert connection.execute(SEEN).fetchone()[0] == jobs


def converged(office, jobs):
    titles = office.titles("ana") + office.titles("ben")
    numbers = sorted(int(title.split()[0].removeprefix("J-")) for title in titles)
    assert numbers == list(range(1, jobs + 1))
    assert sum("Moved" in title for title in titles) == jobs - 1


@pytest.mark.fault("F36")
async def test_a_zombie_writes_nothing_more_and_what_it_did_is_found(
    office, database_url, tmp_path, monkeypatch
):
    """A worker hangs in a write past its lease; another takes over; the first comes back late."""
    home = tmp_path / "home"
    office.rows = [row(n, "Ana", day=3 + n) for n in range(1, 7)]
    office.save()
    terms = Terms(seconds=0.5, beat=60.0)  # it never says that it lives: as if it were paused
    calls, hung, back = [], asyncio.Event(), asyncio.Event()
    real = sync_perform.perform_step

    async def away(hand, scope, opened, **how):
        calls.append(opened.step.ref)
        outcome = await real(hand, scope, opened, **how)
        hung.set()
        await back.wait()  # the answer came, and the process was stopped before it was stored
        return outcome

    async with (
        runtime(database_url, home, terms=terms) as zombie,
        runtime(database_url, home) as other,
    ):
        for _ in range(3):
            await zombie.tick.once()
            with patch.object(sync_perform, "perform_step", away):
                while (taken := await zombie.engine.take()) and taken.errand.kind == "read":
                    await zombie.errands.read(1, taken.errand.about)
                    await zombie.engine.finish(taken)
            if taken is not None:
                break
        with patch.object(sync_perform, "perform_step", away):
            late = asyncio.create_task(zombie.errands.settle(1, taken.errand.about))
            await hung.wait()
        begun = len(calls)
        await asyncio.sleep(0.6)
        make_old(database_url)
        assert [one.kind for one in await other.engine.recover()] == ["settle"]
        await other.quiet()
        assert len(office.titles("ana")) == 6
        runs = await other.store.runs()
        back.set()
        await late  # it ends without a word: its work is another's
        assert len(calls) == begun  # and calls nobody any more
        assert not await zombie.engine.finish(taken)
        assert await other.store.runs() == runs
        await other.now()
        await other.quiet()
    assert len(office.titles("ana")) == 6
    assert await office.hub.store.open_intents(1) == []
    with psycopg.connect(database_url, options="-c search_path=truckroll") as connection:
        assert connection.execute(SEEN).fetchone()[0] == 6
