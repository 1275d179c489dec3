"""Listing a calendar: what changed since a cursor, or all of it.

With sync-collection (RFC 6578) a pass without change is one request, and so is one with changes
where the server gives the content along with them (Radicale, Cyrus); else the changed objects
follow by calendar-multiget (Xandikos, iCloud). Without it, a collection's ctag tells whether
anything changed, and then a listing of all ETags what (RFC 4791).
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta

import msgspec

from truckroll.connectors.caldav import dav, wire
from truckroll.connectors.caldav.dav import CTAG, DATA, ETAG, Multistatus, Node
from truckroll.connectors.caldav.discovery import moved_to
from truckroll.connectors.caldav.reads import read
from truckroll.connectors.caldav.refusals import conditions, said
from truckroll.connectors.caldav.site import (
    Place,
    ask,
    multistatus,
    no_such_calendar,
    place_of,
)
from truckroll.kit.contract import Item, Missing, Page, Scope, Session, Unreadable
from truckroll.kit.errors import RetryLater, StartOver, VendorError
from truckroll.kit.http import Response

MULTIGET = 50  # hrefs in one multiget (sheet, section 4)
SINGLES = 5  # objects left out of two multigets that are read one by one
PAGE = 500  # items that are stored in one transaction
ROUNDS = 1000  # truncated answers in a row; more is a server that turns in a circle
PATIENCE = timedelta(minutes=5)  # a first listing of a large calendar takes the server a while
_GONE = {404, 410}
_MORE = 507
_MULTI = 207
_NOT_FOUND = {301, 404}
_FORBIDDEN = 403
_BAD_TOKEN = {409, 410, 412}
_UNSUPPORTED = {400, 403, 405, 415, 501}


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a listing goes on.

    `at` is the server and collection that `token` belongs to. `kind` says what the token is:
    a sync token, or a ctag. `inline` remembers whether the server gives content with changes.
    """

    at: str
    kind: str
    token: str
    inline: bool = True


_decode = msgspec.json.Decoder(Cursor).decode


def read_cursor(text: str, place: Place) -> Cursor:
    """Return a stored cursor; raises StartOver where it belongs to another server."""
    try:
        cursor = _decode(text)
    except msgspec.DecodeError:
        cursor = None
    if cursor is None or cursor.at != place.url():
        raise StartOver(
            "The place up to which this calendar was read belongs to another server or version; "
            "it is read from the beginning."
        )
    return cursor


async def listing(session: Session, scope: Scope, cursor: str | None) -> AsyncIterator[Page]:
    """Yield the pages of a calendar; see `kit.contract.Listing`.

    From the beginning the listing is complete over the whole calendar, with no window of time.
    Raises StartOver where the server does not know the cursor any more, GiveUp where the
    calendar is not there, RetryLater where an answer is no proper one (nothing is taken from it).
    """
    place = place_of(session, scope.id)
    start = None if cursor is None else read_cursor(cursor, place)
    work = _Listing(session, scope, place)
    if start is not None and start.kind == "ctag":
        pages = work.by_ctag(start)
    else:
        pages = work.by_token(start)
    async for page in pages:
        yield page


