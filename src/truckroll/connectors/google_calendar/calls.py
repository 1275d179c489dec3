"""Addresses, requests and refusals of the Calendar API (page section "What refusals mean")."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from truckroll.kit.classify import Rule, check, values_at
from truckroll.kit.contract import Scope, Session
from truckroll.kit.errors import GiveUp, HoldRecord, RetryLater, SignIn
from truckroll.kit.http import Response, expect

GOOGLE = "https://www.googleapis.com/"
JSON = frozenset({"application/json"})
OK = frozenset({200, 201, 204})
DELETED = frozenset({404, 410})
CONFLICT, STALE = 409, 412
_FORBIDDEN = 403
_SEND = {"none": "none", "outside": "externalOnly", "all": "all"}
_TOLD = {"outside": "those without a Google Calendar of {guests}", "all": "{guests}"}

# Too much at once comes as 403 as well as 429 (sheet, section 8).
_TOO_FAST = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
    }
)
_REASON = "error.errors.*.reason"
RULES = (
    Rule(
        RetryLater,
        "{system} asks for a pause: the limit of this account's project is used up; it is tried "
        "again by itself.",
        statuses=frozenset({403, 429}),
        at=_REASON,
        codes=_TOO_FAST,
    ),
    Rule(
        SignIn,
        "{system} was not given the right to do this. Sign in again and allow the calendar.",
        statuses=frozenset({403}),
        at=_REASON,
        codes=frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}),
    ),
    Rule(
        GiveUp,
        "The Calendar API is not switched on in the Google project of this account's app. Switch "
        "it on in the console.",
        statuses=frozenset({403}),
        at=_REASON,
        codes=frozenset({"accessNotConfigured", "SERVICE_DISABLED"}),
    ),
    Rule(
        HoldRecord,
        "{record} is organised by somebody else, who alone may change it at {system}.",
        statuses=frozenset({403}),
        at=_REASON,
        codes=frozenset({"forbiddenForNonOrganizer"}),
    ),
    Rule(
        RetryLater,
        "{system} has no room left for {record}; it is tried again by itself.",
        statuses=frozenset({507}),
    ),
)

_NOT_SHARED = Rule(
    GiveUp,
    "{system} does not let this account use this calendar. Ask whose it is to share it with the "
    "account.",
    statuses=frozenset({403}),
)


def busy(response: Response) -> bool:
    """Tell whether a refusal (403) asks for a pause."""
    if response.status != _FORBIDDEN or response.content_type not in JSON:
        return False
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return False
    return any(
        reason in _TOO_FAST for reason in values_at(body, _REASON) if isinstance(reason, str)
    )


def clashed(response: Response) -> bool:
    """Tell whether a write only clashed with another one of its batch (sheet, section 9)."""
    if response.status != CONFLICT:
        return False
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return False
    return "conflict" in values_at(body, _REASON)


def root(settings: Mapping[str, str]) -> str:
    """Return the address under which all of the API lies, with a slash at its end.

    A person may give it with or without the path of the Calendar API.
    """
    return (settings.get("api") or GOOGLE).rstrip("/").removesuffix("/calendar/v3") + "/"


def whom(scope: Scope) -> str:
    """Return in whose name a calendar is worked on where the account may act for others.

    A person's main calendar has their mail address as its id. Resources and shared calendars
    belong to nobody who could be acted for; there it is the account itself ("").
    """
    return scope.id if is_person(scope.id) else ""


def is_person(calendar: str) -> bool:
    """Tell whether a calendar's id is somebody's mail address."""
    return "@" in calendar and not calendar.endswith("calendar.google.com")


def calendar_path(calendar: str, *more: str) -> str:
    """Return the path of a calendar, or of what lies in it."""
    names = "/".join(quote(name, safe="") for name in (calendar, *more))
    return f"calendar/v3/calendars/{names}"


def events_path(scope: Scope, *more: str) -> str:
    """Return the path of a calendar's events, or of one."""
    return calendar_path(scope.id, "events", *more)


def updates(session: Session) -> dict[str, str]:
    """Return whom a write may mail: nobody, unless the account's setting says otherwise."""
    return {"sendUpdates": _SEND.get(session.settings.get("notify", ""), "none")}


def notified(settings: Mapping[str, str]) -> dict[str, str]:
    """Return whom a write may mail, by operation: an event's `guests`. The hub makes none."""
    told = _TOLD.get(settings.get("notify", ""))
    return dict.fromkeys(("update", "cancel", "delete"), told) if told else {}


async def ask(session: Session, path: str, *, whom: str = "", **query: Any) -> Response:
    """Read (GET) and return the answer, whatever its status. `path` may be a whole address."""
    return await session.http.request("GET", _url(session, path, query), whom=whom)


async def send(
    session: Session,
    method: str,
    path: str,
    body: object = None,
    *,
    version: str | None = None,
    whom: str = "",
    **query: Any,
) -> Response:
    """Write and return the answer, whatever its status; `version` is the ETag it must have."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if version:
        headers["If-Match"] = version
    data = msgspec.json.encode(body) if body is not None else b""
    url = _url(session, path, query)
    return await session.http.request(method, url, headers=headers, body=data, whom=whom)


def _url(session: Session, path: str, query: Mapping[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value not in (None, "")}
    text = urlencode(given, doseq=True)
    url = path if "://" in path else f"{root(session.settings)}{path}"
    return f"{url}?{text}" if text else url


def refuse(session: Session, response: Response, record: str = "") -> None:
    """Raise what a refusal means for a record (""), or for the calendar; a success passes."""
    rules = RULES if record else (*RULES, _NOT_SHARED)
    check(response, system=session.system, rules=rules, record=record)


def data_of(session: Session, response: Response, record: str = "") -> bytes:
    """Return the JSON text of a success; raises what anything else means."""
    if response.status not in OK:
        refuse(session, response, record)
    expect(response, JSON, session.system)
    return response.body


def no_such_calendar(session: Session, scope: Scope, status: int) -> GiveUp:
    """Return the error of a calendar that is not there, or not for this account."""
    return GiveUp(
        f'The calendar "{scope.title}" is not at {session.system} any more, or the account may '
        f"not see it. Look at the account's calendars again and choose one [{status}]."
    )
