import asyncio
import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from yarl import URL

from truckroll.kit.auth import (
    ApiKey,
    Basic,
    Bearer,
    OAuth2,
    OAuthApp,
    Tokens,
    authorization_url,
    client_credentials,
    exchange_code,
    new_verifier,
    renew,
)
from truckroll.kit.errors import GiveUp, RetryLater, SignIn
from truckroll.kit.grants import MemoryGrants
from truckroll.kit.pace import REAL_TIME

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Vendor:
    """An OAuth server that rotates refresh tokens, each good for one use."""

    def __init__(self):
        self.forms, self.number, self.valid = [], 0, "r0"
        self.expires_in, self.answer, self.before = 3600, None, None

    async def __call__(self, request):
        form = {k: v[0] for k, v in parse_qs((await request.read()).decode()).items()}
        form["basic"] = request.headers.get("Authorization", "")
        self.forms.append(form)
        if self.before is not None:
            await self.before(request)
        if self.answer is not None:
            return self.answer()
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.valid:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.number += 1
        self.valid = f"r{self.number}"
        answer = {
            "access_token": f"a{self.number}",
            "refresh_token": self.valid,
            "instance_url": "i",
        }
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return web.json_response(answer)


class Stored(MemoryGrants):
    """The store of one account's tokens, shared by processes; `fails` is for how many times."""

    def __init__(self, timing):
        super().__init__(timing)
        self.saves, self.fails = [], 0

    async def keep(self, place, version, tokens, now):
        if self.fails:
            self.fails -= 1
            raise OSError("the disk is full")
        self.saves.append(tokens)
        return await super().keep(place, version, tokens, now)

    def overtake(self, tokens):
        """Let another process store tokens, as if it had been faster."""
        (row,) = self._rows.values()
        row.version, row.tokens = row.version + 1, tokens


@pytest.fixture
def vendor():
    return Vendor()


@pytest.fixture
async def app(serve, vendor):
    return OAuthApp("Jobber", await serve(vendor) + "token", "me", "s3cret!", private=True)


@pytest.fixture
def timing(clock):
    return replace(clock.timing, now=lambda: NOW + timedelta(seconds=clock.at - 1000))


@pytest.fixture
def store(timing):
    return Stored(timing)


def auth(app, store, timing, tokens=None, **more):
    return OAuth2(app, tokens or OLD, grants=store, timing=timing, **more)


OLD = Tokens("a0", "r0", NOW - timedelta(seconds=1))


async def test_the_simple_proofs():
    assert await Basic("ann", "pä:ss").headers() == {
        "Authorization": "Basic " + base64.b64encode("ann:pä:ss".encode()).decode()
    }
    assert await Bearer("t").headers() == {"Authorization": "Bearer t"}
    assert await ApiKey("X-Key", "k").headers() == {"X-Key": "k"}
    assert await ApiKey("X-Key", "k").query() == {}
    for proof in (Basic("a", "b"), Bearer("t"), ApiKey("X", "k")):
        assert await proof.refused() is False


async def test_a_key_in_the_query_goes_with_each_request(serve, client):
    seen = []

    async def handler(request):
        seen.append(request.path_qs)
        return web.Response()

    http = await client(await serve(handler), auth=ApiKey("key", "k&1", "query"))
    answer = await http.request("GET", "/cards?limit=5")
    assert answer.url.endswith("/cards?limit=5")
    assert seen == ["/cards?limit=5&key=k%261"]


def test_the_authorization_address_carries_pkce_and_state():
    app = OAuthApp(
        "Google", "https://t.example/", "me", authorize_url="https://a.example/auth?x=1",
        scopes=("calendar", "openid"), extra={"access_type": "offline"},
    )  # fmt: skip
    verifier = new_verifier()
    url = URL(
        authorization_url(app, redirect_uri="https://hub.example/cb", state="st", verifier=verifier)
    )
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    assert dict(url.query) == {
        "x": "1", "response_type": "code", "client_id": "me", "scope": "calendar openid",
        "redirect_uri": "https://hub.example/cb", "state": "st", "access_type": "offline",
        "code_challenge": digest.decode().rstrip("="), "code_challenge_method": "S256",
    }  # fmt: skip
    assert 43 <= len(verifier) <= 128
    assert new_verifier() != verifier


