"""From whatever address a person has to the account's calendars."""

import pytest

from connectors.caldav.fakes import multi, response, session
from connectors.caldav.world import session_at
from contract.sentences import assert_sentence
from support.proxy import FaultProxy, Page, Rewrite, Status
from support.servers import radicale
from truckroll.connectors.caldav import CALDAV
from truckroll.connectors.caldav.site import Place, base_url, place_of, resolve, scope_id
from truckroll.kit.errors import GiveUp, RetryLater, SignIn

CAL = "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>"
VEVENT = '<C:supported-calendar-component-set><C:comp name="VEVENT"/></C:supported-calendar-component-set>'
VTODO = VEVENT.replace("VEVENT", "VTODO")
ROOT = "https://caldav.icloud.com/"
PRINCIPAL = "https://caldav.icloud.com/1234567890/principal/"
HOME = "https://p62-caldav.icloud.com/1234567890/calendars/"


def name(text):
    return f"<D:displayname>{text}</D:displayname>"


def icloud(*calendars):
    """Return iCloud's answers: the home is on a partition host, the principal oddly keyed."""
    to_principal = "<D:current-user-principal><D:href>/1234567890/principal/</D:href></D:current-user-principal>"
    home = "https://p62-caldav.icloud.com:443/1234567890/calendars/"
    person = (
        f"<C:calendar-home-set><D:href>{home}</D:href></C:calendar-home-set>"
        "<C:calendar-user-address-set><D:href>/1234567890/principal/</D:href>"
        "<D:href>mailto:dee@example.com</D:href></C:calendar-user-address-set>" + name("Dee Fox")
    )
    return {
        ("PROPFIND", ROOT): multi(response("/", to_principal)),
        ("PROPFIND", PRINCIPAL): multi(response("/1234567890/elsewhere/", person)),
        ("PROPFIND", HOME): multi(*calendars),
    }


async def test_icloud_is_followed_to_its_partition_host():
    at = "https://caldav.icloud.com/1234567890/calendars"  # hrefs name the general host
    answers = icloud(
        response(f"{at}/", "<D:resourcetype><D:collection/></D:resourcetype>"),
        response(f"{at}/work/", CAL + VEVENT + name("Work")),
        response(f"{at}/tasks/", CAL + VTODO + name("Reminders")),
        response(f"{at}/inbox/", CAL.replace("<C:calendar/>", "<C:schedule-inbox/>")),
        response(f"{at}/sub/", CAL.replace("<C:calendar/>", "<C:calendar/><CS:subscribed/>")),
        response(f"{at}/bare/", CAL),
    )
    talk = session(answers)
    scopes = await CALDAV.scopes(talk)
    assert [(scope.id, scope.title) for scope in scopes] == [
        (f"{HOME}work/", "Work"),
        (f"{HOME}bare/", "bare"),
    ]
    assert {scope.owner for scope in scopes} == {"dee@example.com"}
    depths = [headers["Depth"] for _, _, headers, _ in talk.http.asked]
    assert depths == ["0", "0", "1"], "iCloud answers 400 to a principal with Depth 1"
    assert all(b"allprop" not in body for *_, body in talk.http.asked)


async def test_rights_and_other_peoples_calendars_are_known():
    def rights(*words):
        inner = "".join(f"<D:privilege><D:{word}/></D:privilege>" for word in words)
        return f"<D:current-user-privilege-set>{inner}</D:current-user-privilege-set>"

    other = "<D:owner><D:href>/principals/mike%20dunn/</D:href></D:owner>"
    mine = "<D:owner><D:href>/1234567890/principal/</D:href></D:owner>"
    answers = icloud(
        response("/1234567890/calendars/a/", CAL + rights("read") + mine),
        response("/1234567890/calendars/b/", CAL + rights("read", "write") + mine),
        response("/1234567890/calendars/c/", CAL + rights("read", "write-content") + other),
        response("/1234567890/calendars/d/", CAL + rights("all")),
        response("/1234567890/calendars/e/", CAL),
    )
    scopes = await CALDAV.scopes(session(answers))
    assert [scope.writable for scope in scopes] == [False, True, True, True, True]
    assert [scope.owner for scope in scopes] == [
        *("dee@example.com", "dee@example.com", "mike dunn"),
        *("dee@example.com", "dee@example.com"),
    ]


async def test_every_address_of_a_server_leads_to_its_calendars(anywhere):
    server, path = anywhere.server, anywhere.scope.id
    base = f"http://127.0.0.1:{server.port}"
    for url in (
        server.url,
        f"{base}/",
        f"{base}{server.home}",
        f"{base}{path}",
        f"{base}/no/such/",
    ):
        async with session_at(url, server) as talk:
            scopes = await CALDAV.scopes(talk)
            assert path in {scope.id for scope in scopes}, url
    async with session_at(f"{base}{path}", server) as talk:
        assert [scope.id for scope in await CALDAV.scopes(talk)] == [path], "that one alone"


