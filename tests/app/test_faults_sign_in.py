"""Answers to a sign-in that were not meant for it: refused, and the account stays as it was."""

import asyncio
import re
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest
from msgspec.structs import replace

from app.test_sign_in import HERE, browse, consenting
from support.trouble import troubled
from truckroll.app import sign_in
from truckroll.app.trouble import TroubleError
from truckroll.cli import sign_in as cli
from truckroll.cli.screen import Screen


@pytest.fixture
async def acme(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch, in_step=False) as (made, _):
        await consenting(made)
        yield made


async def asked(acme):
    """Begin a sign-in, and let the person consent; returns both and the answer that came back."""
    begun = await sign_in.ask(acme.hub, "google", HERE)
    return begun, dict(parse_qsl(urlsplit(await browse(begun.url)).query))


async def is_refused(acme, begun, **answer):
    """Give an answer that is not the right one; the account must be as it was, and no more."""
    before = await acme.hub.store.account("google")
    identity = await acme.hub.store.identity(before.id)
    with pytest.raises(TroubleError) as caught:
        await sign_in.granted(acme.hub, begun, **answer)
    after = await acme.hub.store.account("google")
    assert (after.secrets, after.settings) == (before.secrets, before.settings)
    assert await acme.hub.store.identity(before.id) == identity
    for secret in (begun.verifier, answer["code"]):
        assert not secret or secret not in caught.value.says
    return caught.value.says


@pytest.mark.fault("F68")
async def test_an_answer_with_the_state_of_another_session_is_refused(acme):
    mine, _ = await asked(acme)
    theirs, answer = await asked(acme)
    acme.forget_calls()
    says = await is_refused(acme, mine, code=answer["code"], state=answer["state"])
    assert "not to this question" in says
    assert not [one for one in acme.google.kit.calls if one.path == "/token"], (
        "the code is not sent"
    )
    # the code alone, under the state that is asked for: it is bound to who asked (PKCE)
    await is_refused(acme, mine, code=answer["code"], state=mine.state)
    # whoever saw all of a sign-in but what its process keeps to itself
    stolen = replace(theirs, verifier=mine.verifier)
    await is_refused(acme, stolen, code=answer["code"], state=theirs.state)


@pytest.mark.fault("F68")
async def test_a_code_that_was_used_is_refused_the_second_time(acme):
    begun, answer = await asked(acme)
    code, state = answer["code"], answer["state"]
    view = await sign_in.granted(acme.hub, begun, code=code, state=state)
    assert view.name == "google"
    await is_refused(acme, begun, code=code, state=state)


@pytest.mark.fault("F68")
async def test_an_answer_of_another_issuer_is_refused_and_its_code_goes_nowhere(acme):
    begun, answer = await asked(acme)
    code, state = answer["code"], answer["state"]
    acme.forget_calls()
    await is_refused(acme, begun, code=code, state=state, issuer="https://login.evil.example")
    assert not [one for one in acme.google.kit.calls if one.path == "/token"]
    right = "{0.scheme}://{0.netloc}".format(urlsplit(begun.url))
    view = await sign_in.granted(acme.hub, begun, code=code, state=state, issuer=right)
    assert view.name == "google"


@pytest.mark.fault("F68")
async def test_the_page_to_come_back_to_sends_nobody_anywhere_else(acme, capsys):
    before = await acme.hub.store.account("google")
    command = asyncio.create_task(cli._by_browser(acme.hub, "google", Screen()))
    out = ""
    while not (found := re.search(r"http\S+auth\?\S+", out)):
        await asyncio.sleep(0.01)
        out += capsys.readouterr().out
    here = dict(parse_qsl(urlsplit(found[0]).query))["redirect_uri"]
    evil = "https://evil.example/"
    tries = [
        f"{here}?{urlencode({'redirect': evil, 'next': evil, 'continue': evil})}",
        f"{here}{evil}",
        f"{here}/evil.example/%2e%2e",
        f"{here}?{urlencode({'code': '4/x', 'state': 'no', 'redirect_uri': evil, 'iss': evil})}",
    ]
    async with aiohttp.ClientSession() as browser:
        for one in tries:
            async with browser.get(one, allow_redirects=False) as page:
                assert page.status == 200
                assert "Location" not in page.headers
                assert "Refresh" not in page.headers
                assert "evil" not in await page.text()
    with pytest.raises(TroubleError, match="not to this question"):
        await command
    assert (await acme.hub.store.account("google")).secrets == before.secrets


@pytest.mark.fault("F68")
async def test_a_consent_goes_back_only_to_where_it_was_asked_for(acme):
    begun, answer = await asked(acme)
    elsewhere = replace(begun, redirect_uri="http://127.0.0.1:2/")
    await is_refused(acme, elsewhere, code=answer["code"], state=answer["state"])
    assert urlsplit(begun.redirect_uri).hostname == "127.0.0.1"
