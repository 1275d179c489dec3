"""What the planner may look at besides a link: settings, accounts and candidates, all frozen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from truckroll.kit.normal import LOSSLESS, Stored
from truckroll.model.records import Fields, as_text
from truckroll.recipes.mirror import Mirror, Place, Problem
from truckroll.sync.types import RecordRow


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What an account's system can do with the mirror's kind.

    `ops` is a subset of create · update · cancel · remove; `writes` the fields that may be
    written; `stored` how each is stored. `notifies` names whom an operation may notify; where it
    says `{guests}`, these are the record's own, and nobody where it has none.
    """

    label: str
    system: str
    ops: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    stored: Mapping[str, Stored] = field(default_factory=dict)
    notifies: Mapping[str, str] = field(default_factory=dict)

    def notified(self, op: str, shown: Fields) -> str:
        """Return whom an operation on a record that shows these fields may notify, or ""."""
        says = self.notifies.get(op, "")
        if "{guests}" not in says:
            return says
        guests = as_text(shown.get("guests"))
        return says.replace("{guests}", guests) if guests else ""

    def how(self, slot: str) -> Stored:
        """Return how the system stores a field."""
        return self.stored.get(slot, LOSSLESS)


@dataclass(frozen=True, slots=True)
class Match:
    """What the search for an unlinked record found: one sure record, or several candidates.

    `before` says that the record stands under a tombstone of this mirror.
    """

    sure: RecordRow | None = None
    several: tuple[RecordRow, ...] = ()
    before: bool = False


NO_MATCH = Match()


def no_match(link_key: str, scope: int, whole: Mapping[str, object]) -> Match:
    """Find nothing, where nothing is made by what is planned."""
    del link_key, scope, whole
    return NO_MATCH


def no_churn(end: int, fields: Fields) -> str:
    """Say that no field of an end goes back and forth."""
    del end, fields
    return ""


@dataclass(frozen=True, slots=True)
class Context:
    """All that `plan_link` sees besides the link.

    `now` is fixed once per run (aware UTC), `zone` the company's IANA zone. `people` resolves a
    person, as the source names them, to their places. `waiting` are scopes that could not be
    read in this run: nothing of them is weighed and nothing is written there. `match` searches
    the unlinked records of a place for what a link would create there. `source_place` is where
    records that a follower originates are created. `scope_label` names a scope for people.
    `doubtful` are scopes in which another recipe's create is in doubt: it may show any moment.
    `copies` are sentences by link key about records that another programme seems to have copied
    from what is in step already. `said` are by link key the reasons of what a person decided, as
    phrases. `churn` says in a sentence which field of an end goes back and forth, or "".
    """

    mirror: Mirror
    now: datetime
    zone: str
    accounts: Mapping[int, AccountFacts]
    people: Callable[[str], tuple[Place, ...] | Problem]
    match: Callable[[str, int, Mapping[str, object]], Match]
    scope_label: Callable[[int], str]
    source_place: Place | None = None
    overlaps: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    doubtful: frozenset[int] = frozenset()
    waiting: frozenset[int] = frozenset()
    churn: Callable[[int, Fields], str] = no_churn

    def first_place(self, person: str) -> Place | Problem:
        """Return the first of a person's places, or why there is none."""
        found = self.people(person)
        if isinstance(found, Problem):
            return found
        return found[0] if found else Problem("person_unmapped", f"{person} has no calendar")
