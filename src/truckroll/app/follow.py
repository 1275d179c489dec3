"""What follows a cancellation, an early end or a delay: offered, and done in one step."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import datetime, timedelta
from itertools import chain
from string import ascii_lowercase
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.audit import audited
from truckroll.app.days import days_of
from truckroll.app.failures import failures
from truckroll.app.happened import Happening, happened
from truckroll.app.installed import Installed, load_installed, open_job
from truckroll.app.passes import labels, targets_text
from truckroll.app.slots import AHEAD, claim, slot_text, timed, times_between
from truckroll.app.sources import read_sources
from truckroll.app.trouble import TroubleError
from truckroll.app.views import PassView, by_op, step_view
from truckroll.dispatch.claims import Claimed, Wish
from truckroll.dispatch.fitting import Fit, fitting
from truckroll.dispatch.moving import Move, Shift, Visit, moved_up, pushed_back
from truckroll.dispatch.slots import Slot, rounded_up
from truckroll.model.records import person_text
from truckroll.sync.decided import Answer, Said, foreseen, take
from truckroll.sync.job import Job, Report
from truckroll.sync.planned import planned_of
from truckroll.sync.ports import Busy
from truckroll.sync.run import adopt, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from truckroll.app.days import Day
    from truckroll.app.hub import Hub
    from truckroll.app.slots import Times
    from truckroll.sync.types import Step

_BY = "{by}"  # stands for who takes the offer
_FITS = 2
_CODE = 5


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be done about a happening, as one step.

    `code` names just this offer: it is another one as soon as anything of it is different.
    `says` is a phrase, `stays` what cannot follow and why.
    """

    code: str
    letter: str
    says: str
    stays: list[str] = []


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A happening, in a sentence, with what is offered; `begins` is aware UTC."""

    what: str
    technician: str
    begins: datetime
    offers: list[Offer]


class _Act(msgspec.Struct, frozen=True, kw_only=True):
    offer: Offer
    words: tuple[Said, ...]
    wishes: tuple[Wish, ...]
    happening: Happening


async def offers(hub: Hub, recipe: str = "") -> list[Followed]:
    """Return what lately happened to technicians' days, with what is offered for each.

    What happened is what the passes wrote; the days are as the source shows them now. Raises
    TroubleError where the source cannot be read.
    """
    installed = await load_installed(hub, recipe)
    await read_sources(hub, installed)
    found, _ = await _acts(hub, installed)
    return [
        Followed(
            what=one.what,
            technician=person_text(one.technician),
            begins=one.begins,
            offers=[act.offer for act in acts],
        )
        for one, acts in found
    ]


async def take_offer(
    hub: Hub,
    code: str,
    recipe: str = "",
    *,
    by: str,
    plan: bool = False,
    started: Callable[[int], None] | None = None,
) -> PassView:
    """Do what an offer says in one run, or with `plan` say what would be written.

    The technician's time is claimed first, then the source is written, then the calendars.
    `started` hears the run's number. Raises TroubleError where the offer is not there any more,
    or its time was taken meanwhile.
    """
    if not plan:
        return await _take(hub, code, recipe, by=by, started=started)
    installed, report = await load_installed(hub, recipe), Report()
    async with open_job(hub, installed) as job:
        await _look(job, report)
        act, _ = await _find(hub, installed, code)
        report.steps = await _steps(job, report, _by(by, act.words))
        return _view(installed, job, report, run=None)


@audited("follow.take", "code", "recipe")
async def _take(
    hub: Hub, code: str, recipe: str, *, by: str, started: Callable[[int], None] | None
) -> PassView:
    installed = await load_installed(hub, recipe)
    report, began = Report(), time.monotonic()
    async with open_job(hub, installed) as job:
        try:
            async with hub.store.run(installed.row.id, "follow") as run:
                if started is not None:
                    started(run)
                await _look(job, report)
                act, times = await _find(hub, installed, code)
                answers = await _claimed(hub, job, act, times, run, report, by)
                refs = {
                    said.link: wish.ref for said, wish in zip(act.words, act.wishes, strict=True)
                }
                view = _view(installed, job, report, run=run, answers=answers, refs=refs)
                await hub.store.end_run(run, _summary(view))
        except Busy as error:
            raise TroubleError(str(error)) from error
    return msgspec.structs.replace(view, seconds=round(time.monotonic() - began, 3))


async def _look(job: Job, report: Report) -> None:
    """Read both sides; what is decided is decided about what the source shows now."""
    await observe(job, report)
    unread = {one.id for one in job.sources} & report.waiting
    for one in report.scopes:
        if one.scope in unread:
            raise TroubleError(one.error)
    await adopt(job, "source")


async def _claimed(
    hub: Hub, job: Job, act: _Act, times: Times, run: int, report: Report, by: str
) -> list[Answer]:
    """Claim the time, write, and give the claims up; those of a write in doubt run out."""
    made = await claim(hub, times.watched, act.wishes, run=run)
    if made.clashes:
        raise TroubleError(_taken(act, made, times))
    doubtful = False
    try:
        answers = await take(job, run, report, _by(by, act.words), by=by)
        doubtful = any(one.doubtful for one in answers)
    finally:
        if not doubtful:
            await hub.store.release_claims(made.ids)
    return answers


def _by(person: str, words: Sequence[Said]) -> list[Said]:
    return [msgspec.structs.replace(one, why=one.why.replace(_BY, person)) for one in words]


def _taken(act: _Act, made: Claimed, times: Times) -> str:
    wish, taken = made.clashes[0].wish, made.clashes[0].taken
    name = act.happening.technician
    free = times.next_free(name, wish.ends - wish.begins, wish.begins, but=[wish.visit])
    zone = times.watched.zone
    other = ", ".join(slot_text(one, zone) for one in free) or "not in the coming two weeks"
    return (
        f"the time was taken meanwhile: {taken.ref or 'another visit'} is there now. "
        f"{person_text(name)} is free next: {other}. See what is offered now:  truckroll follow"
    )


async def _steps(job: Job, report: Report, words: Sequence[Said]) -> list[Step]:
    """Return the steps that would follow, as far as can be told without writing."""
    links = await job.store.links([one.link for one in words])
    said = {one.link: one for one in words}
    weighed = await planned_of(job, links, report.waiting, said={})
    ahead = [foreseen(one, said[one.link.id]) for one in weighed]
    why = {link.key: said[link.id].why for link in ahead}
    decisions = await planned_of(job, ahead, report.waiting, said=why)
    return [step for one in decisions for step in one.steps]


async def _find(hub: Hub, installed: Installed, code: str) -> tuple[_Act, Times]:
    found, times = await _acts(hub, installed)
    for act in chain.from_iterable(acts for _, acts in found):
        if act.offer.code == code.casefold():
            return act, times
    raise TroubleError(
        f'there is no offer "{code}" now; days change, and offers with them:  truckroll follow',
        usage=True,
    )


async def _acts(hub: Hub, installed: Installed) -> tuple[list[tuple[Happening, list[_Act]]], Times]:
    """Return what happened, each with what can be done about it, and technicians' time."""
    now = hub.now()
    events = await happened(hub, installed)
    end = max([now, *(one.ends for one in events)]) + AHEAD
    times = await times_between(hub, installed, now, end)
    days = await days_of(hub, installed, times, {one.technician for one in events})
    links = {one.id: one for one in await hub.store.links([one.link for one in events])}
    found = []
    for one in events:
        day = days.of(one, links[one.link])
        acts = _shifted(one, day, now) + _given(one, day, now)
        named = [
            _named(one, act, letter) for act, letter in zip(acts, ascii_lowercase, strict=False)
        ]
        found.append((one, named))
    return found, times


