"""Subscriptions: systems are asked to tell of changes, and asked again before they stop.

Work on one is done by one process at a time, whatever comes: a lease with an epoch is taken
first, what comes late is undone. Where nobody can be told, or a subscription is lost, scopes are
polled as ever; a new subscription makes its scope due, which closes the gap.
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from truckroll.app import accounts
from truckroll.app.audit import audited
from truckroll.app.hub import Hub
from truckroll.app.installed import load_all
from truckroll.app.systems import connector, scope_label
from truckroll.app.trouble import TroubleError
from truckroll.kit.contract import Connector, Push, Scope, Session
from truckroll.kit.errors import Gone, VendorError
from truckroll.kit.push import Subscribed, Wanted
from truckroll.store.accounts import Account
from truckroll.store.subscriptions import Subscription, new_secret
from truckroll.sync.ports import StoredScope

ADDRESS_VARIABLE = "TRUCKROLL_URL"
Task = Literal["make", "renew", "look"]
# How long a call to a system may take at most before another process may try: more than the
# client's own patience.
_LEASE = timedelta(minutes=10)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_DOUBT_AFTER = timedelta(minutes=10)
_NAME_BYTES = 16


class Worked(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: how many were made, renewed, looked at and stopped, and what went wrong.

    `problems` are whole sentences. `polled` says that there is no address, so that nothing is
    subscribed.
    """

    made: int = 0
    renewed: int = 0
    looked: int = 0
    stopped: int = 0
    problems: tuple[str, ...] = ()
    polled: bool = False


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as people see it; never its address or a secret.

    `place` names the scope, or says that it is the account as a whole. Instants are aware UTC.
    """

    account: str
    place: str
    state: str
    by_hand: bool
    expires_at: datetime | None
    heard_at: datetime | None
    pushes: int
    doubled: int
    refused: int
    swept: int
    problem: str


class ByHand(msgspec.Struct, frozen=True, kw_only=True):
    """What a person enters at a system that is set up by hand: shown to that person alone."""

    account: str
    system: str
    url: str
    secret: str

    def __repr__(self) -> str:
        return f"ByHand(account={self.account!r})"


def public_address(given: str = "") -> str:
    """Return the hub's public address, without a slash at its end: as given, or TRUCKROLL_URL.

    "" where there is none. Raises TroubleError where systems could not use it: they want https;
    http is good for this machine alone.
    """
    address = (given or os.environ.get(ADDRESS_VARIABLE, "")).strip().rstrip("/")
    if not address:
        return ""
    parts = urlsplit(address)
    fine = parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or ""))
    if not fine or not parts.hostname or parts.query or parts.fragment:
        raise TroubleError(
            f"systems cannot send pushes to {address}: say an address that begins with https://",
            usage=True,
        )
    return address


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def push_url(address: str, path: str) -> str:
    """Return the address of a subscription."""
    return f"{address}/push/{path}"


def due_task(row: Subscription, push: Push, now: datetime) -> Task | None:
    """Return what is to be done about a subscription at `now`, None for nothing."""
    if row.state == "off" or row.is_busy(now) or (row.try_at and row.try_at > now):
        return None
    if row.state != "live" or row.live_at is None:
        return "make"
    if row.doubted and now - row.live_at >= _DOUBT_AFTER:
        return "make"
    heard = max(row.live_at, row.heard_at or row.live_at)
    if push.silent_after is not None and now - heard > push.silent_after:
        return "make"
    if row.expires_at is not None:
        if now >= row.expires_at:
            return "make"
        whole = row.expires_at - row.live_at
        if row.expires_at - now <= min(whole, push.lifetime or whole) / 3:
            return "renew" if push.renew else "make"
    looked = row.looked_at or row.live_at
    return "look" if push.alive is not None and now - looked >= push.look_every else None


@dataclass(slots=True)
class _Work:
    """Work on the subscriptions of an account that is signed in."""

    hub: Hub
    address: str
    account: Account
    speaks: Connector
    push: Push
    session: Session
    scopes: dict[int, StoredScope]
    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    async def do(self, row: Subscription, task: Task) -> None:
        """Do a task as the only one; what goes wrong is noted and tried again later."""
        now = self.hub.now()
        coming = new_secret() if task == "make" else ""
        claimed = await self.hub.store.claim_subscription(
            row, at=now, until=now + _LEASE, coming=coming
        )
        if claimed is None:
            return
        scope = self.scopes[row.scope or 0].scope
        try:
            if task == "make":
                await self._make(claimed, scope)
            elif task == "renew":
                await self._renew(claimed, scope)
            else:
                await self._look(claimed, scope)
        except VendorError as error:
            lost = isinstance(error, Gone)
            pause = min(_FIRST_PAUSE * 2 ** min(row.tries, 10), _LONGEST_PAUSE)
            try_at = self.hub.now() + (timedelta() if lost and row.tries == 0 else pause)
            await self.hub.store.fail_subscription(claimed, error.says, try_at=try_at, lost=lost)
            self.problems.append(f"{self._label(scope)}: {error.says}")

    async def _make(self, claimed: Subscription, scope: Scope) -> None:
        assert self.push.subscribe is not None
        told = await self.push.subscribe(self.session, scope, self._wanted(claimed))
        at = self.hub.now()
        if not await self.hub.store.settle_subscription(claimed, told, at=at, anew=True):
            await self._stop(scope, told)
            return
        # What changed between the last push and now has not been told of by anybody.
        await self.hub.store.ask_to_read([claimed.scope or 0], at=at)
        if claimed.remote and claimed.remote != told.id:
            await self._stop(scope, claimed.subscribed())
        self._count("made")

    async def _renew(self, claimed: Subscription, scope: Scope) -> None:
        assert self.push.renew is not None
        wanted = self._wanted(claimed)
        told = await self.push.renew(self.session, scope, claimed.subscribed(), wanted)
        at = self.hub.now()
        if await self.hub.store.settle_subscription(claimed, told, at=at, anew=False):
            self._count("renewed")

    async def _look(self, claimed: Subscription, scope: Scope) -> None:
        assert self.push.alive is not None
        if not await self.push.alive(self.session, scope, claimed.subscribed()):
            raise Gone(
                f"{self.speaks.title} has ended the subscription; it is made again by itself."
            )
        await self.hub.store.looked_at_subscription(claimed, at=self.hub.now())
        self._count("looked")

    async def stop(self, row: Subscription) -> None:
        """Stop a subscription at its system, if it has it still."""
        if row.remote and (stored := self.scopes.get(row.scope or 0)) is not None:
            await self._stop(stored.scope, row.subscribed())
        self._count("stopped")

    async def _stop(self, scope: Scope, told: Subscribed) -> None:
        if self.push.stop is None:
            return
        try:
            await self.push.stop(self.session, scope, told)
        except Gone:
            return
        except VendorError as error:
            self.problems.append(
                f"{self._label(scope)}: {error.says} Its old subscription goes on until it ends by"
                " itself; its pushes are turned away."
            )

    def _wanted(self, claimed: Subscription) -> Wanted:
        return Wanted(
            url=push_url(self.address, claimed.path),
            secret=claimed.coming or claimed.secret,
            name=secrets.token_hex(_NAME_BYTES),
        )

    def _label(self, scope: Scope) -> str:
        return f"{self.account.name}, {scope_label(self.account.system, scope.title)}"

    def _count(self, what: str) -> None:
        self.done[what] += 1

    def worked(self) -> Worked:
        """Return what was done."""
        done = self.done
        return Worked(
            made=done["made"],
            renewed=done["renewed"],
            looked=done["looked"],
            stopped=done["stopped"],
            problems=tuple(self.problems),
        )


async def renew_due(hub: Hub, address: str, *, names: Iterable[str] = ()) -> Worked:
    """Subscribe to what installed recipes read, renew what ends, mend what is lost, stop the rest.

    With `names` all subscriptions of these accounts are made anew at once, those that a person
    stopped too. An account that does not work leaves the others alone. Repeat it every minute.
    """
    if not address:
        return Worked(polled=True)
    wanted, sure = await _wanted_scopes(hub)
    forced = set(names)
    now = hub.now()
    done = Worked()
    for account in await hub.store.accounts():
        push = connector(account.system).push
        if push is None or push.subscribe is None:
            continue
        here = [one for one in wanted if one.account == account.id]
        rows = await _rows(hub, account, here, forced=account.name in forced)
        tasks: list[tuple[Subscription, Task | Literal["stop"]]] = []
        for row in rows:
            if row.scope not in {one.id for one in here}:
                if sure:
                    tasks.append((row, "stop"))
            elif task := "make" if account.name in forced else due_task(row, push, now):
                tasks.append((row, task))
        if tasks:
            done = _sum(done, await _account(hub, address, account.name, tasks))
    return done


async def _wanted_scopes(hub: Hub) -> tuple[list[StoredScope], bool]:
    """Return the scopes that installed recipes read, and whether these are surely all."""
    found: dict[int, StoredScope] = {}
    sure = True
    for installed in (await load_all(hub)).values():
        if isinstance(installed, str):  # it is told where the recipe is run
            sure = False
            continue
        found |= {one.id: one for one in (*installed.sources, *installed.targets)}
    return list(found.values()), sure


async def _rows(
    hub: Hub, account: Account, wanted: Sequence[StoredScope], *, forced: bool
) -> list[Subscription]:
    """Return the subscriptions of an account, with new ones for what has none yet."""
    rows = await hub.store.subscriptions(account.id)
    known = {row.scope for row in rows}
    for one in wanted:
        if one.id not in known:
            rows.append(await hub.store.add_subscription(account.id, one.id, at=hub.now()))
    if forced and any(row.state == "off" for row in rows):
        for row in rows:
            if row.state == "off":
                await hub.store.turn_subscription(row.id, "lost")
        rows = await hub.store.subscriptions(account.id)
    return rows


async def _account(
    hub: Hub,
    address: str,
    name: str,
    tasks: Sequence[tuple[Subscription, Task | Literal["stop"]]],
) -> Worked:
    account = await accounts.one(hub, name)
    speaks = connector(account.system)
    assert speaks.push is not None
    scopes = {one.id: one for one in await hub.store.scopes(account.id)}
    try:
        async with accounts.sign_in(account, speaks) as session:
            work = _Work(hub, address, account, speaks, speaks.push, session, scopes)
            for row, task in tasks:
                if task == "stop":
                    await work.stop(row)
                    await hub.store.remove_subscription(row.id)
                else:
                    await work.do(row, task)
            return work.worked()
    except VendorError as error:
        return Worked(problems=(f"{account.name}: {error.says}",))


def _sum(one: Worked, other: Worked) -> Worked:
    return Worked(
        made=one.made + other.made,
        renewed=one.renewed + other.renewed,
        looked=one.looked + other.looked,
        stopped=one.stopped + other.stopped,
        problems=(*one.problems, *other.problems),
    )


@audited("subscription.renew", "name")
async def renew(hub: Hub, address: str, name: str = "") -> Worked:
    """Make the subscriptions of an account, or of all, anew at once; raises TroubleError."""
    known = [one.name for one in await hub.store.accounts()]
    return await renew_due(
        hub, address, names=[(await accounts.one(hub, name)).name] if name else known
    )


@audited("subscription.stop", "name")
async def stop(hub: Hub, name: str) -> Worked:
    """Stop what an account's system tells, as a person wants it; see `stop_account`."""
    return await stop_account(hub, name)


