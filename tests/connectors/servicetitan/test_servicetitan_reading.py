"""Reading a simulated tenant: what people do there reaches the visits, and at what cost."""

from datetime import timedelta

import pytest

from connectors.servicetitan.world import Company, session_of
from contract.bench import Held
from contract.sentences import assert_sentence
from support.proxy import Status
from truckroll.connectors.servicetitan import SERVICETITAN, listing
from truckroll.kit.contract import Missing, Seen
from truckroll.kit.errors import GiveUp, RetryLater, StartOver
from truckroll.kit.pace import utc_now
from truckroll.model.records import Contact
from truckroll_sim.kit.faults import Fault
from truckroll_sim.kit.server import running
from truckroll_sim.servicetitan import ServiceTitan

APPOINTMENTS = SERVICETITAN.resource("appointment")
FEEDS = 8


def visit_of(job):
    return str(job["firstAppointmentId"])


async def changes(stay, cursor):
    """Return what the feeds lead to, and the calls it took."""
    before = stay.session.http.calls
    read = await stay.list(cursor)
    assert not read.complete
    return read, stay.session.http.calls - before


async def test_a_visit_is_composed_of_its_parts(stay, company):
    ana, ben = company.technicians[:2]
    job = company.job(crew=[ana["id"], ben["id"]])
    read = await stay.list()
    seen = read.seen[visit_of(job)]
    customer = company.row("customers", company.customer)
    assert seen.fields["number"] == job["jobNumber"]
    assert seen.fields["title"] == "AC not cooling"
    assert seen.fields["people"] == tuple(f"{t['name']} <{t['email']}>" for t in (ana, ben))
    assert seen.fields["customer"] == customer["name"]
    assert seen.fields["location"].line1 == company.place["address"]["street"]
    assert seen.fields["contact"].phone.startswith("217555")
    assert seen.fields["contact"].mail == "customer1@home.example"
    assert seen.fields["job_type"]
    assert seen.fields["when"].zone == "America/Chicago"
    assert seen.fields["when"].begins == company.row("appointments", seen.id)["start"]
    assert b"arrivalWindowStart" in seen.raw
    assert seen.problems == ()


async def test_a_reassigned_visit_is_told_although_its_own_row_is_the_same(stay, company):
    ana, ben = company.technicians[:2]
    id_ = visit_of(company.job(crew=[ana["id"]]))
    first = await stay.list()
    stamp = company.row("appointments", id_)["modifiedOn"]
    company.act("assign", appointmentId=int(id_), technicianIds=[ben["id"]])
    assert company.row("appointments", id_)["modifiedOn"] == stamp
    read, _ = await changes(stay, first.cursor)
    assert read.seen[id_].fields["people"] == (f"{ben['name']} <{ben['email']}>",)
    company.act("assign", appointmentId=int(id_), technicianIds=[])
    read, _ = await changes(stay, read.cursor)
    assert read.seen[id_].fields["people"] == ()


async def test_a_change_of_a_part_reaches_each_visit_that_shows_it(stay, company):
    ana = company.technicians[0]
    ids = {visit_of(company.job(crew=[ana["id"]])) for _ in range(3)}
    cursor = (await stay.list()).cursor
    company.edit("customers", company.customer, name="Acme Offices")
    read, _ = await changes(stay, cursor)
    assert set(read.seen) == ids
    assert {seen.fields["customer"] for seen in read.seen.values()} == {"Acme Offices"}
    moved = {**company.place["address"], "street": "9 Hill St"}
    company.edit("locations", company.place["id"], address=moved)
    read, _ = await changes(stay, read.cursor)
    assert {seen.fields["location"].line1 for seen in read.seen.values()} == {"9 Hill St"}
    assert set(read.seen) == ids
    contact = company.tenant.alive("location_contacts", "locationId", company.place["id"])[0]
    company.edit("location_contacts", contact["id"], value="3125550000", memo="Front desk")
    read, _ = await changes(stay, read.cursor)
    shown = {seen.fields["contact"] for seen in read.seen.values()}
    assert shown == {Contact("Front desk", "3125550000", "customer1@home.example")}
    company.edit("technicians", ana["id"], email="ana@new.example")
    read, _ = await changes(stay, read.cursor)
    assert {seen.fields["people"] for seen in read.seen.values()} == {
        (f"{ana['name']} <ana@new.example>",)
    }


