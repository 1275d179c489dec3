"""How systems store what they are sent: named normalisations.

`stored(how, value)` is the form in which a system keeps a value. A reply that differs from what
was sent is accepted only if a normalisation named here explains it.
"""

import hashlib
import html
import re
import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import msgspec

from truckroll.model.records import (
    STATUSES,
    Address,
    Contact,
    Fields,
    Occurrence,
    Occurrences,
    Value,
    encode_fields,
    same,
)
from truckroll.model.time import Timed


class Stored(msgspec.Struct, frozen=True):
    """How a system stores one field: the declared normalisations.

    `limit` cuts a text after so many characters. `trim` takes blanks off both ends. `as_text`
    keeps of an address or contact only its one-line text. `plain` drops HTML to text. `lower`
    makes small letters. `no_emoji` drops emoji. `minutes` rounds times down to whole minutes.
    `omits_empty` keeps no empty value: it is read back as unknown (None). `default` is what a
    system shows where it holds nothing: to it, nothing and that value are one. `words` are pairs:
    the first word is kept as the second (a system with fewer statuses). `always` says that the
    system holds something there whatever is sent: an empty value leaves what it is.

    They are applied in the order words, as_text, plain, no_emoji, lower, trim, limit, trim,
    minutes, omits_empty, default; to each part of an address or contact and to each item of a
    list.
    """

    limit: int | None = None
    trim: bool = False
    as_text: bool = False
    plain: bool = False
    lower: bool = False
    no_emoji: bool = False
    minutes: bool = False
    omits_empty: bool = False
    default: str | None = None
    words: tuple[tuple[str, str], ...] = ()
    always: bool = False

    @property
    def lossy(self) -> bool:
        """Whether some value does not survive being stored."""
        return self != LOSSLESS


LOSSLESS = Stored()
# Calendars know three statuses of an event (RFC 5545 section 3.8.1.11; Google's schema Event): a
# visit that goes on is a confirmed one, and so is an event of which none says anything (Google's
# schema Event: "This is the default status"; RFC 5545 names no other meaning of its absence).
EVENT_STATUS = Stored(
    words=tuple(
        (status, "confirmed")
        for status in STATUSES
        if status not in {"tentative", "confirmed", "cancelled"}
    ),
    default="confirmed",
)


def content_version(fields: Fields, mark: str | None) -> str:
    """Return a version for a record whose system has none: a digest of what the hub reads."""
    told = encode_fields(dict(sorted(fields.items()))) + (mark or "").encode()
    return hashlib.blake2b(told, digest_size=12).hexdigest()


def stored(how: Stored, value: Value) -> Value:
    """Return the form in which a system that stores like `how` keeps `value`.

    Storing what is stored already changes nothing.
    """
    if how is LOSSLESS:
        return value
    if isinstance(value, str):
        value = dict(how.words).get(value, value)
    if how.as_text and isinstance(value, Address):
        value = Address(text=value.one_line())
    elif how.as_text and isinstance(value, Contact):
        value = Contact(name=value.one_line())
    if how.limit or how.trim or how.plain or how.lower or how.no_emoji:
        value = _over_texts(value, lambda text: _stored_text(how, text))
    if how.minutes:
        value = _floored(value)
    if _empty(value) and (how.omits_empty or how.default is not None):
        return how.default
    return value


def is_stored(how: Stored, value: Value, shown: Value) -> bool:
    """Tell whether what a system shows is what it makes of a value."""
    return same(stored(how, value), shown) or (how.always and _empty(value) and not _empty(shown))


def _over_texts(value: Value, change: Callable[[str], str]) -> Value:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(change(item) for item in value)
    if isinstance(value, Address | Contact):
        parts = msgspec.structs.asdict(value)
        texts = {name: change(part) for name, part in parts.items() if isinstance(part, str)}
        return msgspec.structs.replace(value, **texts)
    return value


def _stored_text(how: Stored, text: str) -> str:
    """Apply the text rules until they change nothing: one may make work for another."""
    while True:
        before = text
        if how.plain:
            text = html_to_text(text)
        if how.no_emoji:
            text = without_emoji(text)
        if how.lower:
            text = text.lower()
        if how.trim:
            text = text.strip()
        text = text[: how.limit]
        if how.trim:
            text = text.strip()
        if text == before:
            return text


