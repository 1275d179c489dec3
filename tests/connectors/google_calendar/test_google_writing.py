"""Writing Google calendars: silent, conditional, many at once, and series with their visits."""

import asyncio
import time
from datetime import UTC, date, datetime

import msgspec
import pytest

from contract import samples
from contract.sentences import assert_sentence
from support.proxy import Cut, Status
from truckroll.kit.contract import Change, Draft, Missing, Removal, Seen
from truckroll.kit.errors import HoldRecord, OutcomeUnknown, Replan, RetryLater, SignIn
from truckroll.model.records import Address, Occurrence, Occurrences, same
from truckroll.model.time import AllDay, Rule, Timed
from truckroll_sim.kit.faults import Fault

LA = "America/Los_Angeles"
VISIT = Timed(start=samples.at("2026-11-30T09:00"), zone=LA, seconds=5400)
SERIES = msgspec.structs.replace(VISIT, rule=Rule(rrule=("FREQ=WEEKLY;COUNT=6",)))
GUEST = {"attendees": [{"email": "guest@customer.example"}]}


def draft(visit, key, **more):
    fields = {"title": "AC not cooling", "when": VISIT, **more}
    id_ = visit.resource.choose_id(visit.scope, key)
    return Draft(id=id_, key=key, mark=key.split("-")[0], fields=fields)


async def read(visit, id_):
    return await visit.resource.read(visit.session, visit.scope, id_)


async def make(visit, key="7f-1-0", **more):
    reply = await visit.resource.create(visit.session, visit.scope, draft(visit, key, **more))
    return reply.seen or await read(visit, reply.id)


def change(seen, **fields):
    return Change(seen.id, seen.version, fields, {**seen.fields, **fields}, seen.raw)


async def update(visit, seen, **fields):
    reply = await visit.resource.update(visit.session, visit.scope, change(seen, **fields))
    return reply.seen or await read(visit, reply.id)


def whens(visit, id_):
    """Return the visits of a series as the vendor expands them: (start instant, title)."""
    google = visit.server
    book = google.world.books[google.ana]
    found = book.occurrences(book.events.version(id_), datetime(2028, 1, 1, tzinfo=UTC))
    whole = [book.whole(one.row) for one in found]
    return sorted((book.span(one)[0], one.fields["summary"]) for one in whole)


# What is told to whom.


async def test_nobody_is_told_of_what_the_hub_writes(at_google):
    google = at_google.server
    theirs = google.add(summary="Visit", **GUEST)
    google.system.kit.outbox.messages.clear()
    seen = (await at_google.list()).seen[theirs]
    seen = await update(at_google, seen, title="Ours")
    await make(at_google)
    removal = Removal(seen.id, seen.version, seen.raw)
    await at_google.resource.remove(at_google.session, at_google.scope, removal)
    writes = google.calls("POST", "PATCH", "DELETE")
    events = [dict(one.query) for one in writes if "/events" in one.path]
    assert [one["sendUpdates"] for one in events] == ["none"] * 3
    assert google.system.kit.outbox.messages == []


async def test_guests_are_told_where_the_account_says_so(at_google):
    google = at_google.server
    theirs = google.add(summary="Visit", **GUEST)
    google.system.kit.outbox.messages.clear()
    at_google.session.settings["notify"] = "all"
    await update(at_google, (await at_google.list()).seen[theirs], title="Ours")
    assert len(google.system.kit.outbox.messages) == 1


def test_the_plan_knows_whom_a_write_may_tell(at_google):
    settings = at_google.session.settings
    assert at_google.resource.notified(settings) == {}
    told = at_google.resource.notified({**settings, "notify": "all"})
    assert {name for name, whom in told.items() if "{guests}" in whom} == {
        "update",
        "cancel",
        "delete",
    }


async def test_guests_and_answers_stay_as_they_are(at_google):
    google = at_google.server
    theirs = google.add(summary="Visit", **GUEST)
    before = google.get(theirs)["attendees"]
    seen = (await at_google.list()).seen[theirs]
    await update(at_google, seen, title="Ours", notes="New", location=Address(text="Elsewhere"))
    assert google.get(theirs)["attendees"] == before


# Ids, marks and echoes.


async def test_an_id_whose_event_was_deleted_comes_back_to_life_as_a_new_event(at_google):
    google = at_google.server
    first = await make(at_google, notes="Old notes")
    google.delete(first.id)
    again = await make(at_google, title="New")
    assert again.id == first.id
    back = google.get(again.id)
    assert (back["summary"], back.get("description")) == ("New", None)
    assert len(google.events()) == 1


