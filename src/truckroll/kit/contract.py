"""The contract between the hub and a system.

A connector is a value: a frozen `Connector` whose resources hold plain async callables. What is
`None` cannot be done, and capabilities are derived from that alone. A connector sees this
package and the model, nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from truckroll.kit.push import Subscribed, Wanted
from truckroll.model.records import Fields

if TYPE_CHECKING:
    from truckroll.kit.auth import OAuthApp
    from truckroll.kit.handshakes import Handshake
    from truckroll.kit.http import Http, Transport
    from truckroll.kit.normal import Stored
    from truckroll.kit.proofs import Arrival, Proof
    from truckroll.kit.push import Hint, Odd

Authority = Literal["client id", "create key", "upsert", "marker search", "once"]


class Scope(msgspec.Struct, frozen=True):
    """A part of an account that is read with its own cursor: a calendar, a table, a feed.

    `id` is the system's own identifier (for CalDAV the collection's path), `title` what people
    see. `owner` names whose it is (a mail address or a name), where the system says so.
    """

    id: str
    title: str
    kind: str
    writable: bool = True
    owner: str = ""


class Seen(msgspec.Struct, frozen=True):
    """A record as a system showed it.

    `id` is the system's identifier within the scope. `version` is the system's own (ETag, change
    number), or None where it gives none; the hub then compares content. `mark` is the hub's mark
    found on the record, if the hub made it. `series` names what ties records of one series
    together (an iCalendar UID). `owned` is False where the account may read but is not the
    organiser. `problems` are sentences about what was not understood. `raw` is what came back.
    """

    id: str
    fields: Fields
    version: str | None = None
    raw: bytes = b""
    mark: str | None = None
    series: str | None = None
    owned: bool = True
    problems: tuple[str, ...] = ()


class Missing(msgspec.Struct, frozen=True):
    """A tombstone: the system says that the record is gone."""

    id: str


class Unreadable(msgspec.Struct, frozen=True):
    """A record that is there but cannot be read; `reason` is a sentence with the place."""

    id: str
    reason: str
    raw: bytes = b""
    version: str | None = None


Item = Seen | Missing | Unreadable


class Page(msgspec.Struct, frozen=True):
    """A page of a listing.

    `cursor` is where the next read goes on once this page is durable (None: not yet, the page
    before still holds). `last` is True on the final page only. `complete` on the final page says
    that the listing as a whole showed everything inside its extent, so that absence is a claim;
    a listing of changes is never complete. `unchanged` are ids that were listed with the version
    that the hub already has: seen, not read again. `hints` are ids of records that may have
    changed or be gone: the hub reads them by the resource's `read` or `read_many`, and takes what
    it gets for items of the page. `since` (aware UTC, on the final page) bounds
    the extent of a complete listing: absence is a claim only for what ends after it, since
    systems that show a window drop what is over.
    """

    items: tuple[Item, ...]
    cursor: str | None = None
    last: bool = False
    complete: bool = False
    unchanged: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    since: datetime | None = None


class Known(Protocol):
    """What the hub already holds of a scope, for listings that show versions before content."""

    async def versions(self, ids: list[str]) -> Mapping[str, str | None]:
        """Return the version held for each of `ids` that is held live."""
        ...


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in account at work: what every operation of a connector is given.

    `settings` are the person's answers to the connector's `settings` (secret ones included, in
    memory only). `zone` is the account's IANA zone for systems that leave it out, or "".
    """

    account: str
    system: str
    settings: Mapping[str, str] = field(repr=False)
    http: Http
    zone: str = ""
    known: Known | None = None


class Listing(Protocol):
    """Reads a scope, from a cursor or from the beginning (None); raises StartOver."""

    def __call__(self, session: Session, scope: Scope, cursor: str | None) -> AsyncIterator[Page]:
        """Yield the pages of a scope, the last one marked `last`."""
        ...


Read = Callable[[Session, Scope, str], Awaitable[Item]]
ReadMany = Callable[[Session, Scope, Sequence[str]], Awaitable[Mapping[str, Item]]]


class Draft(msgspec.Struct, frozen=True):
    """A record to be made. `id` was chosen by the hub where the system lets it.

    `mark` is written on the record in a way that can be found again. `key` is stable over
    retries of this create, and new for every further generation of the record.
    """

    id: str
    key: str
    mark: str
    fields: Fields


class Change(msgspec.Struct, frozen=True):
    """A change to a record: `fields` are what differs, `whole` all that the hub knows of it.

    `version` is that of the observation that was merged, `raw` its raw form: an update keeps
    what the hub does not know.
    """

    id: str
    version: str | None
    fields: Fields
    whole: Fields
    raw: bytes
    mark: str = ""


class Removal(msgspec.Struct, frozen=True):
    """A record to be taken out; `version` is that of the observation that was merged."""

    id: str
    version: str | None
    raw: bytes = b""


class Reply(msgspec.Struct, frozen=True):
    """What a system answered to a write.

    `seen` is the record as it is stored now if the answer shows it or surely implies it (the
    system keeps what it is sent and answered with its version); None asks for a read-back.
    """

    id: str
    seen: Seen | None = None


