"""What every connector's listing and direct read must do, on its real system."""

import pytest

from contract.bench import can
from contract.sentences import assert_sentence
from support.proxy import Cut, GzipBomb, Page, Status, Truncate, XmlBomb
from truckroll.kit.contract import Missing, Seen, Unreadable
from truckroll.kit.errors import GiveUp, RetryLater, SignIn, StartOver, VendorError


async def test_a_first_listing_shows_everything_and_says_that_it_is_complete(visit):
    ids = {visit.seed(f"e{n}", f"Visit {n}") for n in range(3)}
    read = await visit.list()
    assert set(read.seen) == ids
    assert read.complete
    assert [page.last for page in read.pages].count(True) == 1
    assert read.pages[-1].last
    assert bool(read.cursor) == visit.has_cursor


async def test_an_empty_scope_is_a_complete_listing_of_nothing(visit):
    read = await visit.list()
    assert (read.items, read.complete) == ([], True)


async def test_a_pass_without_change_shows_nothing_in_one_call(visit):
    visit.seed("e1", "Visit")
    first = await visit.list()
    before = visit.session.http.calls
    second = await visit.list(first.cursor)
    assert visit.session.http.calls - before == visit.quiet_calls
    assert second.items == []
    assert bool(second.cursor) == visit.has_cursor


async def test_what_people_do_comes_with_the_next_listing(visit):
    kept, edited = visit.seed("kept", "Kept"), visit.seed("edited", "Before")
    first = await visit.list()
    visit.edit(edited, "After")
    new = visit.seed("new", "New")
    second = await visit.list(first.cursor)
    assert second.seen[edited].fields["title"] == "After"
    assert second.seen[new].fields["title"] == "New"
    assert kept not in second.seen
    assert second.seen[edited].version != first.seen[edited].version
    assert second.cursor != first.cursor or not visit.has_cursor


async def test_a_deletion_is_a_tombstone_or_an_absence_from_a_complete_listing(visit):
    gone, kept = visit.seed("gone", "Gone"), visit.seed("kept", "Kept")
    first = await visit.list()
    visit.delete(gone)
    second = await visit.list(first.cursor)
    if not visit.tells_deletions:
        assert (second.complete, second.items) == (False, [])
        second = await visit.list()
        assert second.complete
    if second.complete:
        assert gone not in second.seen
        assert gone not in second.unchanged
        assert kept in second.unchanged | set(second.seen)
    else:
        assert second.missing == {gone}
    can(visit, "read")
    assert isinstance(await visit.resource.read(visit.session, visit.scope, gone), Missing)


async def test_a_later_pass_does_not_tell_old_news(visit):
    gone = visit.seed("gone", "Gone")
    first = await visit.list()
    visit.delete(gone)
    visit.seed("new", "New")
    second = await visit.list(first.cursor)
    third = await visit.list(second.cursor)
    assert third.items == []


async def test_a_direct_read_shows_what_the_listing_showed(visit):
    can(visit, "read")
    id_ = visit.seed("e1", "Visit")
    listed = (await visit.list()).seen[id_]
    read = await visit.resource.read(visit.session, visit.scope, id_)
    assert isinstance(read, Seen)
    assert read.fields == listed.fields
    assert read.version == listed.version


async def test_a_reading_from_the_beginning_names_what_is_held_already(visit):
    id_ = visit.seed("e1", "Visit")
    await visit.list()
    again = await visit.list()
    assert again.complete
    assert id_ in again.unchanged | set(again.seen)


@pytest.mark.fault("AT-09")
async def test_a_record_that_cannot_be_read_is_named_and_stops_nothing(visit):
    can(visit, "spoil")
    good = visit.seed("good", "Good")
    bad = visit.spoil()
    read = await visit.list()
    assert set(read.seen) == {good}
    assert set(read.unreadable) == {bad}
    assert_sentence(read.unreadable[bad].reason)
    assert bad in read.unreadable[bad].reason
    assert read.complete
    if visit.resource.read is not None:
        direct = await visit.resource.read(visit.session, visit.scope, bad)
        assert isinstance(direct, Unreadable)