async def test_the_id_of_somebody_elses_deleted_event_is_not_taken(at_google):
    google = at_google.server
    ours = draft(at_google, "7f-1-0")
    google.add(id=ours.id, summary="Theirs", extendedProperties={"private": {"truckrollLink": "9"}})
    google.delete(ours.id)
    with pytest.raises(HoldRecord) as caught:
        await at_google.resource.create(at_google.session, at_google.scope, ours)
    assert_sentence(caught.value.says)


@pytest.mark.behaviour("CAL-12")
async def test_what_the_hub_wrote_comes_back_as_what_it_knows_and_exists_once(at_google):
    """Lost answers, repeats and two workers at once: one event each, and no news of any."""
    google = at_google.server
    cursor = (await at_google.list()).cursor
    drafts = [draft(at_google, f"{n:x}-1-0", title=f"Visit {n}") for n in range(20)]
    create = at_google.resource.create
    at_google.proxy.rule(Cut(after=True), path="/batch/", nth=1)
    writes = [create(at_google.session, at_google.scope, one) for one in drafts]
    lost = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(one) for one in lost] == [OutcomeUnknown] * 20
    workers = [create(at_google.session, at_google.scope, one) for one in drafts * 2]
    replies = await asyncio.gather(*workers)
    assert {reply.id for reply in replies} == {one.id for one in drafts}
    assert len(google.events()) == 20
    known = {reply.id: reply.seen for reply in replies}
    echo = await at_google.list(cursor)
    assert set(echo.seen) == set(known)
    for id_, seen in echo.seen.items():
        assert (seen.version, seen.fields) == (known[id_].version, known[id_].fields)
        assert seen.mark == known[id_].mark
    assert (await at_google.list(echo.cursor)).items == []


@pytest.mark.behaviour("CAL-12")
async def test_what_is_stored_already_makes_no_new_version(at_google):
    made = await make(at_google, notes="Gate 1234")
    same_again = await update(at_google, made, notes="Gate 1234")
    assert same_again.version == made.version


# Time (both edges of the clocks' changes, whole days, series with exceptions).


TIMES = [
    Timed(start=samples.at("2026-03-08T01:30"), zone=LA, seconds=7200),
    Timed(start=samples.at("2026-03-08T03:30"), zone=LA, seconds=3600),
    Timed(start=samples.at("2026-03-08T02:30"), zone=LA, seconds=3600),
    Timed(start=samples.at("2026-11-01T01:30"), zone=LA, seconds=3600),
    Timed(start=samples.at("2026-11-01T01:30"), zone=LA, seconds=3600, fold=1),
    Timed(start=samples.at("2026-10-31T09:00"), zone=LA, days=2),
    Timed(start=samples.at("2026-10-31T09:00"), zone=LA, seconds=172800),
    Timed(start=samples.at("2026-10-25T02:30"), zone="Europe/Berlin", seconds=60, fold=1),
    Timed(start=samples.at("2026-04-05T01:45"), zone="Australia/Lord_Howe", seconds=1800, fold=1),
    Timed(start=samples.at("2026-07-01T12:00"), zone="UTC", seconds=0),
    AllDay(start=date(2026, 3, 8), end=date(2026, 3, 9)),
    AllDay(start=date(2026, 12, 24), end=date(2027, 1, 2)),
]


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("F49")
@pytest.mark.fault("F52")
@pytest.mark.parametrize("when", TIMES, ids=str)
async def test_every_time_is_the_same_time_for_everybody(at_google, when):
    made = await make(at_google, when=when)
    back = at_google.server.get(made.id)
    if isinstance(when, AllDay):
        assert (back["start"], back["end"]) == (
            {"date": when.start.isoformat()},
            {"date": when.end.isoformat()},
        )
    else:
        assert datetime.fromisoformat(back["start"]["dateTime"]) == when.begins
        assert datetime.fromisoformat(back["end"]["dateTime"]) == when.ends
        assert back["start"]["timeZone"] == when.zone
    listed = (await at_google.list()).seen[made.id]
    assert same(made.fields["when"], when)
    assert same(listed.fields["when"], when)
    other = await update(at_google, made, when=VISIT)
    assert same(other.fields["when"], VISIT)
    assert same((await update(at_google, other, when=when)).fields["when"], when)


