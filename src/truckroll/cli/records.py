"""why, holds, conflicts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from truckroll.app import conflicts as overlapping
from truckroll.app import holds as waiting
from truckroll.app import why as story
from truckroll.app.certain import uncertain
from truckroll.app.views import called
from truckroll.cli import told
from truckroll.cli.ask import hub_of, person
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import datetime

    from truckroll.app.holds import Answer, Answered, Waiting
    from truckroll.app.why import WhyView

_LINES = 12


async def why(args: Namespace, screen: Screen) -> int:
    """Tell the story of a record; 1 where something of it waits."""
    async with hub_of(args) as hub:
        found = await story.why(hub, args.ref)
    screen.data(found)
    for one in found.records:
        _tell(screen, one, everything=args.all)
    if found.several:
        screen.line(f"  “{args.ref}” may be one of several; ask for its number:")
        for line in found.several:
            screen.line(f"    {line}")
        return 2
    return 1 if any(one.because for one in found.records) else 0


def _tell(screen: Screen, view: WhyView, *, everything: bool) -> None:
    head = ", ".join(filter(None, (called(view.ref, view.title), view.when, view.location)))
    screen.text(head, indent="  ")
    screen.line()
    rows = [(place.place, place.says) for place in view.places]
    rows += [("Because" if at == 0 else "", text) for at, text in enumerate(view.because)]
    rows += [("It will go" if at == 0 else "", text) for at, text in enumerate(view.will_go)]
    rows += [("Next" if at == 0 else "", text) for at, text in enumerate(view.next_steps)]
    if not view.because and not view.next_steps and view.story:
        rows.append(("Now", "everything of it is in step"))
    screen.table(rows)
    lines = view.story if everything else view.story[-_LINES:]
    if lines:
        screen.line("  Story")
    if len(lines) < len(view.story):
        screen.line(f"    … {len(view.story) - len(lines)} earlier lines:  truckroll why --all")
    screen.table(((_at(one.at), one.text + _run(one.run)) for one in lines), indent="    ")
    screen.line()


def _run(number: int) -> str:
    return f"  (run {number})" if number else ""


def _at(at: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b %H:%M}"


async def holds(args: Namespace, screen: Screen) -> int:
    """Show what waits, or answer it."""
    word: Answer | None = next((one for one in _SAID if getattr(args, one)), None)
    async with hub_of(args) as hub:
        if word:
            ref = getattr(args, word)
            done = await waiting.answer(
                hub, ref, word, field=args.field, recipe=args.recipe, by=person()
            )
            screen.data({"answered": done})
            for one in done:
                what = ", ".join(one.fields)
                name = called(one.ref, one.title)
                screen.line(f"  {screen.sign(well=True)} {name}: {_SAID[word]} ({what})")
            screen.line("    It is done with the next  truckroll apply")
            return 0
        if args.retry_all:
            _swept(screen, await waiting.retry_all(hub, args.recipe, by=person()))
            return 0
        found = await waiting.waiting(hub, args.recipe)
    screen.data({"holds": found})
    _list(screen, found)
    return 1 if found else 0


def _swept(screen: Screen, done: list[Answered]) -> None:
    screen.data({"answered": done})
    for one in done:
        screen.line(f"  {screen.sign(well=True)} {called(one.ref, one.title)}: {_SAID['retry']}")
    if not done:
        screen.line("  nothing was refused")


_SAID: dict[Answer, str] = {
    "accept": "what stands there now is right",
    "restore": "it is put back as it was",
    "keep": "it stays as it is, there alone",
    "retry": "it is tried again",
}


def _list(screen: Screen, found: list[Waiting]) -> None:
    if not found:
        screen.line("  nothing waits")
        return
    groups: dict[str, list[Waiting]] = defaultdict(list)
    for one in found:
        groups[one.hold.reason].append(one)
    for reason, group in groups.items():
        held = told.together([one.hold for one in group])
        since = {one.hold.ref: one.since for one in group if one.since}
        screen.line(f"  {reason.replace('_', ' ')}: {count(len(held), 'record')}")
        for view in held:
            said, release = told.hold(view)
            at = f"   since {_at(since[view.ref].astimezone())}" if view.ref in since else ""
            screen.text(said + at, indent="    ", hang="      ")
            if release:
                screen.text(release, indent="      ", hang="        ")


async def conflicts(args: Namespace, screen: Screen) -> int:
    """Show who is booked twice; 1 where somebody is."""
    async with hub_of(args) as hub:
        found = await overlapping.conflicts(hub, args.recipe, days=args.days)
        doubtful = await uncertain(hub, args.recipe)
    screen.data({"conflicts": found, "uncertain": doubtful})
    told.uncertain(screen, doubtful)
    if not found:
        screen.line(f"  nobody is booked twice in the next {count(args.days, 'day')}")
    for one in found:
        travel = f" incl. {one.travel_minutes} min travel" if one.travel_minutes else ""
        screen.text(
            f"{one.technician}: {one.second} ({one.second_when}) overlaps"
            f" {one.first} ({one.first_when}) by {one.minutes} min{travel}",
            indent="  ",
            hang="    ",
        )
        if one.slots:
            screen.text(f"free next: {', '.join(one.slots)}", indent="      ", hang="        ")
        if one.free:
            screen.text(f"free then: {', '.join(one.free)}", indent="      ", hang="        ")
    return 1 if found else 0
