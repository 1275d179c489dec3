"""Why: where a record is, where it is not and because of what, and what happened to it."""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.holds import look_at
from truckroll.app.installed import Installed, load_installed
from truckroll.app.passes import labels
from truckroll.app.systems import scope_label
from truckroll.app.trouble import TroubleError
from truckroll.app.views import hold_view, ref_of
from truckroll.model.records import as_text
from truckroll.model.time import wall, zone_info
from truckroll.recipes.check import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from truckroll.app.hub import Hub
    from truckroll.store.recipes import Recipe as Row
    from truckroll.sync.types import Decision, End, Link, RecordRow

_MOST = 8


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record is or is not, and how that is known."""

    place: str
    here: bool
    says: str


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a story; `at` is in the company's zone."""

    at: datetime
    code: str
    text: str
    run: int = 0


class WhyView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole story of a record. `because` and `will_go` are sentences, [] where all is well."""

    ref: str
    title: str
    when: str
    location: str
    recipe: str
    places: list[PlaceView]
    because: list[str]
    will_go: list[str]
    next_steps: list[str]
    story: list[LineView]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What answers to a reference; `several` are too many to be told whole."""

    records: list[WhyView]
    several: list[str] = []


async def why(hub: Hub, ref: str, recipe: str = "") -> Found:
    """Tell of a record by number, key, or a part of its title.

    Raises TroubleError, with what sounds like it, for one that was never heard of.
    """
    rows = await hub.store.recipes()
    left = [] if recipe else await hub.store.removed_recipes()
    names = [recipe] if recipe or not (rows or left) else [row.name for row in rows]
    all_installed = [await load_installed(hub, name) for name in names]
    told: list[WhyView] = []
    several: list[str] = []
    for installed in all_installed:
        links = await hub.store.find_links(ref, installed.mirror_id)
        live = [link for link in links if link.state == "live"] or links
        if len(live) > 1 and len({ref_of(link) for link in live}) > 1:
            several += [" · ".join(filter(None, ref_of(link))) for link in live]
        elif live:
            told += [await _told(hub, installed, link) for link in live]
    for row in left if not told and not several else ():
        told += await _told_of_removed(hub, row, ref)
    if not told and not several:
        records = await hub.store.find_records(ref)
        if len(records) > _MOST:
            several = [_name(one) for one in records]
        else:
            told = [_unlinked(all_installed, one) for one in records]
    if not told and not several:
        raise await _never_heard(hub, ref)
    return Found(records=told, several=several[:50])


async def _told(hub: Hub, installed: Installed, link: Link) -> WhyView:
    (decision,) = await look_at(hub, installed, [link]) if _readable(installed, link) else (None,)
    label = labels(installed)
    holds = [hold_view(link, hold, label) for hold in decision.holds] if decision else []
    ended = [f"it is not kept in step any more: {link.ended_why}"] if link.state == "ended" else []
    return msgspec.structs.replace(
        await _story(hub, link, installed.row.name, installed.zone),
        places=_places(installed, link, label),
        because=[one.detail for one in holds] + ended,
        will_go=[one.release for one in holds if one.release],
        next_steps=_next(decision, label),
    )


async def _told_of_removed(hub: Hub, row: Row, ref: str) -> list[WhyView]:
    """Tell of what a removed recipe kept in step; nothing of it is planned any more."""
    recipe = load(row.toml, row.name)
    if isinstance(recipe, list):
        return []
    mirror = await hub.store.mirror_id(row.id, next(iter(recipe.mirrors.values())).name)
    systems = {one.id: one.system for one in await hub.store.accounts()}
    label = {
        one.id: scope_label(systems[one.account], one.scope.title)
        for one in await hub.store.scopes()
    }
    zone = row.bindings.get("zone", "") or "UTC"
    return [
        msgspec.structs.replace(
            await _story(hub, link, row.name, zone),
            places=[
                _place(end, label.get(end.scope, "a calendar that is not in use now"), zone)
                for end in _present(link)
            ],
            because=[f"the recipe {row.name} was removed: it is not kept in step any more"],
            will_go=[f"when the recipe is installed again:  truckroll recipe install {row.name}"],
        )
        for link in (await hub.store.find_links(ref, mirror))[:_MOST]
    ]


async def _story(hub: Hub, link: Link, recipe: str, zone: str) -> WhyView:
    """Return what a link was and what happened to it; where it is now is left open."""
    ref, title, when = ref_of(link)
    shown = [end.shown for end in link.ends if end.side == "source"] or [dict(link.agreed)]
    lines = [
        LineView(at=_local(one.at, zone), code=one.code, text=one.text, run=one.run)
        for one in await hub.store.story(link.id)
    ]
    return WhyView(
        ref=ref,
        title=title,
        when=when,
        location=as_text(shown[0].get("location")),
        recipe=recipe,
        places=[],
        because=[],
        will_go=[],
        next_steps=[],
        story=lines,
    )