MOVED = Timed(start=samples.at("2026-11-10T14:00"), zone=LA, seconds=3600)
OVER_THE_CHANGE = msgspec.structs.replace(
    SERIES, start=samples.at("2026-10-26T09:00"), rule=Rule(rrule=("FREQ=WEEKLY;COUNT=5",))
)
EXCEPTIONS = Occurrences(
    {
        "2026-11-02T09:00:00": Occurrence(cancelled=True),
        "2026-11-09T09:00:00": Occurrence(fields={"when": MOVED}),
        "2026-11-16T09:00:00": Occurrence(fields={"title": "Last but one", "busy": False}),
    }
)


@pytest.mark.behaviour("CAL-11")
async def test_a_series_with_exceptions_over_the_clocks_change_happens_when_it_should(at_google):
    made = await make(at_google, when=OVER_THE_CHANGE, occurrences=EXCEPTIONS)
    assert same(made.fields["when"], OVER_THE_CHANGE)
    assert made.fields["occurrences"] == EXCEPTIONS
    # 09:00 in Los Angeles is 16:00 UTC before the first of November, and 17:00 after it.
    assert whens(at_google, made.id) == [
        (datetime(2026, 10, 26, 16, tzinfo=UTC), "AC not cooling"),
        (datetime(2026, 11, 10, 22, tzinfo=UTC), "AC not cooling"),
        (datetime(2026, 11, 16, 17, tzinfo=UTC), "Last but one"),
        (datetime(2026, 11, 23, 17, tzinfo=UTC), "AC not cooling"),
    ]
    again = await at_google.list()
    assert again.seen[made.id].fields == made.fields
    assert again.seen[made.id].version == made.version


async def test_each_kind_of_change_of_a_series_is_brought_to_its_visits(at_google):
    seen = await make(at_google, when=OVER_THE_CHANGE, occurrences=EXCEPTIONS)
    by_start = EXCEPTIONS.by_start
    steps = {
        "a visit comes back": {k: v for k, v in by_start.items() if not v.cancelled},
        "a moved visit is usual again": {
            k: v for k, v in by_start.items() if "when" not in v.fields
        },
        "a changed visit is cancelled": {
            **by_start,
            "2026-11-09T09:00:00": Occurrence(cancelled=True),
        },
        "and comes back changed": {
            **by_start,
            "2026-11-09T09:00:00": Occurrence(fields={"notes": "Bring ladder"}),
        },
        "none": {},
    }
    for step, wanted in steps.items():
        seen = await update(at_google, seen, occurrences=Occurrences(wanted))
        assert seen.fields["occurrences"] == Occurrences(dict(sorted(wanted.items()))), step
        assert (await at_google.list()).seen[seen.id].fields == seen.fields, step
    assert len(whens(at_google, seen.id)) == 5


async def test_a_series_that_moves_takes_its_exceptions_along(at_google):
    made = await make(at_google, when=OVER_THE_CHANGE, occurrences=EXCEPTIONS)
    later = msgspec.structs.replace(OVER_THE_CHANGE, start=samples.at("2026-10-27T10:00"))
    moved = Occurrences(
        {
            "2026-11-03T10:00:00": Occurrence(cancelled=True),
            "2026-11-17T10:00:00": Occurrence(fields={"title": "Last but one"}),
        }
    )
    seen = await update(at_google, made, when=later, occurrences=moved)
    assert same(seen.fields["when"], later)
    assert seen.fields["occurrences"] == moved
    assert [start.date().isoformat() for start, _ in whens(at_google, made.id)] == [
        *("2026-10-27", "2026-11-10", "2026-11-17", "2026-11-24")
    ]


async def test_a_series_becomes_a_single_visit_and_back(at_google):
    made = await make(at_google, when=SERIES, occurrences=Occurrences({}))
    single = await update(at_google, made, when=VISIT, occurrences=None)
    assert single.fields["when"].rule is None
    again = await update(at_google, single, when=SERIES, occurrences=Occurrences({}))
    assert same(again.fields["when"], SERIES)


async def test_a_visit_that_somebody_cancelled_by_hand_is_brought_back(at_google):
    made = await make(at_google, when=SERIES, occurrences=Occurrences({}))
    at_google.server.delete(f"{made.id}_20261207T170000Z")
    seen = await read(at_google, made.id)
    assert seen.fields["occurrences"].by_start == {
        "2026-12-07T09:00:00": Occurrence(cancelled=True)
    }
    mended = await update(at_google, seen, occurrences=Occurrences({}))
    assert mended.fields["occurrences"] == Occurrences({})
    assert len(whens(at_google, made.id)) == 6


