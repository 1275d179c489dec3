"""Jobs, appointments and assignments: what may be done with them, and what that does."""

import pytest

from sim.servicetitan_world import at, world

CREW = "dispatch/appointment-assignments"


@pytest.fixture
async def it():
    async with world() as it:
        yield it


async def refused(it, status, method, path, body=None):
    said = await it.api(method, path, body)
    assert said.status == status, said.body
    return said.body


async def test_a_job_is_booked_with_visits_crew_and_an_invoice_and_without_a_booking(it):
    first, second, third = it.seed["technicians"][:3]
    visits = [
        {"start": at(72), "end": at(74), "technicianIds": [third]},
        {"start": at(24), "end": "2026-12-01T08:00:00-06:00", "technicianIds": [first, second]},
    ]
    job = await it.job(appointments=visits)
    assert (job["jobStatus"], job["appointmentCount"], job["bookingId"]) == ("Scheduled", 2, None)
    assert job["jobNumber"] == str(job["id"])
    early = await it.get(f"jpm/appointments/{job['firstAppointmentId']}")
    late = await it.get(f"jpm/appointments/{job['lastAppointmentId']}")
    assert (early["start"], early["end"]) == ("2026-12-01T12:00:00Z", "2026-12-01T14:00:00Z")
    assert late["start"] == "2026-12-03T12:00:00Z"
    assert {early["appointmentNumber"], late["appointmentNumber"]} == {
        f"{job['jobNumber']}-1",
        f"{job['jobNumber']}-2",
    }
    crew = (await it.get(CREW, appointmentIds=early["id"]))["data"]
    assert [row["technicianId"] for row in crew] == [first, second]
    [invoice] = (await it.get("accounting/invoices", ids=job["invoiceId"]))["data"]
    assert (invoice["job"]["id"], invoice["syncStatus"]) == (job["id"], "Pending")
    history = (await it.get(f"jpm/jobs/{job['id']}/history"))["history"]
    assert [line["eventType"] for line in history] == ["Job Booked"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"customerId": 1}, "CustomerId"),
        ({"locationId": 1}, "LocationId"),
        ({"jobTypeId": 1}, "JobTypeId"),
        ({"campaignId": 1}, "CampaignId"),
        ({"priority": "Soon"}, "priority"),
        ({"appointments": []}, "Appointments"),
        ({"appointments": [{"start": at(2), "end": at(1)}]}, "End"),
        (
            {"appointments": [{"start": "2026-12-01T08:00:00", "end": at(1)}]},
            "appointments[0].start",
        ),
        ({"appointments": [{"start": at(1), "end": at(2), "technicianIds": [5]}]}, "TechnicianIds"),
        ({"tagTypeIds": [1]}, "TagTypeIds"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_job_that_does_not_fit_is_a_400_that_names_the_field_and_makes_nothing(
    it, change, field
):
    good = await it.job()
    names = "customerId locationId businessUnitId jobTypeId priority campaignId"
    body = {name: good[name] for name in names.split()}
    body["appointments"] = [{"start": at(1), "end": at(2)}]
    before = len(it.system.tenant["appointments"])
    said = await refused(it, 400, "POST", "jpm/jobs", body | change)
    assert list(said["errors"]) == [field]
    assert len(it.system.tenant["appointments"]) == before


async def test_a_job_without_a_campaign_is_422_and_with_an_inactive_one_400(it):
    good = await it.job()
    names = "customerId locationId businessUnitId jobTypeId priority"
    body = {name: good[name] for name in names.split()}
    body["appointments"] = [{"start": at(1), "end": at(2)}]
    await refused(it, 422, "POST", "jpm/jobs", body)
    campaign = it.seed["campaign"]
    it.system.records["campaigns"].edit(str(campaign), {"active": False}, {})
    said = await refused(it, 400, "POST", "jpm/jobs", body | {"campaignId": campaign})
    assert list(said["errors"]) == ["CampaignId"]
    assert (await it.get(f"marketing/campaigns/{campaign}"))["active"] is False


async def test_a_location_of_somebody_else_is_refused(it):
    places = (await it.get("crm/locations"))["data"]
    job = await it.job()
    await refused(it, 400, "PATCH", f"jpm/jobs/{job['id']}", {"locationId": places[1]["id"]})
    both = {"locationId": places[1]["id"], "customerId": places[1]["customerId"]}
    assert (await it.do("PATCH", f"jpm/jobs/{job['id']}", both))["locationId"] == places[1]["id"]


async def test_a_patch_that_says_nothing_new_changes_nothing(it):
    job = await it.job()
    it.later(60)
    again = {"priority": job["priority"], "summary": job["summary"]}
    assert (await it.do("PATCH", f"jpm/jobs/{job['id']}", again))["modifiedOn"] == job["modifiedOn"]
    other = await it.do("PATCH", f"jpm/jobs/{job['id']}", {"priority": "Urgent"})
    assert other["modifiedOn"] > job["modifiedOn"]


async def test_a_reschedule_is_partial_and_refused_once_somebody_works(it):
    job = await it.job()
    path = f"jpm/appointments/{job['firstAppointmentId']}"
    moved = await it.do("PATCH", f"{path}/reschedule", {"start": at(25)})
    assert (moved["start"], moved["end"]) == ("2026-12-01T13:00:00Z", "2026-12-01T14:00:00Z")
    window = {"arrivalWindowStart": at(25), "arrivalWindowEnd": at(26)}
    assert (await it.do("PATCH", f"{path}/reschedule", window))["start"] == moved["start"]
    half = {"arrivalWindowStart": None}
    await refused(it, 400, "PATCH", f"{path}/reschedule", half)
    await refused(it, 400, "PATCH", f"{path}/reschedule", {"end": at(1)})
    await it.act("arrive", appointmentId=job["firstAppointmentId"])
    await refused(it, 409, "PATCH", f"{path}/reschedule", {"start": at(24)})
    await refused(it, 404, "PATCH", "jpm/appointments/5/reschedule", {"start": at(24)})


async def test_assign_adds_to_those_present_and_conflicts_are_409(it):
    first, second, third, fourth = it.seed["technicians"]
    job = await it.job()
    visit = {"jobAppointmentId": job["firstAppointmentId"]}
    before = await it.get(f"jpm/appointments/{job['firstAppointmentId']}")
    it.later(60)
    shown = await it.do("POST", f"{CREW}/assign-technicians", visit | {"technicianIds": [third]})
    assert (shown["id"], shown["modifiedOn"]) == (before["id"], before["modifiedOn"])
    crew = (await it.get(CREW, jobId=job["id"]))["data"]
    assert [row["technicianId"] for row in crew] == [first, second, third]
    both = visit | {"technicianIds": [third, fourth]}
    said = await refused(it, 409, "POST", f"{CREW}/assign-technicians", both)
    assert "Already assigned" in said["title"]
    assert len((await it.get(CREW, jobId=job["id"]))["data"]) == 3
    await it.do("POST", f"{CREW}/unassign-technicians", visit | {"technicianIds": [first]})
    await refused(
        it, 400, "POST", f"{CREW}/unassign-technicians", visit | {"technicianIds": [first]}
    )
    rows = (await it.get(CREW, jobId=job["id"], active="Any"))["data"]
    assert [(row["technicianId"], row["active"]) for row in rows] == [
        (first, False),
        (second, True),
        (third, True),
    ]


async def test_nobody_is_assigned_to_a_visit_that_is_over_or_taken_off_one_that_was_begun(it):
    first, _, third = it.seed["technicians"][:3]
    job = await it.job()
    visit = {"jobAppointmentId": job["firstAppointmentId"]}
    await it.act("arrive", appointmentId=job["firstAppointmentId"])
    gone = visit | {"technicianIds": [first]}
    await refused(it, 400, "POST", f"{CREW}/unassign-technicians", gone)
    await it.act("done", appointmentId=job["firstAppointmentId"])
    more = visit | {"technicianIds": [third]}
    said = await refused(it, 409, "POST", f"{CREW}/assign-technicians", more)
    assert said["title"] == "Appointment is Done, technicians cannot be assigned."
    await refused(it, 400, "POST", f"{CREW}/assign-technicians", visit | {"technicianIds": []})
    await refused(it, 400, "POST", f"{CREW}/assign-technicians", more | {"jobAppointmentId": 5})


async def test_the_technicians_day_moves_assignment_visit_and_job(it):
    first, second = it.seed["technicians"][:2]
    job = await it.job()
    visit, path = job["firstAppointmentId"], f"jpm/jobs/{job['id']}"

    async def states():
        crew = (await it.get(CREW, appointmentIds=visit))["data"]
        appointment = await it.get(f"jpm/appointments/{visit}")
        status = (await it.get(path))["jobStatus"]
        return [row["status"] for row in crew], appointment["status"], status

    await it.act("dispatch", appointmentId=visit, technicianId=first)
    assert await states() == (["Dispatched", "Scheduled"], "Dispatched", "Dispatched")
    await it.act("arrive", appointmentId=visit, technicianId=first)
    assert await states() == (["Working", "Scheduled"], "Working", "InProgress")
    await it.act("pause", appointmentId=visit, technicianId=first)
    assert [row["isPaused"] for row in (await it.get(CREW, jobId=job["id"]))["data"]] == [
        True,
        False,
    ]
    await it.act("resume", appointmentId=visit, technicianId=first)
    await it.act("done", appointmentId=visit, technicianId=first)
    assert await states() == (["Done", "Scheduled"], "Scheduled", "Scheduled")
    await it.act("arrive", appointmentId=visit, technicianId=second)
    it.later(3600)
    await it.sign_in()
    await it.act("done", appointmentId=visit, technicianId=second)
    assert await states() == (["Done", "Done"], "Done", "Completed")
    assert (await it.get(path))["completedOn"] == at(1)
    events = [line["eventType"] for line in (await it.get(f"{path}/history"))["history"]]
    assert events == [
        "Job Booked",
        "Technician Dispatched",
        "Technician Arrived",
        "Technician Paused",
        "Technician Resumed",
        "Technician Done",
        "Technician Arrived",
        "Technician Done",
        "Job Completed",
    ]


async def test_hold_and_unhold_of_one_visit_and_of_the_job(it):
    job = await it.job()
    visit, reason = job["firstAppointmentId"], {"reasonId": it.seed["hold_reasons"][0], "memo": "x"}
    path = f"jpm/appointments/{visit}"
    await refused(it, 409, "DELETE", f"{path}/hold")
    await it.do("PUT", f"{path}/hold", reason)
    assert (await it.get(path))["status"] == "Hold"
    assert (await it.get(f"jpm/jobs/{job['id']}"))["jobStatus"] == "Hold"
    await refused(it, 409, "PUT", f"{path}/hold", reason)
    await it.do("DELETE", f"{path}/hold")
    assert (await it.get(path))["status"] == "Scheduled"
    await refused(it, 400, "PUT", f"{path}/hold", reason | {"reasonId": 1})
    await it.do("PUT", f"jpm/jobs/{job['id']}/hold", reason)
    assert (await it.get(path))["status"] == "Hold"
    await refused(it, 400, "PUT", f"jpm/jobs/{job['id']}/hold", reason)


async def test_a_cancelled_job_takes_its_visits_along_and_comes_back(it):
    job = await it.job()
    path, visit = f"jpm/jobs/{job['id']}", f"jpm/appointments/{job['firstAppointmentId']}"
    body = {"reasonId": it.seed["cancel_reasons"][0], "memo": "moved away"}
    await it.do("PUT", f"{path}/cancel", body)
    assert (await it.get(path))["jobStatus"] == "Canceled"
    assert (await it.get(visit))["status"] == "Canceled"
    await refused(it, 400, "PUT", f"{path}/cancel", body)
    await refused(it, 409, "PATCH", f"{visit}/reschedule", {"start": at(24)})
    await refused(it, 409, "PUT", f"{path}/complete", {"completedOn": at(0)})
    [log] = (await it.get(f"{path}/canceled-log"))["data"]
    assert (log["memo"], log["active"]) == ("moved away", True)
    await it.do("PUT", f"{path}/remove-cancellation")
    assert (await it.get(path))["jobStatus"] == "Scheduled"
    assert (await it.get(visit))["status"] == "Scheduled"
    await refused(it, 400, "PUT", f"{path}/remove-cancellation")


async def test_only_a_visit_that_is_neither_begun_nor_the_last_can_be_deleted(it):
    job = await it.job()
    first = f"jpm/appointments/{job['firstAppointmentId']}"
    await refused(it, 409, "DELETE", first)
    second = await it.do(
        "POST", "jpm/appointments", {"jobId": job["id"], "start": at(48), "end": at(49)}
    )
    assert (await it.get(f"jpm/jobs/{job['id']}"))["appointmentCount"] == 2
    await it.act("arrive", appointmentId=job["firstAppointmentId"])
    await refused(it, 409, "DELETE", first)
    await it.do("DELETE", f"jpm/appointments/{second['id']}")
    await refused(it, 404, "GET", f"jpm/appointments/{second['id']}")
    assert (await it.get("jpm/appointments", ids=second["id"]))["data"] == []
    assert (await it.get(f"jpm/jobs/{job['id']}"))["appointmentCount"] == 1


async def test_completing_needs_a_technician_and_leaves_visits_without_one_unused(it):
    job = await it.job(appointments=[{"start": at(24), "end": at(25)}])
    path = f"jpm/jobs/{job['id']}"
    await refused(it, 409, "PUT", f"{path}/complete", {"completedOn": at(25)})
    more = {"jobId": job["id"], "start": at(48), "end": at(49)}
    await it.do("POST", "jpm/appointments", more | {"technicianIds": it.seed["technicians"][:1]})
    await it.do("PUT", f"{path}/complete", {"completedOn": at(49)})
    assert (await it.get(path))["completedOn"] == at(49)
    rows = (await it.get("jpm/appointments", jobId=job["id"]))["data"]
    assert {row["start"]: row["unused"] for row in rows} == {at(24): True, at(48): False}
    unused = (await it.get("jpm/jobs", hasUnusedAppointments="true"))["data"]
    assert [row["id"] for row in unused] == [job["id"]]
    await refused(it, 409, "POST", "jpm/appointments", more)


async def test_confirmation_and_instructions(it):
    job = await it.job()
    path = f"jpm/appointments/{job['firstAppointmentId']}"
    await it.do("PUT", f"{path}/confirmation")
    text = {"specialInstructions": "Back door"}
    shown = await it.do("PUT", f"{path}/special-instructions", text)
    assert (shown["isConfirmed"], shown["specialInstructions"]) == (True, "Back door")
    await it.do("DELETE", f"{path}/confirmation")
    assert (await it.get(path))["isConfirmed"] is False


async def test_nobody_is_told_unless_a_test_wants_the_worst(it):
    job = await it.job()
    path = f"jpm/appointments/{job['firstAppointmentId']}/reschedule"
    await it.do("PATCH", path, {"start": at(25)})
    assert it.system.kit.outbox.messages == []
    await it.act("habits", assumed_notices=True)
    await it.do("PATCH", path, {"start": at(25, 30)})
    told = {(one.channel, one.why) for one in it.system.kit.outbox.messages}
    assert told == {
        ("email", "appointment moved (assumed)"),
        ("text", "appointment moved (assumed)"),
    }


async def test_the_office_books_moves_and_replaces_the_crew(it):
    job = await it.job()
    visit = job["firstAppointmentId"]
    await it.act("reschedule", appointmentId=visit, start=at(30), end=at(31))
    assert (await it.get(f"jpm/appointments/{visit}"))["start"] == at(30)
    third = it.seed["technicians"][2]
    await it.act("assign", appointmentId=visit, technicianIds=[third])
    crew = (await it.get(CREW, appointmentIds=visit))["data"]
    assert [row["technicianId"] for row in crew] == [third]
    await it.act("cancel", jobId=job["id"], memo="caller changed her mind")
    assert (await it.get(f"jpm/jobs/{job['id']}"))["jobStatus"] == "Canceled"


async def test_an_act_that_cannot_be_is_told_in_a_sentence(it):
    address = f"{it.box.address}/_sim/servicetitan/acts/arrive"
    for body, status in (
        ({"appointmentId": 5}, 404),
        ({"appointmentId": 0, "technicianId": 1}, 404),
    ):
        async with it.session.post(address, json=body) as answer:
            assert (answer.status, "was not found" in (await answer.json())["error"]) == (
                status,
                True,
            )
    job = await it.job()
    await it.act("cancel", jobId=job["id"])
    async with it.session.post(
        address, json={"appointmentId": job["firstAppointmentId"]}
    ) as answer:
        assert answer.status == 400
