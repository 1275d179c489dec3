"""Customers, bookings, leads, attachments, invoices, events and shifts; and the sample company."""

import pytest
from aiohttp import FormData

from sim.servicetitan_world import GUID, at, world

ADDRESS = {
    "street": "1 Elm St",
    "unit": "2",
    "city": "Springfield",
    "state": "IL",
    "zip": "62701",
    "country": "USA",
}
PHONE = {"type": "MobilePhone", "value": "217-555-0199"}


@pytest.fixture
async def it():
    async with world() as it:
        yield it


async def new_customer(it, **changes):
    place = {"name": "Home", "address": ADDRESS, "contacts": [PHONE]}
    body = {"name": "Nora Lund", "address": ADDRESS, "locations": [place]}
    return await it.do("POST", "crm/customers", body | changes)


async def test_a_customer_is_made_with_locations_and_a_repeat_makes_another(it):
    external = {"applicationGuid": GUID, "externalData": [{"key": "id", "value": "c-1"}]}
    made = await new_customer(it, externalData=external)
    [place] = made["locations"]
    assert (place["customerId"], place["contacts"][0]["value"]) == (made["id"], "217-555-0199")
    assert made["contacts"][0]["value"] == "217-555-0199", "copied from the location"
    assert made["externalData"] == [{"key": "id", "value": "c-1"}]
    again = await new_customer(it, externalData=external)
    query = {"externalDataApplicationGuid": GUID, "externalDataKey": "id"}
    found = await it.get("crm/customers", **query, externalDataValues="c-1")
    assert [row["id"] for row in found["data"]] == [made["id"], again["id"]]
    nobody = await it.api(
        "POST", "crm/customers", {"name": "X", "address": ADDRESS, "locations": []}
    )
    assert (nobody.status, list(nobody.body["errors"])) == (400, ["Locations"])


async def test_customers_are_found_by_name_phone_and_address_and_inactive_ones_when_asked(it):
    made = await new_customer(it)
    for query in ({"name": "nora"}, {"phone": "2175550199"}, {"street": "1 elm st", "unit": "2"}):
        assert [row["id"] for row in (await it.get("crm/customers", **query))["data"]] == [
            made["id"]
        ]
    await it.do("PATCH", f"crm/customers/{made['id']}", {"active": False, "doNotService": True})
    assert (await it.get("crm/customers", name="nora"))["data"] == []
    [row] = (await it.get("crm/customers", name="nora", active="Any"))["data"]
    assert row["doNotService"] is True


async def test_an_address_is_changed_whole_or_not_at_all(it):
    made = await new_customer(it)
    path = f"crm/customers/{made['id']}"
    part = {"address": {"street": "2 Oak St"}}
    assert (await it.api("PATCH", path, part)).status == 400
    whole = {"address": ADDRESS | {"street": "2 Oak St", "latitude": 39.8, "longitude": -89.6}}
    assert (await it.do("PATCH", path, whole))["address"]["street"] == "2 Oak St"


async def test_contacts_of_many_owners_need_a_filter(it):
    made = await new_customer(it)
    assert (await it.api("GET", "crm/customers/contacts")).status == 400
    rows = (await it.get("crm/customers/contacts", customerIds=made["id"]))["data"]
    assert [(row["customerId"], row["value"]) for row in rows] == [(made["id"], "217-555-0199")]
    other = (await it.get("crm/customers"))["data"][0]["id"]
    path = f"crm/customers/{other}/contacts/{rows[0]['id']}"
    assert (await it.api("PATCH", path, {"memo": "not hers"})).status == 404


async def test_a_note_of_a_customer_can_be_put_on_its_locations_too(it):
    made = await new_customer(it)
    note = {"text": "Dog", "addToLocations": True}
    await it.do("POST", f"crm/customers/{made['id']}/notes", note)
    [copy] = (await it.get(f"crm/locations/{made['locations'][0]['id']}/notes"))["data"]
    assert copy["text"] == "Dog"


async def booking(it, **changes):
    own = f"crm/booking-provider/{it.keys['booking_provider']}/bookings"
    body = {
        "source": "Hub",
        "name": "Otto Park",
        "summary": "No heat",
        "isFirstTimeClient": True,
        "externalId": "WO-9",
        "contacts": [{"type": "Email", "value": "otto@home.example"}],
    }
    made = await it.do("POST", own, body | changes)
    return made, f"{own}/{made['id']}"


async def test_a_booking_mails_its_customer_only_when_asked_to(it):
    await booking(it)
    assert it.system.kit.outbox.messages == []
    made, _ = await booking(it, isSendConfirmationEmail=True)
    [message] = it.system.kit.outbox.messages
    assert (message.to, message.about) == ("otto@home.example", f"booking {made['id']}")


