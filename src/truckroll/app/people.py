"""Whose calendar is whose: seen, suggested, confirmed by a person."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.audit import audited
from truckroll.app.installed import load_installed
from truckroll.app.sources import read_sources
from truckroll.app.trouble import TroubleError, known
from truckroll.dispatch.people import Calendar, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.dispatch.people import Suggestion
    from truckroll.sync.ports import StoredScope

_OF_PEOPLE = ("person_unmapped", "person_ambiguous")


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """A person as the source names them. `calendar` is `account/title`, "" where not known.

    `records` is on how many live records of the source they are. `confirmed_by` says whose word
    the calendar is.
    """

    name: str
    records: int
    calendar: str = ""
    confirmed_by: str = ""


class SuggestionView(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar that may be a person's, and why; `taken` says that it was confirmed now."""

    person: str
    calendar: str
    why: str
    sure: bool
    taken: bool = False


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """Suggestions for people without a calendar; `nobody` are those whom no calendar fits."""

    suggestions: list[SuggestionView]
    nobody: list[str]


async def listed(hub: Hub, recipe: str = "") -> list[PersonView]:
    """Return everybody whom the recipe's source names now, and everybody who is mapped."""
    installed = await load_installed(hub, recipe)
    seen = await _seen(hub, installed)
    titles = await _titles(hub)
    mapped = {row.name: row for row in await hub.store.people()}
    return [
        PersonView(
            name=name,
            records=seen.get(name, 0),
            calendar=titles.get(mapped[name].scope, "") if name in mapped else "",
            confirmed_by=mapped[name].confirmed_by if name in mapped else "",
        )
        for name in sorted({*seen, *mapped})
    ]


async def suggested(
    hub: Hub, recipe: str = "", *, take_sure: bool = False, by: str = ""
) -> Suggestions:
    """Suggest calendars of the recipe's target accounts for people who have none.

    With `take_sure` those that nothing speaks against are confirmed in the name of `by`.
    """
    installed = await load_installed(hub, recipe)
    seen = await _seen(hub, installed)
    mapped = {row.name for row in await hub.store.people()}
    scopes = await _candidates(hub, installed)
    calendars = [Calendar(one.id, one.scope.title, one.scope.owner) for one in scopes]
    free = [name for name in seen if name not in mapped]
    found = suggest(free, calendars)
    if take_sure:
        taken = [one for one in found if one.sure]
        by_id = {one.id: one for one in scopes}
        calendars_of = {one.person: by_id[one.calendar.scope] for one in taken}
        await _take(hub, installed, sorted(calendars_of), calendars_of, by or "a person")
    titles = await _titles(hub)
    fitting = {one.person for one in found}
    return Suggestions(
        suggestions=[_suggestion(one, titles, taken=take_sure and one.sure) for one in found],
        nobody=[name for name in free if name not in fitting],
    )


@audited("people.take-sure", "", "names")
async def _take(
    hub: Hub,
    installed: Installed,
    names: Sequence[str],
    calendars: Mapping[str, StoredScope],
    by: str,
) -> None:
    for name in names:
        await hub.store.map_person(name, calendars[name].account, calendars[name].id, by)
    await _release(hub, installed)


async def _present(hub: Hub, given: Mapping[str, Any]) -> dict[str, object]:
    titles = await _titles(hub)
    mapped = {row.name: titles.get(row.scope, "") for row in await hub.store.people()}
    return {"calendar": mapped.get(given["person"], "")}


