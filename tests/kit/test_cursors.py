from datetime import timedelta

import pytest

from support.paged import READING, answers, everything, ids, later, rows
from truckroll.kit.contract import Missing
from truckroll.kit.cursors import (
    Log,
    Snapshot,
    SyncToken,
    Tagged,
    TokenChain,
)
from truckroll.kit.errors import RetryLater, StartOver
from truckroll.kit.paging import Got, Keyset, NextToken, PageNumber

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


async def test_a_snapshot_tells_only_what_is_not_held_yet():
    class Held:
        async def versions(self, ids):
            held = {"1": "1", "2": "0", "4": "1"}
            return {id_: held[id_] for id_ in ids if id_ in held}

    fetch = answers({(None, "1"): Got((*rows(1, 2, 3), Missing("4")))})
    (page,) = await everything(Snapshot(PageNumber(9)).pages(READING, fetch, Held()))
    assert ids([page]) == ["2", "3", "4"]
    assert (page.unchanged, page.complete) == (("1",), True)


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
