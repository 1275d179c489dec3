"""The vendor's calls; each has a heading in docs/connectors/acme-dispatch.md."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from truckroll.connectors.acme_dispatch import wire
from truckroll.connectors.acme_dispatch.wire import TITLE
from truckroll.kit.classify import Rule, check
from truckroll.kit.contract import (
    Change,
    Draft,
    Item,
    Missing,
    Page,
    Removal,
    Reply,
    Scope,
    Seen,
    Session,
)
from truckroll.kit.cursors import Reading, UpdatedSince
from truckroll.kit.http import Response, expect
from truckroll.kit.paging import Got, PageNumber
from truckroll.kit.xml import read_json

_SIZE = 100
_NOT_THERE = 404
# Deleted visits are listed for 30 days. The overlap covers late lists, clocks and rounding.
_CHANGES = UpdatedSince(
    overlap=timedelta(minutes=5), paging=PageNumber(_SIZE), life=timedelta(days=29)
)
# What is special about the vendor's refusals; the rest follows from the status alone.
_RULES: tuple[Rule, ...] = ()
_QUIETLY = {"notify": "false"}


class Company(msgspec.Struct, frozen=True):
    """Whose account it is."""

    id: str
    name: str


class _Page(msgspec.Struct, frozen=True):
    visits: list[msgspec.Raw]
    total: int


async def company(session: Session) -> Company:
    """Return whose account it is; raises GiveUp where it may not read."""
    response = await _send(session, "GET", "v1/company")
    found: Company = read_json(_data(response), TITLE, Company)
    return found


async def listing(session: Session, scope: Scope, cursor: str | None) -> AsyncIterator[Page]:
    """Yield all visits, or those that changed since the cursor; raises StartOver."""
    del scope  # the account has but one

    async def fetch(since: datetime | None, at: str | None) -> Got:
        changed = {"updatedSince": since.astimezone(UTC).isoformat()} if since else {}
        page = await _page(session, {"page": at, "pageSize": _SIZE, **changed})
        rows = [(read_json(bytes(raw), TITLE, wire.Stamp), raw) for raw in page.visits]
        return Got(
            tuple(wire.item(stamp.id, bytes(raw), session.zone) for stamp, raw in rows),
            total=page.total,
            stamps={stamp.id: stamp.updated_at for stamp, _ in rows},
        )

    async for page in _CHANGES.pages(Reading(TITLE), fetch, cursor):
        yield page


async def read(session: Session, scope: Scope, id_: str) -> Item:
    """Return a visit as it is now; Missing where it is not there."""
    del scope
    response = await _send(session, "GET", _path(id_))
    if response.status == _NOT_THERE:
        # Only where the account's visits may be read at all does this speak of the visit.
        await company(session)
        return Missing(id_)
    return _shown(session, response, _called(id_))


async def find(session: Session, scope: Scope, mark: str) -> Item | None:
    """Return the visit with the hub's mark, or None."""
    del scope
    page = await _page(session, {"reference": wire.reference(mark)})
    for raw in page.visits:
        stamp = read_json(bytes(raw), TITLE, wire.Stamp)
        return wire.item(stamp.id, bytes(raw), session.zone)
    return None


async def create(session: Session, scope: Scope, draft: Draft) -> Reply:
    """Make a visit; doing it again with the same mark finds the first one.

    Raises HoldRecord where the vendor cannot keep it.
    """
    what = _named(draft.fields.get("title"))
    sent = {**wire.body(draft.fields, what), "reference": wire.reference(draft.mark)}
    found = await find(session, scope, draft.mark)
    if found is not None:
        return Reply(found.id, found if isinstance(found, Seen) else None)
    response = await _send(session, "POST", "v1/visits", sent)
    return _reply(session, response, what)


async def update(session: Session, scope: Scope, change: Change) -> Reply:
    """Change what differs of a visit, and nothing else of it.

#if etag
    Raises Replan where it is another one by now, Gone where it is not there, HoldRecord where
    the vendor cannot keep the change.
#else
    Raises Gone where it is not there, HoldRecord where the vendor cannot keep the change.
#end
    """
    del scope
    what = _named(change.whole.get("title"))
    sent = wire.body(change.fields, what)
    if change.mark:
        sent["reference"] = wire.reference(change.mark)
    return await _patch(session, change, sent, what)


async def cancel(session: Session, scope: Scope, change: Change) -> Reply:
    """Cancel a visit, which stays with all that it says; raises what `update` raises."""
    del scope
    what = _named(change.whole.get("title"))
    return await _patch(session, change, wire.body({"status": "cancelled"}, what), what)


async def _patch(session: Session, change: Change, sent: Mapping[str, Any], what: str) -> Reply:
#if etag
    response = await _send(session, "PATCH", _path(change.id), sent, change.version)
#else
    response = await _send(session, "PATCH", _path(change.id), sent)
#end
    return _reply(session, response, what)


async def remove(session: Session, scope: Scope, removal: Removal) -> None:
    """Delete a visit; it not being there is success.
#if etag

    Raises Replan where it is another one by now.
#end
    """
    del scope
#if etag
    response = await _send(session, "DELETE", _path(removal.id), version=removal.version)
#else
    response = await _send(session, "DELETE", _path(removal.id))
#end
    if response.status != _NOT_THERE:
        check(response, system=TITLE, rules=_RULES, record=_called(removal.id))


def _path(id_: str) -> str:
    return f"v1/visits/{quote(id_, safe='')}"


def _called(id_: str) -> str:
    return f'the visit "{id_}"'


def _named(title: object) -> str:
    return f'"{title}"' if title else "a visit without a title"


#if etag
async def _send(
    session: Session, method: str, path: str, body: Any = None, version: str | None = None
) -> Response:
    """Send a request and return its answer whatever it is; `version` is what must be there."""
    headers = {"Accept": "application/json"}
    if version:
        headers["If-Match"] = version
#else
async def _send(session: Session, method: str, path: str, body: Any = None) -> Response:
    """Send a request and return its answer whatever it is."""
    headers = {"Accept": "application/json"}
#end
    if body is not None:
        headers["Content-Type"] = "application/json"
    url = path if method == "GET" else f"{path}?{urlencode(_QUIETLY)}"
    data = b"" if body is None else msgspec.json.encode(body)
    return await session.http.request(method, url, headers=headers, body=data)


def _data(response: Response, record: str = "") -> bytes:
    """Return the JSON text of a success; raises what anything else means for the record."""
    check(response, system=TITLE, rules=_RULES, record=record)
    expect(response, {"application/json"}, TITLE)
    return response.body


async def _page(session: Session, asked: Mapping[str, Any]) -> _Page:
    response = await _send(session, "GET", f"v1/visits?{urlencode(asked)}")
    page: _Page = read_json(_data(response), TITLE, _Page)
    return page


def _shown(session: Session, response: Response, what: str) -> Item:
    data = _data(response, what)
    stamp = read_json(data, TITLE, wire.Stamp)
    return wire.item(stamp.id, data, session.zone)


def _reply(session: Session, response: Response, what: str) -> Reply:
    shown = _shown(session, response, what)
    return Reply(shown.id, shown if isinstance(shown, Seen) else None)
