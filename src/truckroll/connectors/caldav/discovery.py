"""Finding the calendars of an account from whatever address a person has (RFC 6764, RFC 5397).

The chain: the address → the principal → the home → the calendars. An address further down the
chain is taken as it is: a principal, a home, or one calendar.
"""

from urllib.parse import unquote, urljoin

import msgspec

from truckroll.connectors.caldav.dav import Node, path_of, propfind
from truckroll.connectors.caldav.site import (
    Place,
    ask,
    base_url,
    has_apples_ways,
    multistatus,
    resolve,
    scope_id,
)
from truckroll.kit.contract import Scope, Session
from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.kit.http import Response
from truckroll.kit.xml import CALDAV, CALENDARSERVER, DAV

_TYPE = f"{{{DAV}}}resourcetype"
_NAME = f"{{{DAV}}}displayname"
_OWNER = f"{{{DAV}}}owner"
_PRINCIPAL = f"{{{DAV}}}current-user-principal"
_RIGHTS = f"{{{DAV}}}current-user-privilege-set"
_HOME = f"{{{CALDAV}}}calendar-home-set"
_ADDRESSES = f"{{{CALDAV}}}calendar-user-address-set"
_KINDS = f"{{{CALDAV}}}supported-calendar-component-set"
_CALENDAR = f"{{{CALDAV}}}calendar"
_SUBSCRIBED = f"{{{CALENDARSERVER}}}subscribed"
_NOT_CALENDARS = {
    f"{{{CALDAV}}}schedule-inbox",
    f"{{{CALDAV}}}schedule-outbox",
    f"{{{CALENDARSERVER}}}notification",
}
_WRITES = {f"{{{DAV}}}{name}" for name in ("all", "write", "write-content", "bind")}
_MULTI = 207
_FORBIDDEN = 403
_MOVED_OR_NOT_THERE = {301, 404, 405, 410}


class Spot(msgspec.Struct, frozen=True):
    """What lies at an address: where it really is, and what it says of itself."""

    place: Place
    node: Node


async def scopes(session: Session) -> tuple[Scope, ...]:
    """Return the calendars for events that the account can see.

    Raises GiveUp where the address is no calendar server's or holds no calendar, and what
    `Http.request` raises.
    """
    start = await _start(session)
    if _CALENDAR in start.node.names(_TYPE):
        return (_scope(session, start.place, start.node, _person(session, None), ""),)
    principal = await _principal(session, start)
    owner = _person(session, principal)
    found: dict[str, Scope] = {}
    for home in _homes(session, start, principal):
        for scope in await _calendars(session, home, owner, principal):
            found.setdefault(scope.id, scope)
    if not found:
        raise GiveUp(
            f"{session.account} shows no calendar for events. Make one with the calendar's own "
            "programme, or give the address of a calendar."
        )
    return tuple(found.values())


async def _look(session: Session, url: str) -> tuple[Response, Spot | None]:
    asked = (_TYPE, _NAME, _PRINCIPAL, _HOME, _ADDRESSES, _OWNER, _KINDS, _RIGHTS)
    response = await ask(session, "PROPFIND", url, propfind(*asked), "0")
    if response.status != _MULTI:
        return response, None
    nodes = multistatus(session, response).nodes
    if not nodes:
        return response, None
    # iCloud keys the answer by another path than the one asked, so the single one is taken.
    node = nodes[0]
    at = response.url if has_apples_ways(session.settings) else urljoin(response.url, node.path)
    return response, Spot(resolve(session, response.url, path_of(at)), node)


async def _start(session: Session) -> Spot:
    """Return what lies at the account's address, or where the server's well-known path leads."""
    url = base_url(session.settings["url"])
    response, spot = await _look(session, url)
    if spot is not None and (_says_something(spot) or has_apples_ways(session.settings)):
        return spot
    if not has_apples_ways(session.settings):
        _, known = await _look(session, urljoin(url, "/.well-known/caldav"))
        if known is not None and _says_something(known):
            return known
    if spot is not None:
        return spot  # a folder that names no principal may still be a home
    raise GiveUp(
        f"{session.account} is not a calendar server (CalDAV) at the given address, or does not "
        f"show one to this user. Check the address [{response.status}]."
    )