async def test_a_summary_reaches_all_visits_of_a_job(stay, company):
    job = company.job(visits=4)
    cursor = (await stay.list()).cursor
    company.title(visit_of(job), "AC dead")
    read, _ = await changes(stay, cursor)
    assert len(read.seen) == 4
    assert {seen.fields["title"] for seen in read.seen.values()} == {"AC dead"}


async def test_a_merged_customer_is_the_one_it_went_into(stay, company):
    id_ = visit_of(company.job())
    other = next(r for r in company.tenant["customers"].seen() if r["id"] != company.customer)
    company.edit("customers", other["id"], name="Acme Group")
    cursor = (await stay.list()).cursor
    company.act("merge_customers", fromId=company.customer, intoId=other["id"])
    # A job that still names the merged customer shows the one it went into as well.
    company.edit("jobs", company.job_of(id_)["id"], customerId=company.customer)
    read, _ = await changes(stay, cursor)
    assert read.seen[id_].fields["customer"] == "Acme Group"
    direct = await APPOINTMENTS.read(stay.session, stay.scope, id_)
    assert direct.fields == read.seen[id_].fields


@pytest.mark.fault("F37")
async def test_a_customer_who_was_merged_in_a_circle_is_not_shown_and_that_is_said(stay, company):
    id_ = visit_of(company.job())
    other = next(r for r in company.tenant["customers"].seen() if r["id"] != company.customer)
    company.edit("customers", company.customer, mergedToId=other["id"])
    company.edit("customers", other["id"], mergedToId=company.customer)
    seen = await APPOINTMENTS.read(stay.session, stay.scope, id_)
    assert "customer" not in seen.fields
    assert "the customer" in seen.problems[0]


async def test_a_deleted_visit_is_a_tombstone_and_the_others_of_its_job_stay(stay, company):
    job = company.job(visits=2)
    cursor = (await stay.list()).cursor
    company.act("delete_visit", appointmentId=job["lastAppointmentId"])
    read, _ = await changes(stay, cursor)
    assert read.missing == {str(job["lastAppointmentId"])}
    assert not read.seen


async def test_a_cancelled_job_cancels_its_visits_and_restoring_brings_them_back(stay, company):
    job = company.job(visits=2)
    cursor = (await stay.list()).cursor
    company.act("cancel", jobId=job["id"])
    read, _ = await changes(stay, cursor)
    assert {seen.fields["status"] for seen in read.seen.values()} == {"cancelled"}
    assert len(read.seen) == 2
    assert not read.missing


async def test_what_technicians_do_is_the_status(stay, company):
    ana = company.technicians[0]["id"]
    id_ = visit_of(company.job(crew=[ana]))
    cursor = (await stay.list()).cursor
    for act, status in (("dispatch", "on_the_way"), ("arrive", "working"), ("done", "done")):
        company.act(act, appointmentId=int(id_))
        read, _ = await changes(stay, cursor)
        assert read.seen[id_].fields["status"] == status
        cursor = read.cursor


async def test_do_not_service_is_shown(stay, company):
    id_ = visit_of(company.job())
    cursor = (await stay.list()).cursor
    company.edit("customers", company.customer, doNotService=True)
    read, _ = await changes(stay, cursor)
    assert read.seen[id_].fields["category"] == "Do not service"


async def test_a_list_that_lags_behind_its_feed_is_asked_a_second_time(stay, company, monkeypatch):
    ana, ben = company.technicians[:2]
    id_ = visit_of(company.job(crew=[ana["id"]]))
    # The sample company was made just now: its contacts are looked at a second time, too.
    cursor = (await stay.list()).cursor
    company.box.clock.advance(60)
    lists = f"/dispatch/v2/tenant/{company.tenant.number}/appointment-assignments"
    stale = company.system.kit.faults.add(Fault(kind="stale", path=lists, seconds=30))
    company.act("assign", appointmentId=int(id_), technicianIds=[ben["id"]])
    early, _ = await changes(stay, cursor)
    assert early.items == []
    company.system.kit.faults.clear(stale.id)
    soon, calls = await changes(stay, early.cursor)
    assert (soon.items, calls) == ([], FEEDS)
    monkeypatch.setattr(listing, "utc_now", lambda: utc_now() + listing.LAG)
    late, _ = await changes(stay, soon.cursor)
    assert late.seen[id_].fields["people"] == (f"{ben['name']} <{ben['email']}>",)
    quiet, calls = await changes(stay, late.cursor)
    assert (quiet.items, calls) == ([], FEEDS)