async def test_a_visit_that_changed_unseen_shows_in_the_answer_about_its_series(at_google):
    made = await make(at_google, when=SERIES, occurrences=Occurrences({}))
    at_google.server.edit(f"{made.id}_20261207T170000Z", summary="By hand")
    renamed = await update(at_google, made, notes="Bring ladder")
    by_hand = {"2026-12-07T09:00:00": Occurrence(fields={"title": "By hand"})}
    assert renamed.fields["occurrences"] == Occurrences(by_hand)
    assert (await read(at_google, made.id)).version == renamed.version


@pytest.mark.fault("F26")
async def test_a_visit_that_changed_meanwhile_is_planned_anew(at_google):
    made = await make(at_google, when=OVER_THE_CHANGE, occurrences=EXCEPTIONS)
    visit = f"{made.id}_20261116T170000Z"
    at_google.server.edit(visit, summary="By hand")
    for write in (
        lambda: update(at_google, made, title="Ours"),
        lambda: update(at_google, made, occurrences=Occurrences({})),
        lambda: at_google.resource.remove(
            at_google.session, at_google.scope, Removal(made.id, made.version, made.raw)
        ),
    ):
        with pytest.raises(Replan) as caught:
            await write()
        assert_sentence(caught.value.says)
    assert at_google.server.get(visit)["summary"] == "By hand"


async def test_a_lost_answer_about_a_visit_is_made_good_by_the_next_attempt(at_google):
    one = draft(at_google, "7f-1-0", when=OVER_THE_CHANGE, occurrences=EXCEPTIONS)
    at_google.proxy.rule(Cut(after=False), method="PATCH", nth=1)
    create = at_google.resource.create
    with pytest.raises(RetryLater):
        await create(at_google.session, at_google.scope, one)
    reply = await create(at_google.session, at_google.scope, one)
    assert (await read(at_google, reply.id)).fields["occurrences"] == EXCEPTIONS
    assert len(at_google.server.events()) == 1


async def test_a_visit_that_the_series_does_not_have_is_held_with_its_date(at_google):
    odd = Occurrences({"2026-11-03T09:00:00": Occurrence(fields={"title": "Never"})})
    with pytest.raises(HoldRecord) as caught:
        await make(at_google, when=OVER_THE_CHANGE, occurrences=odd)
    assert_sentence(caught.value.says)
    assert "2026-11-03" in caught.value.says


# Many at once.


async def test_two_thousand_creates_over_forty_calendars_are_forty_calls(at_google):
    google = at_google.server
    session = at_google.session
    calendars = google.system.records["calendars"]
    for n in range(40):
        calendars.add({"summary": f"Crew {n}"}, {})
    scopes = await at_google.connector.scopes(session)
    crews = [one for one in scopes if one.title.startswith("Crew")]
    room = asyncio.Semaphore(at_google.resource.concurrency)

    async def write(n):
        async with room:
            one = draft(at_google, f"{n:x}-1-0", title=f"Visit {n}")
            return await at_google.resource.create(session, crews[n % 40], one)

    before, began = session.http.calls, time.perf_counter()
    replies = await asyncio.gather(*(write(n) for n in range(2000)))
    calls = session.http.calls - before
    print(f"2,000 creates in {calls} calls, {time.perf_counter() - began:.1f} s with the simulator")
    assert calls <= 2000 / 20
    assert all(reply.seen is not None for reply in replies), "nothing is read back"
    assert all(len(google.events(one.id)) == 50 for one in crews)


async def test_writes_of_a_batch_fail_one_by_one(at_google):
    google = at_google.server
    made = [await make(at_google, f"{n}-1-0") for n in range(3)]
    google.edit(made[1].id, summary="By hand")
    writes = [
        at_google.resource.update(at_google.session, at_google.scope, change(one, title="Ours"))
        for one in made
    ]
    first, second, third = await asyncio.gather(*writes, return_exceptions=True)
    assert (first.seen.fields["title"], third.seen.fields["title"]) == ("Ours", "Ours")
    assert isinstance(second, Replan)
    assert google.get(made[1].id)["summary"] == "By hand"