def _says_something(spot: Spot) -> bool:
    node = spot.node
    return bool(node.hrefs(_PRINCIPAL) or node.hrefs(_HOME) or _CALENDAR in node.names(_TYPE))


async def _principal(session: Session, start: Spot) -> Spot | None:
    if start.node.hrefs(_HOME):
        return start
    hrefs = start.node.hrefs(_PRINCIPAL)
    if not hrefs:
        return None
    place = resolve(session, start.place.url(), hrefs[0])
    _, spot = await _look(session, place.url())
    return spot


def _homes(session: Session, start: Spot, principal: Spot | None) -> list[Place]:
    if principal is not None and principal.node.hrefs(_HOME):
        here = principal.place.url()
        homes = [resolve(session, here, href) for href in principal.node.hrefs(_HOME)]
        # An address inside the home, or of a shared home beside it, narrows the search to itself.
        if start.place.path.startswith(tuple(home.path for home in homes)):
            return [start.place]
        return homes
    return [start.place]


async def _calendars(
    session: Session, home: Place, owner: str, principal: Spot | None
) -> list[Scope]:
    asked = (_TYPE, _NAME, _KINDS, _RIGHTS, _OWNER)
    response = await ask(session, "PROPFIND", home.url(), propfind(*asked), "1")
    if response.status in {_FORBIDDEN, *_MOVED_OR_NOT_THERE}:
        raise GiveUp(
            f"{session.account} does not show its calendars to this user. Check the address and "
            f"the user's rights [{response.status}]."
        )
    me = principal.place.path if principal else ""
    return [
        _scope(session, Place(home.origin, node.path), node, owner, me)
        for node in multistatus(session, response).nodes
        if _is_calendar(node)
    ]


def _is_calendar(node: Node) -> bool:
    kinds = node.names(_TYPE)
    if _CALENDAR not in kinds or _SUBSCRIBED in kinds or kinds & _NOT_CALENDARS:
        return False
    components = node.props.get(_KINDS)
    names = {comp.get("name", "").upper() for comp in components} if components is not None else ()
    return not names or "VEVENT" in names


def _scope(session: Session, place: Place, node: Node, owner: str, me: str) -> Scope:
    path = place.path if place.path.endswith("/") else f"{place.path}/"
    rights = node.names(_RIGHTS)
    whose = node.hrefs(_OWNER)
    other = whose and me and path_of(whose[0]).rstrip("/") != me.rstrip("/")
    return Scope(
        id=scope_id(session, Place(place.origin, path)),
        title=node.text(_NAME) or _last(path),
        kind="appointment",
        writable=not rights or bool(rights & _WRITES),
        owner=_last(path_of(whose[0])) if other else owner,
    )


def _last(path: str) -> str:
    return unquote(path.rstrip("/").rpartition("/")[2])


def _person(session: Session, principal: Spot | None) -> str:
    """Return whose the account is: a mail address before a name before the user's name."""
    if principal is not None:
        for href in principal.node.hrefs(_ADDRESSES):
            if href.lower().startswith("mailto:"):
                return href[len("mailto:") :]
        name = principal.node.text(_NAME)
        if name:
            return name
    return session.settings.get("user", "")


async def moved_to(session: Session, scope: Scope) -> Scope | None:
    """Return the scope that now has this path on another host, for iCloud's moved accounts."""
    try:
        now = await scopes(session)
    except (GiveUp, RetryLater):
        return None
    path = path_of(scope.id)
    return next((one for one in now if path_of(one.id) == path and one.id != scope.id), None)
