"""Links that are as they were left: most of a pass, known without taking them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.recipes.mirror import Problem
from truckroll.sync.existence import RULED, failing

if TYPE_CHECKING:
    from truckroll.model.records import Fields
    from truckroll.sync.context import Context
    from truckroll.sync.existence import Spot
    from truckroll.sync.types import Link


def still(link: Link, ctx: Context) -> bool:
    """Tell whether nothing at all follows from a link: it is as it was decided last.

    A yes is what all the rules together would come to: each end is there, was read, and shows
    its base; nothing is held; the gates pass; the followers are where they should be, and every
    end was given what it should show. A no says nothing.
    """
    agreed, mirror = link.agreed, ctx.mirror
    if link.state != "live" or not agreed or link.hold or link.hold_detail:
        return False
    if link.undone or mirror.fold is not None or link.key in ctx.copies:
        return False
    here: dict[Spot, str] = {}
    for end in link.ends:
        if end.state != "live" or end.open or end.holds or end.decided in RULED:
            return False
        if end.scope in ctx.waiting or not (end.base is end.shown or end.base == end.shown):
            return False
        if end.side == "target":
            here[end.account, end.scope] = end.key
    if len(here) != len(link.ends) - 1:  # one source, and one follower in each place
        return False
    if agreed.get("status") == "cancelled" or here != _places(agreed, ctx):
        return False
    if mirror.gates and failing(mirror.gates, agreed, link.key, ctx) is not None:
        return False
    source, target = mirror.shapes["source"].fill(agreed), mirror.shapes["target"].fill(agreed)
    return all(end.given == (source if end.side == "source" else target) for end in link.ends)


def _places(agreed: Fields, ctx: Context) -> dict[Spot, str] | None:
    """Return where followers should be, with the key of each; None where that is not all known."""
    mirror = ctx.mirror
    if not mirror.per:
        return {(mirror.place.account, mirror.place.scope): ""} if mirror.place else None
    people = agreed.get(mirror.per)
    if not isinstance(people, tuple):
        return None
    found: dict[Spot, str] = {}
    for person in people:
        places = ctx.people(person)
        if isinstance(places, Problem):
            return None
        for place in places:
            found.setdefault((place.account, place.scope), person)
    return found
