"""The audit log: who did what, when, from where. Lines are added and read, nothing else."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from truckroll.store.base import Base, named_sql, to_json

SQL = named_sql("audit")


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """An act of a person. `way` is cli or api; `token` names the token, "" for none.

    `old` and `new` are what was and what was asked for, as far as that is small; never a secret.
    """

    id: int
    at: datetime
    who: str
    way: str
    token: str
    act: str
    subject: str
    outcome: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class AuditStore(Base):
    """The audit log of a tenant."""

    async def audit(
        self,
        *,
        at: datetime,
        who: str,
        way: str,
        token: str,
        act: str,
        subject: str,
        outcome: str,
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a line."""
        row = {"at": at, "who": who, "way": way, "token": token, "act": act, "subject": subject}
        values = {
            "outcome": outcome,
            "old": to_json(dict(old)) if old is not None else None,
            "new": to_json(dict(new)) if new is not None else None,
        }
        async with self._transaction() as cursor:
            await cursor.execute(SQL["write"], {**row, **values})

    async def audit_lines(
        self, *, word: str = "", before: int | None = None, limit: int = 50
    ) -> list[AuditLine]:
        """Return lines, the newest first, of ids below `before`.

        `word` is whom or what they are about: a name, a subject, an act or its group; "" for all.
        """
        async with self._transaction() as cursor:
            place = {"word": word, "before": before, "limit": limit}
            await cursor.execute(SQL["read"], place)
            return [
                AuditLine(
                    id=row[0],
                    at=row[1],
                    who=row[2],
                    way=row[3],
                    token=row[4],
                    act=row[5],
                    subject=row[6],
                    outcome=row[7],
                    old=msgspec.json.decode(row[8]) if row[8] is not None else None,
                    new=msgspec.json.decode(row[9]) if row[9] is not None else None,
                )
                async for row in cursor
            ]
