"""Tenants: their numbers, which all may learn, and the present one's name."""

from typing import Self

from psycopg.errors import UniqueViolation

from truckroll.store.base import Base, named_sql

SQL = named_sql("tenants")


class TenantsStore(Base):
    """The present tenant, and the way to the others."""

    @property
    def tenant(self) -> int:
        """The number of the tenant whose store this is."""
        return self._tenant

    def beside(self, tenant: int) -> Self:
        """Return another tenant's store over the same connections."""
        return type(self)(self._pool, tenant, self._keyring)

    async def tenants(self) -> list[int]:
        """Return the numbers of all tenants, ascending."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["tenants"])
            return [row[0] async for row in cursor]

    async def tenant_named(self, name: str) -> int | None:
        """Return the number of the tenant of this name, whatever its case."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["named"], {"name": name})
            row = await cursor.fetchone()
        return int(row[0]) if row is not None and row[0] is not None else None

    async def add_tenant(self, name: str) -> int:
        """Add a tenant; return its number. Raises KeyError where the name is taken."""
        try:
            async with self._transaction() as cursor:
                await cursor.execute(SQL["add"], {"name": name})
                row = await cursor.fetchone()
        except UniqueViolation as error:
            raise KeyError(name) from error
        assert row is not None
        return int(row[0])

    async def tenant_name(self) -> str:
        """Return the present tenant's name, "" where it was given none."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["name"])
            row = await cursor.fetchone()
        return str(row[0]) if row is not None else ""

    async def rename_tenant(self, name: str) -> None:
        """Give the present tenant a name; raises KeyError where it is taken."""
        try:
            async with self._transaction() as cursor:
                await cursor.execute(SQL["rename"], {"name": name})
        except UniqueViolation as error:
            raise KeyError(name) from error

    async def remove_tenant(self) -> None:
        """Remove the present tenant with all that it has, its audit log too."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["remove"])
