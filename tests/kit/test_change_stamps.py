"""Cursors made of change stamps, which repeat, come late, and are told by wrong clocks."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.paged import NOW
from truckroll.kit.contract import Missing, Seen
from truckroll.kit.cursors import (
    Reading,
    UpdatedSince,
)
from truckroll.kit.errors import GiveUp, StartOver
from truckroll.kit.paging import Got, Keyset, NextToken, Offset, PageNumber


class Table:
    """A system that stamps rows by its own clock and lists them in pages."""

    def __init__(self, size=3, *, newest_first=False, paging="keyset"):
        self.size, self.newest_first, self.paging = size, newest_first, paging
        self.rows = {}  # id -> its versions: (stamp, number, visible at)
        self.now = NOW
        self.asked = []

    def write(self, key, stamp=None, visible=None):
        written = self.rows.setdefault(key, [])
        written.append((stamp or self.now, len(written) + 1, visible or self.now))

    def shown(self, key):
        """The newest version that is committed; the one before it shows until then."""
        visible = [row for row in self.rows[key] if row[2] <= self.now]
        return max(visible, key=lambda row: row[1], default=None)

    def listed(self, since):
        shown = [(key, self.shown(key)) for key in self.rows]
        found = [
            (row[0], key, row[1])
            for key, row in shown
            if row is not None and (since is None or row[0] >= since)
        ]
        return sorted(found, reverse=self.newest_first)

    async def fetch(self, since, at):
        self.asked.append((since, at))
        found = self.listed(since)
        total = len(found)
        if self.paging == "keyset":
            if at is not None:
                stamp, key = at.split("|")
                found = [
                    row for row in found if (row[0], row[1]) > (datetime.fromisoformat(stamp), key)
                ]
            page = found[: self.size]
        else:
            skip = int(at) if self.paging == "offset" else (int(at) - 1) * self.size
            page = found[skip : skip + self.size]
        return Got(
            tuple(Seen(key, {}, version=str(version)) for _, key, version in page),
            next=f"{page[-1][0].isoformat()}|{page[-1][1]}" if page else None,
            total=total if self.paging != "keyset" else None,
            stamps={key: stamp for stamp, key, _ in page},
        )

    @property
    def way(self):
        return {
            "keyset": Keyset(self.size),
            "offset": Offset(self.size, newest_first=self.newest_first),
            "number": PageNumber(self.size, newest_first=self.newest_first),
        }[self.paging]


class Hub:
    """Reads a table pass by pass, and holds what it was shown."""

    def __init__(self, table, overlap=timedelta(minutes=15), **more):
        self.table, self.cursor, self.held = table, None, {}
        self.kind = UpdatedSince(overlap, table.way, newest_first=table.newest_first, **more)

    async def read(self, between=lambda: None):
        reading = Reading("ServiceNow", now=lambda: self.table.now)
        new, same, last = [], [], None
        async for page in self.kind.pages(reading, self.table.fetch, self.cursor):
            for item in page.items:
                self.held[item.id] = item.version
                new.append(item.id)
            same += page.unchanged
            self.cursor = page.cursor or self.cursor
            last = page
            between()
        assert last.last
        return new, same, last

    def right(self):
        return self.held == {key: str(self.table.shown(key)[1]) for key in self.table.rows}


@pytest.mark.fault("F16")
@pytest.mark.fault("AT-14")
async def test_five_hundred_rows_with_one_stamp_are_all_read_and_not_for_ever():
    table = Table(size=50)
    for number in range(500):
        table.write(f"{number:03}")
    hub = Hub(table)
    new, _, last = await hub.read()
    assert (len(new), last.complete) == (500, True)
    table.write("500")  # at the very stamp of the cursor
    new, same, last = await hub.read()
    assert (new, len(same), last.complete) == (["500"], 500, False)
    for _ in range(3):
        assert (await hub.read())[0] == []
    table.now += timedelta(hours=2)
    table.write("x")
    await hub.read()
    new, same, _ = await hub.read()
    assert (new, same) == ([], ["x"])  # the window has moved on


@pytest.mark.fault("AT-14")
async def test_a_row_committed_late_with_an_older_stamp_is_read():
    table = Table()
    table.write("a")
    hub = Hub(table)
    await hub.read()
    table.write("late", stamp=NOW - timedelta(minutes=5), visible=NOW + timedelta(minutes=1))
    table.now += timedelta(minutes=2)
    table.write("b")
    assert sorted((await hub.read())[0]) == ["b", "late"]


@pytest.mark.fault("F16")
@pytest.mark.parametrize(
    "skew", [timedelta(minutes=7), timedelta(minutes=-7), timedelta(days=3650)]
)
async def test_a_clock_that_is_wrong_hides_nothing(skew):
    table = Table()
    hub = Hub(table)
    table.write("odd", stamp=NOW + skew)
    await hub.read()
    for minute in range(1, 5):
        table.now = NOW + timedelta(minutes=minute)
        table.write(str(minute))
        assert str(minute) in (await hub.read())[0]
    assert hub.right()


async def told(rows, cursor=None):
    """Read pages of (id, version or None where it is deleted, minute); return news and cursor."""

    async def fetch(_since, at):
        items = [Seen(id_, {}, version) if version else Missing(id_) for id_, version, _ in rows]
        stamps = {id_: NOW + timedelta(minutes=minute) for id_, _, minute in rows}
        first, rest = items[:1], items[1:]
        return Got(tuple(rest if at else first), next=None if at else "rest", stamps=stamps)

    kind = UpdatedSince(timedelta(minutes=15), NextToken())
    reading = Reading("ServiceNow", now=lambda: NOW + timedelta(hours=1))
    pages = [page async for page in kind.pages(reading, fetch, cursor)]
    listed_gone = {id_ for id_, version, _ in rows if version is None}
    listed_there = {id_ for id_, version, _ in rows if version}
    for page in pages:
        assert not set(page.unchanged) & (listed_gone - listed_there)
    news = [(one.id, getattr(one, "version", None)) for page in pages for one in page.items]
    return news, pages[-1].cursor


@pytest.mark.fault("F18")
async def test_a_deletion_that_is_listed_again_and_again_is_told_once():
    deleted = [("a", "1", 0), ("b", None, 1)]
    news, cursor = await told(deleted)
    assert news == [("a", "1"), ("b", None)]
    news, cursor = await told(deleted, cursor)
    assert news == []
    news, cursor = await told([("a", "1", 0), ("b", "2", 1)], cursor)
    assert news == [("b", "2")]
    assert (await told(deleted, cursor))[0] == [("b", None)]


async def test_a_record_that_comes_back_and_goes_while_it_is_read_is_gone():
    _, cursor = await told([("b", None, 1)])
    news, _ = await told([("b", "2", 1), ("b", None, 1)], cursor)
    assert news == [("b", "2"), ("b", None)]


async def test_the_mark_never_goes_back():
    table = Table()
    table.write("a")
    hub = Hub(table)
    await hub.read()
    await hub.read()
    del table.rows["a"]
    table.now += timedelta(days=1)
    await hub.read()
    await hub.read()
    assert table.asked[-1][0] == NOW - timedelta(minutes=15)


async def test_newest_first_ends_at_the_first_older_page():
    table = Table(size=10, newest_first=True, paging="number")
    for number in range(100):
        table.write(f"{number:03}", stamp=NOW - timedelta(days=number))
    hub = Hub(table)
    full, _, last = await hub.read()
    assert (len(full), last.complete) == (100, True)
    table.asked.clear()

    async def unfiltered(since, at, fetch=table.fetch):
        return await fetch(None, at)

    table.fetch = unfiltered
    table.now += timedelta(minutes=1)
    table.write("050")
    new, _, _ = await hub.read()
    assert new[0] == "050"
    assert len(table.asked) == 2


@pytest.mark.parametrize("rows_", [29, 30, 31, 95])
async def test_a_search_with_an_end_is_begun_anew(rows_):
    table = Table(size=10)
    for number in range(rows_):
        table.write(f"{number:03}", stamp=NOW - timedelta(minutes=1000 - number))
    hub = Hub(table, most_rows=30)
    new, _, last = await hub.read()
    assert (len(new), last.complete) == (rows_, True)
    assert (await hub.read())[0] == []


async def test_a_search_that_cannot_go_on_is_an_error():
    table = Table(size=10)
    for number in range(40):
        table.write(f"{number:03}")
    with pytest.raises(GiveUp, match="in one second"):
        await Hub(table, most_rows=30).read()


@pytest.mark.fault("F12")
async def test_an_expired_instant_starts_over():
    table = Table()
    table.write("a")
    hub = Hub(table, life=timedelta(days=30))
    await hub.read()
    table.now += timedelta(days=31)
    with pytest.raises(StartOver):
        await hub.read()


@pytest.mark.fault("F17")
async def test_a_row_that_slips_over_a_page_border_is_read_by_the_next_pass():
    table = Table(size=2, paging="number")
    for number in range(4):
        table.write(str(number), stamp=NOW - timedelta(days=9 - number))
    hub = Hub(table)

    def touch():
        if len(table.rows["0"]) == 1:
            table.write("0")

    new, _, last = await hub.read(touch)
    assert "2" not in new
    assert (last.complete, hub.cursor) == (False, None)
    assert "2" in (await hub.read())[0]
    assert hub.right()


STEPS = st.lists(
    st.tuples(
        st.sampled_from("abcdefghij"),
        st.integers(-210, 210),  # skew of the system's nodes, seconds
        st.integers(0, 240),  # commits late, seconds
        st.integers(0, 90),  # time passes, seconds
    ),
    max_size=40,
)


@pytest.mark.fault("F16")
@pytest.mark.fault("F17")
@pytest.mark.fault("AT-14")
@pytest.mark.parametrize(
    ("paging", "newest_first"),
    [("keyset", False), ("offset", False), ("number", False), ("offset", True), ("number", True)],
)
@settings(max_examples=60, deadline=None)
@given(before=STEPS, during=STEPS, size=st.integers(1, 4))
async def test_nothing_is_lost_whatever_changes_between_pages(
    paging, newest_first, before, during, size
):
    table = Table(size, newest_first=newest_first, paging=paging)

    def step(key, skew, late, passes):
        table.now += timedelta(seconds=passes)
        stamp = (table.now + timedelta(seconds=skew)).replace(second=0)
        table.write(key, stamp, table.now + timedelta(seconds=late))

    for one in before:
        step(*one)
    hub = Hub(table)
    edits = list(during)

    def change():
        if edits:
            step(*edits.pop())

    while edits:
        await hub.read(change)
        change()
    table.now += timedelta(minutes=5)
    await hub.read()
    assert hub.right()
    assert (await hub.read())[0] == []
