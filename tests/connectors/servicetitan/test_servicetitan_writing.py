"""Writing to a simulated tenant: each call, what it does not touch, and what half a change says."""

from datetime import date

import msgspec
import pytest

from connectors.servicetitan.deeds import (
    APPOINTMENTS,
    WHEN,
    change,
    create,
    draft,
    read,
    refused,
    visit_of,
    writes,
)
from connectors.servicetitan.world import session_of
from contract.sentences import assert_sentence
from truckroll.kit.contract import Change, Missing, Removal
from truckroll.kit.errors import Gone, HoldRecord, OutcomeUnknown, Replan, RetryLater
from truckroll.model.records import Address
from truckroll.model.time import AllDay, Rule, wall
from truckroll_sim.kit.faults import Fault


async def test_a_moved_visit_takes_its_arrival_window_along(stay, company):
    id_ = visit_of(company.job())
    before = dict(company.row("appointments", id_))
    reply = await change(stay, id_, when=WHEN)
    after = company.row("appointments", id_)
    assert (after["start"], after["end"]) == (WHEN.begins, WHEN.ends)
    moved = after["start"] - before["start"]
    for name in ("arrivalWindowStart", "arrivalWindowEnd"):
        assert after[name] - before[name] == moved
    assert reply.seen.fields["when"] == WHEN
    assert writes(company) == ["PATCH reschedule"]


async def test_technicians_are_replaced_without_a_moment_without_any(stay, company):
    ana, ben, carla = company.technicians
    id_ = visit_of(company.job(crew=[ana["id"], ben["id"]]))
    asked = (f"{ben['name']} <{ben['email']}>", carla["email"])
    reply = await change(stay, id_, people=asked)
    assert {one["technicianId"] for one in company.crew(id_)} == {ben["id"], carla["id"]}
    assert writes(company) == ["POST assign-technicians", "POST unassign-technicians"]
    assert set(reply.seen.fields["people"]) == {
        f"{one['name']} <{one['email']}>" for one in (ben, carla)
    }
    await change(stay, id_, people=(ana["name"].upper(),))
    assert [one["technicianId"] for one in company.crew(id_)] == [ana["id"]]
    await change(stay, id_, people=())
    assert company.crew(id_) == []


async def test_somebody_who_is_assigned_already_is_no_conflict(stay, company):
    ana = company.technicians[0]
    id_ = visit_of(company.job())
    calls = company.system.kit.calls
    path = f"/dispatch/v2/tenant/{company.tenant.number}/appointment-assignments"
    seen = await read(stay, id_)

    def beaten(call, _):
        # Somebody in the office assigns just after the hub looked who is assigned.
        if call.path == path and not company.crew(id_):
            company.act("assign", appointmentId=int(id_), technicianIds=[ana["id"]])

    company.system.kit.watchers.append(beaten)
    asked = Change(id_, seen.version, {"people": (ana["name"],)}, seen.fields, seen.raw)
    reply = await APPOINTMENTS.update(stay.session, stay.scope, asked)
    assert [call.status for call in calls if call.path.endswith("assign-technicians")] == [409]
    assert reply.seen.fields["people"] == (f"{ana['name']} <{ana['email']}>",)


async def test_somebody_who_is_taken_off_already_is_no_failure(stay, company):
    ana = company.technicians[0]
    id_ = visit_of(company.job(crew=[ana["id"]]))
    path = f"/dispatch/v2/tenant/{company.tenant.number}/appointment-assignments"
    seen = await read(stay, id_)

    def beaten(call, _):
        if call.path == path and company.crew(id_):
            company.act("assign", appointmentId=int(id_), technicianIds=[])

    company.system.kit.watchers.append(beaten)
    asked = Change(id_, seen.version, {"people": ()}, seen.fields, seen.raw)
    reply = await APPOINTMENTS.update(stay.session, stay.scope, asked)
    refusals = [c for c in company.system.kit.calls if c.path.endswith("unassign-technicians")]
    assert [call.status for call in refusals] == [400]
    assert reply.seen.fields["people"] == ()


