"""The in-memory twin of the store: the same ports, for simulations and tests of the sync.

Whatever it does, `truckroll.store` must do on PostgreSQL; the same tests run against both.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from truckroll.kit.contract import Missing, Page, Scope, Seen, Unreadable
from truckroll.model.records import KINDS, Fields, same
from truckroll.store.memory_adopting import MemoryAdopting
from truckroll.store.memory_doubts import MemoryDoubts
from truckroll.store.memory_leases import MemoryLeases
from truckroll.store.observe import known_after
from truckroll.sync.ports import Counts, OpenStep, PageResult, StoredScope
from truckroll.sync.types import Decision, End, Hold, Link, Outcome, RecordRow, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

REMOVALS = ("delete", "cancel", "unlink")
_MOVING = {"shown", "version", "seen_order", "changed", "seen_at", "gone_at"}


class MemoryStore(MemoryAdopting, MemoryLeases, MemoryDoubts):
    """Holds scopes, records, links, steps and the story in plain dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes: dict[int, StoredScope] = {}
        self.records: dict[tuple[int, str], RecordRow] = {}
        self.raw: dict[int, bytes] = {}
        self.seen_by: dict[int, int] = {}
        self.link_rows: dict[int, Link] = {}
        self.mirror_of: dict[int, int] = {}
        self.steps: dict[int, tuple[int, Step, Outcome | None, datetime]] = {}
        self.story: list[tuple[int, str, str]] = []
        self.held: dict[int, tuple[Hold, ...]] = {}
        self.runs: dict[int, Mapping[str, Any]] = {}
        self.hurried: set[int] = set()
        self._ids = itertools.count(1)
        self._orders = itertools.count(1)
        self._keys = itertools.count(1)

    # Reading

    def put_scope(self, account: int, scope: Scope) -> StoredScope:
        """Add a scope and return it as stored."""
        stored = StoredScope(id=next(self._ids), account=account, scope=scope)
        self.scopes[stored.id] = stored
        return stored

    def scope(self, id_: int) -> StoredScope:
        """Return a scope with the count of its live records."""
        live = sum(1 for one in self.records.values() if one.scope == id_ and one.state == "live")
        return msgspec.structs.replace(self.scopes[id_], live=live)

    async def begin_listing(self, scope: int) -> int:
        del scope
        return next(self._ids)

    async def store_page(
        self, scope: int, listing: int, kind: str, page: Page, *, at: datetime, keep_cursor: bool
    ) -> PageResult:
        tally: Counter[str] = Counter()
        for item in page.items:
            tally[self._store(scope, listing, kind, item, at)] += 1
        for id_ in page.unchanged:
            record = self.records.get((scope, id_))
            if record is not None:
                self.seen_by[record.id] = listing
                self.records[scope, id_] = msgspec.structs.replace(record, seen_at=at)
                tally["same"] += 1
        if not keep_cursor and page.cursor is not None:
            await self.set_cursor(scope, page.cursor)
        return PageResult(**tally)

    def _store(
        self, scope: int, listing: int, kind: str, item: Seen | Missing | Unreadable, at: datetime
    ) -> str:
        old = self.records.get((scope, item.id))
        if old is not None and self.seen_by.get(old.id, 0) > listing:
            return self._late(old, item, at)
        if isinstance(item, Missing):
            if old is None:
                self._missed(scope, kind, item, at)
            if old is None or old.state == "gone":
                return "same"
            self._gone(old, at)
            return "gone"
        if (
            old is not None
            and isinstance(item, Seen)
            and (item.version, "live") == (old.version, old.state)
            and item.version is not None
        ):
            self.records[scope, item.id] = msgspec.structs.replace(old, seen_at=at)
            self.seen_by[old.id] = listing
            return "same"
        record = self._row(scope, kind, item, old, at)
        self.records[scope, item.id] = record
        self.raw[record.id] = item.raw
        self.seen_by[record.id] = listing
        if record.state == "unreadable":
            return "unreadable"
        if old is None:
            return "new"
        if record.changed == old.changed and record.state == old.state:
            return "same"
        self._due_by_record(record, at)
        return "changed"

    def _row(
        self, scope: int, kind: str, item: Seen | Unreadable, old: RecordRow | None, at: datetime
    ) -> RecordRow:
        if isinstance(item, Unreadable):
            if old is None:
                unread = self._bare(scope, kind, item.id, "unreadable", at)
                return msgspec.structs.replace(unread, problem=item.reason)
            return msgspec.structs.replace(old, state="unreadable", problem=item.reason, seen_at=at)
        before: Fields = old.fields if old else {}
        changed = dict(old.changed) if old else {}
        names = [
            name
            for name, value in item.fields.items()
            if not (name in before and same(value, before[name]))
        ]
        order = old.seen_order if old else 0
        if names or old is None or old.state != "live":
            order = next(self._orders)
            changed.update(dict.fromkeys(names, order))
        return RecordRow(
            id=old.id if old else next(self._ids),
            account=self.scopes[scope].account,
            scope=scope,
            external_id=item.id,
            kind=kind,
            state="live",
            version=item.version,
            fields=known_after(before, item.fields),
            mark=item.mark,
            series=item.series,
            owned=item.owned,
            problem="; ".join(item.problems),
            seen_order=order,
            changed=changed,
            seen_at=at,
        )

    def _gone(self, record: RecordRow, at: datetime) -> None:
        gone = self._absent(record, at)
        self._due_by_record(gone, at)

    def _absent(self, record: RecordRow, at: datetime) -> RecordRow:
        """Note a record's absence; the instant is that of its first observation."""
        if record.state != "gone":
            record = msgspec.structs.replace(record, state="gone", gone_at=at)
            self.records[record.scope, record.external_id] = record
        return record

    async def finish_listing(self, scope: int, listing: int, *, at: datetime) -> list[RecordRow]:
        self.scopes[scope] = msgspec.structs.replace(self.scopes[scope], complete_at=at)
        return [
            one
            for one in self.records.values()
            if one.scope == scope and one.state != "gone" and self.seen_by.get(one.id, 0) < listing
        ]

    async def overtaken(self, scope: int, listing: int) -> list[str]:
        return [
            one.external_id
            for one in self.records.values()
            if one.scope == scope and one.state != "gone" and self.seen_by.get(one.id, 0) > listing
        ]

    async def doubt(self, scope: int, *, at: datetime) -> None:
        self.doubt_scope(scope, at)

    async def set_cursor(self, scope: int, cursor: str | None) -> None:
        self.scopes[scope] = msgspec.structs.replace(self.scopes[scope], cursor=cursor)

    async def mark_gone(self, records: Sequence[int], *, at: datetime) -> None:
        for record in list(self.records.values()):
            if record.id in records:
                self._gone(record, at)

    async def versions(self, scope: int, ids: Sequence[str]) -> Mapping[str, str | None]:
        found = {id_: self.records.get((scope, id_)) for id_ in ids}
        return {id_: one.version for id_, one in found.items() if one and one.state == "live"}

    # Planning

    def _due_by_record(self, record: RecordRow, at: datetime) -> None:
        for link in list(self.link_rows.values()):
            for end in link.ends:
                if (end.scope, end.external_id) == (record.scope, record.external_id):
                    self.hurried.add(link.id)
                    self._save(msgspec.structs.replace(link, look_at=at))

    async def links(self, ids: Sequence[int]) -> list[Link]:
        return [self._loaded(self.link_rows[id_]) for id_ in ids if id_ in self.link_rows]

    async def due(
        self, mirror: int, *, at: datetime, after: int, limit: int, everything: bool = False
    ) -> list[Link]:
        found = [
            self._loaded(link)
            for link in self.link_rows.values()
            if self.mirror_of[link.id] == mirror
            and link.id > after
            and (
                (link.look_at is not None and link.look_at <= at)
                or (everything and link.state == "live")
            )
        ]
        return sorted(found, key=lambda link: link.id)[:limit]

    async def candidates(
        self, mirror: int, scopes: Sequence[int], coarse: Sequence[str], marks: Sequence[str]
    ) -> list[RecordRow]:
        linked = self._linked(mirror)
        found = []
        for one in sorted(self.records.values(), key=lambda record: record.id):
            if one.scope not in scopes or one.state != "live":
                continue
            if KINDS[one.kind].coarse(one.fields) not in coarse and one.mark not in marks:
                continue
            held = linked.get((one.scope, one.external_id), [])
            if all(link.state == "ended" or end.state == "released" for link, end in held):
                found.append(msgspec.structs.replace(one, ended=bool(held)))
        return found

    async def journal(
        self, run: int, decisions: Sequence[Decision], *, at: datetime
    ) -> list[OpenStep]:
        opened = []
        for decision in decisions:
            link = decision.link
            stored = self.link_rows[link.id]
            if stored.row != link.row:
                continue
            self.hurried.discard(link.id)
            self.held[link.id] = decision.holds
            ids = {end.id: end.id if end.id > 0 else next(self._ids) for end in link.ends}
            ends = tuple(msgspec.structs.replace(end, id=ids[end.id]) for end in link.ends)
            by = {name: ids.get(end, end) for name, end in link.by.items()}
            self._save(
                msgspec.structs.replace(link, ends=ends, by=by, look_at=decision.look_again_at)
            )
            for note in decision.notes:
                self.story.append((link.id, note.code, note.text))
            for step in decision.steps:
                opened += self._open(run, msgspec.structs.replace(step, end=ids[step.end]), at)
        return opened

    def _open(self, run: int, step: Step, at: datetime) -> list[OpenStep]:
        if any(one.end == step.end and done is None for _, one, done, _ in self.steps.values()):
            return []
        id_ = next(self._ids)
        self.steps[id_] = (run, step, None, at)
        link = self.link_rows[step.link]
        ends = tuple(
            msgspec.structs.replace(end, open=end.open or end.id == step.end) for end in link.ends
        )
        self.link_rows[link.id] = msgspec.structs.replace(link, ends=ends)
        record = self.records.get((step.scope, step.external_id))
        return [OpenStep(id_, step, self.raw.get(record.id, b"") if record else b"")]

    # Performing

    async def finish(self, run: int, outcomes: Sequence[Outcome], *, at: datetime) -> None:
        del run
        for outcome in outcomes:
            started, step, ended, began = self.steps[outcome.step]
            if ended is not None:
                continue
            self._doubted(step, outcome, began, at)
            open_still = outcome if outcome.kind != "unknown" else None
            self.steps[outcome.step] = (started, step, open_still, began)
            self.story.append((step.link, outcome.kind, outcome.says or step.reason))
            self._finish(step, outcome, at)

    def _finish(self, step: Step, outcome: Outcome, at: datetime) -> None:
        link = self.link_rows[step.link]
        ends = {end.id: end for end in link.ends}
        end = ends[step.end]
        look_at, at_once = link.look_at, outcome.kind in ("conflict", "gone")
        if outcome.kind == "done":
            end, at_once = self._done(step, outcome, end, at)
            look_at = at if at_once else (outcome.retry_at or look_at)
        elif outcome.kind == "unknown":
            end = msgspec.structs.replace(end, open=True)
        else:
            end = msgspec.structs.replace(end, open=False)
            look_at = self._look_at(step, outcome, at)
            end = msgspec.structs.replace(end, holds=end.holds | outcome.holds)
        ends[step.end] = end
        if at_once:
            self.hurried.add(link.id)
        elif link.id in self.hurried:
            look_at = link.look_at  # due already: nothing puts that off
        self._save(msgspec.structs.replace(link, ends=tuple(ends.values()), look_at=look_at))

    def _look_at(self, step: Step, outcome: Outcome, at: datetime) -> datetime | None:
        if outcome.kind == "later":
            return outcome.retry_at
        if outcome.kind == "refused":
            return self.link_rows[step.link].look_at
        if outcome.kind == "gone" and step.external_id:
            self._store(step.scope, next(self._ids), step.kind, Missing(step.external_id), at)
        if outcome.shown is not None:
            told = self._told(outcome, step)
            self._store(step.scope, next(self._ids), step.kind, told, at)
        return at

    def _done(self, step: Step, outcome: Outcome, end: End, at: datetime) -> tuple[End, bool]:
        end = msgspec.structs.replace(end, open=False)
        if step.op in REMOVALS:
            if step.op == "cancel" and outcome.shown is not None:
                self._reply(step, outcome, at)
                state, decided = "released", "cancel"
            else:
                gone = self._absent(self.records[step.scope, step.external_id], at)
                self.seen_by[gone.id] = next(self._ids)
                state, decided = "gone", end.decided
            removed = msgspec.structs.replace(
                end, state=state, decided=decided, removed_by_hub=True
            )
            return removed, True
        self._reply(step, outcome, at)
        done = msgspec.structs.replace(
            end,
            state="live",
            external_id=outcome.external_id,
            base={**end.base, **outcome.base},
            given={**end.given, **outcome.given},
            holds={**end.holds, **outcome.holds},
        )
        return done, False

    def _reply(self, step: Step, outcome: Outcome, at: datetime) -> None:
        """Store the reply as the record's observation, without making the link due."""
        seen = self._told(outcome, step)
        old = self.records.get((step.scope, seen.id))
        record = self._row(step.scope, step.kind, seen, old, at)
        self.records[step.scope, seen.id] = record
        self.raw[record.id] = outcome.raw
        self.seen_by[record.id] = next(self._ids)

    def _told(self, outcome: Outcome, step: Step) -> Seen:
        """Return a reply as an item; of a known record it says nothing of mark and owner."""
        id_ = outcome.external_id or step.external_id
        old = self.records.get((step.scope, id_))
        made = self.link_rows[step.link].key if step.op == "create" else None
        return Seen(
            id=id_,
            fields=outcome.shown or {},
            version=outcome.version,
            raw=outcome.raw,
            mark=made or (old.mark if old else None),
            series=outcome.series or (old.series if old else None),
            owned=old.owned if old else True,
        )

    async def open_intents(self, recipe: int) -> list[OpenStep]:
        del recipe
        return [
            OpenStep(id_, step, b"", began)
            for id_, (_, step, outcome, began) in self.steps.items()
            if outcome is None
        ]

    async def counts(self, width: str, id_: int, *, since: datetime) -> Counts:
        removals = writes = 0
        for _, step, outcome, began in self.steps.values():
            if outcome is None or outcome.kind != "done" or began < since:
                continue
            if width == "recipe" or getattr(step, width) == id_:
                writes += 1
                removals += step.op in REMOVALS
        live = sum(
            one.state == "live" and (width == "recipe" or getattr(one, width) == id_)
            for one in self.records.values()
        )
        return Counts(removals=removals, writes=writes, live=live)

    # Runs

    async def steps_of(self, run: int) -> AsyncIterator[tuple[int, Step, Outcome | None]]:
        for id_, (made, step, outcome, _) in list(self.steps.items()):
            if made == run:
                yield id_, step, outcome and msgspec.structs.replace(outcome, raw=b"")

    async def end_run(self, run: int, summary: Mapping[str, Any]) -> None:
        self.runs[run] = summary
