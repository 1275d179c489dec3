"""The vendor's calls: addresses, pages, rows by ids, export feeds (sheet, sections 4 to 6)."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from truckroll.connectors.servicetitan.refusals import ensure
from truckroll.connectors.servicetitan.wire import Row, decode
from truckroll.kit.classify import Rule
from truckroll.kit.contract import Session
from truckroll.kit.errors import GiveUp, RetryLater, StartOver
from truckroll.kit.http import Limits, Response, expect
from truckroll.kit.paging import circle
from truckroll.kit.xml import read_json

IDS = 50  # ids in one question (sheet, section 6)
PAGE = 500  # rows of a page; vendor pages differ on the most, and all allow this (section 6)
_MOST_PAGES = Limits().pages
_JSON = {"application/json", "application/problem+json"}
_R = TypeVar("_R", bound=Row)
_BAD_TOKEN = Rule(
    StartOver,
    "{system} does not know any more up to where its changes were read; all is read again",
    statuses=frozenset({400, 410}),
)
_BAD_QUESTION = Rule(
    GiveUp, "{system} does not take the question for its records", statuses=frozenset({400})
)


class Kept(NamedTuple, Generic[_R]):
    """A row, and as it came."""

    row: _R
    raw: msgspec.Raw


class Broken(NamedTuple):
    """A row that cannot be read, and why, as a phrase."""

    id: int
    why: str
    raw: msgspec.Raw


class Rows(NamedTuple, Generic[_R]):
    """Rows of one kind; one that is broken stops no other."""

    kept: list[Kept[_R]]
    broken: list[Broken]


class Exported(NamedTuple, Generic[_R]):
    """One page of an export feed, and where the next read of the feed begins."""

    rows: Rows[_R]
    token: str
    more: bool


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    has_more: bool
    data: list[msgspec.Raw]
    continue_from: str | None = None


class _Id(msgspec.Struct, frozen=True):
    id: int


def path(session: Session, module: str, rest: str) -> str:
    """Return the path of a call: `/{module}/v2/tenant/{tenant}/{rest}` (sheet, section 2)."""
    return f"{module}/v2/tenant/{session.settings['tenant'].strip()}/{rest}"


async def get(session: Session, where: str, query: Mapping[str, Any] | None = None) -> Response:
    """Ask for something; the answer is returned whatever its status below 500."""
    url = f"{where}?{urlencode(query)}" if query else where
    return await session.http.request("GET", url, headers={"Accept": "application/json"})


async def send(session: Session, verb: str, where: str, body: Any = None) -> Response:
    """Ask for a change, once; the answer is returned whatever its status below 500."""
    headers = {"Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    sent = b"" if body is None else msgspec.json.encode(body)
    return await session.http.request(verb, where, headers=headers, body=sent)


def rows_of(raws: Collection[msgspec.Raw], shape: type[_R], system: str) -> Rows[_R]:
    """Return rows; raises RetryLater where one has not even an id."""
    rows = Rows[_R]([], [])
    for raw in raws:
        try:
            rows.kept.append(Kept(decode(raw, shape), raw))
        except msgspec.ValidationError as error:
            id_: int = read_json(bytes(raw), system, _Id).id
            rows.broken.append(Broken(id_, str(error), raw))
    return rows


def read_row(session: Session, response: Response, shape: type[_R]) -> Rows[_R]:
    """Return the one row of a successful answer, kept or broken."""
    expect(response, _JSON, session.system)
    raw = read_json(response.body, session.system, msgspec.Raw)
    return rows_of([raw], shape, session.system)


async def listed(
    session: Session, where: str, shape: type[_R], query: Mapping[str, Any]
) -> Rows[_R]:
    """Return all rows of a list, page by page from 1. Raises GiveUp where it has no end."""
    found = Rows[_R]([], [])
    for number in range(1, _MOST_PAGES + 1):
        asked = {**query, "page": number, "pageSize": PAGE}
        response = await get(session, where, asked)
        ensure(session, response, rules=(_BAD_QUESTION,))
        page = _page(session, response)
        rows = rows_of(page.data, shape, session.system)
        found.kept.extend(rows.kept)
        found.broken.extend(rows.broken)
        if not page.has_more:
            return found
    raise GiveUp(f"{session.system} lists more than {_MOST_PAGES} pages and was left.")


async def by_ids(
    session: Session,
    where: str,
    shape: type[_R],
    ids: Collection[int],
    query: Mapping[str, Any] | None = None,
    *,
    name: str = "ids",
) -> Rows[_R]:
    """Return the rows of these ids, fifty to a call; those that are not there are left out."""
    wanted = sorted(ids)
    parts = [wanted[start : start + IDS] for start in range(0, len(wanted), IDS)]
    answers = await asyncio.gather(
        *(
            listed(session, where, shape, {name: ",".join(map(str, part)), **(query or {})})
            for part in parts
        )
    )
    return Rows(
        [row for answer in answers for row in answer.kept],
        [row for answer in answers for row in answer.broken],
    )


async def exported(
    session: Session,
    where: str,
    shape: type[_R],
    start: str,
    query: Mapping[str, str] | None = None,
) -> AsyncIterator[Exported[_R]]:
    """Read an export feed from a token or date ("" is the beginning) to its present end.

    Raises StartOver where the vendor does not know the token (sheet, section 5: a 400),
    RetryLater where the feed turns in a circle.
    """
    token = start
    for _ in range(_MOST_PAGES):
        asked = {**(query or {}), **({"from": token} if token else {})}
        response = await get(session, where, asked)
        ensure(session, response, rules=(_BAD_TOKEN if token else _BAD_QUESTION,))
        page = _page(session, response)
        if page.has_more and page.continue_from in {None, "", token}:
            raise circle(session.system)
        token = page.continue_from or token
        yield Exported(rows_of(page.data, shape, session.system), token, page.has_more)
        if not page.has_more:
            return
    raise RetryLater(f"{session.system} never comes to the end of its changes; they wait.")


def _page(session: Session, response: Response) -> _Page:
    expect(response, _JSON, session.system)
    page: _Page = read_json(response.body, session.system, _Page)
    return page
