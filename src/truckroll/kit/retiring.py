"""What an answer's headers say about the end of what was called."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

_LINK = re.compile(r"<([^<>]*)>\s*;([^,<]*(?:\"[^\"]*\"[^,<]*)*)")
_RELATION = re.compile(r"\brel\s*=\s*\"?([^\";]*)", re.IGNORECASE)


class Retiring(msgspec.Struct, frozen=True):
    """That a system will stop to serve what was called.

    `deprecated_at` and `sunset_at` are aware UTC, None where it does not say when; `more` is an
    address to read on, or "".
    """

    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None
    more: str = ""


def retiring(headers: Mapping[str, str], *, now: datetime) -> Retiring | None:
    """Return what an answer says about its end, None where it says nothing.

    `headers` are by lower-case name. Deprecation is a structured date, `@` and seconds
    (RFC 9745 section 2.1); its drafts had an HTTP date or `true`, which counts as `now`. Sunset
    is an HTTP date (RFC 8594 section 3). Links of the relations `deprecation` (RFC 9745
    section 3) and `sunset` (RFC 8594 section 6) tell more.
    """
    deprecation, sunset = headers.get("deprecation", "").strip(), headers.get("sunset", "").strip()
    if not (deprecation or sunset):
        return None
    at = _structured(deprecation) or _http_date(deprecation)
    if at is None and deprecation.lower() in {"true", "?1"}:
        at = now
    end = _http_date(sunset)
    if at is None and end is None:
        return None
    return Retiring(at, end, _more(headers.get("link", "")))


def _structured(text: str) -> datetime | None:
    if not text.startswith("@"):
        return None
    try:
        return datetime.fromtimestamp(int(text[1:]), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _http_date(text: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _more(links: str) -> str:
    for relation in ("deprecation", "sunset"):
        for address, parameters in _LINK.findall(links):
            found = _RELATION.search(parameters)
            if found and relation in found[1].lower().split() and address.startswith("http"):
                return str(address)
    return ""
