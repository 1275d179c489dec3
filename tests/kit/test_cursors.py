from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from truckroll.kit.contract import Missing, Seen
from truckroll.kit.cursors import (
    Log,
    Reading,
    Snapshot,
    SyncToken,
    Tagged,
    TokenChain,
    UpdatedSince,
)
from truckroll.kit.errors import GiveUp, RetryLater, StartOver
from truckroll.kit.paging import Got, Keyset, NextToken, Offset, PageNumber

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
READING = Reading("Google", now=lambda: NOW)


def rows(*ids, version="1"):
    return tuple(Seen(str(one), {}, version=version) for one in ids)


async def everything(pages):
    found = [page async for page in pages]
    assert [page.last for page in found] == [False] * (len(found) - 1) + [True]
    return found


def ids(pages):
    return [item.id for page in pages for item in page.items]


def answers(pages):
    async def fetch(*key):
        key = key if len(key) > 1 else key[0]
        fetch.asked.append(key)
        got = pages[key]
        if isinstance(got, Exception):
            raise got
        return got

    fetch.asked = []
    return fetch


def later(by):
    return Reading("Google", now=lambda: NOW + by)


# --- a token per read (Google, Graph) ---


async def test_a_sync_token_moves_on_the_last_page_only():
    fetch = answers(
        {
            (None, None): Got(rows(1), next="p2"),
            (None, "p2"): Got(rows(2), cursor="s1"),
            ("s1", None): Got(rows(2, version="2"), next="p2"),
            ("s1", "p2"): Got((Missing("1"),), cursor="s2"),
        }
    )
    first = await everything(SyncToken().pages(READING, fetch, None))
    assert [(page.cursor is None, page.complete) for page in first] == [
        (True, False),
        (False, True),
    ]
    second = await everything(SyncToken().pages(READING, fetch, first[-1].cursor))
    assert [page.complete for page in second] == [False, False]
    assert second[-1].cursor not in {None, first[-1].cursor}
    assert fetch.asked[2:] == [("s1", None), ("s1", "p2")]


@pytest.mark.fault("F21")
async def test_without_a_next_token_nothing_moves():
    fetch = answers({(None, None): Got(rows(1), next="p2"), (None, "p2"): Got(rows(2))})
    pages = await everything(SyncToken().pages(READING, fetch, None))
    assert ids(pages) == ["1", "2"]
    assert [page.cursor for page in pages] == [None, None]


@pytest.mark.fault("F21")
async def test_a_token_is_void_under_other_choices():
    fetch = answers({(None, None): Got((), cursor="s1"), ("s1", None): Got((), cursor="s2")})
    cursor = (await everything(SyncToken(under="90 days").pages(READING, fetch, None)))[-1].cursor
    await everything(SyncToken(under="90 days").pages(READING, fetch, cursor))
    with pytest.raises(StartOver, match="other choices"):
        await everything(SyncToken(under="30 days").pages(READING, fetch, cursor))
    assert len(fetch.asked) == 2


KINDS = [
    (SyncToken(life=timedelta(days=7)), (None, None), ("s1", None)),
    (TokenChain(life=timedelta(days=7)), None, "s1"),
]


@pytest.mark.fault("F12")
@pytest.mark.parametrize(("kind", "beginning", "going_on"), KINDS)
async def test_an_expired_token_starts_over(kind, beginning, going_on):
    gone = StartOver("gone")
    fetch = answers({beginning: Got(rows(1), cursor="s1"), going_on: gone})
    cursor = (await everything(kind.pages(READING, fetch, None)))[-1].cursor
    with pytest.raises(StartOver):
        await everything(kind.pages(READING, fetch, cursor))
    with pytest.raises(StartOver, match="older than"):
        await everything(kind.pages(later(timedelta(days=8)), fetch, cursor))
    assert len(fetch.asked) == 2  # one too old is not even sent
    for broken in ("", "{", '{"token": 5}', "plain"):
        with pytest.raises(StartOver, match="not readable"):
            await everything(kind.pages(READING, fetch, broken))


@pytest.mark.parametrize(("kind", "beginning", "going_on"), KINDS)
async def test_a_listing_from_the_beginning_cannot_start_over(kind, beginning, going_on):
    fetch = answers({beginning: StartOver("gone")})
    with pytest.raises(RetryLater, match="begun anew"):
        await everything(kind.pages(READING, fetch, None))


# --- a token per page (sync-collection, exports, journals) ---


