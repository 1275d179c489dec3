"""Rows as fields, and texts both ways."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given

from contract import samples
from truckroll.connectors.servicetitan import texts, wire
from truckroll.connectors.servicetitan.calls import rows_of
from truckroll.connectors.servicetitan.resolve import Lookup, Trail, follow
from truckroll.kit.normal import explains
from truckroll.model.records import Address, Contact
from truckroll.model.time import Timed

# The example of the vendor sheet, section 4.
JOB = b"""{"id": 61840021, "jobNumber": "61840021", "projectId": null, "customerId": 20117,
 "locationId": 20119, "jobStatus": "Scheduled", "completedOn": null, "businessUnitId": 330,
 "jobTypeId": 412, "priority": "Normal", "campaignId": 9021,
 "summary": "<p>RTU 3 not cooling. WO 284411902</p>", "customFields": [], "appointmentCount": 1,
 "firstAppointmentId": 61840024, "lastAppointmentId": 61840024, "recallForId": null,
 "createdOn": "2026-03-04T15:02:11.482Z", "createdById": 77,
 "modifiedOn": "2026-03-04T15:02:13.020Z", "tagTypeIds": [], "bookingId": 5588,
 "externalData": [{"key": "workOrderId", "value": "284411902"}], "customerPo": "PO-7781",
 "invoiceId": 61840030, "membershipId": null, "total": 0}"""
CHICAGO = "America/Chicago"


def visit(**fields):
    start = datetime(2026, 3, 9, 14, tzinfo=UTC)
    whole = {"id": 61840024, "job_id": 61840021, "start": start, "status": "Scheduled"}
    return wire.Appointment(**{**whole, "end": start + timedelta(hours=2), **fields})


def test_the_vendor_s_example_is_read():
    job = msgspec.json.decode(JOB, type=wire.Job)
    location = wire.Location(
        20119,
        customer_id=20117,
        address=wire.PostalAddress(
            street="12 Elm St", unit="2", city="Springfield", state="IL", zip="62701"
        ),
    )
    contacts = (
        wire.ContactRow(1, type="Phone", value="217 555 0100", customer_id=20117),
        wire.ContactRow(2, type="Email", value="joe@home.example", customer_id=20117),
        wire.ContactRow(3, type="Phone", value="217 555 0199", memo="Joe, roof", location_id=20119),
    )
    parts = wire.Parts(
        visit(special_instructions="Gate 4\n"),
        job,
        wire.Named(412, name="AC repair"),
        wire.Customer(20117, name="Acme Offices"),
        location,
        contacts,
        (
            wire.Assignment(8, technician_id=2, technician_name="Ben Cole"),
            wire.Assignment(7, technician_id=1, technician_name="Ana Ruiz"),
            wire.Assignment(9, technician_id=1, technician_name="Ana Ruiz"),
        ),
        {1: wire.Technician(1, name="Ana Ruiz", email="ana@acme.example")},
    )
    fields, lacks = wire.fields_of(parts, CHICAGO)
    assert lacks == ""
    assert fields == {
        "number": "61840021",
        "title": "RTU 3 not cooling. WO 284411902",
        "when": Timed(samples.at("2026-03-09T09:00"), CHICAGO, seconds=7200),
        "window": None,
        "status": "scheduled",
        "people": ("Ana Ruiz <ana@acme.example>", "Ben Cole"),
        "location": Address(
            line1="12 Elm St", line2="2", city="Springfield", state="IL", postal="62701"
        ),
        "job_type": "AC repair",
        "notes": "Gate 4",
        "customer": "Acme Offices",
        "contact": Contact(name="Joe, roof", phone="217 555 0199", mail="joe@home.example"),
        "category": "Normal",
    }


def test_a_part_that_was_not_shown_is_no_key_and_is_named():
    fields, lacks = wire.fields_of(wire.Parts(visit()), CHICAGO)
    assert fields.keys() == {"when", "window", "status"}
    assert lacks == "the job, the customer and the location"


def test_what_is_known_to_be_nothing_is_a_key():
    job = wire.Job(1, job_number="1", location_id=2, customer_id=3)
    parts = wire.Parts(visit(), job, None, wire.Customer(3), wire.Location(2), (), assignments=())
    fields, _ = wire.fields_of(parts, CHICAGO)
    assert fields["people"] == ()
    for name in ("title", "notes", "customer", "location", "contact", "category"):
        assert fields[name] is None, name


@pytest.mark.parametrize(
    ("visits", "confirmed", "job", "meant"),
    [
        ("Scheduled", False, "Scheduled", "scheduled"),
        ("Scheduled", True, "Scheduled", "confirmed"),
        ("Dispatched", True, "Dispatched", "on_the_way"),
        ("Working", False, "InProgress", "working"),
        ("Hold", True, "Hold", "paused"),
        ("Done", False, "Completed", "done"),
        ("Canceled", False, "Canceled", "cancelled"),
        ("Scheduled", False, "Canceled", "cancelled"),
        ("Done", False, "Canceled", "done"),
        ("Parked", False, "Scheduled", "Parked"),
    ],
)
def test_each_status_means_one_thing(visits, confirmed, job, meant):
    row = visit(status=visits, is_confirmed=confirmed)
    assert wire.status_of(row, wire.Job(1, job_status=job)) == meant


def test_times_are_whole_seconds_of_the_tenant_s_zone():
    text = b'{"id":1,"start":"2026-11-01T06:30:00.1234567Z","end":"2026-11-01T07:45:00.9Z"}'
    when = wire.when_of(msgspec.json.decode(text, type=wire.Appointment), CHICAGO)
    assert (when.start, when.fold, when.seconds) == (samples.at("2026-11-01T01:30"), 0, 4500)
    later = msgspec.json.decode(text.replace(b"T06", b"T07"), type=wire.Appointment)
    again = wire.when_of(later, CHICAGO)
    assert (again.start, again.fold) == (samples.at("2026-11-01T01:30"), 1)
    assert again.begins - when.begins == timedelta(hours=1)


def test_an_instant_without_an_offset_is_utc():
    start = datetime(2026, 3, 9, 14)
    when = wire.when_of(visit(start=start, end=start + timedelta(hours=1)), CHICAGO)
    assert when.begins == start.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("completed", "status", "last", "minutes"),
    [
        (datetime(2026, 3, 9, 15, 10, 42, tzinfo=UTC), "Done", 61840024, 70),
        (datetime(2026, 3, 9, 16, 40, tzinfo=UTC), "Done", 61840024, 160),
        (datetime(2026, 3, 9, 15, 10, tzinfo=UTC), "Working", 61840024, 120),
        (datetime(2026, 3, 9, 15, 10, tzinfo=UTC), "Done", 61840099, 120),
        (datetime(2026, 3, 11, 15, 10, tzinfo=UTC), "Done", 61840024, 120),
        (datetime(2026, 3, 9, 13, 10, tzinfo=UTC), "Done", 61840024, 120),
        (None, "Done", 61840024, 120),
    ],
)
def test_a_visit_that_is_done_ended_when_its_job_was_completed(completed, status, last, minutes):
    job = wire.Job(1, last_appointment_id=last, appointment_count=2, completed_on=completed)
    when = wire.when_of(visit(status=status), CHICAGO, job)
    assert when.seconds == minutes * 60


def test_the_arrival_window_is_read_and_half_a_one_is_none():
    opens = datetime(2026, 3, 9, 13, tzinfo=UTC)
    row = visit(arrival_window_start=opens, arrival_window_end=opens + timedelta(hours=4))
    assert wire.window_of(row, CHICAGO) == Timed(
        samples.at("2026-03-09T08:00"), CHICAGO, seconds=4 * 3600
    )
    assert wire.window_of(visit(arrival_window_start=opens), CHICAGO) is None


@pytest.mark.parametrize("times", [{"start": None}, {"end": datetime(2026, 1, 1, tzinfo=UTC)}])
def test_times_that_make_no_sense_are_said(times):
    with pytest.raises(ValueError, match="start"):
        wire.when_of(visit(**times), CHICAGO)


@pytest.mark.parametrize(
    ("name", "mail", "shown"),
    [
        ("Ana  Ruiz", "ana@acme.example", "Ana Ruiz <ana@acme.example>"),
        ("Ruiz, Ana", "ana@acme.example", '"Ruiz, Ana" <ana@acme.example>'),
        ("Ana Ruiz", None, "Ana Ruiz"),
        ("", "ana@acme.example", "ana@acme.example"),
    ],
)
def test_a_technician_is_named_with_their_mail_address(name, mail, shown):
    assert wire.person(name, mail) == shown


SUMMARY = "<p><b>RTU 3</b> not cooling</p><ul><li>Roof hatch &amp; ladder</li><li>Unit 3</li></ul>"


def test_a_summary_is_a_title_and_notes():
    assert texts.title_of(SUMMARY) == "RTU 3 not cooling"
    assert texts.notes_of(SUMMARY, "Gate 4") == "Roof hatch & ladder\nUnit 3\n\nGate 4"
    assert texts.notes_of("Plain", None) == ""
    assert texts.title_of(None) == ""


def test_the_instructions_are_what_follows_the_summary():
    notes = texts.notes_of(SUMMARY, "Gate 4")
    assert texts.instructions_in(notes, SUMMARY) == "Gate 4"
    assert texts.instructions_in(notes.replace("Gate 4", "Gate 5\nDog"), SUMMARY) == "Gate 5\nDog"
    assert texts.instructions_in("Roof hatch & ladder\nUnit 3", SUMMARY) == ""
    assert texts.instructions_in("Something else", SUMMARY) is None
    assert texts.instructions_in("Roof hatch & ladder\nUnit 34", SUMMARY) is None
    assert texts.instructions_in(" Gate 4 ", "<p>One line</p>") == "Gate 4"


def test_a_title_takes_the_place_of_the_first_line_alone():
    html = "<p><b>AC &amp; heat</b></p><p>AC &amp; heat, <i>both</i></p>"
    made = texts.summary_with("Fan <loud>", html)
    assert made == "<p><b>Fan &lt;loud&gt;</b></p><p>AC &amp; heat, <i>both</i></p>"
    assert texts.summary_with("New", None) == "New"
    assert texts.summary_with("AC & heat", html) == html
    assert texts.summary_with("", "<p>Only</p>") == ""


def test_a_title_that_cannot_be_replaced_alone_is_not():
    assert texts.summary_with("New", SUMMARY) is None  # markup within the line
    assert texts.summary_with("", "<p>One</p><p>Two</p>") is None


@given(samples.LINES, samples.LINES)
def test_every_title_survives(first, second):
    made = texts.summary_with(first, None)
    assert explains(first, texts.title_of(made))
    changed = texts.summary_with(second, made)
    assert changed is not None
    assert explains(second, texts.title_of(changed))


@pytest.mark.fault("AT-09")
def test_a_row_of_another_form_is_named_and_stops_no_other():
    raws = [msgspec.Raw(b'{"id": 1, "status": 7}'), msgspec.Raw(b'{"id": 2}')]
    rows = rows_of(raws, wire.Appointment, "servicetitan")
    assert [one.row.id for one in rows.kept] == [2]
    assert [one.id for one in rows.broken] == [1]
    assert "status" in rows.broken[0].why


def test_a_changed_row_leads_to_its_visits():
    def trail(feed, row):
        found = Trail(set(), set())
        follow(feed, row, found)
        return found

    two = wire.Job(5, appointment_count=2, first_appointment_id=6, last_appointment_id=9)
    assert trail("jobs", two) == ({6, 9}, set())
    many = wire.Job(5, appointment_count=3, first_appointment_id=6, last_appointment_id=9)
    assert trail("jobs", many) == (set(), {Lookup("appointments", "jobId", 5)})
    assert trail("appointment-assignments", wire.Assignment(1, appointment_id=6))[0] == {6}
    assert trail("customers", wire.Customer(3))[1] == {Lookup("appointments", "customerId", 3)}
    assert trail("locations", wire.Location(4))[1] == {Lookup("jobs", "locationId", 4)}
    at_home = wire.ContactRow(1, location_id=4)
    assert trail("locations/contacts", at_home)[1] == {Lookup("jobs", "locationId", 4)}
    of_customer = wire.ContactRow(1, customer_id=3)
    assert trail("customers/contacts", of_customer)[1] == {Lookup("appointments", "customerId", 3)}
    assert trail("technicians", wire.Technician(2))[1] == {
        Lookup("appointments", "technicianId", 2)
    }


def test_a_mark_stays_with_its_visit():
    def job(count, *pairs):
        data = tuple(wire.ExternalDatum(key, value) for key, value in pairs)
        return wire.Job(5, appointment_count=count, first_appointment_id=6, external_data=data)

    fresh = job(1, ("truckroll", "abc"))
    assert wire.mark_of(fresh, visit(id=6)) == "abc"
    kept = job(2, ("truckroll", "abc"), ("truckroll:6", "abc"), ("truckroll:7", "def"))
    assert wire.mark_of(kept, visit(id=6)) == "abc"
    assert wire.mark_of(kept, visit(id=7)) == "def"
    assert wire.mark_of(kept, visit(id=8)) is None
    # The marked visit was deleted: the one that is left does not inherit the mark.
    left = job(1, ("truckroll", "abc"), ("truckroll:4", "abc"))
    assert wire.mark_of(left, visit(id=6)) is None
    assert wire.mark_of(wire.Job(5), visit(id=6)) is None
