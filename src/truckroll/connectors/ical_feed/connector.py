"""Inbound iCalendar feeds (RFC 5545 over HTTP or from a file): read only.

Every fact about feeds stands in docs/connectors/ical-feed.md.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from weakref import WeakKeyDictionary

import msgspec

from truckroll.connectors.ical_feed.wire import Feed, is_past, read_feed
from truckroll.kit.contract import (
    PRIVATE,
    Connector,
    Item,
    Missing,
    Page,
    Resource,
    Scope,
    Session,
    Setting,
    Unreadable,
    is_private,
)
from truckroll.kit.errors import GiveUp, RetryLater, StartOver
from truckroll.kit.http import Http, Response, Transport
from truckroll.kit.normal import LOSSLESS
from truckroll.model.time import zone_info

_PAGE = 500
_MOST_BYTES = 10_000_000
_OK, _NOT_MODIFIED, _LAST_SUCCESS = 200, 304, 299
_GONE = (404, 410)
_REFUSED = 403
# A listing that misses many records asks for each of them: one second look serves them all.
_SECOND_LOOK_SECONDS = 10.0
_second_looks: WeakKeyDictionary[Http, tuple[float, Feed]] = WeakKeyDictionary()


class _Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a feed was when it was read: the server's validators, and a digest of its text.

    `refresh` is how many seconds its maker wants between two reads (RFC 7986 section 5.7).
    """

    digest: str
    zone: str = ""
    etag: str = ""
    modified: str = ""
    refresh: int = 0


class _Fetched(msgspec.Struct, frozen=True):
    """A feed's text, None where it did not change."""

    data: bytes | None
    etag: str = ""
    modified: str = ""


def _name(session: Session) -> str:
    return f'The feed "{session.account}"'


def _zone(session: Session) -> str:
    zone = session.settings.get("zone", "").strip() or session.zone
    try:
        if zone:
            zone_info(zone)
    except (KeyError, ValueError, OSError) as error:
        raise GiveUp(
            f'{_name(session)} has the zone "{zone}", which is none; write it as America/New_York.'
        ) from error
    return zone


def web_address(settings: Mapping[str, str]) -> str:
    """Return a feed's address with https for webcal, which is a name for "open in a calendar"."""
    url = settings.get("url", "").strip()
    scheme, mark, rest = url.partition("://")
    return f"https://{rest}" if mark and scheme.lower() in ("webcal", "webcals") else url


async def _fetch(session: Session, held: _Cursor | None) -> _Fetched:
    url, path = web_address(session.settings), session.settings.get("path", "").strip()
    if bool(url) == bool(path):
        raise GiveUp(
            f"{_name(session)} needs either a web address (url) or a file (path), not both."
        )
    if path:
        return _Fetched(await asyncio.to_thread(_read_file, Path(path)))
    if not url.lower().startswith(("https://", "http://")):
        raise GiveUp(
            f"{_name(session)} has no web address that begins with https:// or webcal://; a file "
            "on this machine is named by its path instead."
        )
    headers = {"Accept": "text/calendar, */*;q=0.5"}
    if held is not None and held.etag:
        headers["If-None-Match"] = held.etag
    if held is not None and held.modified:
        headers["If-Modified-Since"] = held.modified
    response = await session.http.request("GET", url, headers=headers)
    if response.status == _NOT_MODIFIED and len(headers) > 1:
        return _Fetched(None)
    _expect(response, _name(session))
    return _Fetched(
        response.body,
        response.headers.get("etag", ""),
        response.headers.get("last-modified", ""),
    )


def _expect(response: Response, name: str) -> None:
    if response.status in _GONE:
        raise GiveUp(
            f"{name} is not at its address any more; whoever gave it out may have withdrawn it. "
            f"Ask for a new address [{response.status}]."
        )
    if response.status == _REFUSED:
        raise GiveUp(f"{name} may not be read with this address; ask for a new one [403].")
    if not _OK <= response.status <= _LAST_SUCCESS:
        raise RetryLater(f"{name} cannot be read now; it is tried again [{response.status}].")


def _read_file(path: Path) -> bytes:
    path = path.expanduser()
    try:
        before = path.stat()
        if not path.is_file():
            raise GiveUp(f"{path.name} is no file; the account's path must name an .ics file.")
        if before.st_size > _MOST_BYTES:
            limit = _MOST_BYTES // 1_000_000
            raise GiveUp(f"{path.name} is larger than {limit} MB, which is the limit.")
        data = path.read_bytes()
        after = path.stat()
    except FileNotFoundError as error:
        raise RetryLater(
            f"{path.name} is not there; put it back, or change the account's path."
        ) from error
    except PermissionError as error:
        raise GiveUp(
            f"{path.name} may not be read by the account that the hub runs under; allow it to."
        ) from error
    except OSError as error:
        raise RetryLater(f"{path.name} cannot be read now: {error.strerror}.") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise RetryLater(f"{path.name} was being written while it was read; it is read again.")
    return data