async def test_a_technician_who_has_arrived_stays(stay, company):
    ana = company.technicians[0]
    id_ = visit_of(company.job(crew=[ana["id"]]))
    company.act("arrive", appointmentId=int(id_))
    says, _ = await refused(stay, id_, people=())
    assert "already arrived" in says


@pytest.mark.parametrize("act", ["dispatch", "arrive", "done"])
async def test_a_visit_that_is_under_way_is_not_set_back(stay, company, act):
    id_ = visit_of(company.job(crew=[company.technicians[0]["id"]]))
    for name in ["arrive", "done"] if act == "done" else [act]:
        company.act(name, appointmentId=int(id_))
    for status in ("scheduled", "confirmed"):
        says, calls = await refused(stay, id_, status=status)
        assert "technicians" in says
        assert calls == []


async def test_people_who_are_no_technician_or_two_are_held(stay, company):
    ana, ben = company.technicians[:2]
    id_ = visit_of(company.job(crew=[ana["id"]]))
    says, calls = await refused(stay, id_, people=("Zoe Nobody",), when=WHEN)
    assert '"Zoe Nobody"' in says
    assert calls == []
    company.edit("technicians", ben["id"], name=ana["name"])
    says, _ = await refused(stay, id_, people=(ana["name"],))
    assert "2 active technicians" in says


async def test_the_reply_to_an_assignment_is_true_although_the_list_lags(stay, company):
    ana, ben = company.technicians[:2]
    id_ = visit_of(company.job(crew=[ana["id"]]))
    company.box.clock.advance(300)
    company.system.kit.faults.add(Fault(kind="stale", seconds=180))
    reply = await change(stay, id_, people=(ben["name"],))
    assert reply.seen.fields["people"] == (f"{ben['name']} <{ben['email']}>",)
    company.system.kit.faults.clear()
    late = await read(stay, id_)
    assert (late.fields, late.version) == (reply.seen.fields, reply.seen.version)


async def test_instructions_are_the_visit_s_and_the_summary_the_job_s(stay, company):
    id_ = visit_of(company.job("<p>AC not cooling</p><p>Roof, unit 3</p>"))
    reply = await change(stay, id_, notes="Roof, unit 3\n\nGate 4")
    assert company.row("appointments", id_)["specialInstructions"] == "Gate 4"
    assert reply.seen.fields["notes"] == "Roof, unit 3\n\nGate 4"
    assert writes(company) == ["PUT special-instructions"]
    says, calls = await refused(stay, id_, notes="Gate 5")
    assert "summary" in says
    assert calls == []


async def test_a_visit_is_confirmed_held_and_released(stay, company):
    id_ = visit_of(company.job())
    for status in ("confirmed", "paused", "confirmed", "paused", "scheduled", "confirmed"):
        reply = await change(stay, id_, status=status)
        assert reply.seen.fields["status"] == status
    row = company.row("appointments", id_)
    assert (row["status"], row["isConfirmed"]) == ("Scheduled", True)
    reply = await change(stay, id_, status="tentative")
    assert reply.seen.fields["status"] == "scheduled"


@pytest.mark.parametrize("status", ["working", "on_the_way", "done", "Parked"])
async def test_what_only_technicians_set_is_held(stay, company, status):
    says, calls = await refused(stay, visit_of(company.job()), status=status)
    assert "technicians" in says
    assert calls == []


async def test_the_only_visit_is_cancelled_with_its_job_once(stay, company):
    job = company.job()
    id_ = visit_of(job)
    reply = await change(stay, id_, APPOINTMENTS.cancel)
    assert reply.seen.fields["status"] == "cancelled"
    assert company.row("jobs", job["id"])["jobStatus"] == "Canceled"
    (log,) = company.tenant["canceled_logs"].having("jobId", job["id"])
    assert log["reasonId"] == company.made["cancel_reasons"][0]
    again = await change(stay, id_, APPOINTMENTS.cancel)
    assert again.seen == reply.seen
    assert writes(company) == ["PUT cancel"]
    back = await change(stay, id_, status="confirmed")
    assert back.seen.fields["status"] == "confirmed"
    assert company.row("jobs", job["id"])["jobStatus"] == "Scheduled"


