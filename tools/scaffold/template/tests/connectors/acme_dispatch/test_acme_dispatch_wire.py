"""Shapes and records: pure."""

import json
from datetime import date, datetime

import pytest

from truckroll.connectors.acme_dispatch import wire
from truckroll.kit.contract import Missing, Seen, Unreadable
from truckroll.kit.errors import HoldRecord
from truckroll.model.records import Address
from truckroll.model.time import AllDay, Timed

ROW = {
    "id": "v-7",
#if etag
    "etag": '"3"',
#end
    "updatedAt": "2026-11-02T08:00:00Z",
    "title": "AC not cooling",
    "start": "2026-11-30T17:00:00Z",
    "end": "2026-11-30T18:30:00Z",
    "timeZone": "America/Los_Angeles",
    "status": "Confirmed",
    "address": "12 Elm St",
    "notes": "",
    "reference": "truckroll:00ff",
    "colour": "teal",
}
WHEN = Timed(start=datetime(2026, 11, 30, 9), zone="America/Los_Angeles", seconds=5400)


def item(zone="", **changes):
    """Return the item of a row with changes; what is ... is left out of it."""
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not ...}
    return wire.item("v-7", json.dumps(row).encode(), zone)


def shown(zone="", **changes):
    seen = item(zone, **changes)
    assert isinstance(seen, Seen), seen
    return seen


def test_a_row_is_read():
    seen = shown()
    assert seen.fields == {
        "title": "AC not cooling",
        "when": WHEN,
        "status": "confirmed",
        "location": Address(text="12 Elm St"),
        "notes": "",
    }
    assert (seen.mark, seen.problems) == ("00ff", ())
    assert shown(reference="PO 7").mark is None
    assert item(deleted=True) == Missing("v-7")


#if etag
def test_the_version_is_the_etag():
    assert shown().version == '"3"'
#else
def test_the_version_is_made_of_what_the_hub_reads():
    assert shown(colour="red", updatedAt="2026-11-03T08:00:00Z").version == shown().version
    assert shown(notes="Gate code").version != shown().version
    assert shown(reference="PO 7").version != shown().version
#end


def test_what_was_not_read_is_no_key_and_null_is_unknown():
    fields = shown(notes=..., title=None).fields
    assert "notes" not in fields
    assert fields["title"] is None


def test_an_unknown_status_is_named_and_not_guessed():
    seen = shown(status="Snoozed")
    assert "status" not in seen.fields
    assert '"Snoozed"' in seen.problems[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"end": "2026-11-30T16:00:00Z"}, "ends before it begins"),
        ({"end": None}, "or never"),
        ({"timeZone": ""}, "in which zone"),
        ({"timeZone": "Mars/Base"}, "Mars/Base"),
        ({"start": "2026-11-30T17:00:00"}, "unknown form"),
        ({"title": 7}, "unknown form"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(changes, why):
    refused = item(**changes)
    assert isinstance(refused, Unreadable)
    assert why in refused.reason
    assert "v-7" in refused.reason


def test_the_account_s_zone_stands_in():
    assert shown(zone="America/Los_Angeles", timeZone="").fields["when"] == WHEN


def test_a_record_goes_out_as_it_came_in():
    fields = shown().fields
    sent = json.loads(wire.msgspec.json.encode(wire.body(fields, "it")))
    assert sent == {name: ROW[name] for name in sent}
    assert {"title", "start", "end", "timeZone", "status", "address", "notes"} == set(sent)


@pytest.mark.parametrize(
    "fields",
    [
        {"when": AllDay(start=date(2026, 11, 30), end=date(2026, 12, 1))},
        {"when": None},
        {"status": "on_the_way"},
        {"customer": "Ann"},
    ],
)
def test_what_the_vendor_cannot_keep_is_held(fields):
    with pytest.raises(HoldRecord, match="AC not cooling"):
        wire.body(fields, '"AC not cooling"')
