"""WebDAV in both directions, pure: request bodies, multistatus answers, hrefs.

Sources: RFC 4918 (multistatus), RFC 6578 (sync-collection), RFC 4791 (calendar reports). Prefixes
vary between servers, so names are compared with their namespace; absolute hrefs and double
slashes are brought to one form, since servers differ from one answer to the next.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

import msgspec

from truckroll.kit.xml import CALDAV, CALENDARSERVER, DAV, Element, element, read_xml, write_xml

ETAG = f"{{{DAV}}}getetag"
DATA = f"{{{CALDAV}}}calendar-data"
CTAG = f"{{{CALENDARSERVER}}}getctag"

_SAFE = "~!$&'()*+,;=:@-._"  # what RFC 3986 lets stand in a path segment
_STATUS = re.compile(r"\s(\d{3})(?:\s|$)")
OK = 200


class Node(msgspec.Struct, frozen=True):
    """One response of a multistatus: its path, and what was said about it.

    `status` is that of the whole response, or None where each property has its own. `props` are
    the properties that were given, `lacks` the names of those that were not.
    """

    path: str
    status: int | None
    props: dict[str, Element]
    lacks: frozenset[str] = frozenset()
    says: frozenset[str] = frozenset()

    def text(self, name: str) -> str | None:
        """Return a property's text, or None where it was not given or is empty."""
        found = self.props.get(name)
        return None if found is None else (found.text or "").strip() or None

    def hrefs(self, name: str) -> tuple[str, ...]:
        """Return the hrefs inside a property, as they were sent."""
        found = self.props.get(name)
        if found is None:
            return ()
        return tuple((href.text or "").strip() for href in found.iter(f"{{{DAV}}}href"))

    def names(self, name: str) -> frozenset[str]:
        """Return the names of the elements inside a property, at any depth."""
        found = self.props.get(name)
        return frozenset() if found is None else frozenset(part.tag for part in found.iter())


class Multistatus(msgspec.Struct, frozen=True):
    """An answer with several statuses; `token` is the sync token at its end."""

    nodes: tuple[Node, ...]
    token: str | None = None


def read_multistatus(body: bytes, system: str) -> Multistatus | None:
    """Return a 207 answer's content, or None where the XML is something else.

    Raises RetryLater where the XML is cut off, GiveUp where it is harmful (kit.xml).
    """
    root = read_xml(body, system)
    if root.tag != f"{{{DAV}}}multistatus":
        return None
    nodes = tuple(
        node for part in root.iterfind(f"{{{DAV}}}response") for node in _response_nodes(part)
    )
    token = root.findtext(f"{{{DAV}}}sync-token")
    return Multistatus(nodes, token.strip() if token else None)


def _response_nodes(part: Element) -> Iterable[Node]:
    props: dict[str, Element] = {}
    lacks: set[str] = set()
    for propstat in part.iterfind(f"{{{DAV}}}propstat"):
        given = _status(propstat) in {OK, None}
        for prop in propstat.iterfind(f"{{{DAV}}}prop"):
            for one in prop:
                if given:
                    props[one.tag] = one
                else:
                    lacks.add(one.tag)
    error = part.find(f"{{{DAV}}}error")
    says = frozenset() if error is None else frozenset(local(one.tag) for one in error)
    # RFC 4918 section 14.24 lets one status stand for several hrefs.
    for href in part.iterfind(f"{{{DAV}}}href"):
        yield Node(path_of((href.text or "").strip()), _status(part), props, frozenset(lacks), says)


def _status(part: Element) -> int | None:
    found = _STATUS.search(part.findtext(f"{{{DAV}}}status") or "")
    return int(found[1]) if found else None


def local(tag: str) -> str:
    """Return an element's name without its namespace."""
    return tag.rpartition("}")[2]


def path_of(href: str) -> str:
    """Return the path of an href, in one spelling: no host, no double slash, escapes alike."""
    # A path may begin with two slashes; read as an address it would be a host.
    raw = urlsplit(href).path if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", href) else href
    path = re.sub(r"/{2,}", "/", raw.split("?", maxsplit=1)[0])
    return "/".join(quote(unquote(part), safe=_SAFE) for part in path.split("/"))


def id_of(collection: str, path: str) -> str:
    """Return a record's id: its name inside the collection, or its path where it lies outside.

    The name is unescaped, so that it reads as people named it; `path_for` escapes it again.
    """
    name = path.removeprefix(collection)
    if name == path or "/" in name:
        return path
    return unquote(name)


def path_for(collection: str, id_: str) -> str:
    """Return the path of a record's id; the inverse of `id_of`."""
    return id_ if id_.startswith("/") else collection + quote(id_, safe=_SAFE)


def _prop(*names: str) -> Element:
    return element("prop", *(Element(name) for name in names))


def propfind(*names: str) -> bytes:
    """Return the body of a PROPFIND that names its properties.

    iCloud leaves resourcetype out of `allprop`, so every property is named (sheet, section 14).
    """
    return write_xml(element("propfind", _prop(*names)))


def sync_collection(token: str, *, inline: bool) -> bytes:
    """Return the body of a sync-collection REPORT (RFC 6578 section 3.2).

    `inline` asks for the content with the changes; servers that cannot leave it out.
    """
    wanted = (ETAG, DATA) if inline else (ETAG,)
    return write_xml(
        element(
            "sync-collection",
            element("sync-token", token),
            element("sync-level", "1"),
            _prop(*wanted),
        )
    )


def multiget(paths: Iterable[str]) -> bytes:
    """Return the body of a calendar-multiget REPORT (RFC 4791 section 7.9)."""
    hrefs = (element("href", path) for path in paths)
    return write_xml(element("calendar-multiget", _prop(ETAG, DATA), *hrefs, space=CALDAV))


def query(*, inline: bool) -> bytes:
    """Return the body of a calendar-query REPORT over all events, with no window of time."""
    event = element("comp-filter", space=CALDAV, name="VEVENT")
    calendar = element("comp-filter", event, space=CALDAV, name="VCALENDAR")
    wanted = (ETAG, DATA) if inline else (ETAG,)
    body = element(
        "calendar-query", _prop(*wanted), element("filter", calendar, space=CALDAV), space=CALDAV
    )
    return write_xml(body)
