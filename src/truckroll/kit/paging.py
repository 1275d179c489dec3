"""How listings come in pages, each way a small value: what the next page is asked by.

A connector gives a `fetch` function that asks for one page and reads it into `Got`. A paging
says at which position the first page stands and which follows. `Walk` goes from page to page and
ends in any case: a position that comes again, or more pages than the limit, is an error.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from truckroll.kit.contract import Item, Missing
from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.kit.http import Limits

_LIMITS = Limits()


class Got(msgspec.Struct, frozen=True):
    """One page as a system gave it.

    `next` is the system's own word for the next page (token, link, key of the last row), ""
    and None being none. `more` is its word on whether more follows, where it gives one. `total`
    counts all rows of the listing, `total_pages` its pages. `rows` counts the rows that came,
    where the connector made fewer or more items of them. `cursor` is where the next read may
    begin. `stamps` tell per item id when it was changed last, by the system's clock (aware).
    """

    items: tuple[Item, ...] = ()
    next: str | None = None
    more: bool | None = None
    total: int | None = None
    total_pages: int | None = None
    rows: int | None = None
    cursor: str | None = None
    stamps: Mapping[str, datetime] = {}

    @property
    def count(self) -> int:
        """How many rows came."""
        return len(self.items) if self.rows is None else self.rows


Order = Literal["steady", "newest first", "any"]


class Paging(Protocol):
    """Where the first page stands, and which follows.

    `order` tells what rows that change while pages are read do to others: nothing (`steady`),
    push them down so that they come twice (`newest first`), or push them over a page border
    unseen (`any`).
    """

    @property
    def first(self) -> str | None:
        """The position of the first page."""
        ...

    @property
    def order(self) -> Order:
        """What rows that change do to others."""
        ...

    def after(self, at: str | None, got: Got) -> str | None:
        """Return the position after a page, or None at the end."""
        ...


@dataclass(frozen=True, slots=True)
class NextToken:
    """The answer names the next page: page token, next link, query locator, cursor header.

    Google `nextPageToken`, Graph `@odata.nextLink`, Calendly `next_page_token`, Asana `offset`,
    HubSpot `after`, Salesforce `nextRecordsUrl`, Slack `next_cursor`, Smartsheet `lastKey`,
    monday `cursor`, Deputy `nextCursor`, ServiceM8 `x-next-cursor` (which begins at -1), Link
    headers (`link_next`) and GraphQL connections (`relay_next`). A page may be empty before the
    end; the end is where no next page is named.
    """

    first: str | None = None
    order: Order = "steady"

    def after(self, at: str | None, got: Got) -> str | None:
        """Return the page that the answer names."""
        del at
        return got.next or None


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Pages are counted; `size` rows make a full one.

    The end is where the answer says so (`more`, `total_pages`, `total`), else a short page
    (ClickUp, Housecall Pro, ServiceTitan, Smartsheet, monday boards, ServiceChannel REST). With
    `newest_first`, what changes comes twice rather than not at all.
    """

    size: int
    start: int = 1
    newest_first: bool = False

    @property
    def first(self) -> str:
        """The number of the first page."""
        return str(self.start)

    @property
    def order(self) -> Order:
        """What rows that change do to others."""
        return "newest first" if self.newest_first else "any"

    def after(self, at: str | None, got: Got) -> str | None:
        """Return the next number unless this was the last page."""
        number = int(at or self.start)
        done = number - self.start + 1
        if got.more is not None:
            goes_on = got.more
        elif got.total_pages is not None:
            goes_on = done < got.total_pages
        elif got.total is not None:
            goes_on = done * self.size < got.total
        else:
            goes_on = got.count >= self.size
        return str(number + 1) if goes_on else None


@dataclass(frozen=True, slots=True)
class Offset:
    """Rows are skipped: Deputy `start`, ServiceNow `sysparm_offset`, OData `$skip`, `Skip`/`Take`.

    The end is where the answer says so (`more`, `total`), else a short page; with a `total` a
    short page ends nothing, because rights may thin pages out (ServiceNow).
    """

    size: int
    newest_first: bool = False

    @property
    def first(self) -> str:
        """The first row."""
        return "0"

    @property
    def order(self) -> Order:
        """What rows that change do to others."""
        return "newest first" if self.newest_first else "any"

    def after(self, at: str | None, got: Got) -> str | None:
        """Return the next offset unless this was the last page."""
        beyond = int(at or 0) + self.size
        if got.more is not None:
            goes_on = got.more
        elif got.total is not None:
            goes_on = beyond < got.total
        else:
            goes_on = got.count >= self.size
        return str(beyond) if goes_on else None


