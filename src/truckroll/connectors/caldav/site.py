"""Where things are at a server, and requests to it.

A collection is named by its path, since servers spell hosts differently from one answer to the
next (iCloud gives hrefs on caldav.icloud.com although the calendars lie on a partition host). Only
a collection on another host than the account's address carries its host in its scope id.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

import msgspec

from truckroll.connectors.caldav.dav import Multistatus, path_of, read_multistatus
from truckroll.kit.contract import Scope, Session
from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.kit.http import Response, expect

_XML = {"text/xml", "application/xml"}
_MULTI = 207
APPLE = ("icloud.com", "me.com")


class Place(msgspec.Struct, frozen=True):
    """A collection: `origin` is scheme and host, `path` ends with a slash."""

    origin: str
    path: str

    def url(self, path: str = "") -> str:
        """Return the address of a path on this collection's host (default: its own)."""
        return self.origin + (path or self.path)


def base_url(url: str) -> str:
    """Return the address that a person typed as a whole one: https where nothing is said."""
    text = url.strip()
    return text if "://" in text else f"https://{text}"


def origin_of(url: str) -> str:
    """Return scheme and host of an address, without a port that goes without saying."""
    parts = urlsplit(url)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    host = (parts.hostname or "").lower()
    name = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != usual else ""
    return f"{parts.scheme}://{name}{port}"


@lru_cache(maxsize=256)
def _home(url: str) -> str:
    """Return the origin of an account's address; each write asks for it."""
    return origin_of(base_url(url))


def has_apples_ways(settings: Mapping[str, str]) -> bool:
    """Tell whether the server has iCloud's ways: by its host, unless the person says so."""
    if settings.get("quirks", "auto") == "icloud":
        return True
    return _under(urlsplit(base_url(settings["url"])).hostname or "", APPLE)


def _under(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def resolve(session: Session, here: str, href: str) -> Place:
    """Return where an href of an answer from `here` leads.

    Another host counts only where it is a sister of the account's own: iCloud moves accounts to
    partition hosts. Any other is taken for the name that a server behind a proxy believes to
    have, so the path alone counts. (The client proves who we are to the account's site only.)
    """
    there = urljoin(here, href)
    home, other = urlsplit(base_url(session.settings["url"])), urlsplit(there)
    sister = home.scheme == other.scheme and _sisters(home.hostname or "", other.hostname or "")
    return Place(origin_of(there) if sister else origin_of(here), path_of(there))


def _sisters(host: str, other: str) -> bool:
    labels = host.split(".")
    if host == other or labels[-1].isdigit():
        return False
    parent = labels[1:] if len(labels) > 2 else labels  # noqa: PLR2004 -- a domain and its suffix
    return len(parent) > 1 and other.endswith("." + ".".join(parent))


def is_alias(session: Session, url: str) -> bool:
    """Tell whether an address has the host of the account's own address."""
    return origin_of(url) == _home(session.settings["url"])


def place_of(session: Session, scope_id: str) -> Place:
    """Return where a scope lies; the inverse of `scope_id`."""
    if "://" in scope_id:
        return Place(origin_of(scope_id), path_of(scope_id))
    return Place(_home(session.settings["url"]), scope_id)


def scope_id(session: Session, place: Place) -> str:
    """Return the id of the scope at a place: its path, with the host only where it differs."""
    return place.path if is_alias(session, place.origin) else place.url()


async def ask(
    session: Session,
    method: str,
    url: str,
    body: bytes,
    depth: str,
    *,
    timeout: timedelta | None = None,  # noqa: ASYNC109 -- handed on to the client
) -> Response:
    """Send a PROPFIND or REPORT and return the answer, whatever its status."""
    headers = {"Content-Type": "application/xml; charset=utf-8", "Depth": depth}
    return await session.http.request(method, url, headers=headers, body=body, timeout=timeout)


def multistatus(session: Session, response: Response) -> Multistatus:
    """Return the content of a 207 answer; raises RetryLater where it is anything else.

    A page that says 200 (a sign-in page of the network) is never an empty calendar.
    """
    expect(response, _XML, session.account, wanted="calendar data")
    if response.status == _MULTI and response.content_type in _XML:
        found = read_multistatus(response.body, session.account)
        if found is not None:
            return found
    raise RetryLater(
        f"{session.account} gave an answer that is no list of calendar data; nothing was taken "
        f"from it, and it is asked for again [{response.status}]."
    )


def no_such_calendar(session: Session, scope: Scope, status: int) -> GiveUp:
    """Return the error of a calendar that is not where it was."""
    return GiveUp(
        f'The calendar "{scope.title}" is not at {session.account} any more, or the account may '
        f"not see it. Look at the account's calendars again and choose one [{status}]."
    )