def _shifted(one: Happening, day: Day, now: datetime) -> list[_Act]:
    """Offer to move the later visits: up into free time, or back behind a delay."""
    if one.cause == "late":
        shift = pushed_back(
            day.visits, delayed=day.own, now=now, until=day.until, travel=day.times.watched.travel
        )
        # The last goes first, so that each moves into time that is free already.
        moves, how = shift.moves[::-1], "back"
    else:
        visits = [*day.visits, day.own] if one.new is not None else day.visits
        shift = moved_up(visits, free=one.begins, now=now, travel=day.times.watched.travel)
        moves, how = shift.moves, "up"
    if not moves:
        return []
    count = "1 later visit" if len(moves) == 1 else f"{len(moves)} later visits"
    listed = ", ".join(_arrow(move, day) for move in shift.moves)
    why = f"moved {how} by {_BY}, as {one.ref} {_became(one)}"
    return [
        _Act(
            offer=Offer(
                code="", letter="", says=f"move {count} {how} ({listed})", stays=_stays(shift)
            ),
            words=tuple(_said(day, move.visit.key, move.begins, move.ends, why) for move in moves),
            wishes=tuple(_wish(day, one, move.visit.key, move.begins, move.ends) for move in moves),
            happening=one,
        )
    ]


def _given(one: Happening, day: Day, now: datetime) -> list[_Act]:
    """Offer to give time that became free to the next fitting job."""
    if one.cause == "late":
        return []
    room = _room(one, day, now)
    if room is None:
        return []
    fits = fitting(
        day.open_jobs(),
        begins=room[0],
        ends=room[1],
        near=day.place,
        knows=day.knows(),
        limit=_FITS,
    )
    return [_giving(one, day, fit) for fit in fits]