class _Listing:
    """One listing at work: what every request of it needs."""

    def __init__(self, session: Session, scope: Scope, place: Place) -> None:
        self._session = session
        self._scope = scope
        self._place = place
        self._reader = wire.Reader(session, scope)

    async def by_token(self, start: Cursor | None) -> AsyncIterator[Page]:
        """Yield pages by sync-collection, one or more for each answer of the server."""
        first = start is None
        opened = await self._open() if start is None else (start, await self._sync(start))
        if opened is None:
            async for page in self.by_ctag(None):
                yield page
            return
        now, response = opened
        for _ in range(ROUNDS):
            if response.status != _MULTI:
                raise self._refused(response, token=not first)
            answer = multistatus(self._session, response)
            token, more = self._next_token(answer, now)
            now = Cursor(now.at, "sync", token, now.inline and not _without_content(answer))
            found = await self._items(self._members(answer))
            # The first listing is durable as a whole only: a half of it is no complete one.
            cursor = None if first and more else msgspec.json.encode(now).decode()
            for page in _paged(found, cursor, last=not more, complete=first and not more):
                yield page
            if not more:
                return
            response = await self._sync(now)
        raise RetryLater(
            f'{self._session.account} never comes to the end of the calendar "{self._scope.title}";'
            " it is read again later."
        )

    async def _open(self) -> tuple[Cursor, Response] | None:
        """Ask for everything: with content, else without; None where neither is understood.

        An answer with all content may be too large or too much for the server, too.
        """
        for inline in (True, False):
            now = Cursor(self._place.url(), "sync", "", inline)
            try:
                response = await self._sync(now)
            except RetryLater as error:
                if not inline or error.after is not None:
                    raise
                continue
            if response.status not in _UNSUPPORTED:
                return now, response
        return None

    async def _sync(self, now: Cursor) -> Response:
        """Ask for what changed since a token, on the host where the calendar lies by now."""
        body = dav.sync_collection(now.token, inline=now.inline)
        response = await self._report(body, "0")
        if response.status in _NOT_FOUND:
            await self._relocate(response)
            response = await self._report(body, "0")
        return response

    async def by_ctag(self, start: Cursor | None) -> AsyncIterator[Page]:
        """Yield pages by ctag and a listing of all ETags, which is complete each time."""
        ctag = await self._ctag()
        if start is not None and ctag and ctag == start.token:
            same = msgspec.json.encode(start).decode()
            yield Page(items=(), cursor=same, last=True)
            return
        inline = start is None
        response = await self._report(dav.query(inline=inline), "1")
        if response.status != _MULTI:
            raise self._refused(response, token=False)
        answer = multistatus(self._session, response)
        now = msgspec.json.encode(Cursor(self._place.url(), "ctag", ctag)).decode()
        found = await self._items(self._members(answer))
        for page in _paged(found, now, last=True, complete=True):
            yield page

    async def _report(self, body: bytes, depth: str) -> Response:
        url = self._place.url()
        return await ask(self._session, "REPORT", url, body, depth, timeout=PATIENCE)

    async def _ctag(self) -> str:
        """Return the collection's ctag, "" where the server has none."""
        url = self._place.url()
        response = await ask(self._session, "PROPFIND", url, dav.propfind(CTAG), "0")
        if response.status != _MULTI:
            raise self._refused(response, token=False)
        nodes = multistatus(self._session, response).nodes
        return (nodes[0].text(CTAG) or "") if nodes else ""

    async def _relocate(self, response: Response) -> None:
        """Go to the host that the calendar has moved to, or raise GiveUp."""
        moved = await moved_to(self._session, self._scope)
        there = place_of(self._session, moved.id) if moved else None
        if there is None or there == self._place:
            raise no_such_calendar(self._session, self._scope, response.status)
        self._place = there

    def _refused(self, response: Response, *, token: bool) -> VendorError:
        """Return the error of a refused listing; `token` tells whether it went on from one."""
        status = response.status
        expired = "valid-sync-token" in conditions(response) or status in _BAD_TOKEN
        if token and expired:
            return StartOver(
                f"{self._session.account} does not know any more up to where the calendar "
                f'"{self._scope.title}" was read; it is read from the beginning [{status}].'
            )
        if status in {_FORBIDDEN, *_GONE}:
            return no_such_calendar(self._session, self._scope, status)
        return RetryLater(
            f'{self._session.account} did not list the calendar "{self._scope.title}"'
            f"{said(response)}; it is asked again later [{status}]."
        )

    def _next_token(self, answer: Multistatus, now: Cursor) -> tuple[str, bool]:
        """Return the token after an answer, and whether the answer was cut short (507)."""
        more = any(node.status == _MORE for node in answer.nodes if self._is_self(node))
        if not answer.token or (more and answer.token == now.token):
            raise RetryLater(
                f"{self._session.account} gave a list of changes without saying where it ends; "
                "nothing was taken from it, and it is asked for again."
            )
        return answer.token, more

    def _is_self(self, node: Node) -> bool:
        return node.path.rstrip("/") == self._place.path.rstrip("/")

    def _members(self, answer: Multistatus) -> list[Node]:
        # iCloud lists the collection itself as a member; folders inside are no records.
        return [
            node for node in answer.nodes if not self._is_self(node) and not node.path.endswith("/")
        ]

    async def _items(self, nodes: list[Node]) -> tuple[list[Item], list[str]]:
        """Return the items of listed members, and the ids whose version is the held one."""
        gone = [node for node in nodes if node.status in _GONE]
        there = [node for node in nodes if node.status not in _GONE]
        held = await self._held(there)
        items: list[Item] = [Missing(self._id(node.path)) for node in gone]
        same, missing = [], []
        for node in there:
            id_ = self._id(node.path)
            if wire.same_version(held.get(id_), _version(node)):
                same.append(id_)
            elif node.text(DATA) is None:
                missing.append(node.path)
            else:
                items.append(self._read(node))
        items.extend(await self._fetch(missing))
        return items, same

    async def _held(self, nodes: list[Node]) -> dict[str, str | None]:
        known = self._session.known
        ids = [self._id(node.path) for node in nodes]
        return dict(await known.versions(ids)) if known is not None and ids else {}

    def _id(self, path: str) -> str:
        return dav.id_of(self._place.path, path)

    def _read(self, node: Node) -> Item:
        return self._reader.item(self._id(node.path), _content(node), node.text(ETAG))

    async def _fetch(self, paths: list[str]) -> list[Item]:
        """Return the objects at these paths, asked for in as few requests as the server likes."""
        items: list[Item] = []
        for start in range(0, len(paths), MULTIGET):
            items.extend(await self._multiget(paths[start : start + MULTIGET]))
        return items

    async def _multiget(self, paths: list[str]) -> list[Item]:
        """Return the objects of one multiget; a short answer is never a deletion.

        What was left out is asked for once more, then one by one where it is little; else the
        whole answer is an error.
        """
        items: list[Item] = []
        wanted = paths
        for _ in range(2):
            response = await self._report(dav.multiget(wanted), "1")
            answered = {node.path: node for node in multistatus(self._session, response).nodes}
            items.extend(
                item for path in wanted if path in answered for item in self._got(answered[path])
            )
            wanted = [path for path in wanted if path not in answered or _failed(answered[path])]
            if not wanted:
                return items
        if len(wanted) <= SINGLES:
            # A name that the server's own multiget stumbles over must not stop the calendar.
            ids = [self._id(path) for path in wanted]
            return items + [await read(self._session, self._scope, id_) for id_ in ids]
        raise RetryLater(
            f"{self._session.account} left out {len(wanted)} of {len(paths)} events that were "
            f'asked for in the calendar "{self._scope.title}", the first "{self._id(wanted[0])}"; '
            "nothing was taken for deleted, and they are asked for again."
        )

    def _got(self, node: Node) -> Iterable[Item]:
        if node.status in _GONE:
            return (Missing(self._id(node.path)),)
        if node.text(DATA) is not None:
            return (self._read(node),)
        if _failed(node):
            return ()
        return (
            Unreadable(
                self._id(node.path),
                f'The event "{self._id(node.path)}" in the calendar "{self._scope.title}" is not '
                f"shown by {self._session.account}; look at it there{_code(node)}.",
                version=node.text(ETAG),
            ),
        )


