"""New records that are no news: copies of what the hub wrote, and what comes and goes for ever."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from truckroll.model.records import as_text
from truckroll.model.time import AllDay, Timed
from truckroll.sync.churn import HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.model.records import Fields
    from truckroll.sync.types import End, Link

_LEAST = 8  # so much of a title must be left for what was cut to be the same
_MOST = 3  # so often something may come and go within the hour before it has to wait


async def copies_of(hub: Hub, installed: Installed, links: Sequence[Link]) -> dict[str, str]:
    """Return for links, by key, why their new record seems to be no news, in a sentence.

    Where another programme copies the same two places into each other, a copy of ours comes back
    as a new record; copied again it would never end. It stands at the same time under the same
    title, perhaps cut, as one that was in step before it came. Where one recipe puts back what
    another one takes out, the same comes and goes. A mirror that fans out or folds has other
    places on its sides, and is not asked. What a person accepted as news is news.
    """
    if installed.mirror.per or installed.mirror.fold is not None:
        return {}
    lone = {link.id: (link.key, end) for link in links if (end := _lone(link))}
    known = await hub.store.accepted(list(lone)) if lone else set()
    alone = {
        (end.scope, end.external_id): (key, end)
        for id_, (key, end) in lone.items()
        if id_ not in known
    }
    if not alone:
        return {}
    said: dict[str, str] = {}
    went: Counter[str] = Counter()
    since = hub.now() - HOUR
    for place, other in await hub.store.came_before(installed.mirror_id, list(alone), since=since):
        key, end = alone[place]
        if not _alike(end.shown, other.fields):
            continue
        if other.state == "live":
            title = as_text(other.fields.get("title"))
            said[key] = (
                f"another programme seems to have copied it from “{title}” of the same time, "
                "which is in step already"
            )
        else:
            went[key] += 1
    often = {key: count for key, count in went.items() if count >= _MOST}
    return {
        key: f"it came and went {count} times within the hour; two recipes or programmes may "
        "work against each other"
        for key, count in often.items()
    } | said


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
