"""Writes to calendars: conditions, ETags, identity, and what a server says no to."""

import re
from datetime import datetime
from itertools import count

import pytest

from connectors.caldav.fakes import session
from connectors.caldav.world import EVENT
from contract.sentences import assert_sentence
from support.proxy import NoEtag, Rewrite, Status
from truckroll.connectors.caldav import CALDAV, wire
from truckroll.kit.contract import Change, Draft, Missing, Removal, Scope, Seen, Unreadable
from truckroll.kit.errors import GiveUp, Gone, HoldRecord, Replan, RetryLater
from truckroll.kit.http import open_client
from truckroll.model.records import Address
from truckroll.model.time import Timed

APPOINTMENTS = CALDAV.resource("appointment")
WHEN = Timed(
    start=datetime.fromisoformat("2026-11-30T09:00"), zone="America/Los_Angeles", seconds=5400
)
FIELDS = {
    "title": "AC not cooling",
    "when": WHEN,
    "location": Address(line1="12 Elm St", city="LA"),
}
_numbers = count(1)


def draft(**more):
    key = f"{next(_numbers):016x}-4-0"
    return Draft(f"{key}.ics", key, key.split("-", maxsplit=1)[0], FIELDS | more)


async def make(visit, **more):
    reply = await APPOINTMENTS.create(visit.session, visit.scope, draft(**more))
    seen = reply.seen or await APPOINTMENTS.read(visit.session, visit.scope, reply.id)
    assert isinstance(seen, Seen)
    return seen


def change(seen, **fields):
    return Change(seen.id, seen.version, fields, {**seen.fields, **fields}, seen.raw)


async def test_a_create_says_if_none_match_and_one_request_is_enough(anywhere):
    await make(anywhere)
    (call,) = anywhere.proxy.calls
    assert (call.method, call.headers["if-none-match"]) == ("PUT", "*")
    assert "if-match" not in call.headers
    assert call.headers["content-type"] == "text/calendar; charset=utf-8"


@pytest.mark.fault("F26")
async def test_if_match_carries_the_merged_version_and_never_a_fresh_one(anywhere):
    visit = anywhere
    merged = await make(visit)
    visit.edit(merged.id, "By hand")
    fresh = await APPOINTMENTS.read(visit.session, visit.scope, merged.id)
    assert fresh.version != merged.version
    visit.proxy.clear()
    with pytest.raises(Replan):
        await APPOINTMENTS.update(visit.session, visit.scope, change(merged, title="Ours"))
    with pytest.raises(Replan):
        await APPOINTMENTS.remove(visit.session, visit.scope, Removal(merged.id, merged.version))
    assert [call.headers["if-match"] for call in visit.proxy.calls] == [merged.version] * 2


async def test_no_write_ever_says_if_match_star(anywhere):
    visit = anywhere
    seen = await make(visit)
    for version in (seen.version, None, 'W/"weak"', "sha256:00"):
        old = Change(seen.id, version, {"title": "x"}, seen.fields, seen.raw)
        try:
            reply = await APPOINTMENTS.update(visit.session, visit.scope, old)
        except Replan:
            continue
        seen = reply.seen or await APPOINTMENTS.read(visit.session, visit.scope, seen.id)
    assert all(call.headers.get("if-match") != "*" for call in visit.proxy.calls)


@pytest.mark.fault("F22")
async def test_an_answer_without_etag_asks_for_a_read_back(anywhere):
    visit = anywhere
    visit.proxy.rule(NoEtag(), method="PUT")
    reply = await APPOINTMENTS.create(visit.session, visit.scope, draft())
    assert reply.seen is None
    back = await APPOINTMENTS.read(visit.session, visit.scope, reply.id)
    assert back.fields["title"] == "AC not cooling"


async def test_an_answer_with_a_weak_etag_asks_for_a_read_back(anywhere):
    visit = anywhere
    visit.proxy.rule(Status(201, headers={"ETag": 'W/"x"'}), method="PUT")
    reply = await APPOINTMENTS.create(visit.session, visit.scope, draft())
    assert reply.seen is None