async def test_one_visit_of_several_is_deleted_and_the_others_stay(stay, company):
    job = company.job(visits=2)
    id_ = str(job["lastAppointmentId"])
    says, calls = await refused(stay, id_, status="cancelled")
    assert "one of 2 visits" in says
    assert calls == []
    reply = await change(stay, id_, APPOINTMENTS.cancel)
    assert reply.seen.fields["status"] == "cancelled"
    assert await read(stay, id_) == Missing(id_)
    assert company.row("appointments", visit_of(job))["status"] == "Scheduled"
    assert company.row("jobs", job["id"])["jobStatus"] == "Scheduled"


async def take_out(stay, id_, version=None):
    removal = Removal(id_, version or (await read(stay, id_)).version)
    await APPOINTMENTS.remove(stay.session, stay.scope, removal)


async def test_what_is_taken_out_is_gone_until_the_office_restores_it(stay, company):
    made = await create(stay, draft())
    cursor = (await stay.list()).cursor
    await take_out(stay, made.id)
    job = company.job_of(made.id)
    assert job["jobStatus"] == "Canceled"
    read_back = await stay.list(cursor)
    assert read_back.missing == {made.id}
    assert await read(stay, made.id) == Missing(made.id)
    assert await APPOINTMENTS.find(stay.session, stay.scope, draft().mark) is None
    calls = len(writes(company))
    await take_out(stay, made.id, made.seen.version)
    assert len(writes(company)) == calls
    quiet = await stay.list(read_back.cursor)
    assert quiet.items == []
    company.tenant.edit("jobs", job["id"], _canceled=False)
    company.edit("appointments", made.id, status="Scheduled")
    company.edit("jobs", job["id"], jobStatus="Scheduled")
    again = await stay.list(quiet.cursor)
    assert set(again.seen) == {made.id}


async def test_one_visit_of_several_is_taken_out_alone(stay, company):
    job = company.job(visits=2)
    await take_out(stay, str(job["firstAppointmentId"]))
    assert [str(row["id"]) for row in company.visits()] == [str(job["lastAppointmentId"])]
    assert company.row("jobs", job["id"])["jobStatus"] == "Scheduled"


async def test_a_visit_that_changed_meanwhile_is_not_taken_out(stay, company):
    id_ = visit_of(company.job())
    version = (await read(stay, id_)).version
    company.title(id_, "AC dead")
    with pytest.raises(Replan) as caught:
        await take_out(stay, id_, version)
    assert_sentence(caught.value.says)
    assert writes(company) == []


async def test_without_a_note_the_job_is_cancelled_all_the_same(stay, company):
    id_ = visit_of(company.job())
    company.system.kit.faults.add(Fault(kind="status", status=409, method="PATCH"))
    await take_out(stay, id_)
    assert (await read(stay, id_)).fields["status"] == "cancelled"


async def test_reasons_are_named_or_asked_for(stay, company):
    name = company.row("cancel_reasons", company.made["cancel_reasons"][1])["name"]
    settings = {**stay.session.settings, "cancel_reason": name.upper(), "hold_reason": ""}
    async with session_of(settings) as session:
        stay.session = session
        job = company.job()
        says, calls = await refused(stay, visit_of(job), status="paused")
        assert "hold_reason" in says
        assert calls == []
        await change(stay, visit_of(job), APPOINTMENTS.cancel)
        (log,) = company.tenant["canceled_logs"].having("jobId", job["id"])
        assert log["reasonId"] == company.made["cancel_reasons"][1]


@pytest.mark.parametrize(
    "when",
    [
        AllDay(date(2099, 3, 4), date(2099, 3, 5)),
        msgspec.structs.replace(WHEN, rule=Rule(("FREQ=DAILY;COUNT=3",))),
    ],
)
async def test_times_that_a_visit_cannot_have_are_held(stay, company, when):
    says, calls = await refused(stay, visit_of(company.job()), when=when, title="Ours")
    assert "visits" in says
    assert calls == []