def _giving(one: Happening, day: Day, fit: Fit) -> _Act:
    person = person_text(one.technician)
    slot = slot_text(Slot(fit.begins, fit.ends), day.times.watched.zone).rpartition(" ")[2]
    said = _said(
        day,
        fit.job.key,
        fit.begins,
        fit.ends,
        f"given to {person} by {_BY}, as {one.ref} {_became(one)}",
        who=one.technician,
    )
    text = f"give {slot} to {fit.job.ref} ({', '.join(fit.why)})"
    return _Act(
        offer=Offer(code="", letter="", says=text),
        words=(said,),
        wishes=(_wish(day, one, fit.job.key, fit.begins, fit.ends),),
        happening=one,
    )


def _room(one: Happening, day: Day, now: datetime) -> tuple[datetime, datetime] | None:
    """Return the time around what became free in which a visit has nothing in its way."""
    travel, none = day.times.watched.travel, timedelta(0)
    begins, ends = max(one.begins, rounded_up(now)), max(one.ends, day.closes)
    others = [*day.visits, day.own] if one.new is not None else list(day.visits)
    for other in sorted(others, key=lambda left: (left.begins, left.ends)):
        apart = travel if other.travels else none
        if other.begins <= begins:
            begins = max(begins, other.ends + apart)
        else:
            ends = min(ends, other.begins - apart)
    return (begins, ends) if begins < ends else None


def _said(day: Day, key: str, begins: datetime, ends: datetime, why: str, *, who: str = "") -> Said:
    known = day.known[key]
    fields = {"when": timed(begins, ends, known.zone)}
    return Said(known.link, {**fields, "people": (who,)} if who else fields, why)


def _wish(day: Day, one: Happening, key: str, begins: datetime, ends: datetime) -> Wish:
    technician = day.times.watched.ids[one.technician]
    return Wish(technician, begins, ends, key, day.known[key].ref)


def _named(one: Happening, act: _Act, letter: str) -> _Act:
    """Give an offer its letter, and a code that is made of all that it says."""
    text = msgspec.json.encode([one.link, one.technician, act.words])
    code = base64.b32encode(hashlib.blake2s(text).digest()).decode().lower()[:_CODE]
    offer = msgspec.structs.replace(act.offer, code=code, letter=letter)
    return msgspec.structs.replace(act, offer=offer)


def _stays(shift: Shift) -> list[str]:
    return [f"{visit.ref} stays: {why}" for visit, why in shift.stays]


def _arrow(move: Move, day: Day) -> str:
    zone = day.times.watched.zone
    old, new = timed(move.visit.begins, move.visit.ends, zone), timed(move.begins, move.ends, zone)
    return f"{_short(move.visit, day)} {old.start:%H:%M}→{new.start:%H:%M}"


def _short(visit: Visit, day: Day) -> str:
    return day.known[visit.key].number or visit.ref


def _became(one: Happening) -> str:
    if one.new is None:
        return "was cancelled"
    return "ended early" if one.cause == "early" else "is delayed"


def _view(
    installed: Installed,
    job: Job,
    report: Report,
    *,
    run: int | None,
    answers: Sequence[Answer] = (),
    refs: Mapping[int, str] | None = None,
) -> PassView:
    label = labels(installed)
    accounts = {key: (one.name, one.system) for key, one in installed.accounts.items()}
    steps = [
        step_view(step, accounts, label) for step in (report.steps if run is None else report.done)
    ]
    failed = failures(installed, job, report, label, beside_holds=False)
    refused = [one for one in answers if not one.taken]
    writes = [one for one in failed.writes if not any(left.says in one for left in refused)]
    stays = [f"{(refs or {})[one.link]} stays as it was: {one.says}" for one in refused]
    return PassView(
        run=run,
        recipe=installed.row.name,
        writes=len(steps),
        by_op=by_op(steps),
        held=0,
        failed=len(failed.problems) + len(writes) + len(stays),
        steps=steps,
        holds=[],
        failures=[*stays, *writes],
        problems=failed.problems,
        overlaps=[],
        stops=[],
        confirm=0,
        calls={accounts[key][0]: hand.session.http.calls for key, hand in job.hands.items()},
        sources=", ".join(label(one.id) for one in installed.sources),
        targets=targets_text(installed),
    )


def _summary(view: PassView) -> dict[str, object]:
    return {
        "writes": view.writes,
        "by_op": view.by_op,
        "held": view.held,
        "failed": view.failed,
        "stopped": view.stops,
        "problems": view.problems,
    }