@dataclass(frozen=True, slots=True)
class Keyset:
    """Rows after a key, in the key's order: nothing is skipped, whatever moves meanwhile.

    `Got.next` is the key of the page's last row: ServiceNow stamp and id, Salesforce stamp and
    id, Trello `before`, ClickUp comments. The end is a short page, or where the answer says so.
    """

    size: int
    first: str | None = None
    order: Order = "steady"

    def after(self, at: str | None, got: Got) -> str | None:
        """Return the key of the last row unless this was the last page."""
        del at
        goes_on = got.count >= self.size if got.more is None else got.more
        return got.next or None if goes_on else None


@dataclass(frozen=True, slots=True)
class Slices:
    """Stretches of time, one after another, for lists without pages (Acuity, Zoho Calendar).

    A position is `start/end` in ISO text, the end exclusive. A slice that comes back with `cap`
    rows or more may have been cut off: it is asked for again in halves, down to `narrowest`.
    """

    start: datetime
    end: datetime
    widest: timedelta
    cap: int
    narrowest: timedelta = timedelta(minutes=1)
    order: Order = "steady"

    @property
    def first(self) -> str:
        """The first slice."""
        return self._slice(self.start, self.widest)

    def _slice(self, start: datetime, width: timedelta) -> str:
        return f"{start.isoformat()}/{min(start + width, self.end).isoformat()}"

    def after(self, at: str | None, got: Got) -> str | None:
        """Return the next slice, or half of this one. Raises GiveUp where it cannot be halved."""
        start, end = (datetime.fromisoformat(part) for part in (at or self.first).split("/"))
        if got.count >= self.cap:
            half = (end - start) / 2
            if half < self.narrowest:
                raise GiveUp(
                    f"More than {self.cap} records begin within {end - start} at "
                    f"{start.isoformat()}: the system does not list so many. Read a smaller part."
                )
            return self._slice(start, half)
        return self._slice(end, self.widest) if end < self.end else None


@dataclass(slots=True)
class Walk:
    """Goes from page to page. `fetch` asks for the page at a position.

    After the last page `shifted` tells whether rows may have slipped over a page border unseen:
    one came twice (newest first: and in another version), or the total shrank, in a paging that
    is not steady. Such a walk proves nothing, and no cursor may move by it.
    """

    paging: Paging
    fetch: Callable[[str | None], Awaitable[Got]]
    system: str
    limits: Limits = _LIMITS
    shifted: bool = False
    _versions: dict[str, str | None] = field(default_factory=dict)
    _total: int | None = None

    async def pages(self) -> AsyncGenerator[tuple[Got, bool], None]:
        """Yield each page and whether it is the last.

        Raises RetryLater where a position comes again, GiveUp where there are too many pages.
        """
        at, seen = self.paging.first, set[str | None]()
        for _ in range(self.limits.pages):
            seen.add(at)
            got = await self.fetch(at)
            self._watch(got)
            at = self.paging.after(at, got)
            yield got, at is None
            if at is None:
                return
            if at in seen:
                raise circle(self.system)
        raise GiveUp(
            f"{self.system} lists more than {self.limits.pages} pages and was left. "
            "Choose a smaller part to keep in step."
        )

    def _watch(self, got: Got) -> None:
        order = self.paging.order
        if order == "steady":
            return
        for item in got.items:
            version = None if isinstance(item, Missing) else item.version
            if item.id in self._versions:
                moved = order == "any" or version != self._versions[item.id]
                self.shifted = self.shifted or moved
            self._versions[item.id] = version
        shrank = self._total is not None and got.total is not None and got.total < self._total
        self.shifted = self.shifted or shrank
        self._total = got.total if self._total is None else self._total


def circle(system: str) -> RetryLater:
    """Return the error for pages that lead nowhere."""
    return RetryLater(
        f"{system} leads from page to page in a circle; the listing was left. "
        "What it showed so far counts, nothing is taken for gone."
    )


def link_next(header: str) -> str | None:
    """Return the address of rel="next" in a Link header (RFC 8288), or None."""
    for part in header.split("<")[1:]:
        address, _, rest = part.partition(">")
        for parameter in rest.split(";")[1:]:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "rel" and "next" in value.strip(' ",').lower().split():
                return address.strip()
    return None


def relay_next(page_info: Mapping[str, Any]) -> str | None:
    """Return the next position of a GraphQL connection's `pageInfo`, or None at its end."""
    if not page_info.get("hasNextPage"):
        return None
    end = page_info.get("endCursor")
    return end if isinstance(end, str) else None