async def stop_account(hub: Hub, name: str, *, forget: bool = False) -> Worked:
    """Stop all subscriptions of an account at its system; they stay stopped until renewed.

    With `forget` nothing of them is kept. What cannot be stopped ends by itself, and its pushes
    are turned away.
    """
    account = await accounts.one(hub, name)
    rows = await hub.store.subscriptions(account.id)
    for row in rows:
        await hub.store.turn_subscription(row.id, "off")
    done = Worked()
    push = connector(account.system).push
    if rows and push is not None:
        done = await _stopped(hub, account, push, rows)
    if forget:
        for row in rows:
            await hub.store.remove_subscription(row.id)
    return done


async def _stopped(hub: Hub, account: Account, push: Push, rows: Sequence[Subscription]) -> Worked:
    speaks = connector(account.system)
    remote = [row for row in rows if row.remote and push.stop is not None]
    if not remote:
        return Worked(stopped=len(rows))
    scopes = {one.id: one for one in await hub.store.scopes(account.id)}
    try:
        async with accounts.sign_in(account, speaks) as session:
            work = _Work(hub, "", account, speaks, push, session, scopes)
            for row in remote:
                await work.stop(row)
            return Worked(stopped=len(rows), problems=tuple(work.problems))
    except VendorError as error:
        return Worked(stopped=len(rows), problems=(f"{account.name}: {error.says}",))