def _held(cursor: str | None, zone: str, name: str) -> _Cursor | None:
    """Return what a cursor says, None where it does not hold under the present zone."""
    if cursor is None:
        return None
    try:
        held = msgspec.json.decode(cursor, type=_Cursor)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise StartOver(
            f"{name} is read from the beginning: its last place is not known."
        ) from error
    return held if held.zone == zone else None


async def scopes(session: Session) -> tuple[Scope, ...]:
    """Return the one calendar of a feed, with the feed's own name; reads the feed."""
    feed = await _look(session)
    title = feed.name or session.account
    return (Scope("feed", title, "appointment", writable=False),)


async def _look(session: Session) -> Feed:
    fetched = await _fetch(session, None)
    return await asyncio.to_thread(read_feed, fetched.data or b"", _zone(session), _name(session))


async def listing(
    session: Session,
    scope: Scope,  # noqa: ARG001 -- a feed is one calendar
    cursor: str | None,
) -> AsyncIterator[Page]:
    """Read the feed whole, unless the server or its text says that it is the same.

    Complete, but only for what is not over: feeds show a window and drop the past (`since`).
    """
    zone, name = _zone(session), _name(session)
    held = _held(cursor, zone, name)
    _second_looks.pop(session.http, None)
    fetched = await _fetch(session, held)
    data = fetched.data
    digest = held.digest if held and data is None else _digest(data or b"")
    if held is not None and held.digest == digest:
        fresh = held
        if data is not None:
            fresh = msgspec.structs.replace(held, etag=fetched.etag, modified=fetched.modified)
        yield Page((), cursor=msgspec.json.encode(fresh).decode(), last=True)
        return
    began = datetime.now(UTC)
    feed = await asyncio.to_thread(read_feed, data or b"", zone, name)
    refresh = round(feed.refresh.total_seconds()) if feed.refresh else 0
    now = _Cursor(digest, zone, fetched.etag, fetched.modified, refresh)
    here = msgspec.json.encode(now).decode()
    ids = list(feed.items)
    for start in range(0, max(len(ids), 1), _PAGE):
        chunk = ids[start : start + _PAGE]
        known = await session.known.versions(chunk) if session.known and chunk else {}
        same = frozenset(id_ for id_ in chunk if _same(feed.items[id_], known.get(id_)))
        last = start + _PAGE >= len(ids)
        yield Page(
            tuple(feed.items[id_] for id_ in chunk if id_ not in same),
            here if last else None,
            last,
            complete=last,
            unchanged=tuple(id_ for id_ in chunk if id_ in same),
            since=began if last else None,
        )


def _same(item: Item, held: str | None) -> bool:
    return not isinstance(item, Missing) and item.version is not None and item.version == held


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


async def read(session: Session, scope: Scope, id_: str) -> Item:  # noqa: ARG001 -- one calendar
    """Return one record of the feed as it is now, by reading the feed a second time.

    A record that is not there and whose last visit is over is not called missing: feeds drop
    what is past, so that nothing can be concluded.
    """
    looked = _second_looks.get(session.http)
    if looked is None or time.monotonic() - looked[0] > _SECOND_LOOK_SECONDS:
        looked = (time.monotonic(), await _look(session))
        _second_looks[session.http] = looked
    item = looked[1].items.get(id_)
    if item is not None:
        return item
    version = (await session.known.versions([id_])).get(id_) if session.known else None
    if is_past(version, datetime.now(UTC)):
        reason = (
            f"{_name(session)} does not show {id_} any more, and it is over: feeds drop what is "
            "past, so it is left as it is."
        )
        return Unreadable(id_, reason, version=version)
    return Missing(id_)


ICAL_FEED = Connector(
    system="ical-feed",
    title="iCalendar feed",
    part="feed",
    settings=(
        Setting(
            "url",
            "What is the feed's address (https:// or webcal://)? Whoever has it can read the feed.",
            secret=True,
            required=False,
        ),
        Setting("path", "Or which .ics file on this machine is it?", required=False),
        Setting(
            "zone",
            "In which zone are times without one meant (America/New_York)?",
            required=False,
        ),
        PRIVATE,
    ),
    transport=lambda settings: Transport(
        base_url=web_address(settings),
        private=is_private(settings),
        same_host_redirects=False,
    ),
    scopes=scopes,
    resources={
        "appointment": Resource(
            kind="appointment",
            fields=dict.fromkeys(
                (
                    *("title", "when", "occurrences", "status", "location", "notes"),
                    *("busy", "private", "category", "link", "contact"),
                ),
                LOSSLESS,
            ),
            listing=listing,
            read=read,
        )
    },
    facts={"push": "none: feeds are polled", "refresh": "the cursor's `refresh`, in seconds"},
    poll=timedelta(minutes=15),
)
