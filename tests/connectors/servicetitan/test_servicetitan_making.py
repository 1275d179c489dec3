"""Making jobs and visits at a simulated tenant, once whatever is answered."""

from datetime import date, timedelta

import pytest

from connectors.servicetitan.deeds import APPOINTMENTS, WHEN, create, draft, writes
from connectors.servicetitan.world import GUID, session_of
from contract.sentences import assert_sentence
from truckroll.connectors.servicetitan.wire import MARK_KEY, mark_key
from truckroll.kit.contract import Seen
from truckroll.kit.errors import AwaitOther, HoldRecord, OutcomeUnknown
from truckroll.model.records import Address
from truckroll.model.time import AllDay
from truckroll.sync.perform import Hand, look_up, perform_step
from truckroll.sync.ports import OpenStep
from truckroll.sync.types import Step
from truckroll_sim.kit.faults import Fault


async def test_a_new_job_has_its_visit_people_notes_and_mark(stay, company):
    ana = company.technicians[0]
    asked = draft(people=(ana["name"],), notes="Gate 4", status="confirmed")
    reply = await create(stay, asked)
    row, job = company.row("appointments", reply.id), company.job_of(reply.id)
    assert (row["start"], row["arrivalWindowStart"]) == (WHEN.begins, WHEN.begins)
    assert (row["specialInstructions"], row["isConfirmed"]) == ("Gate 4", True)
    assert [one["technicianId"] for one in company.crew(reply.id)] == [ana["id"]]
    assert job["_external"] == {GUID: {MARK_KEY: asked.mark, mark_key(int(reply.id)): asked.mark}}
    assert reply.seen.mark == asked.mark
    assert reply.seen.fields["notes"] == "Gate 4"
    found = await APPOINTMENTS.find(stay.session, stay.scope, asked.mark)
    assert found == reply.seen
    # A visit that is put before it on the same job does not take its mark.
    later = {"start": "2099-04-01T15:00:00Z", "end": "2099-04-01T16:00:00Z"}
    company.act("reschedule", appointmentId=int(reply.id), **later)
    second = await create(stay, draft("00000000000000bb", number=job["jobNumber"]))
    assert company.job_of(reply.id)["firstAppointmentId"] == int(second.id)
    assert second.seen.mark == "00000000000000bb"
    found = await APPOINTMENTS.find(stay.session, stay.scope, asked.mark)
    assert found.id == reply.id


async def test_a_visit_is_added_to_the_job_that_is_named_once(stay, company):
    job = company.job()
    first = await create(stay, draft(number=job["jobNumber"]))
    assert company.row("appointments", first.id)["jobId"] == job["id"]
    assert first.seen.fields["number"] == job["jobNumber"]
    # The same again, with the mark not found: the visit of just these times is the one.
    again = await create(stay, draft(number=job["jobNumber"]))
    assert again.id == first.id
    assert company.row("jobs", job["id"])["appointmentCount"] == 2
    with pytest.raises(HoldRecord) as caught:
        await create(stay, draft(number="J-1"))
    assert_sentence(caught.value.says)
    assert '"J-1"' in caught.value.says


async def test_a_job_that_cannot_be_made_says_what_is_missing(stay, company):
    settings = dict(stay.session.settings)
    for names in (("app_guid",), ("campaign", "job_type"), ("customer",)):
        lacking = {**settings, **dict.fromkeys(names, "")}
        async with session_of(lacking) as session:
            with pytest.raises(HoldRecord) as caught:
                await APPOINTMENTS.create(session, stay.scope, draft())
        assert_sentence(caught.value.says)
        assert all(name in caught.value.says for name in names)
    for fields in ({"status": "done"}, {"when": AllDay(date(2099, 1, 1), date(2099, 1, 2))}):
        with pytest.raises(HoldRecord) as caught:
            await create(stay, draft(**fields))
        assert_sentence(caught.value.says)
    company.edit("customers", company.customer, doNotService=True)
    with pytest.raises(HoldRecord, match="Do not service") as caught:
        await create(stay, draft())
    assert_sentence(caught.value.says)
    assert writes(company) == []


