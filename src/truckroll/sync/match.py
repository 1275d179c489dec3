"""Matching: an unlinked record that is surely the same thing is linked, never doubled (SYNC §8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.model.records import Fields, Value, as_text
from truckroll.model.time import AllDay, Timed
from truckroll.sync.context import NO_MATCH, Match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from truckroll.sync.types import RecordRow

Key = tuple[str, ...]
_GENERATIONS = 100  # of an end that was made anew so often, somebody has asked why
AMBIGUOUS = "ambiguous"  # held: several records may be it, and nobody else takes them


def create_key(link: str, scope: int, generation: int) -> str:
    """Return what makes the create of a link's end safe to repeat, and no other's."""
    return f"{link}-{scope}-{generation}"


def is_made(names: Callable[[str], str], link: str, scope: int, external_id: str) -> bool:
    """Tell whether a record has a name that the hub gives to what it makes of a link there.

    `names` returns that name for a create key. A restored hub does not know the generations that
    it made since.
    """
    return any(
        names(create_key(link, scope, number)) == external_id for number in range(_GENERATIONS)
    )


def key_of(fields: Mapping[str, object], names: tuple[str, ...]) -> Key | None:
    """Return the normalized values of a mirror's match fields; None where one is missing."""
    parts = []
    for name in names:
        part = _normal(fields.get(name))  # type: ignore[arg-type] # fields of a record
        if not part:
            return None
        parts.append(part)
    return tuple(parts)


def _normal(value: Value) -> str:
    if isinstance(value, Timed):
        begins, ends = (at.isoformat(timespec="seconds") for at in (value.begins, value.ends))
        return f"{begins}/{ends}"
    if isinstance(value, AllDay):
        return f"{value.start.isoformat()}/{value.end.isoformat()}"
    return " ".join(as_text(value).casefold().split())


class Matcher:
    """Finds unlinked records for links, one to one: a record that was given is not given again.

    What it knows it is taught: records that are unlinked, or `ended`, so that they stand under a
    tombstone of the mirror. `asked` are the links that were asked about before they were taught:
    they found nothing. `given` are the records that were given, also by others before.
    """

    def __init__(self, names: tuple[str, ...], given: set[int] | None = None) -> None:
        self._names = names
        self._by_mark: dict[tuple[int, str], list[RecordRow]] = {}
        self._by_key: dict[tuple[int, Key], list[RecordRow]] = {}
        self._known: set[int] = set()
        self._taught: set[str] = set()
        self.asked: set[str] = set()
        self.given: set[int] = set() if given is None else given

    def teach(self, link_keys: Iterable[str], records: Iterable[RecordRow]) -> None:
        """Take records among which are all that may answer to these links."""
        self._taught.update(link_keys)
        self.asked -= self._taught
        for record in records:
            if record.id in self._known:
                continue
            self._known.add(record.id)
            if record.mark:
                self._by_mark.setdefault((record.scope, record.mark), []).append(record)
            key = key_of(record.fields, self._names)
            if key is not None:
                self._by_key.setdefault((record.scope, key), []).append(record)

    def find(self, link_key: str, scope: int, whole: Mapping[str, object]) -> Match:
        """Return what answers to a link's record in a scope: by mark first, then by the keys."""
        if link_key not in self._taught:
            self.asked.add(link_key)
            return NO_MATCH
        found = self._free(self._by_mark.get((scope, link_key), ()))
        if not found and self._by_key and (key := key_of(whole, self._names)) is not None:
            found = self._free(self._by_key.get((scope, key), ()))
        if not found:
            return NO_MATCH
        if len(found) > 1:
            return Match(several=tuple(found))
        if found[0].ended:
            return Match(sure=found[0], before=True)
        self.given.add(found[0].id)
        return Match(sure=found[0])

    def _free(self, records: Iterable[RecordRow]) -> list[RecordRow]:
        return [one for one in records if one.id not in self.given]


def coarse_keys(wholes: Iterable[Fields], coarse: Callable[[Fields], str | None]) -> list[str]:
    """Return the coarse keys by which candidates for these records are looked up."""
    return sorted({key for whole in wholes if (key := coarse(whole)) is not None})