async def test_a_code_is_exchanged(app, vendor, timing):
    tokens = await exchange_code(
        app, code="c", verifier="v", redirect_uri="https://h/", timing=timing
    )
    assert (tokens.access, tokens.refresh, tokens.more) == ("a1", "r1", {"instance_url": "i"})
    assert tokens.good_until == NOW + timedelta(seconds=3540)
    form = vendor.forms[0]
    assert (form["code"], form["code_verifier"], form["redirect_uri"]) == ("c", "v", "https://h/")
    assert form["basic"] == "Basic " + base64.b64encode(b"me:s3cret%21").decode()
    assert "client_secret" not in form


async def test_the_secret_goes_into_the_body_where_the_vendor_wants_it(app, vendor, timing):
    await client_credentials(replace(app, secret_in_body=True, scopes=("a", "b")), timing=timing)
    form = vendor.forms[0]
    assert (form["client_id"], form["client_secret"], form["scope"]) == ("me", "s3cret!", "a b")
    assert form["basic"] == ""


@pytest.mark.fault("F43")
@pytest.mark.parametrize(
    ("said", "good"),
    [
        (3600, 3540), ("3600", 3540), (30, 27), (None, None), (0, None), (-5, None), ("soon", None),
        ([], None), (True, 0.9), ("NaN", None), (1e300, 366 * 86400 - 60),
    ],
)  # fmt: skip
async def test_a_lifetime_in_any_form_is_read(app, vendor, timing, said, good):
    vendor.expires_in = said
    tokens = await renew(app, OLD, timing=timing)
    expected = None if good is None else NOW + timedelta(seconds=good)
    assert tokens.good_until == expected


@pytest.mark.fault("F43")
@pytest.mark.parametrize("said", [None, 0, "garbage"])
async def test_an_unknown_lifetime_makes_no_storm(app, vendor, store, timing, said):
    vendor.expires_in = said
    proof = auth(app, store, timing)
    for _ in range(50):
        assert await proof.headers() == {"Authorization": "Bearer a1"}
    assert len(vendor.forms) == 1


@pytest.mark.fault("F40")
@pytest.mark.fault("AT-20")
async def test_twenty_who_wait_share_one_renewal(app, vendor, store, timing):
    proof = auth(app, store, timing)
    headers = await asyncio.gather(*(proof.headers() for _ in range(20)))
    assert headers == [{"Authorization": "Bearer a1"}] * 20
    assert len(vendor.forms) == 1


@pytest.mark.fault("F40")
@pytest.mark.fault("AT-20")
async def test_twenty_processes_share_one_renewal_by_the_store(app, vendor):
    store = Stored(REAL_TIME)
    proofs = [auth(app, store, REAL_TIME) for _ in range(20)]
    headers = await asyncio.gather(*(proof.headers() for proof in proofs))
    assert headers == [{"Authorization": "Bearer a1"}] * 20
    assert len(vendor.forms) == 1


@pytest.mark.fault("F40")
async def test_the_loser_of_a_race_adopts_the_winners_token(app, vendor, store, timing):
    proof = auth(app, store, timing)

    async def overtaken(_request):
        vendor.valid = "r9"
        store.overtake(Tokens("a9", "r9", NOW + timedelta(hours=1)))

    vendor.before = overtaken
    assert await proof.headers() == {"Authorization": "Bearer a9"}
    assert store.saves == []


@pytest.mark.fault("AT-20")
async def test_new_tokens_are_saved_before_they_are_used(app, store, timing):
    store.fails = 1
    proof = auth(app, store, timing)
    with pytest.raises(OSError, match="disk"):
        await proof.headers()
    assert await proof.headers() == {"Authorization": "Bearer a1"}  # saved, not granted again
    assert [tokens.refresh for tokens in store.saves] == ["r1"]


