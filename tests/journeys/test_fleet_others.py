"""Other programmes and people at the same calendars: foreign mirrors, moved events, split series."""

from datetime import UTC, datetime, timedelta

import pytest

from support.company import brief
from support.fleet import ZONE, fleet
from truckroll.app import passes
from truckroll.recipes.compile import builtin

SAMPLE = {"technicians": 3, "appointments": 3, "customers": 3, "days": 3, "crew_share": 0}
CIRCLE = "calendar-to-calendar"
BEGIN = datetime(2031, 3, 3, 15, tzinfo=UTC)


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
