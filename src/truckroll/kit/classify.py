"""What an answer means for the next step: statuses and bodies, read by declared rules.

A connector declares what is special about its vendor as `Rule`s; the rest follows from the
status alone (RFC 9110). `check` raises the error that says what to do next, with the vendor's
own words where it has any.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from truckroll.kit.errors import (
    GiveUp,
    Gone,
    HoldRecord,
    Replan,
    RetryLater,
    SignIn,
    StartOver,
    VendorError,
)
from truckroll.kit.http import Response
from truckroll.kit.normal import html_to_text
from truckroll.kit.pace import retry_after, utc_now
from truckroll.kit.secrets import redact


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a vendor's answer can mean; all that is given must hold.

    `statuses` are those it holds for (none: any, a success too). `at` is a path in a JSON body,
    names joined by dots and `*` for each item of a list (`error.errors.*.reason`); a value there
    must be one of `codes`, or with no codes be anything but empty, false or null. `pattern` is
    searched in the body's text, `header` names a header that must be there. `says` is a sentence
    that may name `{system}` and `{record}`.
    """

    raises: type[VendorError]
    says: str
    statuses: frozenset[int] = frozenset()
    at: str = ""
    codes: frozenset[str] = frozenset()
    pattern: str = ""
    header: str = ""

    def holds(self, response: Response, body: Any) -> bool:
        """Tell whether an answer means this; `body` is its JSON, or None."""
        if self.statuses and response.status not in self.statuses:
            return False
        if self.header and self.header.lower() not in response.headers:
            return False
        if self.pattern and not re.search(self.pattern, _text(response)):
            return False
        return not self.at or any(self._matches(value) for value in values_at(body, self.at))

    def _matches(self, value: Any) -> bool:
        if not self.codes:
            return bool(value)
        return _as_code(value) in self.codes


_WORDS_AT = (
    "error.message",
    "message",
    "error_description",
    "errors.*.message",
    "errors.*.detail",
    "error.errors.*.message",
    "detail",
    "title",
    "Message",
    "error",
)
_WORDS_LONGEST, _READ_MOST = 200, 4000


def check(
    response: Response,
    *,
    system: str,
    rules: Sequence[Rule] = (),
    record: str = "",
    words_at: Sequence[str] = _WORDS_AT,
    secrets: Iterable[str] = (),
) -> None:
    """Raise what an answer means, or return where it is a success.

    `rules` come first, in order; then the status decides. `record` names what the request was
    about, as people know it ("job 4711"), or is "" for the account or scope as a whole: a 404
    or 403 then concerns the configuration. `words_at` are the places of the vendor's words.
    """
    body = _json(response)
    rule = next((rule for rule in rules if rule.holds(response, body)), None)
    rule = rule or _by_status(response.status, bool(record))
    if rule is None:
        return
    found = _words(body, words_at, secrets) or _page_words(response, secrets)
    says = _sentence(rule.says, system, record, found)
    says = f"{says} [{response.status}]."
    if issubclass(rule.raises, RetryLater):
        raise rule.raises(says, _after(response))
    raise rule.raises(says)


def _sentence(pattern: str, system: str, record: str, words: str) -> str:
    says = pattern.format(system=system, record=record or "this").rstrip(".")
    if pattern.startswith("{record}"):
        says = says[:1].upper() + says[1:]
    return f'{says}. It says: "{words}"' if words else says


def _after(response: Response) -> timedelta | None:
    return retry_after(
        response.headers.get("retry-after"), now=utc_now(), date=response.headers.get("date")
    )


