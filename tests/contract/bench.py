"""What the contract suite needs of a system: a world to work in, and what people do there.

To put a connector under the suite, add `tests/connectors/<system>/world.py` with a list `WORLDS`
of `World` values. Nothing else is edited: the suite finds the file. A world says how its system is
started once for all tests (`start`, a plain context manager; it may skip with a reason) and how one
test visits it (`visit`, an async context manager that gives a `Visit` with an empty scope).

A `Visit` speaks in people's terms: `seed` makes a record with the system's own tools (and with
something on it that the hub knows nothing of), `edit` changes its title, `delete` takes it away,
`back` reads a record with an independent tool. What a system cannot do stays `None`, and the suite
skips what needs it with the word "cannot". Which operations a connector has is read from its
resource, so a read-only connector (a feed) runs the reading half.
"""

import importlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.proxy import FaultProxy
from truckroll.kit.contract import (
    Connector,
    Item,
    Missing,
    Page,
    Resource,
    Scope,
    Seen,
    Session,
    Unreadable,
)

HERE = Path(__file__).parents[1] / "connectors"


class Held:
    """What a hub holds of a scope: the twin of the store, as far as a listing asks for it."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}

    async def versions(self, ids: list[str]) -> Mapping[str, str | None]:
        return {id_: self.items[id_].version for id_ in ids if id_ in self.items}

    def take(self, item: Item) -> None:
        if isinstance(item, Missing):
            self.items.pop(item.id, None)
        else:
            self.items[item.id] = item


@dataclass
class Read:
    """A listing that was read to its end."""

    pages: list[Page]

    @property
    def items(self) -> list[Item]:
        return [item for page in self.pages for item in page.items]

    @property
    def seen(self) -> dict[str, Seen]:
        return {item.id: item for item in self.items if isinstance(item, Seen)}

    @property
    def missing(self) -> set[str]:
        return {item.id for item in self.items if isinstance(item, Missing)}

    @property
    def unreadable(self) -> dict[str, Unreadable]:
        return {item.id: item for item in self.items if isinstance(item, Unreadable)}

    @property
    def unchanged(self) -> set[str]:
        return {id_ for page in self.pages for id_ in page.unchanged}

    @property
    def complete(self) -> bool:
        return self.pages[-1].complete

    @property
    def cursor(self) -> str | None:
        return self.pages[-1].cursor


@dataclass(repr=False)
class Visit:
    """One test's stay at a system; see the module's docstring.

    `seed(name, title)` returns the record's id. `spoil()` makes a record that cannot be read and
    returns its id. `unknown(id)` tells whether what `seed` put there beyond the hub's fields is
    still there. `back(id)` returns the fields that an independent tool reads, in the model's
    terms, or None where there is no such record. `count()` is how many records there are.
    `expired(cursor)` turns a cursor into one that the system does not know. `proxy` stands
    between the connector and the system where the system is a server. `writes_by` is the HTTP
    method of creates and updates, `creates_by` that of creates where it is another one;
    `quiet_calls` what a pass without change costs. `has_cursor` is False where everything is read
    each time, `tells_deletions` where a reading of changes does not show what was deleted: then a
    whole one must. `server` and `more` are whatever the connector's own tests need of the system.
    """

    connector: Connector
    session: Session
    scope: Scope
    seed: Callable[[str, str], str]
    edit: Callable[[str, str], None]
    delete: Callable[[str], None]
    count: Callable[[], int]
    back: Callable[[str], dict[str, Any] | None]
    spoil: Callable[[], str] | None = None
    unknown: Callable[[str], bool] | None = None
    expired: Callable[[str], str] | None = None
    proxy: FaultProxy | None = None
    server: Any = None
    more: Any = None
    held: Held = field(default_factory=Held)
    quiet_calls: int = 1
    has_cursor: bool = True
    tells_deletions: bool = True
    writes_by: str = "PUT"
    creates_by: str = ""

    def __repr__(self) -> str:
        return f"a visit at {self.connector.title}"

    @property
    def resource(self) -> Resource:
        return self.connector.resource(self.scope.kind)

    async def list(self, cursor: str | None = None) -> Read:
        """Read a listing to its end, as the hub does: what it shows is held afterwards."""
        listing = self.resource.listing(self.session, self.scope, cursor)
        pages = [await self._resolved(page) async for page in listing]
        for page in pages:
            for item in page.items:
                self.held.take(item)
        return Read(pages)

    async def _resolved(self, page: Page) -> Page:
        """Read what a page hints at; what is as it is held, it showed unchanged."""
        if not page.hints:
            return page
        read = await self.resource.read_many(self.session, self.scope, page.hints)
        held = await self.held.versions(list(page.hints))
        same = [
            one.id for one in read.values() if getattr(one, "version", None) == held.get(one.id, "")
        ]
        items = (*page.items, *(one for one in read.values() if one.id not in same))
        return msgspec.structs.replace(
            page, items=items, unchanged=(*page.unchanged, *same), hints=()
        )


@dataclass(frozen=True)
class World:
    """A system to test against.

    `samples` narrows the values of a field where it must be. `series` says that what is visited
    has room for rules and exceptions.
    """

    name: str
    start: Callable[[], AbstractContextManager[Any]]
    visit: Callable[[Any], AbstractAsyncContextManager[Visit]]
    marks: tuple[Any, ...] = ()
    samples: Mapping[str, Any] = field(default_factory=dict)
    series: bool = False


def worlds() -> list[Any]:
    """Return the worlds of all connectors as pytest parameters."""
    found: list[Any] = []
    for path in sorted(HERE.glob("*/world.py")):
        module = importlib.import_module(f"connectors.{path.parent.name}.world")
        found.extend(
            pytest.param(world, id=world.name, marks=world.marks) for world in module.WORLDS
        )
    return found


def can(visit: Visit, *operations: str) -> None:
    """Skip a test where the connector or the world cannot do what it needs."""
    for name in operations:
        owner = visit.resource if hasattr(visit.resource, name) else visit
        if getattr(owner, name) is None:
            pytest.skip(f"cannot {name}")


__all__ = ["AsyncIterator", "Held", "Iterator", "Read", "Visit", "World", "can", "worlds"]