@pytest.mark.fault("F22")
async def test_without_etags_an_edit_by_hand_is_still_not_overwritten(anywhere):
    visit = anywhere
    visit.proxy.rule(NoEtag())
    listed = visit.seed("e1", "Before")
    seen = (await visit.list()).seen[listed]
    await APPOINTMENTS.update(visit.session, visit.scope, change(seen, title="Ours"))
    assert visit.back(listed)["title"] == "Ours"
    with pytest.raises(Replan) as caught:
        await APPOINTMENTS.update(visit.session, visit.scope, change(seen, title="Ours again"))
    assert_sentence(caught.value.says)
    with pytest.raises(Replan):
        await APPOINTMENTS.remove(
            visit.session, visit.scope, Removal(seen.id, seen.version, seen.raw)
        )
    assert visit.back(listed)["title"] == "Ours"
    now = await APPOINTMENTS.read(visit.session, visit.scope, listed)
    await APPOINTMENTS.remove(visit.session, visit.scope, Removal(now.id, now.version, now.raw))
    assert visit.back(listed) is None
    await APPOINTMENTS.remove(visit.session, visit.scope, Removal(now.id, now.version, now.raw))


async def test_a_weak_version_is_no_condition_but_the_same_content_is(anywhere):
    visit = anywhere
    seen = await make(visit)
    weak = Change(seen.id, f"W/{seen.version}", {"title": "x"}, seen.fields, seen.raw)
    visit.proxy.clear()
    await APPOINTMENTS.update(visit.session, visit.scope, weak)
    assert [call.method for call in visit.proxy.calls] == ["GET", "PUT"]
    assert visit.proxy.calls[1].headers["if-match"] == seen.version


async def test_a_second_event_with_the_same_uid_is_held_by_every_server(anywhere):
    visit = anywhere
    first = draft()
    await APPOINTMENTS.create(visit.session, visit.scope, first)
    other = Draft("other.ics", first.key, first.mark, first.fields)
    with pytest.raises(HoldRecord, match="same UID") as caught:
        await APPOINTMENTS.create(visit.session, visit.scope, other)
    assert_sentence(caught.value.says)
    assert '"AC not cooling"' in caught.value.says
    assert visit.count() == 1


async def test_a_create_in_a_calendar_that_is_gone_is_refused(anywhere):
    visit = anywhere
    visit.server.request("DELETE", visit.scope.id)
    # Cyrus says 403 without a reason, which a single record may deserve too.
    with pytest.raises((GiveUp, HoldRecord)) as caught:
        await APPOINTMENTS.create(visit.session, visit.scope, draft())
    assert_sentence(caught.value.says)


async def test_exists_but_not_shown_is_no_second_create(at_radicale):
    visit = at_radicale
    visit.proxy.rule(Status(412), method="PUT")
    with pytest.raises(RetryLater) as caught:
        await APPOINTMENTS.create(visit.session, visit.scope, draft())
    assert_sentence(caught.value.says)


PRECONDITIONS = {
    "no-uid-conflict": (HoldRecord, "same UID"),
    "max-resource-size": (HoldRecord, "Shorten"),
    "valid-calendar-data": (HoldRecord, "not valid"),
    "supported-calendar-component": (HoldRecord, "takes no events"),
    "need-privileges": (GiveUp, "right to write"),
    "quota-not-exceeded": (RetryLater, "no room"),
}


@pytest.mark.parametrize("status", [403, 409, 412])
@pytest.mark.parametrize("name", PRECONDITIONS)
async def test_the_precondition_decides_before_the_status(at_radicale, name, status):
    visit = at_radicale
    seen = await make(visit)
    body = f'<D:error xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><C:{name}/></D:error>'
    visit.proxy.rule(Status(status, body, "application/xml"), method="PUT")
    error, words = PRECONDITIONS[name]
    with pytest.raises(error, match=words) as caught:
        await APPOINTMENTS.update(visit.session, visit.scope, change(seen, title="x"))
    assert_sentence(caught.value.says)


async def test_html_of_a_refusal_is_shown_as_text(at_radicale):
    visit = at_radicale
    page = (
        "<html><head><title>Oops</title><style>b{}</style></head><body><script>alert(1)</script>"
        "<p>Your plan &amp; quota <b>forbid</b> it</p></body></html>"
    )
    visit.proxy.rule(Status(403, page), method="PUT")
    with pytest.raises(HoldRecord) as caught:
        await APPOINTMENTS.create(visit.session, visit.scope, draft())
    assert 'it says: "Your plan & quota forbid it"' in caught.value.says
    assert_sentence(caught.value.says)


ATTENDED = (
    "ORGANIZER:mailto:{me}\nATTENDEE;PARTSTAT=ACCEPTED{more}:mailto:dee@example.com\n"
    "ATTACH:https://files.example/plan.pdf\nEND:VEVENT"
)


