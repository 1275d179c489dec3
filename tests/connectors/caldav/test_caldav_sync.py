"""Listings of calendars: how many requests, what counts as gone, what faults do."""

import json
from datetime import date

import pytest

from connectors.caldav.fakes import bare, multi, response, session
from connectors.caldav.world import EVENT
from contract.sentences import assert_sentence
from support.proxy import Drop, GzipBomb, NoEtag, Rewrite, Stale, Status
from truckroll.connectors.caldav.sync import listing
from truckroll.kit.contract import Draft, Missing, Scope, Seen
from truckroll.kit.errors import GiveUp, RetryLater, StartOver
from truckroll.model.time import AllDay

BULK = 1000
WITH_CONTENT = b"<D:prop><D:getetag /><C:calendar-data /></D:prop></D:sync-collection>"
SCOPE = Scope(id="/cal/", title="Field", kind="appointment")
WHEN = {"when": AllDay(date(2026, 11, 30), date(2026, 12, 1))}
URL = "https://caldav.icloud.com/cal/"


def methods(visit):
    return [call.method for call in visit.proxy.calls]


def event(uid, title="Visit"):
    return EVENT.format(uid=uid, title=title)


def many(count, start=0):
    """Return one VCALENDAR with so many events; Radicale takes it as a whole calendar."""
    head, rest = event("x").split("BEGIN:VEVENT", 1)
    body = "BEGIN:VEVENT" + rest.split("END:VCALENDAR")[0]
    events = (body.replace("UID:x", f"UID:bulk-{n}") for n in range(start, start + count))
    return head + "".join(events) + "END:VCALENDAR\n"


async def test_a_thousand_events_come_in_one_request(at_radicale):
    visit = at_radicale
    path = visit.scope.id
    headers = {"Content-Type": "text/calendar; charset=utf-8"}
    status, _, _ = visit.server.request("PUT", path, many(BULK).encode(), headers)
    assert status == 201
    first = await visit.list()
    assert methods(visit) == ["REPORT"]
    assert (len(first.seen), first.complete) == (BULK, True)
    assert [page.cursor is None for page in first.pages] == [True, False], "durable as a whole"
    visit.proxy.clear()
    assert (await visit.list(first.cursor)).items == []
    assert methods(visit) == ["REPORT"]


async def test_changes_cost_one_request_and_one_more_only_where_the_server_needs_it(anywhere):
    visit = anywhere
    ids = [visit.seed(f"e{n}", f"Visit {n}") for n in range(6)]
    first = await visit.list()
    for id_ in ids[:4]:
        visit.edit(id_, "Moved")
    visit.delete(ids[5])
    visit.proxy.clear()
    second = await visit.list(first.cursor)
    assert set(second.seen) == set(ids[:4])
    assert second.missing == {ids[5]}
    needed = 1 if visit.server.name in {"Radicale", "Cyrus"} else 2
    assert methods(visit) == ["REPORT"] * needed


async def test_a_server_that_gives_no_content_with_changes_is_not_asked_for_it_twice(at_xandikos):
    visit = at_xandikos
    visit.seed("e1", "Visit")
    first = await visit.list()
    assert json.loads(first.cursor)["inline"] is False
    visit.proxy.clear()
    await visit.list(first.cursor)
    assert b"calendar-data" not in visit.proxy.calls[0].body


@pytest.mark.parametrize("answer", [Status(500), GzipBomb(), Status(400)])
async def test_a_server_that_cannot_give_everything_at_once_is_asked_in_parts(at_radicale, answer):
    visit = at_radicale
    ids = {visit.seed(f"e{n}", f"Visit {n}") for n in range(3)}
    visit.proxy.rule(answer, body=WITH_CONTENT)
    read = await visit.list()
    assert (set(read.seen), read.complete) == (ids, True)


