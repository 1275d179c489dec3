"""Tables with revisions: what changed since a cursor, and what a late reader sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

Row = TypeVar("Row")

_VERSIONS_KEPT = 256


class TellsTime(Protocol):
    """Whatever says what time it is."""

    def now(self) -> datetime:
        """Return the present instant, aware."""
        ...


class Revisions:
    """The one counter of changes that the tables of a system share."""

    def __init__(self) -> None:
        self.last = 0

    def next(self) -> int:
        """Return the number of the change that happens now."""
        self.last += 1
        return self.last


@dataclass(frozen=True)
class Version(Generic[Row]):
    """A row as one change left it; `place` is its place in the order of first appearance."""

    key: str
    row: Row
    revision: int
    at: datetime
    place: int


class Table(Generic[Row]):
    """Rows by key, in the order of their first appearance, with their last versions.

    Rows count as values: put a new one instead of changing one that is in the table. Whether a
    row is deleted is the row's own matter: vendors keep tombstones.
    """

    def __init__(self, clock: TellsTime, revisions: Revisions) -> None:
        self._clock = clock
        self._revisions = revisions
        self._versions: dict[str, list[Version[Row]]] = {}
        self._places = 0

    def __contains__(self, key: object) -> bool:
        return key in self._versions

    def __len__(self) -> int:
        return len(self._versions)

    def put(self, key: str, row: Row) -> Version[Row]:
        """Set the row of a key and return its new version."""
        versions = self._versions.setdefault(key, [])
        if not versions:
            self._places += 1
        place = versions[0].place if versions else self._places
        version = Version(key, row, self._revisions.next(), self._clock.now(), place)
        versions.append(version)
        del versions[:-_VERSIONS_KEPT]
        return version

    def drop(self, key: str) -> None:
        """Forget a key wholly, as if it had never been."""
        self._versions.pop(key, None)

    def get(self, key: str) -> Row | None:
        """Return the row of a key, None if there is none."""
        version = self.version(key)
        return version.row if version else None

    def version(self, key: str) -> Version[Row] | None:
        """Return the newest version of a key, None if there is none."""
        versions = self._versions.get(key)
        return versions[-1] if versions else None

    def version_at(self, key: str, revision: int) -> Version[Row] | None:
        """Return the version of a key that stood after a revision, None if there was none."""
        versions = self._versions.get(key, ())
        return next((found for found in reversed(versions) if found.revision <= revision), None)

    def versions(self, lag_seconds: float = 0.0) -> Iterator[Version[Row]]:
        """Yield the version of each key that a reader sees who is so many seconds late."""
        if lag_seconds <= 0:
            yield from (versions[-1] for versions in self._versions.values())
            return
        horizon = self._clock.now() - timedelta(seconds=lag_seconds)
        for versions in self._versions.values():
            seen = next((one for one in reversed(versions) if one.at <= horizon), None)
            if seen:
                yield seen

    def rows(self, lag_seconds: float = 0.0) -> Iterator[Row]:
        """Yield the row of each key that a reader sees who is so many seconds late."""
        return (version.row for version in self.versions(lag_seconds))

    def horizon(self, lag_seconds: float = 0.0) -> int:
        """Return the revision up to which such a reader has seen every change of the system."""
        if lag_seconds <= 0:
            return self._revisions.last
        horizon = self._clock.now() - timedelta(seconds=lag_seconds)
        hidden = [
            one.revision
            for versions in self._versions.values()
            for one in versions
            if one.at > horizon
        ]
        return min(hidden) - 1 if hidden else self._revisions.last
