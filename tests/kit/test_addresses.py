import socket

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from truckroll.kit import addresses
from truckroll.kit.addresses import CheckedResolver, checked_url, reach, same_site
from truckroll.kit.errors import GiveUp, RetryLater
from truckroll.kit.http import Transport, open_client


@pytest.mark.fault("F64")
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "100.64.0.1", "198.18.0.1", "::1", "fc00::1", "fd12::1", "fec0::1", "64:ff9b:1::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1",
        "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "2001:0:7f00:1::",
    ],
)  # fmt: skip
def test_addresses_inside_are_known(address):
    assert reach(address) == "inside"


@pytest.mark.fault("F64")
@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255",
        "255.255.255.255", "240.0.0.1", "100.100.100.200", "192.0.0.192", "::", "fe80::1",
        "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254",
    ],
)  # fmt: skip
def test_addresses_that_no_server_has_are_known(address):
    assert reach(address) == "never"


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
    ],
)
def test_public_addresses_are_open(address):
    assert reach(address) == "open"


@given(st.ip_addresses())
def test_nothing_is_open_that_the_standard_library_calls_private(ip):
    if ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        assert reach(str(ip)) != "open"


INSIDE_FORMS = [
    "http://127.0.0.1/", "http://127.0.0.1:8080/", "http://2130706433/", "http://0x7f000001/",
    "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.0.1./",
    "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/", "http://[0:0:0:0:0:ffff:7f00:0001]/", "http://[2002:7f00:1::]/",
    "http://[64:ff9b::127.0.0.1]/", "http://[fe80::1]/", "http://[fd00::1]/", "http://10.0.0.1/",
    "http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/",
    "http://example.com@127.0.0.1/", "http://user:password@example.com/", "http://:@example.com/",
    "http://127.0.0.1#@example.com/", "http://127.0.0.1\\@example.com/", "http://0/",
    "http://0.0.0.0/", "https://3232235777/", "http://example.com:0/", "http://example.com:99999/",
    "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "javascript:alert(1)",
    "//example.com/", "example.com", "http://", "http:///x", "http://[::1", "",
]  # fmt: skip


@pytest.mark.fault("F64")
@pytest.mark.parametrize("url", INSIDE_FORMS)
def test_a_typed_address_that_leads_inside_is_refused(url):
    with pytest.raises(GiveUp):
        checked_url(url, private=False, system="Radicale")


@pytest.mark.fault("F64")
@pytest.mark.parametrize(
    "url", [url for url in INSIDE_FORMS if "169.254" in url or "0.0.0.0" in url]
)
def test_a_person_cannot_allow_what_no_server_has(url):
    with pytest.raises(GiveUp, match="no server may have"):
        checked_url(url, private=True, system="Radicale")


@pytest.mark.parametrize(
    "url",
    ["https://caldav.icloud.com/", "http://example.com:8443/a", "https://[2606:4700::1]:5232/"],
)
def test_public_servers_and_odd_ports_are_allowed(url):
    assert str(checked_url(url, private=False, system="Radicale")) == url


def test_a_house_server_is_allowed_where_a_person_says_so():
    assert checked_url("http://192.168.1.2:5232/", private=True, system="Radicale").port == 5232
    with pytest.raises(GiveUp, match="private = yes"):
        checked_url("http://192.168.1.2:5232/", private=False, system="Radicale")


def looks_up(*answers):
    """Gives one list of addresses after another, the last for ever; counts."""
    answers = list(answers)

    async def lookup(host, port, family):
        lookup.asked.append(host)
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Exception):
            raise found
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in found
        ]

    lookup.asked = []
    return lookup


@pytest.mark.fault("F64")
@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"], ["10.0.0.5"], ["169.254.169.254"], ["::1"], ["::ffff:10.0.0.1"],
        ["1.1.1.1", "192.168.0.1"], ["2606:4700::1", "fd00::1"],
    ],
)  # fmt: skip
async def test_a_name_that_resolves_inside_is_refused_before_any_connection(found):
    transport = Transport("https://calendar.example/")
    async with open_client(transport, system="Radicale", lookup=looks_up(found)) as http:
        with pytest.raises(GiveUp, match=r"calendar\.example"):
            await http.request("GET", "/")


@pytest.fixture
def neighbour(monkeypatch):
    """Lets 127.0.0.1 pass for a public server; 127.0.0.2 stays inside."""
    real = addresses.reach
    monkeypatch.setattr(addresses, "reach", lambda a: "open" if a == "127.0.0.1" else real(a))


