"""Observations that overtook each other, in the in-memory twin of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.kit.contract import Missing, Seen, Unreadable
from truckroll.model.records import same
from truckroll.store.observe import is_anew

if TYPE_CHECKING:
    from datetime import datetime

    from truckroll.sync.types import Outcome, RecordRow, Step


class MemoryDoubts:
    """Knows where it is open which of two observations is the newer. A part of `MemoryStore`."""

    records: dict[tuple[int, str], RecordRow]

    def _late(self, old: RecordRow, item: Seen | Missing | Unreadable, at: datetime) -> str:
        """Leave a record as it was shown since the listing began; where they differ, ask again."""
        told = (item.version, "live") if isinstance(item, Seen) else (None, "gone")
        alike = isinstance(item, Seen) and all(
            same(value, old.fields.get(name)) for name, value in item.fields.items()
        )
        if told != (old.version, old.state) or (told[0] is None and not alike):
            self.doubt_scope(old.scope, at)
        return "same"

    def doubt_scope(self, scope: int, at: datetime) -> None:
        """Let a scope be read whole: it is not known which of two observations is the newer."""

    def _doubted(self, step: Step, outcome: Outcome, began: datetime, at: datetime) -> None:
        """Where a record was observed anew while a call was out, let its scope be read whole."""
        old = self.records.get((step.scope, outcome.external_id or step.external_id))
        if old is None or outcome.kind not in ("done", "conflict", "gone"):
            return
        if old.version is None and outcome.version is None:
            anew = old.seen_at is not None and old.seen_at > began
            anew = anew or is_anew(old.fields, step.before, outcome.shown)
        else:
            anew = old.version not in (step.version, outcome.version)
        if anew:
            self.doubt_scope(step.scope, at)
