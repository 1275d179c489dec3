"""What waits for a person, and the person's answers."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from truckroll.app.audit import audited
from truckroll.app.installed import Installed, load_installed, open_job
from truckroll.app.passes import labels
from truckroll.app.trouble import TroubleError
from truckroll.app.views import HoldView, hold_view, unreadable_view
from truckroll.sync.context import no_match
from truckroll.sync.plan import plan

if TYPE_CHECKING:
    from truckroll.app.hub import Hub
    from truckroll.recipes.mirror import Line
    from truckroll.sync.types import Decision, End, Hold, Link

_NAMED = 10

Answer = Literal["accept", "restore", "keep", "retry"]

# Which answers there are to what holds a field, an event's existence, or a write.
_EDITS: tuple[Answer, ...] = ("accept", "restore", "keep")
_AGAIN: tuple[Answer, ...] = ("retry",)
_ANSWERS: dict[str, tuple[Answer, ...]] = {
    "drift": _EDITS,
    "ask": _EDITS,
    "lossy_edit": _EDITS,
    "missing": ("accept", "restore"),
    "source_deleted": ("accept", "restore"),
    "refused": _AGAIN,
    "awaits_other": _AGAIN,
    "conflict": _AGAIN,
    "churn": _AGAIN,
    "undone": _AGAIN,
    "not_stored": _AGAIN,
    "copied_back": ("accept",),
}


_SWEPT = ("refused", "awaits_other", "conflict", "stumbled")


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Something that waits, with since when (aware UTC; None: since it was found just now)."""

    hold: HoldView
    since: datetime | None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why records wait: so many, since when the first of them (aware UTC), and what some are."""

    reason: str
    records: int
    since: datetime | None
    release: str
    refs: list[str]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered: the record, the fields concerned, and the answer."""

    ref: str
    title: str
    fields: list[str]
    answer: str


class _Held(NamedTuple):
    link: Link
    hold: Hold


async def waiting(hub: Hub, recipe: str = "") -> list[Waiting]:
    """Return everything of a recipe that waits, as it was found at the last `apply`."""
    installed = await load_installed(hub, recipe)
    label = labels(installed)
    found = [
        Waiting(hold=hold_view(link, hold, label), since=since)
        for link, hold, since in await hub.store.holds(installed.row.id)
    ]
    scopes = [one.id for one in (*installed.sources, *installed.targets)]
    unreadable = await hub.store.unreadable(scopes)
    found += [Waiting(hold=unreadable_view(row, label), since=row.seen_at) for row in unreadable]
    return found


async def causes(hub: Hub, recipe: str = "") -> list[Cause]:
    """Return what a recipe's records wait for, the cause of the most of them first."""
    groups: dict[str, list[Waiting]] = defaultdict(list)
    for one in await waiting(hub, recipe):
        groups[one.hold.reason].append(one)
    found = [_cause(reason, group) for reason, group in groups.items()]
    return sorted(found, key=lambda one: (-one.records, one.reason))


def _cause(reason: str, group: list[Waiting]) -> Cause:
    refs = list(dict.fromkeys(one.hold.ref for one in group))
    return Cause(
        reason=reason,
        records=len(refs),
        since=min((one.since for one in group if one.since), default=None),
        release=next((one.hold.release for one in group if one.hold.release), ""),
        refs=refs[:_NAMED],
    )


@audited("hold.answer", "ref", "said", "field", "recipe")
async def answer(
    hub: Hub, ref: str, said: Answer, *, field: str = "", recipe: str = "", by: str
) -> list[Answered]:
    """Answer what a record waits for; it is done with the next `apply`.

    accept: what stands there now is right. restore: it is put back. keep: it stays, there alone.
    retry: it is tried again. With `field` only what holds that field is answered. Raises
    TroubleError where nothing of the record waits for such an answer.
    """
    installed = await load_installed(hub, recipe)
    links = await hub.store.find_links(ref, installed.mirror_id)
    if not links:
        raise TroubleError(f"{ref} is not known; see what waits:  truckroll holds", usage=True)
    if said == "retry" and (stumbled := await _stumbled(hub, installed, links)):
        await hub.store.touch(installed.mirror_id, [one.link.id for one in stumbled])
        await hub.store.make_recipes_due([installed.row.id], at=hub.now())
        view = hold_view(stumbled[0].link, stumbled[0].hold, labels(installed))
        return [Answered(ref=view.ref, title=view.title, fields=["the record"], answer=said)]
    held = await _held(hub, installed, links)
    fitting = [one for one in held if not field or one.hold.field == field]
    ready = [one for one in fitting if said in _ANSWERS.get(one.hold.reason, ())]
    if not ready:
        raise _no_answer(installed, ref, said, fitting or held)
    _one_record(ref, ready)
    if said == "accept":
        _check_accept(installed, ready)
    for one in ready:
        for slot in _slots(one):
            await hub.store.answer(one.link.id, one.hold.end, slot, said, by)
    view = hold_view(ready[0].link, ready[0].hold, labels(installed))
    fields = [one.hold.field or "the record" for one in ready]
    return [Answered(ref=view.ref, title=view.title, fields=fields, answer=said)]


