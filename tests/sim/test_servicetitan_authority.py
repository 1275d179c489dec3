"""The authorities: the vendor's specification, and a client library that is in use."""

import pytest
from aiohttp import FormData

from sim.servicetitan_spec import SPEC, specification
from sim.servicetitan_world import GUID, at, world
from truckroll_sim.servicetitan.system import ROUTES


def needs_spec(test):
    """Mark a test that needs the vendor's specification from the shared material."""
    absent = pytest.mark.skipif(not SPEC.exists(), reason="needs the specification")
    return pytest.mark.shared(absent(test))


def spec_path(route):
    module, _, rest = route.path.partition("/")
    path = f"/{module}/v2/tenant/{{tenant}}/{rest}".replace("{provider}", "{booking_provider}")
    return route.method, path


@needs_spec
def test_every_route_is_an_operation_of_the_specification():
    unknown = [
        spec_path(route) for route in ROUTES if spec_path(route) not in specification().operations
    ]
    assert unknown == []


@needs_spec
async def test_the_watch_sees_a_property_too_many_a_wrong_type_and_an_unknown_query():
    async with world() as it:
        spec = specification()
        campaign = it.system.tenant["campaigns"]
        row = next(campaign.seen())
        campaign.put({**row, "colour": "red", "name": 7})
        await it.api("GET", f"marketing/campaigns/{row['id']}", colour="red")
        slips, spec.slips[:] = list(spec.slips), []
    assert len(slips) == 3
    assert "colour is not known" in slips[0]
    assert any("'colour' was unexpected" in slip for slip in slips)
    assert any("7 is not of type 'string'" in slip for slip in slips)


@needs_spec
async def test_a_tour_of_every_route_keeps_to_the_specification():
    async with world() as it:
        await tour_of_jobs(it)
        await tour_of_dispatch(it)
        await tour_of_customers(it)
        await tour_of_bookings_and_leads(it)
        await tour_of_the_rest(it)
        for route in ROUTES:
            if "/export/" in route.path:
                feed = await it.get(route.path, includeRecentChanges="true")
                assert feed["continueFrom"]
        missed = {spec_path(route) for route in ROUTES} - specification().seen
    assert missed == set()


async def tour_of_jobs(it):
    external = {"applicationGuid": GUID, "externalData": [{"key": "wo", "value": "17"}]}
    fields = [{"typeId": 5, "value": "roof"}]
    job = await it.job(externalData=external, customFields=fields, customerPo="PO-1")
    number, visit = job["id"], job["firstAppointmentId"]
    query = {
        "externalDataApplicationGuid": GUID,
        "externalDataKey": "wo",
        "externalDataValues": "17",
    }
    assert [row["id"] for row in (await it.get("jpm/jobs", **query))["data"]] == [number]
    await it.get(f"jpm/jobs/{number}", externalDataApplicationGuid=GUID)
    await it.do("PATCH", f"jpm/jobs/{number}", {"priority": "High", "externalData": external})
    await it.do("POST", f"jpm/jobs/{number}/notes", {"text": "Key at the desk", "pinToTop": True})
    await it.get(f"jpm/jobs/{number}/notes")
    await it.get(f"jpm/jobs/{number}/history")
    await it.get(f"jpm/jobs/{number}/booked-log")
    second = {"jobId": number, "start": at(48), "end": at(50), "specialInstructions": "Back door"}
    second = await it.do("POST", "jpm/appointments", second)
    await it.get("jpm/appointments", jobId=number, startsOnOrAfter=at(1), includeTotal="true")
    await it.get(f"jpm/appointments/{visit}")
    await it.do("PATCH", f"jpm/appointments/{visit}/reschedule", {"start": at(25), "end": at(27)})
    text = {"specialInstructions": "Ring twice"}
    await it.do("PUT", f"jpm/appointments/{visit}/special-instructions", text)
    await it.do("PUT", f"jpm/appointments/{visit}/confirmation")
    await it.do("DELETE", f"jpm/appointments/{visit}/confirmation")
    reason = {"reasonId": it.seed["hold_reasons"][0], "memo": "parts"}
    await it.do("PUT", f"jpm/appointments/{visit}/hold", reason)
    await it.do("DELETE", f"jpm/appointments/{visit}/hold")
    await it.do("DELETE", f"jpm/appointments/{second['id']}")
    await it.do("PUT", f"jpm/jobs/{number}/hold", reason)
    cancel = {"reasonId": it.seed["cancel_reasons"][0], "memo": "moved away"}
    await it.do("PUT", f"jpm/jobs/{number}/cancel", cancel)
    await it.get("jpm/jobs/cancel-reasons", ids=number)
    await it.get(f"jpm/jobs/{number}/canceled-log")
    await it.do("PUT", f"jpm/jobs/{number}/remove-cancellation")
    await it.do("PUT", f"jpm/jobs/{number}/complete", {"completedOn": at(27)})
    kind = await it.do("POST", "jpm/job-types", {"name": "Inspection", "duration": 1800})
    await it.do("PATCH", f"jpm/job-types/{kind['id']}", {"duration": 2700})
    await it.get(f"jpm/job-types/{kind['id']}")
    for path in ("job-types", "job-cancel-reasons", "job-hold-reasons"):
        await it.get(f"jpm/{path}", active="Any")