async def test_a_write_that_clashed_in_its_batch_is_sent_alone(at_google):
    made = [await make(at_google, f"{n}-1-0") for n in range(2)]
    fault = Fault(kind="status", status=409, reason="conflict", method="PATCH", times=1)
    at_google.server.system.kit.faults.add(fault)
    writes = [
        at_google.resource.update(at_google.session, at_google.scope, change(one, title="Ours"))
        for one in made
    ]
    assert [one.seen.fields["title"] for one in await asyncio.gather(*writes)] == ["Ours", "Ours"]


@pytest.mark.fault("F31")
async def test_a_used_up_quota_of_some_writes_is_waited_for(at_google):
    reasons = ("userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded")
    for status, reason in ((403, reasons[0]), (429, reasons[1]), (403, reasons[2])):
        fault = Fault(kind="status", status=status, reason=reason, method="POST", path="*/events")
        at_google.server.system.kit.faults.add(msgspec.structs.replace(fault, times=1))
    replies = await asyncio.gather(*(make(at_google, f"{n}-1-0") for n in range(6)))
    assert all(isinstance(one, Seen) for one in replies)
    assert len(at_google.server.events()) == 6


@pytest.mark.fault("F31")
@pytest.mark.parametrize("after", ["4000", "4000.5", "Fri, 25 Dec 2099 08:00:00 GMT", None])
async def test_a_quota_that_stays_used_up_is_the_callers(at_google, after):
    fault = Fault(
        kind="status",
        status=403,
        reason="userRateLimitExceeded",
        method="POST",
        path="*/events",
        retry_after=after,
    )
    at_google.server.system.kit.faults.add(fault)
    writes = [make(at_google, f"{n}-1-0") for n in range(3)]
    refused = await asyncio.gather(*writes, return_exceptions=True)
    for error in refused:
        assert isinstance(error, RetryLater)
        assert_sentence(error.says)
        assert (error.after.total_seconds() >= 4000) == (after is not None)
    assert at_google.server.events() == []


# Signing in.


@pytest.mark.fault("F43")
async def test_a_token_that_ran_out_is_renewed_once_for_a_whole_batch(at_google):
    google = at_google.server
    google.act("expire-tokens")
    at_google.proxy.clear()
    at_google.session.http._transport.auth._renewed_at = float("-inf")  # time has passed
    replies = await asyncio.gather(*(make(at_google, f"{n}-1-0") for n in range(5)))
    assert len(replies) == 5
    assert at_google.proxy.count() == 3, "a batch, a token, and the batch again"


async def test_a_grant_that_was_revoked_asks_for_a_sign_in(at_google):
    google = at_google.server
    made = await make(at_google)
    google.act("revoke")
    at_google.session.http._transport.auth._renewed_at = float("-inf")  # time has passed
    for act in (at_google.list, lambda: update(at_google, made, title="Ours")):
        with pytest.raises(SignIn) as caught:
            await act()
        assert_sentence(caught.value.says)
        assert "Sign in again" in caught.value.says
    assert google.get(made.id)["summary"] == "AC not cooling"


async def test_rights_that_were_not_given_ask_for_a_sign_in(at_google):
    google = at_google.server
    fault = Fault(kind="status", status=403, reason="insufficientPermissions", times=1)
    google.system.kit.faults.add(fault)
    with pytest.raises(SignIn) as caught:
        await at_google.list()
    assert_sentence(caught.value.says)


@pytest.mark.parametrize("operation", ["update", "remove"])
async def test_what_somebody_else_organises_is_refused_in_words(at_google, operation):
    google = at_google.server
    guest = [{"email": google.ana}]
    theirs = google.add(summary="Meeting", calendar=google.others[0], attendees=guest)
    seen = (await at_google.list()).seen[theirs]
    if operation == "remove":
        at_google.proxy.rule(Status(403, "", "application/json"), method="DELETE")
    write = {
        "update": lambda: update(at_google, seen, title="Ours"),
        "remove": lambda: at_google.resource.remove(
            at_google.session, at_google.scope, Removal(seen.id, seen.version, seen.raw)
        ),
    }[operation]
    with pytest.raises(HoldRecord) as caught:
        await write()
    assert_sentence(caught.value.says)
    assert google.get(theirs)["summary"] == "Meeting"


async def test_a_removed_event_is_gone_also_where_somebody_deleted_it_first(at_google):
    made = await make(at_google, when=OVER_THE_CHANGE, occurrences=EXCEPTIONS)
    at_google.server.delete(made.id)
    removal = Removal(made.id, made.version, made.raw)
    await at_google.resource.remove(at_google.session, at_google.scope, removal)
    assert isinstance(await read(at_google, made.id), Missing)
