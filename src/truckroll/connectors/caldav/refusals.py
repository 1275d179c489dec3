"""What a server's refusal of a write means, by what to do next.

The precondition in the body decides before the status: Xandikos answers 412 to bad data and to a
second UID, Cyrus 403, Radicale 409 and 400 (run against each); RFC 4791 section 5.3.2.1 allows any
of 403, 409 and 412.
"""

import re
from html import unescape

from truckroll.connectors.caldav.dav import local
from truckroll.connectors.caldav.wire import begin
from truckroll.kit.contract import Session
from truckroll.kit.errors import GiveUp, HoldRecord, Replan, RetryLater, VendorError
from truckroll.kit.http import Response
from truckroll.kit.xml import DAV, read_xml

_XML = {"text/xml", "application/xml"}
_WORDS = 200
_CONFLICTS = {409, 412}
_LOCKED = 423
_NO_ROOM = 507
_FORBIDDEN = 403
_TOO_LARGE = 413

_CONDITIONS = {
    "no-uid-conflict": "an event with the same UID lies in the calendar (or in another calendar of "
    "the account) already. Look for the other one and delete whichever is not wanted",
    "unique-scheduling-object-resource": "an event with the same UID lies in the account already. "
    "Look for the other one and delete whichever is not wanted",
    "max-resource-size": "it is larger than the server allows. Shorten its notes",
    "supported-calendar-component": "the calendar takes no events. Choose another calendar",
    "supported-calendar-data": "the server does not take this form of calendar data",
    "valid-calendar-data": "the server finds its content not valid",
    "valid-calendar-object-resource": "the server finds its content not valid",
    "min-date-time": "it lies further in the past than the server allows",
    "max-date-time": "it lies further in the future than the server allows",
    "max-instances": "it repeats more often than the server allows",
    "max-attendees-per-instance": "it has more attendees than the server allows",
}
_NO_RIGHT = {"need-privileges", "allowed-organizer-scheduling-object-change"}
_NO_SPACE = {"quota-not-exceeded", "sufficient-disk-space"}


def conditions(response: Response) -> frozenset[str]:
    """Return the names of the preconditions that an answer says were not met."""
    if response.content_type not in _XML or not response.body:
        return frozenset()
    try:
        root = read_xml(response.body, "")
    except VendorError:
        return frozenset()
    return (
        frozenset(local(one.tag) for one in root) if root.tag == f"{{{DAV}}}error" else frozenset()
    )


def words(response: Response) -> str:
    """Return what an answer says, as plain text of one line, without its markup."""
    text = response.body[:20_000].decode("utf-8", "replace")
    text = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>", " ", text)
    text = " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())
    return text if len(text) <= _WORDS else f"{text[:_WORDS].rsplit(' ', 1)[0]} …"


def refusal(session: Session, response: Response, what: str) -> VendorError:
    """Return the error for a refused write; `what` names the record, in quotes, for people."""
    system, status = session.account, response.status
    failed = conditions(response)
    known = next((says for name, says in _CONDITIONS.items() if name in failed), None)
    if known is not None:
        return HoldRecord(f"{system} did not take {what}: {known}{said(response)} [{status}].")
    if status == _NO_ROOM or failed & _NO_SPACE:
        return RetryLater(
            f"{system} has no room left for {what}. Make room there; it is tried again by itself "
            f"[{status}]."
        )
    if failed & _NO_RIGHT:
        return GiveUp(
            f"{system} does not let this user change the calendar of {what}. Ask its owner for "
            f"the right to write, or choose another calendar [{status}]."
        )
    if status == _LOCKED:
        return RetryLater(
            f"{begin(what)} is locked at {system} at the moment; it is tried again by itself "
            f"[{status}]."
        )
    if status in _CONFLICTS:
        return Replan(
            f"{begin(what)} changed at {system} since it was read; it is read again [{status}]."
        )
    return _held(response, system, what)


def _held(response: Response, system: str, what: str) -> HoldRecord:
    why = "its content or the user's rights do not satisfy the server"
    if response.status == _TOO_LARGE:
        why = _CONDITIONS["max-resource-size"]
    elif response.status == _FORBIDDEN:
        why = "the server forbids it: either the user may not write there, or its content is amiss"
    return HoldRecord(f"{system} did not take {what}: {why}{said(response)} [{response.status}].")


def said(response: Response) -> str:
    """Return the server's own words as an insertion into a sentence, or ""."""
    text = words(response)
    return f' (it says: "{text}")' if text else ""
