"""A simulated system in memory that can be as nasty as real ones, and a world of several."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec

from truckroll.kit.contract import Missing, Page, Reply, Resource, Scope, Seen, Session
from truckroll.kit.errors import (
    AwaitOther,
    Gone,
    HoldRecord,
    OutcomeUnknown,
    Replan,
    RetryLater,
    SignIn,
    StartOver,
)
from truckroll.kit.normal import LOSSLESS, Stored, stored
from truckroll.recipes.mirror import Line, Mirror, Place, Problem
from truckroll.store.memory import MemoryStore
from truckroll.sync.braked import check, foresee
from truckroll.sync.context import AccountFacts, Context
from truckroll.sync.fold import fold_key
from truckroll.sync.job import Job, Report
from truckroll.sync.perform import Hand
from truckroll.sync.run import adopt, carry_out, observe, undo

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = ("title", "notes", "status", "when", "people", "occurrences", "customer")
T0 = datetime(2026, 12, 1, 8, tzinfo=UTC)


@dataclass
class Nasty:
    """One scope of a system. The knobs make it as bad as we have met them."""

    name: str
    etags: bool = True
    conditional: bool = True
    read_only: bool = False
    stores: dict[str, Stored] = field(default_factory=dict)
    drops: frozenset[str] = frozenset()
    forces: dict[str, object] = field(default_factory=dict)
    race: Callable[[str], None] | None = None
    records: dict[str, tuple[int, dict]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    signed_out: bool = False
    fails: list[str] = field(default_factory=list)
    stale: tuple | None = None
    expire: bool = False
    lag: timedelta = timedelta(0)
    deaf: int = 0
    _versions: itertools.count = field(default_factory=lambda: itertools.count(1))
    tombs: dict[str, int] = field(default_factory=dict)

    # what a user of the system does

    def put(self, id_: str, **fields) -> None:
        old = self.records.get(id_, (0, {}))[1]
        self.records[id_] = (next(self._versions), {**old, **fields})

    def drop(self, id_: str) -> None:
        del self.records[id_]
        self.tombs[id_] = next(self._versions)

    def show(self) -> dict[str, dict]:
        return {id_: fields for id_, (_, fields) in self.records.items()}

    # what the connector does

    def _seen(self, id_: str) -> Seen:
        version, fields = self.records[id_]
        return Seen(
            id=id_,
            fields=dict(fields),
            version=str(version) if self.etags else None,
            mark=self.marks.get(id_),
        )

    async def listing(self, session, scope, cursor):
        del session, scope
        self.log.append(("list", ""))
        self._signed_in()
        if self.fails and self.fails[0].startswith("list"):
            how = self.fails.pop(0)
            if how == "list-half":
                ids = sorted(self.records)[: len(self.records) // 2]
                yield Page(items=tuple(self._seen(id_) for id_ in ids))
            raise RetryLater(f"{self.name} does not answer")
        if self.expire and cursor is not None:
            self.expire = False
            raise StartOver(f"{self.name} forgot the cursor")
        if self.stale is not None:
            records, self.stale = self.stale, None
            items = tuple(
                Seen(i, dict(f), str(v) if self.etags else None, mark=self.marks.get(i))
                for i, (v, f) in records.items()
            )
            yield Page(items=items, last=True, cursor=cursor)
            return
        top = next(self._versions)
        if cursor is None:
            ids = sorted(self.records)
            half = len(ids) // 2
            yield Page(items=tuple(self._seen(id_) for id_ in ids[:half]))
            rest = tuple(self._seen(id_) for id_ in ids[half:])
            self._raced()
            yield Page(items=rest, cursor=str(top), last=True, complete=True)
            return
        since = int(cursor)
        items = [self._seen(i) for i, (v, _) in sorted(self.records.items()) if v > since]
        gone = [
            Missing(i) for i, v in sorted(self.tombs.items()) if v > since and i not in self.records
        ]
        self._raced()
        yield Page(items=(*items, *gone), cursor=str(top), last=True)

    def _raced(self) -> None:
        """Somebody edits what was just listed."""
        if self.race is not None and self.records:
            race, self.race = self.race, None
            race(min(self.records))

    def _signed_in(self) -> None:
        if self.signed_out:
            raise SignIn(f"{self.name} refused the sign-in")

    def _gate(self, act: str) -> str:
        self._signed_in()
        if self.fails and not self.fails[0].startswith("list"):
            how = self.fails.pop(0)
            if how == "before":
                raise RetryLater(f"{self.name} is busy")
            if how == "refuse":
                raise HoldRecord(f"{self.name} does not take this record")
            if how == "lacking":
                raise AwaitOther(f"{self.name} lacks what this record hangs on")
            return how
        del act
        return ""

    def _keep(self, fields: dict) -> dict:
        return {
            slot: self.forces.get(slot, stored(self.stores.get(slot, LOSSLESS), value))
            for slot, value in fields.items()
            if slot not in self.drops
        }

    async def read(self, session, scope, id_):
        del session, scope
        self.log.append(("get", id_))
        self._signed_in()
        if self.deaf:
            self.deaf -= 1
            raise RetryLater(f"{self.name} does not answer")
        return self._seen(id_) if id_ in self.records else Missing(id_)

    async def create(self, session, scope, draft):
        del session, scope
        self.log.append(("create", draft.id))
        how = self._gate("create")
        if draft.id in self.records:
            if self.marks.get(draft.id) == draft.mark:
                return Reply(id=draft.id, seen=self._seen(draft.id))
            raise HoldRecord("that name is taken")
        self.records[draft.id] = (next(self._versions), self._keep(dict(draft.fields)))
        self.marks[draft.id] = draft.mark
        if how == "after":
            raise OutcomeUnknown("the answer was lost")
        return Reply(id=draft.id, seen=self._seen(draft.id))

    async def update(self, session, scope, change):
        del session, scope
        self.log.append(("update", change.id))
        how = self._gate("update")
        if change.id not in self.records:
            raise Gone("it is not there")
        version, fields = self.records[change.id]
        if self.conditional and self.etags and change.version != str(version):
            raise Replan("it changed meanwhile")
        self.records[change.id] = (
            next(self._versions),
            {**fields, **self._keep(dict(change.fields))},
        )
        if how == "after":
            raise OutcomeUnknown("the answer was lost")
        return Reply(id=change.id, seen=self._seen(change.id))

    async def remove(self, session, scope, removal):
        del session, scope
        self.log.append(("remove", removal.id))
        how = self._gate("remove")
        if removal.id not in self.records:
            raise Gone("it is not there")
        version, _ = self.records[removal.id]
        if self.conditional and self.etags and removal.version != str(version):
            raise Replan("it changed meanwhile")
        self.drop(removal.id)
        if how == "after":
            raise OutcomeUnknown("the answer was lost")

    def resource(self) -> Resource:
        write = not self.read_only
        return Resource(
            kind="appointment",
            fields={slot: self.stores.get(slot, LOSSLESS) for slot in FIELDS},
            listing=self.listing,
            writes=frozenset(FIELDS) if write else frozenset(),
            read=self.read,
            create=self.create if write else None,
            update=self.update if write else None,
            remove=self.remove if write else None,
            choose_id=lambda _scope, key: key,
            repeat_safe="client id",
            conditional=self.conditional and self.etags,
            lag=self.lag,
            concurrency=2,
        )

    @property
    def writes(self) -> int:
        return sum(act in ("create", "update", "remove") for act, _ in self.log)


def same_line(slot: str, *, speaks: bool) -> Line:
    """A line that copies a field as it is."""
    return Line(
        slot=slot,
        inputs=(slot,),
        render=lambda agreed, slot=slot: agreed[slot],
        invert=lambda value: value,
        speaks=speaks,
    )


class World:
    """A source and several targets, kept in step by the real planner and performer."""

    def __init__(self, source: Nasty, targets: dict[str, Nasty], *, store=None, **rules) -> None:
        self.store = store or MemoryStore()
        self.source = source
        self.targets = targets
        self.at = T0
        self.last_run = 0
        speaks = rules.pop("speaks", frozenset())
        fields = rules.pop("fields", ("title", "notes"))
        self.systems = [source, *targets.values()]
        self.scopes = {}
        for number, system in enumerate(self.systems, start=1):
            scope = Scope(id=system.name, title=system.name, kind="appointment")
            self.scopes[system.name] = self.store.put_scope(number, scope)
        self.places = {
            person: Place(account=number, scope=self.scopes[system.name].id, label=person)
            for number, (person, system) in enumerate(targets.items(), start=2)
        }
        per = rules.pop("per", "")
        source_fields = (*fields, *((per,) if per else ()))
        self.mirror = Mirror(
            name="m",
            kind="appointment",
            lines={
                "source": tuple(same_line(slot, speaks=True) for slot in source_fields),
                "target": tuple(same_line(slot, speaks=slot in speaks) for slot in fields),
            },
            per=per,
            place=None if per else next(iter(self.places.values())),
            **rules,
        )
        self.originates_to = Place(account=1, scope=self.scopes[source.name].id)

    def now(self) -> datetime:
        return self.at

    def people(self, person: str):
        place = self.places.get(person)
        return (place,) if place else Problem("person_unmapped", f"{person} has no calendar")

    async def _context(self, links, match, waiting) -> Context:
        del links
        return Context(
            mirror=self.mirror,
            now=self.at,
            zone="UTC",
            accounts={
                number: AccountFacts(
                    label=system.name,
                    system="nasty",
                    ops=frozenset()
                    if system.read_only
                    else frozenset({"create", "update", "remove"}),
                    writes=frozenset() if system.read_only else frozenset(FIELDS),
                    stored=system.stores,
                )
                for number, system in enumerate(self.systems, start=1)
            },
            people=self.people,
            match=match,
            scope_label=lambda id_: self.store.scopes[id_].scope.title,
            source_place=self.originates_to,
            waiting=waiting,
        )

    def job(self) -> Job:
        session = Session(account="a", system="nasty", settings={}, http=SimpleNamespace(calls=0))
        return Job(
            recipe=1,
            mirror=1,
            store=self.store,
            hands={
                number: Hand(session, system.resource(), system.name)
                for number, system in enumerate(self.systems, start=1)
            },
            sources=(self.store.scope(self.scopes[self.source.name].id),),
            targets=tuple(self.store.scope(self.scopes[s.name].id) for s in self.targets.values()),
            kind="appointment",
            match_names=("title",),
            originates=self.mirror.originates,
            context=self._context,
            now=self.now,
            fold=partial(fold_key, self.mirror) if self.mirror.fold else None,
        )

    async def run(self, *, confirmed: int = 0) -> Report:
        """One pass, as `apply` makes it."""
        self.at += timedelta(seconds=10)
        job = self.job()
        report = Report()
        await observe(job, report)
        report.left = await adopt(job, "source")
        tally, foreseen = await foresee(job, report.waiting)
        answer = {"confirmed": confirmed, "hour": timedelta(hours=1)}
        report.stops = await check(job, report, tally, **answer)
        if report.stops:
            return report
        self.at += timedelta(seconds=1)
        async with self.store.run(1, "apply") as run:
            self.last_run = run
            await carry_out(job, run, report, foreseen, **answer)
        return report

    async def undo(self, run: int) -> Report:
        """Undo a run, as `undo` does."""
        self.at += timedelta(seconds=10)
        job = self.job()
        report = Report()
        async with self.store.run(1, "undo") as new:
            await undo(job, run, new, report)
        self.last_run = new
        return report

    async def settle(self, rounds: int = 6) -> int:
        """Run until nothing is written; return the writes of the last pass."""
        done = 0
        for _ in range(rounds):
            before = sum(system.writes for system in self.systems)
            await self.run(confirmed=10_000)
            done = sum(system.writes for system in self.systems) - before
            if not done:
                return 0
        return done

    def holds(self) -> list[tuple[str, str]]:
        """The reasons that hold something now."""
        return [
            (hold.reason, slot)
            for link in self.store.link_rows.values()
            for end in link.ends
            for slot, hold in end.holds.items()
        ]

    def answer(self, slot: str, answer: str) -> None:
        """A person's answer to every hold of a field."""
        for link in list(self.store.link_rows.values()):
            ends = tuple(
                msgspec.structs.replace(
                    end,
                    holds={
                        name: msgspec.structs.replace(hold, answer=answer) if name == slot else hold
                        for name, hold in end.holds.items()
                    },
                )
                for end in link.ends
            )
            self.store.link_rows[link.id] = msgspec.structs.replace(
                link, ends=ends, look_at=self.at
            )


def one(system: Nasty) -> dict:
    """Return what the only record of a system shows."""
    assert len(system.records) == 1, system.show()
    return next(iter(system.show().values()))


def event(system: Nasty) -> str:
    """Return the id of the only record of a system."""
    assert len(system.records) == 1, system.show()
    return next(iter(system.records))
