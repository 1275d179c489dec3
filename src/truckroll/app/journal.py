"""For how long a hub remembers what it did: what `runs`, `undo` and `why` can still tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from truckroll.app.audit import audited
from truckroll.app.trouble import TroubleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truckroll.app.hub import Hub

FEWEST_DAYS, MOST_DAYS = 30, 36_500
_COUNTED = timedelta(days=2)  # the brakes look back for an hour


class JournalView(msgspec.Struct, frozen=True, kw_only=True):
    """For how many days the journal is kept, and when the oldest run in it began (aware UTC)."""

    days: int
    oldest: datetime | None


async def shown(hub: Hub) -> JournalView:
    """Return for how long the journal is kept."""
    return JournalView(days=await hub.store.journal_days(), oldest=await hub.store.oldest_run())


async def _days(hub: Hub, _given: Mapping[str, Any]) -> dict[str, object]:
    return {"days": await hub.store.journal_days()}


@audited("journal.keep", "", "days", old=_days)
async def keep(hub: Hub, days: int) -> JournalView:
    """Keep the journal for so many days from now on; raises TroubleError for too few or many."""
    if not FEWEST_DAYS <= days <= MOST_DAYS:
        raise TroubleError(
            f"the journal is kept for {FEWEST_DAYS} to {MOST_DAYS:,} days, not for {days:,}",
            usage=True,
        )
    await hub.store.keep_journal(days)
    return await shown(hub)


async def forget_old(hub: Hub) -> int:
    """Forget what is older than the journal is kept; return how many runs. Repeat it every hour.

    What a run wrote goes with it, save an intent that is still open. Of each record the last
    line of its story stays.
    """
    now, forgotten = hub.now(), 0
    before = now - timedelta(days=await hub.store.journal_days())
    while runs := await hub.store.forget_runs(before=before):
        forgotten += runs
    while await hub.store.forget_lines(before=before):
        pass
    await hub.store.forget_counts(before=now - _COUNTED)
    return forgotten