async def test_people_decide_on_bookings_and_the_feed_tells(it):
    made, path = await booking(it)
    token = (await it.get("crm/export/bookings"))["continueFrom"]
    await it.act("accept_booking", bookingId=made["id"])
    assert (await it.get(path))["status"] == "Accepted"
    assert (await it.do("PATCH", path, {"summary": "No heat at all"}))[
        "summary"
    ] == "No heat at all"
    job = await it.job()
    names = "customerId locationId businessUnitId jobTypeId priority campaignId"
    body = {name: job[name] for name in names.split()}
    body["appointments"] = [{"start": at(5), "end": at(6)}]
    booked = await it.act("convert_booking", bookingId=made["id"], job=body)
    read = await it.get(path)
    assert (read["status"], read["jobId"]) == ("Converted", booked["id"])
    assert [j["id"] for j in (await it.get("jpm/jobs", bookingId=made["id"]))["data"]] == [
        booked["id"]
    ]
    assert (await it.api("PATCH", path, {"summary": "late"})).status == 409
    [row] = (await it.get("crm/export/bookings", **{"from": token}))["data"]
    assert (row["status"], row["externalId"]) == ("Converted", "WO-9")
    other, there = await booking(it)
    await it.act("dismiss_booking", bookingId=other["id"], reasonId=4)
    assert (await it.get(there))["dismissingReasonId"] == 4


async def test_a_provider_sees_its_own_bookings_and_another_is_404(it):
    _, path = await booking(it)
    other = path.replace(str(it.keys["booking_provider"]), "8")
    assert (await it.api("GET", other)).status == 404
    body = {
        "source": "x",
        "name": "x",
        "summary": "x",
        "isFirstTimeClient": True,
        "externalId": "1",
    }
    foreign = "crm/booking-provider/8/bookings"
    assert (await it.api("POST", foreign, body)).status == 404


async def test_leads_come_from_the_api_and_from_calls_that_were_not_booked(it):
    reason, campaign = it.seed["call_reasons"][0], it.seed["campaign"]
    body = {"campaignId": campaign, "summary": "Price?", "callReasonId": reason}
    lead = await it.do("POST", "crm/leads", body)
    assert (lead["status"], lead["priority"]) == ("Open", "Normal")
    called = await it.act("unbooked_call", campaignId=campaign, callReasonId=reason)
    [row] = (await it.get("crm/leads", ids=called["id"]))["data"]
    assert row["callId"]
    await it.do("POST", f"crm/leads/{lead['id']}/dismiss", {"dismissingReasonId": 3})
    assert (await it.get(f"crm/leads/{lead['id']}"))["status"] == "Dismissed"
    again = await it.api("POST", f"crm/leads/{lead['id']}/dismiss", {"dismissingReasonId": 3})
    assert again.status == 400
    assert (await it.api("POST", "crm/leads", {"summary": "x"})).status == 422
    it.system.records["campaigns"].edit(str(campaign), {"active": False}, {})
    assert (await it.api("POST", "crm/leads", body)).status == 400


async def test_a_file_goes_up_is_listed_and_comes_down_from_an_address_without_our_keys(it):
    job = await it.job()
    form = FormData()
    form.add_field("file", b"%PDF-1.7", filename="report.pdf", content_type="application/pdf")
    said = await it.api("POST", f"forms/jobs/{job['id']}/attachments", data=form)
    assert said.body == {"fileName": "report.pdf"}
    [row] = (await it.get(f"forms/jobs/{job['id']}/attachments"))["data"]
    assert row["fileName"] == "report.pdf"
    moved = await it.api("GET", f"forms/jobs/attachment/{row['id']}")
    assert moved.status == 302
    async with it.session.get(moved.headers["Location"]) as answer:
        assert (await answer.read(), answer.content_type) == (b"%PDF-1.7", "application/pdf")
    for header in ("Authorization", "ST-App-Key"):
        leak = {header: it.headers[header]}
        async with it.session.get(moved.headers["Location"], headers=leak) as answer:
            assert answer.status == 400
    async with it.session.get(moved.headers["Location"] + "x") as answer:
        assert answer.status == 403
    empty = await it.api("POST", f"forms/jobs/{job['id']}/attachments", {})
    assert (empty.status, list(empty.body["errors"])) == (400, ["file"])