def _content(node: Node) -> bytes:
    return (node.text(DATA) or "").encode()


def _version(node: Node) -> str | None:
    """Return a member's ETag, or what stands for it where the server gives none."""
    content = _content(node)
    return node.text(ETAG) or (wire.content_version(content) if content else None)


def _failed(node: Node) -> bool:
    """Tell whether the server had a failure of its own over one object (it is asked again)."""
    return node.status is not None and node.status >= 500  # noqa: PLR2004


def _code(node: Node) -> str:
    return f" [{node.status}]" if node.status else ""


def _without_content(answer: Multistatus) -> bool:
    """Tell whether the server left the content out although it was asked for."""
    return any(DATA in node.lacks for node in answer.nodes)


def _paged(
    found: tuple[list[Item], list[str]], cursor: str | None, *, last: bool, complete: bool
) -> Iterator[Page]:
    """Yield what one answer gave in pages that a transaction can hold; the last has the cursor."""
    items, same = found
    for start in range(0, len(items) - PAGE, PAGE):
        yield Page(items=tuple(items[start : start + PAGE]))
    rest = (len(items) - 1) // PAGE * PAGE if items else 0
    yield Page(
        items=tuple(items[rest:]),
        cursor=cursor,
        last=last,
        complete=complete,
        unchanged=tuple(same),
    )
