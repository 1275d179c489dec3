"""A sign-in that is gone: said once, the queue kept, and all delivered once after a new consent."""

import asyncio
import re
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aiohttp
import pytest

from contract.sentences import assert_sentence
from support.company import brief
from support.fleet import google_answers
from support.trouble import in_step, move_all, told, troubled, written
from truckroll.app import accounts, sign_in
from truckroll.app.trouble import TroubleError
from truckroll.cli import sign_in as cli
from truckroll.cli.screen import Screen

HERE = "http://127.0.0.1:1/"
COMMAND = "  truckroll account sign-in google"


async def browse(url, **changed):
    """Consent at the vendor's page as a person does; returns where the browser is sent."""
    parts = urlsplit(url)
    query = urlencode(dict(parse_qsl(parts.query)) | changed)
    async with aiohttp.ClientSession() as browser:
        asked = browser.get(urlunsplit(parts._replace(query=query)), allow_redirects=False)
        async with asked as answer:
            assert answer.status == 302
            return answer.headers["Location"]


async def consent(acme, **changed):
    """Sign in to the account by consent; returns what the account then is."""
    asked = await sign_in.ask(acme.hub, "google", HERE)
    back = await browse(asked.url, **changed)
    found = dict(parse_qsl(urlsplit(back).query))
    return await sign_in.granted(acme.hub, asked, code=found["code"], state=found["state"])


async def revoked(acme, waits):
    """Take all grants of the account back at the vendor."""
    acme.google.acts["revoke"]({"account": acme.google.credentials("")["account"]})
    waits.later(minutes=1)


async def consenting(acme):
    """Let the account know where the simulated consent page is."""
    account = await acme.hub.store.account("google")
    page = acme.google.credentials(f"{acme.box.address}/google-calendar")["authorize"]
    settings = {**account.settings, "authorize": page}
    await acme.hub.store.update_account("google", settings=settings)


@pytest.mark.fault("F42")
@pytest.mark.fault("AT-19")
async def test_a_revoked_grant_is_said_once_and_everything_is_delivered_once_after_consent(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        await consenting(acme)
        since = waits.now()
        await revoked(acme, waits)
        moved = 0
        for _ in range(4):  # writes wait in order, whoever comes by
            moved = move_all(acme)
            view = await acme.apply()
            texts = told(view)
            assert len(texts) == 1, texts
            assert texts[0].endswith(COMMAND)
            assert view.writes == view.held == 0
            waits.later(minutes=10)
        (view,) = (one for one in await accounts.listed(acme.hub) if one.name == "google")
        assert_sentence(view.waits.split("  truckroll")[0])
        assert view.waits.endswith(COMMAND)
        assert abs((view.since - since).total_seconds()) < 120
        (event,) = await store.untold()
        assert (event.kind, event.name) == ("sign_in", "google")
        asked = acme.calls("google-calendar")
        assert sum(one.path == "/token" for one in asked) <= 4, "once a pass, however many scopes"
        assert len(asked) <= 4 * 4, "nobody storms a grant that is gone"
        assert acme.calls("servicetitan"), "the other system goes on"
        waiting = list(acme.google.kit.calls)

        acme.google.kit.calls.clear()
        again = await consent(acme)
        assert again.waits == ""
        assert (await acme.apply()).writes == moved
        last = await acme.apply()
        assert last.writes == last.failed == last.held == 0, brief(last)
        assert in_step(acme)
        assert set(written(acme.google).values()) == {1}
        assert not [one for one in waiting if one.method == "PATCH"]
        assert [one.kind for one in await store.untold()] == ["sign_in", "signed_in"]


@pytest.mark.fault("F42")
async def test_another_persons_sign_in_is_refused_with_both_names_and_nothing_changes(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        await consenting(acme)
        office = acme.google.credentials("")["account"]
        other = next(iter(acme.emails.values()))
        before = await store.account("google")
        await revoked(acme, waits)
        with pytest.raises(TroubleError) as caught:
            await consent(acme, login_hint=other)
        assert office in caught.value.says
        assert other in caught.value.says
        assert "nothing was kept" in caught.value.says
        token = acme.google.acts["sign-in"]({"account": other})["refresh_token"]
        with pytest.raises(TroubleError, match="nothing was kept"):
            await accounts.sign_in_again(acme.hub, "google", {"refresh_token": token})
        assert (await store.account("google")).secrets == before.secrets
        (says,) = told(await acme.apply())
        assert says.endswith(COMMAND)


async def test_an_answer_to_another_question_is_not_taken(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch, in_step=False) as (acme, _):
        await consenting(acme)
        asked = await sign_in.ask(acme.hub, "google", HERE)
        assert asked.verifier not in repr(asked)
        for code, state in (("4/x", "another"), ("", asked.state), ("4/forged", asked.state)):
            with pytest.raises(TroubleError):
                await sign_in.granted(acme.hub, asked, code=code, state=state)
        with pytest.raises(TroubleError, match="no sign-in in the browser"):
            await sign_in.ask(acme.hub, "titan", HERE)
        assert await sign_in.by_consent(acme.hub, "google")
        assert not await sign_in.by_consent(acme.hub, "titan")


async def test_the_command_waits_for_the_browser_to_come_back(store, tmp_path, monkeypatch, capsys):
    async with troubled(store, tmp_path, monkeypatch, in_step=False) as (acme, waits):
        await consenting(acme)
        await revoked(acme, waits)
        command = asyncio.create_task(cli._by_browser(acme.hub, "google", Screen()))
        url = ""
        while not (found := re.search(r"http\S+auth\?\S+", url)):
            await asyncio.sleep(0.01)
            url += capsys.readouterr().out
        back = await browse(found[0])
        async with aiohttp.ClientSession() as browser:
            for place in ("favicon.ico", back):  # browsers ask for more than they are sent to
                async with browser.get(
                    place if place == back else f"{back.split('?')[0]}{place}"
                ) as page:
                    assert "Go back to the terminal" in await page.text()
        assert (await command).name == "google"


@pytest.mark.fault("F42")
async def test_a_sign_in_that_comes_back_by_itself_is_noticed_without_a_person(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        person = acme.google.sign_in.world.people[acme.google.credentials("")["account"]]
        person.fields["suspended"] = True
        moved = move_all(acme)
        waits.later(minutes=1)
        (says,) = told(await acme.apply())
        assert says.endswith(COMMAND)
        person.fields["suspended"] = False
        waits.later(hours=2)
        assert (await acme.apply()).writes == moved
        assert [one.kind for one in await store.untold()] == ["sign_in", "signed_in"]


async def test_tokens_are_kept_between_passes_and_a_new_account_brings_its_own(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, _):
        for _ in range(3):
            await acme.apply()
        assert not [one for one in acme.google.kit.calls if one.path == "/token"]
        await accounts.add(acme.hub, "second", "google-calendar", google_answers(acme.box))
        acme.forget_calls()
        await accounts.refresh(acme.hub, "second")
        assert not [one for one in acme.google.kit.calls if one.path == "/token"]
        assert (
            await store.identity((await store.account("second")).id)
            == (acme.google.credentials("")["account"])
        )