@audited("people.map", "person", "calendar", old=_present)
async def map_person(hub: Hub, person: str, calendar: str, *, recipe: str = "", by: str) -> str:
    """Say whose calendar it is; return the calendar as `account/title`.

    `calendar` is `account/title`, the title or id alone, or the owner's mail address. Raises
    TroubleError where it names none, or more than one.
    """
    installed = await load_installed(hub, recipe)
    seen = await _seen(hub, installed)
    if person not in seen:
        near = difflib.get_close_matches(person, list(seen), n=1, cutoff=0.5)
        meant = f"; did you mean “{near[0]}”?" if near else f"; it names: {_some(list(seen))}"
        raise TroubleError(f"the source names nobody “{person}”{meant}", usage=True)
    scopes = await _candidates(hub, installed)
    titles = await _titles(hub)
    fits = [one for one in scopes if _is(one, titles[one.id], calendar)]
    if not fits:
        raise known(calendar, [titles[one.id] for one in scopes], "calendar")
    if len(fits) > 1:
        which = ", ".join(f"{titles[one.id]} ({one.scope.id})" for one in fits)
        raise TroubleError(f"“{calendar}” may be one of several: {which}", usage=True)
    await hub.store.map_person(person, fits[0].account, fits[0].id, by)
    await _touch_all(hub, installed)
    return titles[fits[0].id]


@audited("people.unmap", "person", old=_present)
async def unmap(hub: Hub, person: str, *, recipe: str = "") -> None:
    """Take a person out of the map; what is in their calendar stays, and follows nothing."""
    await mapped(hub, person)
    await hub.store.unmap_person(person)
    await _touch_all(hub, await load_installed(hub, recipe))


async def mapped(hub: Hub, person: str) -> None:
    """Raise TroubleError where a person is not on the map."""
    names = [row.name for row in await hub.store.people()]
    if person not in names:
        raise known(person, names, "person with a calendar called")


async def unmapped(hub: Hub, installed: Installed) -> list[str]:
    """Return the people of the source's live records whose calendar nobody said."""
    seen = await hub.store.people_seen([one.id for one in installed.sources])
    mapped = {row.name for row in await hub.store.people()}
    return [name for name in seen if name not in mapped]


async def _seen(hub: Hub, installed: Installed) -> dict[str, int]:
    await read_sources(hub, installed)
    return await hub.store.people_seen([one.id for one in installed.sources])


async def _candidates(hub: Hub, installed: Installed) -> list[StoredScope]:
    """Return the writable parts of the accounts that the recipe writes to."""
    names = {word.split("/")[0] for word in installed.row.bindings.get("to", "").split(",")}
    return [
        one
        for one in await hub.store.scopes()
        if installed.accounts[one.account].name in names and one.scope.writable
    ]


async def _titles(hub: Hub) -> dict[int, str]:
    accounts = {one.id: one.name for one in await hub.store.accounts()}
    return {
        one.id: f"{accounts[one.account]}/{one.scope.title}" for one in await hub.store.scopes()
    }


def _is(scope: StoredScope, title: str, word: str) -> bool:
    account, _, _ = title.partition("/")
    owner = scope.scope.owner.removeprefix("mailto:")
    names = {title, scope.scope.title, scope.scope.id, f"{account}/{scope.scope.id}", owner}
    last = scope.scope.id.rstrip("/").rsplit("/", 1)[-1]
    folded = {one.casefold() for one in (*names, last, f"{account}/{last}") if one}
    return word.casefold() in folded


def _some(names: Sequence[str], shown: int = 8) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(names[:shown]) + more) or "nobody yet"


def _suggestion(one: Suggestion, titles: dict[int, str], *, taken: bool) -> SuggestionView:
    return SuggestionView(
        person=one.person,
        calendar=titles[one.calendar.scope],
        why=one.why,
        sure=one.sure,
        taken=taken,
    )


async def _release(hub: Hub, installed: Installed) -> None:
    """Make due what was held for want of somebody's calendar."""
    held = await hub.store.holds(installed.row.id)
    links = sorted({link.id for link, hold, _ in held if hold.reason in _OF_PEOPLE})
    if links:
        await hub.store.touch(installed.mirror_id, links)


async def _touch_all(hub: Hub, installed: Installed) -> None:
    """Make everything due: what a person has in another calendar moves with them."""
    await hub.store.touch(installed.mirror_id)
