"""Lists that lag, repeat themselves or begin anew, in any order, lead to the same calendars."""

from dataclasses import replace

import pytest

from support.company import brief
from support.fleet import fleet
from support.office import ALL_RIGHT, office
from truckroll.connectors.servicetitan import listing
from truckroll_sim.kit.faults import Fault

SAMPLE = {"technicians": 4, "appointments": 16, "customers": 6, "days": 3}
LATE = ("*/export/*", "*assignments*", "*/appointments", "*/jobs", "*/technicians", "*")
LISTS = "/calendar/v3/calendars/*/events"


def minutes(acme, number):
    """Let minutes go by for everybody."""
    acme.box.clock.advance(60 * number)


def deals(acme, chance):
    """Let the lists of the next pass trail by less than the three minutes that are declared."""
    acme.titan.kit.faults.clear()
    acme.google.kit.faults.clear()
    for path in chance.sample(LATE, chance.randint(0, 3)):
        seconds = chance.choice((20, 60, 120, 170))
        acme.titan.kit.faults.add(Fault(kind="stale", path=path, seconds=seconds))
    if chance.random() < 0.15:
        acme.office("forget_feed_tokens")
    if chance.random() < 0.3:
        acme.google.kit.faults.add(Fault(kind="cursor", path=LISTS, share=0.5))


async def replays(store, chance, past):
    """Give some scopes a cursor from the past, so that what was seen is told again."""
    cursors = {one.id: one.cursor for one in await store.scopes()}
    for scope, now in cursors.items():
        if now is not None:
            past.setdefault(scope, []).append(now)
        if past.get(scope) and chance.random() < 0.3:
            await store.set_cursor(scope, chance.choice(past[scope]))


async def _late_lists(store, tmp_path, monkeypatch, seed, *, rounds, changes):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        work = await office(acme, seed)
        acme.box.clock.freeze(frozen=True)
        monkeypatch.setattr(listing, "utc_now", acme.box.clock.now)
        acme.hub = replace(acme.hub, now=acme.box.clock.now)
        minutes(acme, 5)
        await acme.apply()
        assert not work.differs(), (seed, work.differs())
        past, late = {}, 0
        for turn in range(rounds):
            for _ in range(changes):
                await work.change()
                minutes(acme, work.chance.choice((0, 0, 1)))
            deals(acme, work.chance)
            await replays(store, work.chance, past)
            view = await acme.apply(confirmed=ALL_RIGHT)
            told = seed, turn, work.did, brief(view)
            assert view.failed == 0, told
            marks = [str(one["extendedProperties"]) + one["calendarId"] for one in acme.events()]
            assert len(set(marks)) == len(marks), told
            assert acme.written_to_titan() == []
            late += bool(work.differs())
        assert late, "no list was ever late"
        acme.titan.kit.faults.clear()
        acme.google.kit.faults.clear()
        for _ in range(2):
            minutes(acme, 61)
            view = await acme.apply(confirmed=ALL_RIGHT)
        assert not work.differs(), (work.differs(), seed, work.did, brief(view))
        last = await acme.apply()
        assert (last.writes, last.failed) == (0, 0), (brief(last), seed)


@pytest.mark.fault("AT-21")
@pytest.mark.fault("F18")
@pytest.mark.parametrize("seed", [1, 2])
async def test_lists_that_lag_or_repeat_themselves_end_in_the_same_state(
    store, tmp_path, monkeypatch, seed
):
    await _late_lists(store, tmp_path, monkeypatch, seed, rounds=10, changes=6)


@pytest.mark.long
@pytest.mark.fault("AT-21")
@pytest.mark.fault("F18")
@pytest.mark.parametrize("seed", range(10, 16))
@pytest.mark.timeout(1800)
async def test_for_long_too(store, tmp_path, monkeypatch, seed):
    await _late_lists(store, tmp_path, monkeypatch, seed, rounds=60, changes=8)


@pytest.mark.fault("F18")
async def test_what_came_and_went_unseen_or_is_told_again_changes_nothing(store, tmp_path):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        work = await office(acme, 18)
        cursors = [{one.id: one.cursor for one in await store.scopes()}]
        await acme.apply()
        before = work.does()
        cursors.append({one.id: one.cursor for one in await store.scopes()})

        for number in sorted(acme.visits())[:3]:
            visit = acme.office(
                "add_visit",
                jobId=acme.visits()[number]["jobId"],
                technicianIds=list(acme.emails),
                **acme.later(number, hours=30),
            )
            acme.office("delete_visit", appointmentId=visit["id"])
        for book in acme.emails.values():
            fields = {
                "start": {"dateTime": "2031-03-04T09:00:00Z"},
                "end": {"dateTime": "2031-03-04T10:00:00Z"},
                "summary": "gone at once",
            }
            event = acme.google.records["events"].add(fields, {"calendar": book})
            acme.google.records["events"].remove(event["id"], {"calendar": book})
        unseen = await acme.apply()
        assert (unseen.writes, unseen.failed) == (0, 0), brief(unseen)
        assert work.does() == before
        assert len(cursors[1]) > 1
        for known in (*cursors[1:], *cursors[1:]):
            for scope, cursor in known.items():
                if cursor is not None:
                    await store.set_cursor(scope, cursor)
            again = await acme.apply()
            assert (again.writes, again.failed) == (0, 0), brief(again)
        assert work.does() == before
