"""Transforms: named functions that bring a value into the form that the target should show.

Each takes the value, and its settings by name; the docstrings are the reference. A project of
your own adds some by the entry point group `truckroll.transforms`.
"""

import html
import re

from truckroll.model.records import Address, Contact, Value, as_text

_TAG = re.compile(r"<[^>]*>")
_BREAK = re.compile(r"<\s*(?:br|/p|/div|/li|/tr|/h[1-6])\b[^>]*>", re.IGNORECASE)
_DROPPED = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)


def one_line_address(value: Address) -> str:
    """Write an address as people do in one line: street, city, state and postal code."""
    return value.one_line()


def one_line_contact(value: Contact) -> str:
    """Write a contact in one line: name, phone and mail address, with dots between them."""
    return value.one_line()


def phone_only(value: Contact) -> str:
    """Keep of a contact the phone number alone."""
    return value.phone


def sentence(value: tuple[str, ...], *, last: str = "and") -> str:
    """Join a list as people say it: "Ana, Ben and Chu". `last` is the word before the last."""
    if len(value) < 2:  # noqa: PLR2004 -- one entry needs no joining word
        return "".join(value)
    return f"{', '.join(value[:-1])} {last} {value[-1]}"


def prefix(value: Value, *, text: str) -> str:
    """Put `text` before a value that is not empty: "Bring: " and the materials."""
    shown = as_text(value)
    return f"{text}{shown}" if shown else ""


def suffix(value: Value, *, text: str) -> str:
    """Put `text` after a value that is not empty."""
    shown = as_text(value)
    return f"{shown}{text}" if shown else ""


def first_line(value: str) -> str:
    """Keep the first line that is not empty."""
    return next((line.strip() for line in value.splitlines() if line.strip()), "")


def one_line(value: str) -> str:
    """Bring a text into one line: line breaks and runs of spaces become one space."""
    return " ".join(value.split())


def shorten(value: str, *, length: int) -> str:
    """Cut a text after `length` characters at the end of a word, and say so by an ellipsis."""
    if len(value) <= length:
        return value
    cut = value[: max(length - 1, 0)]
    word, space, _ = cut.rpartition(" ")
    return f"{(word if space else cut).rstrip()}…"


def strip_html(value: str) -> str:
    """Turn HTML into plain text: paragraphs become lines, entities characters."""
    text = _TAG.sub("", _BREAK.sub("\n", _DROPPED.sub("", value)))
    lines = (" ".join(line.split()) for line in html.unescape(text).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def first_name(value: str) -> str:
    """Keep the given name: "Ana Ruiz" and "Ruiz, Ana" both become "Ana"."""
    family, comma, given = value.partition(",")
    words = (given if comma else family).split()
    return words[0] if words else ""


def initials(value: str) -> str:
    """Keep the first letter of each word of a name: "Ana Ruiz" becomes "AR"."""
    return "".join(word[0].upper() for word in value.split())


def upper(value: str) -> str:
    """Write everything in capitals."""
    return value.upper()


def lower(value: str) -> str:
    """Write everything in small letters."""
    return value.lower()


def capital(value: str) -> str:
    """Write the first letter as a capital and leave the rest as it is."""
    return value[:1].upper() + value[1:]


def opposite(value: bool) -> bool:
    """Turn yes into no and no into yes: a system's "free" is our "busy" the other way round."""
    return not value


TRANSFORMS = {
    call.__name__: call
    for call in (
        capital,
        first_line,
        first_name,
        initials,
        lower,
        one_line,
        one_line_address,
        one_line_contact,
        opposite,
        phone_only,
        prefix,
        sentence,
        shorten,
        strip_html,
        suffix,
        upper,
    )
}
