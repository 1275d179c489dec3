"""(b) Decode, map and plan, pure and on one core, beside the bare decode of the same rows.

As in a pass, new links ask a matcher (that of empty calendars), and links that exist are decoded
from all the columns that hold fields.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from bench.figures import Figure, median, paired
from truckroll.connectors.caldav.connector import APPOINTMENTS
from truckroll.model.records import APPOINTMENT, Address, Contact, decode_fields, encode_fields
from truckroll.model.time import AllDay, Timed
from truckroll.recipes.check import load
from truckroll.recipes.compile import builtin, compile_mirror
from truckroll.recipes.mirror import Place, Problem
from truckroll.store.links import decode_words
from truckroll.sync.context import AccountFacts, Context, no_match
from truckroll.sync.match import coarse_keys
from truckroll.sync.plan import plan_link
from truckroll.sync.types import End, Link

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    from truckroll.model.records import Fields
    from truckroll.recipes.mirror import Mirror
    from truckroll.sync.types import Decision

GOAL = 20_000
PEOPLE = 20
OFFICE, CALENDARS = 1, 2
_NOW = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


def appointment(number: int, now: datetime = _NOW) -> Fields:
    """Return an appointment as an office system shows it; every fourteenth is a whole day."""
    day = (now + timedelta(days=1 + number // 40)).date()
    start = datetime.combine(day, datetime.min.time()) + timedelta(hours=7 + number % 10)
    when = (
        AllDay(start=day, end=day + timedelta(days=1))
        if number % 14 == 3
        else Timed(start=start, zone="America/New_York", seconds=3600 + number % 4 * 900)
    )
    return {
        "number": f"J-{number:06}",
        "title": "Furnace tune-up",
        "when": when,
        "status": ("Booked", "Dispatched", "On the way", "Done")[number % 4],
        "people": (f"Technician {number % PEOPLE}",),
        "location": Address(text=f"{number % 900} Elm St, Albany, NY"),
        "job_type": "Maintenance",
        "materials": "1 × filter 16×25, 2 × igniter",
        "notes": "Key under the mat. Dog in the yard.",
        "customer": f"Customer {number}",
        "contact": Contact(name="A. Smith", phone="+1 518 555 0100"),
        "busy": True,
        "link": f"https://office.example.com/jobs/{number}",
    }


def mirror(name: str = "appointments-to-calendars") -> Mirror:
    recipe = load(builtin()[name], name)
    assert not isinstance(recipe, list), recipe
    return compile_mirror(recipe, {})


def context(rule: Mirror, now: datetime = _NOW) -> Context:
    """Return the planner's context of a company with one calendar for each technician."""
    places = {
        f"Technician {one}": (Place(account=CALENDARS, scope=100 + one, label=f"T{one}"),)
        for one in range(PEOPLE)
    }
    ops = frozenset({"create", "update", "cancel", "remove"})
    facts = {
        OFFICE: AccountFacts("Office", "file"),
        CALENDARS: AccountFacts(
            "Calendars", "caldav", ops, APPOINTMENTS.writes, APPOINTMENTS.fields
        ),
    }
    return Context(
        mirror=rule,
        now=now,
        zone="America/New_York",
        accounts=MappingProxyType(facts),
        people=lambda person: places.get(person) or Problem("person_unmapped", person),
        match=no_match,
        scope_label=lambda scope: f"the calendar {scope}",
    )


def fresh(number: int, shown: Fields) -> Link:
    """Return the link of a record that was just adopted."""
    end = End(
        id=number * 2,
        side="source",
        account=OFFICE,
        scope=1,
        external_id=str(number),
        state="live",
        version="1",
        shown=shown,
        seen_order=number,
    )
    return Link(id=number, mirror=1, key=f"{number:016x}", ends=(end,))


def settled(number: int, decision: Decision) -> Link:
    """Return a link as it is once its creation was planned and performed."""
    (step,) = decision.steps
    source, target = decision.link.ends
    shown = {slot: step.whole[slot] for slot in sorted(step.whole)}  # a system has its own order
    made = replace(
        target,
        id=number * 2 + 1,
        external_id=f"{number}.ics",
        state="live",
        version="w",
        shown=shown,
        base=dict(step.whole),
        given=dict(step.whole),
        seen_order=number,
    )
    return replace(decision.link, ends=(source, made))


class Row(NamedTuple):
    """A link as the store keeps it: `fields` are shown, base and given of each end."""

    link: Link
    agreed: bytes
    fields: tuple[tuple[bytes, bytes, bytes], ...]


