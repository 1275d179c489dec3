"""Alerts: looked for every minute, kept as rows, told once over mail, Slack or a webhook."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.app import channels, freshness
from truckroll.app.alarms import Facts, findings
from truckroll.app.audit import audited
from truckroll.app.trouble import TroubleError, known
from truckroll.kit.addresses import checked_url
from truckroll.kit.errors import GiveUp
from truckroll.store.alerts import Alert, Message, Settled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from truckroll.app.hub import Hub

LEASE = timedelta(minutes=5)  # a mail server may answer each word slowly
GIVES_UP = timedelta(hours=24)
_PAUSES = tuple(timedelta(seconds=one) for one in (10, 60, 300, 900, 3600))
_SECRET = frozenset({"password", "secret", "url"})
_NEEDED = {"mail": ("host", "to"), "slack": ("url",), "webhook": ("url",)}
_KNOWN = {
    "mail": ("host", "port", "user", "password", "from", "to", "tls", "private"),
    "slack": ("url", "private"),
    "webhook": ("url", "private", "secret"),
}


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as people see it; never a secret."""

    name: str
    kind: str
    settings: dict[str, str]


class AddedView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel that was added; `secret` proves a webhook's messages and is shown this once."""

    name: str
    kind: str
    secret: str = ""


async def look(
    hub: Hub,
    restart: Callable[[Sequence[int]], Awaitable[None]] | None = None,
    *,
    expect: bool = True,
) -> Settled:
    """Look for reasons, set stopped reads going again, and settle the alerts.

    To be called every half minute for each tenant: a system that is down is then told of within
    five minutes. `expect` False leaves out what costs most: to see which scopes recipes read.
    `restart` makes scopes due to be read.
    """
    if expect:
        await freshness.expect(hub)
    accounts = await freshness.fresh(hub)
    if restart is not None:
        await freshness.restart_stopped(hub, accounts, restart)
    now = hub.now()
    open_ = await hub.store.alerts(at=now)
    facts = Facts(
        now=now,
        accounts=accounts,
        runs=await hub.store.last_runs(),
        endpoints=await hub.store.endpoints(),
        channels=await hub.store.failing_channels(),
        open={(one.code, one.about): one.opened_at for one in open_},
    )
    return await hub.store.settle_alerts(findings(facts), at=now)


async def listed(hub: Hub, *, closed: bool = False) -> list[Alert]:
    """Return the alerts, open ones first."""
    return await hub.store.alerts(at=hub.now(), closed=closed)


@audited("alert.silence", "alert", "length")
async def silence(hub: Hub, alert: int, length: timedelta) -> datetime:
    """Tell nobody about an alert's reason for so long; returns until when."""
    until = hub.now() + length
    if not await hub.store.silence(alert, until=until):
        raise TroubleError(f"there is no alert {alert}; see  truckroll alerts list", usage=True)
    return until


@audited("channel.add", "name", "kind")
async def add_channel(hub: Hub, name: str, kind: str, answers: Mapping[str, str]) -> AddedView:
    """Add a channel; raises TroubleError naming what is missing or wrong."""
    if kind not in _KNOWN:
        raise known(kind, list(_KNOWN), "kind of channel")
    for key in answers:
        if key not in _KNOWN[kind]:
            raise known(key, list(_KNOWN[kind]), f"setting of a {kind} channel")
    if missing := [key for key in _NEEDED[kind] if not answers.get(key)]:
        raise TroubleError(f"a {kind} channel also needs: {', '.join(missing)}", usage=True)
    settings = {key: value for key, value in answers.items() if value}
    channels.check(kind, settings)
    if "url" in settings:
        private = settings.get("private") == "yes"
        try:
            checked_url(settings["url"], private=private, system=f"channel {name}")
        except GiveUp as error:
            raise TroubleError(error.says, usage=True) from error
    made = ""
    if kind == "webhook" and "secret" not in settings:
        made = settings["secret"] = new_secret()
    try:
        await hub.store.add_channel(name, kind, settings, at=hub.now())
    except KeyError:
        raise TroubleError(f'there is a channel "{name}" already', usage=True) from None
    return AddedView(name=name, kind=kind, secret=made)


def new_secret() -> str:
    """Return a new secret of Standard Webhooks ("Symmetric", 24 to 64 random bytes)."""
    import base64  # noqa: PLC0415 -- one use

    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


async def channel_views(hub: Hub) -> list[ChannelView]:
    """Return the channels by name, without their secrets."""
    return [
        ChannelView(
            name=one.name,
            kind=one.kind,
            settings={key: value for key, value in one.settings.items() if key not in _SECRET},
        )
        for one in await hub.store.channels()
    ]


@audited("channel.remove", "name")
async def remove_channel(hub: Hub, name: str) -> None:
    """Remove a channel; raises TroubleError where there is none."""
    if not await hub.store.remove_channel(name):
        raise await _no_channel(hub, name)


@audited("channel.test", "name")
async def test_channel(hub: Hub, name: str) -> None:
    """Send a test over a channel; raises TroubleError with what went wrong."""
    found = {one.name: one for one in await hub.store.channels()}
    if name not in found:
        raise await _no_channel(hub, name)
    now = hub.now()
    alert = Alert(
        id=0,
        code="test",
        about=name,
        says="This is a test of Truckroll's alerts: it arrived.",
        act="",
        opened_at=now,
    )
    message = Message(
        id=0, what="opened", made_at=now, attempts=1, channel=found[name], alert=alert
    )
    problem = await channels.send(message, now=now)
    if problem:
        raise TroubleError(f"The test could not be sent over “{name}”: {problem}")


async def _no_channel(hub: Hub, name: str) -> TroubleError:
    return known(name, [one.name for one in await hub.store.channels()], "channel")


async def deliver(hub: Hub, send: Callable[..., Awaitable[str]] = channels.send) -> int:
    """Send the messages that are due; return how many arrived.

    Each is taken for five minutes, so that no two processes send it; one whose process died
    meanwhile is sent again. A message that fails is tried for a day, then given up.
    """

    async def one(message: Message) -> bool:
        problem = await send(message, now=hub.now())
        now = hub.now()
        again = None
        if problem and now - message.made_at < GIVES_UP:
            again = now + _PAUSES[min(message.attempts, len(_PAUSES)) - 1]
        await hub.store.message_done(
            message.id, sent_at=None if problem else now, next_at=again, problem=problem
        )
        return not problem

    taken = await hub.store.take_messages(at=hub.now(), lease=LEASE)
    return sum(await asyncio.gather(*(one(message) for message in taken)))