async def attended(visit, more=""):
    """Return an event to which the account's owner invited somebody."""
    lines = ATTENDED.format(me=visit.session.settings["user"], more=more)
    text = EVENT.format(uid=f"phone-{visit.scope.title}", title="Before")
    visit.server.put(visit.more, "phone.ics", text.replace("END:VEVENT", lines))
    return (await visit.list()).seen["phone.ics"]


def text_of(visit, id_):
    return re.sub(r"\r?\n ", "", visit.server.get(visit.more, id_)[0])


async def test_what_phones_and_people_added_stays(anywhere):
    visit = anywhere
    seen = await attended(visit, ";SCHEDULE-AGENT=CLIENT")
    await APPOINTMENTS.update(visit.session, visit.scope, change(seen, title="After"))
    after = text_of(visit, seen.id)
    for kept in ("dee@example.com", "PARTSTAT=ACCEPTED", "plan.pdf", "teal", "-PT30M", "Gate code"):
        assert kept in after
    assert "SUMMARY:After" in after


async def test_a_server_that_tells_attendees_is_not_made_to(at_xandikos):
    visit = at_xandikos
    seen = await attended(visit)
    removal = Removal(seen.id, seen.version, seen.raw)
    for write in (
        lambda: APPOINTMENTS.update(visit.session, visit.scope, change(seen, title="After")),
        lambda: APPOINTMENTS.cancel(visit.session, visit.scope, change(seen)),
        lambda: APPOINTMENTS.remove(visit.session, visit.scope, removal),
    ):
        with pytest.raises(HoldRecord, match="attendees") as caught:
            await write()
        assert_sentence(caught.value.says)
    assert "SUMMARY:Before" in text_of(visit, seen.id)


async def test_a_server_that_tells_nobody_may_be_written_to(at_radicale):
    visit = at_radicale
    seen = await attended(visit)
    await APPOINTMENTS.update(visit.session, visit.scope, change(seen, title="After"))
    assert "SUMMARY:After" in text_of(visit, seen.id)


async def test_we_write_no_attendees_and_no_organizer(anywhere):
    visit = anywhere
    seen = await make(visit, notes="Call dee@example.com")
    text = visit.server.get(visit.more, seen.id)[0].upper()
    assert "ATTENDEE" not in text
    assert "ORGANIZER" not in text
    assert "DTEND" in text, "iCloud refuses an event with neither end nor duration"


async def test_an_address_is_written_as_people_write_it(anywhere):
    seen = await make(anywhere)
    assert seen.fields["location"] == Address(text="12 Elm St, LA")


@pytest.mark.parametrize("status", ["scheduled", "on_the_way", "working", "paused", "done"])
async def test_a_status_that_calendars_lack_is_kept_as_confirmed(at_radicale, status):
    seen = await make(at_radicale, status=status)
    assert seen.fields["status"] == "confirmed"


@pytest.mark.fault("AT-22")
async def test_an_event_that_was_moved_to_another_calendar_keeps_mark_and_series(at_radicale):
    visit = at_radicale
    cursor = (await visit.list()).cursor
    made = await make(visit)
    other = visit.server.make_calendar(f"other-{visit.more}")
    status, _, _ = visit.server.request(
        "MOVE",
        f"{visit.scope.id}{made.id}",
        headers={"Destination": f"{visit.server.url.rstrip('/')}{other}moved.ics"},
    )
    assert status in {201, 204}
    assert (await visit.list(cursor)).missing in ({made.id}, set())
    assert isinstance(await APPOINTMENTS.read(visit.session, visit.scope, made.id), Missing)
    there = Scope(id=other, title="Other", kind="appointment")
    pages = [page async for page in APPOINTMENTS.listing(visit.session, there, None)]
    (moved,) = [item for page in pages for item in page.items]
    assert (moved.mark, moved.series) == (made.mark, made.series)