async def test_what_changes_during_a_first_listing_is_in_it(stay, company):
    id_ = visit_of(company.job())
    pages = APPOINTMENTS.listing(stay.session, stay.scope, None)
    first = await anext(pages)
    assert first.items[0].fields["title"] == "AC not cooling"
    assert first.cursor is None
    company.title(id_, "AC dead")
    rest = [page async for page in pages]
    titles = [item.fields["title"] for page in rest for item in page.items if item.id == id_]
    assert titles[-1] == "AC dead"
    assert rest[-1].complete


@pytest.mark.fault("F17")
async def test_a_visit_that_moves_over_a_page_border_is_seen(stay, company):
    company.tenant.habits.feed_page = 2
    ids = [visit_of(company.job()) for _ in range(5)]
    pages = APPOINTMENTS.listing(stay.session, stay.scope, None)
    first = await anext(pages)
    assert {item.id for item in first.items} == set(ids[:2])
    for id_ in (ids[0], ids[3]):
        company.edit("appointments", id_, specialInstructions="Gate 4")
    rest = [page async for page in pages]
    seen = {item.id: item for page in (first, *rest) for item in page.items}
    assert set(seen) == set(ids)
    assert {id_ for id_ in ids if seen[id_].fields["notes"] == "Gate 4"} == {ids[0], ids[3]}


@pytest.mark.fault("F13")
@pytest.mark.fault("AT-01")
async def test_a_listing_that_breaks_off_claims_nothing(stay, company):
    company.tenant.habits.feed_page = 1
    company.job(visits=3)
    stay.proxy.rule(Status(403), path="export/appointments", nth=3)
    listing = APPOINTMENTS.listing(stay.session, stay.scope, None)
    pages = [await anext(listing), await anext(listing)]
    with pytest.raises(GiveUp) as caught:
        await anext(listing)
    assert_sentence(caught.value.says)
    assert not any(page.last or page.complete or page.cursor for page in pages)


@pytest.mark.fault("F16")
@pytest.mark.parametrize("skew", [-420, 420])
async def test_equal_stamps_and_a_wrong_clock_lose_nothing(stay, company, skew):
    company.tenant.habits.feed_page = 50
    company.system.kit.faults.add(Fault(kind="skew", seconds=skew))
    ids = {visit_of(company.job()) for _ in range(3)}
    cursor = (await stay.list()).cursor
    company.box.clock.freeze(frozen=True)
    for id_ in ids:
        company.title(id_, "Same moment")
    more = [company.job(visits=4) for _ in range(125)]
    company.act("cancel", jobId=more[0]["id"])
    read, _ = await changes(stay, cursor)
    company.title(next(iter(ids)), "The same moment, later")
    late, _ = await changes(stay, read.cursor)
    assert len(read.seen) == 503
    assert [seen.fields["title"] for seen in late.seen.values()] == ["The same moment, later"]
    whole = await stay.list()
    assert whole.complete
    assert whole.items == []
    assert len(whole.unchanged) == 503


@pytest.mark.fault("F12")
async def test_forgotten_tokens_start_over(stay, company):
    company.job()
    first = await stay.list()
    company.act("forget_feed_tokens")
    with pytest.raises(StartOver) as caught:
        await stay.list(first.cursor)
    assert_sentence(caught.value.says)
    again = await stay.list()
    assert again.complete
    assert again.unchanged == set(first.seen)


@pytest.mark.parametrize("cursor", ["", "{}", '{"tenant": "1", "tokens": {}}', "[1]"])
async def test_a_cursor_that_is_not_ours_starts_over_without_a_call(stay, cursor):
    before = stay.session.http.calls
    with pytest.raises(StartOver) as caught:
        await stay.list(cursor)
    assert_sentence(caught.value.says)
    assert stay.session.http.calls == before


