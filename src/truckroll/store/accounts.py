"""Accounts with their sealed secrets, their scopes, and the people map."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg import AsyncCursor

from truckroll.kit.contract import Scope
from truckroll.store.base import Base, Row, named_sql, to_json
from truckroll.store.grants import reseal_grants
from truckroll.store.secret import Keyring
from truckroll.sync.ports import StoredScope

SQL = named_sql("accounts")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A signed-in connection to one system. `zone` is its IANA zone or "".

    `secrets` are opened by `account(name)` alone; elsewhere they are empty. Neither they nor the
    settings are shown when an account is printed.
    """

    id: int
    system: str
    name: str
    settings: dict[str, str]
    zone: str = ""
    secrets: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Account(id={self.id}, system={self.system!r}, name={self.name!r})"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Whose calendar is whose: a person as the systems name them, and where their records go.

    `confirmed_by` says who confirmed it, "" where it was only proposed.
    """

    name: str
    account: int
    scope: int
    confirmed_by: str = ""
    confirmed_at: datetime | None = None


class AccountsStore(Base):
    """Accounts, scopes and people of a tenant."""

    async def add_account(
        self,
        system: str,
        name: str,
        settings: Mapping[str, str],
        secrets: Mapping[str, str],
        zone: str = "",
    ) -> Account:
        """Add an account under a name of its own; raises KeyError where the name is taken."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["account"], {"name": name})
            if await cursor.fetchone() is not None:
                raise KeyError(name)
            await cursor.execute(SQL["new_account_id"])
            row = await cursor.fetchone()
            assert row is not None
            sealed = self._sealed(row[0], name, secrets)
            await cursor.execute(
                SQL["insert_account"],
                {
                    "id": row[0],
                    "system": system,
                    "name": name,
                    "settings": to_json(dict(settings)),
                    "zone": zone,
                    **sealed,
                },
            )
        return Account(id=row[0], system=system, name=name, settings=dict(settings), zone=zone)

    async def accounts(self) -> list[Account]:
        """Return all accounts by name, their secrets closed."""
        return [_account(row, {}) for row in await self._rows(SQL["accounts"])]

    async def account(self, name: str) -> Account | None:
        """Return an account with its secrets opened; raises DatabaseTrouble without their key."""
        found = await self._rows(SQL["account"], {"name": name})
        return _account(found[0], self._opened(found[0])) if found else None

    async def update_account(
        self,
        name: str,
        *,
        settings: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        zone: str | None = None,
    ) -> Account:
        """Replace what is given of an account; raises KeyError where there is none."""
        async with self._transaction() as cursor:
            row = await _row(cursor, name)
            if row is None:
                raise KeyError(name)
            known = _account(row, {})
            sealed = {"sealed": row[5], "key_id": row[6]}
            if secrets is not None:
                sealed = self._sealed(row[0], name, secrets)
            changed = msgspec.structs.replace(
                known,
                settings=known.settings if settings is None else dict(settings),
                zone=known.zone if zone is None else zone,
            )
            await cursor.execute(
                SQL["update_account"],
                {
                    "id": known.id,
                    "settings": to_json(changed.settings),
                    "zone": changed.zone,
                    **sealed,
                },
            )
        return changed

    async def identity(self, account: int) -> str:
        """Return whose an account is at its system, "" where that is not known."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["identity"], {"id": account})
            row = await cursor.fetchone()
        return row[0] if row is not None else ""

    async def set_identity(self, account: int, identity: str) -> None:
        """Note whose an account is at its system, as the system names them."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["set_identity"], {"id": account, "identity": identity})

    async def remove_account(self, name: str) -> None:
        """Remove an account with its scopes, observations and people; links keep their ends.

        The ends then stand for records that are not known any more, by their external ids.
        """
        async with self._transaction() as cursor:
            row = await _row(cursor, name)
            if row is not None:
                await cursor.execute(SQL["remove_account"], {"id": row[0]})

    async def put_scopes(self, account: int, scopes: Sequence[Scope]) -> list[StoredScope]:
        """Add scopes to an account or bring them up to date; none is removed. Returns all."""
        rows = [
            {"account": account, "external_id": one.id, **msgspec.structs.asdict(one)}
            for one in scopes
        ]
        async with self._transaction() as cursor:
            if rows:
                await cursor.executemany(SQL["put_scope"], rows)
        return await self.scopes(account)

    async def scopes(self, account: int | None = None) -> list[StoredScope]:
        """Return the scopes of an account, or of all, by id."""
        rows = await self._rows(SQL["scopes"], {"account": account, "id": None})
        return [_scope(row) for row in rows]

    async def scope(self, id_: int) -> StoredScope:
        """Return a scope; raises KeyError where there is none."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["scopes"], {"account": None, "id": id_})
            row = await cursor.fetchone()
        if row is None:
            raise KeyError(id_)
        return _scope(row)

    async def reset_account(self, account: int, *, at: datetime | None = None) -> None:
        """Forget an account's cursors and the versions of its observations.

        All is read again then, and the links that have its records are due. Links and what was
        last shown are kept, so nothing is created twice.
        """
        place = {"account": account, "at": at or datetime.now(UTC)}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["forget_cursors"], place)
            await cursor.execute(SQL["forget_versions"], place)
            await cursor.execute(SQL["touch_account"], place)

    async def people(self) -> list[Person]:
        """Return the people map by name."""
        return [
            Person(
                name=row[0],
                account=row[1],
                scope=row[2],
                confirmed_by=row[3],
                confirmed_at=row[4],
            )
            for row in await self._rows(SQL["people"])
        ]

    async def map_person(
        self,
        person: str,
        account: int,
        scope: int,
        confirmed: str = "",
        *,
        at: datetime | None = None,
    ) -> None:
        """Say where a person's records go; `confirmed` names who says so, "" for a proposal."""
        when = (at or datetime.now(UTC)) if confirmed else None
        row = {"name": person, "account": account, "scope": scope, "by": confirmed, "at": when}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["map_person"], row)

    async def unmap_person(self, person: str) -> None:
        """Take a person out of the map."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["unmap_person"], {"name": person})

    async def people_seen(
        self, scopes: Sequence[int], *, since: datetime | None = None
    ) -> dict[str, int]:
        """Return who is named on live records of these scopes, with on how many, by name.

        With `since` on those that end after it, and on series: then history costs nothing.
        """
        records = SQL["ever" if since is None else "lately"]
        query = SQL["people_seen"].replace(b"{records}", records)
        rows = await self._rows(query, {"scopes": list(scopes), "since": since})
        return {row[0]: row[1] for row in rows}

    async def database(self) -> tuple[str, int]:
        """Return the version of PostgreSQL and how many bytes the database takes."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["database"])
            row = await cursor.fetchone()
        assert row is not None
        return str(row[0]).split()[0], int(row[1])

    async def reseal(self, keyring: Keyring) -> int:
        """Seal every account's secrets with the first key of `keyring`; return how many.

        For a change of keys: save `keyring` (`Keyring.rotated`), reseal, then save it `retired`.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL["accounts"])
            rows = [row for row in await cursor.fetchall() if row[5] is not None]
            opened = [(row, self._opened(row)) for row in rows]
            await reseal_grants(cursor, self._tenant, self._keyring, keyring)
            self._keyring = keyring
            for row, secrets in opened:
                sealed = self._sealed(row[0], row[2], secrets)
                await cursor.execute(SQL["reseal"], {"id": row[0], **sealed})
        return len(rows)

    def _sealed(self, account: int, name: str, secrets: Mapping[str, str]) -> dict[str, Any]:
        if not secrets:
            return {"sealed": None, "key_id": None}
        key_id, sealed = self._keyring.seal(dict(secrets), self._about(account, name))
        return {"sealed": sealed, "key_id": key_id}

    def _opened(self, row: Row) -> dict[str, str]:
        if row[5] is None:
            return {}
        return self._keyring.open(row[6], row[5], self._about(row[0], row[2]))

    def _about(self, account: int, name: str) -> list[str | int]:
        return [self._tenant, account, name]


async def _row(cursor: AsyncCursor[Row], name: str) -> Row | None:
    await cursor.execute(SQL["account"], {"name": name})
    return await cursor.fetchone()


def _account(row: Row, secrets: dict[str, str]) -> Account:
    return Account(
        id=row[0],
        system=row[1],
        name=row[2],
        settings=msgspec.json.decode(row[3], type=dict[str, str]),
        zone=row[4],
        secrets=secrets,
    )


def _scope(row: Row) -> StoredScope:
    return StoredScope(
        id=row[0],
        account=row[1],
        scope=Scope(id=row[2], title=row[3], kind=row[4], writable=row[5], owner=row[6]),
        cursor=row[7],
        complete_at=row[8],
        live=row[9],
    )
