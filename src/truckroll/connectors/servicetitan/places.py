"""For whom and where a job is made: customers, locations and job types by what people call them."""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from truckroll.connectors.servicetitan.calls import get, listed, path, read_row
from truckroll.connectors.servicetitan.refusals import ensure
from truckroll.connectors.servicetitan.site import number
from truckroll.connectors.servicetitan.wire import Customer, Location, Named, Row, address_of
from truckroll.kit.contract import Session
from truckroll.kit.errors import AwaitOther, HoldRecord
from truckroll.model.records import Address, Fields

_MERGES = 5
_R = TypeVar("_R", bound=Row)


class Place(NamedTuple):
    """A customer, and one of their locations."""

    customer: int
    location: int


async def place_of(session: Session, fields: Fields, what: str) -> Place:
    """Return for whom and where a visit is: as its fields name them, else as the settings do.

    A customer is known by their whole name, a location by its address or by being the only one.
    Raises AwaitOther where none fits, HoldRecord where several do, or the customer is marked "Do
    not service".
    """
    name, address = fields.get("customer"), fields.get("location")
    told = number(session, "customer", "customer")
    if isinstance(name, str) and name.strip():
        customer = await _called(session, name, what)
    elif told is not None:
        customer = await _customer(session, told, what)
    else:
        raise HoldRecord(
            f"To make a job for {what}, {session.system} needs its customer. Map the customer's "
            "name, or give customer (an id) in the account's settings."
        )
    if customer.do_not_service:
        raise HoldRecord(
            f'Customer "{customer.name}" is marked "Do not service" at {session.system}, so '
            f"nothing is made there for {what}. Take the mark off if it is wrong."
        )
    told = number(session, "location", "location")
    if isinstance(address, Address) and address.one_line().strip():
        return Place(customer.id, await _location(session, customer, address, what))
    return Place(customer.id, told or await _location(session, customer, None, what))


async def _called(session: Session, name: str, what: str) -> Customer:
    where = path(session, "crm", "customers")
    rows = await listed(session, where, Customer, {"name": name.strip(), "active": "True"})
    found = (one.row for one in rows.kept if plain(one.row.name) == plain(name))
    return _one(found, f'customer called "{name}"', session, what)


async def _customer(session: Session, id_: int, what: str) -> Customer:
    """Return a customer by id, followed where merged; not in a circle."""
    asked, trail = id_, [id_]
    while len(trail) <= _MERGES and asked not in trail[:-1]:
        response = await get(session, path(session, "crm", f"customers/{asked}"))
        ensure(session, response, f"customer {asked}")
        rows = read_row(session, response, Customer)
        if not rows.kept:
            break
        customer = rows.kept[0].row
        if not customer.merged_to_id:
            return customer
        asked = customer.merged_to_id
        trail.append(asked)
    way = " into ".join(map(str, trail))
    raise HoldRecord(
        f"Customer {id_}, for whom {what} is to be made, leads to nobody at {session.system}"
        f"{f': it was merged {way}' if trail[1:] else ''}. Correct customer in the account's "
        "settings."
    )


async def _location(
    session: Session, customer: Customer, address: Address | None, what: str
) -> int:
    where = path(session, "crm", "locations")
    rows = await listed(session, where, Location, {"customerId": customer.id, "active": "True"})
    active = [one.row for one in rows.kept if one.row.active]
    at = "location" if address is None else f'location at "{address.one_line()}"'
    fits = [one for one in active if address is None or _at(one, address)]
    return _one(fits, f'{at} of customer "{customer.name}"', session, what).id


def _at(location: Location, address: Address) -> bool:
    """Tell whether a location has this address: as a whole, or street and postal code."""
    known = address_of(location)
    if known is None:
        return False
    if plain(known.one_line()) == plain(address.one_line()):
        return True
    theirs = (known.line1, known.line2, known.postal)
    asked = (address.line1, address.line2, address.postal)
    return all(map(plain, (known.line1, known.postal))) and (
        [plain(part) for part in theirs] == [plain(part) for part in asked]
    )


async def job_type_called(session: Session, name: str, what: str) -> int:
    """Return the id of the active job type of this name; raises AwaitOther where there is none."""
    where = path(session, "jpm", "job-types")
    rows = await listed(session, where, Named, {"name": name.strip(), "active": "True"})
    found = (one.row for one in rows.kept if plain(one.row.name) == plain(name))
    return _one(found, f'job type called "{name}"', session, what).id


def _one(found: Iterable[_R], called: str, session: Session, what: str) -> _R:
    rows = list(found)
    if len(rows) == 1:
        return rows[0]
    if not rows:
        raise AwaitOther(
            f"{session.system} has no {called}, which {what} needs. Make it there, or correct it "
            "at its source."
        )
    raise HoldRecord(
        f"{session.system} has {len(rows)} times a {called}, which {what} needs. Correct it there "
        "or at its source."
    )


def plain(text: str) -> str:
    """Return a name or address for comparing: without case, with single blanks."""
    return " ".join(text.casefold().split())
