"""Web hooks (google-calendar, section 7; google-workspace, section 7).

A message whose answer is 500, 502, 503 or 504, or that finds nobody, is tried again after 1, 2, 4
and 8 seconds (the sheet says exponential back-off, not which); any other answer ends it. An
address must be https; this box also takes http to the loopback interface, where no certificate
is to be had.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlsplit

from truckroll_sim.google_calendar.errors import invalid, refusal, required
from truckroll_sim.google_calendar.times import Doc
from truckroll_sim.kit.push import Delivery
from truckroll_sim.kit.system import Kit

_AGAIN_ON = frozenset({500, 502, 503, 504})
_AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0)
_LONGEST_ID = 64
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Resource:
    """What can be watched: a collection of somebody's, with its life of a channel in seconds."""

    kind: str
    of: str
    uri: str
    default_seconds: int = 604_800
    most_seconds: int = 2_592_000

    @property
    def key(self) -> tuple[str, str]:
        """What changes are told by."""
        return self.kind, self.of


@dataclass(frozen=True)
class Channel:
    """A channel that delivers; `number` is that of its last message."""

    id: str
    account: str
    resource: Resource
    resource_id: str
    address: str
    token: str | None
    expires: datetime
    number: int = 0
    state: str | None = None


@dataclass
class Channels:
    """The channels of the project."""

    kit: Kit
    open: dict[str, Channel] = field(default_factory=dict)

    def watch(self, resource: Resource, body: Doc, account: str, state: str | None = None) -> Doc:
        """Open a channel and return it as the vendor shows it; its `sync` message is on its way.

        With `state` it tells only of changes of that name.
        """
        channel = self._checked(resource, body, account, state)
        self.open[channel.id] = channel
        # The message may well arrive before this answer does (section 7).
        self._post(channel, "sync", {}, b"")
        shown = {
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": resource.uri,
            "expiration": str(_milliseconds(channel.expires)),
        }
        return {**shown, "token": channel.token} if channel.token else shown

    def stop(self, body: Doc, account: str) -> None:
        """Close a channel; refuses one that is not there, or another account's (404)."""
        channel = self.open.get(str(body.get("id")))
        if (
            channel is None
            or channel.resource_id != body.get("resourceId")
            or channel.account != account
            or channel.expires <= self.kit.clock.now()
        ):
            raise refusal(404, "channelNotFound", f"Channel '{body.get('id')}' not found.")
        del self.open[channel.id]

    def changed(
        self,
        kind: str,
        of: str,
        state: str = "exists",
        *,
        headers: Doc | None = None,
        body: bytes = b"",
    ) -> None:
        """Tell the channels of a collection that it changed."""
        now = self.kit.clock.now()
        for channel in list(self.open.values()):
            if channel.resource.key != (kind, of) or channel.state not in (None, state):
                continue
            if channel.expires <= now:
                del self.open[channel.id]
                continue
            self._post(channel, state, headers or {}, body)

    def _checked(self, resource: Resource, body: Doc, account: str, state: str | None) -> Channel:
        name, address = body.get("id"), body.get("address")
        if not name:
            raise required("Missing channel id.", "id")
        if len(name) > _LONGEST_ID:
            raise invalid("Channel id is too long.", "id")
        if body.get("type") not in ("web_hook", "webhook"):
            raise invalid("Unknown channel type.", "type")
        if name in self.open:
            raise refusal(400, "channelIdNotUnique", f"Channel id {name} not unique")
        where = urlsplit(address or "")
        if where.scheme != "https" and not (where.scheme == "http" and where.hostname in _LOOPBACK):
            raise refusal(
                400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {address}"
            )
        return Channel(
            id=name,
            account=account,
            resource=resource,
            resource_id=self._resource_id(resource),
            address=str(address),
            token=body.get("token"),
            expires=self._expiry(resource, body),
            state=state,
        )

    def _expiry(self, resource: Resource, body: Doc) -> datetime:
        now = self.kit.clock.now()
        seconds: Any = (body.get("params") or {}).get("ttl") or resource.default_seconds
        try:
            if (until := body.get("expiration")) is not None:
                seconds = int(until) / 1000 - now.timestamp()
            life = timedelta(seconds=min(float(seconds), resource.most_seconds))
        except ValueError:
            raise invalid("Invalid value for: expiration", "expiration") from None
        if life <= timedelta():
            raise invalid("Invalid value for: expiration", "expiration")
        return now + life

    def _resource_id(self, resource: Resource) -> str:
        known = (one for one in self.open.values() if one.resource.key == resource.key)
        same = next(known, None)
        return same.resource_id if same else self.kit.ids.word("watched resource", 27)

    def _post(self, channel: Channel, state: str, headers: Mapping[str, str], body: bytes) -> None:
        # Numbers grow and are not contiguous (section 7); only `sync` is always 1.
        number = 1 if state == "sync" else channel.number + 1 + self.kit.ids.number("message") % 3
        self.open[channel.id] = replace(channel, number=number)
        told = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": format_datetime(channel.expires, usegmt=True),
            "X-Goog-Message-Number": str(number),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-State": state,
            "X-Goog-Resource-URI": channel.resource.uri,
            **({"X-Goog-Channel-Token": channel.token} if channel.token else {}),
            **headers,
        }
        self.kit.push.send(Delivery(channel.address, told, body, _AGAIN_ON, _AGAIN_SECONDS))


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