async def test_a_token_lost_within_a_first_listing_is_tried_later(stay, company):
    company.tenant.habits.feed_page = 1
    company.job(visits=2)
    company.system.kit.faults.add(Fault(kind="cursor", path="*/export/appointments"))
    with pytest.raises(RetryLater) as caught:
        await stay.list()
    assert_sentence(caught.value.says)


async def test_visits_long_over_are_no_part_of_the_list_unless_they_are_held(stay, company):
    settings = {**stay.session.settings, "past_days": "30"}
    async with session_of(settings) as session:
        stay.session = session
        stay.held = session.known
        now = company.tenant.now()
        old, fresh = (visit_of(company.job()) for _ in range(2))
        for id_, days in ((old, 40), (fresh, 20)):
            start = now - timedelta(days=days)
            company.edit("appointments", id_, start=start, end=start + timedelta(hours=1))
        first = await stay.list()
        assert set(first.seen) == {fresh}
        bound = first.pages[-1].since
        assert abs(bound - (utc_now() - timedelta(days=30))) < timedelta(minutes=1)
        # What is held and goes into the past is told; what is not held stays out.
        start = now - timedelta(days=50)
        company.edit("appointments", fresh, start=start, end=start + timedelta(hours=1))
        company.title(old, "Old")
        company.edit("appointments", old, specialInstructions="Old")
        second, _ = await changes(stay, first.cursor)
        assert set(second.seen) == {fresh}


async def test_a_deleted_visit_that_was_never_held_is_no_news(stay, company):
    job = company.job(visits=2)
    company.act("delete_visit", appointmentId=job["lastAppointmentId"])
    read = await stay.list()
    assert set(read.seen) == {visit_of(job)}
    assert not read.missing


async def test_too_many_changes_at_once_are_a_new_listing(stay, company, monkeypatch):
    company.job()
    cursor = (await stay.list()).cursor
    defaults = {"most": 1}
    monkeypatch.setattr(listing._Reading._drained, "__kwdefaults__", defaults)
    for row in list(company.tenant["customers"].seen()):
        company.edit("customers", row["id"], balance=5)
    with pytest.raises(StartOver, match="at once"):
        await stay.list(cursor)
    assert (await stay.list()).complete


async def test_a_part_that_is_gone_is_said_and_wipes_nothing(stay, company):
    id_ = visit_of(company.job())
    company.tenant.delete("locations", company.place["id"])
    seen = (await stay.list()).seen[id_]
    assert "location" not in seen.fields
    assert_sentence(seen.problems[0])
    assert "the location" in seen.problems[0]


async def test_a_thousand_visits_take_few_calls_and_a_second_pass_one_for_each_feed():
    async with running([ServiceTitan]) as box:
        company = Company(box, technicians=20, customers=60, appointments=1200, days=30)
        held = Held()
        async with session_of(company.settings(), held) as session:
            (scope,) = await SERVICETITAN.scopes(session)
            before = session.http.calls
            pages = [page async for page in APPOINTMENTS.listing(session, scope, None)]
            seen = {item.id for page in pages for item in page.items}
            assert len(seen) == 1200
            assert all(len(page.items) <= 500 for page in pages)
            # The sample company is minutes old: what the feeds tell of it is read again.
            assert session.http.calls - before < 600
            for page in pages:
                for item in page.items:
                    held.take(item)
            before = session.http.calls
            again = [page async for page in APPOINTMENTS.listing(session, scope, pages[-1].cursor)]
            assert session.http.calls - before == FEEDS
            assert [page.items for page in again] == [()]
            assert again[-1].last
            assert not again[-1].complete


async def test_a_direct_read_asks_by_id_alone(stay, company):
    id_ = visit_of(company.job())
    await stay.list()
    company.system.kit.faults.add(Fault(kind="stale", seconds=600))
    company.title(id_, "AC dead")
    company.edit("customers", company.customer, name="Acme Offices")
    read = await APPOINTMENTS.read(stay.session, stay.scope, id_)
    assert isinstance(read, Seen)
    assert (read.fields["title"], read.fields["customer"]) == ("AC dead", "Acme Offices")
    for unknown in ("999", "not a number", ""):
        assert await APPOINTMENTS.read(stay.session, stay.scope, unknown) == Missing(unknown)
