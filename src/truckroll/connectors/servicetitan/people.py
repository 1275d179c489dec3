"""Technicians by the names that people give them."""

from collections.abc import Collection
from email.utils import parseaddr

from truckroll.connectors.servicetitan.calls import listed, path
from truckroll.connectors.servicetitan.places import plain
from truckroll.connectors.servicetitan.wire import Technician
from truckroll.kit.contract import Session
from truckroll.kit.errors import AwaitOther, HoldRecord


async def technicians_called(
    session: Session, people: Collection[str], what: str
) -> tuple[Technician, ...]:
    """Return the active technicians who are called so, each once, in the order given.

    A mail address decides before a name. Raises AwaitOther where somebody is no technician,
    HoldRecord where somebody is more than one.
    """
    if not people:
        return ()
    where = path(session, "settings", "technicians")
    rows = await listed(session, where, Technician, {"active": "True"})
    active = [one.row for one in rows.kept]
    found = [_one(session, active, name, what) for name in people]
    return tuple({one.id: one for one in found}.values())


def _one(session: Session, active: Collection[Technician], asked: str, what: str) -> Technician:
    name, mail = parseaddr(asked) if "@" in asked else (asked, "")
    fits = [one for one in active if mail and plain(one.email or "") == plain(mail)]
    if not fits and name:
        fits = [one for one in active if plain(one.name) == plain(name)]
    if len(fits) == 1:
        return fits[0]
    count = "no active technician" if not fits else f"{len(fits)} active technicians"
    raise (HoldRecord if fits else AwaitOther)(
        f'{session.system} has {count} called "{asked}", to whom {what} is assigned. Use the name '
        "or the mail address that one technician has there."
    )