_MARKUP = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*|!--)[^<>]*>")
_BLOCKS = frozenset({"p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"})
_UNSEEN = frozenset({"script", "style"})


def html_to_text(text: str) -> str:
    """Return the words of an HTML text: tags dropped, breaks as lines, entities as characters.

    Text without HTML comes back unchanged. Runs in linear time on any input.
    """
    words: list[str] = []
    at, unseen = 0, ""
    for tag in _MARKUP.finditer(text):
        closing, name = bool(tag[1]), tag[2].lower()
        if not unseen:
            words.append(text[at : tag.start()])
            if name == "br" or (closing and name in _BLOCKS):
                words.append("\n")
            elif name in _UNSEEN and not closing:
                unseen = name
        elif closing and name == unseen:
            unseen = ""
        at = tag.end()
    if not unseen:
        words.append(text[at:])
    return html.unescape("".join(words)).replace("\xa0", " ")


_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\U000e0020-\U000e007f][\ufe0f\u200d\U0001f3fb-\U0001f3ff]*"
    "|[\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff]\ufe0f\u200d?"
)


def without_emoji(text: str) -> str:
    """Return a text without emoji, their skin tones and joiners."""
    return _EMOJI.sub("", text)


def _floored(value: Value, step_seconds: int = 60) -> Value:
    """Round start and end of a visit down; also those of a series' exceptions."""
    if isinstance(value, Timed):
        start = _floor(value.start, step_seconds)
        lost = (value.start - start).seconds
        seconds = (lost + value.seconds) // step_seconds * step_seconds
        return msgspec.structs.replace(value, start=start, seconds=seconds)
    if isinstance(value, Occurrences):
        return Occurrences(
            {_floored_key(k, step_seconds): _floored_one(v) for k, v in value.by_start.items()}
        )
    return value


def _floored_one(one: Occurrence) -> Occurrence:
    return msgspec.structs.replace(
        one, fields={name: _floored(value) for name, value in one.fields.items()}
    )


def _floored_key(key: str, step_seconds: int) -> str:
    try:
        start = datetime.fromisoformat(key)
    except ValueError:
        return key
    return _floor(start, step_seconds).isoformat() if "T" in key else key


def _floor(at: datetime, step_seconds: int) -> datetime:
    return at - timedelta(seconds=at.second % step_seconds, microseconds=at.microsecond)


def _empty(value: Value) -> bool:
    if isinstance(value, Address | Contact):
        return value == type(value)()
    return value is None or value in ("", ()) or value == Occurrences({})


def explains(sent: Value, back: Value) -> str | None:
    """Return the name of the normalisation that turns `sent` into `back`, or None.

    Equal values are explained by "same", nothing of another sort ("" and None) by "empty". The
    other names are those of TEXT_FORMS, "text form" for several of them at once, "one line",
    "parts", "order" and "rounded".
    """
    if same(sent, back):
        return "same"
    if _empty(sent) and _empty(back):
        return "empty"
    if back is None and isinstance(sent, str):
        back = ""
    for sort, how in _SORTS:
        if isinstance(sent, sort) and isinstance(back, sort):
            return how(sent, back)
    return _explains_place(sent, back)


def line_ends(sent: str, back: str) -> bool:
    """Tell whether only line ends differ: CRLF, CR, LF, one at the very end."""
    return _lines(sent) == _lines(back)


def trimmed(sent: str, back: str) -> bool:
    """Tell whether blanks at both ends and before line ends were dropped."""
    return _trim(sent) == _trim(back)


def spaces(sent: str, back: str) -> bool:
    """Tell whether runs of blanks and line ends became one blank."""
    return sent.split() == back.split()


def unicode_form(sent: str, back: str) -> bool:
    """Tell whether the characters are the same, composed or decomposed (NFC, NFD)."""
    return unicodedata.normalize("NFC", sent) == unicodedata.normalize("NFC", back)


def case(sent: str, back: str) -> bool:
    """Tell whether only small and capital letters differ."""
    return sent.casefold() == back.casefold()


def cut(sent: str, back: str) -> bool:
    """Tell whether a text was truncated to a prefix, dots in place of the rest or not."""
    kept = _trim(re.sub(r"(?:…|\.\.\.)$", "", back))
    return bool(kept) and _trim(sent).startswith(kept)


