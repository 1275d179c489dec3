"""What a connector says about its system's pushes, and how their parts are found.

A push is only ever a hint to read again: no state is taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

from truckroll.kit.classify import values_at

if TYPE_CHECKING:
    from truckroll.kit.proofs import Arrival

T = TypeVar("T")
_MOST_PARTS = 10_000


class Hint(msgspec.Struct, frozen=True):
    """A part of a push: which scope (by the system's id) is to be read; "" is all of them."""

    scope: str = ""


class Odd(msgspec.Struct, frozen=True):
    """A part of a push that is not understood: its number, the reason as a sentence, its bytes."""

    number: int
    reason: str
    raw: bytes


class Wanted(msgspec.Struct, frozen=True):
    """A subscription as the hub wants it.

    `url` is the address to which pushes are to come, `secret` what the hub made up for their
    proof, `name` a name for it that is new each time (at most 64 letters and digits).
    """

    url: str
    secret: str
    name: str

    def __repr__(self) -> str:
        return f"Wanted(name={self.name!r})"


class Subscribed(msgspec.Struct, frozen=True):
    """A subscription as the system has it.

    `id` is the system's own, `more` what else is needed to renew or stop it, `expires_at` (aware
    UTC) its end if it has one, `secret` what the system made up for the proof, where it does.
    """

    id: str
    more: Mapping[str, str] = {}
    expires_at: datetime | None = None
    secret: str = ""

    def __repr__(self) -> str:
        return f"Subscribed(id={self.id!r}, expires_at={self.expires_at})"


def parts_of(
    push: Arrival, at: str, form: type[T], scope: Callable[[T], str] = lambda _: ""
) -> list[Hint | Odd]:
    """Return the parts of a JSON push: each value at `at` in a form of which `scope` is asked.

    A part in another form is odd, the others are used. Of a body that is no JSON nobody knows what
    it says: it is odd, and asks for everything to be read.
    """
    try:
        body = msgspec.json.decode(push.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [Hint(), Odd(0, f"The push is no JSON ({error}).", push.body)]
    found: list[Hint | Odd] = []
    for number, part in enumerate(values_at(body, at)):
        if number == _MOST_PARTS:
            says = f"The push has more than {_MOST_PARTS:,} parts; all is read again instead."
            return [*found, Hint(), Odd(number, says, b"")]
        try:
            found.append(Hint(scope(msgspec.convert(part, form))))
        except (msgspec.ValidationError, ValueError, LookupError) as error:
            says = f"Part {number + 1} has another form than pushes have ({error})."
            found.append(Odd(number, says, msgspec.json.encode(part)))
    return found


def split(parts: Iterable[Hint | Odd]) -> tuple[tuple[str, ...], tuple[Odd, ...]]:
    """Return the scopes that are to be read, each once, and the odd parts."""
    hints: dict[str, None] = {}
    odd = []
    for part in parts:
        if isinstance(part, Odd):
            odd.append(msgspec.structs.replace(part, reason=part.reason.replace("\0", "\ufffd")))
        else:
            # No system has such an id; a text of the database cannot hold it.
            hints["" if "\0" in part.scope else part.scope] = None
    return tuple(hints), tuple(odd)


def told_apart(push: Arrival, headers: Sequence[str]) -> str:
    """Return a delivery's id made of headers, "" where one of them did not come."""
    values = [push.headers.get(name, "") for name in headers]
    return "\n".join(values) if all(values) else ""
