"""The main job on a real CalDAV server, with everything that goes wrong on a bad day."""

import dataclasses
import re

import pytest

from support.company import brief, company, row
from support.proxy import Cut, FaultProxy, Hang, NoEtag, Page, Rewrite, Stale, Status, Truncate
from truckroll.app import installed
from truckroll.app.systems import connector
from truckroll.kit.http import Limits

SHORT = 6


def many(count=SHORT, *people):
    return [
        row(n, *(people or ("Ana",)), day=3 + n // 8, hour=8 + n % 8) for n in range(1, count + 1)
    ]


def marks(server, calendar):
    """The hub's marks in a calendar: one for each event that it made."""
    return [
        mark
        for data in server.events(calendar).values()
        for mark in re.findall(r"X-TRUCKROLL-LINK:(\S+)", data)
    ]


async def ends_well(acme, count, calendar="ana"):
    """After the bad day: everything is there once, and the next pass writes nothing."""
    for _ in range(3):
        await acme.apply(confirmed=1000)
    last = await acme.apply()
    assert last.writes == 0, brief(last)
    assert last.failed == 0, brief(last)
    assert len(acme.titles(calendar)) == count
    assert len(set(marks(acme.server, calendar))) == count


@pytest.mark.fault("F25")
@pytest.mark.fault("AT-25")
async def test_a_crash_between_the_write_and_its_record_doubles_nothing(
    store, tmp_path, fresh_radicale, monkeypatch
):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        acme.rows = many()
        acme.save()

        async def dies(*_args, **_kwargs):
            raise RuntimeError("the power went")

        with monkeypatch.context() as patch:
            patch.setattr(store, "finish", dies)
            with pytest.raises(BaseException):  # noqa: B017, PT011 -- a crash has no type
                await acme.apply()
        assert len(acme.titles("ana")) == SHORT
        await ends_well(acme, SHORT)


@pytest.mark.fault("F24")
async def test_a_server_killed_in_the_middle_of_a_run_loses_nothing(
    store, tmp_path, fresh_radicale
):
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many(12)
            acme.save()
            for nth in (3, 5, 8):
                proxy.rule(Cut(after=True), method="PUT", nth=nth)
            proxy.rule(Cut(after=False), method="PUT", nth=10)
            await acme.apply()
            fresh_radicale.kill()
            down = await acme.apply()
            assert down.problems
            assert down.writes == 0
            fresh_radicale.start()
            proxy.clear()
            await ends_well(acme, 12)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (507, "no room"),
        (412, ""),
        (423, "locked"),
        (503, "later"),
        (500, "oops"),
        (403, "<html><b>no</b></html>"),
    ],
)
@pytest.mark.fault("F26")
async def test_a_refused_write_is_told_and_the_others_land(
    store, tmp_path, fresh_radicale, status, body
):
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many()
            acme.save()
            proxy.rule(Status(status, body), method="PUT", nth=2)
            first = await acme.apply()
            assert first.writes + first.failed + first.held >= SHORT, brief(first)
            assert len(acme.titles("ana")) >= SHORT - 1
            for text in (*first.failures, *first.problems, *(hold.detail for hold in first.holds)):
                assert "Error" not in text
                assert "<" not in text
            proxy.clear()
            for link, hold, _ in await store.holds(1):
                await store.answer(link.id, hold.end, hold.field or "write", "retry", "test")
            await store.touch(1)
            await ends_well(acme, SHORT)


async def test_a_sign_in_refused_in_mid_run_leaves_the_rest_waiting(
    store, tmp_path, fresh_radicale
):
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many()
            acme.save()
            proxy.rule(Status(401), method="PUT")
            first = await acme.apply()
            assert first.writes == 0
            assert any("ign" in text for text in first.problems + first.failures), brief(first)
            proxy.clear()
            await ends_well(acme, SHORT)


@pytest.mark.fault("F12")
@pytest.mark.fault("AT-02")
async def test_a_forgotten_cursor_reads_everything_beside_the_old_state(
    store, tmp_path, fresh_radicale
):
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many()
            acme.save()
            await acme.apply()
            before = fresh_radicale.events("ana")
            gone = '<D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>'
            proxy.rule(Status(403, gone, "application/xml"), method="REPORT", nth=1)
            again = await acme.apply()
            assert again.writes == 0, brief(again)
            assert fresh_radicale.events("ana") == before


