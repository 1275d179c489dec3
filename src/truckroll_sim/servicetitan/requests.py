"""One call of the API: what came, what goes back, and how the query is read.

A `Route` binds a method and a path below the tenant to a function from a request to an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from truckroll_sim.kit.calls import Answer, Call
from truckroll_sim.servicetitan.bodies import read
from truckroll_sim.servicetitan.tenant import RefusalError, Tenant, invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truckroll_sim.servicetitan.rows import Row

B = TypeVar("B")
V = TypeVar("V")
WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Request:
    """A call that passed the doors, with the tenant whom it is about."""

    tenant: Tenant
    call: Call

    @property
    def id(self) -> int:
        """The `{id}` of the path."""
        return self.number("id")

    @property
    def query(self) -> dict[str, str]:
        """Each query parameter; the values of one that is repeated are joined by `&`."""
        names = dict.fromkeys(name for name, _ in self.call.query)
        return {name: "&".join(self.call.many(name)) for name in names}

    @property
    def lag_seconds(self) -> float:
        """By how much lists and feeds trail the writes just now (sheet, 5 and 14)."""
        return self.tenant.kit.faults.lag_seconds(self.call)

    def number(self, name: str) -> int:
        """Return an id of the path; refused with 400 when it is none."""
        text = self.call.parts[name]
        if not text.isdecimal():
            raise invalid(name, f"The value '{text}' is not valid.")
        return int(text)

    def read(self, shape: type[B]) -> B:
        """Return the body in a shape, or a refusal with 400."""
        return read(self.call.body, shape)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path such as ``jpm/jobs/{id}``: the module, then what follows the tenant."""

    method: str
    path: str
    answer: Callable[[Request], Answer]


def shown(row: Row, *without: str) -> dict[str, Any]:
    """Return a row as the vendor shows it: without our own marks and the named fields."""
    return {k: v for k, v in row.items() if not k.startswith("_") and k not in without}


def given(row: Row, *without: str) -> dict[str, Any]:
    """Return the same without empty fields, as crm's documents know no null."""
    return {k: v for k, v in shown(row, *without).items() if v is not None}


def refusal(refused: RefusalError, trace: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return the error answer of section 13."""
    body = {
        "type": f"https://httpstatuses.io/{refused.status}",
        "title": refused.title,
        "status": refused.status,
        "traceId": trace,
        "errors": refused.errors,
        "data": {},
    }
    return Answer.json(body, refused.status, headers)


# --- readers of query values: text in, value out, or a ValueError ---


def moment(text: str) -> datetime:
    """Return an instant, RFC 3339; one without an offset is taken as UTC."""
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def boolean(text: str) -> bool:
    """Return a boolean, in any case."""
    if text.lower() not in WORDS:
        raise ValueError(text)
    return WORDS[text.lower()]


def numbers(text: str) -> frozenset[int]:
    """Up to fifty ids, separated by commas (sheet, 6)."""
    found = frozenset(int(part) for part in text.split(","))
    if len(found) > 50:  # noqa: PLR2004 - the vendor's own limit, stated above
        raise ValueError(text)
    return found


def words(text: str) -> frozenset[str]:
    """Up to fifty words, separated by commas."""
    found = frozenset(part.strip() for part in text.split(","))
    if len(found) > 50:  # noqa: PLR2004 - the same limit
        raise ValueError(text)
    return found


def guid(text: str) -> str:
    """Return an application's id, in one spelling."""
    return str(UUID(text))


def one_of(*known: str) -> Callable[[str], str]:
    """Return a reader for a closed set of words."""

    def reader(text: str) -> str:
        if text not in known:
            raise ValueError(text)
        return text

    return reader


def asked(query: Mapping[str, str], name: str, reader: Callable[[str], V]) -> V | None:
    """Return a query value, None when it is absent or empty; refused with 400 when unreadable."""
    text = query.get(name)
    if not text:
        return None
    try:
        return reader(text)
    except (ValueError, ArithmeticError):
        raise invalid(name, f"The value '{text}' is not valid.") from None