@pytest.mark.fault("F12")
@pytest.mark.fault("AT-02")
async def test_a_cursor_that_is_not_known_any_more_starts_over_and_loses_nothing(visit):
    can(visit, "expired")
    id_ = visit.seed("e1", "Visit")
    first = await visit.list()
    with pytest.raises(StartOver) as caught:
        await visit.list(visit.expired(first.cursor))
    assert_sentence(caught.value.says)
    assert id_ in visit.held.items, "what is held stays until a complete reading speaks"
    again = await visit.list()
    assert again.complete
    assert id_ in again.unchanged | set(again.seen)


async def test_the_account_names_its_scopes(visit):
    scopes = await visit.connector.scopes(visit.session)
    mine = next(scope for scope in scopes if scope.id == visit.scope.id)
    assert mine.kind in visit.connector.resources
    assert mine.title == visit.scope.title
    assert mine.writable == bool(visit.resource.writes)


BAD_ANSWERS = {
    "sign in": (Status(401), SignIn),
    "busy": (Status(429, headers={"Retry-After": "4000"}), RetryLater),
    "failure": (Status(500), RetryLater),
    "page": (Page(), (RetryLater, GiveUp)),
    "cut off": (Truncate(), RetryLater),
    "broken off": (Cut(), RetryLater),
    "gzip bomb": (GzipBomb(), (RetryLater, GiveUp)),
    "xml bomb": (XmlBomb(), (RetryLater, GiveUp)),
    "outside entity": (XmlBomb(outside=True), (RetryLater, GiveUp)),
    "not allowed": (Status(403), (RetryLater, GiveUp)),
    "not there": (Status(404), (RetryLater, GiveUp)),
}


async def gather(visit, cursor, pages):
    async for page in visit.resource.listing(visit.session, visit.scope, cursor):
        pages.append(page)


@pytest.mark.fault("F13")
@pytest.mark.fault("F23")
@pytest.mark.parametrize("answer", BAD_ANSWERS)
async def test_a_bad_answer_says_nothing_about_records_and_names_what_to_do(visit, answer):
    can(visit, "proxy")
    visit.seed("e1", "Visit " + "x" * 2000)
    cursor = (await visit.list()).cursor
    visit.seed("e2", "Visit")
    act, errors = BAD_ANSWERS[answer]
    visit.proxy.rule(act)
    for start in (cursor, None):
        pages: list = []
        with pytest.raises(errors) as caught:
            await gather(visit, start, pages)
        assert isinstance(caught.value, VendorError)
        assert_sentence(caught.value.says)
        assert not any(page.last or page.complete or page.cursor for page in pages)
        assert not any(isinstance(item, Missing) for page in pages for item in page.items)


@pytest.mark.fault("F66")
@pytest.mark.parametrize("outside", [False, True])
async def test_harmful_xml_is_not_read(visit, outside):
    can(visit, "proxy")
    if visit.connector.system != "caldav":
        pytest.skip("cannot be asked by REPORT")
    visit.proxy.rule(XmlBomb(outside=outside), method="REPORT")
    with pytest.raises(GiveUp, match="not read"):
        await visit.list()


async def test_the_first_failure_is_asked_again_where_nothing_can_happen_twice(visit):
    can(visit, "proxy")
    id_ = visit.seed("e1", "Visit")
    visit.proxy.rule(Status(500), nth=1)
    assert set((await visit.list()).seen) == {id_}


async def test_several_are_read_as_each_by_itself_and_every_one_is_answered(visit):
    can(visit, "read", "read_many")
    ids = [visit.seed(f"many-{number}", f"Visit {number}") for number in range(3)]
    visit.delete(ids[1])
    asked = [*ids, "0"]
    found = await visit.resource.read_many(visit.session, visit.scope, asked)
    assert set(found) == set(asked)
    for id_ in asked:
        assert found[id_] == await visit.resource.read(visit.session, visit.scope, id_)