async def set_up_by_hand(hub: Hub, name: str, address: str, *, secret: str = "") -> ByHand:
    """Return the address and the secret that a person enters at a system; the same each time.

    `secret` is one that the system made up. Raises TroubleError where the system is asked by the
    hub itself, or sends no pushes, or there is no address.
    """
    account = await accounts.one(hub, name)
    speaks = connector(account.system)
    if speaks.push is None:
        raise TroubleError(f"{speaks.title} sends no pushes; it is polled", usage=True)
    if speaks.push.subscribe is not None:
        raise TroubleError(
            f"{speaks.title} is subscribed to by the hub itself:  truckroll subscriptions renew",
            usage=True,
        )
    if not address:
        raise TroubleError(no_address(), usage=True)
    row = await hub.store.add_subscription(
        account.id, None, at=hub.now(), secret=secret or new_secret(), by_hand=True
    )
    if row.state == "off":
        await hub.store.turn_subscription(row.id, "live")
    if secret and secret != row.secret:
        row = await _exchanged(hub, row, secret)
    url = push_url(address, row.path)
    return ByHand(account=name, system=speaks.title, url=url, secret=row.secret)


async def _exchanged(hub: Hub, row: Subscription, secret: str) -> Subscription:
    """Take a secret in the place of another, which counts until the next exchange."""
    now = hub.now()
    claimed = await hub.store.claim_subscription(row, at=now, until=now + _LEASE, coming=secret)
    if claimed is not None:
        told = claimed.subscribed()
        await hub.store.settle_subscription(claimed, told, at=now, anew=True)
    return await hub.store.subscription(row.id) or row


def no_address() -> str:
    """Return the sentence that says why nothing is subscribed."""
    return (
        f"no public address is set, so every system is polled; say where systems reach this hub:"
        f"  truckroll up --url https://…  (or {ADDRESS_VARIABLE})"
    )


async def listed(hub: Hub, name: str = "") -> list[SubscriptionView]:
    """Return the subscriptions of an account, or of all."""
    wanted = await accounts.one(hub, name) if name else None
    names = {one.id: one for one in await hub.store.accounts()}
    titles = {one.id: one.scope.title for one in await hub.store.scopes()}
    return [
        SubscriptionView(
            account=names[row.account].name,
            place=_place(row, names[row.account].system, titles),
            state=row.state,
            by_hand=row.scope is None,
            expires_at=row.expires_at,
            heard_at=row.heard_at,
            pushes=row.pushes,
            doubled=row.doubled,
            refused=row.refused,
            swept=row.swept,
            problem=row.problem,
        )
        for row in await hub.store.subscriptions(wanted.id if wanted else None)
    ]


def _place(row: Subscription, system: str, titles: dict[int, str]) -> str:
    if row.scope is None:
        return "all of it"
    return scope_label(system, titles.get(row.scope, "?"))
