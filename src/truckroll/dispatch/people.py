"""Whose calendar is whose: suggestions from mail addresses, names and titles.

A suggestion that is not sure is for a person to confirm; nothing is ever mapped on a guess.
"""

import re
import unicodedata
from collections.abc import Sequence
from email.utils import parseaddr

import msgspec

from truckroll.recipes.mirror import Problem


class Calendar(msgspec.Struct, frozen=True):
    """A calendar that could be somebody's.

    `scope` is the hub's row id of it, `owner` a mail address or a name where the system says
    whose it is, and `title` what people see.
    """

    scope: int
    title: str
    owner: str = ""

    @property
    def label(self) -> str:
        """What tells it apart for people: the owner where known, else the title."""
        return self.owner or self.title


class Suggestion(msgspec.Struct, frozen=True):
    """A calendar that may be a person's. `why` is a phrase; `sure` that nothing else fits."""

    person: str
    calendar: Calendar
    why: str
    sure: bool


# From the strongest reason to the weakest; only the first two can be sure.
_MAIL, _NAME, _ADDRESS, _INITIAL, _PART = range(5)
_WHY = {
    _MAIL: "same mail address",
    _NAME: "same name",
    _ADDRESS: "the mail address reads like the name",
    _INITIAL: "same name but for an initial",
    _PART: "same given name",
}

_NOISE = re.compile(
    r"(?:['’]s?)?\s+(?:calendar|schedule|jobs|visits)$|^calendar (?:of|for)\s+", re.IGNORECASE
)


def suggest(people: Sequence[str], calendars: Sequence[Calendar]) -> list[Suggestion]:
    """Return for each person the calendars that fit best, in the order given.

    People are as their system names them: "Ana Ruiz", "Ruiz, Ana", "ana@acme.example", "Mike".
    Where several calendars fit equally well, all are suggested and none is sure; a calendar that
    fits several people of different names equally well is sure for none of them.
    """
    found: list[Suggestion] = []
    for person in people:
        ranked = [(rank, one) for one in calendars if (rank := _rank(person, one)) is not None]
        best = min((rank for rank, _ in ranked), default=_PART)
        # A given name alone says little: whoever else bears it is a candidate too.
        alone = best != _MAIL and len(_words(person)) == 1
        fits = [(rank, one) for rank, one in ranked if alone or rank == best]
        sure = len(fits) == 1 and best in (_MAIL, _NAME)
        found += [Suggestion(person, one, _WHY[rank], sure) for rank, one in fits]
    return _undecided_where_shared(found)


def ambiguous(person: str, suggestions: Sequence[Suggestion]) -> Problem | None:
    """Return the problem of a person to whom several calendars could belong, with all of them."""
    theirs = [one.calendar.label for one in suggestions if one.person == person]
    if len(theirs) < 2:  # noqa: PLR2004 -- ambiguity needs two
        return None
    count = {2: "two", 3: "three"}.get(len(theirs), str(len(theirs)))
    return Problem(
        "person_ambiguous",
        f'it is assigned to "{person}", and {count} calendars belong to somebody of that name: '
        f"{', '.join(theirs)}",
        f'as soon as you say which:  truckroll people map "{person}" {_quoted(theirs[0])}',
    )


def _undecided_where_shared(found: list[Suggestion]) -> list[Suggestion]:
    """Take the sureness from suggestions that give one calendar to people of different names."""
    takers: dict[int, set[tuple[str, ...]]] = {}
    for one in found:
        if one.sure:
            takers.setdefault(one.calendar.scope, set()).add(_words(one.person))
    return [
        msgspec.structs.replace(one, sure=one.sure and len(takers[one.calendar.scope]) == 1)
        for one in found
    ]


def _rank(person: str, calendar: Calendar) -> int | None:
    person_name, person_mail = _parts(person)
    owner_name, owner_mail = _parts(calendar.owner)
    if person_mail and person_mail == owner_mail:
        return _MAIL
    mine = _words(person_name) or _words(_local(person_mail))
    theirs = [_words(owner_name), _words(_NOISE.sub("", calendar.title.strip()))]
    if not mine:
        return None
    if person_name and mine in theirs:
        return _NAME
    theirs.append(_words(_local(owner_mail)))
    ranks = [rank for words in theirs if (rank := _likeness(mine, words)) is not None]
    return min(ranks, default=None)


def _likeness(mine: tuple[str, ...], theirs: tuple[str, ...]) -> int | None:
    """Compare names that are not both full: "Ana R.", "A Ruiz", "Mike", "mike.d"."""
    if not theirs:
        return None
    short, long = sorted((mine, theirs), key=len)
    if len(short) == 1:
        return _PART if short[0] == long[0] and len(short[0]) > 1 else None
    if mine == theirs:
        return _ADDRESS
    given, family = mine[0], mine[-1]
    other_given, other_family = theirs[0], theirs[-1]
    if given == other_given and _initial(family, other_family):
        return _INITIAL
    if family == other_family and _initial(given, other_given):
        return _INITIAL
    return None


def _initial(a: str, b: str) -> bool:
    return 1 in (len(a), len(b)) and a[0] == b[0]


def _parts(text: str) -> tuple[str, str]:
    """Return the name and the mail address in a text, each "" where there is none."""
    text = text.removeprefix("mailto:").strip()
    if "@" not in text:
        return text, ""
    name, mail = parseaddr(text)
    return name, mail.casefold()


def _local(mail: str) -> str:
    return re.sub(r"[._+-]", " ", mail.partition("@")[0])


def _words(name: str) -> tuple[str, ...]:
    """Return a name's words for comparing: given name first, no case, accents or dots."""
    family, comma, given = name.partition(",")
    name = f"{given} {family}" if comma else name
    plain = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return tuple(re.sub(r"[^\w]+", " ", plain).split())


def _quoted(text: str) -> str:
    return f'"{text}"' if " " in text else text