async def test_many_changes_are_fetched_in_chunks(at_xandikos):
    visit = at_xandikos
    for n in range(53):
        visit.seed(f"e{n}", f"Visit {n}")
    read = await visit.list()
    assert len(read.seen) == 53
    assert [call.body.count(b"href>") // 2 for call in visit.proxy.calls] == [0, 50, 3]


async def test_what_is_held_is_not_fetched_again(at_xandikos):
    visit = at_xandikos
    for n in range(3):
        visit.seed(f"e{n}", f"Visit {n}")
    await visit.list()
    visit.proxy.clear()
    again = await visit.list()
    assert (again.unchanged, again.items) == ({"e0.ics", "e1.ics", "e2.ics"}, [])
    assert methods(visit) == ["REPORT"]


@pytest.mark.fault("F33")
async def test_a_short_answer_is_asked_for_once_more_and_no_more(at_xandikos):
    visit = at_xandikos
    for n in range(3):
        visit.seed(f"e{n}", f"Visit {n}")
    visit.proxy.rule(Drop(2), body=b"multiget", nth=1)
    read = await visit.list()
    assert len(read.seen) == 3
    assert visit.proxy.calls[-1].body.count(b"<D:href>") == 2


@pytest.mark.fault("F33")
@pytest.mark.fault("F13")
async def test_an_answer_that_stays_short_deletes_nothing(at_xandikos):
    visit = at_xandikos
    cursor = (await visit.list()).cursor
    for n in range(7):
        visit.seed(f"e{n}", f"Visit {n}")
    visit.proxy.rule(Drop(6), body=b"multiget")
    pages = []
    with pytest.raises(RetryLater, match=r'left out 6 of 7 .* the first "e') as caught:
        await gather(visit, cursor, pages)
    assert pages == []
    assert_sentence(caught.value.says)


async def test_the_few_that_multiget_cannot_find_are_read_one_by_one(at_xandikos):
    visit = at_xandikos
    ids = {visit.seed(f"e{n}", f"Visit {n}") for n in range(3)}
    visit.proxy.rule(Drop(1), body=b"multiget")
    assert set((await visit.list()).seen) == ids
    assert methods(visit)[-1] == "GET"


async def gather(visit, cursor, pages):
    async for page in visit.resource.listing(visit.session, visit.scope, cursor):
        pages.append(page)


@pytest.mark.fault("F13")
async def test_a_later_chunk_that_fails_leaves_the_cursor_where_it_was(at_xandikos):
    visit = at_xandikos
    cursor = (await visit.list()).cursor
    for n in range(51):
        visit.seed(f"e{n}", f"Visit {n}")
    visit.proxy.rule(Status(400), body=b"multiget", nth=2)
    pages = []
    with pytest.raises(RetryLater):
        await gather(visit, cursor, pages)
    assert pages == []


NO_SYNC = {
    "unknown report": Status(
        403,
        '<D:error xmlns:D="DAV:"><D:supported-report/></D:error>',
        "application/xml",
    ),
    "bad request": Status(400),
    "not implemented": Status(501),
}


@pytest.mark.parametrize("how", NO_SYNC)
async def test_a_server_without_sync_collection_is_read_by_its_ctag(at_radicale, how):
    visit = at_radicale
    visit.proxy.rule(NO_SYNC[how], body=b"sync-collection")
    ids = {visit.seed(f"e{n}", f"Visit {n}") for n in range(3)}
    first = await visit.list()
    assert (set(first.seen), first.complete) == (ids, True)

    visit.proxy.calls.clear()
    assert (await visit.list(first.cursor)).items == []
    assert methods(visit) == ["PROPFIND"], "an equal ctag is one request"

    visit.edit("e0.ics", "Moved")
    visit.delete("e2.ics")
    visit.proxy.calls.clear()
    third = await visit.list(first.cursor)
    assert {id_: seen.fields["title"] for id_, seen in third.seen.items()} == {"e0.ics": "Moved"}
    assert (third.unchanged, third.complete) == ({"e1.ics"}, True), "absence may speak"
    assert methods(visit) == ["PROPFIND", "REPORT", "REPORT"]


@pytest.mark.fault("F22")
async def test_without_any_etag_the_content_is_the_version(anywhere):
    visit = anywhere
    visit.proxy.rule(NoEtag())
    visit.seed("e1", "Visit")
    first = await visit.list()
    version = first.seen["e1.ics"].version
    assert version.startswith("sha256:")
    again = await visit.list()
    assert (again.unchanged, again.items) == ({"e1.ics"}, []) or again.seen[
        "e1.ics"
    ].version == version
    visit.edit("e1.ics", "Moved")
    third = await visit.list(first.cursor)
    assert third.seen["e1.ics"].fields["title"] == "Moved"
    assert third.seen["e1.ics"].version != version


@pytest.mark.fault("F34")
async def test_a_list_that_lags_behind_our_write_makes_no_second_record(anywhere):
    visit = anywhere
    cursor = (await visit.list()).cursor
    visit.proxy.rule(Stale(), method="REPORT")
    assert (await visit.list(cursor)).items == []
    draft = Draft(
        "feed01-7-0.ics", f"feed01-7-0{visit.scope.title}", "feed01", {"title": "New"} | WHEN
    )
    made = await visit.resource.create(visit.session, visit.scope, draft)
    late = await visit.list(cursor)
    assert (late.items, late.complete) == ([], False), "a list of changes claims no absence"
    again = await visit.resource.create(visit.session, visit.scope, draft)
    assert again.id == made.id
    assert visit.count() == 1


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    "cursor",
    ["", "not json", '{"at": "https://elsewhere.example/cal/", "kind": "sync", "token": "t"}'],
)
async def test_a_cursor_of_another_server_starts_over(cursor):
    with pytest.raises(StartOver):
        await collect(session({}), cursor)