def stored(link: Link) -> Row:
    """Return a link's row."""
    ends = [(one.shown, one.base, one.given) for one in link.ends]
    fields = tuple(tuple(encode_fields(one) for one in end) for end in ends)
    return Row(link, encode_fields(link.agreed), fields)  # type: ignore[arg-type] # three of each


def decoded(row: Row) -> Link:
    """Return a link from its row."""
    ends = []
    for end, fields in zip(row.link.ends, row.fields, strict=True):
        shown, base, given = decode_words(*fields)
        ends.append(replace(end, shown=shown, base=base, given=given))
    return replace(row.link, agreed=decode_fields(row.agreed), ends=tuple(ends))


def _rate(work: Callable[[], None], count: int) -> float:
    gc.collect()
    began = time.process_time()
    work()
    return count / (time.process_time() - began)


def _timed(work: Callable[[range], None], part: range, ready: Barrier, times: Queue) -> None:
    ready.wait()
    began = time.monotonic()
    work(part)
    times.put((began, time.monotonic()))


def _together(work: Callable[[range], None], count: int) -> float:
    """Return the rate of two processes by the wall clock, each with its own half of the records.

    That is how two workers plan two recipes; a core less than two makes one of them wait.
    """
    fork = multiprocessing.get_context("fork")  # both have the records at hand, as one has
    ready, times = fork.Barrier(2), fork.Queue()
    halves = range(count // 2), range(count // 2, count)
    both = [fork.Process(target=_timed, args=(work, half, ready, times)) for half in halves]
    for one in both:
        one.start()
    began, ended = zip(*(times.get() for _ in both), strict=True)
    for one in both:
        one.join()
    return count / (max(ended) - min(began))


def _works(count: int) -> dict[str, Callable[[range], None]]:
    """Return what is measured, by name; each is done with the records of some numbers."""
    ctx = context(mirror())
    rows = [encode_fields(appointment(number)) for number in range(count)]
    made = [settled(n, plan_link(fresh(n, decode_fields(row)), ctx)) for n, row in enumerate(rows)]
    kept = [stored(link) for link in made]
    links = [decoded(row) for row in kept]
    assert not any(plan_link(link, ctx).changed for link in links)

    def bare(part: range) -> None:
        for number in part:
            decode_fields(rows[number])

    def create(part: range) -> None:
        for number in part:
            shown = decode_fields(rows[number])
            assert coarse_keys([shown], APPOINTMENT.coarse)
            assert plan_link(fresh(number, shown), ctx).steps

    def unchanged(part: range) -> None:
        for number in part:
            plan_link(links[number], ctx)

    def whole(part: range) -> None:
        for number in part:
            plan_link(decoded(kept[number]), ctx)

    return {"bare": bare, "create": create, "whole": whole, "unchanged": unchanged}


def figures(*, count: int, rounds: int) -> list[Figure]:
    """Return the lines of the table for the pure part."""
    works = _works(count)
    rates: dict[str, list[float]] = {name: [] for name in works}
    pairs: dict[str, list[float]] = {"create": [], "whole": []}
    for _ in range(rounds):
        for name, work in works.items():
            rates[name].append(_rate(partial(work, range(count)), count))
        for name, found in pairs.items():
            found.append(_together(works[name], count))
    bare = f"bare decode {median(rates['bare']):,.0f}/s"

    def line(what: str, name: str, goal: float | None) -> Figure:
        middle = median(rates[name])
        ratio = middle / goal if goal else paired(rates[name], rates["bare"])
        asks = f"≥ {goal:,.0f}/s" if goal else ""
        return Figure(
            what,
            f"{middle:,.0f}/s",
            bare,
            ratio,
            1.0 if goal else None,
            least=True,
            note=f"{paired(rates[name], rates['bare']):.2f} × the bare decode",
            asks=asks,
        )

    def two(what: str, name: str) -> Figure:
        one = f"one process {median(rates[name]):,.0f}/s"
        note = "by the wall clock, each with half of the records"
        ratio = paired(pairs[name], rates[name])
        return Figure(what, f"{median(pairs[name]):,.0f}/s", one, ratio, note=note)

    return [
        line("decode + map + plan, all new", "create", GOAL),
        line("decode + map + plan, nothing changed", "whole", GOAL),
        line("map + plan alone, nothing changed", "unchanged", GOAL),
        two("two processes: decode + map + plan, all new", "create"),
        two("two processes: decode + map + plan, nothing changed", "whole"),
    ]
