"""What lately freed a technician's time, or took more of it, as the passes journalled it.

Nothing of it is kept: it is derived from what was written, as long as that still stands.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from truckroll.app.views import called, ref_of
from truckroll.model.records import as_text, person_text, same
from truckroll.model.time import Timed, wall

if TYPE_CHECKING:
    from collections.abc import Iterator

    from truckroll.app.hub import Hub
    from truckroll.app.installed import Installed
    from truckroll.model.records import Value
    from truckroll.sync.types import Link, Step

LATELY = timedelta(hours=24)
Cause = Literal["cancelled", "early", "late"]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """A visit of `technician` that was cancelled, or whose end was moved.

    `old` is when it was, `new` when it is now (None: nowhere). `begins` and `ends` bound the time
    that became free, or that it takes in addition (aware UTC). `what` says it in a sentence.
    """

    link: int
    technician: str
    cause: Cause
    ref: str
    old: Timed
    new: Timed | None
    begins: datetime
    ends: datetime
    what: str


async def happened(hub: Hub, installed: Installed) -> list[Happening]:
    """Return what happened lately and still stands, for time that is not over, by begin.

    An end that was moved counts too where an overlap keeps it from the calendars.
    """
    now = hub.now()
    steps = await hub.store.happened(installed.row.id, since=now - LATELY)
    ids = sorted({step.link for step, _ in steps})
    links = {one.id: one for one in await hub.store.links(ids)}
    found: dict[tuple[int, str], Happening] = {}
    for step, _ in steps:
        link = links.get(step.link)
        if link is None or link.mirror != installed.mirror_id:
            continue
        for one in _of(link, step):
            if one.ends > now:
                found.setdefault((one.link, one.technician), one)
    for one in await _refused(hub, installed):
        if one.ends > now:
            found.setdefault((one.link, one.technician), one)
    return sorted(found.values(), key=lambda one: (one.begins, one.technician, one.ref))


async def _refused(hub: Hub, installed: Installed) -> list[Happening]:
    """Return the other ends that no calendar shows, because their visits meet others now."""
    held = await hub.store.holds(installed.row.id)
    found = []
    for link, hold, _ in held:
        new = link.agreed.get("when")
        if hold.reason != "overlap" or link.mirror != installed.mirror_id or _is_over(link):
            continue
        for end in link.ends:
            old = end.shown.get("when")
            shows = end.side == "target" and end.state == "live" and end.key
            if shows and (moved := _end_alone(old, new)):
                found.append(_happening(link, end.key, *moved))
    return found


def _of(link: Link, step: Step) -> Iterator[Happening]:
    old, new = step.before.get("when"), step.fields.get("when")
    people = link.agreed.get("people")
    names = (step.key,) if step.key else people if isinstance(people, tuple) else ()
    if step.op != "update" or step.fields.get("status") == "cancelled":
        if _is_over(link) and isinstance(old, Timed) and old.rule is None:
            for name in names:
                yield _happening(link, name, "cancelled", old, None)
    elif (moved := _end_alone(old, new)) and _stands(link, moved[2]):
        for name in names:
            yield _happening(link, name, *moved)


def _end_alone(old: Value, new: Value) -> tuple[Cause, Timed, Timed] | None:
    """Return what became of a single visit whose end alone was moved, None where more was."""
    if not (isinstance(old, Timed) and isinstance(new, Timed)) or old.rule or new.rule:
        return None
    if new.begins != old.begins or new.ends == old.ends:
        return None
    return ("early" if new.ends < old.ends else "late"), old, new


def _is_over(link: Link) -> bool:
    """Tell whether a visit does not take place: it was cancelled, or is gone at the source."""
    sources = [end for end in link.ends if end.side == "source"]
    gone = bool(sources) and all(end.state in ("gone", "released") for end in sources)
    return gone or link.agreed.get("status") == "cancelled"


def _stands(link: Link, new: Timed) -> bool:
    return same(link.agreed.get("when"), new) and not _is_over(link)


def _happening(link: Link, name: str, cause: Cause, old: Timed, new: Timed | None) -> Happening:
    number, title, _ = ref_of(link)
    ref = called(number, title)
    begins, ends = (old.begins, old.ends) if new is None else sorted((old.ends, new.ends))
    return Happening(
        link=link.id,
        technician=name,
        cause=cause,
        ref=ref,
        old=old,
        new=new,
        begins=begins,
        ends=ends,
        what=_sentence(link, name, ref, old, new),
    )


def _sentence(link: Link, name: str, ref: str, old: Timed, new: Timed | None) -> str:
    day, _, hours = as_text(old).rpartition(" ")
    who = f"{day}, {person_text(name)}: {ref}"
    if new is None:
        gone = link.agreed.get("status") != "cancelled"
        return f"{who} {hours} was {'deleted' if gone else 'cancelled'}"
    done = link.agreed.get("status") == "done"
    how = "early" if new.ends < old.ends else "late"
    says = f"was done {how}" if done else f"ends {'earlier' if how == 'early' else 'later'}"
    return f"{who} {says}, at {_clock(new)} and not at {_clock(old)}"


def _clock(when: Timed) -> str:
    return f"{wall(when.ends, when.zone)[0]:%H:%M}"