async def collect(talk, cursor=None):
    return [page async for page in listing(talk, SCOPE, cursor)]


def cursor_for(token="t0"):
    return json.dumps({"at": URL, "kind": "sync", "token": token})


@pytest.mark.fault("F12")
@pytest.mark.parametrize("status", [403, 409, 410, 412])
async def test_every_spelling_of_an_expired_token_starts_over(status):
    body = '<D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>' if status == 403 else ""
    answers = {("REPORT", URL): (status, {"content-type": "application/xml"}, body)}
    with pytest.raises(StartOver) as caught:
        await collect(session(answers), cursor_for())
    assert_sentence(caught.value.says)


def shown(name, uid=None, etag='"1"'):
    text = event(uid or name)
    return response(
        f"/cal/{name}.ics",
        f"<D:getetag>{etag}</D:getetag><C:calendar-data>{text}</C:calendar-data>",
    )


async def test_a_truncated_answer_goes_on_with_its_token():
    answers = {
        ("REPORT", URL): [
            multi(shown("a"), bare("/cal/", 507), token="t1"),
            multi(shown("b"), bare("/cal/", 507), token="t2"),
            multi(bare("/cal/c.ics", 404), token="t3"),
        ]
    }
    talk = session(answers)
    pages = await collect(talk, cursor_for())
    assert [json.loads(page.cursor)["token"] for page in pages] == ["t1", "t2", "t3"]
    assert [page.last for page in pages] == [False, False, True]
    assert not any(page.complete for page in pages)
    assert [item.id for page in pages for item in page.items] == ["a.ics", "b.ics", "c.ics"]
    assert [b"t1" in body for *_, body in talk.http.asked] == [False, True, False]


async def test_a_truncated_first_listing_is_durable_only_as_a_whole():
    answers = {
        ("REPORT", URL): [
            multi(shown("a"), bare("/cal/", 507), token="t1"),
            multi(shown("b"), token="t2"),
        ]
    }
    pages = await collect(session(answers))
    assert [page.cursor is None for page in pages] == [True, False]
    assert [(page.last, page.complete) for page in pages] == [(False, False), (True, True)]


async def test_a_truncation_that_never_moves_on_is_no_endless_loop():
    answers = {("REPORT", URL): [multi(bare("/cal/", 507), token="t0")]}
    with pytest.raises(RetryLater):
        await collect(session(answers), cursor_for())


async def test_a_list_without_a_token_is_not_taken():
    with pytest.raises(RetryLater, match="without saying where it ends"):
        await collect(session({("REPORT", URL): multi(shown("a"))}), cursor_for())


async def test_the_collection_and_folders_in_it_are_no_records():
    # iCloud lists the collection itself, and hrefs with another host than the calendar's.
    answers = {
        ("REPORT", URL): multi(
            response("/cal/", "<D:getetag>x</D:getetag>"),
            response("/cal/sub/", "<D:getetag>y</D:getetag>"),
            shown("a").replace("/cal/a", "https://p62-caldav.icloud.com:443/cal/a"),
            token="t1",
        )
    }
    (page,) = await collect(session(answers))
    assert [item.id for item in page.items] == ["a.ics"]


