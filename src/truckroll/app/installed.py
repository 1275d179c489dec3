"""An installed recipe at work: its mirror compiled, its accounts signed in, its scopes known."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from truckroll.app import accounts
from truckroll.app.copies import copies_of
from truckroll.app.overlaps import overlaps_of
from truckroll.app.slots import Placing
from truckroll.app.systems import connector, scope_label
from truckroll.app.trouble import TroubleError, known
from truckroll.dispatch.overlap import sentences
from truckroll.recipes.check import load
from truckroll.recipes.compile import compile_mirror
from truckroll.recipes.mirror import Mirror, Place, Problem
from truckroll.sync.churn import HOUR, churning
from truckroll.sync.context import AccountFacts, Context
from truckroll.sync.fold import fold_key
from truckroll.sync.job import Job
from truckroll.sync.perform import Hand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from truckroll.app.hub import Hub
    from truckroll.kit.contract import Resource, Session
    from truckroll.recipes.schema import Recipe
    from truckroll.store.accounts import Account, Person
    from truckroll.store.recipes import Recipe as Row
    from truckroll.sync.ports import StoredScope
    from truckroll.sync.types import Link


@dataclass(frozen=True, slots=True)
class Installed:
    """An installed recipe with what it is bound to. `zone` is the company's IANA zone."""

    row: Row
    recipe: Recipe
    mirror: Mirror
    mirror_id: int
    accounts: Mapping[int, Account]
    sources: tuple[StoredScope, ...]
    targets: tuple[StoredScope, ...]
    people: Mapping[str, tuple[Place, ...]]
    zone: str


async def load_installed(hub: Hub, name: str = "") -> Installed:
    """Return an installed recipe by name, or the only one; raises TroubleError."""
    rows = await hub.store.recipes()
    if not rows:
        raise TroubleError(
            "no recipe is installed yet:  truckroll recipe install appointments-to-calendars "
            "--from ACCOUNT --to ACCOUNT",
            usage=True,
        )
    by_name = {row.name: row for row in rows}
    if not name and len(rows) > 1:
        raise TroubleError(f"say which recipe: {', '.join(sorted(by_name))}", usage=True)
    if name and name not in by_name:
        raise known(name, list(by_name), "installed recipe")
    return await _installed(hub, by_name[name] if name else rows[0], await _company(hub))


async def load_all(hub: Hub) -> dict[int, Installed | str]:
    """Return every installed recipe by id; in the place of one that cannot work, why."""
    found: dict[int, Installed | str] = {}
    company = await _company(hub)
    for row in await hub.store.recipes():
        try:
            found[row.id] = await _installed(hub, row, company)
        except TroubleError as error:
            found[row.id] = error.says
    return found


@dataclass(frozen=True, slots=True)
class _Company:
    """What recipes are bound to; read once for all of them."""

    accounts: Mapping[int, Account]
    scopes: Sequence[StoredScope]
    people: Mapping[str, tuple[Place, ...]]
    mirrors: Mapping[tuple[int, str], int]


async def _company(hub: Hub) -> _Company:
    store = hub.store
    listed, scopes, persons, mirrors = await asyncio.gather(
        store.accounts(), store.scopes(), store.people(), store.mirror_ids()
    )
    all_accounts = {one.id: one for one in listed}
    people = _people(persons, scopes, all_accounts)
    return _Company(accounts=all_accounts, scopes=scopes, people=people, mirrors=mirrors)


# A recipe's text and a mirror's choices never change; a hub has as many as it has recipes.
_load = lru_cache(maxsize=4096)(load)


@lru_cache(maxsize=4096)
def _compiled(
    text: str, name: str, choices: tuple[tuple[str, str], ...], place: Place | None
) -> Mirror:
    recipe = _load(text, name)
    assert not isinstance(recipe, list)
    return compile_mirror(recipe, dict(choices), place=place)


async def _installed(hub: Hub, row: Row, company: _Company) -> Installed:
    recipe = _load(row.toml, row.name)
    if isinstance(recipe, list):
        raise TroubleError("\n".join(str(slip) for slip in recipe))
    all_accounts, scopes = company.accounts, company.scopes
    sources = bound(row.bindings.get("from", ""), scopes, all_accounts)
    rule = next(iter(recipe.mirrors.values()))
    if rule.per:
        wanted = {
            (place.account, place.scope) for places in company.people.values() for place in places
        }
        targets = tuple(one for one in scopes if (one.account, one.id) in wanted)
        targets += tuple(one for one in _retired(scopes, targets, row, all_accounts))
        place = None
    else:
        targets = bound(row.bindings.get("to", ""), scopes, all_accounts)
        place = Place(account=targets[0].account, scope=targets[0].id, label=targets[0].scope.title)
    mirror = _compiled(row.toml, row.name, tuple(sorted(row.choices.items())), place)
    return Installed(
        row=row,
        recipe=recipe,
        mirror=mirror,
        mirror_id=company.mirrors.get((row.id, rule.name))
        or await hub.store.mirror_id(row.id, rule.name),
        accounts=all_accounts,
        sources=sources,
        targets=targets,
        people=company.people,
        zone=row.bindings.get("zone", "") or "UTC",
    )


def _retired(
    scopes: Sequence[StoredScope],
    targets: tuple[StoredScope, ...],
    row: Row,
    all_accounts: Mapping[int, Account],
) -> list[StoredScope]:
    """Return calendars of the bound accounts that are nobody's now, but hold what we made.

    These were read once, though a hub that was restored has to read them again first.
    """
    named = {word.split("/")[0] for word in row.bindings.get("to", "").split(",") if word}
    have = {one.id for one in targets}
    return [
        one
        for one in scopes
        if one.id not in have
        and (one.complete_at is not None or one.live)
        and all_accounts[one.account].name in named
    ]


