"""Other programmes and people at the same calendars: foreign mirrors, moved events, split series."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession

from support.company import brief
from support.fleet import RECIPE, ZONE, fleet
from support.office import instant, office
from truckroll.app import holds, passes
from truckroll.recipes.compile import builtin
from truckroll_sim.google_calendar.desk import Writer

SAMPLE = {"technicians": 3, "appointments": 3, "customers": 3, "days": 3, "crew_share": 0}
CIRCLE = "calendar-to-calendar"
TODAY = datetime.now(ZoneInfo(ZONE)).replace(hour=9, minute=0, second=0, microsecond=0)
BEGIN = TODAY + timedelta(days=7)


def live(acme, book):
    """The events of a calendar, by their ids."""
    return {one["id"]: one for one in acme.events() if one["calendarId"] == book}


def add(acme, book, title, *, day=0, **more):
    """Put an event of an hour into a calendar by hand."""
    begin = BEGIN + timedelta(days=day)
    body = {
        "summary": title,
        "start": {"dateTime": begin.isoformat(), "timeZone": ZONE},
        "end": {"dateTime": (begin + timedelta(hours=1)).isoformat(), "timeZone": ZONE},
    }
    return acme.google.records["events"].add({**body, **more}, {"calendar": book})


async def copies(acme, sources, target, **choices):
    """Install the recipe that copies calendars."""
    bound = {
        "from": ",".join(f"google/{one}" for one in sources),
        "to": f"google/{target}",
        "zone": ZONE,
    }
    await acme.hub.store.install_recipe(CIRCLE, builtin()[CIRCLE], bound, choices)


async def look(acme):
    """What a pass of that recipe would do."""
    return await passes.plan(acme.hub, CIRCLE)


async def go(acme):
    """One pass of that recipe."""
    return await passes.apply(acme.hub, CIRCLE, confirmed=1000)


class OtherTool:
    """Another programme that copies two calendars into each other, shortening the titles.

    It knows its own copies by a mark, and nothing of anybody else's.
    """

    def __init__(self, acme, one, other):
        self.acme, self.books = acme, (one, other)

    def goes(self, *ways):
        """Copy what it has not copied, there, back or both; return how many events it made."""
        made = 0
        books = {"there": self.books, "back": self.books[::-1]}
        for book, there in (books[way] for way in ways):
            for id_, event in live(self.acme, book).items():
                own = event.get("extendedProperties", {}).get("private", {})
                if "otherTool" in own:
                    continue
                mark = {"extendedProperties": {"private": {"otherTool": id_}}}
                known = [
                    each.get("extendedProperties", {}).get("private", {}).get("otherTool")
                    for each in live(self.acme, there).values()
                ]
                if id_ not in known:
                    times = {name: event[name] for name in ("start", "end")}
                    body = {"summary": event["summary"][:12], **times, **mark}
                    self.acme.google.records["events"].add(body, {"calendar": there})
                    made += 1
        return made


@pytest.mark.fault("F46")
@pytest.mark.parametrize("first", ["hub", "tool"])
@pytest.mark.parametrize("two_way", ["off", "on"])
@pytest.mark.parametrize("ways", [("back",), ("there",), ("there", "back")])
async def test_a_foreign_mirror_of_the_same_calendars_makes_no_loop(
    store, tmp_path, first, two_way, ways
):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        one, other, _ = sorted(acme.emails.values())
        await copies(acme, [one], other, two_way=two_way)
        tool = OtherTool(acme, one, other)
        for day, title in enumerate(["Short", "A title that is much longer"]):
            add(acme, one, title, day=day)
        sizes, views = [], []
        for turn in range(6):
            if first == "tool" or turn:
                tool.goes(*ways)
            views.append(await go(acme))
            sizes.append((len(live(acme, one)), len(live(acme, other))))
        assert [view.writes for view in views[2:]] == [0] * 4, (sizes, brief(views[-1]))
        assert sizes[1:] == [sizes[1]] * 5, sizes
        assert max(sizes[-1]) <= 4, sizes  # each event, and one copy of it
        assert not views[-1].failed


@pytest.mark.fault("F46")
async def test_a_copy_that_comes_back_is_told_and_goes_once_it_is_something_else(store, tmp_path):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        one, other, _ = sorted(acme.emails.values())
        await copies(acme, [one], other)
        add(acme, one, "A title that is much longer")
        add(acme, one, "Twins")
        add(acme, one, "Twins")
        first = await go(acme)
        assert first.by_op == {"create": 3}, brief(first)
        OtherTool(acme, one, other).goes("back")
        for view in (await look(acme), await go(acme)):
            assert view.writes == 0, brief(view)
            assert {hold.reason for hold in view.holds} == {"copied_back"}, brief(view)
        (hold,) = (one for one in view.holds if one.title == "A title that")
        assert "“A title that is much longer”" in hold.detail
        (key,) = (id_ for id_, event in live(acme, one).items() if event["summary"] == hold.title)
        acme.google.records["events"].edit(key, {"summary": "My own"}, {"calendar": one})
        later = await go(acme)
        assert later.by_op == {"create": 1}, brief(later)

        (twin, *_) = (one for one in later.holds if one.title == "Twins")
        assert twin.release.endswith(f"truckroll holds --accept {twin.ref}")
        await holds.answer(acme.hub, twin.ref, "accept", recipe=CIRCLE, by="test")
        last = await go(acme)
        assert last.by_op == {"create": 1}, brief(last)
        assert (await go(acme)).writes == 0


def moves(acme, key, book, there):
    """Let a person move an event into another calendar, as the screen's menu does."""
    world, desk = acme.google.world, acme.google.desk
    writer = Writer(world.books[book].data_owner, "owner")
    desk.move(world.books[book], key, world.books[there], writer)