async def test_a_chain_moves_with_every_page_of_changes():
    fetch = answers(
        {
            None: Got(rows(1), cursor="t1", more=True),
            "t1": Got(rows(2), cursor="t2"),
            "t2": Got(rows(3), cursor="t3", more=True),
            "t3": Got((), cursor="t4"),
            "t4": Got((), cursor="t4"),
        }
    )
    first = await everything(TokenChain().pages(READING, fetch, None))
    assert [(page.cursor is None, page.complete) for page in first] == [
        (True, False),
        (False, True),
    ]
    second = await everything(TokenChain().pages(READING, fetch, first[-1].cursor))
    assert all(page.cursor and not page.complete for page in second)
    again = await everything(TokenChain().pages(READING, fetch, second[0].cursor))
    assert fetch.asked[-1] == "t3"  # goes on in the middle after a crash
    assert len(await everything(TokenChain().pages(READING, fetch, again[-1].cursor))) == 1


async def test_more_without_a_new_token_is_a_circle():
    fetch = answers(
        {None: Got(rows(1), cursor="t1", more=True), "t1": Got((), cursor="t1", more=True)}
    )
    with pytest.raises(RetryLater, match="circle"):
        await everything(TokenChain().pages(READING, fetch, None))
    with pytest.raises(RetryLater, match="circle"):
        await everything(TokenChain().pages(READING, answers({None: Got((), more=True)}), None))


async def test_a_feed_that_begins_in_the_middle_proves_nothing():
    fetch = answers({None: Got(rows(1), cursor="t1")})
    pages = await everything(TokenChain(whole=False).pages(READING, fetch, None))
    assert not pages[-1].complete
    assert pages[-1].cursor


# --- a log beside a list ---


async def test_the_end_of_the_log_is_noted_before_the_list_is_read():
    order = []

    async def begin():
        order.append("begin")
        return "e1"

    async def listed(since, at):
        order.append(("list", since, at))
        return Got(rows(1, 2), next="p2") if at is None else Got(rows(3))

    changes = answers({"e1": Got((Missing("2"),), cursor="e2")})
    log = Log(NextToken(), TokenChain(life=timedelta(hours=24)))
    first = await everything(log.pages(READING, begin, listed, changes, None))
    assert order == ["begin", ("list", None, None), ("list", None, "p2")]
    assert (ids(first), first[-1].complete) == (["1", "2", "3"], True)
    assert first[0].cursor is None
    second = await everything(log.pages(READING, begin, listed, changes, first[-1].cursor))
    assert (ids(second), second[-1].complete, changes.asked) == (["2"], False, ["e1"])
    with pytest.raises(StartOver):
        await everything(
            log.pages(later(timedelta(days=2)), begin, listed, changes, first[-1].cursor)
        )


async def test_a_log_that_comes_newest_first_gives_its_cursor_on_the_first_page():
    changes = answers(
        {("a5", None): Got(rows(9), next="a8", cursor="a9"), ("a5", "a8"): Got(rows(7))}
    )
    log = Log(NextToken(), SyncToken(paging=Keyset(1)))
    changes2 = answers({("a5", None): Got(rows(9), next="a8", cursor="a9"), ("a5", "a8"): Got(())})

    async def begin():
        return "a5"

    async def listed(_since, _at):
        return Got(rows(1))

    first = await everything(log.pages(READING, begin, listed, changes, None))
    pages = await everything(log.pages(READING, begin, listed, changes2, first[-1].cursor))
    assert [page.cursor is None for page in pages] == [True, False]
    assert "a9" in pages[-1].cursor


# --- no cursor, and one tag for all ---


@pytest.mark.fault("F13")
@pytest.mark.fault("F17")
async def test_a_snapshot_is_complete_only_if_nothing_slipped():
    steady = answers({(None, "1"): Got(rows(1, 2)), (None, "2"): Got(rows(3))})
    slipped = answers({(None, "1"): Got(rows(1, 2)), (None, "2"): Got(rows(2))})
    for fetch, complete in ((steady, True), (slipped, False)):
        pages = await everything(Snapshot(PageNumber(2)).pages(READING, fetch))
        assert [page.complete for page in pages] == [False, complete]


async def test_an_unchanged_tag_costs_one_question():
    fetch = answers({(None, None): Got(rows(1))})
    tags = ["t1", "t1", "t2"]

    async def tag():
        return tags.pop(0)

    kind = Tagged(NextToken())
    first = await everything(kind.pages(READING, tag, fetch, None))
    second = await everything(kind.pages(READING, tag, fetch, first[-1].cursor))
    assert (second[0].items, second[0].complete, second[0].cursor) == ((), False, first[-1].cursor)
    third = await everything(kind.pages(READING, tag, fetch, second[-1].cursor))
    assert ids(third) == ["1"]
    assert len(fetch.asked) == 2


async def test_a_scope_without_tag_is_always_read():
    async def tag():
        return None

    fetch = answers({(None, None): Got(rows(1))})
    pages = await everything(Tagged(NextToken()).pages(READING, tag, fetch, None))
    assert (pages[-1].cursor, pages[-1].complete) == (None, True)


# --- change stamps ---


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