@pytest.mark.fault("F64")
async def test_a_name_that_changes_its_answer_gains_nothing(serve, neighbour):
    hits = []

    async def handler(request):
        hits.append(request.transport.get_extra_info("sockname")[0])
        answer = web.Response()
        answer.force_close()
        return answer

    port = URL(await serve(handler)).port
    lookup = looks_up(["127.0.0.1"], ["127.0.0.2"])
    transport = Transport(f"http://rebind.example:{port}/")
    async with open_client(transport, system="Radicale", lookup=lookup) as http:
        await http.request("GET", "/")
        assert lookup.asked == ["rebind.example"]  # checked once, connected to what was checked
    async with open_client(transport, system="Radicale", lookup=lookup) as http:
        with pytest.raises(GiveUp, match="private network"):
            await http.request("GET", "/")
    assert hits == ["127.0.0.1"]


@pytest.mark.fault("F64")
@pytest.mark.parametrize(
    "inside",
    [
        "http://127.0.0.2/", "http://169.254.169.254/latest/", "http://[::1]/", "http://2130706434/",
        "//10.0.0.1/", "http://inside.example/", "file:///etc/passwd", "http://a:b@calendar.example/",
    ],
)  # fmt: skip
@pytest.mark.parametrize("free", [True, False])
async def test_a_redirect_to_inside_is_refused(serve, neighbour, inside, free):
    hits = []

    async def handler(request):
        hits.append(request.path)
        return web.Response(status=302, headers={"Location": inside})

    async def lookup(host, port, family):
        return [(socket.AF_INET, "127.0.0.2" if host == "inside.example" else "127.0.0.1")]

    port = URL(await serve(handler)).port
    transport = Transport(f"http://calendar.example:{port}/", same_host_redirects=free)
    async with open_client(transport, system="Radicale", lookup=lookup) as http:
        with pytest.raises(GiveUp):
            await http.request("GET", "/x")
    assert hits == ["/x"]


@pytest.mark.fault("F64")
async def test_an_address_out_of_an_answer_is_checked_like_a_typed_one(serve, neighbour):
    async def handler(_request):
        return web.Response()

    base = await serve(handler)
    async with open_client(Transport(base), system="Radicale") as http:
        for url in ("http://127.0.0.2/", "//169.254.169.254/", "http://[::1]/"):
            with pytest.raises(GiveUp):
                await http.request("GET", url)
        assert http.calls == 0


class Secret:
    async def headers(self):
        return {"Authorization": "Bearer secret"}

    async def refused(self):
        return False


async def test_the_proof_of_identity_stays_on_its_own_site(serve, neighbour):
    got = {}

    async def handler(request):
        got[request.host.split(":")[0]] = request.headers.get("Authorization")
        if request.path == "/go":
            there = f"http://other.example:{port}/"
            return web.Response(status=307, headers={"Location": there})
        return web.Response()

    port = URL(await serve(handler)).port
    transport = Transport(
        f"http://caldav.example.com:{port}/", auth=Secret(), same_host_redirects=False
    )
    lookup = looks_up(["127.0.0.1"])
    async with open_client(transport, system="Radicale", lookup=lookup) as http:
        await http.request("GET", "/go", headers={"Cookie": "own"})
        await http.request("GET", f"http://p7.example.com:{port}/")
    assert got == {
        "caldav.example.com": "Bearer secret",
        "other.example": None,
        "p7.example.com": "Bearer secret",
    }


async def test_an_unknown_name_and_a_resolver_that_is_down_are_two_things():
    unknown = socket.gaierror(socket.EAI_NONAME, "no")
    down = socket.gaierror(socket.EAI_AGAIN, "later")
    for error, raised in ((unknown, GiveUp), (down, RetryLater), (UnicodeError(), GiveUp)):
        resolver = CheckedResolver(private=False, system="Radicale", lookup=looks_up(error))
        with pytest.raises(raised, match=r"nowhere\.example"):
            await resolver.resolve("nowhere.example", 443)
    with pytest.raises(GiveUp, match="no server called"):
        await CheckedResolver(private=False, system="R", lookup=looks_up([])).resolve(
            "nowhere.example"
        )


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("https://caldav.icloud.com/", "https://p07-caldav.icloud.com:443/", True),
        ("https://a.example.co.uk/", "https://b.example.co.uk/", True),
        ("https://a.co.uk/", "https://b.co.uk/", False),
        ("https://one.herokuapp.com/", "https://two.herokuapp.com/", False),
        ("http://nas/", "http://nas:8080/", True),
        ("http://nas/", "http://printer/", False),
        ("http://10.0.0.1/", "http://10.0.0.2/", False),
        ("http://evil-icloud.com/", "http://icloud.com/", False),
        ("http://ICLOUD.com/", "http://icloud.com/", True),
    ],
)
def test_one_site_is_one_registrable_domain(a, b, same):
    assert same_site(URL(a), URL(b)) is same