def _present(link: Link) -> list[End]:
    """Return the ends that stand for their places: the latest generations."""
    ends: dict[int, End] = {}
    for end in sorted(link.ends, key=lambda one: (one.side != "source", one.id)):
        ends[end.scope] = end
    return list(ends.values())


def _readable(installed: Installed, link: Link) -> bool:
    """Whether the recipe still has all the accounts that the record has been in."""
    ours = {one.account for one in (*installed.sources, *installed.targets)}
    return link.state == "live" and all(end.account in ours for end in link.ends)


def _next(decision: Decision | None, label: Callable[[int], str]) -> list[str]:
    if decision is None:
        return []
    return [f"{step.op} in {label(step.scope)}: {step.reason}" for step in decision.steps]


def _places(installed: Installed, link: Link, label: Callable[[int], str]) -> list[PlaceView]:
    ends = _present(link)
    views = [_place(end, label(end.scope), installed.zone) for end in ends]
    taken = {end.scope for end in ends}
    people = link.agreed.get("people") or next(
        (end.shown.get("people") for end in link.ends if end.side == "source"), ()
    )
    for person in people if installed.mirror.per and isinstance(people, tuple) else ():
        for place in installed.people.get(person, ()):
            if place.scope not in taken:
                view = PlaceView(place=label(place.scope), here=False, says="not here")
                views.append(view)
    return views


def _place(end: End, place: str, zone: str) -> PlaceView:
    if end.open:
        says = "not known: the answer to a write was lost; it is looked up at the next pass"
        return PlaceView(place=place, here=False, says=says)
    seen = f", seen {_clock(end.seen_at, zone)}" if end.seen_at else ""
    gone = f" {_clock(end.gone_at, zone)}" if end.gone_at else ""
    match end.state:
        case "live":
            return PlaceView(place=place, here=True, says=f"here{seen}")
        case "unseen":
            return PlaceView(place=place, here=False, says="not here yet")
        case "unreadable":
            return PlaceView(place=place, here=True, says=f"here, but it cannot be read{seen}")
        case "released":
            return PlaceView(
                place=place, here=False, says="let go: Truckroll leaves it alone there"
            )
    by = "taken out by Truckroll" if end.removed_by_hub else "deleted there"
    return PlaceView(place=place, here=False, says=f"not here: {by}{gone}")


def _unlinked(all_installed: list[Installed], row: RecordRow) -> WhyView:
    """Tell of a record that was seen and that no recipe took up."""
    home = next((one for one in all_installed if row.scope in _scopes(one)), None)
    label = labels(home)(row.scope) if home else "a part of an account that no recipe uses"
    zone = home.zone if home else "UTC"
    because, will_go = _not_taken(home, row)
    seen = f", seen {_clock(row.seen_at, zone)}" if row.seen_at else ""
    here = row.state != "gone"
    return WhyView(
        ref=as_text(row.fields.get("number")) or row.external_id,
        title=as_text(row.fields.get("title")),
        when=as_text(row.fields.get("when")),
        location=as_text(row.fields.get("location")),
        recipe=home.row.name if home else "",
        places=[PlaceView(place=label, here=here, says=f"here{seen}" if here else "not here now")],
        because=[because],
        will_go=[will_go] if will_go else [],
        next_steps=[],
        story=[],
    )


def _not_taken(home: Installed | None, row: RecordRow) -> tuple[str, str]:
    if row.state == "unreadable":
        return row.problem, "by itself, as soon as it can be read"
    if row.state == "gone":
        return "it was deleted there before Truckroll did anything with it", ""
    if home is None:
        return "no recipe reads it", "when a recipe is installed that does"
    if not row.owned:
        return "it belongs to somebody else, who alone can change it", ""
    if row.scope in {one.id for one in home.targets}:
        return "it was made there by somebody else; Truckroll leaves it alone", ""
    return "it was seen, and no plan was made since", "truckroll plan"


def _scopes(installed: Installed) -> set[int]:
    return {one.id for one in (*installed.sources, *installed.targets)}


def _name(row: RecordRow) -> str:
    number = as_text(row.fields.get("number")) or row.external_id
    parts = (number, as_text(row.fields.get("title")), as_text(row.fields.get("when")))
    return " · ".join(filter(None, parts))


async def _never_heard(hub: Hub, ref: str) -> TroubleError:
    numbers = await hub.store.numbers_like(ref)
    near = difflib.get_close_matches(ref, numbers, n=3, cutoff=0.6) or numbers[:3]
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return TroubleError(
        f"Truckroll never heard of “{ref}”.{meant} If it is new, read the systems first:"
        "  truckroll plan",
        usage=True,
    )


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(zone_info(zone))


def _clock(at: datetime | None, zone: str) -> str:
    if at is None:
        return ""
    local, _ = wall(at, zone)
    return f"{local:%a} {local.day} {local:%b %H:%M}"
