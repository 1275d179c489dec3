"""Reading: a scope becomes observations; absence is proven or not claimed (SYNC §1, §12)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.kit import watch
from truckroll.kit.contract import Item, Missing, Page, Resource, Seen, Session
from truckroll.kit.errors import RetryLater, StartOver, VendorError
from truckroll.kit.gate import lane
from truckroll.model.time import AllDay, Timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from truckroll.sync.ports import Reading, StoredScope
    from truckroll.sync.types import RecordRow

MAX_PAGES = 20_000
CONFIRM_AT_ONCE = 8
AGAIN_AT_MOST = 200  # more records than these are read together with all others


class ScopeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a scope brought. `error` is a sentence for people, "" where it went well.

    `code` is the error's kind, `after` how long the system asks to wait. `complete` says that
    everything inside the extent was seen; `before` is how many records lived there at the
    beginning, `live` how many were seen by a complete listing.
    """

    scope: int
    new: int = 0
    changed: int = 0
    gone: int = 0
    unreadable: int = 0
    complete: bool = False
    before: int = 0
    live: int = 0
    restarted: bool = False
    error: str = ""
    code: str = ""
    after: timedelta | None = None


class HeldVersions:
    """What the store holds of a scope, as a connector may ask it."""

    def __init__(self, store: Reading, scope: int) -> None:
        self._store = store
        self._scope = scope

    async def versions(self, ids: list[str]) -> dict[str, str | None]:
        """Return the version held of each live record among `ids`."""
        return dict(await self._store.versions(self._scope, ids))


async def read_scope(
    store: Reading,
    resource: Resource,
    session: Session,
    scope: StoredScope,
    *,
    now: Callable[[], datetime],
) -> ScopeReport:
    """Read a scope from its cursor, or whole where it has none or the system forgot it.

    An expired cursor starts a full read beside the old state: the cursor moves, and absence
    speaks, only when it is complete. An error leaves cursor and records as they are.
    """
    began = now()
    with watch.span("read", account=scope.account, scope=scope.id):
        report = await _read_scope(store, resource, session, scope, now=now)
    watch.measure("read", (now() - began).total_seconds())
    result = report.code or ("complete" if report.complete else "changes")
    watch.count("reads", system=session.system, result=result)
    return report


async def _read_scope(
    store: Reading,
    resource: Resource,
    session: Session,
    scope: StoredScope,
    *,
    now: Callable[[], datetime],
) -> ScopeReport:
    held = _with_known(session, HeldVersions(store, scope.id))
    try:
        with lane(scope.id):
            try:
                return await _list(store, resource, held, scope, scope.cursor, now=now)
            except StartOver:
                report = await _list(store, resource, held, scope, None, now=now)
                return msgspec.structs.replace(report, restarted=True)
    except VendorError as error:
        after = error.after if isinstance(error, RetryLater) else None
        return ScopeReport(
            scope=scope.id, before=scope.live, error=error.says, code=error.code, after=after
        )


def _with_known(session: Session, known: HeldVersions) -> Session:
    """Return the session with access to what the store holds."""
    return Session(
        account=session.account,
        system=session.system,
        settings=session.settings,
        http=session.http,
        zone=session.zone,
        known=known,
    )


async def _list(
    store: Reading,
    resource: Resource,
    session: Session,
    scope: StoredScope,
    cursor: str | None,
    *,
    now: Callable[[], datetime],
) -> ScopeReport:
    shadow = cursor is None
    listing = await store.begin_listing(scope.id)
    tally = [0, 0, 0, 0, 0]
    pages = 0
    async for page in resource.listing(session, scope.scope, cursor):
        pages += 1
        if pages > MAX_PAGES:
            raise VendorError(f"{scope.scope.title} never comes to an end: {pages} pages were read")
        page = await _confirmed(store, resource, session, scope, page)  # noqa: PLW2901 -- the page, made sure
        keep = page.complete or (shadow and not page.last)  # what is absent is not proven yet
        result = await store.store_page(
            scope.id, listing, resource.kind, page, at=now(), keep_cursor=keep
        )
        found = (result.new, result.changed, result.gone, result.unreadable, result.same)
        tally = [have + more for have, more in zip(tally, found, strict=True)]
        if page.last:
            return await _finish(store, resource, session, scope, page, listing, tally, now)
    raise VendorError(
        f"{scope.scope.title} stopped in the middle of its list; nothing is concluded"
    )