@pytest.mark.fault("F41")
async def test_a_lost_answer_to_a_renewal_is_tried_again_with_the_old_token(
    app, vendor, store, timing, clock
):
    proof = auth(app, store, timing)

    async def hang_up(request):
        request.transport.close()

    vendor.before = hang_up
    with pytest.raises(RetryLater, match="renewal"):
        await proof.headers()
    vendor.before = None
    vendor.valid = "r0"  # within the vendor's grace
    clock.at += 60
    await proof.headers()
    assert [form["refresh_token"] for form in vendor.forms] == ["r0", "r0"]


@pytest.mark.fault("F42")
async def test_a_grant_that_is_gone_needs_a_person_and_is_not_tried_all_day(
    app, vendor, store, timing, clock
):
    vendor.valid = "other"
    proof = auth(app, store, timing)
    for _ in range(24 * 60):
        with pytest.raises(SignIn, match="Sign in again"):
            await proof.headers()
        clock.at += 60
    assert len(vendor.forms) < 40
    store.overtake(Tokens("a5", "r5"))
    assert await proof.headers() == {"Authorization": "Bearer a5"}


@pytest.mark.parametrize("status", [400, 401])
async def test_an_app_that_is_not_accepted_is_named(app, vendor, timing, status):
    vendor.answer = lambda: web.json_response({"error": "invalid_client"}, status=status)
    with pytest.raises(GiveUp, match="client id or secret"):
        await renew(app, OLD, timing=timing)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda: web.json_response({"error": "invalid_grant"}, status=401), SignIn),
        (lambda: web.json_response({"ok": False, "error": "token_revoked"}), SignIn),
        (lambda: web.json_response({"error": "temporarily_unavailable"}, status=400), RetryLater),
        (lambda: web.Response(status=500), RetryLater),
        (lambda: web.Response(text="<html>", content_type="text/html"), RetryLater),
    ],
)
async def test_each_refusal_says_what_to_do(app, vendor, timing, answer, error):
    vendor.answer = answer
    with pytest.raises(error):
        await renew(app, OLD, timing=timing)


async def test_a_server_that_gives_no_new_refresh_token_keeps_the_old(app, vendor, timing):
    vendor.answer = lambda: web.json_response({"access_token": "a1"})
    assert (await renew(app, OLD, timing=timing)).refresh == "r0"


@pytest.mark.fault("F43")
async def test_a_401_renews_and_the_next_ones_ride_along(app, vendor, store, timing, clock):
    proof = auth(app, store, timing, Tokens("a0", "r0"))
    clock.at += 100
    assert await proof.refused()
    assert await proof.refused()
    assert len(vendor.forms) == 1
    clock.at += 100
    assert await proof.refused()
    assert len(vendor.forms) == 2


async def test_an_impatient_caller_does_not_lose_the_new_token(app, vendor, store, timing):
    proof = auth(app, store, timing)
    went = asyncio.Event()

    async def slow(_request):
        went.set()
        await asyncio.sleep(0.05)

    vendor.before = slow
    waiting = asyncio.create_task(proof.headers())
    await went.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await proof.headers() == {"Authorization": "Bearer a1"}
    assert len(vendor.forms) == 1
    assert [tokens.refresh for tokens in store.all().values()] == ["r1"]


async def test_stored_tokens_that_are_old_too_are_renewed(app, vendor, store, timing):
    vendor.expires_in = 1
    await auth(app, store, timing).headers()
    store.overtake(Tokens("a7", "r7", NOW - timedelta(minutes=1)))
    proof = auth(app, store, timing)
    vendor.valid = "r7"
    assert await proof.headers() == {"Authorization": "Bearer a2"}
    assert vendor.forms[1]["refresh_token"] == "r7"


async def test_an_app_of_its_own_signs_in_by_itself_and_a_person_does_not(app, vendor, timing):
    proof = OAuth2(app, own=True, timing=timing)
    assert await proof.headers() == {"Authorization": "Bearer a1"}
    with pytest.raises(SignIn):
        await OAuth2(app, timing=timing).headers()
    assert [form["grant_type"] for form in vendor.forms] == ["client_credentials"]
