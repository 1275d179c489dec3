"""The timetable: wall times of a zone, whatever its clock does; rows that happen once."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from errands.conftest import runtime
from truckroll.app import timetable
from truckroll.app.trouble import TroubleError
from truckroll.errands.backoff import backoff
from truckroll.errands.timetable import next_instant

BERLIN = ZoneInfo("Europe/Berlin")
PLACES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")


def wall(text, zone=BERLIN, fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def walk(kind, spec, zone, after, until):
    found = []
    while (after := next_instant(kind, spec, zone, after)) < until:
        found.append(after)
    return found


@pytest.mark.fault("F57")
@pytest.mark.parametrize("zone", PLACES)
@pytest.mark.parametrize("spec", ["30 2 * * *", "15 1 * * *", "0 0 * * *", "45 1 * * sun,mon-sat"])
def test_a_daily_time_comes_once_on_each_day_of_a_year(zone, spec):
    """Two DST edges, a leap day: never twice, never skipped."""
    start, end = wall("2028-01-01T00:00", ZoneInfo(zone)), wall("2029-01-01T00:00", ZoneInfo(zone))
    found = walk("cron", spec, zone, start - timedelta(seconds=1), end)
    days = [at.astimezone(ZoneInfo(zone)).date() for at in found]
    assert days == sorted(set(days))
    assert len(days) == 366


def test_a_skipped_wall_time_comes_at_the_first_instant_after_the_gap():
    (found,) = walk(
        "cron", "30 2 * * *", "Europe/Berlin", wall("2027-03-28T00:00"), wall("2027-03-29T00:00")
    )
    assert found == wall("2027-03-28T03:00")


def test_a_doubled_wall_time_comes_once_at_its_first_showing():
    found = walk(
        "cron", "30 2 * * *", "Europe/Berlin", wall("2027-10-31T00:00"), wall("2027-11-01T00:00")
    )
    assert found == [wall("2027-10-31T02:30", fold=0)]
    between = wall("2027-10-31T02:10", fold=1)  # the second showing is under way
    assert next_instant("cron", "30 2 * * *", "Europe/Berlin", between) == wall("2027-11-01T02:30")


def test_minutes_of_the_hour_come_in_the_doubled_hour_too():
    found = walk(
        "minutes", "3,33", "Europe/Berlin", wall("2027-10-31T01:59"), wall("2027-10-31T03:01")
    )
    assert found == [
        *(wall(f"2027-10-31T02:{minute}") for minute in ("03", "33")),
        *(wall(f"2027-10-31T02:{minute}", fold=1) for minute in ("03", "33")),
    ]


def test_a_shift_starts_on_its_days():
    found = walk(
        "shift",
        "mon-fri 07:30",
        "America/New_York",
        wall("2026-12-04T12:00", UTC),
        wall("2026-12-08T23:00", UTC),
    )
    assert found == [wall(f"2026-12-{day}T12:30", UTC) for day in ("04", "07", "08")]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("cron", "* * *"),
        ("cron", "0 0 31 2 *"),
        ("cron", "0 0 0 * * *"),
        ("minutes", "70"),
        ("minutes", "a"),
        ("shift", "mo 7:30"),
        ("shift", "mon-fri 25:00"),
    ],
)
def test_what_is_no_schedule_is_refused_with_an_example(kind, spec):
    with pytest.raises(ValueError, match="is no schedule: write"):
        next_instant(kind, spec, "UTC", datetime(2026, 12, 1, tzinfo=UTC))


def test_failures_wait_longer_each_time_and_as_long_as_they_were_asked():
    waits = [backoff(number, 0.0).total_seconds() for number in range(1, 12)]
    assert waits[:4] == [30, 60, 120, 240]
    assert waits[-1] == 1800
    assert backoff(1, 0.999).total_seconds() < 36.1
    assert backoff(1, 0.0, asked=timedelta(hours=2)) == timedelta(hours=2)
    assert backoff(10**6, 0.0) == timedelta(minutes=30)


class Clock:
    def __init__(self):
        self.at = datetime.now(UTC)
        self.leapt = timedelta()

    def __call__(self):
        return self.at

    def turn(self, **how):
        self.at += timedelta(**how)

    def leap(self, **how):
        self.leapt += timedelta(**how)
        self.turn(**how)

    def steady(self):
        return (self.at - self.leapt).timestamp()


@pytest.fixture
async def timed(office, database_url, tmp_path):
    """Return a hub on a clock that the test turns."""
    clock = Clock()
    async with runtime(database_url, tmp_path / "home", now=clock, steady=clock.steady) as made:
        made.clock = clock
        yield made


@pytest.mark.behaviour("CAL-5")
@pytest.mark.parametrize("how", [("cron", "0 6 * * *", ""), ("shift", "mon-sun 07:30", "Ana")])
async def test_each_day_and_at_each_shifts_start_what_was_deleted_by_hand_is_put_back(
    timed, office, how
):
    kind, spec, person = how
    await timed.quiet()
    hub = timed.resident.hub(1)
    row = await timetable.put(hub, "", kind, spec, act="reconcile", person=person)
    (name,) = office.server.events("ana")
    office.server.delete("ana", name)
    timed.clock.at = row.next_at - timedelta(seconds=1)
    before = await timed.store.scope_agendas([one.id for one in await timed.store.scopes()])
    for scope in before:  # polls are no help: each is put off
        await timed.store.scope_read(
            scope, before[scope], at=timed.clock(), next_at=timed.clock() + timedelta(hours=9)
        )
    await timed.quiet()
    assert office.titles("ana") == []
    timed.clock.turn(seconds=2)
    await timed.quiet()
    assert office.titles("ana") == ["J-1 Visit 1 · Smith"]
    (ran,) = await timetable.listed(hub)
    assert ran.next_at - row.next_at == timedelta(days=1)
    after = await timed.store.scopes()
    assert all(one.complete_at == timed.clock() for one in after)


async def test_instants_that_passed_while_nothing_ran_are_one_run_and_that_is_said(timed, office):
    await timed.quiet()
    hub = timed.resident.hub(1)
    await timetable.put(hub, "", "minutes", "0,15,30,45")
    timed.clock.turn(hours=30)
    done = await timed.quiet()
    assert len([one for one in done if one.kind == "read"]) == 3
    (row,) = await timetable.listed(hub)
    assert "once for several instants" in row.note
    assert row.next_at > timed.clock()


async def test_a_run_that_is_still_going_is_not_started_again_and_that_is_noted(timed, office):
    await timed.quiet()
    hub = timed.resident.hub(1)
    row = await timetable.put(hub, "", "minutes", "0,15,30,45")
    timed.clock.at = row.next_at
    await timed.tick.once()  # released, and not done yet
    before = await timed.store.scope_agendas([one.id for one in await timed.store.scopes()])
    timed.clock.turn(minutes=15)
    await timed.tick.once()
    after = await timed.store.scope_agendas([one.id for one in await timed.store.scopes()])
    assert {id_: one.asked for id_, one in after.items()} == {
        id_: one.asked for id_, one in before.items()
    }
    (noted,) = await timetable.listed(hub)
    assert "the run before was still going" in noted.note
    await timed.quiet()
    timed.clock.turn(minutes=15)
    await timed.quiet()
    (noted,) = await timetable.listed(hub)
    assert noted.note == ""


@pytest.mark.fault("F57")
@pytest.mark.parametrize("hours", [1, -1])
async def test_a_leap_of_the_clock_brings_no_burst_and_no_silence(timed, office, hours):
    await timed.quiet()
    hub = timed.resident.hub(1)
    await timetable.put(hub, "", "minutes", "0,15,30,45")
    timed.clock.leap(hours=hours)
    done = await timed.quiet()
    reads = [one for one in done if one.kind == "read"]
    assert len(reads) == len(set(reads)) == 3  # each once at most
    timed.clock.turn(minutes=16)
    done = await timed.quiet()
    assert len([one for one in done if one.kind == "read"]) == 3
    (row,) = await timetable.listed(hub)
    assert timed.clock() < row.next_at <= timed.clock() + timedelta(minutes=15)


async def test_a_scope_that_was_long_not_read_completely_is_within_its_accounts_budget(
    timed, office, monkeypatch
):
    await timed.quiet()
    scopes = await timed.store.scopes()
    field = {one.id for one in scopes if one.scope.id != "table"}
    account = next(one.account for one in scopes if one.id in field)
    timed.clock.turn(hours=25)
    await timed.quiet()
    timed.clock.turn(hours=25)
    monkeypatch.setattr("truckroll.app.agenda.SHARE", 0.0)
    await timed.agenda.sweep()
    agendas = await timed.store.scope_agendas(list(field))
    assert not any(one.whole for one in agendas.values())
    monkeypatch.setattr("truckroll.app.agenda.SHARE", 0.05)
    timed.agenda._stale_at = None
    await timed.agenda.sweep()
    agendas = await timed.store.scope_agendas(list(field))
    assert [one.whole for one in agendas.values()] == [True] * len(field)
    await timed.quiet()
    assert await timed.store.spent(account, timed.clock().date()) > 0
    assert not any(one.whole for one in (await timed.store.scope_agendas(list(field))).values())


async def test_now_without_anything_up_says_so(timed, office, monkeypatch):
    monkeypatch.setattr("truckroll.app.timetable._STARTS_WITHIN", 0.1)
    with pytest.raises(TroubleError, match="no process of the hub is up"):
        await timetable.now(timed.resident.hub(1))
