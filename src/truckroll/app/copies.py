"""Records that another programme made of what the hub wrote: they would come back for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.model.records import as_text
from truckroll.model.time import AllDay, Timed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.model.records import Fields
    from truckroll.sync.types import End, Link

_LEAST = 8  # so much of a title must be left for what was cut to be the same


async def copies_of(hub: Hub, installed: Installed, links: Sequence[Link]) -> dict[str, str]:
    """Return for links, by key, what their new record is a copy of, in a sentence.

    Where another programme copies the same two places into each other, a copy of ours comes back
    as a new record; copied again it would never end. It stands at the same time under the same
    title, perhaps cut, as one that was in step before it came. A mirror that fans out or folds
    has other places on its sides, and is not asked.
    """
    if installed.mirror.per or installed.mirror.fold is not None:
        return {}
    alone = {
        (end.scope, end.external_id): (link.key, end) for link in links if (end := _lone(link))
    }
    if not alone:
        return {}
    found = {}
    for place, other in await hub.store.came_before(installed.mirror_id, list(alone)):
        key, end = alone[place]
        if _alike(end.shown, other.fields):
            found[key] = (
                f"another programme seems to have copied it from “{as_text(other.fields['title'])}”"
                " of the same time, which is in step already"
            )
    return found


def _lone(link: Link) -> End | None:
    """Return the only end that a link ever had, if its record is there."""
    end = link.ends[0] if len(link.ends) == 1 else None
    return end if end is not None and end.state == "live" and end.external_id else None


def _alike(one: Fields, other: Fields) -> bool:
    mine, theirs = one.get("when"), other.get("when")
    if isinstance(mine, Timed) and isinstance(theirs, Timed):
        same_time = (mine.begins, mine.ends) == (theirs.begins, theirs.ends)
    else:
        same_time = isinstance(mine, AllDay) and mine == theirs
    short, long = sorted((_title(one), _title(other)), key=len)
    return same_time and bool(short) and (short == long or _cut(short, long))


def _cut(short: str, long: str) -> bool:
    return len(short) >= _LEAST and long.startswith(short.rstrip(".… "))


def _title(fields: Fields) -> str:
    return " ".join(as_text(fields.get("title")).casefold().split())
