"""The types of what a client sends (discovery document): a body of other types is refused."""

from typing import Any

import msgspec

from truckroll_sim.google_calendar.errors import invalid, refusal
from truckroll_sim.kit.calls import Call

Doc = dict[str, Any]
Text = str | None
Flag = bool | None
Number = int | None


class _Time(msgspec.Struct):
    date: Text = None
    dateTime: Text = None  # noqa: N815 - the vendor's name
    timeZone: Text = None  # noqa: N815 - the vendor's name


class _Guest(msgspec.Struct, rename="camel"):
    email: Text = None
    display_name: Text = None
    response_status: Text = None
    comment: Text = None
    optional: Flag = None
    resource: Flag = None
    additional_guests: Number = None


class _Reminder(msgspec.Struct):
    method: Text = None
    minutes: Number = None


class _Reminders(msgspec.Struct, rename="camel"):
    use_default: Flag = None
    overrides: list[_Reminder] | None = None


class _Extended(msgspec.Struct):
    private: dict[str, Text] | None = None
    shared: dict[str, Text] | None = None


class _Source(msgspec.Struct):
    url: Text = None
    title: Text = None


class EventBody(msgspec.Struct, rename="camel"):
    """An event, whole or in part."""

    id: Text = None
    uid: Text = msgspec.field(default=None, name="iCalUID")
    status: Text = None
    summary: Text = None
    description: Text = None
    location: Text = None
    color_id: Text = None
    event_label_id: Text = None
    start: _Time | None = None
    end: _Time | None = None
    recurrence: list[str] | None = None
    attendees: list[_Guest] | None = None
    transparency: Text = None
    visibility: Text = None
    reminders: _Reminders | None = None
    extended_properties: _Extended | None = None
    anyone_can_add_self: Flag = None
    end_time_unspecified: Flag = None
    guests_can_invite_others: Flag = None
    guests_can_modify: Flag = None
    guests_can_see_other_guests: Flag = None
    private_copy: Flag = None
    source: _Source | None = None
    event_type: Text = None
    sequence: Number = None
    organizer: _Guest | None = None
    attachments: list[Doc] | None = None
    birthday_properties: Doc | None = None
    focus_time_properties: Doc | None = None
    out_of_office_properties: Doc | None = None
    working_location_properties: Doc | None = None


class CalendarBody(msgspec.Struct, rename="camel"):
    """A calendar."""

    summary: Text = None
    description: Text = None
    location: Text = None
    time_zone: Text = None
    working_hours: Doc | None = None


class EntryBody(msgspec.Struct, rename="camel"):
    """An entry of a calendar list."""

    id: Text = None
    selected: Flag = None
    hidden: Flag = None
    summary_override: Text = None
    color_id: Text = None
    background_color: Text = None
    foreground_color: Text = None
    default_reminders: list[_Reminder] | None = None
    notification_settings: Doc | None = None


class _Scope(msgspec.Struct):
    type: Text = None
    value: Text = None


class RuleBody(msgspec.Struct):
    """A sharing rule."""

    role: Text = None
    scope: _Scope | None = None


class ChannelBody(msgspec.Struct, rename="camel"):
    """A channel. Numbers are sent as text; a number is taken too."""

    id: Text = None
    type: Text = None
    address: Text = None
    token: Text = None
    resource_id: Text = None
    expiration: str | int | None = None
    params: dict[str, str | int] | None = None


class _Item(msgspec.Struct):
    id: str


class FreeBusyBody(msgspec.Struct, rename="camel"):
    """A question for free and busy times."""

    time_min: Text = None
    time_max: Text = None
    time_zone: Text = None
    items: list[_Item] | None = None
    group_expansion_max: Number = None
    calendar_expansion_max: Number = None


class _Name(msgspec.Struct, rename="camel"):
    given_name: Text = None
    family_name: Text = None


class UserBody(msgspec.Struct, rename="camel"):
    """A user of the directory."""

    primary_email: Text = None
    name: _Name | None = None
    suspended: Flag = None
    archived: Flag = None
    org_unit_path: Text = None


def body_of(call: Call, shape: type[msgspec.Struct]) -> Doc:
    """Return the JSON object in a call's body, an empty one if there is none.

    Refuses what is no object, or whose properties have other types than the shape's (400).
    """
    try:
        body = call.json()
    except ValueError:
        raise refusal(400, "parseError", "Parse Error") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise refusal(400, "parseError", "Parse Error")
    try:
        msgspec.convert(body, shape)
    except msgspec.ValidationError as slip:
        raise invalid(f"Invalid value: {slip}") from None
    return body
