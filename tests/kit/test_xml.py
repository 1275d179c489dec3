import pytest

from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.kit.xml import DAV, XmlLimits, element, read_json, read_xml, write_xml

BILLION = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(
        b'<!ENTITY lol%d "%s">' % (n, b"&lol%d;" % (n - 1) * 10 if n > 1 else b"&lol;" * 10)
        for n in range(1, 10)
    )
    + b"]><lolz>&lol9;</lolz>"
)
XXE = b'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r>&x;</r>'
OUTSIDE_DTD = b'<?xml version="1.0"?><!DOCTYPE r SYSTEM "http://127.0.0.1/x.dtd"><r/>'


def test_a_multistatus_is_read():
    body = b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>/a</D:href></D:response></D:multistatus>'
    root = read_xml(body, "Radicale")
    assert root.tag == f"{{{DAV}}}multistatus"
    assert root.findtext(f".//{{{DAV}}}href") == "/a"


@pytest.mark.fault("F66")
@pytest.mark.parametrize("body", [BILLION, XXE, OUTSIDE_DTD], ids=["bomb", "xxe", "dtd"])
def test_entities_and_document_types_are_refused(body):
    with pytest.raises(GiveUp, match="It was not read"):
        read_xml(body, "Radicale")


@pytest.mark.fault("F66")
@pytest.mark.parametrize(
    "body",
    [
        b"<a>" * 100_000 + b"</a>" * 100_000,
        b"<a>" + b"<b/>" * 2000 + b"</a>",
        b"<a>" + b"x" * 20000,
    ],
    ids=["deep", "many", "long"],
)
def test_what_passes_a_limit_is_refused(body):
    limits = XmlLimits(text_bytes=1_000_000 if b"x" not in body else 10_000, elements=1000)
    with pytest.raises(GiveUp):
        read_xml(body, "Radicale", limits)


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a><b></a>",
        b"<a>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"<!doctype html><html>",
    ],
)
def test_a_broken_text_is_asked_for_again(body):
    with pytest.raises((RetryLater, GiveUp)):
        read_xml(body, "Radicale")


def test_a_request_is_written_with_its_prefixes():
    body = write_xml(element("propfind", element("prop", element("getetag"))))
    assert b'<D:propfind xmlns:D="DAV:"><D:prop><D:getetag /></D:prop></D:propfind>' in body
    assert read_xml(body, "x").tag == "{DAV:}propfind"


def test_text_in_a_request_is_escaped():
    assert write_xml(element("href", "/a&<b>")).endswith(b">/a&amp;&lt;b&gt;</D:href>")


@pytest.mark.fault("F66")
@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000]
)
def test_deep_json_is_refused(text):
    with pytest.raises(RetryLater):
        read_json(text, "Google")


@pytest.mark.fault("F23")
@pytest.mark.parametrize("text", [b'{"items": [1, 2', b"<html>", b'"\xff"', b""])
def test_broken_json_is_asked_for_again(text):
    with pytest.raises(RetryLater, match="cut off or no proper JSON"):
        read_json(text, "Google")


def test_json_of_another_shape_names_the_place():
    with pytest.raises(RetryLater, match=r"\$\['a'\]|\$\[\.\.\.\]"):
        read_json(b'{"a": "x"}', "Google", dict[str, int])
    assert read_json(b'{"a": 1}', "Google", dict[str, int]) == {"a": 1}
