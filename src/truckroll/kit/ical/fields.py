"""The properties of a VEVENT that stand for one field each, read and put.

An object is read whole: a text property that is not there is None (unknown), one that is there
and empty is "" (cleared). TRANSP and CLASS have defaults (RFC 5545 sections 3.8.2.7, 3.8.1.3),
STATUS has none and is left out. ATTACH and URL are text: nothing is ever fetched.
"""

import re

from truckroll.kit.ical.lines import (
    Component,
    Line,
    escape,
    make_line,
    split_texts,
)
from truckroll.model.records import Address, Contact, Value, same

MARK = "X-TRUCKROLL-LINK"
ZONE = "X-TRUCKROLL-ZONE"
_STATUS = {"TENTATIVE": "tentative", "CONFIRMED": "confirmed", "CANCELLED": "cancelled"}
_TEXTS = {"title": "SUMMARY", "notes": "DESCRIPTION", "location": "LOCATION", "contact": "CONTACT"}
# What says the same again in another form, and would contradict a new value.
_TWINS = {
    "location": ("GEO", "X-APPLE-STRUCTURED-LOCATION", "X-MICROSOFT-LOCATIONS"),
    "notes": ("X-ALT-DESC", "STYLED-DESCRIPTION"),
    "busy": ("X-MICROSOFT-CDO-BUSYSTATUS", "X-MICROSOFT-CDO-INTENDEDSTATUS"),
}
_UNSAFE = re.compile(r"[\s\x00-\x1f\x7f]+")
WRITTEN = frozenset({*_TEXTS, "status", "busy", "private", "category", "link"})


def read_fields(part: Component) -> dict[str, Value]:
    """Return the fields of a VEVENT but for its times."""
    location, contact = part.text("LOCATION"), part.text("CONTACT")
    url, categories = part.line("URL"), part.line("CATEGORIES")
    fields: dict[str, Value] = {
        "title": part.text("SUMMARY"),
        "notes": part.text("DESCRIPTION"),
        "location": None if location is None else Address(text=location),
        "contact": None if contact is None else Contact(name=contact),
        "busy": _word(part, "TRANSP") != "TRANSPARENT",
        "private": _word(part, "CLASS") in {"PRIVATE", "CONFIDENTIAL"},
        "category": None,
        "link": url.value.strip() if url else None,
    }
    if categories is not None:
        fields["category"] = next(iter(split_texts(categories.value)), "").strip()
    status = _STATUS.get(_word(part, "STATUS"))
    if status is not None:
        fields["status"] = status
    return fields


def _word(part: Component, name: str) -> str:
    line = part.line(name)
    return "" if line is None else line.value.strip().upper()


def put_field(part: Component, name: str, value: Value) -> None:
    """Set the property of one field; None and empty take it out. Twins that lie go with it."""
    part.drop(*_TWINS.get(name, ()))
    if name == "category":
        _put_category(part, str(value or ""))
        return
    line = _line(name, value)
    if line is not None:
        part.put(line)
    else:
        part.drop(_property(name))


def _property(name: str) -> str:
    other = {"status": "STATUS", "busy": "TRANSP", "private": "CLASS", "link": "URL"}
    return _TEXTS.get(name) or other[name]


def _line(name: str, value: Value) -> Line | None:
    if value is None:
        return None
    if name == "busy":
        return make_line("TRANSP", "OPAQUE" if value else "TRANSPARENT")
    if name == "private":
        return make_line("CLASS", "PRIVATE" if value else "PUBLIC")
    if isinstance(value, Address | Contact):
        value = value.one_line()
    text = str(value)
    if not text:
        return None
    if name == "status":
        return make_line("STATUS", status_word(text))
    if name == "link":  # a URI, not a TEXT: nothing in it may end the line
        return make_line("URL", _UNSAFE.sub("%20", text.strip()))
    return make_line(_property(name), escape(text))


def status_word(status: str) -> str:
    """Return the STATUS of a visit: what is neither tentative nor cancelled is confirmed."""
    return {"tentative": "TENTATIVE", "cancelled": "CANCELLED"}.get(status, "CONFIRMED")


def _put_category(part: Component, text: str) -> None:
    """Set the first category; a person's other ones stay."""
    line = part.line("CATEGORIES")
    others = split_texts(line.value)[1:] if line else []
    names = [text, *others] if text else others
    rest = part.lines("CATEGORIES")[1:]
    value = ",".join(map(escape, names))
    if value:
        part.put(make_line("CATEGORIES", value))
    else:
        part.drop("CATEGORIES")
    place = next((n for n, item in enumerate(part.items) if _is(item, "CATEGORIES")), None)
    at = len(part.lines()) if place is None else place + 1
    part.items[at:at] = rest


def _is(item: object, name: str) -> bool:
    return isinstance(item, Line) and item.name == name


def same_stored(name: str, a: Value, b: Value) -> bool:
    """Tell whether two values of a field are written alike."""
    if same(a, b):
        return True
    if name == "category":
        return (a or "") == (b or "")
    one, other = _line(name, a), _line(name, b)
    if one is None or other is None:
        return one is other
    return one.value == other.value
