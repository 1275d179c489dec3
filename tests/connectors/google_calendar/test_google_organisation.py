"""A whole organisation: whose calendars there are, in whose name they are written, sharing."""

import asyncio
import json

import pytest

from connectors.google_calendar.world import Company, session_of
from contract import samples
from contract.sentences import assert_sentence
from truckroll.connectors.google_calendar import GOOGLE_CALENDAR, GOOGLE_WORKSPACE, calls, sharing
from truckroll.dispatch.people import Calendar, suggest
from truckroll.kit.contract import Draft, Scope
from truckroll.kit.errors import GiveUp, HoldRecord, RetryLater, SignIn
from truckroll.kit.http import open_client
from truckroll.model.time import Timed
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.server import running

VISIT = Timed(start=samples.at("2026-11-30T09:00"), zone="America/Los_Angeles", seconds=5400)


@pytest.fixture
async def company():
    async with running([GoogleCalendar]) as box:
        yield Company(box, technicians=3, vans=1, share="none")


def draft(scope, key, **fields):
    id_ = GOOGLE_WORKSPACE.resource("appointment").choose_id(scope, key)
    return Draft(id_, key, key.split("-")[0], {"title": "Visit", "when": VISIT, **fields})


async def create(session, scope, key):
    return await GOOGLE_WORKSPACE.resource("appointment").create(session, scope, draft(scope, key))


async def scopes_of(company, **settings):
    async with session_of(GOOGLE_WORKSPACE, company.workspace_settings(**settings)) as session:
        return {one.id: one for one in await GOOGLE_WORKSPACE.scopes(session)}


async def test_everybodys_calendar_is_found_and_those_of_the_vans(company):
    scopes = await scopes_of(company)
    assert scopes[company.ana] == Scope(
        id=company.ana, title="Ana Ruiz", kind="appointment", owner=company.ana
    )
    (van,) = company.made["vans"]
    assert set(scopes) == {company.ana, *company.others, company.office, van}
    assert scopes[van].title.endswith("Van 1")


async def test_people_are_suggested_by_their_mail_address(company):
    scopes = list((await scopes_of(company)).values())
    calendars = [Calendar(n, one.title, one.owner) for n, one in enumerate(scopes)]
    (found,) = suggest([company.ana], calendars)
    assert found.sure
    assert scopes[found.calendar.scope].id == company.ana


async def test_a_search_narrows_whose_calendars_are_taken(company):
    scopes = await scopes_of(company, people="orgUnitPath='/Field/North'", resources="no")
    assert company.office not in scopes
    assert scopes
    assert set(scopes) < {company.ana, *company.others}


async def test_people_who_left_are_left_out(company):
    users = company.system.records["users"]
    users.edit(company.ana, {"suspended": True}, {})
    users.edit(company.others[0], {"archived": True}, {})
    scopes = await scopes_of(company)
    assert not {company.ana, company.others[0]} & set(scopes)
    with pytest.raises(GiveUp) as caught:
        await scopes_of(company, people="email=nobody@acme.example", resources="no")
    assert_sentence(caught.value.says)


async def test_each_event_is_written_in_its_owners_name(company):
    async with session_of(GOOGLE_WORKSPACE, company.workspace_settings()) as session:
        scopes = {one.id: one for one in await GOOGLE_WORKSPACE.scopes(session)}
        people = [company.ana, *company.others]
        writes = [
            create(session, scopes[person], f"{n:x}{at}-1-0")
            for n in range(10)
            for at, person in enumerate(people)
        ]
        before = session.http.calls
        await asyncio.gather(*writes)
        assert session.http.calls - before == len(people), "a batch each"
    for person in people:
        events = company.events(person)
        assert len(events) == 10
        for event in events:
            assert event["creator"] == {"email": person, "self": True}
            assert event["organizer"] == {"email": person, "self": True}


