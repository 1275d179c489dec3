"""Who hears of what: alerts and their channels, webhooks and what they were sent."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from truckroll.app import alerts, webhooks
from truckroll.app.alerts import AddedView, ChannelView
from truckroll.app.rights import Right
from truckroll.app.trouble import TroubleError
from truckroll.store.alerts import Alert
from truckroll.store.webhooks import Delivery, Endpoint
from truckroll.web.api.words import InPath, Name, Number, Text
from truckroll.web.once import SECRET
from truckroll.web.paging import USUAL, Cursor, Limit, Page, page, piece, place
from truckroll.web.problems import in_path
from truckroll.web.routes import does, removes, shows
from truckroll.web.sign_in import HubOf

_DAY = 86_400
_LONGEST_URL = 2000

Every = Annotated[bool, QueryParameter(name="all", description="what is over as well")]
OfOne = Annotated[int | None, QueryParameter(ge=1, le=2**53, description="of one webhook alone")]
Url = Annotated[str, Meta(min_length=1, max_length=_LONGEST_URL)]
Settings = Annotated[dict[str, Text], Meta(max_length=20)]


class Silence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long nobody is told of an alert's reason."""

    seconds: Annotated[int, Meta(ge=60, le=365 * _DAY)] = _DAY


class Silenced(msgspec.Struct, frozen=True, kw_only=True):
    """Until when nobody is told of an alert's reason."""

    alert: int
    until: datetime


class NewChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel for alerts. `kind` is mail, slack or webhook; passwords are never shown again."""

    name: Name
    kind: Name
    settings: Settings = {}


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address that is to hear of events; of all of them where `types` is empty."""

    url: Url
    types: Annotated[list[Name], Meta(max_length=50)] = []


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """The channel that took a test."""

    sent: str


@shows("/alerts", Right.SEE_RECORDS, summary="What asks for somebody")
async def list_alerts(
    hub: HubOf,
    everything: Every = False,
    cursor: Cursor = "",
    limit: Limit = USUAL,
) -> Page[Alert]:
    """Return the alerts, open ones first."""
    return piece(await alerts.listed(hub, closed=everything), cursor, limit)


@does("/alerts/{alert:int}/silence", Right.MANAGE_ALERTS, summary="Tell nobody of an alert")
async def silence_alert(hub: HubOf, alert: Number, data: JSONBody[Silence]) -> Silenced:
    """Tell nobody of an alert's reason for a while; it stays on the list."""
    with in_path():
        until = await alerts.silence(hub, alert, timedelta(seconds=data.seconds))
    return Silenced(alert=alert, until=until)


@shows("/alerts/channels", Right.SEE_SETTINGS, summary="Over what alerts are told")
async def list_channels(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[ChannelView]:
    """Return the channels by name, without passwords, secrets and addresses that are one."""
    return piece(await alerts.channel_views(hub), cursor, limit)


@does(
    "/alerts/channels",
    Right.MANAGE_ALERTS,
    summary="Tell alerts over a channel",
    status_code=201,
    opt={SECRET: True},
)
async def add_channel(hub: HubOf, data: JSONBody[NewChannel]) -> AddedView:
    """Add a channel; `secret`, by which a webhook's messages are proven, is shown this once."""
    if data.settings.get("private"):
        raise _inside()
    return await alerts.add_channel(hub, data.name, data.kind, data.settings)


@does("/alerts/channels/{name:str}/test", Right.MANAGE_ALERTS, summary="Send a test")
async def test_channel(hub: HubOf, name: InPath) -> Tested:
    """Send a test over a channel; 409 says why it was not taken."""
    with in_path():
        await alerts.test_channel(hub, name)
    return Tested(sent=name)


@removes("/alerts/channels/{name:str}", Right.MANAGE_ALERTS, summary="Remove a channel")
async def remove_channel(hub: HubOf, name: InPath) -> None:
    """Remove a channel."""
    with in_path():
        await alerts.remove_channel(hub, name)


@shows("/webhooks", Right.MANAGE_WEBHOOKS, summary="Who hears of events")
async def list_webhooks(hub: HubOf, cursor: Cursor = "", limit: Limit = USUAL) -> Page[Endpoint]:
    """Return the addresses that hear of events, never their secrets."""
    return piece(await webhooks.listed(hub), cursor, limit)


@does(
    "/webhooks",
    Right.MANAGE_WEBHOOKS,
    summary="Let an address hear of events",
    status_code=201,
    opt={SECRET: True},
)
async def add_webhook(hub: HubOf, data: JSONBody[NewWebhook]) -> webhooks.AddedView:
    """Add an address; the secret that proves what it is sent is shown this once."""
    return await webhooks.add(hub, data.url, data.types)


@removes("/webhooks/{webhook:int}", Right.MANAGE_WEBHOOKS, summary="Remove a webhook")
async def remove_webhook(hub: HubOf, webhook: Number) -> None:
    """Remove an address with what waits for it."""
    with in_path():
        await webhooks.remove(hub, webhook)


@does(
    "/webhooks/{webhook:int}/resume",
    Right.MANAGE_WEBHOOKS,
    summary="Go on with a paused webhook",
    status_code=204,
)
async def resume_webhook(hub: HubOf, webhook: Number) -> None:
    """Go on with a paused address; what waits is delivered."""
    with in_path():
        await webhooks.resume(hub, webhook)


@does("/webhooks/{webhook:int}/test", Right.MANAGE_WEBHOOKS, summary="Deliver a test event")
async def test_webhook(hub: HubOf, webhook: Number) -> Delivery:
    """Deliver a test event now, and return how it went."""
    with in_path():
        return await webhooks.test(hub, webhook)


@shows("/deliveries", Right.MANAGE_WEBHOOKS, summary="What webhooks were sent")
async def list_deliveries(
    hub: HubOf, webhook: OfOne = None, cursor: Cursor = "", limit: Limit = USUAL
) -> Page[Delivery]:
    """Return deliveries and how they were answered, the newest first."""
    found = await webhooks.log(hub, webhook, before=place(cursor), limit=limit + 1)
    return page(found, limit, found[:limit][-1].id if found else 0)


@does("/deliveries/{delivery:int}/again", Right.MANAGE_WEBHOOKS, summary="Deliver once more")
async def redeliver(hub: HubOf, delivery: Number) -> Delivery:
    """Deliver an event once more under its own id, and return how it went."""
    with in_path():
        return await webhooks.redeliver(hub, delivery)


def _inside() -> TroubleError:
    says = "Only the command line of the hub lets a channel lead into its own network."
    return TroubleError(says, usage=True)


ROUTES = (
    list_alerts,
    silence_alert,
    list_channels,
    add_channel,
    test_channel,
    remove_channel,
    list_webhooks,
    add_webhook,
    remove_webhook,
    resume_webhook,
    test_webhook,
    list_deliveries,
    redeliver,
)
