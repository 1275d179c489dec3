"""A release that breaks one kind of write for hours: the rest goes on, and all comes after."""

from datetime import UTC, datetime, timedelta

import pytest

from errands.conftest import runtime
from support.company import row
from truckroll.app import holds as app_holds
from truckroll.kit.errors import HoldRecord
from truckroll.sync import perform as sync_perform

HOURS = timedelta(hours=3, minutes=30)
STEP = timedelta(minutes=10)


class Clock:
    ahead = timedelta(0)

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def hub(office, database_url, tmp_path, clock):
    async with runtime(database_url, tmp_path / "home", now=clock) as made:
        yield made


async def hours_go_by(hub, office, clock, changes):
    """Let the hours of the bad release go by; the office changes a row and adds one, now and then."""
    begun = clock.ahead
    while clock.ahead - begun < HOURS:
        clock.ahead += STEP
        if changes:
            changes.pop()()
            office.save()
        await hub.quiet()


def changing(office):
    def one(number):
        def change():
            office.rows[number]["Title"] = f"New {number}"
            office.rows.append(row(100 + number, "Ben", day=4 + number))

        return change

    return [one(number) for number in range(8)]


def all_titles(office):
    return sorted(office.titles("ana") + office.titles("ben"))


def wanted(office):
    return sorted(f"{one['Job']} {one['Title']} · Smith" for one in office.rows)


@pytest.mark.fault("F38")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["stumbles", "is refused"])
async def test_after_a_bad_release_the_backlog_and_a_sweep_deliver_everything(
    hub, office, clock, monkeypatch, how
):
    office.rows = [row(n, "Ana", day=3 + n) for n in range(1, 11)]
    office.save()
    await hub.quiet()
    assert len(office.titles("ana")) == 10
    tries = []

    async def broken(hand, scope, opened, *_):
        tries.append(opened.step.link)
        if how == "stumbles":
            raise TypeError("the new release encodes this wrongly")
        raise HoldRecord("The calendar does not take this: its data is not valid.")

    with monkeypatch.context() as patch:
        patch.setattr(sync_perform, "_update", broken)
        await hours_go_by(hub, office, clock, changing(office))
        shown = all_titles(office)
        assert sum("New" in one for one in shown) == 0
        assert len(office.titles("ben")) == 8, "the other kind of write goes on"
        assert len(tries) < 8 * 40, "nobody storms"
        affected = await app_holds.waiting(office.hub)
        runs = await hub.store.runs(limit=500)
        if how == "is refused":
            assert {one.hold.ref for one in affected} == {f"J-{n}" for n in range(1, 9)}
            assert {one.hold.reason for one in affected} == {"refused"}
        else:
            told = {text for one in runs for text in one.summary.get("problems", ())}
            for number in range(1, 9):
                assert any(f"J-{number}" in text for text in told), (number, told)
    clock.ahead += timedelta(hours=1)  # it is mended; the backlog drains by itself
    await hub.quiet()
    clock.ahead += timedelta(hours=1)
    await hub.quiet()
    if how == "is refused":
        assert all_titles(office) != wanted(office)
        swept = await app_holds.retry_all(office.hub, by="test")
        assert {one.ref for one in swept} == {f"J-{n}" for n in range(1, 9)}
        clock.ahead += STEP
        await hub.quiet()
    assert all_titles(office) == wanted(office)
    assert await app_holds.waiting(office.hub) == []
    assert await app_holds.retry_all(office.hub, by="test") == []
