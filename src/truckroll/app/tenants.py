"""Tenants: companies that one hub serves, and that see nothing of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.app.audit import audited
from truckroll.app.trouble import TroubleError, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from truckroll.app.hub import Hub
    from truckroll.store.store import Store

FIRST = 1
_LONGEST = 100


class TenantView(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant; `name` is its number where it was given none."""

    number: int
    name: str


async def find(store: Store, name: str) -> int:
    """Return the number of a tenant by name or number; raises TroubleError with the names."""
    numbers = await store.tenants()
    if name.isdecimal() and int(name) in numbers:
        return int(name)
    found = await store.tenant_named(name)
    if found is None:
        raise known(name, [one.name for one in await among(store, numbers)], "tenant")
    return found


async def listed(hub: Hub) -> list[TenantView]:
    """Return all tenants by number; for those who run the hub."""
    return await among(hub.store, await hub.store.tenants())


async def among(store: Store, numbers: Iterable[int]) -> list[TenantView]:
    """Return these tenants."""
    return [
        TenantView(number=one, name=await store.beside(one).tenant_name() or str(one))
        for one in numbers
    ]


@audited("tenant.add", "name")
async def add(hub: Hub, name: str) -> TenantView:
    """Add a tenant; raises TroubleError where the name is taken or is none."""
    name = _checked(name)
    try:
        number = await hub.store.add_tenant(name)
    except KeyError as error:
        raise _taken(name) from error
    return TenantView(number=number, name=name)


async def _name(hub: Hub, _given: Mapping[str, Any]) -> dict[str, object]:
    return {"name": await hub.store.tenant_name()}


@audited("tenant.rename", "name", old=_name)
async def rename(hub: Hub, name: str) -> TenantView:
    """Give the hub's tenant another name; raises TroubleError."""
    name = _checked(name)
    try:
        await hub.store.rename_tenant(name)
    except KeyError as error:
        raise _taken(name) from error
    return TenantView(number=hub.store.tenant, name=name)


@audited("tenant.remove", "name")
async def remove(hub: Hub, name: str, *, confirmed: str) -> None:
    """Remove a tenant with all that it has here; its systems keep what they have.

    `confirmed` is the tenant's name once more. The first tenant stays. Raises TroubleError.
    """
    number = await find(hub.store, name)
    if number == FIRST:
        says = "The first tenant is the hub's own and stays; rename it instead."
        raise TroubleError(says, usage=True)
    if confirmed != name:
        raise TroubleError(
            f"Nothing was removed. All that Truckroll keeps of “{name}” would be gone for ever,"
            f" its audit log too. If that is right:  truckroll tenant remove {name} --yes {name}",
            usage=True,
        )
    if number == hub.store.tenant:
        says = f"You are working in “{name}” now; say so from another tenant."
        raise TroubleError(says, usage=True)
    await hub.store.beside(number).remove_tenant()


def _checked(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _LONGEST or name.isdecimal() or not name.isprintable():
        says = f"A tenant needs a name of at most {_LONGEST} letters that is no number."
        raise TroubleError(says, usage=True)
    return name


def _taken(name: str) -> TroubleError:
    return TroubleError(f"There is a tenant “{name}” already.", usage=True)