async def test_an_invoice_is_posted_by_people_and_marked_as_exported_once_for_itself(it):
    job, other = await it.job(), await it.job()
    await it.act("add_item", jobId=job["id"], description="Filter", quantity=2, price="19.95")
    assert (await it.get(f"jpm/jobs/{job['id']}"))["total"] == 39.9
    await it.act("post_invoice", jobId=job["id"])
    rows = [{"invoiceId": number} for number in (job["invoiceId"], other["invoiceId"], 5)]
    said = await it.do("POST", "accounting/invoices/markasexported", rows)
    assert [row["success"] for row in said] == [True, False, False]
    assert said[1]["errorMessage"] == "Invoice is Pending; only a posted invoice can be exported."
    [invoice] = (await it.get("accounting/invoices", statuses="Exported"))["data"]
    assert (invoice["id"], invoice["total"], invoice["items"][0]["total"]) == (
        job["invoiceId"],
        "39.90",
        "39.90",
    )
    both = it.url("accounting/invoices") + "?statuses=Pending&statuses=Exported"
    async with it.session.get(both, headers=it.headers) as answer:
        rows = (await answer.json())["data"]
    assert len(rows) == len((await it.get("accounting/invoices"))["data"])
    listed = await it.api("GET", "accounting/invoices", statuses="Pending,Exported")
    assert listed.status == 400
    assert (await it.api("GET", "accounting/invoices", statuses="Paid")).status == 400


async def test_shifts_repeat_by_week_and_capacity_counts_what_is_left(it):
    first, second = it.seed["technicians"][:2]
    shift = {
        "technicianIds": [first, second],
        "shiftType": "Normal",
        "title": "Day",
        "start": at(0),
        "end": at(8),
        "repeatType": "Weekly",
        "repeatEndDate": at(24 * 14),
        "shiftDays": "Monday, Wednesday",
    }
    made = (await it.do("POST", "dispatch/technician-shifts", shift))["technicianShifts"]
    days = sorted({row["start"][:10] for row in made})
    assert days == ["2026-11-30", "2026-12-02", "2026-12-07", "2026-12-09", "2026-12-14"]
    assert len(made) == 10
    span = {"startsOnOrAfter": at(168), "endsOnOrBefore": at(176), "skillBasedAvailability": False}
    [before] = (await it.do("POST", "dispatch/capacity", span))["availabilities"]
    assert before["totalAvailability"] == 16
    visit = {"start": at(169), "end": at(171), "technicianIds": [first]}
    await it.job(appointments=[visit])
    [after] = (await it.do("POST", "dispatch/capacity", span))["availabilities"]
    assert after["openAvailability"] == before["openAvailability"] - 2
    gone = await it.do(
        "POST", "dispatch/technician-shifts/bulk-delete", {"start": at(0), "end": at(9)}
    )
    assert len(gone["deletedIds"]) == 2
    assert (
        await it.api("GET", f"dispatch/technician-shifts/{gone['deletedIds'][0]}")
    ).status == 404


async def test_an_event_that_is_no_job_has_a_duration_and_ends_as_not_there(it):
    body = {"technicianId": it.seed["technicians"][0], "start": at(3), "name": "Doctor"}
    path = "dispatch/non-job-appointments"
    assert (await it.api("POST", path, body | {"duration": "90"})).status == 400
    made = await it.do("POST", path, body | {"duration": "01:30:00", "allDay": False})
    rows = (await it.get(path, startsOnOrAfter=at(2), startsOnOrBefore=at(3)))["data"]
    assert [(row["id"], row["duration"]) for row in rows] == [(made["id"], "01:30:00")]
    await it.do("DELETE", f"{path}/{made['id']}")
    assert (await it.get(path))["data"] == []
    assert (await it.api("GET", f"{path}/{made['id']}")).status == 400


async def test_the_same_parameters_make_the_same_company():
    companies = []
    for _ in range(2):
        async with world(appointments=300, technicians=10, crew_share=0.3) as it:
            visits = list(it.system.tenant["appointments"].seen())
            crew = list(it.system.tenant["assignments"].seen())
            companies.append((visits, crew))
    assert companies[0] == companies[1]


async def test_forty_technicians_have_two_thousand_visits_and_no_two_at_once():
    async with world(appointments=2000, technicians=40, customers=100) as it:
        assert it.seed["counts"]["appointments"] == 2000
        visits = list(it.system.tenant["appointments"].seen())
        crew = list(it.system.tenant["assignments"].seen())
    starts = {row["id"]: row["start"] for row in visits}
    taken = [(row["technicianId"], starts[row["appointmentId"]]) for row in crew]
    assert len(set(taken)) == len(taken)
    assert len({technician for technician, _ in taken}) == 40
    assert 0.1 < len(crew) / len(visits) - 1 < 0.2


async def test_a_company_that_cannot_be_made_is_refused_in_a_sentence(it):
    for parameters, word in (({"appointments": 9000}, "more days"), ({"techs": 3}, "techs")):
        with pytest.raises(ValueError, match=word):
            it.system.seed(parameters)