Write = Callable[[Session, Scope, Draft], Awaitable[Reply]]
Update = Callable[[Session, Scope, Change], Awaitable[Reply]]
Remove = Callable[[Session, Scope, Removal], Awaitable[None]]
Find = Callable[[Session, Scope, str], Awaitable[Item | None]]


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of record at one system, and what can be done with it.

    `fields` names each field that the system holds and in what form it stores it. `writes` are
    those that may be written; others are read only. `read` shows a record as it is now, and
    `read_many` several in few calls, each id with its answer. `choose_id` returns the external
    id for a create key where the client chooses. `find` looks a record up by mark.
    `conditional` says that update and remove carry the merged version and fail when it is
    stale. `lag` is how long a listing may stay behind a write. `snapshot` says that a complete
    listing shows one instant, so that absence from it needs no second read. `notifies` names
    whom a write may notify, by operation; `notifies_by` the same where an account's settings
    decide it. Where it says `{guests}`, the record's field `guests` names them. `concurrency` is
    how many records are worked on at one time; how many requests are under way says the `Pace`.
    """

    kind: str
    fields: Mapping[str, Stored]
    listing: Listing
    writes: frozenset[str] = frozenset()
    read: Read | None = None
    read_many: ReadMany | None = None
    create: Write | None = None
    update: Update | None = None
    cancel: Update | None = None
    remove: Remove | None = None
    find: Find | None = None
    choose_id: Callable[[Scope, str], str] | None = None
    repeat_safe: Authority = "once"
    conditional: bool = False
    tombstones_final: bool = True
    snapshot: bool = False
    lag: timedelta = timedelta(0)
    concurrency: int = 4
    notifies: Mapping[str, str] = field(default_factory=dict)
    notifies_by: Callable[[Mapping[str, str]], Mapping[str, str]] | None = None

    def notified(self, settings: Mapping[str, str]) -> Mapping[str, str]:
        """Return whom a write of an account with these settings may notify, by operation."""
        return {**self.notifies, **(self.notifies_by(settings) if self.notifies_by else {})}


Subscribe = Callable[[Session, Scope, Wanted], Awaitable[Subscribed]]
Renew = Callable[[Session, Scope, Subscribed, Wanted], Awaitable[Subscribed]]
Stop = Callable[[Session, Scope, Subscribed], Awaitable[None]]
Alive = Callable[[Session, Scope, Subscribed], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Push:
    """How a system tells of changes by itself.

    `proof` is how its pushes are proven, `delivery_id` what tells one delivery from another ("" or
    None: the body and the headers `keep` do). `keep` are headers (lower case) that are kept with
    the body. `parts` finds what a push concerns; None: the whole of what was subscribed to.

    `subscribe` makes a subscription to a scope; None: it is set up by hand at the system, with
    the address and the secret that the hub gives out, for an account as a whole. `renew` makes
    one last longer; None: a new one is made, then the old one stopped. `stop` may raise Gone.
    `alive` asks the system whether it still has one, every `look_every`. `silent_after` is how
    long a live one is ever silent, where the system sends signs of life. `lifetime` is what is
    expected where the system does not say when one ends. Larger pushes than `most_bytes` are
    turned away.
    """

    proof: Proof
    delivery_id: Callable[[Arrival], str] | None = None
    keep: tuple[str, ...] = ()
    parts: Callable[[Arrival], Sequence[Hint | Odd]] | None = None
    handshake: Handshake | None = None
    subscribe: Subscribe | None = None
    renew: Renew | None = None
    stop: Stop | None = None
    alive: Alive | None = None
    look_every: timedelta = timedelta(minutes=15)
    silent_after: timedelta | None = None
    lifetime: timedelta | None = None
    most_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Setting:
    """A question to the person who adds an account."""

    name: str
    asks: str
    secret: bool = False
    required: bool = True
    default: str = ""


# Asked wherever a person says an address: else nothing of the hub's own network is reached.
PRIVATE = Setting(
    "private",
    "May it stand in your own house or network? (yes or no)",
    required=False,
    default="no",
)


def is_private(settings: Mapping[str, str]) -> bool:
    """Tell whether a person allowed addresses in their own house or network."""
    return settings.get(PRIVATE.name, "").strip().lower() == "yes"


@dataclass(frozen=True, slots=True)
class Connector:
    """A system: how to reach it, what to ask a person, and what it holds.

    `part` is what a scope of it is called in a sentence ("calendar", "tenant"). `who` returns
    whose the account is, as the system names them (a mail address). `consent` gives, from an
    account's settings, the app to which a person grants access in a browser; None where the
    account signs in otherwise. Its refresh token is the secret setting `refresh_token`.
    `push` is how it tells of changes by itself, None where it does not. `poll` is how often a
    scope is read by itself (None: as often as is usual), as its system's limits allow.
    """

    system: str
    title: str
    settings: tuple[Setting, ...]
    transport: Callable[[Mapping[str, str]], Transport]
    scopes: Callable[[Session], Awaitable[tuple[Scope, ...]]]
    resources: Mapping[str, Resource]
    facts: Mapping[str, Any] = field(default_factory=dict)
    part: str = "part"
    who: Callable[[Session], Awaitable[str]] | None = None
    consent: Callable[[Mapping[str, str]], OAuthApp | None] | None = None
    push: Push | None = None
    poll: timedelta | None = None

    def resource(self, kind: str) -> Resource:
        """Return the resource of a kind; raises KeyError where the system has none."""
        return self.resources[kind]


Clock = Callable[[], datetime]
