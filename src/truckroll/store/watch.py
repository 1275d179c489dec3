"""What is known of reads and calls: the evidence of freshness, the numbers behind alarms."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from truckroll.store.base import Base, named_sql
from truckroll.sync.read import ScopeReport

SQL = named_sql("watch")
MANY = 25  # so many records do not all vanish on one day


class ScopeWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of reading a scope; see the table of the same name."""

    scope: int
    account: int
    title: str
    live: int
    since: datetime
    tried_at: datetime | None = None
    proven_at: datetime | None = None
    evidence: str = ""
    error: str = ""
    error_code: str = ""
    emptied: int = 0
    restarted_at: datetime | None = None


class AccountWatch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account's calls.

    `answered`, `paused` and `failed` are its calls in the minutes asked for, `first_failed` to
    `last_answered` when in them. `promise_seconds` is what a person chose.
    """

    id: int
    system: str
    name: str
    added_at: datetime
    promise_seconds: int | None = None
    answered_at: datetime | None = None
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None
    more: str = ""
    end_told_at: datetime | None = None
    answered: int = 0
    paused: int = 0
    failed: int = 0
    first_failed: datetime | None = None
    last_failed: datetime | None = None
    last_answered: datetime | None = None


class Calls(msgspec.Struct, frozen=True):
    """Calls of an account: answered, asked to pause, failed (5xx, or no answer at all)."""

    answered: int = 0
    paused: int = 0
    failed: int = 0


class LastRun(msgspec.Struct, frozen=True):
    """The latest run of a recipe that has ended; `summary` None: it broke off."""

    recipe: str
    run: int
    ended_at: datetime
    summary: dict[str, Any] | None


class Waiting(msgspec.Struct, frozen=True):
    """How many links are due, are held, and are held until a person does something."""

    due: int
    held: int
    dead: int


class WatchStore(Base):
    """What the watch remembers of a tenant's scopes and accounts."""

    async def expect(self, scopes: Collection[int], *, at: datetime) -> None:
        """Say which scopes are to be read at all; the promise of a new one begins at `at`."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["forget"], {"scopes": list(scopes)})
            await cursor.execute(SQL["expect"], {"scopes": list(scopes), "at": at})

    async def note_reads(self, reports: Sequence[ScopeReport], *, began: datetime) -> None:
        """Keep what reads showed. `began` is the instant at which they began.

        A read proves what is there where it listed all, or followed the changes to their end
        from a complete listing; everything else leaves the age of the last proof as it is.
        """
        rows = [
            {
                "scope": one.scope,
                "began": began,
                "evidence": evidence(one),
                "error": one.error,
                "code": one.code,
                "before": one.before,
                "empty": one.complete and not one.live and one.before >= MANY,
                "shown": not one.error and bool(one.live),
            }
            for one in reports
        ]
        async with self._transaction(durable=False) as cursor:
            await cursor.executemany(SQL["note_read"], rows)

    async def restarted(self, scopes: Sequence[int], *, at: datetime) -> None:
        """Note that reads of these scopes were set going again."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["restarted"], {"scopes": list(scopes), "at": at})

    async def note_calls(self, calls: Mapping[str, Calls], *, at: datetime) -> None:
        """Add calls by the name of their account; one that is not known any more is left out."""
        rows = [{"account": name, "at": at, **_plain(one)} for name, one in sorted(calls.items())]
        async with self._transaction(durable=False) as cursor:
            await cursor.executemany(SQL["note_calls"], rows)
            answered = [row for row in rows if row["answered"]]
            if answered:
                await cursor.executemany(SQL["note_answer"], answered)

    async def note_end(
        self,
        account: str,
        *,
        deprecated_at: datetime | None,
        sunset_at: datetime | None,
        more: str,
        at: datetime,
    ) -> None:
        """Keep what a system says about the end of what is called there."""
        row = {"account": account, "at": at, "more": more}
        row |= {"deprecated_at": deprecated_at, "sunset_at": sunset_at}
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["note_end"], row)

    async def promise(self, account: int, length: timedelta | None, *, at: datetime) -> None:
        """Set how old the last proven read of an account's scopes may grow; None: its system's."""
        seconds = None if length is None else round(length.total_seconds())
        row = {"account": account, "seconds": seconds, "at": at}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["promise"], row)

    async def scope_watches(self) -> list[ScopeWatch]:
        """Return what is known of every scope that is to be read, by id."""
        names = ScopeWatch.__struct_fields__
        async with self._transaction() as cursor:
            await cursor.execute(SQL["scope_watches"], {})
            return [ScopeWatch(**dict(zip(names, row, strict=True))) async for row in cursor]

    async def account_watches(self, *, since: datetime, at: datetime) -> list[AccountWatch]:
        """Return what is known of every account, with its calls after `since`, by name."""
        names = AccountWatch.__struct_fields__
        async with self._transaction() as cursor:
            await cursor.execute(SQL["account_watches"], {"since": since, "at": at})
            return [AccountWatch(**dict(zip(names, row, strict=True))) async for row in cursor]

    async def backlog(self) -> Waiting:
        """Return how much waits."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["state"], {})
            row = await cursor.fetchone()
        assert row is not None
        return Waiting(*row)

    async def last_runs(self) -> list[LastRun]:
        """Return the latest run of each recipe that has ended, by recipe."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["last_runs"], {})
            return [
                LastRun(row[1], row[2], row[3], msgspec.json.decode(row[4]) if row[4] else None)
                async for row in cursor
            ]

    async def prune_watch(self, *, at: datetime) -> None:
        """Forget calls of an hour ago, alerts closed 90 days ago, and events of 30 days ago."""
        bounds = {
            "calls": at - timedelta(hours=1),
            "alerts": at - timedelta(days=90),
            "events": at - timedelta(days=30),
        }
        async with self._transaction(durable=False) as cursor:
            for name in ("prune_calls", "prune_alerts", "prune_events"):
                await cursor.execute(SQL[name], bounds)


def evidence(report: ScopeReport) -> str:
    """Return what a read showed, as a clause; "" where it did not come to its end."""
    if report.error:
        return ""
    moved = f"{report.new + report.changed:,} new or changed, {report.gone:,} gone"
    if report.complete:
        told = f"listed whole: {report.live:,} record{'' if report.live == 1 else 's'}, {moved}"
        return "listed whole: nothing is there" if not (report.live or report.gone) else told
    if not (report.new or report.changed or report.gone or report.unreadable):
        return "followed its changes to the end: none"
    return f"followed its changes to the end: {moved}"


def _plain(calls: Calls) -> dict[str, int]:
    return {"answered": calls.answered, "paused": calls.paused, "failed": calls.failed}
