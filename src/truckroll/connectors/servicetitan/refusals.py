"""What the vendor's refusals mean, by what to do next (sheet, sections 3 and 13)."""

import re
from collections.abc import Sequence

import msgspec

from truckroll.kit.classify import Rule, check
from truckroll.kit.contract import Session
from truckroll.kit.errors import GiveUp, HoldRecord, Replan, RetryLater
from truckroll.kit.http import Response
from truckroll.kit.normal import html_to_text

_READ = 8000
_ROOM = Rule(
    RetryLater,
    "{system} has no room left for {record}; it is tried again by itself.",
    statuses=frozenset({507}),
)
# 403 and 404 of a whole module: the tenant has not connected the app, or a scope is missing.
_NOT_CONNECTED = Rule(
    GiveUp,
    "{system} does not let the app read this; check the tenant's id, that the tenant's admin "
    "connected the app, and that the app has the scope",
    statuses=frozenset({403, 404}),
)
STATE_FORBIDS = Rule(
    Replan,
    "{record} is in a state in which {system} does not take that; it is read and planned again",
    statuses=frozenset({409}),
)
# What was planned in full knowledge of the state would be refused again after another look.
STATE_IS_KNOWN = Rule(
    HoldRecord,
    "{record} is in a state in which {system} does not take that; undo one of the two",
    statuses=frozenset({409}),
)


class _Problem(msgspec.Struct, frozen=True):
    """The vendor's form of an error: a title, and sentences by field."""

    title: str = ""
    errors: dict[str, list[str]] | None = None


def ensure(
    session: Session, response: Response, record: str = "", rules: Sequence[Rule] = ()
) -> None:
    """Raise what an answer means, with the vendor's own words, or return where it is a success.

    `record` names the visit or job that a call was about; "" is a call about the tenant as a
    whole.
    """
    own = (_ROOM,) if record else (_ROOM, _NOT_CONNECTED)
    spoken = response
    if response.status >= 400:  # noqa: PLR2004 -- statuses are best known by number
        body = msgspec.json.encode({"message": words(response)})
        spoken = Response(response.status, response.headers, body, response.url)
    check(
        spoken,
        system=session.system,
        rules=(*rules, *own),
        record=record,
        words_at=("message",),
        secrets=[value for value in session.settings.values() if len(value) >= 8],  # noqa: PLR2004
    )


def words(response: Response) -> str:
    """Return what an error says: the sentences of its fields, else its title, else its text."""
    body = response.body[:_READ]
    try:
        problem = msgspec.json.decode(response.body, type=_Problem)
    except (msgspec.DecodeError, RecursionError):
        text = re.sub(
            r"(?is)<(head|script|style)\b.*?</\1\s*>", " ", body.decode("utf-8", "replace")
        )
        return "" if text.lstrip().startswith(("{", "[")) else _line(html_to_text(text))
    sentences = [
        f"{name}: {sentence}" if name else sentence
        for name, said in (problem.errors or {}).items()
        for sentence in said
    ]
    return _line("; ".join(sentences) or problem.title)


def _line(text: str) -> str:
    return " ".join(text.replace("<", " ").split())
