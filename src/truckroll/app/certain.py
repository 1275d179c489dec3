"""Whose times are uncertain: what their calendars show now cannot be seen."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.installed import load_installed
from truckroll.app.trouble import mended_by_sign_in
from truckroll.model.records import person_text

if TYPE_CHECKING:
    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed


class Uncertain(msgspec.Struct, frozen=True, kw_only=True):
    """A technician whose times are uncertain, since when (aware UTC), and why in a sentence."""

    technician: str
    since: datetime | None
    says: str


async def uncertain(hub: Hub, recipe: str = "") -> list[Uncertain]:
    """Return the technicians of a recipe whose calendars need a sign-in or do not answer."""
    installed = await load_installed(hub, recipe)
    found = await unseen(hub, installed)
    return [found[name] for name in sorted(found)]


async def unseen(hub: Hub, installed: Installed) -> dict[str, Uncertain]:
    """Return whose times are uncertain, by the name that the source has for them.

    The visits of the source are seen all the same; what else stands in a calendar is as it was
    read last.
    """
    waiting = await hub.store.accounts_waiting(hub.now())
    found: dict[str, Uncertain] = {}
    for person, places in installed.people.items():
        for place in places:
            health = waiting.get(place.account)
            if health is None or not health.state:
                continue
            name, account = person_text(person), installed.accounts[place.account].name
            says = f"The times of {name} are uncertain: the account of the calendar, “{account}”,"
            if health.state == "sign_in":
                says = mended_by_sign_in(f"{says} needs a sign-in.", account)
            else:
                says = f"{says} does not answer. It is tried again by itself."
            found[person] = Uncertain(technician=name, since=health.since, says=says)
    return found
