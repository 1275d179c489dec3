import os
from pathlib import Path

import pytest

from truckroll.kit.ical.read import read_calendar


@pytest.fixture(scope="session")
def shared():
    """The folder of shared test material; tests that need it are skipped without."""
    root = Path(os.environ.get("TRUCKROLL_SHARED", Path(__file__).parents[3] / "shared"))
    if not (root / "data" / "ics").is_dir():
        pytest.skip("the shared test material is not here")
    return root / "data"


def calendar_text(*events, head=()):
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Somebody//EN", *head]
    for event in events:
        uid = [] if any(line.startswith("UID:") for line in event) else ["UID:u@x"]
        lines += ["BEGIN:VEVENT", *uid, "DTSTAMP:20260101T000000Z", *event, "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


@pytest.fixture
def text():
    """Returns the text of a calendar of events, each given as its lines."""
    return calendar_text


@pytest.fixture
def read():
    """Reads events given as lines and returns the single entry."""

    def reading(*events, head=(), zone=""):
        (entry,) = read_calendar(calendar_text(*events, head=head), zone=zone).entries
        return entry

    return reading
