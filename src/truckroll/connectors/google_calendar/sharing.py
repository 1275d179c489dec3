"""Sharing a calendar with everybody in the organisation: an access rule of its domain.

The account's setting says with what right; a calendar is shared before the hub makes its first
event there. A rule that is there already stays as it is, whatever right it gives: somebody may
have decided otherwise, and sharing is done once.
"""

import asyncio
from weakref import WeakKeyDictionary

from truckroll.connectors.google_calendar import calls
from truckroll.kit.contract import Scope, Session
from truckroll.kit.errors import HoldRecord
from truckroll.kit.http import Http

ROLES = {"busy": "freeBusyReader", "read": "reader"}
_NOT_THERE = 404

# What became of the calendars that were looked at while a client is open.
_looks: WeakKeyDictionary[Http, dict[str, asyncio.Task[bool]]] = WeakKeyDictionary()


async def ensure(session: Session, scope: Scope) -> None:
    """Share a calendar as the account's setting says, unless it has a rule for the domain.

    Looked at once while a client is open, by all who write there; raises what `share` raises.
    """
    role = ROLES.get(session.settings.get("share", ""))
    if role is None:
        return
    looks = _looks.setdefault(session.http, {})
    look = looks.get(scope.id)
    if look is None or (look.done() and not _stands(look)):
        look = looks[scope.id] = asyncio.create_task(share(session, scope, role))
    await asyncio.shield(look)


def _stands(look: asyncio.Task[bool]) -> bool:
    """Tell whether a look ended for good: shared, or refused in words."""
    return not look.cancelled() and isinstance(look.exception(), HoldRecord | None)


async def share(session: Session, scope: Scope, role: str) -> bool:
    """Share a calendar with the domain and tell whether that is new; nobody is mailed.

    Raises HoldRecord where the account may not share it.
    """
    domain = domain_of(session)
    whom, what = calls.whom(scope), f'the calendar "{scope.title}"'
    rule = calls.calendar_path(scope.id, "acl", f"domain:{domain}")
    there = await calls.ask(session, rule, whom=whom)
    if there.status != _NOT_THERE:
        calls.refuse(session, there, what)
        return False
    response = await calls.send(
        session,
        "POST",
        calls.calendar_path(scope.id, "acl"),
        {"role": role, "scope": {"type": "domain", "value": domain}},
        whom=whom,
        sendNotifications="false",
    )
    calls.refuse(session, response, what)
    return True


def domain_of(session: Session) -> str:
    """Return the organisation's domain: as set, else that of the person the account acts for."""
    given = session.settings.get("domain", "")
    return given or session.settings.get("subject", "").rpartition("@")[2]