async def _confirmed(
    store: Reading, resource: Resource, session: Session, scope: StoredScope, page: Page
) -> Page:
    """Read directly what a listing hints at, or may get wrong; that read is the observation.

    A tombstone is doubted where the sheet says that it may lie. Where lists lag behind, whatever
    differs from what is held is only a hint; of a scope that nothing is held of, nothing can be.
    """
    lags = bool(resource.lag) and scope.live > 0
    doubts = resource.read is not None and (lags or not resource.tombstones_final)
    if not (doubts or page.hints):
        return page
    seen = [item.id for item in page.items if lags and isinstance(item, Seen)]
    held = await store.versions(scope.id, seen) if seen else {}
    doubtful = [
        item.id
        for item in (page.items if doubts else ())
        if isinstance(item, Missing)
        or (lags and not (isinstance(item, Seen) and _is_held(item, held)))
    ]
    now = await _read(resource, session, scope, [*doubtful, *page.hints])
    items = (*(now.get(item.id, item) for item in page.items), *(now[id_] for id_ in page.hints))
    return msgspec.structs.replace(page, items=items, hints=())


def _is_held(item: Seen, held: Mapping[str, str | None]) -> bool:
    return item.version is not None and held.get(item.id) == item.version


async def _read(
    resource: Resource, session: Session, scope: StoredScope, ids: Sequence[str]
) -> Mapping[str, Item]:
    """Read records directly, together where the system can."""
    read, many = resource.read, resource.read_many
    if many is not None and ids:
        return await many(session, scope.scope, ids)
    assert read is not None or not ids
    gate = asyncio.Semaphore(CONFIRM_AT_ONCE)

    async def one(id_: str) -> tuple[str, Item]:
        assert read is not None
        async with gate:
            return id_, await read(session, scope.scope, id_)

    return dict(await asyncio.gather(*map(one, ids)))


async def _finish(
    store: Reading,
    resource: Resource,
    session: Session,
    scope: StoredScope,
    page: Page,
    listing: int,
    tally: Sequence[int],
    now: Callable[[], datetime],
) -> ScopeReport:
    new, changed, gone, unreadable, same = tally
    if page.complete:
        missed = await store.finish_listing(scope.id, listing, at=now())
        suspects = [one for one in missed if not _over(one, page.since)]
        proven = await _prove(store, resource, session, scope, suspects, listing, now)
        if proven:
            await store.mark_gone([record.id for record in proven], at=now())
        gone += len(proven)
        if overtaken := await store.overtaken(scope.id, listing):
            await _look_again(store, resource, session, scope, overtaken, now)
        if page.cursor is not None:
            await store.set_cursor(scope.id, page.cursor)
    return ScopeReport(
        scope=scope.id,
        new=new,
        changed=changed,
        gone=gone,
        unreadable=unreadable,
        complete=page.complete,
        before=scope.live,
        live=new + changed + same if page.complete else scope.live,
    )


async def _look_again(
    store: Reading,
    resource: Resource,
    session: Session,
    scope: StoredScope,
    ids: Sequence[str],
    now: Callable[[], datetime],
) -> None:
    """Find out what became of records that were written while a listing went on.

    Where it does not show one, that may have been before the write, or somebody deleted it after,
    of which no later page will tell.
    """
    if resource.read is None or len(ids) > AGAIN_AT_MOST:
        await store.doubt(scope.id, at=now())
        return
    listing = await store.begin_listing(scope.id)
    answers = await _read(resource, session, scope, ids)
    page = Page(items=tuple(answers.values()))
    await store.store_page(scope.id, listing, resource.kind, page, at=now(), keep_cursor=True)


def _over(record: RecordRow, since: datetime | None) -> bool:
    """Tell whether a record ended before the extent of a listing begins: absence says nothing."""
    when = record.fields.get("when")
    if since is None or not isinstance(when, Timed | AllDay) or when.rule is not None:
        return False
    if isinstance(when, AllDay):
        return when.end <= since.date()
    return when.ends <= since


async def _prove(
    store: Reading,
    resource: Resource,
    session: Session,
    scope: StoredScope,
    suspects: list[RecordRow],
    listing: int,
    now: Callable[[], datetime],
) -> list[RecordRow]:
    """Return the suspects whose absence is proven: by a snapshot, or by a direct read of each.

    A record that was seen later than the listing may lag behind is proven by a direct read alone.
    """
    if resource.read is None:
        fresh = now() - resource.lag
        proven = [one for one in suspects if one.seen_at is None or one.seen_at <= fresh]
        return proven if resource.snapshot else []
    if resource.snapshot and not resource.lag:
        return suspects
    answers = await _read(resource, session, scope, [one.external_id for one in suspects])
    there = tuple(item for item in answers.values() if not isinstance(item, Missing))
    if there:
        await store.store_page(
            scope.id, listing, resource.kind, Page(items=there), at=now(), keep_cursor=True
        )
    return [one for one in suspects if isinstance(answers[one.external_id], Missing)]
