from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truckroll.kit.contract import Seen
from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.kit.http import Limits
from truckroll.kit.paging import (
    Got,
    Keyset,
    NextToken,
    Offset,
    PageNumber,
    Slices,
    Walk,
    link_next,
    relay_next,
)


def rows(*ids, version="1"):
    return tuple(Seen(str(one), {}, version=version) for one in ids)


async def walked(paging, fetch, limits=None):
    walk = Walk(paging, fetch, "Jobber", limits or Limits())
    ids, lasts = [], []
    async for got, last in walk.pages():
        ids += [item.id for item in got.items]
        lasts.append(last)
    assert lasts == [False] * (len(lasts) - 1) + [True]
    return ids, walk


def answers(pages):
    """Gives pages by position, and an error for a position that was never offered."""

    async def fetch(at):
        fetch.asked.append(at)
        return pages[at]

    fetch.asked = []
    return fetch


async def test_next_tokens_are_followed_over_empty_pages():
    fetch = answers(
        {None: Got(rows(1), next="b"), "b": Got((), next="c"), "c": Got(rows(2), next="")}
    )
    assert (await walked(NextToken(), fetch))[0] == ["1", "2"]
    assert fetch.asked == [None, "b", "c"]


async def test_a_cursor_may_begin_at_a_word_of_the_systems_own():
    fetch = answers({"-1": Got(rows(1), next=None)})
    assert (await walked(NextToken(first="-1"), fetch))[0] == ["1"]


@pytest.mark.parametrize("pages", [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}])
async def test_a_circle_of_pages_is_an_error(pages):
    fetch = answers({at: Got(rows(at), next=to) for at, to in pages.items()})
    with pytest.raises(RetryLater, match="in a circle"):
        await walked(NextToken(), fetch)


async def test_pages_without_end_are_an_error():
    async def fetch(at):
        return Got((), next=str(int(at or 0) + 1))

    with pytest.raises(GiveUp, match="more than 50 pages"):
        await walked(NextToken(), fetch, Limits(pages=50))


@pytest.mark.parametrize(
    ("paging", "told", "asked"),
    [
        (PageNumber(2), {}, ["1", "2", "3"]),
        (PageNumber(2, start=0), {}, ["0", "1", "2"]),
        (PageNumber(2), {"total": 5}, ["1", "2", "3"]),
        (PageNumber(2), {"total_pages": 3}, ["1", "2", "3"]),
        (Offset(2), {}, ["0", "2", "4"]),
        (Offset(2), {"total": 5}, ["0", "2", "4"]),
    ],
)
async def test_counted_pages_end_by_word_or_by_a_short_page(paging, told, asked):
    every = [1, 2, 3, 4, 5]

    async def fetch(at):
        fetch.asked.append(at)
        skip = int(at) if isinstance(paging, Offset) else (int(at) - paging.start) * 2
        return Got(rows(*every[skip : skip + 2]), **told)

    fetch.asked = []
    assert (await walked(paging, fetch))[0] == ["1", "2", "3", "4", "5"]
    assert fetch.asked == asked


async def test_a_last_page_that_is_repeated_beyond_the_end_is_not_asked_for():
    fetch = answers({"1": Got(rows(1, 2), total_pages=1)})
    assert (await walked(PageNumber(2), fetch))[0] == ["1", "2"]


@pytest.mark.parametrize("paging", [PageNumber(2), Offset(2), Keyset(2)])
async def test_the_systems_word_on_more_is_believed(paging):
    fetch = answers({paging.first: Got(rows(1, 2), next="x", more=False)})
    assert (await walked(paging, fetch))[0] == ["1", "2"]


async def test_rights_may_thin_pages_out_before_the_end():
    fetch = answers({"0": Got(rows(1), total=5), "2": Got((), total=5), "4": Got(rows(5), total=5)})
    assert (await walked(Offset(2), fetch))[0] == ["1", "5"]


async def test_a_key_goes_on_after_the_last_row():
    fetch = answers({None: Got(rows(1, 2), next="2"), "2": Got(rows(3), next="3")})
    assert (await walked(Keyset(2), fetch))[0] == ["1", "2", "3"]


@pytest.mark.fault("F17")
@pytest.mark.parametrize(
    ("second", "shifted"),
    [
        (Got(rows(3), total=3), False),
        (Got(rows(2, 3), total=3), True),  # one moved up and came twice
        (Got(rows(4), total=2), True),  # one was deleted, and another slipped over the border
    ],
)
@pytest.mark.parametrize("paging", [PageNumber(2), Offset(2)])
async def test_rows_that_slip_over_a_page_border_are_noticed(paging, second, shifted):
    first = Got(rows(1, 2), total=3)
    pages = (
        {"1": first, "2": second} if isinstance(paging, PageNumber) else {"0": first, "2": second}
    )
    assert (await walked(paging, answers(pages)))[1].shifted is shifted


@pytest.mark.fault("F17")
@pytest.mark.parametrize(
    ("second", "shifted"),
    [
        (Got(rows(2), total=3), False),  # pushed down by a new one
        (Got(rows(2, version="2"), total=3), True),  # moved down itself: others moved up
        (Got(rows(4), total=2), True),
    ],
)
async def test_newest_first_only_what_moves_up_can_slip(second, shifted):
    fetch = answers({"1": Got(rows(1, 2), total=3), "2": second})
    assert (await walked(PageNumber(2, newest_first=True), fetch))[1].shifted is shifted


START = datetime(2026, 1, 1, tzinfo=UTC)


@given(
    st.lists(st.integers(0, 100 * 24 * 60), max_size=60, unique=True),
    st.integers(2, 10),  # with one, each slice that shows anything is full
    st.integers(1, 31),
)
async def test_slices_of_time_show_every_row(minutes, cap, days):
    every = [(START + timedelta(minutes=one), one) for one in minutes]

    async def fetch(at):
        start, end = (datetime.fromisoformat(part) for part in at.split("/"))
        assert end - start <= timedelta(days=days)
        return Got(rows(*[one for when, one in every if start <= when < end][:cap]))

    paging = Slices(
        START, START + timedelta(days=101), timedelta(days=days), cap, timedelta(seconds=1)
    )
    ids, _ = await walked(paging, fetch)
    assert set(ids) == {str(one) for one in minutes}


async def test_too_many_rows_in_the_narrowest_slice_are_an_error():
    async def fetch(_at):
        return Got(rows(*range(100)))

    paging = Slices(START, START + timedelta(days=3), timedelta(days=1), 100)
    with pytest.raises(GiveUp, match="More than 100 records"):
        await walked(paging, fetch)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            '<https://x.example/a?p=2>; rel="next", <https://x.example/a?p=9>; rel="last"',
            "https://x.example/a?p=2",
        ),
        (
            '<https://x.example/a?p=1>;rel="prev",<https://x.example/a;b,c?p=3>;rel=next',
            "https://x.example/a;b,c?p=3",
        ),
        ('<https://x.example/>; title="rel=next"; rel="last next"', "https://x.example/"),
        ('<https://x.example/>; rel="prev"', None),
        ("", None),
        ("rubbish", None),
    ],
)
def test_the_next_link_of_a_header_is_found(header, found):
    assert link_next(header) == found


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"hasNextPage": True, "endCursor": "c"}, "c"),
        ({"hasNextPage": False, "endCursor": "c"}, None),
        ({"hasNextPage": True, "endCursor": None}, None),
        ({}, None),
    ],
)
def test_a_graphql_connection_says_where_it_goes_on(info, found):
    assert relay_next(info) == found