async def test_one_object_that_is_refused_does_not_stop_the_others():
    answers = {
        ("REPORT", URL): [
            multi(
                response("/cal/a.ics", '<D:getetag>"1"</D:getetag>', lacks="<C:calendar-data/>"),
                response("/cal/b.ics", '<D:getetag>"1"</D:getetag>', lacks="<C:calendar-data/>"),
                response("/cal/c.ics", '<D:getetag>"1"</D:getetag>', lacks="<C:calendar-data/>"),
                token="t1",
            ),
            multi(bare("/cal/a.ics", 403), bare("/cal/b.ics", 404), shown("c")),
        ]
    }
    (page,) = await collect(session(answers))
    kinds = [type(item).__name__ for item in page.items]
    assert kinds == ["Unreadable", "Missing", "Seen"]
    assert_sentence(page.items[0].reason)
    assert page.complete


@pytest.mark.fault("AT-09")
async def test_tasks_are_no_visits_and_two_events_in_one_object_are_named():
    task = EVENT.replace("VEVENT", "VTODO").format(uid="t", title="Buy filters")
    double = event("one").replace("END:VCALENDAR\n", event("two").split("VERSION:2.0\n")[1])
    answers = {
        ("REPORT", URL): multi(
            shown("task").replace(event("task"), task),
            shown("double").replace(event("double"), double),
            shown("good"),
            token="t1",
        )
    }
    (page,) = await collect(session(answers))
    task_item, double_item, good = page.items
    assert isinstance(task_item, Missing)
    assert "one" in double_item.reason
    assert "two" in double_item.reason
    assert_sentence(double_item.reason)
    assert isinstance(good, Seen)


async def test_a_calendar_that_is_gone_gives_up_and_says_what_to_do(at_radicale):
    visit = at_radicale
    visit.seed("e1", "Visit")
    cursor = (await visit.list()).cursor
    visit.server.request("DELETE", visit.scope.id)
    with pytest.raises(GiveUp, match="not at field any more") as caught:
        await visit.list(cursor)
    assert_sentence(caught.value.says)


async def test_a_server_that_was_restarted_goes_on_from_the_cursor(at_radicale):
    visit = at_radicale
    visit.seed("e1", "Visit")
    cursor = (await visit.list()).cursor
    visit.server.kill()
    with pytest.raises(RetryLater):
        await visit.list(cursor)
    visit.server.start()
    visit.seed("e2", "Visit")
    assert set((await visit.list(cursor)).seen) == {"e2.ics"}


async def test_a_moved_account_is_found_again_on_its_new_host():
    old, new = (
        "https://p01-caldav.icloud.com/7/calendars/w/",
        "https://p62-caldav.icloud.com/7/calendars/w/",
    )
    home = "https://p62-caldav.icloud.com:443/7/calendars/"
    calendar = "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype><D:displayname>W</D:displayname>"
    answers = {
        ("REPORT", old): (404, {}, ""),
        ("PROPFIND", "https://caldav.icloud.com/"): multi(
            response(
                "/",
                "<D:current-user-principal><D:href>/7/principal/</D:href></D:current-user-principal>",
            )
        ),
        ("PROPFIND", "https://caldav.icloud.com/7/principal/"): multi(
            response("/", f"<C:calendar-home-set><D:href>{home}</D:href></C:calendar-home-set>")
        ),
        ("PROPFIND", home.replace(":443", "")): multi(response("/7/calendars/w/", calendar)),
        ("REPORT", new): multi(shown("a").replace("/cal/", "/7/calendars/w/"), token="t1"),
    }
    scope = Scope(id=old, title="W", kind="appointment")
    pages = [page async for page in listing(session(answers), scope, None)]
    assert [item.id for page in pages for item in page.items] == ["a.ics"]


async def test_an_etag_that_only_turned_weak_is_the_same_version(at_xandikos):
    visit = at_xandikos
    visit.seed("e1", "Visit")
    await visit.list()
    visit.proxy.rule(Rewrite(r'getetag>"', 'getetag>W/"'), method="REPORT")
    again = await visit.list()
    assert (again.unchanged, again.items) == ({"e1.ics"}, [])
