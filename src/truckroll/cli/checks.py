"""init, inspect, doctor."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from truckroll.app.home import home_directory, is_home
from truckroll.app.trouble import TroubleError
from truckroll.cli.ask import hub_of
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.kit.ical.inspect import Inspected, Inspection, Visit

_SHOWN = 20


async def init(args: Namespace, screen: Screen) -> int:
    """Make a directory the hub's home, with its database and its key."""
    home = home_directory(getattr(args, "home", ""))
    was = is_home(home)
    async with hub_of(args, make=True) as hub:
        version, _ = await hub.store.database()
    screen.data({"home": str(home), "database": version, "new": not was})
    state = "is a hub's home already" if was else "is the hub's home now"
    screen.line(f"  {screen.sign(well=True)} {home} {state} (PostgreSQL {version})")
    if not was:
        screen.line("    Next:  truckroll account add NAME --system caldav --url … --user …")
    return 0


async def doctor(args: Namespace, screen: Screen) -> int:
    """Check that everything works; 1 where something does not."""
    from truckroll.app.doctor import doctor as look  # noqa: PLC0415 -- init and inspect do without

    async with hub_of(args) as hub:
        checks = await look(hub)
    screen.data({"checks": checks})
    width = max(len(one.what) for one in checks)
    for one in checks:
        lead = f"  {'✓' if one.well else '!'} {one.what:<{width}}  "
        screen.text(one.says, indent=lead, hang=" " * len(lead))
        if one.act:
            screen.line(f"{' ' * len(lead)}→ {one.act}")
    return 0 if all(one.well for one in checks) else 1


def inspect(args: Namespace, screen: Screen) -> int:
    """Show what is understood of an iCalendar file; 1 where something of it is refused."""
    from truckroll.app.inspect import inspect as look  # noqa: PLC0415 -- iCalendar is large

    start, end = _day(args.start), _day(args.end)
    found = look(args.file, start=start, end=end, zone=args.zone)
    screen.data(found)
    _show(screen, args.file, found)
    return 1 if found.refused or found.refused_events else 0


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise TroubleError(f"“{text}” is no day; write it as 2026-12-01", usage=True) from None


def _show(screen: Screen, file: str, found: Inspection) -> None:
    if found.refused:
        screen.text(f"{file} is refused: {found.refused}", indent="  ! ", hang="    ")
        return
    parts = [count(found.events, "event"), f"{count(found.visits, 'visit')} in the range"]
    if found.cancelled:
        parts.append(f"{found.cancelled} cancelled")
    if found.refused_events:
        parts.append(f"{found.refused_events} refused")
    if found.others:
        parts.append(f"{found.others} that are no events")
    name = f"{found.name}: " if found.name else ""
    screen.line(f"  {name}{', '.join(parts)}")
    for problem in found.problems:
        screen.text(problem, indent="  ! ", hang="    ")
    for entry in found.entries:
        _entry(screen, entry)


def _entry(screen: Screen, entry: Inspected) -> None:
    screen.line()
    screen.text(entry.title or entry.uid, indent="  ")
    if entry.refused:
        screen.text(f"refused: {entry.refused}", indent="    ! ", hang="      ")
    for problem in entry.problems:
        screen.text(problem, indent="    ! ", hang="      ")
    for visit in entry.visits[:_SHOWN]:
        screen.line(f"    {_visit(visit)}")
    if len(entry.visits) > _SHOWN:
        screen.line(f"    … and {count(len(entry.visits) - _SHOWN, 'visit')} more:  --json")
    if entry.truncated:
        screen.text(entry.truncated, indent="    ! ", hang="      ")


def _visit(visit: Visit) -> str:
    if not visit.zone:
        told = f"{visit.local_start}, whole day"
    else:
        start = datetime.fromisoformat(visit.local_start)
        end = datetime.fromisoformat(visit.local_end)
        last = (
            f"{end:%H:%M}" if end.date() == start.date() else f"{end:%a} {end.day} {end:%b %H:%M}"
        )
        told = f"{start:%a} {start.day} {start:%b %Y %H:%M}–{last} {visit.zone}"
    changed = f"   changed: {', '.join(visit.changed)}" if visit.changed else ""
    return told + ("   cancelled" if visit.cancelled else "") + changed
