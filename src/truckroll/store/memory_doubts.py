"""Observations that overtook each other, in the in-memory twin of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.kit.contract import Missing, Seen, Unreadable
from truckroll.model.records import same
from truckroll.store.observe import is_anew
from truckroll.sync.types import RecordRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from truckroll.sync.ports import StoredScope
    from truckroll.sync.types import EndState, Outcome, Step


class MemoryDoubts:
    """Knows where it is open which of two observations is the newer. A part of `MemoryStore`."""

    records: dict[tuple[int, str], RecordRow]
    scopes: dict[int, StoredScope]
    steps: dict[int, tuple[int, Step, Outcome | None, datetime]]
    _ids: Iterator[int]

    def _late(self, old: RecordRow, item: Seen | Missing | Unreadable, at: datetime) -> str:
        """Leave a record as it was shown since the listing began; where they differ, ask again."""
        told = (item.version, "live") if isinstance(item, Seen) else (None, "gone")
        alike = isinstance(item, Seen) and all(
            same(value, old.fields.get(name)) for name, value in item.fields.items()
        )
        if told != (old.version, old.state) or (told[0] is None and not alike):
            self.doubt_scope(old.scope, at)
        return "same"

    def _missed(self, scope: int, kind: str, item: Missing, at: datetime) -> None:
        """Keep the tombstone of an unknown record while a create is out: it may be of that."""
        out = (step for _, step, outcome, _ in self.steps.values() if outcome is None)
        if any(step.op == "create" and step.scope == scope for step in out):
            gone = self._bare(scope, kind, item.id, "gone", at)
            self.records[scope, item.id] = msgspec.structs.replace(gone, gone_at=at)

    def _bare(self, scope: int, kind: str, id_: str, state: EndState, at: datetime) -> RecordRow:
        """Return a new record of which nothing but its state was seen."""
        return RecordRow(
            id=next(self._ids),
            account=self.scopes[scope].account,
            scope=scope,
            external_id=id_,
            kind=kind,
            state=state,
            seen_at=at,
        )

    def doubt_scope(self, scope: int, at: datetime) -> None:
        """Let a scope be read whole: it is not known which of two observations is the newer."""

    def _doubted(self, step: Step, outcome: Outcome, began: datetime, at: datetime) -> None:
        """Where a record was observed anew while a call was out, let its scope be read whole."""
        old = self.records.get((step.scope, outcome.external_id or step.external_id))
        if outcome.kind not in ("done", "conflict", "gone"):
            return
        if old is None:
            listed = self.scopes[step.scope].complete_at
            anew = outcome.shown is not None and listed is not None and listed > began
        elif old.state == "gone":
            anew = outcome.shown is not None
        elif old.version is None and outcome.version is None:
            anew = old.seen_at is not None and old.seen_at > began
            anew = anew or is_anew(old.fields, step.before, outcome.shown)
        else:
            merged = outcome.version if step.op == "create" else step.version
            anew = old.version not in (merged, outcome.version)
        if anew:
            self.doubt_scope(step.scope, at)