async def test_a_job_is_made_for_the_customer_and_place_that_are_named(stay, company):
    place = list(company.tenant["locations"].seen())[1]
    company.edit("customers", place["customerId"], name="Acme Offices")
    address = Address(line1=place["address"]["street"], city="Springfield", postal="62701")
    kind = company.row("job_types", company.made["job_types"][3])["name"]
    lacking = dict.fromkeys(("customer", "location", "job_type"), "")
    async with session_of({**stay.session.settings, **lacking}) as session:
        stay.session = session
        reply = await create(stay, draft(customer="acme offices", location=address, job_type=kind))
        job = company.job_of(reply.id)
        assert (job["customerId"], job["locationId"]) == (place["customerId"], place["id"])
        assert reply.seen.fields["job_type"] == kind
        # The only location of a customer needs no address.
        alone = draft("00000000000000bb", customer="Acme Offices", job_type=kind)
        assert company.job_of((await create(stay, alone)).id)["locationId"] == place["id"]
        made = len(company.visits())
        for fields, said in (
            ({"customer": "Acme"}, '"Acme"'),
            ({"customer": "Acme Offices", "location": Address(text="Mars")}, '"Mars"'),
            ({}, "needs its customer"),
        ):
            with pytest.raises(HoldRecord) as caught:
                await create(stay, draft("00000000000000cc", job_type=kind, **fields))
            assert_sentence(caught.value.says)
            assert said in caught.value.says
        company.edit("customers", company.customer, name="Acme Offices")
        with pytest.raises(HoldRecord, match="2 times a customer") as caught:
            await create(stay, draft("00000000000000cc", job_type=kind, customer="Acme Offices"))
        assert_sentence(caught.value.says)
        assert len(company.visits()) == made


@pytest.mark.fault("F37")
async def test_a_customer_who_was_merged_in_a_circle_is_named_and_gets_no_job(stay, company):
    first, second = (row["id"] for row in list(company.tenant["customers"].seen())[:2])
    settings = {**stay.session.settings, "customer": str(first)}
    company.edit("customers", first, mergedToId=second)
    company.edit("customers", second, mergedToId=first)
    async with session_of(settings) as session:
        with pytest.raises(HoldRecord) as caught:
            await APPOINTMENTS.create(session, stay.scope, draft())
    assert_sentence(caught.value.says)
    assert f"merged {first} into {second} into {first}" in caught.value.says
    assert writes(company) == []


async def test_what_may_yet_come_is_waited_for_and_what_is_wrong_is_not(stay, company):
    company.edit("customers", company.customer, name="Acme")
    for fields in ({"customer": "Nobody"}, {"people": ("Nobody",)}, {"number": "J-1"}):
        with pytest.raises(AwaitOther):
            await create(stay, draft(**fields))
    another = next(r for r in company.tenant["customers"].seen() if r["id"] != company.customer)
    company.edit("customers", another["id"], name="Acme")
    with pytest.raises(HoldRecord) as caught:
        await create(stay, draft(customer="Acme"))
    assert not isinstance(caught.value, AwaitOther)
    assert writes(company) == []


async def test_a_refused_job_is_held_with_the_vendor_s_words(stay, company):
    company.edit("campaigns", company.made["campaign"], active=False)
    with pytest.raises(HoldRecord) as caught:
        await create(stay, draft())
    assert_sentence(caught.value.says)
    assert "CampaignId" in caught.value.says
    assert "inactive" in caught.value.says


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400, "path": "*/special-instructions", "reason": "Too odd"},
        {"status": 423, "method": "PATCH"},
        {"status": 403, "method": "PATCH"},
        {"status": 403, "path": "/dispatch/*", "method": "GET"},
        {"status": 401, "path": "/jpm/v2/tenant/*/appointments/*", "method": "GET"},
    ],
)
async def test_a_visit_that_was_made_only_in_part_is_looked_up_and_not_made_again(
    stay, company, fault
):
    company.system.kit.faults.add(Fault(kind="status", **fault))
    asked = draft(notes="Gate 4")
    with pytest.raises(OutcomeUnknown) as caught:
        await create(stay, asked)
    assert_sentence(caught.value.says)
    company.system.kit.faults.clear()
    found = await APPOINTMENTS.find(stay.session, stay.scope, asked.mark)
    assert isinstance(found, Seen)
    assert found.mark == asked.mark
    again = await create(stay, asked)
    assert again.id == found.id
    assert len(company.visits()) == 1


@pytest.mark.fault("F34")
@pytest.mark.fault("F24")
async def test_a_create_whose_answer_was_lost_is_not_made_again_while_lists_lag(stay, company):
    step = Step(
        link=1, end=1, op="create", account=1, scope=1, external_id="",
        whole=draft().fields, fields=draft().fields, create_key=draft().key,
    )  # fmt: skip
    hand = Hand(stay.session, APPOINTMENTS, "acme")
    begun = company.tenant.now()
    opened = OpenStep(1, step, at=begun)
    company.system.kit.faults.add(Fault(kind="stale", seconds=60))
    company.system.kit.faults.add(Fault(kind="drop", method="POST", after=True, times=1))
    first = await perform_step(hand, stay.scope, opened, now=lambda: begun)
    assert first.kind == "unknown"
    soon = begun + timedelta(seconds=30)
    again = await look_up(hand, stay.scope, opened, first.says, now=lambda: soon)
    assert again.kind == "unknown"
    company.box.clock.advance(90)
    late = begun + timedelta(seconds=90)
    found = await look_up(hand, stay.scope, opened, first.says, now=lambda: late)
    assert found.kind == "done"
    assert [str(row["id"]) for row in company.visits()] == [found.external_id]