async def tour_of_dispatch(it):
    job = await it.job()
    crew = {"jobAppointmentId": job["firstAppointmentId"]}
    third, first = it.seed["technicians"][2], it.seed["technicians"][0]
    await it.do(
        "POST",
        "dispatch/appointment-assignments/assign-technicians",
        crew | {"technicianIds": [third]},
    )
    await it.do(
        "POST",
        "dispatch/appointment-assignments/unassign-technicians",
        crew | {"technicianIds": [first]},
    )
    await it.get(
        "dispatch/appointment-assignments", jobId=job["id"], active="Any", sort="-ModifiedOn"
    )
    event = {"technicianId": first, "start": at(30), "duration": "01:30:00", "name": "Training"}
    made = await it.do(
        "POST", "dispatch/non-job-appointments", event | {"allDay": False, "repeat": False}
    )
    await it.get(f"dispatch/non-job-appointments/{made['id']}")
    await it.get("dispatch/non-job-appointments", technicianId=first)
    await it.do("PUT", f"dispatch/non-job-appointments/{made['id']}", event | {"name": "Doctor"})
    await it.do("DELETE", f"dispatch/non-job-appointments/{made['id']}")
    shift = {
        "technicianIds": [first],
        "shiftType": "Normal",
        "title": "Day",
        "start": at(20),
        "end": at(28),
    }
    shifts = await it.do(
        "POST",
        "dispatch/technician-shifts",
        shift | {"repeatType": "Daily", "repeatEndDate": at(92)},
    )
    assert len(shifts["technicianShifts"]) == 4
    number = shifts["technicianShifts"][0]["id"]
    await it.get(f"dispatch/technician-shifts/{number}")
    await it.get("dispatch/technician-shifts", technicianId=first, shiftType="Normal")
    await it.do("PATCH", f"dispatch/technician-shifts/{number}", {"title": "Early"})
    span = {"startsOnOrAfter": at(20), "endsOnOrBefore": at(28), "skillBasedAvailability": False}
    await it.do("POST", "dispatch/capacity", span)
    await it.do("DELETE", f"dispatch/technician-shifts/{number}")
    await it.do("POST", "dispatch/technician-shifts/bulk-delete", {"start": at(0), "end": at(200)})


ADDRESS = {
    "street": "1 Elm St",
    "unit": "2",
    "city": "Springfield",
    "state": "IL",
    "zip": "62701",
    "country": "USA",
}


async def tour_of_customers(it):
    phone = {"type": "MobilePhone", "value": "2175550199", "memo": "after five"}
    place = {"name": "Roof", "address": ADDRESS, "contacts": [phone]}
    body = {"name": "Nora Lund", "address": ADDRESS, "locations": [place], "type": "Residential"}
    customer = await it.do("POST", "crm/customers", body)
    place = await it.do("POST", "crm/locations", place | {"customerId": customer["id"]})
    for kind, number in (("customers", customer["id"]), ("locations", place["id"])):
        await it.get(f"crm/{kind}/{number}")
        await it.get(f"crm/{kind}", active="Any", zip="62701", sort="+ModifiedOn")
        await it.do("PATCH", f"crm/{kind}/{number}", {"name": "Nora Lund-Fox"})
        made = await it.do(
            "POST", f"crm/{kind}/{number}/contacts", {"type": "Email", "value": "n@home.example"}
        )
        await it.get(f"crm/{kind}/{number}/contacts")
        await it.do("PATCH", f"crm/{kind}/{number}/contacts/{made['id']}", {"memo": "work"})
        await it.get(f"crm/{kind}/contacts", modifiedOnOrAfter=at(-1))
        await it.do("DELETE", f"crm/{kind}/{number}/contacts/{made['id']}")
        note = await it.do("POST", f"crm/{kind}/{number}/notes", {"text": "Dog"})
        await it.get(f"crm/{kind}/{number}/notes")
        await it.do("DELETE", f"crm/{kind}/{number}/notes/{note['id']}")