@pytest.mark.fault("F48")
@pytest.mark.fault("AT-22")
async def test_an_event_moved_to_another_calendar_of_the_source_keeps_its_copy(store, tmp_path):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        one, other, third = sorted(acme.emails.values())
        await copies(acme, [one, other], third)
        key = add(acme, one, "Wanders")["id"]
        add(acme, other, "Stays", day=1)
        assert (await go(acme)).by_op == {"create": 2}
        before = live(acme, third)
        for book, there in ((one, other), (other, one), (one, other)):
            moves(acme, key, book, there)
            moved = await go(acme)
            assert (moved.writes, moved.failed) == (0, 0), brief(moved)
            assert live(acme, third) == before
        acme.google.records["events"].edit(key, {"summary": "Arrived"}, {"calendar": other})
        assert (await go(acme)).by_op == {"update": 1}
        assert live(acme, third).keys() == before.keys()
        assert {one["summary"] for one in live(acme, third).values()} == {"Arrived", "Stays"}
        acme.google.records["events"].remove(key, {"calendar": other})
        assert (await go(acme)).by_op == {"cancel": 1}
        assert (await go(acme)).writes == 0


async def test_a_visit_moved_into_a_colleagues_calendar_is_put_back_once(store, tmp_path):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        work = await office(acme, 48)
        await acme.apply()
        event = next(iter(acme.events()))
        theirs = next(one for one in acme.emails.values() if one != event["calendarId"])
        moves(acme, event["id"], event["calendarId"], theirs)
        view = await acme.apply()
        assert view.by_op == {"create": 1}, brief(view)
        assert not work.should() - work.does()
        left = work.does() - work.should()
        assert [one[0] for one in left.elements()] == [theirs]
        assert (await acme.apply()).writes == 0


def stamp(at):
    """An instant as ids of visits and rules have it."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def visit_id(series, begin, week):
    """The id of one visit of a weekly series."""
    return f"{series['id']}_{stamp(begin + timedelta(weeks=week))}"


async def visits(acme, book):
    """All visits in a calendar as Google itself counts them out."""
    token = acme.google.acts["sign-in"]({})["access_token"]
    url = f"{acme.box.address}/google-calendar/calendar/v3/calendars/{book}/events"
    head = {"Authorization": f"Bearer {token}"}
    asked = {"singleEvents": "true", "maxResults": "2500"}
    async with ClientSession() as client, client.get(url, params=asked, headers=head) as got:
        items = (await got.json())["items"]
    return sorted((instant(one["start"]["dateTime"]), one["summary"]) for one in items)


@pytest.mark.fault("F48")
@pytest.mark.fault("AT-08")
@pytest.mark.parametrize("two_way", ["off", "on"])
async def test_this_and_following_in_google_loses_and_doubles_no_visit(store, tmp_path, two_way):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        one, other, _ = sorted(acme.emails.values())
        await copies(acme, [one], other, two_way=two_way)
        events = acme.google.records["events"]
        rule = {"recurrence": ["RRULE:FREQ=WEEKLY;COUNT=10"]}
        whole = add(acme, one, "Weekly", **rule)
        for week, change in ((2, {"summary": "Early one"}), (8, {"summary": "Late one"})):
            events.edit(visit_id(whole, BEGIN, week), change, {"calendar": one})
        first = await go(acme)
        assert first.failed == 0, brief(first)
        assert await visits(acme, other) == await visits(acme, one)
        assert len(await visits(acme, other)) == 10
        (key,) = (id_ for id_, event in live(acme, other).items() if "recurrence" in event)

        cut = BEGIN + timedelta(weeks=5)
        until = stamp(cut - timedelta(seconds=1))
        ends = {"recurrence": [f"RRULE:FREQ=WEEKLY;UNTIL={until}"]}
        events.edit(whole["id"], ends, {"calendar": one})
        begin = cut + timedelta(hours=2)
        body = {
            "summary": "Weekly",
            "start": {"dateTime": begin.isoformat(), "timeZone": ZONE},
            "end": {"dateTime": (begin + timedelta(hours=1)).isoformat(), "timeZone": ZONE},
            "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=5"],
        }
        later = events.add(body, {"calendar": one})
        events.edit(visit_id(later, begin, 3), {"summary": "Late one"}, {"calendar": one})
        split = await go(acme)
        assert split.failed == 0, brief(split)
        assert split.by_op == {"create": 1, "update": 1}, brief(split)
        assert key in live(acme, other)
        assert await visits(acme, other) == await visits(acme, one)
        assert len(await visits(acme, other)) == 10
        again = await go(acme)
        assert (again.writes, again.held) == (0, 0), brief(again)


async def test_an_event_that_was_there_already_is_taken_up_and_nothing_waits(store, tmp_path):
    async with fleet(store, tmp_path, **SAMPLE) as acme:
        await acme.apply()
        events = acme.google.records["events"]
        for event in acme.events():
            book = {"calendar": event["calendarId"]}
            events.remove(event["id"], book)
            events.add({name: event[name] for name in ("summary", "start", "end")}, book)
        text = builtin()[RECIPE].replace(f'name = "{RECIPE}"', 'name = "anew"', 1)
        bound = {"from": "titan", "to": "google", "zone": ZONE}
        await store.install_recipe("anew", text, bound, {})
        first = await passes.apply(acme.hub, "anew", confirmed=1000)
        assert first.by_op == {"update": 3}, brief(first)
        assert {name for step in first.steps for name in step.fields} == {"location", "notes"}
        assert (first.held, first.failed) == (0, 0), brief(first)
        assert (await passes.apply(acme.hub, "anew")).writes == 0
