"""Random users, faults and lying systems around a world, and what must hold all the same."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta

from support.nasty import Nasty, World
from truckroll.kit.normal import LOSSLESS, Stored, stored
from truckroll.model.records import as_text, same
from truckroll.model.time import Timed
from truckroll.store.memory import MemoryStore

FIELDS = ("title", "notes", "when", "status")
PEOPLE = ("b", "c", "d")
PASSES = 8


class CrashError(Exception):
    """The process died here."""


class Keeping:
    """What a diary keeps beside a store: all that was ever agreed and said. It can die twice."""

    def __init__(self) -> None:
        self.crash = ""
        self.said: list[object] = []
        self.texts: list[str] = []
        self.accepted = False

    def _dies(self, where: str) -> None:
        if self.crash == where:
            self.crash = ""
            raise CrashError(where)

    def journalled(self, opened, decisions):
        for one in decisions:
            self.said += one.link.agreed.values()
            self.texts += [note.text for note in one.notes]
            self.texts += [hold.detail for hold in one.holds]
            for note in one.notes:
                self.said += note.data.values()
            for step in one.steps:
                self.said += [*step.whole.values(), *step.fields.values(), *step.before.values()]
        if opened:
            self._dies("after journal")
        return opened

    def finishing(self) -> None:
        self._dies("before finish")


class Diary(Keeping, MemoryStore):
    """The twin of the store with a diary."""

    def __init__(self) -> None:
        MemoryStore.__init__(self)
        Keeping.__init__(self)

    async def journal(self, run, decisions, *, at):
        return self.journalled(await super().journal(run, decisions, at=at), decisions)

    async def finish(self, run, outcomes, *, at):
        self.finishing()
        await super().finish(run, outcomes, at=at)


class Chaos:
    """A world in which everything goes wrong, told by small operations.

    Each operation does nothing where it does not apply, so any sequence of them is a history.
    """

    def __init__(self, systems: dict[str, dict], *, store=None, **rules) -> None:
        self.numbers = itertools.count(1)
        self.typed: list[tuple[str, str, str, object]] = []
        self.restored: set[tuple[str, str]] = set()
        self.thrown: dict[tuple[str, str], int] = {}
        self.bin: dict[tuple[str, str], dict] = {}
        self.before: dict[str, dict] = {}
        self.undone = False
        self.answered = False
        self.doubt = False
        self.kept = rules.get("drift") == "keep"
        self.store = store or Diary()
        ends = {name: Nasty(name.upper(), **knobs) for name, knobs in systems.items()}
        self.a = ends.pop("a")
        self.ends = {"a": self.a, **ends}
        rules.setdefault("per", "people")
        self.world = World(self.a, ends, store=self.store, fields=FIELDS, **rules)
        self.speaks = rules.get("speaks", frozenset())

    # What people do

    def value(self, field: str, *, short: bool = False):
        number = next(self.numbers)
        if field == "when":
            day, hour = number % 28, number % 24
            return Timed(datetime(2026, 10, 1, hour) + timedelta(days=day), "Europe/Berlin", 3600)
        if field == "notes":
            return f"n{number}" if short else f"n{number} ring twice at the gate"
        return f"t{number}"

    def type(self, name: str, id_: str, **fields) -> None:
        keeps = self.ends[name].stores
        fields = {field: stored(keeps.get(field, LOSSLESS), one) for field, one in fields.items()}
        for field, value in fields.items():
            self.typed.append((name, id_, field, value))
        self.ends[name].put(id_, **fields)

    def make(self, name: str, people=("b",), twin: int | None = None) -> None:
        id_ = f"{name}{next(self.numbers)}"
        fields = {field: self.value(field) for field in ("title", "notes", "when")}
        if twin is not None and self.a.records:
            ids = sorted(self.a.records)
            fields |= {
                field: self.a.records[ids[twin % len(ids)]][1].get(field)
                for field in ("title", "when")
            }
        if name == "a":
            fields["people"] = tuple(people)
        self.type(name, id_, status="scheduled", **fields)

    def pick(self, name: str, index: int) -> str | None:
        ids = sorted(self.ends[name].records)
        return ids[index % len(ids)] if ids else None

    def edit(self, name: str, index: int, field: str) -> None:
        id_ = self.pick(name, index)
        if id_ is not None:
            short = self.ends[name].stores.get(field, LOSSLESS).lossy
            self.type(name, id_, **{field: self.value(field, short=short)})

    def assign(self, index: int, people) -> None:
        id_ = self.pick("a", index)
        if id_ is not None:
            self.type("a", id_, people=tuple(people))

    def status(self, index: int, status: str) -> None:
        id_ = self.pick("a", index)
        if id_ is not None:
            self.type("a", id_, status=status)

    def delete(self, name: str, index: int) -> None:
        id_ = self.pick(name, index)
        if id_ is not None:
            self.bin[name, id_] = self.ends[name].records[id_][1]
            self.thrown[name, id_] = len(self.typed)
            self.ends[name].drop(id_)

    def restore(self, name: str) -> None:
        """Put back what was deleted last, as the waste bin of a system does."""
        for key in reversed(self.bin):
            if key[0] == name and key[1] not in self.ends[name].records:
                self.ends[name].put(key[1], **self.bin.pop(key))
                self.restored.add(key)
                self.thrown.pop(key)
                return

    # What goes wrong

    def fail(self, name: str, how: str) -> None:
        self.doubt = self.doubt or how == "after"
        self.ends[name].fails.append(how)

    def deafen(self, name: str, times: int) -> None:
        self.ends[name].deaf = times

    def sign(self, name: str, *, out: bool) -> None:
        self.ends[name].signed_out = out

    def expire(self, name: str) -> None:
        self.ends[name].expire = True

    def remember(self, name: str) -> None:
        self.before[name] = dict(self.ends[name].records)

    def lie(self, name: str) -> None:
        if self.ends[name].lag and name in self.before:
            self.ends[name].stale = self.before[name]

    def race(self, name: str, field: str) -> None:
        """Let somebody edit what the hub has just listed, before it writes."""
        self.ends[name].race = lambda id_: self._type_there(name, id_, field)

    def _type_there(self, name: str, id_: str, field: str) -> None:
        if id_ in self.ends[name].records:
            short = self.ends[name].stores.get(field, LOSSLESS).lossy
            self.type(name, id_, **{field: self.value(field, short=short)})

    def crash(self, where: str) -> None:
        self.doubt = True
        self.store.crash = where

    def wait(self, minutes: int) -> None:
        self.world.at += timedelta(minutes=minutes)

    # What the hub does

    def _await(self, what):
        result = None
        try:
            result = asyncio.run(what)
        except* CrashError:
            pass
        return result

    def run(self) -> None:
        cursors = {id_: scope.cursor for id_, scope in self.store.scopes.items()}
        report = self._await(self.world.run(confirmed=10_000))
        for one in report.scopes if report else ():
            if one.error:  # I6: the cursor moves only with its page
                assert self.store.scopes[one.scope].cursor == cursors[one.scope]
        self.check()

    def undo(self) -> None:
        self.undone = True
        self._await(self.world.undo(self.world.last_run))
        self.check()

    def answer(self, slot: str, answer: str) -> None:
        self.answered = True
        self.kept = self.kept or answer == "keep"
        self.world.answer(slot, answer)

    # What must hold

    def linked(self):
        """Yield links with the ends that stand for their place now."""
        for row in self.store.link_rows.values():
            link = self.store._loaded(row)
            now = {}
            for end in link.ends:
                if end.state == "gone" and not end.external_id:
                    continue
                place = end.side, 0 if end.side == "source" else end.scope
                if place not in now or now[place].generation < end.generation:
                    now[place] = end
            yield link, now

    def name_of(self, scope: int) -> str:
        title = self.store.scopes[scope].scope.title
        return title.lower()

    def typed_for(self, link) -> list[tuple[str, str, str, object]]:
        places = {(self.name_of(end.scope), end.external_id) for end in link.ends}
        return [one for one in self.typed if one[:2] in places]

    def check(self) -> None:
        """Hold after every pass: I1, I2, and no edit that nobody made."""
        self._no_doubles()
        self._only_journalled()
        for link, _ in self.linked():
            self._nobody_else(link)

    def _no_doubles(self) -> None:
        for link in self.store.link_rows.values():
            for name, system in self.ends.items():
                ours = [
                    id_
                    for id_ in system.records
                    if system.marks.get(id_) == link.key and (name, id_) not in self.restored
                ]
                assert len(ours) <= 1, f"I1: {ours} in {name} are one thing"

    def _only_journalled(self) -> None:
        planned: dict[tuple[str, str, str], int] = {}
        for _, step, _, _ in self.store.steps.values():
            act = {"create": "create", "update": "update"}.get(step.op, "remove")
            key = self.name_of(step.scope), act, step.external_id or step.create_key
            planned[key] = planned.get(key, 0) + 1
        for name, system in self.ends.items():
            for act, id_ in set(system.log):
                if act in ("create", "update", "remove"):
                    times = system.log.count((act, id_))
                    assert times <= planned.get((name, act, id_), 0), f"I2: {act} {id_} in {name}"

    def _nobody_else(self, link) -> None:
        """A system shows, of a linked record, only what somebody typed on one of its ends."""
        typed = self.typed_for(link)
        for end in link.ends:
            name = self.name_of(end.scope)
            system = self.ends[name]
            record = system.records.get(end.external_id)
            for field in FIELDS if record and end.external_id else ():
                if field not in record[1] or field in system.drops | system.forces.keys():
                    continue
                self._somebody(link, end, field, record[1][field], typed)

    def _somebody(self, link, end, field, value, typed) -> None:
        name = self.name_of(end.scope)
        how = self.ends[name].stores.get(field, LOSSLESS)
        if self.doubt and any(value == one.forces.get(field) for one in self.ends.values()):
            return  # found after a lost answer, nobody can tell it from an edit
        for at, id_, slot, said in typed:
            if slot != field:
                continue
            may = at in ("a", name) or field in self.speaks or self.answered or not self._has(link)
            lossy = self.ends[at].stores.get(field, LOSSLESS).lossy
            if may and (same(stored(how, said), value) or same(said, value)):
                return
            if may and lossy and isinstance(value, str) and value.startswith(str(said)):
                return
            if may and (at, id_) == (name, end.external_id) and same(said, value):
                return
        text = f"{name} shows {field} = {value!r} of link {link.id}, which nobody typed there"
        raise AssertionError(text)

    def _has(self, link) -> bool:
        """Whether the source's record was made by a person there, and not by the hub."""
        return any(
            end.side == "source" and end.external_id not in self.a.marks for end in link.ends
        )

    # When the faults stop

    def quiesce(self) -> None:
        """Stop all faults; the world settles in a bounded number of passes, and all agree."""
        self.store.crash = ""
        for system in self.ends.values():
            system.signed_out = system.expire = False
            system.fails, system.deaf, system.stale, system.race = [], 0, None, None
        self.wait(90)
        for _ in range(PASSES):
            before = self.writes()
            self.run()
            self.wait(20)
            if self.writes() == before and not self.late():
                break
        else:
            raise AssertionError(f"C1: still writing after {PASSES} passes")
        self.agree()

    def late(self) -> bool:
        return any(
            link.look_at is not None and link.look_at <= self.world.at + timedelta(seconds=11)
            for link in self.store.link_rows.values()
        )

    def writes(self) -> int:
        return sum(system.writes for system in self.ends.values())

    def agree(self) -> None:
        """C1: every end shows what is agreed, save what is held; nothing diverges in silence."""
        for link, now in self.linked():
            if link.state == "ended" or self.asks(link, now):
                continue
            for end in now.values():
                if end.state == "live":
                    self._in_step(link, end)
            if not link.hold and not link.undone:
                self._in_place(link, now)
        self._kept()

    def asks(self, link, now) -> bool:
        """Whether a person is asked what becomes of it, since its source record is gone."""
        return any(
            side == "source" and ("existence" in end.holds or (link.undone and end.state == "gone"))
            for (side, _), end in now.items()
        )

    def _in_step(self, link, end) -> None:
        name = self.name_of(end.scope)
        system = self.ends[name]
        if {"existence", "write"} & end.holds.keys():
            return
        shown = system.records[end.external_id][1]
        for line in self.world.mirror.lines[end.side]:
            slot = line.slot
            if slot in end.holds or slot not in link.agreed or system.read_only:
                continue
            if self.kept and slot in end.given and same(end.given[slot], link.agreed[slot]):
                continue  # changed by hand there and kept, by the mirror's rule or a person's word
            want = stored(system.stores.get(slot, LOSSLESS), link.agreed[slot])
            text = f"C1: {name} shows {slot} = {shown.get(slot)!r}, agreed is {link.agreed[slot]!r} (link {link.id})"
            assert same(want, shown.get(slot)) or slot in system.drops | system.forces.keys(), text

    def _in_place(self, link, now) -> None:
        source = next((end for (side, _), end in now.items() if side == "source"), None)
        rules = self.world.mirror
        there = {self.name_of(end.scope): end for (side, _), end in now.items() if side == "target"}
        gone = source is not None and source.state == "gone"
        people = link.agreed.get("people") or () if rules.per else ("b",)
        if rules.per and "people" not in link.agreed:
            return
        off = rules.cancelled == "remove" and link.agreed.get("status") == "cancelled"
        wanted = set() if gone or off else {one for one in people if one in self.ends}
        if gone and (rules.deletes == "ask" or source.decided == "unlink"):
            return
        for name in wanted:
            end = there.get(name)
            assert end is not None or "source" not in rules.originates, f"C1: nothing in {name}"
            if end is None or self.ends[name].read_only:
                continue
            fine = end.state in ("live", "released") or end.holds.keys() & {"existence", "write"}
            assert fine or self._held_match(end), f"C1: {name} lacks link {link.id}: {end}"
        for name, end in there.items():
            if name in wanted or self.ends[name].read_only:
                continue
            live = end.state == "live" and not end.holds.keys() & {"existence", "write"}
            assert not live, f"C1: {name} still has link {link.id}"

    def _held_match(self, end) -> bool:
        return end.state == "unseen" and any(
            "may be it" in text or "let go there" in text for text in self.store.texts
        )

    def _kept(self) -> None:
        """I3: what somebody typed last is shown, agreed, told in the story, or held.

        What went with a record that a person deleted is that person's word, even where a create
        whose answer was lost makes the record again under the same id.
        """
        said = {as_text(value) for value in self.store.said}
        linked = {
            (end.scope, end.external_id): (link, end)
            for link, now in self.linked()
            for end in now.values()
            if link.state == "live" and not self.asks(link, now)
        }
        last = {
            one[:3]: one[3]
            for number, one in enumerate(self.typed)
            if number >= self.thrown.get(one[:2], 0)
        }
        for (name, id_, field), value in last.items():
            scope = next(s for s in self.store.scopes if self.name_of(s) == name)
            text = as_text(value)
            record = self.ends[name].records.get(id_)
            if field not in FIELDS or record is None or same(record[1].get(field), value):
                continue
            if (scope, id_) not in linked or text in said:
                continue
            link, end = linked[scope, id_]
            if end.state != "live" or end.holds or self.ends[name].read_only:
                continue
            if any(text in one for one in self.store.texts):
                continue
            raise AssertionError(
                f"I3: {field} = {text!r}, typed in {name}, is lost without trace (link {link.id})"
            )


def nasty_stores(limit: int) -> dict[str, Stored]:
    """A system that cuts its notes."""
    return {"notes": Stored(limit=limit)}
