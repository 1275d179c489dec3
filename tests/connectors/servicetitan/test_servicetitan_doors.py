"""The way in: settings, sign-in, rights, limits, and where the app's key goes."""

import math
from dataclasses import replace

import msgspec
import pytest
from aiohttp import web

from connectors.servicetitan.world import AT_ONCE, session_of
from contract.sentences import assert_sentence
from truckroll.connectors.servicetitan import SERVICETITAN
from truckroll.connectors.servicetitan.refusals import words
from truckroll.connectors.servicetitan.site import api_address, token_address
from truckroll.kit.errors import GiveUp, RetryLater, SignIn
from truckroll.kit.http import Response, open_client
from truckroll_sim.kit.faults import Fault

APPOINTMENTS = SERVICETITAN.resource("appointment")


async def scopes(settings):
    async with session_of(settings) as session:
        return await SERVICETITAN.scopes(session)


async def refused(settings, error=GiveUp):
    with pytest.raises(error) as caught:
        await scopes(settings)
    assert_sentence(caught.value.says)
    return caught.value.says


async def test_a_tenant_is_one_scope(company):
    (scope,) = await scopes(company.settings())
    assert (scope.id, scope.title, scope.writable) == (str(company.tenant.number), "acme", True)


async def test_settings_that_cannot_be_used_are_named_before_any_call(company):
    company.system.kit.calls.clear()
    for name, value in (
        ("tenant", "acme"),
        ("tenant", ""),
        ("zone", "Springfield"),
        ("zone", "../etc/passwd"),
        ("past_days", "many"),
        ("past_days", "99999"),
    ):
        says = await refused(company.settings(**{name: value}))
        assert f'"{value}"' in says
    with pytest.raises(GiveUp, match="production and integration"):
        SERVICETITAN.transport({"environment": "staging"})
    assert company.system.kit.calls == []


def test_the_addresses_are_the_vendor_s_own_unless_others_are_given():
    assert api_address({}) == "https://api.servicetitan.io/"
    assert token_address({}) == "https://auth.servicetitan.io/connect/token"
    integration = {"environment": "Integration"}
    assert api_address(integration) == "https://api-integration.servicetitan.io/"
    assert token_address(integration) == "https://auth-integration.servicetitan.io/connect/token"
    assert api_address({"api": "http://127.0.0.1:1/st"}) == "http://127.0.0.1:1/st/"
    transport = SERVICETITAN.transport({})
    (limit,) = transport.pace.all_limits()
    assert (limit.amount, limit.per_seconds, limit.of) == (60, 1, "app")
    assert not transport.private


async def test_another_tenant_or_a_missing_scope_says_what_to_check(company):
    says = await refused(company.settings(tenant="12345"))
    assert "tenant" in says
    company.act("scopes", without=["tn.crm.customers:r"])
    company.job()
    async with session_of(company.settings()) as session:
        (scope,) = await SERVICETITAN.scopes(session)
        with pytest.raises(GiveUp) as caught:
            _ = [page async for page in APPOINTMENTS.listing(session, scope, None)]
    assert_sentence(caught.value.says)
    assert "scope" in caught.value.says


async def test_wrong_keys_are_a_person_s_to_mend(company):
    await refused(company.settings(app_key="ak1.wrong"), SignIn)
    says = await refused(company.settings(client_secret="cs2.wrong"))
    assert "cs2" not in says


async def test_a_token_is_asked_for_once_and_renewed_when_it_is_revoked(company):
    company.job()
    company.system.kit.calls.clear()

    def tokens():
        return [c for c in company.system.kit.calls if c.path.endswith("/token")]

    async with session_of(company.settings()) as session:
        (scope,) = await SERVICETITAN.scopes(session)
        _ = [page async for page in APPOINTMENTS.listing(session, scope, None)]
        assert len(tokens()) == 1
        company.act("revoke")
        session.http._transport.auth.tokens._renewed_at = -math.inf  # it was got long ago
        _ = [page async for page in APPOINTMENTS.listing(session, scope, None)]
        assert len(tokens()) == 2


@pytest.mark.fault("F31")
@pytest.mark.parametrize("asked", ["2", "2.128", None])
async def test_a_pause_is_kept_and_the_reading_goes_on(company, asked):
    fault = Fault(kind="status", status=429, retry_after=asked, path="/jpm/*", times=1)
    company.system.kit.faults.add(fault)
    assert await scopes(company.settings())


@pytest.mark.fault("F31")
async def test_a_long_pause_is_the_hub_s_to_wait_for(company):
    fault = Fault(kind="status", status=429, retry_after="86400", path="/jpm/*")
    company.system.kit.faults.add(fault)
    with pytest.raises(RetryLater) as caught:
        await scopes(company.settings())
    assert_sentence(caught.value.says)
    assert caught.value.after.total_seconds() >= 86400


async def test_neither_key_nor_token_goes_to_another_site(company):
    seen = []

    async def elsewhere(request):
        seen.append(dict(request.headers))
        return web.json_response({"hasMore": False, "data": [], "page": 1, "pageSize": 1})

    runner = web.ServerRunner(web.Server(elsewhere), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there = f"http://localhost:{runner.addresses[0][1]}/blob"
    fault = Fault(kind="status", status=302, headers={"Location": there}, path="/jpm/*")
    company.system.kit.faults.add(fault)
    settings = company.settings()
    try:
        with pytest.raises(GiveUp, match="another site"):
            await scopes(settings)
        assert seen == []
        # Even a transport that follows (a download does) leaves both headers behind.
        lax = replace(SERVICETITAN.transport(settings), same_host_redirects=False)
        async with open_client(lax, system="servicetitan", timing=AT_ONCE) as client:
            await client.request("GET", f"jpm/v2/tenant/{settings['tenant']}/appointments")
        assert len(seen) == 1
        assert not {"authorization", "st-app-key"} & {name.lower() for name in seen[0]}
    finally:
        await runner.cleanup()


@pytest.mark.fault("F69")
async def test_no_secret_shows_in_any_text(company):
    settings = company.settings()
    transport = SERVICETITAN.transport(settings)
    async with session_of(settings) as session:
        await SERVICETITAN.scopes(session)
        told = f"{transport}{transport.auth!r}{session}{session.http}"
    for name in ("client_secret", "app_key"):
        assert settings[name] not in told
    body = b'{"title": "Bad", "errors": {"": ["The key %s is odd"]}}' % settings["app_key"].encode()
    fault = Fault(kind="status", status=400, body=msgspec.json.decode(body), path="/jpm/*")
    company.system.kit.faults.add(fault)
    says = await refused(settings, Exception)
    assert settings["app_key"] not in says


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"title": "Bad", "errors": {"CampaignId": ["is inactive", "x"]}}', "CampaignId: is inactive; CampaignId: x"),
        (b'{"title": "Bad", "errors": {"": ["Job is done."]}}', "Job is done."),
        (b'{"title": "Job is Completed", "errors": {}}', "Job is Completed"),
        (b'{"title": 5}', ""),
        (b"<html><head><title>x</title></head><b>No</b> luck", "No luck"),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)  # fmt: skip
def test_the_vendor_s_own_words_are_found(body, said):
    assert words(Response(400, {}, body, "")) == said