@pytest.mark.parametrize(
    ("organizer", "mark", "owned"),
    [
        ("", "", True),
        ("ORGANIZER:mailto:ANA@example.com\n", "", True),
        ("ORGANIZER;CN=Boss:mailto:boss@example.com\n", "", False),
        ("ORGANIZER:urn:uuid:4711\n", "", False),
        ("ORGANIZER:mailto:boss@example.com\n", "X-TRUCKROLL-LINK:feed\n", True),
    ],
)
def test_what_somebody_else_organises_is_not_ours_to_edit(organizer, mark, owned):
    text = EVENT.format(uid="u", title="t").replace("STATUS:", f"{organizer}{mark}STATUS:")
    scope = Scope(id="/cal/", title="Field", kind="appointment", owner="Ana")
    seen = wire.Reader(session({}), scope).item("a.ics", text.encode(), '"1"')
    assert seen.owned is owned
    who = seen.fields["organizer"]
    assert (who == "boss@example.com") is ("boss" in organizer), "who is to be asked"


def test_an_object_is_read_whole_so_what_it_lacks_is_unknown_there():
    text = "\n".join(
        line
        for line in EVENT.format(uid="u", title="t").split("\n")
        if not line.startswith(("DESCRIPTION", "LOCATION", "STATUS"))
    )
    scope = Scope(id="/cal/", title="Field", kind="appointment")
    seen = wire.Reader(session({}), scope).item("a.ics", text.encode(), '"1"')
    lacking = {name for name, value in seen.fields.items() if value is None}
    assert {"notes", "location", "category", "link"} <= lacking
    assert seen.fields["status"] == "confirmed"  # what every calendar shows for it
    assert (seen.fields["busy"], seen.fields["private"]) == (True, False)
    assert set(seen.fields) == set(APPOINTMENTS.fields)


@pytest.mark.parametrize(
    ("version", "condition"),
    [('"a"', '"a"'), ("a", '"a"'), ('W/"a"', None), ("sha256:00", None), (None, None), ("", None)],
)
def test_only_a_strong_etag_is_a_condition(version, condition):
    assert wire.if_match(version) == condition


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    "answer",
    [
        Rewrite("END:VEVENT.*", ""),
        Status(200, "<html>Sign in</html>"),
        Status(206, "BEGIN:VCALENDAR", "text/calendar"),
    ],
)
async def test_half_an_event_is_not_an_event(at_radicale, answer):
    visit = at_radicale
    id_ = visit.seed("e1", "Visit")
    visit.proxy.rule(answer, method="GET")
    with pytest.raises(RetryLater) as caught:
        await APPOINTMENTS.read(visit.session, visit.scope, id_)
    assert_sentence(caught.value.says)


async def test_an_event_that_the_server_does_not_show_is_unreadable_and_not_gone(at_radicale):
    visit = at_radicale
    id_ = visit.seed("e1", "Visit")
    visit.proxy.rule(Status(403), method="GET")
    item = await APPOINTMENTS.read(visit.session, visit.scope, id_)
    assert isinstance(item, Unreadable)
    assert_sentence(item.reason)


async def test_a_name_with_blanks_and_signs_is_read_changed_and_removed(anywhere):
    visit = anywhere
    path = f"{visit.scope.id}AC%20%40%20Elm%20%23%201.ics"
    body = EVENT.format(uid=f"odd-{visit.scope.title}", title="Odd").replace("\n", "\r\n")
    status, _, _ = visit.server.request(
        "PUT", path, body.encode(), {"Content-Type": "text/calendar"}
    )
    assert status == 201
    id_ = "AC @ Elm # 1.ics"
    seen = (await visit.list()).seen[id_]
    await APPOINTMENTS.update(visit.session, visit.scope, change(seen, title="Even"))
    now = await APPOINTMENTS.read(visit.session, visit.scope, id_)
    assert now.fields["title"] == "Even"
    await APPOINTMENTS.remove(visit.session, visit.scope, Removal(id_, now.version, now.raw))
    assert visit.count() == 0


@pytest.mark.fault("F64")
@pytest.mark.parametrize("private", ["no", ""])
async def test_a_server_in_the_house_is_refused_unless_allowed(radicale_server, private):
    asked = {"url": radicale_server.url, "user": "ana", "password": "secret", "private": private}
    with pytest.raises(GiveUp, match="private network"):
        async with open_client(CALDAV.transport(asked), system="Radicale") as client:
            await client.request("GET", "/")


async def test_gone_is_gone_and_not_made_again(anywhere):
    visit = anywhere
    seen = await make(visit)
    visit.delete(seen.id)
    no_version = Change(seen.id, None, {"title": "x"}, seen.fields, seen.raw)
    with pytest.raises(Gone) as caught:
        await APPOINTMENTS.update(visit.session, visit.scope, no_version)
    assert_sentence(caught.value.says)
    assert visit.count() == 0
