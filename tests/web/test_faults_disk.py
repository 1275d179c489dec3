"""Pushes while the database has no room, is slow, or is locked: refused, or kept, never lost."""

import asyncio
import time

import pytest

from support import disk
from truckroll.app import pushes as app_pushes


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(app_pushes, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(app_pushes, "_DOWN_SECONDS", 0.1)


async def recovers(hall, row, numbers):
    """The system sends again what was turned away; each is kept once."""
    for number in numbers:
        for _ in range(50):
            if (await hall.send(row, headers={"X-Id": str(number)})).status_code == 200:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("it does not go on by itself")


@pytest.mark.fault("F56")
@pytest.mark.parametrize("trouble", ["full", "slow", "locked"])
async def test_pushes_are_refused_while_the_disk_is_in_trouble_and_taken_by_themselves_after(
    hall, database_url, quick, trouble
):
    row = await hall.subscribed()
    for number in range(3):
        assert (await hall.send(row, headers={"X-Id": str(number)})).status_code == 200
    how = {
        "full": lambda: disk.full(database_url, "push"),
        "slow": lambda: disk.slow(database_url, 1.5, "push"),  # three times the patience, as 5 s
        "locked": lambda: disk.locked(database_url, "push"),
    }
    with how[trouble]():
        began = time.monotonic()
        sent = [hall.send(row, headers={"X-Id": str(number)}) for number in range(10, 30)]
        answers = await asyncio.gather(*sent)
        assert {answer.status_code for answer in answers} == {503}
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
        assert time.monotonic() - began < 5
    await recovers(hall, row, range(10, 30))
    kept = await hall.store.pushes(row.id, limit=100)
    assert len(kept) == 23
    assert (await hall.store.subscription(row.id)).pushes == 23


class Steady:
    """A monotonic clock that the test turns."""

    def __init__(self):
        self.now = time.monotonic()

    def monotonic(self):
        return self.now


@pytest.mark.fault("F08")
async def test_after_ninety_seconds_without_a_database_everything_is_taken_once(
    hall, database_url, server_url, monkeypatch
):
    steady = Steady()
    monkeypatch.setattr(app_pushes, "time", steady)
    monkeypatch.setattr(app_pushes, "_PATIENCE_SECONDS", 0.15)
    row = await hall.subscribed()
    assert (await hall.send(row, headers={"X-Id": "before"})).status_code == 200
    turned_away = []
    with disk.away(database_url, server_url):
        for second in range(90):
            steady.now += 1.1  # one try at the database may be made each second
            for number in (2 * second, 2 * second + 1):
                began = time.monotonic()
                answer = await hall.send(row, headers={"X-Id": str(number)})
                assert answer.status_code == 503
                assert time.monotonic() - began < 2
                turned_away.append(number)
    for _ in range(100):  # the pool finds the database again by itself
        steady.now += 1.1
        if (await hall.send(row, headers={"X-Id": "0"})).status_code == 200:
            break
        await asyncio.sleep(0.1)
    monkeypatch.setattr(app_pushes, "_PATIENCE_SECONDS", 3.0)
    await recovers(hall, row, turned_away)
    kept = await hall.store.pushes(row.id, limit=500)
    assert len(kept) == 1 + len(turned_away)
