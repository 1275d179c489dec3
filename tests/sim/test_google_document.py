"""What of the vendor's own documents the box has, and that their judge can say no."""

import json
import re

import pytest

from sim.discovery import Judge, document
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.calls import Call
from truckroll_sim.kit.clock import Clock
from truckroll_sim.kit.system import Kit

pytestmark = pytest.mark.shared

# No integration asks for these; who calls one is told 404.
NOT_HERE = {
    "calendar.colors.get",
    "calendar.events.quickAdd",
    "calendar.settings.watch",
    *(f"directory.groups.{verb}" for verb in ("delete", "get", "insert", "patch", "update")),
    *(
        f"directory.members.{verb}"
        for verb in ("delete", "get", "hasMember", "insert", "patch", "update")
    ),
    *(f"directory.resources.calendars.{verb}" for verb in ("delete", "insert", "patch", "update")),
    *(
        f"directory.resources.{kind}.{verb}"
        for kind in ("buildings", "features")
        for verb in ("delete", "get", "insert", "list", "patch", "update")
    ),
    "directory.resources.features.rename",
    "directory.users.undelete",
}


def methods(resources):
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from methods(resource.get("resources", {}))


def test_the_box_has_every_method_but_those_named_here():
    system = GoogleCalendar(Kit.of(Clock()))
    missing = set()
    for name in ("google-calendar", "google-workspace"):
        doc = document(name)
        for method in methods(doc["resources"]):
            path = "/" + doc["servicePath"] + re.sub(r"\{\+?\w+\}", "x", method["path"])
            if system.routes.find(Call(method["httpMethod"], path)) is None:
                missing.add(method["id"])
    assert missing == NOT_HERE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "is not known"),
        ({"sequence": "1"}, "is no integer"),
        ({"sequence": True}, "items"),
        ({"start": {"dateTime": "2026-11-04T09:00:00"}}, "has no offset"),
        ({"attendees": {}}, "is no array"),
        ({"locked": "no"}, "is no boolean"),
    ],
)
def test_the_judge_says_no(change, words):
    judge = Judge(document("google-calendar"))
    page = {"kind": "calendar#events", "items": [{"id": "x", "start": {"date": "2026-11-04"}}]}
    path = "/calendar/v3/calendars/primary/events"
    judge.answer("GET", path, 200, json.dumps(page))
    page["items"][0] |= change
    with pytest.raises(AssertionError, match=words):
        judge.answer("GET", path, 200, json.dumps(page))


def test_the_judge_says_no_to_errors_and_bodies_where_there_are_none():
    judge = Judge(document("google-calendar"))
    path = "/calendar/v3/calendars/primary/events/x"
    judge.answer("DELETE", path, 204, b"")
    with pytest.raises(AssertionError, match="answers nothing"):
        judge.answer("DELETE", path, 204, b"{}")
    with pytest.raises(AssertionError, match="no method"):
        judge.answer("GET", "/calendar/v3/nothing", 200, b"{}")
    with pytest.raises((KeyError, AssertionError)):
        judge.answer("GET", path, 404, b'{"error": {"code": 404}}')
