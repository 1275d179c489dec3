"""Answers that were given to calls with an Idempotency-Key, to be given again."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from truckroll.store.base import Base, named_sql, to_json

SQL = named_sql("replies")
KEPT = timedelta(hours=24)
LONGEST = timedelta(minutes=15)
"""After so long without an answer the process that worked on a call is taken for dead."""


class Call(NamedTuple):
    """A call that is to be done once: who, where, under which key."""

    token: int
    route: str
    key: str


class Reply(msgspec.Struct, frozen=True):
    """What was answered. `asked` is the digest of the call's body; `status` 0: still at work."""

    asked: bytes
    status: int
    headers: dict[str, str]
    body: bytes


class RepliesStore(Base):
    """Answers of a tenant's API, each for 24 hours."""

    async def begin_reply(self, call: Call, asked: bytes, *, at: datetime) -> Reply | None:
        """Take a call on, and return None; or return what became of it where it was taken on."""
        row = {**call._asdict(), "asked": asked, "at": at, "kept": KEPT, "longest": LONGEST}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["forget_old"], row)
            await cursor.execute(SQL["begin"], row)
            if await cursor.fetchone() is not None:
                return None
            await cursor.execute(SQL["known"], row)
            known = await cursor.fetchone()
        assert known is not None
        headers = msgspec.json.decode(known[2]) if known[2] is not None else {}
        return Reply(known[0], known[1] or 0, headers, known[3] or b"")

    async def end_reply(
        self, call: Call, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Keep the answer to a call."""
        row = {"status": status, "headers": to_json(dict(headers)), "body": body}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["end"], {**call._asdict(), **row})

    async def drop_reply(self, call: Call) -> None:
        """Forget a call that changed nothing: it may be tried again."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["drop"], call._asdict())
