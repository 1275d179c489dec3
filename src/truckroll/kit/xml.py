"""XML and JSON from strangers, read within limits."""

from typing import Any, TypeVar
from xml.etree.ElementTree import (
    Element,
    SubElement,
    TreeBuilder,
    register_namespace,
    tostring,
)

import msgspec
from defusedxml.common import DefusedXmlException, DTDForbidden
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from truckroll.kit.errors import GiveUp, RetryLater

DAV = "DAV:"
CALDAV = "urn:ietf:params:xml:ns:caldav"
CALENDARSERVER = "http://calendarserver.org/ns/"
for _prefix, _space in (("D", DAV), ("C", CALDAV), ("CS", CALENDARSERVER)):
    register_namespace(_prefix, _space)

_T = TypeVar("_T")


class XmlLimits(msgspec.Struct, frozen=True):
    """Bounds on one XML text: its bytes, how deep elements nest, and how many there are."""

    text_bytes: int = 64 * 1024 * 1024
    depth: int = 64
    elements: int = 2_000_000


XML_LIMITS = XmlLimits()


class _TooMuchError(Exception):
    """The text passes a limit."""


class _BoundedBuilder(TreeBuilder):
    """Counts elements and depth as they come, before the tree has grown."""

    def __init__(self, limits: XmlLimits) -> None:
        super().__init__()
        self._limits = limits
        self._depth = self._elements = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth > self._limits.depth or self._elements > self._limits.elements:
            raise _TooMuchError
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def read_xml(body: bytes, system: str, limits: XmlLimits = XML_LIMITS) -> Element:
    """Return the root of an XML text from a system.

    Document types, entities and outside references are refused, as is what passes a limit
    (GiveUp); a text that is cut off or malformed raises RetryLater.
    """
    if len(body) > limits.text_bytes:
        raise _harmful(system)
    parser = DefusedXMLParser(target=_BoundedBuilder(limits), forbid_dtd=True)
    try:
        parser.feed(body)
        root = parser.close()
    except DTDForbidden as error:
        if str(error.name).lower() != "html":
            raise _harmful(system) from None
        raise RetryLater(
            f"{system} answered with a web page where XML was expected; nothing was taken from "
            "it, and it is asked for again."
        ) from None
    except (DefusedXmlException, _TooMuchError):
        raise _harmful(system) from None
    except (ParseError, ValueError, LookupError):
        raise RetryLater(
            f"{system} sent an answer that is cut off or no proper XML; "
            "nothing was taken from it, and it is asked for again."
        ) from None
    if not isinstance(root, Element):
        raise RetryLater(f"{system} sent an empty answer; it is asked for again.")
    return root


def _harmful(system: str) -> GiveUp:
    return GiveUp(
        f"{system} sent XML that is larger, deeper or trickier than any calendar needs. "
        "It was not read. Check that the address is the right server's."
    )


def element(tag: str, *children: Element | str, space: str = DAV, **attributes: str) -> Element:
    """Return an element of a namespace with children and text, for requests."""
    made = Element(f"{{{space}}}{tag}", attributes)
    for child in children:
        if isinstance(child, str):
            made.text = (made.text or "") + child
        else:
            made.append(child)
    return made


def write_xml(root: Element) -> bytes:
    """Return an element as an XML text in UTF-8 with its declaration."""
    data: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def read_json(body: bytes, system: str, shape: type[_T] | Any = Any) -> _T | Any:
    """Return a JSON text from a system, decoded into `shape` (a msgspec type).

    Raises RetryLater where it is cut off, not JSON, not UTF-8, nested too deep, or of another
    shape than the one asked for; the sentence names the place.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except RecursionError:
        raise RetryLater(
            f"{system} sent data nested deeper than any record is; it was not read."
        ) from None
    except msgspec.ValidationError as error:
        raise RetryLater(
            f"{system} sent data in another form than it describes: {error}. Nothing was taken "
            "from it, and it is asked for again."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RetryLater(
            f"{system} sent an answer that is cut off or no proper JSON; "
            "nothing was taken from it, and it is asked for again."
        ) from None


__all__ = [
    "CALDAV",
    "CALENDARSERVER",
    "DAV",
    "XML_LIMITS",
    "Element",
    "SubElement",
    "XmlLimits",
    "element",
    "read_json",
    "read_xml",
    "write_xml",
]
