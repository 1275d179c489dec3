"""Channels: Google tells an address that a calendar changed, not what (page section "Push").

A channel cannot be renewed: a new one is opened, then the old one closed. Nor can Google be asked
which channels there are.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from truckroll.connectors.google_calendar import calls
from truckroll.kit.contract import Push, Scope, Session
from truckroll.kit.errors import Gone
from truckroll.kit.handshakes import SYNC_MESSAGE
from truckroll.kit.proofs import Arrival, Token
from truckroll.kit.push import Subscribed, Wanted, told_apart
from truckroll.kit.xml import read_json

_LIFETIME = timedelta(days=7)  # the default of calendars' channels (sheet, section 7)
_MILLISECONDS = 1000
_GONE = 404
_KEPT = (
    "x-goog-channel-id",
    "x-goog-message-number",
    "x-goog-resource-id",
    "x-goog-resource-state",
    "x-goog-resource-uri",
    "x-goog-channel-expiration",
)


class _Channel(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    resource_id: str
    expiration: str = ""


async def watch(session: Session, scope: Scope, wanted: Wanted) -> Subscribed:
    """Open a channel for a calendar; its first message may come before the answer does."""
    body = {
        "id": wanted.name,
        "type": "web_hook",
        "address": wanted.url,
        "token": wanted.secret,
        "params": {"ttl": str(int(_LIFETIME.total_seconds()))},
    }
    path, whom = calls.events_path(scope, "watch"), calls.whom(scope)
    response = await calls.send(session, "POST", path, body, whom=whom)
    made = read_json(calls.data_of(session, response), session.system, _Channel)
    return Subscribed(
        id=made.id, more={"resourceId": made.resource_id}, expires_at=_instant(made.expiration)
    )


def _instant(milliseconds: str) -> datetime | None:
    if not (milliseconds.isascii() and milliseconds.isdigit()):
        return None
    return datetime.fromtimestamp(int(milliseconds) / _MILLISECONDS, UTC)


async def stop(session: Session, scope: Scope, told: Subscribed) -> None:
    """Close a channel; raises Gone where Google does not know it any more."""
    body = {"id": told.id, "resourceId": told.more.get("resourceId", "")}
    path = "calendar/v3/channels/stop"
    response = await calls.send(session, "POST", path, body, whom=calls.whom(scope))
    if response.status == _GONE:
        raise Gone(f"{session.system} does not know this channel any more [{response.status}].")
    if response.status not in calls.OK:
        calls.refuse(session, response)


def delivery_id(push: Arrival) -> str:
    """Return channel and number of a message: numbers grow within a channel."""
    return told_apart(push, ("x-goog-channel-id", "x-goog-message-number"))


PUSH = Push(
    proof=Token(header="X-Goog-Channel-Token"),
    delivery_id=delivery_id,
    keep=_KEPT,
    handshake=SYNC_MESSAGE,
    subscribe=watch,
    stop=stop,
    lifetime=_LIFETIME,
)