async def test_many_writes_of_many_people_fill_their_batches():
    async with running([GoogleCalendar]) as box:
        company = Company(box, technicians=40, share="none")
        async with session_of(GOOGLE_WORKSPACE, company.workspace_settings()) as session:
            scopes = {one.id: one for one in await GOOGLE_WORKSPACE.scopes(session)}
            people = [company.ana, *company.others]
            room = asyncio.Semaphore(GOOGLE_WORKSPACE.resource("appointment").concurrency)

            async def write(n):
                async with room:
                    return await create(session, scopes[people[n * 7 % 40]], f"{n:x}-1-0")

            before = session.http.calls
            replies = await asyncio.gather(*(write(n) for n in range(1000)))
            calls = session.http.calls - before
        print(f"1,000 creates for 40 people in {calls} calls")
        assert calls <= 1000 / 8
        assert all(reply.seen is not None for reply in replies)
        assert all(len(company.events(person)) == 25 for person in people)


async def test_somebody_who_was_suspended_holds_their_own_visits_alone(company):
    async with session_of(GOOGLE_WORKSPACE, company.workspace_settings()) as session:
        scopes = {one.id: one for one in await GOOGLE_WORKSPACE.scopes(session)}
        company.system.records["users"].edit(company.ana, {"suspended": True}, {})
        writes = [
            create(session, scopes[one], "7f-1-0") for one in (company.ana, company.others[0])
        ]
        refused, made = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(refused, HoldRecord)
    assert_sentence(refused.says)
    assert company.ana in refused.says
    assert made.seen is not None


async def test_a_delegation_that_is_missing_says_what_to_give(company):
    company.act("delegate", scopes=["https://www.googleapis.com/auth/calendar"])
    with pytest.raises(RetryLater) as caught:
        await scopes_of(company)
    assert_sentence(caught.value.says)
    assert "admin.directory.user.readonly" in caught.value.says
    assert company.system.sign_in.service_number in caught.value.says


async def test_whoever_is_no_admin_cannot_read_the_directory(company):
    with pytest.raises(GiveUp) as caught:
        await scopes_of(company, subject=company.ana)
    assert_sentence(caught.value.says)


async def test_an_admin_who_does_not_exist_asks_for_a_sign_in(company):
    with pytest.raises(SignIn) as caught:
        await scopes_of(company, subject="nobody@acme-hvac.example")
    assert_sentence(caught.value.says)


# Sharing.


def rules(company, calendar):
    all_ = company.system.records["acl"].list({"calendar": calendar})
    return {one["id"]: one["role"] for one in all_}


@pytest.mark.parametrize(("share", "role"), [("busy", "freeBusyReader"), ("read", "reader")])
async def test_a_calendar_is_shared_once_before_its_first_event(company, share, role):
    rule = f"domain:{company.domain}"
    for _ in range(2):  # two passes
        settings = company.workspace_settings(share=share)
        async with session_of(GOOGLE_WORKSPACE, settings) as session:
            scopes = {one.id: one for one in await GOOGLE_WORKSPACE.scopes(session)}
            ana = scopes[company.ana]
            await asyncio.gather(*(create(session, ana, f"{n:x}-1-0") for n in range(5)))
    assert rules(company, company.ana)[rule] == role
    assert rule not in rules(company, company.others[0]), "only what is written is shared"
    shared = [one for one in company.calls("POST") if one.path.endswith("/acl")]
    assert len(shared) == 1
    assert dict(shared[0].query)["sendNotifications"] == "false"
    assert company.system.kit.outbox.messages == []


async def test_nothing_is_shared_unless_it_was_asked_for(company):
    async with session_of(GOOGLE_WORKSPACE, company.workspace_settings()) as session:
        scopes = {one.id: one for one in await GOOGLE_WORKSPACE.scopes(session)}
        await create(session, scopes[company.ana], "7f-1-0")
    assert not [one for one in company.calls() if "/acl" in one.path]


async def test_a_right_that_somebody_gave_already_stays(company):
    scope = {"type": "domain", "value": company.domain}
    company.system.records["acl"].add({"role": "writer", "scope": scope}, {"calendar": company.ana})
    async with session_of(GOOGLE_WORKSPACE, company.workspace_settings(share="busy")) as session:
        scopes = {one.id: one for one in await GOOGLE_WORKSPACE.scopes(session)}
        assert not await sharing.share(session, scopes[company.ana], "freeBusyReader")
        await create(session, scopes[company.ana], "7f-1-0")
    assert rules(company, company.ana)[f"domain:{company.domain}"] == "writer"