@audited("hold.retry_all", "recipe")
async def retry_all(hub: Hub, recipe: str = "", *, by: str) -> list[Answered]:
    """Try again all writes of a recipe that were refused, and all that Truckroll stumbled over.

    It is for the hour after a fault was mended, at a system or in Truckroll. Returns what is tried
    again, record by record.
    """
    installed = await load_installed(hub, recipe)
    label = labels(installed)
    answered: dict[int, Answered] = {}
    for link, hold, _ in await hub.store.holds(installed.row.id):
        if hold.reason not in _SWEPT:
            continue
        if hold.reason != "stumbled":
            for slot in _slots(_Held(link, hold)):
                await hub.store.answer(link.id, hold.end, slot, "retry", by)
        view = hold_view(link, hold, label)
        fields = answered[link.id].fields if link.id in answered else []
        answered[link.id] = Answered(
            ref=view.ref,
            title=view.title,
            fields=[*fields, hold.field or "the record"],
            answer="retry",
        )
    if answered:
        await hub.store.touch(installed.mirror_id, list(answered))
        await hub.store.make_recipes_due([installed.row.id], at=hub.now())
    return list(answered.values())


async def _stumbled(hub: Hub, installed: Installed, links: list[Link]) -> list[_Held]:
    """Return what was set aside by a fault of ours: no plan is made to find that out."""
    ids = {link.id for link in links}
    return [
        _Held(link, hold)
        for link, hold, _ in await hub.store.holds(installed.row.id)
        if hold.reason == "stumbled" and link.id in ids
    ]


def _slots(held: _Held) -> list[str]:
    """Return what an answer is about: a record that an undo holds whole is answered whole."""
    if held.hold.field != "existence" or held.hold.reason != "undone":
        return [held.hold.field]
    end = next(end for end in held.link.ends if end.id == held.hold.end)
    return [slot for slot, hold in end.holds.items() if hold.reason == "undone"]


async def _held(hub: Hub, installed: Installed, links: list[Link]) -> list[_Held]:
    """Return what the links wait for, noting what a plan found and no `apply` has stored yet."""
    decisions = await look_at(hub, installed, links)
    new = [one for one in decisions if any(_fresh(one, hold) for hold in one.holds)]
    if new:
        bare = [msgspec.structs.replace(one, steps=()) for one in new]
        await hub.store.journal(0, bare, at=hub.now())
        await hub.store.touch(installed.mirror_id, [one.link.id for one in new])
        stored = await hub.store.links([link.id for link in links])
        decisions = await look_at(hub, installed, stored)
    return [_Held(one.link, hold) for one in decisions for hold in one.holds]


async def look_at(hub: Hub, installed: Installed, links: list[Link]) -> list[Decision]:
    """Return what would be decided about links now, from what was read last. Stores nothing."""
    async with open_job(hub, installed) as job:
        context = await job.context(links, no_match, frozenset())
        return list(plan(links, context))


def _fresh(decision: Decision, hold: Hold) -> bool:
    return hold.end > 0 and bool(hold.field) and decision.changed


def _one_record(ref: str, ready: list[_Held]) -> None:
    if len({one.link.id for one in ready}) > 1:
        names = {hold_view(one.link, one.hold, str).ref for one in ready}
        if len(names) > 1:
            raise TroubleError(f"“{ref}” may be one of several: {', '.join(names)}", usage=True)


def _no_answer(installed: Installed, ref: str, said: str, held: list[_Held]) -> TroubleError:
    if not held:
        return TroubleError(f"nothing of {ref} waits", usage=True)
    view = hold_view(held[0].link, held[0].hold, labels(installed))
    offered = _ANSWERS.get(view.reason, ())
    if offered:
        words = " or ".join(f"--{word}" for word in offered)
        return TroubleError(
            f"{view.ref} cannot be answered with --{said}: {view.detail}. Say {words}.", usage=True
        )
    release = f" It goes on so:  {view.release}" if view.release else ""
    return TroubleError(f"{view.ref} waits for something else: {view.detail}.{release}", usage=True)


def _check_accept(installed: Installed, ready: list[_Held]) -> None:
    """Refuse to accept what cannot be read back: a text that is made of several fields."""
    for link, hold in ready:
        end = next((one for one in link.ends if one.id == hold.end), None)
        line = _line(installed, end, hold) if end is not None else None
        if line is not None and line.invert is None:
            raise TroubleError(
                f"the {hold.field} is made of several fields ({', '.join(line.inputs)}), so the"
                " edit cannot be taken over; say --restore or --keep",
                usage=True,
            )


def _line(installed: Installed, end: End, hold: Hold) -> Line | None:
    lines = installed.mirror.lines[end.side]
    return next((one for one in lines if one.slot == hold.field), None)