async def test_absolute_hrefs_of_a_server_behind_a_proxy_are_taken_by_their_path(at_radicale):
    visit = at_radicale
    inner = r"href>http://internal.example:8080/"
    visit.proxy.rule(Rewrite(r"href>/", inner))
    found = await CALDAV.scopes(visit.session)
    assert visit.scope.id in {scope.id for scope in found}
    id_ = visit.seed("e1", "Visit")
    assert set((await visit.list()).seen) == {id_}


async def test_double_slashes_are_one(at_radicale):
    visit = at_radicale
    visit.proxy.rule(Rewrite(r"href>/ana/", "href>/ana//"))
    found = await CALDAV.scopes(visit.session)
    assert visit.scope.id in {scope.id for scope in found}
    id_ = visit.seed("e1", "Visit")
    assert set((await visit.list()).seen) == {id_}


async def test_a_wrong_password_asks_for_a_sign_in(radicale_server):
    async with session_at(radicale_server.url, radicale_server, password="wrong") as talk:
        with pytest.raises(SignIn) as caught:
            await CALDAV.scopes(talk)
    assert_sentence(caught.value.says)


@pytest.mark.fault("F23")
@pytest.mark.parametrize("answer", [Page(), Status(404), Status(403), Status(405)])
async def test_what_is_no_calendar_server_is_said_to_be_none(at_radicale, answer):
    visit = at_radicale
    visit.proxy.rule(answer)
    with pytest.raises((GiveUp, RetryLater)) as caught:
        await CALDAV.scopes(visit.session)
    assert_sentence(caught.value.says)
    assert "address" in caught.value.says


async def test_an_account_without_a_calendar_is_told_to_make_one():
    with radicale(user="ben", password="secret") as server:
        async with FaultProxy(server.url) as proxy, session_at(proxy.url, server) as talk:
            with pytest.raises(GiveUp, match="no calendar") as caught:
                await CALDAV.scopes(talk)
    assert_sentence(caught.value.says)


@pytest.mark.fault("F64")
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://169.254.169.254/", "10.0.0.7:5232"]
)
async def test_an_address_in_the_house_is_refused_unless_the_person_allows_it(radicale_server, url):
    with pytest.raises(GiveUp) as caught:
        async with session_at(url, radicale_server, private="no") as talk:
            await CALDAV.scopes(talk)
    assert_sentence(caught.value.says)


@pytest.mark.parametrize(
    ("base", "here", "href", "origin"),
    [
        (ROOT, ROOT, "https://p62-caldav.icloud.com:443/1/", "https://p62-caldav.icloud.com"),
        (ROOT, HOME, "https://caldav.icloud.com/1/", "https://p62-caldav.icloud.com"),
        (ROOT, HOME, "https://evil.example/1/", "https://p62-caldav.icloud.com"),
        (ROOT, HOME, "http://p62-caldav.icloud.com/1/", "https://p62-caldav.icloud.com"),
        ("https://dav.acme.example/", "https://dav.acme.example/x", "/1/", "https://dav.acme.example"),
        ("https://dav.acme.example/", "https://dav.acme.example/x", "http://localhost:80/1/", "https://dav.acme.example"),
        ("http://127.0.0.1:5232/", "http://127.0.0.1:5232/", "http://1.0.0.1/1/", "http://127.0.0.1:5232"),
    ],
)  # fmt: skip
def test_only_a_sister_host_of_the_account_is_followed(base, here, href, origin):
    assert resolve(session({}, url=base), here, href) == Place(origin, "/1/")


@pytest.mark.parametrize(
    "place",
    [Place("https://caldav.icloud.com", "/1/w/"), Place("https://p62-caldav.icloud.com", "/1/w/")],
)
def test_a_scope_id_leads_back_to_its_place(place):
    talk = session({})
    assert place_of(talk, scope_id(talk, place)) == place


def test_an_address_without_scheme_is_meant_as_https():
    assert base_url(" cloud.acme.example/dav ") == "https://cloud.acme.example/dav"
    assert CALDAV.transport({"url": "cloud.acme.example"}).base_url == "https://cloud.acme.example"


def test_icloud_is_asked_two_things_at_a_time_and_the_password_is_not_shown():
    asked = {"url": ROOT, "user": "ana@example.com", "password": "canary-word"}
    transport = CALDAV.transport(asked)
    assert transport.pace.concurrency == 2
    assert "canary-word" not in repr(transport)
    assert not transport.private
    assert (
        CALDAV.transport({**asked, "url": "https://x.example", "quirks": "icloud"}).pace.concurrency
        == 2
    )
