"""WebDAV answers, as servers really spell them."""

import pytest

from truckroll.connectors.caldav import dav
from truckroll.connectors.caldav.dav import DATA, ETAG
from truckroll.kit.errors import GiveUp, RetryLater

SHEET = b"""<D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:response>
<D:href>/1234567890/calendars/work/V-99120.ics</D:href><D:propstat><D:prop>
<D:getetag>"m4f2k1"</D:getetag><C:calendar-data>BEGIN:VCALENDAR...</C:calendar-data></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"""
# Xandikos' own spelling: prefixes of its own, the status before the properties, a 404 beside.
XANDIKOS = b"""<ns0:multistatus xmlns:ns0="DAV:" xmlns:ns1="urn:ietf:params:xml:ns:caldav">
<ns0:response><ns0:href>/u/calendars/cal/e0.ics</ns0:href><ns0:propstat><ns0:status>HTTP/1.1 200 OK
</ns0:status><ns0:prop><ns0:getetag>"20f1"</ns0:getetag></ns0:prop></ns0:propstat><ns0:propstat>
<ns0:status>HTTP/1.1 404 Not Found</ns0:status><ns0:prop><ns1:calendar-data /></ns0:prop>
</ns0:propstat></ns0:response><ns0:sync-token>f60d</ns0:sync-token></ns0:multistatus>"""


def test_properties_etags_and_content_are_read():
    node = dav.read_multistatus(SHEET, "x").nodes[0]
    assert node.path == "/1234567890/calendars/work/V-99120.ics"
    assert node.text(ETAG) == '"m4f2k1"'
    assert node.text(DATA) == "BEGIN:VCALENDAR..."
    assert node.status is None


def test_prefixes_are_the_servers_business_and_what_is_lacking_is_known():
    answer = dav.read_multistatus(XANDIKOS, "x")
    assert answer.token == "f60d"
    assert answer.nodes[0].text(ETAG) == '"20f1"'
    assert answer.nodes[0].lacks == {DATA}


def test_a_removed_member_has_a_status_of_its_own():
    body = (
        b'<m:multistatus xmlns:m="DAV:"><m:response><m:href>/c/a.ics</m:href><m:href>/c/b.ics</m:href>'
        b"<m:status>HTTP/1.1 404 Not Found</m:status></m:response></m:multistatus>"
    )
    assert [(n.path, n.status) for n in dav.read_multistatus(body, "x").nodes] == [
        ("/c/a.ics", 404),
        ("/c/b.ics", 404),
    ]


def test_an_error_body_is_no_multistatus():
    assert dav.read_multistatus(b'<D:error xmlns:D="DAV:"/>', "x") is None


@pytest.mark.fault("F23")
def test_xml_that_is_cut_off_is_asked_for_again():
    with pytest.raises(RetryLater):
        dav.read_multistatus(SHEET[:200], "x")


@pytest.mark.fault("F66")
def test_deep_xml_is_refused():
    body = b'<D:multistatus xmlns:D="DAV:">' + b"<a>" * 5000 + b"</a>" * 5000 + b"</D:multistatus>"
    with pytest.raises(GiveUp):
        dav.read_multistatus(body, "x")


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/cal/a.ics", "/cal/a.ics"),
        ("https://p62-caldav.icloud.com:443/123/calendars/w/a.ics", "/123/calendars/w/a.ics"),
        ("/cal//ana//a.ics", "/cal/ana/a.ics"),
        ("//cal/a.ics", "/cal/a.ics"),
        ("/cal/ana%40example.com/a%20b.ics", "/cal/ana@example.com/a%20b.ics"),
        ("/cal/ana@example.com/a b.ics", "/cal/ana@example.com/a%20b.ics"),
        ("/cal/%c3%a4.ics", "/cal/%C3%A4.ics"),
        ("/cal/a%2Fb.ics", "/cal/a%2Fb.ics"),
    ],
)
def test_hrefs_have_one_spelling(href, path):
    assert dav.path_of(href) == path
    assert dav.path_of(path) == path


@pytest.mark.parametrize(
    "path", ["/cal/a.ics", "/cal/a%20b%25.ics", "/cal/a%2Fb.ics", "/other/a.ics", "/cal/x/a.ics"]
)
def test_an_id_leads_back_to_its_path(path):
    assert dav.path_for("/cal/", dav.id_of("/cal/", path)) == path


def test_an_id_reads_as_the_name_in_the_calendar():
    assert dav.id_of("/cal/", "/cal/a%20b@c.ics") == "a b@c.ics"
    assert dav.id_of("/cal/", "/other/a.ics") == "/other/a.ics"


def test_requests_name_every_property():
    assert b"allprop" not in dav.propfind(ETAG)
    assert b"getetag" in dav.propfind(ETAG)
    assert b"calendar-data" in dav.sync_collection("t", inline=True)
    assert b"calendar-data" not in dav.sync_collection("t", inline=False)
    assert b"<C:comp-filter" in dav.query(inline=False) or b"comp-filter" in dav.query(inline=False)
    assert b"time-range" not in dav.query(inline=False), "the listing has no window"
