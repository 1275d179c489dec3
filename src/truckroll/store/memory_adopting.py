"""Adoption in the in-memory twin of the store; `truckroll.store.adopting` does it on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.model.records import KINDS
from truckroll.store.memory_folding import MemoryFolding
from truckroll.sync.match import AMBIGUOUS, is_made, key_of
from truckroll.sync.ports import NOWHERE, Adopted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from truckroll.sync.ports import FoldKey, Names
    from truckroll.sync.types import End, Hold, Link, RecordRow


class MemoryAdopting(MemoryFolding):
    """Makes links for the records that have none, or leaves them to one. Part of `MemoryStore`."""

    story: list[tuple[int, str, str]]
    held: dict[int, tuple[Hold, ...]]

    def __init__(self) -> None:
        super().__init__()
        self._passed_over: set[tuple[int, int]] = set()

    def _loaded(self, link: Link) -> Link:
        return msgspec.structs.replace(link, ends=tuple(self._end(end) for end in link.ends))

    def _end(self, end: End) -> End:
        record = self.records.get((end.scope, end.external_id)) if end.external_id else None
        if record is None:
            return end
        state = end.state
        if state in ("live", "gone", "unreadable", "unseen"):
            state = record.state
        return msgspec.structs.replace(
            end,
            state=state,
            version=record.version,
            owned=record.owned,
            shown=record.fields,
            seen_order=record.seen_order,
            changed=record.changed,
            seen_at=record.seen_at,
            gone_at=record.gone_at,
            series=record.series,
            removed_by_hub=(end.removed_by_hub and record.state != "live")
            or (end.removed_by_hub and end.state == "released"),
        )

    def _linked(self, mirror: int) -> dict[tuple[int, str], list[tuple[Link, End]]]:
        linked: dict[tuple[int, str], list[tuple[Link, End]]] = {}
        for link in self.link_rows.values():
            for end in link.ends if self.mirror_of[link.id] == mirror else ():
                if end.external_id:
                    linked.setdefault((end.scope, end.external_id), []).append((link, end))
        return linked

    async def unlinked(
        self, mirror: int, scopes: Sequence[int], *, after: int = 0, limit: int
    ) -> list[RecordRow]:
        """Return live, owned records of these scopes that no link of the mirror has, by id."""
        linked = self._linked(mirror)
        free = [
            one
            for one in self.records.values()
            if one.scope in scopes
            and one.id > after
            and one.state == "live"
            and one.owned
            and (one.scope, one.external_id) not in linked
        ]
        return sorted(free, key=lambda one: one.id)[:limit]

    async def adopt(
        self,
        mirror: int,
        side: str,
        scopes: Sequence[int],
        *,
        at: datetime,
        limit: int,
        fold: FoldKey | None = None,
        match: tuple[str, ...] = (),
        chosen: Mapping[int, Names] = NOWHERE,
    ) -> Adopted:
        """Make links for records that no link has yet; see `sync.ports`."""
        made = left = 0
        keys = {one.key for one in self.link_rows.values() if self.mirror_of[one.id] == mirror}
        for record in await self.unlinked(mirror, scopes, limit=limit):
            if fold is None and side == "source" and self._moved(mirror, record, at):
                made += 1
                continue
            names = chosen.get(record.scope)
            if record.mark in keys and not (names and self._is_copy(mirror, record, names)):
                continue
            if fold is None and match and self._awaited(mirror, side, record, match, at):
                self._passed_over.add((mirror, record.id))
                left += 1
                continue
            self._passed_over.discard((mirror, record.id))
            self._house(mirror, side, record, fold(record.fields) if fold else "", at)
            made += 1
        return Adopted(made, left)

    def _moved(self, mirror: int, record: RecordRow, at: datetime) -> bool:
        """Give a moved source record to the link of the one that it was; tell whether it was."""
        for link in [self._loaded(one) for one in self.link_rows.values()]:
            if self.mirror_of[link.id] != mirror or link.state == "ended":
                continue
            sources = [end for end in link.ends if end.side == "source"]
            old = max(sources, key=lambda end: end.generation, default=None)
            if old is None or old.state != "gone" or old.removed_by_hub or old.decided:
                continue
            if not (record.mark == link.key or (record.series and record.series == old.series)):
                continue
            end = msgspec.structs.replace(
                old,
                id=next(self._ids),
                account=record.account,
                scope=record.scope,
                external_id=record.external_id,
                generation=old.generation + 1,
                state="live",
                holds={},
                open=False,
            )
            ends = (*link.ends, end)
            self._save(msgspec.structs.replace(self.link_rows[link.id], ends=ends, look_at=at))
            self.story.append((link.id, "moved", "it was moved, and keeps its identity"))
            return True
        return False

    def _is_copy(self, mirror: int, record: RecordRow, names: Names) -> bool:
        """Tell whether a record carries the mark of a link whose own record is beside it."""
        if is_made(names, record.mark or "", record.scope, record.external_id):
            return False
        for link in self.link_rows.values():
            if self.mirror_of[link.id] != mirror or link.key != record.mark:
                continue
            ends = self._loaded(link).ends
            if link.state != "live" or any(
                end.external_id == record.external_id
                or (end.series and end.series == record.series)
                for end in ends
            ):
                continue
            return any(
                end.scope == record.scope and end.state == "live" and not end.open for end in ends
            )
        return False

    def _awaited(
        self, mirror: int, side: str, record: RecordRow, match: tuple[str, ...], at: datetime
    ) -> bool:
        """Tell whether a link that is due, or held as ambiguous, may be about to make it."""
        key, coarse = key_of(record.fields, match), KINDS[record.kind].coarse(record.fields)
        if key is None or coarse is None:
            return False
        again = (mirror, record.id) in self._passed_over
        awaited = False
        for link in list(self.link_rows.values()):
            due = link.look_at is not None and link.look_at <= at
            due = due or any(one.reason == AMBIGUOUS for one in self.held.get(link.id, ()))
            if self.mirror_of[link.id] != mirror or not self._may_make(link, side, record.scope):
                continue
            for end in self._loaded(link).ends:
                if end.side == side or end.state != "live" or key_of(end.shown, match) != key:
                    continue
                awaited = awaited or due or not again
                if not again:
                    self.hurried.add(link.id)
                    self._save(msgspec.structs.replace(link, look_at=at))
        return awaited

    @staticmethod
    def _may_make(link: Link, side: str, scope: int) -> bool:
        """Tell whether a link has nothing in a scope yet and may be about to make it there."""
        if link.state != "live" or link.hold:
            return False
        here = [end for end in link.ends if end.scope == scope]
        if any(end.external_id for end in here):
            return False
        return any(end.state == "unseen" for end in here) or not any(
            end.external_id for end in link.ends if end.side == side
        )