def html_form(sent: str, back: str) -> bool:
    """Tell whether HTML was dropped to text, or text was wrapped in HTML."""
    return html_to_text(sent).split() in (back.split(), html_to_text(back).split())


def emoji_lost(sent: str, back: str) -> bool:
    """Tell whether emoji were dropped, or became question marks or replacement characters."""
    if without_emoji(sent) == sent:
        return False
    plain = without_emoji(back).split()
    return any(
        pattern.sub(mark, sent).split() == plain
        for pattern in (_EMOJI, _ASTRAL)
        for mark in ("", "?", "??", "\ufffd")
    )


def phone_form(sent: str, back: str) -> bool:
    """Tell whether a telephone number is the same but for punctuation, country code, zero."""
    if not (_PHONE.fullmatch(sent) and _PHONE.fullmatch(back)):
        return False
    short, long = sorted((_digits(sent), _digits(back)), key=len)
    prefix = len(long) - len(short)
    return len(short) >= _PHONE_DIGITS and long.endswith(short) and prefix <= _COUNTRY_DIGITS


TEXT_FORMS: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
    ("line ends", line_ends),
    ("trimmed", trimmed),
    ("spaces", spaces),
    ("unicode form", unicode_form),
    ("case", case),
    ("phone form", phone_form),
    ("html", html_form),
    ("emoji lost", emoji_lost),
    ("cut", cut),
)
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_PHONE = re.compile(r"\+?[\d\s()./-]{5,30}")
_PHONE_DIGITS, _COUNTRY_DIGITS = 7, 3


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text).lstrip("0")


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _trim(text: str) -> str:
    return "\n".join(line.rstrip() for line in _lines(text).split("\n")).strip()


def _explains_text(sent: str, back: str) -> str | None:
    for name, form in TEXT_FORMS:
        if form(sent, back):
            return name
    # What is a tag to one is none to another: small letters may make one of a bracketed word.
    for whole, kept in product(_bare(sent), _bare(back)):
        if whole == kept or (kept and whole.startswith(kept)):
            return "text form"
    return None


def _bare(text: str) -> tuple[str, str]:
    """Return what is left of a text without all that systems change, HTML dropped and not."""
    return _bared(text, plain=True), _bared(text, plain=False)


def _bared(text: str, *, plain: bool) -> str:
    plain_text = _stored_text(Stored(plain=plain, no_emoji=True), text)
    return unicodedata.normalize("NFD", " ".join(plain_text.casefold().split()))


def _explains_list(sent: tuple[str, ...], back: tuple[str, ...]) -> str | None:
    if len(sent) != len(back):
        return None
    if sorted(sent) == sorted(back):
        return "order"
    each = [explains(a, b) for a, b in zip(sent, back, strict=True)]
    return "parts" if all(each) else None


def _explains_time(sent: Timed, back: Timed) -> str | None:
    near = msgspec.structs.replace(sent, start=sent.start + timedelta(seconds=30))
    forms = (_floored(sent, 1), _floored(sent), _floored(near))
    return "rounded" if any(same(form, back) for form in forms) else None


def _explains_occurrences(sent: Occurrences, back: Occurrences) -> str | None:
    floored = _floored(sent)
    if not isinstance(floored, Occurrences) or floored.by_start.keys() != back.by_start.keys():
        return None
    for key, one in floored.by_start.items():
        other = back.by_start[key]
        if one.cancelled != other.cancelled or one.fields.keys() != other.fields.keys():
            return None
        if not all(explains(value, other.fields[name]) for name, value in one.fields.items()):
            return None
    return "parts"


_SORTS: tuple[tuple[type, Callable[[Any, Any], str | None]], ...] = (
    (str, _explains_text),
    (tuple, _explains_list),
    (Timed, _explains_time),
    (Occurrences, _explains_occurrences),
)


def _explains_place(sent: Value, back: Value) -> str | None:
    """Explain addresses and contacts: part by part, or by their text in one line."""
    if not isinstance(sent, Address | Contact):
        return None
    if type(sent) is type(back):
        ours, theirs = msgspec.structs.asdict(sent), msgspec.structs.asdict(back)
        if all(explains(part, theirs[name]) for name, part in ours.items()):
            return "parts"
    line = back.one_line() if isinstance(back, Address | Contact) else back
    if line is None:
        line = ""
    if not isinstance(line, str):
        return None
    return "one line" if explains(sent.one_line(), line) else None
