"""What a writer may say about an event: checked, brought to stored form, merged."""

import re
from collections.abc import Callable
from typing import Any

from truckroll_sim.google_calendar.errors import invalid, refusal, required
from truckroll_sim.google_calendar.recurrence import check_lines
from truckroll_sim.google_calendar.times import Doc, check_span, normal

ID = re.compile(r"[a-v0-9]{5,1024}")

_ENUMS = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
    "colorId": tuple(str(number) for number in range(1, 12)),
}
_RESPONSES = ("needsAction", "declined", "tentative", "accepted")
_CREATABLE = ("default", "birthday", "focusTime", "outOfOffice", "workingLocation")
_TEXTS = ("summary", "description", "location", "eventLabelId")
_FLAGS = (
    "anyoneCanAddSelf",
    "endTimeUnspecified",
    "guestsCanInviteOthers",
    "guestsCanModify",
    "guestsCanSeeOtherGuests",
    "privateCopy",
)
_WHOLE = (
    "attachments",
    "birthdayProperties",
    "focusTimeProperties",
    "outOfOfficeProperties",
    "workingLocationProperties",
)
MERGED = ("start", "end", "extendedProperties", "reminders", "source")
"""Properties that a PATCH merges by their own properties; all others it replaces."""
OWN = ("colorId", "reminders", "transparency", "eventLabelId")
"""Properties that each copy of an event has for itself (besides private extended ones)."""
_LARGEST_KEY, _LARGEST_VALUE, _MOST_PROPERTIES, _MOST_OVERRIDES = 44, 1024, 300, 5
_LONGEST_REMINDER_MINUTES = 40320


def merge_patch(base: Doc, patch: Doc) -> Doc:
    """Return the body of a full write that a PATCH amounts to (section 4): null clears."""
    merged = dict(base)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif name in MERGED and isinstance(value, dict):
            merged[name] = _merged_object(merged.get(name) or {}, value)
        else:
            merged[name] = value
    return merged


def _merged_object(base: Doc, patch: Doc) -> Doc:
    merged = dict(base)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merged_object(merged[name], value)
        else:
            merged[name] = value
    return merged


def checked(body: Doc, default_zone: str) -> Doc:
    """Return the writable properties of a full body in stored form.

    Unknown and read-only properties are passed over, as the vendor does. Refuses (400) a missing
    start or end and every bad value.
    """
    found = {name: body[name] for name in _ENUMS if body.get(name) is not None}
    for name, known in _ENUMS.items():
        if name in found and found[name] not in known:
            raise invalid(f"Invalid value for: {name}", name)
    found |= _typed(body, _TEXTS, str) | _typed(body, _FLAGS, bool)
    found |= {name: body[name] for name in _WHOLE if body.get(name)}
    for side in ("start", "end"):
        if not body.get(side):
            raise required(f"Missing {side} time.", side)
        found[side] = normal(body[side], default_zone, side)
    check_span(found["start"], found["end"])
    for name, check in _CHECKS.items():
        if body.get(name):
            found[name] = check(body[name])
    if lines := body.get("recurrence"):
        if "date" not in found["start"] and not body["start"].get("timeZone"):
            raise required("Missing time zone definition for start time.", "start")
        check_lines(lines, found["start"])
        found["recurrence"] = list(lines)
    return {name: value for name, value in found.items() if value not in ("", [])}


def event_type(body: Doc) -> str:
    """Return the type of a new event; refuses one that cannot be made (400)."""
    kind = body.get("eventType") or "default"
    if kind not in _CREATABLE:
        raise refusal(400, "eventTypeRestriction", f"Events of type {kind} cannot be created.")
    return str(kind)


def _typed(body: Doc, names: tuple[str, ...], kind: type) -> Doc:
    found = {name: body[name] for name in names if body.get(name) is not None}
    for name, value in found.items():
        if not isinstance(value, kind):
            raise invalid(f"Invalid value for: {name}", name)
    return found


def _attendees(given: Any) -> list[Doc]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise invalid("Invalid value for: attendees", "attendees")
    found: dict[str, Doc] = {}
    for one in given:
        email = str(one.get("email") or "").lower()
        if not email:
            raise required("Missing attendee email.", "attendees")
        if email.count("@") != 1:
            raise invalid("Invalid attendee email.", "attendees")
        response = one.get("responseStatus") or "needsAction"
        if response not in _RESPONSES:
            raise invalid("Invalid value for: responseStatus", "attendees")
        names = ("displayName", "optional", "resource", "comment", "additionalGuests")
        kept = {name: one[name] for name in names if one.get(name)}
        found[email] = {"email": email, **kept, "responseStatus": response}
    return list(found.values())


def _extended(given: Any) -> Doc:
    found = {
        side: dict(values)
        for side, values in (given.items() if isinstance(given, dict) else ())
        if side in ("private", "shared") and isinstance(values, dict) and values
    }
    pairs = [pair for values in found.values() for pair in values.items()]
    for key, value in pairs:
        if not isinstance(value, str):
            raise invalid("Invalid value for: extendedProperties", "extendedProperties")
        if len(key) > _LARGEST_KEY or len(value) > _LARGEST_VALUE:
            raise invalid("The extended property is too large.", "extendedProperties")
    if len(pairs) > _MOST_PROPERTIES:
        raise invalid("There are too many extended properties.", "extendedProperties")
    return found


def _reminders(given: Any) -> Doc:
    if not isinstance(given, dict):
        raise invalid("Invalid value for: reminders", "reminders")
    default, overrides = bool(given.get("useDefault")), given.get("overrides") or []
    if default and overrides:
        raise refusal(
            400,
            "cannotUseDefaultRemindersAndSpecifyOverride",
            "Cannot specify both default reminders and overrides at the same time.",
        )
    if len(overrides) > _MOST_OVERRIDES:
        raise invalid("There can be at most 5 reminder overrides.", "reminders")
    for one in overrides:
        minutes = one.get("minutes")
        if one.get("method") not in ("email", "popup") or not isinstance(minutes, int):
            raise invalid("Invalid value for: reminders", "reminders")
        if not 0 <= minutes <= _LONGEST_REMINDER_MINUTES:
            raise invalid("Invalid value for: minutes", "reminders")
    kept = [{"method": one["method"], "minutes": one["minutes"]} for one in overrides]
    return {"useDefault": default, **({"overrides": kept} if kept else {})}


def _source(given: Any) -> Doc:
    url = given.get("url") if isinstance(given, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise invalid("Invalid value for: source.url", "source")
    return {"url": url, **({"title": given["title"]} if given.get("title") else {})}


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "attendees": _attendees,
    "extendedProperties": _extended,
    "reminders": _reminders,
    "source": _source,
}
