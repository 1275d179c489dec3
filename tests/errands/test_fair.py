"""One tenant's storm never goes more than one batch ahead of another (virtual time)."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

import pytest

from truckroll.errands.fair import fair
from truckroll.errands.memory import Board, MemoryEngine
from truckroll.errands.ports import Errand, Work
from truckroll.errands.tick import Tick

START = datetime(2026, 12, 1, tzinfo=UTC)


def work(tenant, about, account=1, waits=0):
    return Work(Errand("read", tenant, about), START - timedelta(seconds=waits), account)


def test_tenants_take_turns_the_longest_waiting_first():
    due = [work(1, n, account=n, waits=9) for n in range(5)] + [
        work(2, 7, waits=1),
        work(3, 8, waits=2),
    ]
    chosen = fair(due, [], {}, each_tenant=3)
    assert [(one.tenant, one.about) for one in chosen] == [(1, 0), (3, 8), (2, 7), (1, 1), (1, 2)]


def test_what_is_going_counts_against_the_caps_of_tenant_and_account():
    going = [Errand("read", 1, 90), Errand("read", 1, 91)]
    accounts = dict.fromkeys(going, (1, 4))
    due = [
        work(1, 1, account=4),
        work(1, 2, account=5),
        work(1, 3, account=5),
        work(2, 1, account=4),
    ]
    chosen = fair(due, going, accounts, each_tenant=3, each_account=2)
    assert chosen == [Errand("read", 1, 2), Errand("read", 2, 1)]


class Desk:
    """What is due, in memory: each errand was asked for at an instant and done at another."""

    def __init__(self):
        self.due = {}
        self.asked = {}

    def ask(self, errand, at, account):
        self.due.setdefault(errand, (at, account))
        self.asked.setdefault(errand, at)

    def alone(self):
        return self

    async def __aenter__(self):
        return True

    async def __aexit__(self, *_):
        return None

    async def work(self, going, *, at, each):
        found = []
        for tenant in {errand.tenant for errand in self.due}:
            theirs = [
                (errand.kind, errand.tenant, errand.about, account, since)
                for errand, (since, account) in self.due.items()
                if errand.tenant == tenant
                and since <= at
                and (errand.kind, errand.tenant, errand.about) not in going
            ]
            found += heapq.nsmallest(each, theirs, key=lambda row: row[4])
        return found


def lags(storm, minutes=3):
    """Return the lags of tenant 2, in seconds, beside a storm of tenant 1: so many scopes a minute.

    Four workers take 20 ms for an errand.
    """
    now = [START]
    desk, board = Desk(), Board(lambda: now[0])
    engine = MemoryEngine(board)

    async def nothing():
        return None

    def steady():
        return now[0].timestamp()

    tick = Tick(
        engine,
        desk,
        now=lambda: now[0],
        look=nothing,
        sweep=nothing,
        jumped=nothing,
        steady=steady,
    )
    found, busy = [], []

    async def live():
        for step in range(minutes * 60 * 50):
            now[0] = START + timedelta(milliseconds=20 * step)
            for _ in range(sum(at <= now[0] for at, *_ in busy)):
                _, _, taken = heapq.heappop(busy)
                await engine.finish(taken)
                if taken.errand.tenant == 2:
                    found.append((now[0] - desk.asked.pop(taken.errand)).total_seconds())
            for number in range(storm * step // 3000, storm * (step + 1) // 3000):
                desk.ask(Errand("read", 1, number % 2000), now[0], number % 50)
            if step % 50 == 7:
                desk.ask(Errand("read", 2, step // 50 % 40), now[0], 1)
            await tick.once()
            while len(busy) < 4 and (taken := await engine.take()):
                desk.due.pop(taken.errand, None)
                heapq.heappush(busy, (now[0] + timedelta(milliseconds=20), taken.id, taken))

    asyncio.run(live())
    return sorted(found)


@pytest.mark.fault("F09")
def test_a_storm_of_5000_a_minute_leaves_another_tenants_lag_as_it_was():
    """The ack of pushes is the receiver's half of this fault; this is the queue's."""
    calm, stormy = lags(0, minutes=1), lags(5000, minutes=1)
    assert len(calm) == len(stormy) >= 59
    batch = 8 / 4 * 0.02  # eight of the other tenant before ours, on four workers
    assert stormy[-1] <= calm[-1] + batch + 0.02
    assert stormy[int(len(stormy) * 0.99)] <= 4 * calm[int(len(calm) * 0.99)]