@pytest.mark.fault("F13")
@pytest.mark.fault("AT-01")
@pytest.mark.fault("AT-15")
@pytest.mark.parametrize("act", [Truncate(0.5), Page(), Status(500), Cut(after=False)])
async def test_a_bad_list_deletes_nothing_and_moves_no_cursor(store, tmp_path, fresh_radicale, act):
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many()
            acme.save()
            await acme.apply()
            before = fresh_radicale.events("ana")
            scopes = {one.id: one.cursor for one in await store.scopes()}
            proxy.rule(act, method="REPORT")
            bad = await acme.apply()
            assert bad.problems, brief(bad)
            assert bad.failed, "a run without a complete read must not look like a success"
            assert {one.id: one.cursor for one in await store.scopes()} == scopes
            proxy.clear()
            assert fresh_radicale.events("ana") == before
            await ends_well(acme, SHORT)


@pytest.mark.fault("F22")
async def test_a_server_without_etags_is_kept_in_step_too(store, tmp_path, fresh_radicale):
    async with FaultProxy(fresh_radicale.url) as proxy:
        proxy.rule(NoEtag())
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many()
            acme.save()
            await acme.apply()
            acme.rows[0]["Title"] = "Moved to the attic"
            acme.save()
            changed = await acme.apply()
            assert changed.by_op == {"update": 1}, brief(changed)
            assert any("attic" in title for title in acme.titles("ana"))
            await ends_well(acme, SHORT)


@pytest.mark.fault("F34")
async def test_a_list_that_lags_behind_our_writes_creates_nothing_twice(
    store, tmp_path, fresh_radicale
):
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            proxy.rule(Stale(), method="REPORT")
            acme.rows = many()
            acme.save()
            await acme.apply()
            lagging = await acme.apply()
            assert lagging.writes == 0, brief(lagging)
            proxy.clear()
            await ends_well(acme, SHORT)


@pytest.mark.fault("F35")
@pytest.mark.fault("AT-04")
async def test_a_server_that_rewrites_what_it_stores_is_not_written_again(
    store, tmp_path, fresh_radicale
):
    async with FaultProxy(fresh_radicale.url) as proxy:
        proxy.rule(NoEtag(), method="PUT")
        proxy.rule(Rewrite(r"SUMMARY:(.{6})[^\r\n]*", r"SUMMARY:\1"), method="GET")
        proxy.rule(Rewrite(r"SUMMARY:(.{6})[^\r\n]*", r"SUMMARY:\1"), method="REPORT")
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many()
            acme.save()
            await acme.apply()
            for _ in range(2):
                again = await acme.apply()
                assert again.writes == 0, brief(again)


@pytest.mark.fault("F23")
async def test_an_account_that_answers_pages_does_not_stop_the_others(
    store, tmp_path, fresh_radicale
):
    async with FaultProxy(fresh_radicale.url) as proxy:
        people = "Ana", "Ben"
        async with company(store, tmp_path, fresh_radicale, *people, url=proxy.url) as acme:
            acme.rows = [row(1, "Ana"), row(2, "Ben", hour=11)]
            acme.save()
            proxy.rule(Page(), method="REPORT", path="/ben/")
            first = await acme.apply()
            assert len(first.problems) == 1, brief(first)
            assert acme.titles("ana")
            assert not acme.titles("ben")
            proxy.clear()
            second = await acme.apply()
            assert second.by_op == {"create": 1}, brief(second)
            assert acme.titles("ben")


@pytest.mark.fault("F62")
async def test_a_server_that_hangs_is_left_alone_after_a_few_writes(
    store, tmp_path, fresh_radicale, monkeypatch
):
    def impatient(system):
        speaks = connector(system)
        if system != "caldav":
            return speaks
        limits = Limits(total_seconds=0.3, patience_seconds=0.3, tries=1)

        def transport(settings):
            return dataclasses.replace(speaks.transport(settings), limits=limits)

        return dataclasses.replace(speaks, transport=transport)

    monkeypatch.setattr(installed, "connector", impatient)
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            acme.rows = many(40)
            acme.save()
            proxy.rule(Hang(5), method="PUT")
            proxy.rule(Hang(5), method="GET")
            hung = await acme.apply()
            assert hung.writes == 0, brief(hung)
            assert any("does not answer" in text for text in hung.problems), hung.problems
            assert proxy.count("PUT") < 20
            monkeypatch.undo()
            proxy.clear()
            await ends_well(acme, 40)


@pytest.mark.fault("F26")
async def test_a_record_that_changes_whenever_we_write_is_held(store, tmp_path, fresh_radicale):
    async with FaultProxy(fresh_radicale.url) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", url=proxy.url) as acme:
            await acme.apply()
            proxy.rule(Status(412), method="PUT")
            acme.rows[0]["Title"] = "Moved to the attic"
            acme.save()
            view = await acme.apply()
            assert [hold.reason for hold in view.holds] == ["conflict"], brief(view)
            assert proxy.count("PUT") == 1 + 3
            assert (await acme.apply()).writes == 0
            assert proxy.count("PUT") == 1 + 2 * 3
            proxy.clear()
            mended = await acme.apply()
            assert (mended.writes, mended.held) == (1, 0), brief(mended)
