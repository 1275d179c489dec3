"""people list, suggest, map, unmap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.app import people
from truckroll.cli.ask import hub_of, person
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.app.people import PersonView, SuggestionView


async def listed(args: Namespace, screen: Screen) -> int:
    """Show who is known and who is not; 1 where somebody has no calendar."""
    async with hub_of(args) as hub:
        views = await people.listed(hub, args.recipe)
    screen.data({"people": views})
    if not views:
        screen.line("  the source names nobody yet")
    screen.table(_row(view) for view in views)
    missing = [view.name for view in views if not view.calendar]
    if missing:
        screen.line(
            f"  {count(len(missing), 'name')} without a calendar:  truckroll people suggest"
        )
    return 1 if missing else 0


def _row(view: PersonView) -> tuple[str, ...]:
    records = count(view.records, "record")
    calendar = view.calendar or "nobody said which calendar"
    by = f"confirmed by {view.confirmed_by}" if view.confirmed_by else ""
    return ("✓" if view.calendar else "!", view.name, records, calendar, by)


async def suggest(args: Namespace, screen: Screen) -> int:
    """Suggest calendars, and confirm the sure ones where that was asked for."""
    async with hub_of(args) as hub:
        found = await people.suggested(hub, args.recipe, take_sure=args.take_sure, by=person())
    screen.data(found)
    if not found.suggestions and not found.nobody:
        screen.line("  everybody whom the source names has a calendar")
    screen.table(_suggestion(one) for one in found.suggestions)
    for name in found.nobody:
        screen.line(
            f"  ! no calendar sounds like {name}'s:  "
            f'truckroll people map "{name}" ACCOUNT/CALENDAR'
        )
    open_ = [one for one in found.suggestions if not one.taken]
    if any(one.sure for one in open_):
        screen.line("  Confirm those that are sure:  truckroll people suggest --take-sure")
    return 1 if open_ or found.nobody else 0


def _suggestion(one: SuggestionView) -> tuple[str, ...]:
    if one.taken:
        return ("✓", one.person, one.calendar, f"{one.why}; confirmed")
    if one.sure:
        return ("?", one.person, one.calendar, f"{one.why}; sure")
    how = f'truckroll people map "{one.person}" "{one.calendar}"'
    return ("?", one.person, one.calendar, f"{one.why}; say it yourself:  {how}")


async def map_(args: Namespace, screen: Screen) -> int:
    """Say whose calendar it is."""
    async with hub_of(args) as hub:
        calendar = await people.map_person(
            hub, args.person, args.calendar, recipe=args.recipe, by=person()
        )
    screen.data({"person": args.person, "calendar": calendar})
    screen.line(f"  {screen.sign(well=True)} {args.person}'s visits go to {calendar}")
    return 0


async def unmap(args: Namespace, screen: Screen) -> int:
    """Take a person out of the map."""
    async with hub_of(args) as hub:
        await people.unmap(hub, args.person, recipe=args.recipe)
    screen.data({"person": args.person, "calendar": ""})
    screen.line(f"  {args.person} has no calendar now; see what that means:  truckroll plan")
    return 0