async def test_a_visit_stays_with_its_job_customer_and_location(stay, company):
    job = company.job()
    id_ = visit_of(job)
    seen = await read(stay, id_)
    same = {name: seen.fields[name] for name in ("number", "customer", "location")}
    await change(stay, id_, **same)
    assert writes(company) == []
    for name, value in (("number", "7"), ("customer", "Zoe"), ("location", Address(text="Mars"))):
        says, calls = await refused(stay, id_, title="Ours", **{name: value})
        assert name in says
        assert calls == []


async def test_a_job_type_is_changed_by_its_name(stay, company):
    id_ = visit_of(company.job())
    other = company.row("job_types", company.made["job_types"][2])
    reply = await change(stay, id_, job_type=other["name"].upper())
    assert company.job_of(id_)["jobTypeId"] == other["id"]
    assert reply.seen.fields["job_type"] == other["name"]
    says, calls = await refused(stay, id_, job_type="Moon landing")
    assert '"Moon landing"' in says
    assert calls == []


async def test_a_state_that_forbids_a_change_is_read_again_or_told_if_it_was_known(stay, company):
    ana = company.technicians[0]["id"]
    id_ = visit_of(company.job(crew=[ana]))
    seen = await read(stay, id_)
    company.act("arrive", appointmentId=int(id_))
    asked = Change(id_, seen.version, {"when": WHEN}, {**seen.fields, "when": WHEN}, seen.raw)
    with pytest.raises(Replan, match="Working"):
        await APPOINTMENTS.update(stay.session, stay.scope, asked)
    says, _ = await refused(stay, id_, HoldRecord, when=WHEN)
    assert "Working" in says


async def test_half_a_change_is_told_and_the_rest_is_tried_again(stay, company):
    id_ = visit_of(company.job())
    fault = Fault(kind="status", status=400, method="PATCH", path="*/jobs/*", reason="Too odd")
    company.system.kit.faults.add(fault)
    says, calls = await refused(stay, id_, Replan, when=WHEN, title="Ours")
    assert calls == ["PATCH reschedule", f"PATCH {company.job_of(id_)['id']}"]
    assert "Too odd" in says
    seen = await read(stay, id_)
    assert (seen.fields["when"], seen.fields["title"]) == (WHEN, "AC not cooling")
    says, _ = await refused(stay, id_, HoldRecord, title="Ours")
    assert "Too odd" in says


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 500, "after": True}, OutcomeUnknown),
        ({"kind": "status", "status": 429, "retry_after": "4000"}, RetryLater),
        ({"kind": "drop", "after": True}, OutcomeUnknown),
    ],
)
async def test_a_doubtful_answer_stays_a_doubt(stay, company, fault, error):
    id_ = visit_of(company.job())
    company.system.kit.faults.add(Fault(method="PATCH", **fault))
    await refused(stay, id_, error, when=WHEN)


async def test_what_is_gone_is_gone(stay, company):
    job = company.job(visits=2)
    id_ = str(job["lastAppointmentId"])
    seen = await read(stay, id_)
    company.act("delete_visit", appointmentId=int(id_))
    asked = Change(id_, seen.version, {"title": "Ours"}, seen.fields, seen.raw)
    for write in (APPOINTMENTS.update, APPOINTMENTS.cancel):
        with pytest.raises(Gone) as caught:
            await write(stay.session, stay.scope, asked)
        assert_sentence(caught.value.says)
    assert company.job_of(id_)["summary"] == "<p>AC not cooling</p>"


async def test_a_visit_moved_within_its_arrival_window_keeps_what_the_customer_was_told(
    stay, company
):
    id_ = visit_of(company.job())
    before = dict(company.row("appointments", id_))
    opens, closes = before["arrivalWindowStart"], before["arrivalWindowEnd"]
    later = opens + (closes - opens) / 2
    start, _ = wall(later, WHEN.zone)
    await change(stay, id_, when=msgspec.structs.replace(WHEN, start=start))
    after = company.row("appointments", id_)
    assert after["start"] == later
    assert (after["arrivalWindowStart"], after["arrivalWindowEnd"]) == (opens, closes)
