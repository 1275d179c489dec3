"""Folding in the in-memory twin of the store; `truckroll.store.folding` does it on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.sync.fold import LEFT, Member, regroup
from truckroll.sync.types import End, Link, RecordRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from truckroll.sync.ports import FoldKey


class MemoryFolding:
    """Brings source records to the link of their fold key. A part of `MemoryStore`."""

    link_rows: dict[int, Link]
    mirror_of: dict[int, int]
    records: dict[tuple[int, str], RecordRow]
    hurried: set[int]
    _ids: Iterator[int]
    _keys: Iterator[int]

    def _save(self, link: Link) -> None:
        self.link_rows[link.id] = msgspec.structs.replace(link, row=link.row + 1)

    def _house(self, mirror: int, side: str, record: RecordRow, key: str, at: datetime) -> None:
        """Give a record an end in the living link of its fold key, or in a new link."""
        link_id = self._homes(mirror).get(key)
        if link_id is None:
            link_id = next(self._ids)
            self.link_rows[link_id] = Link(
                id=link_id, mirror=mirror, key=f"{next(self._keys):016x}", fold=key
            )
            self.mirror_of[link_id] = mirror
        end = End(
            id=next(self._ids),
            side=side,  # type: ignore[arg-type] # source or target
            account=record.account,
            scope=record.scope,
            external_id=record.external_id,
            state="live",
        )
        link = self.link_rows[link_id]
        back = [one for one in link.ends if _stands_for(one, record) and one.decided == LEFT]
        if back:
            end = msgspec.structs.replace(back[0], state="live", decided="")
        ends = (*(one for one in link.ends if one not in back), end)
        self.hurried.add(link_id)
        self._save(msgspec.structs.replace(link, ends=ends, look_at=at))

    def _homes(self, mirror: int) -> dict[str, int]:
        homes: dict[str, int] = {}
        for link in self.link_rows.values():
            if self.mirror_of[link.id] == mirror and link.state == "live" and link.fold:
                homes.setdefault(link.fold, link.id)
        return homes

    async def regroup(
        self, mirror: int, fold: FoldKey, *, at: datetime, after: int, limit: int
    ) -> int:
        """Bring records whose fold key changed to the link of their key; see `sync.ports`."""
        due = sorted(
            link.id
            for link in self.link_rows.values()
            if self.mirror_of[link.id] == mirror
            and link.state == "live"
            and link.id > after
            and link.look_at is not None
            and link.look_at <= at
        )[:limit]
        members = [(id_, self.link_rows[id_].fold, self._members(id_, fold)) for id_ in due]
        found = regroup(members, self._homes(mirror))
        for id_, key in found.renamed.items():
            self._save(msgspec.structs.replace(self.link_rows[id_], fold=key, look_at=at))
            self.hurried.add(id_)
        keys = dict(found.leaving)
        for id_ in due:
            for end in self.link_rows[id_].ends:
                if end.id in keys:
                    self._leave(id_, end.id, at)
                    record = self.records[end.scope, end.external_id]
                    self._house(mirror, "source", record, keys[end.id], at)
        return due[-1] if due else 0

    def _members(self, link_id: int, fold: FoldKey) -> list[Member]:
        held = [
            (end.id, self.records[end.scope, end.external_id])
            for end in self.link_rows[link_id].ends
            if end.side == "source" and end.external_id and end.state != "released"
        ]
        return [Member(end, fold(one.fields)) for end, one in held if one.state != "gone"]

    def _leave(self, link_id: int, left: int, at: datetime) -> None:
        link = self.link_rows[link_id]
        ends = tuple(
            msgspec.structs.replace(end, state="released", decided=LEFT) if end.id == left else end
            for end in link.ends
        )
        self.hurried.add(link_id)
        self._save(msgspec.structs.replace(link, ends=ends, look_at=at))


def _stands_for(end: End, record: RecordRow) -> bool:
    place = (record.scope, record.external_id)
    return end.side == "source" and (end.scope, end.external_id) == place