async def tour_of_bookings_and_leads(it):
    own = f"crm/booking-provider/{it.keys['booking_provider']}/bookings"
    body = {
        "source": "Hub",
        "name": "Otto Park",
        "summary": "No heat",
        "isFirstTimeClient": True,
        "externalId": "WO-9",
        "campaignId": it.seed["campaign"],
        "address": ADDRESS,
        "contacts": [{"type": "Phone", "value": "2175550111"}],
    }
    booking = await it.do("POST", own, body)
    path = f"{own}/{booking['id']}"
    await it.do("PATCH", path, {"summary": "No heat upstairs", "address": ADDRESS})
    await it.get(path)
    await it.get(own, externalId="WO-9")
    contact = await it.do("POST", f"{path}/contacts", {"type": "Email", "value": "o@home.example"})
    await it.do("PATCH", f"{path}/contacts/{contact['id']}", {"memo": "home"})
    await it.get(f"{path}/contacts")
    await it.do("DELETE", f"{path}/contacts/{contact['id']}")
    await it.get("crm/bookings", externalId="WO-9")
    await it.get(f"crm/bookings/{booking['id']}")
    await it.get(f"crm/bookings/{booking['id']}/contacts")
    await it.get("jbce/call-reasons")
    lead = {
        "campaignId": it.seed["campaign"],
        "summary": "Wants a price",
        "callReasonId": it.seed["call_reasons"][0],
    }
    lead = await it.do("POST", "crm/leads", lead)
    await it.get(f"crm/leads/{lead['id']}")
    await it.get("crm/leads", status="Open")
    await it.do("PATCH", f"crm/leads/{lead['id']}", {"priority": "High"})
    await it.do(
        "POST", f"crm/leads/{lead['id']}/follow-up", {"followUpDate": at(48), "text": "Call"}
    )
    await it.do("POST", f"crm/leads/{lead['id']}/notes", {"text": "Called"})
    await it.get(f"crm/leads/{lead['id']}/notes")
    await it.do("POST", f"crm/leads/{lead['id']}/dismiss", {"dismissingReasonId": 3})


async def tour_of_the_rest(it):
    job = (await it.get("jpm/jobs"))["data"][0]
    await it.act("add_item", jobId=job["id"], description="Filter", quantity=2, price="19.95")
    await it.act("post_invoice", jobId=job["id"])
    await it.get("accounting/invoices", statuses="Posted", jobId=job["id"])
    await it.do(
        "POST",
        "accounting/invoices/markasexported",
        [{"invoiceId": job["invoiceId"], "externalId": "X1"}],
    )
    for path in ("technicians", "employees", "business-units"):
        [row] = (await it.get(f"settings/{path}", pageSize=1))["data"]
        await it.get(f"settings/{path}/{row['id']}")
    await it.get("settings/tag-types")
    category = await it.do("POST", "marketing/categories", {"name": "Partners"})
    await it.get("marketing/categories")
    body = {
        "name": "Hub",
        "businessUnitId": it.seed["business_units"][0],
        "categoryId": category["id"],
        "active": True,
    }
    campaign = await it.do("POST", "marketing/campaigns", body)
    await it.get(f"marketing/campaigns/{campaign['id']}")
    await it.get("marketing/campaigns")
    await it.do("PATCH", f"marketing/campaigns/{campaign['id']}", body | {"active": False})
    made = await it.act("attach", jobId=job["id"], fileName="photo.txt", text="a picture")
    await it.get(f"forms/jobs/{job['id']}/attachments")
    assert (await it.api("GET", f"forms/jobs/attachment/{made['id']}")).status == 302
    form = FormData()
    form.add_field("file", b"%PDF", filename="report.pdf", content_type="application/pdf")
    said = await it.api("POST", f"forms/jobs/{job['id']}/attachments", data=form)
    assert (said.status, said.body) == (200, {"fileName": "report.pdf"})