def bound(
    binding: str, scopes: Sequence[StoredScope], all_accounts: Mapping[int, Account]
) -> tuple[StoredScope, ...]:
    """Return the scopes that `account` or `account/title` words name; raises TroubleError."""
    found: list[StoredScope] = []
    for word in (one.strip() for one in binding.split(",")):
        name, _, title = word.partition("/")
        theirs = [one for one in scopes if all_accounts[one.account].name == name]
        if not theirs:
            raise known(name, [one.name for one in all_accounts.values()], "account")
        picked = [one for one in theirs if not title or title in (one.scope.title, one.scope.id)]
        if not picked:
            raise known(title, [one.scope.title for one in theirs], f"part of {name}")
        found += picked
    return tuple(found)


def _people(
    persons: Sequence[Person],
    scopes: Sequence[StoredScope],
    all_accounts: Mapping[int, Account],
) -> dict[str, tuple[Place, ...]]:
    titles = {one.id: one.scope.title for one in scopes}
    people: dict[str, tuple[Place, ...]] = {}
    for row in persons:
        if row.scope in titles and row.account in all_accounts:
            place = Place(account=row.account, scope=row.scope, label=titles[row.scope])
            people[row.name] = (*people.get(row.name, ()), place)
    return people


@asynccontextmanager
async def open_job(hub: Hub, installed: Installed) -> AsyncIterator[Job]:
    """Sign in to the accounts that an installed recipe needs and give the job to be done."""
    async with AsyncExitStack() as stack:
        hands = {}
        for account_id in sorted({one.account for one in (*installed.sources, *installed.targets)}):
            account = await accounts.one(hub, installed.accounts[account_id].name)
            session = await stack.enter_async_context(
                accounts.shared_sign_in(hub, account, connector(account.system))
            )
            hands[account_id] = hand(installed, account, session)
        yield make_job(hub, installed, hands)


def hand(installed: Installed, account: Account, session: Session) -> Hand:
    """Return what the steps of an installed recipe in an account are performed with."""
    speaks = connector(account.system)
    resource = speaks.resource(installed.mirror.kind)
    return Hand(session, resource, f"{speaks.title} “{account.name}”")


def make_job(hub: Hub, installed: Installed, hands: Mapping[int, Hand]) -> Job:
    """Return the job of an installed recipe with the hands for all of its accounts."""
    return Job(
        recipe=installed.row.id,
        mirror=installed.mirror_id,
        store=hub.store,
        hands=hands,
        sources=installed.sources,
        targets=installed.targets,
        kind=installed.mirror.kind,
        match_names=installed.mirror.match,
        originates=installed.mirror.originates,
        context=_context(hub, installed, hands),
        now=hub.now,
        budget=installed.mirror.write_budget,
        fold=partial(fold_key, installed.mirror) if installed.mirror.fold else None,
        slots=Placing(hub, installed)
        if installed.mirror.per and installed.mirror.overlap == "refuse"
        else None,
    )


def _context(
    hub: Hub, installed: Installed, hands: Mapping[int, Hand]
) -> Callable[[Sequence[Link], object, frozenset[int]], Awaitable[Context]]:
    systems = {key: account.system for key, account in installed.accounts.items()}
    labels = {
        one.id: scope_label(systems[one.account], one.scope.title)
        for one in (*installed.sources, *installed.targets)
    }
    facts = {key: _facts(hand, systems[key]) for key, hand in hands.items()}
    started = hub.now()

    def people(person: str) -> tuple[Place, ...] | Problem:
        return installed.people.get(person) or _unmapped(person)

    async def context(links: Sequence[Link], match: object, waiting: frozenset[int]) -> Context:
        ids = [link.id for link in links if link.id > 0]
        since = hub.now() - HOUR
        found, copies, recent, doubtful = await asyncio.gather(
            overlaps_of(hub, installed, links),
            copies_of(hub, installed, links),
            hub.store.recent_writes(ids, since=since),
            hub.store.doubtful(installed.row.id, since=since),
        )
        keys = {
            f"{end.scope}/{end.external_id}": link.key
            for link in links
            for end in link.ends
            if end.side == "source"
        }
        said = {keys[key]: text for key, text in sentences(found).items() if key in keys}
        place = None
        if "target" in installed.mirror.originates:
            home = installed.sources[0]
            place = Place(account=home.account, scope=home.id, label=home.scope.title)
        return Context(
            mirror=installed.mirror,
            now=started,
            zone=installed.zone,
            accounts=facts,
            people=people,
            match=match,  # type: ignore[arg-type] # Matcher.find, handed through
            scope_label=lambda id_: labels.get(id_, "a calendar"),
            source_place=place,
            overlaps=said,
            copies=copies,
            doubtful=doubtful,
            waiting=waiting,
            churn=partial(churning, recent),
        )

    return context


def _unmapped(person: str) -> Problem:
    return Problem(
        "person_unmapped",
        f"nobody said which calendar is {person}'s",
        f'truckroll people map "{person}" ACCOUNT/CALENDAR',
    )


def _facts(hand: Hand, system: str) -> AccountFacts:
    resource: Resource = hand.resource
    ops = {
        "create": resource.create,
        "update": resource.update,
        "cancel": resource.cancel,
        "remove": resource.remove,
    }
    return AccountFacts(
        label=hand.label,
        system=system,
        ops=frozenset(name for name, can in ops.items() if can is not None),
        writes=resource.writes,
        stored=resource.fields,
        notifies=resource.notified(hand.session.settings),
    )
