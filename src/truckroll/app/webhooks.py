"""Webhooks out: events of the hub for other programs, by Standard Webhooks, at least once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from truckroll.app.alerts import new_secret
from truckroll.app.audit import audited
from truckroll.app.channels import signed
from truckroll.app.freshness import length
from truckroll.app.trouble import TroubleError, known
from truckroll.kit.addresses import checked_url
from truckroll.kit.errors import GiveUp
from truckroll.kit.pace import retry_after
from truckroll.kit.post import Posted, open_poster
from truckroll.store.webhooks import Delivery, Due, Endpoint, Told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from truckroll.app.hub import Hub

EVENTS = {
    "run.finished": "a run of a recipe ended: done, partial, stopped by a brake, or failed",
    "record.written": "a write was carried out at a system",
    "record.held": "a link waits for a reason that is new",
    "hold.released": "a link does not wait any more for a reason",
    "conflict.found": "two systems said different things, and one of them lost",
    "account.needs_sign_in": "a system does not accept an account's sign-in any more",
    "alert.opened": "there is a reason for alarm",
    "alert.closed": "the reason for an alarm is gone",
}
LEASE = timedelta(minutes=2)
PATIENCE = timedelta(days=3)
# The pauses of Standard Webhooks ("Delivery and retries": exponential, over days).
_PAUSES = tuple(
    timedelta(seconds=one) for one in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200)
)
_GONE = 410


class AddedView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint that was added; the secret is shown this once."""

    id: int
    url: str
    types: list[str]
    secret: str


async def add(hub: Hub, url: str, types: Sequence[str] = (), *, private: bool = False) -> AddedView:
    """Add an endpoint for events of these types, or of all; raises TroubleError.

    `private` allows an address inside the house. Events from now on are delivered.
    """
    return await _add(hub, urlsplit(url).hostname or "", url, types, private=private)


@audited("webhook.add", "host", "types", "private")  # an address may hold a secret
async def _add(hub: Hub, host: str, url: str, types: Sequence[str], *, private: bool) -> AddedView:
    del host
    for one in types:
        if one not in EVENTS:
            raise known(one, list(EVENTS), "type of event")
    try:
        checked_url(url, private=private, system="the webhook")
    except GiveUp as error:
        raise TroubleError(error.says, usage=True) from error
    secret, wanted = new_secret(), sorted(set(types))
    id_ = await hub.store.add_endpoint(url, wanted, secret, private=private, at=hub.now())
    return AddedView(id=id_, url=url, types=wanted, secret=secret)


async def listed(hub: Hub) -> list[Endpoint]:
    """Return the endpoints, never their secrets."""
    return await hub.store.endpoints()


@audited("webhook.remove", "endpoint")
async def remove(hub: Hub, endpoint: int) -> None:
    """Remove an endpoint and forget what was to be delivered to it."""
    if not await hub.store.remove_endpoint(endpoint):
        raise _unknown(endpoint)


@audited("webhook.resume", "endpoint")
async def resume(hub: Hub, endpoint: int) -> None:
    """Go on with a paused endpoint; what waits is delivered."""
    if not await hub.store.resume_endpoint(endpoint, at=hub.now()):
        raise _unknown(endpoint)


@audited("webhook.test", "endpoint")
async def test(hub: Hub, endpoint: int) -> Delivery:
    """Deliver a test event to an endpoint now, and return how it went."""
    made = await hub.store.test_event(endpoint, at=hub.now())
    if made is None:
        raise _unknown(endpoint)
    await deliver_due(hub, endpoint=endpoint)
    (line,) = await hub.store.deliveries(id_=made)
    return line


async def log(
    hub: Hub, endpoint: int | None = None, *, before: int | None = None, limit: int = 50
) -> list[Delivery]:
    """Return the delivery log, newest first, of deliveries below `before`."""
    return await hub.store.deliveries(endpoint=endpoint, before=before, limit=limit)


@audited("webhook.redeliver", "delivery")
async def redeliver(hub: Hub, delivery: int) -> Delivery:
    """Deliver an event once more under its own id, and return how it went."""
    if not await hub.store.redeliver(delivery, at=hub.now()):
        raise TroubleError(
            f"there is no delivery {delivery}, or its webhook is paused:  truckroll webhooks log",
            usage=True,
        )
    (line,) = await hub.store.deliveries(id_=delivery)
    await deliver_due(hub, endpoint=line.endpoint)
    (line,) = await hub.store.deliveries(id_=delivery)
    return line


def _unknown(endpoint: int) -> TroubleError:
    return TroubleError(f"there is no webhook {endpoint}; see  truckroll webhooks list", usage=True)


async def deliver_due(hub: Hub, *, endpoint: int | None = None) -> int:
    """Deliver what is due, endpoints side by side; return how many deliveries arrived.

    A delivery is taken for two minutes, so that no two processes make it; one whose process died
    meanwhile is made again, under the same id. Failures pause longer and longer for three days,
    then the endpoint is paused; one that answers 410 is paused at once.
    """
    due = await hub.store.take_deliveries(at=hub.now(), lease=LEASE, endpoint=endpoint)
    by_endpoint: dict[int, list[Due]] = defaultdict(list)
    for one in sorted(due, key=lambda one: one.id):
        by_endpoint[one.endpoint].append(one)
    arrived = await asyncio.gather(*(_endpoint(hub, theirs) for theirs in by_endpoint.values()))
    return sum(arrived)


async def _endpoint(hub: Hub, due: list[Due]) -> int:
    async with open_poster(private=due[0].private) as poster:

        async def one(delivery: Due) -> Posted:
            body = payload(delivery)
            headers = signed(delivery.secret, f"msg_{delivery.key}", hub.now(), body)
            return await poster.post(delivery.url, body, headers)

        posted = await asyncio.gather(*(one(delivery) for delivery in due))
    now = hub.now()
    told = [_told(*pair, now) for pair in zip(due, posted, strict=True)]
    await hub.store.delivered(told)
    if why := _pause(due, told, now, await hub.store.last_delivered(due[0].endpoint)):
        await hub.store.pause_endpoint(due[0].endpoint, why, at=now)
    return sum(one.done_at is not None for one in told)


def payload(due: Due) -> bytes:
    """Return the body of a delivery (Standard Webhooks, "Payload structure")."""
    return msgspec.json.encode(
        {"type": due.type, "timestamp": due.at, "data": msgspec.Raw(due.data)}
    )


def _told(due: Due, posted: Posted, now: datetime) -> Told:
    if posted.well:
        return Told(id=due.id, done_at=now, status=posted.status, ms=posted.ms, head=posted.head)
    asked = retry_after(posted.retry_after, now=now) or timedelta(0)
    pause = max(_PAUSES[min(due.attempts, len(_PAUSES)) - 1], asked)
    return Told(
        id=due.id,
        next_at=None if now - due.first_at >= PATIENCE else now + pause,
        status=posted.status,
        ms=posted.ms,
        head=posted.head,
        problem=posted.problem or f"The receiver did not take it [{posted.status}].",
    )


def _pause(due: Sequence[Due], told: Sequence[Told], now: datetime, last: datetime | None) -> str:
    """Return why an endpoint is to be paused, "" where it is not.

    `last` is when it took something last: one event that it never takes is given up alone.
    """
    if any(one.status == _GONE for one in told):
        return f"it says that it is gone for good [{_GONE}]."
    for one, end in zip(due, told, strict=True):
        if now - one.first_at >= PATIENCE and (last is None or last < one.first_at):
            return f"it has taken nothing for {length(PATIENCE.total_seconds())}: {end.problem}"
    return ""
