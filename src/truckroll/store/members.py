"""Members of a tenant and their API tokens, of which the digest alone is kept."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from truckroll.store.base import Base, Row, named_sql

SQL = named_sql("members")


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may work with a tenant: `presets` name what they may do.

    `person` is whom they stand for in the people map, "" for nobody.
    """

    id: int
    name: str
    mail: str
    presets: tuple[str, ...]
    person: str
    added_at: datetime


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An API token of a member; never its secret. Instants are aware, UTC."""

    id: int
    name: str
    member: str
    scopes: tuple[str, ...]
    made_by: str
    made_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


class MembersStore(Base):
    """Members and tokens of a tenant."""

    async def add_member(
        self, name: str, mail: str, presets: Sequence[str], person: str, *, at: datetime
    ) -> Member:
        """Add a member; raises KeyError where the name is taken."""
        row = {"name": name, "mail": mail, "presets": list(presets), "person": person, "at": at}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["add_member"], row)
            made = await cursor.fetchone()
        if made is None:
            raise KeyError(name)
        return _member(made)

    async def members(self, name: str | None = None, *, id_: int | None = None) -> list[Member]:
        """Return the members by name: all, or the one of this name or id."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["members"], {"name": name, "id": id_})
            return [_member(row) async for row in cursor]

    async def set_presets(self, name: str, presets: Sequence[str]) -> None:
        """Replace what a member may do."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["set_presets"], {"name": name, "presets": list(presets)})

    async def remove_member(self, name: str) -> bool:
        """Remove a member and their tokens; tell whether there was one."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["remove_member"], {"name": name})
            return await cursor.fetchone() is not None

    async def add_token(
        self,
        member: int,
        name: str,
        digest: bytes,
        scopes: Sequence[str],
        by: str,
        *,
        at: datetime,
        expires_at: datetime | None,
    ) -> int:
        """Add a token by its digest; return its id."""
        row = {"member": member, "name": name, "digest": digest, "scopes": list(scopes), "by": by}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["add_token"], {**row, "at": at, "expires_at": expires_at})
            made = await cursor.fetchone()
        assert made is not None
        return int(made[0])

    async def tokens(self, id_: int | None = None) -> list[Token]:
        """Return all tokens by id, ended ones too, or the one of this id."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["tokens"], {"id": id_})
            return [_token(row) async for row in cursor]

    async def revoke_token(self, id_: int, *, at: datetime) -> bool:
        """End a token; tell whether it was not ended before."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["revoke_token"], {"id": id_, "at": at})
            return await cursor.fetchone() is not None

    async def token_used(self, id_: int, *, at: datetime) -> None:
        """Note when a token was last used, to the minute."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["token_used"], {"id": id_, "at": at})

    async def token_places(self, digest: bytes) -> list[tuple[int, int]]:
        """Return tenant and id of each token of this digest, whatever tenant this store is of."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["token_places"], {"digest": digest})
            return [(row[0], row[1]) async for row in cursor]


def _member(row: Row) -> Member:
    return Member(
        id=row[0],
        name=row[1],
        mail=row[2],
        presets=tuple(row[3]),
        person=row[4],
        added_at=row[5],
    )


def _token(row: Row) -> Token:
    return Token(
        id=row[0],
        name=row[1],
        member=row[2],
        scopes=tuple(row[3]),
        made_by=row[4],
        made_at=row[5],
        expires_at=row[6],
        used_at=row[7],
        revoked_at=row[8],
    )