async def test_a_calendar_that_may_not_be_shared_holds_what_would_go_there(company):
    async with session_of(GOOGLE_WORKSPACE, company.workspace_settings(share="read")) as session:
        (van,) = company.made["vans"]
        scope = Scope(id=van, title="Van 1", kind="appointment")
        options = {"calendar": van}
        company.system.records["acl"].edit(f"user:{company.office}", {"role": "writer"}, options)
        writes = [create(session, scope, f"{n:x}-1-0") for n in range(3)]
        held = await asyncio.gather(*writes, return_exceptions=True)
    for error in held:
        assert isinstance(error, HoldRecord)
        assert_sentence(error.says)
        assert "Van 1" in error.says
    assert company.events(van) == []


# Settings.


async def test_a_service_account_without_delegation_is_itself(company):
    settings = company.workspace_settings()
    settings.pop("subject")
    rule = {
        "role": "writer",
        "scope": {"type": "user", "value": company.system.sign_in.service_email},
    }
    company.system.records["acl"].add(rule, {"calendar": company.ana})
    ana = Scope(id=company.ana, title="Ana", kind="appointment")
    async with session_of(GOOGLE_CALENDAR, settings) as session:
        await create(session, ana, "7f-1-0")
    (event,) = company.events(company.ana)
    assert event["creator"]["email"] == company.system.sign_in.service_email


async def test_a_person_acted_for_by_a_service_account_is_one_identity(company):
    settings = company.workspace_settings(subject=company.ana)
    for other in company.others:
        rule = {"role": "writer", "scope": {"type": "user", "value": company.ana}}
        company.system.records["acl"].add(rule, {"calendar": other})
    async with session_of(GOOGLE_CALENDAR, settings) as session:
        people = [Scope(id=one, title=one, kind="appointment") for one in company.others]
        await asyncio.gather(*(create(session, one, "7f-1-0") for one in people))
        assert session.http.calls == 1, "one batch"
    for other in company.others:
        assert company.events(other)[0]["creator"]["email"] == company.ana


@pytest.mark.parametrize(
    "given", [{}, {"client_id": "x"}, {"client_id": "x", "client_secret": "y"}]
)
def test_an_account_without_any_sign_in_says_what_is_needed(given):
    with pytest.raises(GiveUp) as caught:
        GOOGLE_CALENDAR.transport(given)
    assert_sentence(caught.value.says)


@pytest.mark.parametrize(("name", "word"), [("notify", "guests"), ("share", "yes")])
def test_a_slip_in_a_setting_is_said_and_never_taken_for_a_no(name, word):
    with pytest.raises(GiveUp) as caught:
        GOOGLE_CALENDAR.transport({**SIGN_IN, name: word})
    assert_sentence(caught.value.says)
    assert "none" in caught.value.says


SIGN_IN = {"client_id": "x", "client_secret": "y", "refresh_token": "z"}


def test_googles_own_limits_are_kept_and_a_persons_word_goes_before_them():
    at_google = GOOGLE_CALENDAR.transport(SIGN_IN)
    person, project = at_google.pace.all_limits()
    assert (person.amount, person.per_seconds, person.of) == (600, 60, "user")
    assert (project.amount, project.per_seconds, project.of) == (10_000, 60, "app")
    assert at_google.base_url == calls.GOOGLE
    assert at_google.batch.url == "https://www.googleapis.com/batch/calendar/v3"
    said = GOOGLE_CALENDAR.transport({**SIGN_IN, "per_minute": "1200"})
    assert said.pace.all_limits()[0].amount == 1200
    elsewhere = GOOGLE_CALENDAR.transport({**SIGN_IN, "api": "http://127.0.0.1:1/x/calendar/v3"})
    assert (elsewhere.base_url, elsewhere.pace.all_limits()) == ("http://127.0.0.1:1/x/", ())


async def test_the_directory_has_the_sign_in_though_it_is_another_host():
    key = {"client_email": "hub@acme.example", "private_key": "none"}
    transport = GOOGLE_WORKSPACE.transport({"key": json.dumps(key), "subject": "a@b.example"})
    async with open_client(transport, system="Google") as http:
        for url in ("https://admin.googleapis.com/x", "https://www.googleapis.com/x"):
            with pytest.raises(GiveUp, match="private key"):
                await http.request("GET", url)
