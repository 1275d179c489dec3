"""A link to sign in: its ticket is good for who asked, for one account, and not for long."""

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from app.test_sign_in import HERE, browse, consenting, revoked
from support.trouble import troubled
from truckroll.app import links
from truckroll.app.trouble import TroubleError

TOKEN, OTHER = 7, 8


async def came_back(url):
    return dict(parse_qsl(urlsplit(await browse(url)).query))


async def test_a_link_signs_in_again_and_its_ticket_shows_nothing(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        await consenting(acme)
        await revoked(acme, waits)
        link = await links.ask(acme.hub, TOKEN, "google", HERE)
        state = dict(parse_qsl(urlsplit(link.url).query))["state"]
        assert state not in link.ticket
        assert link.ends_at - acme.hub.now() <= links.LASTS
        found = await came_back(link.url)
        view = await links.granted(
            acme.hub, TOKEN, "google", ticket=link.ticket, code=found["code"], state=found["state"]
        )
        assert (view.name, view.waits) == ("google", "")
        last = await acme.apply()
        assert last.failed == 0


async def test_a_ticket_of_somebody_else_or_of_yesterday_changes_nothing(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch, in_step=False) as (acme, waits):
        await consenting(acme)
        before = (await store.account("google")).secrets
        link = await links.ask(acme.hub, TOKEN, "google", HERE)
        found = await came_back(link.url)
        given = {"code": found["code"], "state": found["state"]}
        altered = link.ticket[:-8] + "AAAAAAA="
        beta = replace(acme.hub, store=store.beside(2))
        for hub, token, name, more in (
            (acme.hub, OTHER, "google", {"ticket": link.ticket}),
            (acme.hub, TOKEN, "titan", {"ticket": link.ticket}),
            (beta, TOKEN, "google", {"ticket": link.ticket}),
            (acme.hub, TOKEN, "google", {"ticket": altered}),
            (acme.hub, TOKEN, "google", {"ticket": "é.é"}),
            (acme.hub, TOKEN, "google", {"ticket": ""}),
            (acme.hub, TOKEN, "google", {"ticket": link.ticket, "state": "another"}),
        ):
            with pytest.raises(TroubleError, match="nothing was kept"):
                await links.granted(hub, token, name, **{**given, **more})
        waits.later(minutes=16)
        with pytest.raises(TroubleError, match="quarter of an hour"):
            await links.granted(acme.hub, TOKEN, "google", ticket=link.ticket, **given)
        assert (await store.account("google")).secrets == before


async def test_a_person_never_comes_back_in_the_open(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch, in_step=False) as (acme, _):
        await consenting(acme)
        for address in (
            "http://office.example/",
            "javascript:alert(1)",
            "https://",
            "http://127.0.0.1.office.example:80/",
            "http://127.0.0.1@office.example:80/",
            "ftp://127.0.0.1/",
        ):
            with pytest.raises(TroubleError, match="https://"):
                await links.ask(acme.hub, TOKEN, "google", address)
        for address in ("https://office.example/back", "http://127.0.0.1:8123/", HERE):
            assert (await links.ask(acme.hub, TOKEN, "google", address)).ticket
    assert timedelta(minutes=15) == links.LASTS
