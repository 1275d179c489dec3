import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from aiohttp import web

from truckroll.kit.errors import GiveUp
from truckroll.kit.http import Transport, open_client


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def context(certificate):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


async def hello(_request):
    return web.Response(text="hello")


def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


async def get(url, **more):
    async with open_client(Transport(url, private=True, **more), system="Radicale") as http:
        try:
            return await http.request("GET", "/")
        finally:
            assert http.calls == 1


async def test_an_authority_of_ones_own_is_believed(serve, authority, tmp_path):
    url = await serve(hello, context(authority.issue_cert("127.0.0.1")))
    assert (await get(url, ca_file=ca_file(authority, tmp_path))).body == b"hello"


async def test_an_unknown_authority_is_not(serve, authority):
    url = await serve(hello, context(authority.issue_cert("127.0.0.1")))
    with pytest.raises(GiveUp, match="authority"):
        await get(url)


async def test_an_expired_certificate_is_named(serve, authority, tmp_path):
    old = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(GiveUp, match="has expired"):
        await get(await serve(hello, context(old)), ca_file=ca_file(authority, tmp_path))


async def test_a_certificate_for_another_name_is_named(serve, authority, tmp_path):
    other = authority.issue_cert("calendar.example")
    with pytest.raises(GiveUp, match="for another name"):
        await get(await serve(hello, context(other)), ca_file=ca_file(authority, tmp_path))


async def test_a_self_signed_certificate_is_named(serve, authority, tmp_path):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = tmp_path / "self.pem"
    authority.private_key_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path, append=True)
    made.load_cert_chain(path)
    with pytest.raises(GiveUp, match="self-signed"):
        await get(await serve(hello, made))


async def test_a_server_without_tls_is_named(serve):
    url = await serve(hello)
    with pytest.raises(GiveUp, match="does not speak TLS"):
        await get(url.replace("http:", "https:"))


async def test_a_missing_authority_file_is_named():
    with pytest.raises(GiveUp, match="cannot be read"):
        async with open_client(Transport("https://x.example/", ca_file="/no/such"), system="R"):
            pass


async def test_encryption_is_not_given_up_by_a_redirect(serve, authority, tmp_path):
    async def down(request):
        return web.Response(status=302, headers={"Location": f"http://{request.host}/"})

    url = await serve(down, context(authority.issue_cert("127.0.0.1")))
    with pytest.raises(GiveUp, match="without encryption"):
        await get(url, ca_file=ca_file(authority, tmp_path))