_REFUSED = Rule(HoldRecord, "{system} refuses {record}; change it and it is sent again by itself.")
_FOR_RECORDS = {
    403: Rule(
        HoldRecord, "{system} does not let this account do that with {record}; ask its admin."
    ),
    404: Rule(Gone, "{system} does not have {record} any more."),
    409: Rule(Replan, "{record} was changed in {system} meanwhile; it is read and planned again."),
    410: Rule(Gone, "{system} does not have {record} any more."),
    412: Rule(Replan, "{record} was changed in {system} meanwhile; it is read and planned again."),
    413: Rule(HoldRecord, "{record} is too large for {system}; shorten it."),
}
_FOR_SCOPES = {
    403: Rule(GiveUp, "{system} does not let this account read or write here; ask its admin."),
    404: Rule(GiveUp, "{system} knows nothing at this address; check the account's settings."),
    410: Rule(StartOver, "{system} does not keep that place any more; all is read again."),
}
_FOR_ALL = {
    401: Rule(SignIn, "{system} does not accept the sign-in any more; sign in again."),
    402: Rule(GiveUp, "{system} wants another plan for this; see its subscription."),
    405: Rule(GiveUp, "{system} cannot do what was asked at this address; check it."),
    423: Rule(RetryLater, "{record} is locked in {system}; it is tried again by itself."),
    425: Rule(RetryLater, "{system} is not ready; it is tried again by itself."),
    429: Rule(RetryLater, "{system} asked for a pause; it is asked again after that."),
    501: Rule(GiveUp, "{system} cannot do what was asked at this address; check it."),
    507: Rule(GiveUp, "The store of {system} is full; make room there."),
}
_NOT_TAKEN = Rule(
    HoldRecord, "{system} does not take what it was asked here; check the account's settings."
)
_FAILED = Rule(RetryLater, "{system} had a failure of its own; it is tried again by itself.")
_ELSEWHERE = Rule(GiveUp, "{system} points to another address; check the account's settings.")


def _by_status(status: int, about_record: bool) -> Rule | None:
    own = (_FOR_RECORDS if about_record else _FOR_SCOPES).get(status) or _FOR_ALL.get(status)
    if own is not None:
        return own
    match status // 100:
        case 2:
            return None
        case 4:
            return _REFUSED if about_record else _NOT_TAKEN
        case 5:
            return _FAILED
    return _ELSEWHERE


def values_at(body: Any, path: str) -> Iterator[Any]:
    """Yield the values at a dotted path of a decoded JSON body; `*` is each item of a list."""
    if not path:
        yield body
        return
    name, _, rest = path.partition(".")
    if name == "*" and isinstance(body, list):
        for item in body:
            yield from values_at(item, rest)
    elif isinstance(body, dict) and name in body:
        yield from values_at(body[name], rest)


def _as_code(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _json(response: Response) -> Any:
    try:
        return msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _text(response: Response) -> str:
    return response.body[:65536].decode("utf-8", "replace")


def _words(body: Any, places: Sequence[str], secrets: Iterable[str]) -> str:
    """Return the vendor's words as one short line without secrets."""
    for place in places:
        for value in values_at(body, place):
            if isinstance(value, str) and value.strip():
                return _line(value, secrets)
    return ""


def _page_words(response: Response, secrets: Iterable[str]) -> str:
    """Return what a web page says that came in place of an error in the vendor's own form."""
    if response.content_type != "text/html":
        return ""
    page = re.sub(r"(?is)<(head|style|script)\b.*?</\1\s*>", " ", _text(response)[:_READ_MOST])
    return _line(html_to_text(page), secrets)


def _line(text: str, secrets: Iterable[str]) -> str:
    line = " ".join(redact(text[:_READ_MOST], secrets).split())
    return line if len(line) <= _WORDS_LONGEST else line[:_WORDS_LONGEST] + "…"


# Where a success carries a failure: rules that several vendors share.
GRAPHQL_THROTTLED = Rule(
    RetryLater,
    "{system} asked for a pause; it is asked again after that.",
    at="errors.*.extensions.code",
    codes=frozenset({"THROTTLED", "COMPLEXITY_BUDGET_EXHAUSTED", "DAILY_LIMIT_EXCEEDED"}),
)
GRAPHQL_FAILED = Rule(_REFUSED.raises, _REFUSED.says, at="errors")
NOT_SUCCESSFUL = Rule(_REFUSED.raises, _REFUSED.says, at="success", codes=frozenset({"false"}))
NOT_OK = Rule(_REFUSED.raises, _REFUSED.says, at="ok", codes=frozenset({"false"}))

__all__ = [
    "GRAPHQL_FAILED",
    "GRAPHQL_THROTTLED",
    "NOT_OK",
    "NOT_SUCCESSFUL",
    "Rule",
    "check",
    "values_at",
]
