"""Signing in as a service account: the assertion, and in whose name we act."""

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contract.sentences import assert_sentence
from truckroll.kit.auth import OAuthApp, lasting
from truckroll.kit.errors import GiveUp, HoldRecord, RetryLater, SignIn
from truckroll.kit.service_account import ServiceAccount, ServiceKey, assertion, read_key

PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def pem(key=PRIVATE):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEY = ServiceKey("hub@acme.example", pem(), "k1", "12345", "https://token.example/token")


def opened(part):
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_an_assertion_says_who_for_whom_and_until_when_and_is_signed():
    signed = assertion(KEY, scopes=("a", "b"), audience="https://t/", now=NOW, subject="ana@acme")
    head, claims, signature = signed.split(".")
    assert opened(head) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    said = opened(claims)
    assert said.pop("exp") - said["iat"] == 3600
    assert said.pop("iat") <= NOW.timestamp()
    assert said == {"iss": KEY.client_email, "scope": "a b", "aud": "https://t/", "sub": "ana@acme"}
    raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    PRIVATE.public_key().verify(raw, f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256())


def test_a_key_is_given_as_text_or_as_a_file(tmp_path):
    text = json.dumps({"client_email": "hub@acme.example", "private_key": pem(), "type": "x"})
    file = tmp_path / "key.json"
    file.write_text(text)
    assert read_key(text, "Google") == read_key(str(file), "Google")
    assert "PRIVATE" not in repr(read_key(text, "Google"))


@pytest.mark.parametrize("given", ["", "/nowhere/key.json", "{}", '{"client_email": 1}', "{x"])
def test_what_is_no_key_says_so(given):
    with pytest.raises(GiveUp) as caught:
        read_key(given, "Google")
    assert_sentence(caught.value.says)


@pytest.mark.parametrize("text", ["x", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_private_key_that_cannot_sign_says_so(text):
    key = ServiceKey("hub@acme.example", text)
    with pytest.raises(GiveUp) as caught:
        assertion(key, scopes=("a",), audience="https://t/", now=NOW)
    assert_sentence(caught.value.says)


class TokenServer:
    """Grants by subject; `refuse` says which error whom is answered with."""

    def __init__(self):
        self.asked = []
        self.refuse = {}

    async def __call__(self, request):
        form = dict(parse_qsl((await request.read()).decode()))
        self.asked.append(form)
        whom = opened(form["assertion"].split(".")[1]).get("sub", "") if "assertion" in form else ""
        if whom in self.refuse:
            status, error = self.refuse[whom]
            return web.json_response({"error": error}, status=status)
        answer = {"access_token": f"token of {whom or 'itself'}", "expires_in": 3599}
        return web.json_response(answer)


@pytest.fixture
async def account(serve):
    server = TokenServer()
    url = await serve(server)

    def signed_in(subject="admin@acme", scopes=("a",)):
        return ServiceAccount("Google", KEY, scopes, subject, f"{url}token", private=True)

    return server, signed_in


async def test_each_person_has_a_token_of_their_own_and_it_is_kept(account):
    server, signed_in = account
    auth = signed_in()
    assert await auth.headers() == {"Authorization": "Bearer token of admin@acme"}
    for _ in range(2):
        mine = await auth.acting("ana@acme").headers()
        assert mine == {"Authorization": "Bearer token of ana@acme"}
    assert [form["grant_type"] for form in server.asked] == [GRANT, GRANT]


@pytest.mark.parametrize("status", [400, 401])
async def test_a_delegation_that_is_not_there_yet_is_waited_for_with_what_to_do(account, status):
    server, signed_in = account
    server.refuse["admin@acme"] = (status, "unauthorized_client")
    with pytest.raises(RetryLater) as caught:
        await signed_in().headers()
    assert_sentence(caught.value.says)
    assert "12345" in caught.value.says
    assert caught.value.after.total_seconds() >= 600


async def test_a_person_who_cannot_be_acted_for_stops_nobody_else(account):
    server, signed_in = account
    server.refuse["gone@acme"] = (400, "invalid_grant")
    auth = signed_in()
    with pytest.raises(HoldRecord) as caught:
        await auth.acting("gone@acme").headers()
    assert_sentence(caught.value.says)
    assert "gone@acme" in caught.value.says
    assert await auth.acting("ana@acme").headers() == {"Authorization": "Bearer token of ana@acme"}


async def test_a_key_that_is_not_honoured_any_more_asks_for_a_sign_in(account):
    server, signed_in = account
    server.refuse["admin@acme"] = (400, "invalid_grant")
    with pytest.raises(SignIn) as caught:
        await signed_in().headers()
    assert_sentence(caught.value.says)


async def test_a_lasting_refresh_token_is_used_again_and_its_end_is_told(serve):
    answers = [{"access_token": "one", "expires_in": 3599}, {"access_token": "two"}]
    asked = []

    async def handler(request):
        asked.append(dict(parse_qsl((await request.read()).decode())))
        if not answers:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response(answers.pop(0))

    app = OAuthApp(
        "Google", await serve(handler), "id", "secret", secret_in_body=True, private=True
    )
    assert await lasting(app, "refresh").headers() == {"Authorization": "Bearer one"}
    assert await lasting(app, "refresh").headers() == {"Authorization": "Bearer two"}
    with pytest.raises(SignIn) as caught:
        await lasting(app, "refresh").headers()
    assert_sentence(caught.value.says)
    assert [form["refresh_token"] for form in asked] == ["refresh"] * 3
