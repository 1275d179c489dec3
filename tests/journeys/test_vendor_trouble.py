"""What a person reads when a vendor says no, and that all goes out once it says yes again."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from contract.sentences import assert_sentence
from support.company import brief
from support.fleet import RECIPE, google_answers, titan_answers
from support.trouble import fails, in_step, job_of, move_all, told, troubled, written
from truckroll.app import accounts, passes
from truckroll.app.trouble import TroubleError

PAGE = "<html><head><title>503</title></head><body><h1>Service Unavailable</h1></body></html>"
WEB_PAGE = {"body": PAGE, "headers": {"Content-Type": "text/html"}}
CLOSED = "http://127.0.0.1:9"
READ = {"method": "GET"}
WRITE = {"method": "PATCH"}
SIGN_IN = "  truckroll account sign-in google"
READING = {"servicetitan": "The tenant “titan”", "google-calendar": "Google Calendar “google”"}


async def settles(acme):
    """Go on until a pass has nothing to do; returns how many passes that took."""
    number, view = 1, await acme.apply()
    while (view.writes or view.failed) and number < 5:
        number, view = number + 1, await acme.apply()
    assert view.writes == view.failed == view.held == 0, brief(view)
    assert in_step(acme)
    return number


async def test_an_account_that_cannot_be_added_says_why_and_nothing_is_kept(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch, in_step=False) as (acme, _):
        box = acme.box
        for system, given, cases in (
            (
                "servicetitan",
                titan_answers(box),
                (
                    ({"client_secret": "cs2.wrong"}, "client id or secret"),
                    ({"app_key": "ak1.wrong"}, "app key of “new”; nothing was kept"),
                    ({"tenant": "12345"}, "check the tenant's id"),
                    ({"tenant": "acme"}, '"acme" is no tenant'),
                    ({"auth": f"{box.address}/nothing"}, "Correct that address"),
                    ({"api": CLOSED}, "cannot be reached at 127.0.0.1. Nothing was kept"),
                    ({"api": "nonsense"}, "must begin with https://"),
                    ({"private": "no"}, "private = yes"),
                ),
            ),
            (
                "google-calendar",
                google_answers(box),
                (
                    ({"client_secret": "GOCSPX-wrong"}, "client id or secret"),
                    ({"refresh_token": "1//wrong"}, "refresh token of “new”; nothing was kept"),
                    ({"client_secret": ""}, "needs either client id"),
                    ({"token": f"{box.address}/nothing"}, "Correct that address"),
                    ({"api": f"{box.address}/nothing"}, "check the account's settings"),
                    ({"api": CLOSED}, "cannot be reached at 127.0.0.1. Nothing was kept"),
                    ({"private": "no"}, "private = yes"),
                ),
            ),
        ):
            for changed, part in cases:
                with pytest.raises(TroubleError) as caught:
                    await accounts.add(acme.hub, "new", system, {**given, **changed})
                says = caught.value.says
                assert_sentence(says)
                assert part in says, says
                assert {"servicetitan": "ServiceTitan", "google-calendar": "Google"}[system] in says
                assert "by itself" not in says
                for secret in ("cs2.wrong", "ak1.wrong", "GOCSPX-wrong", "1//wrong"):
                    assert secret not in says
        missing = {**titan_answers(box), "client_secret": "", "app_key": ""}
        with pytest.raises(TroubleError, match=r"also needs: client_secret .*; app_key ") as caught:
            await accounts.add(acme.hub, "new", "servicetitan", missing)
        assert caught.value.usage
        assert {one.name for one in await accounts.listed(acme.hub)} == {"titan", "google"}


@pytest.mark.fault("F43")
async def test_a_token_that_runs_out_or_is_ended_is_renewed_and_nobody_hears_of_it(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):

        def ends(system, act):
            """Let the vendor end all tokens after the second call of a pass."""
            seen = []

            def watch(call, _answer):
                seen.append(call)
                if len(seen) == 2:
                    acme.box.systems[system].acts[act]({})
                    waits.later(minutes=1)  # the token is no new one by then

            acme.box.systems[system].kit.watchers.append(watch)

        ends("servicetitan", "revoke")
        ends("google-calendar", "expire-tokens")
        moved = move_all(acme)
        view = await acme.apply()
        assert (view.writes, view.failed, view.held) == (moved, 0, 0), brief(view)
        for system, tokens in (("servicetitan", "/connect/token"), ("google-calendar", "/token")):
            log = acme.calls(system)
            assert any(one.status == 401 for one in log)
            assert sum(one.path == tokens for one in log) == 1  # the one before was kept
        assert set(written(acme.google).values()) == {1}

        acme.box.clock.advance(7200)  # longer than any token lives
        waits.later(hours=2)
        assert await settles(acme) == 1


@pytest.mark.fault("F42")
async def test_a_revoked_grant_stops_that_account_alone_and_says_how_to_sign_in(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        google, office = acme.google, acme.google.credentials("")["account"]
        theirs = max(acme.emails.values(), key=[e for _, e in acme.assigned()].count)
        token = google.acts["sign-in"]({"account": theirs})["refresh_token"]
        answers = {**google_answers(acme.box), "refresh_token": token}
        await accounts.add(acme.hub, "own", "google-calendar", answers)
        row = await store.account("own")
        both = [one for one in await store.scopes() if one.scope.id == theirs]
        old, new = sorted(both, key=lambda one: one.account == row.id)
        person = next(one.name for one in await store.people() if one.scope == old.id)
        await store.unmap_person(person)
        await store.map_person(person, row.id, new.id, "test")
        await settles(acme)
        acme.forget_calls()

        move_all(acme)
        google.acts["revoke"]({"account": office})
        waits.later(hours=1)
        view = await acme.apply()
        (says,) = told(view)
        assert says.startswith("Google Calendar “google”, ")
        assert "calendars: Google Calendar does not renew the sign-in" in says
        assert says.endswith(f"Sign in again [400].{SIGN_IN}")
        own = [email for _, email in acme.assigned()].count(theirs)
        assert view.writes == own, brief(view)  # the other account goes on

        again = google.acts["sign-in"]({"account": office})["refresh_token"]
        await accounts.sign_in_again(acme.hub, "google", {"refresh_token": again})
        await settles(acme)
        assert set(written(google).values()) == {1}


@pytest.mark.fault("F42")
async def test_a_grant_revoked_between_reading_and_writing_keeps_the_queue(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        office = acme.google.credentials("")["account"]
        moved = move_all(acme)

        def revoked(_writes):
            acme.google.acts["revoke"]({"account": office})
            waits.later(minutes=1)

        view = await passes.apply(acme.hub, RECIPE, begins=revoked)
        (says,) = told(view)
        assert says.startswith(f"{moved} changes for Google Calendar “google” wait in order and")
        assert says.endswith(SIGN_IN)
        assert (view.writes, view.held) == (0, 0)
        with pytest.raises(TroubleError) as caught:
            await accounts.refresh(acme.hub, "google")
        assert caught.value.says.endswith(SIGN_IN)
        with pytest.raises(TroubleError, match="nothing was kept"):
            await accounts.sign_in_again(acme.hub, "google", {"refresh_token": "1//another"})

        again = acme.google.acts["sign-in"]({"account": office})["refresh_token"]
        await accounts.sign_in_again(acme.hub, "google", {"refresh_token": again})
        assert (await acme.apply()).writes == moved
        await settles(acme)
        assert set(written(acme.google).values()) == {1}


async def test_a_used_up_quota_waits_and_goes_on_by_itself(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        moved = move_all(acme)
        for reason in ("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"):
            fails(acme.google, status=403, reason=reason, times=1, **READ)
            fails(acme.google, status=403, reason=reason, times=1, **WRITE)
        view = await acme.apply()
        assert told(view) == []
        assert view.writes == moved
        assert waits.slept

        move_all(acme)
        fails(acme.google, status=403, reason="quotaExceeded", path="/calendar/*")
        (says,) = told(await acme.apply())
        assert "asked for a pause" in says
        assert says.endswith(" s [403].")
        acme.google.kit.faults.clear()
        await settles(acme)


async def test_a_refusal_without_quota_names_calendar_or_record_and_whom_to_ask(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        move_all(acme)
        calendar = next(iter(acme.emails.values()))
        path = f"*{calendar.replace('@', '*')}/events"
        fails(acme.google, status=403, reason="forbidden", path=path, **READ)
        (says,) = told(await acme.apply())
        assert says.startswith(f"The calendar “{calendar}”: Google Calendar does not let")
        assert "Ask whose it is to share it with the account." in says
        acme.google.kit.faults.clear()
        await settles(acme)

        number = next(one for one, _ in acme.assigned())
        acme.office("reschedule", appointmentId=number, **acme.later(number, hours=1))
        fails(acme.google, status=403, reason="forbidden", **WRITE)
        view = await acme.apply()
        assert view.held == 1
        for says in told(view):
            assert job_of(acme, number) in says.split(" in the calendar “")[0]
            assert "Google Calendar does not let this account do that" in says
            assert says.endswith('It says: "forbidden" [403].')
        acme.google.kit.faults.clear()
        calls = len(acme.calls("google-calendar", "PATCH"))
        waits.later(hours=1)
        await acme.apply()
        assert len(acme.calls("google-calendar", "PATCH")) == calls  # not asked for nothing
        link, hold, _ = (await store.holds(1))[0]
        await store.answer(link.id, hold.end, hold.field, "retry", "test")
        await settles(acme)

        fails(acme.titan, status=403, reason="The scope tn.jpm.jobs:r is not granted.", **READ)
        (says,) = told(await acme.apply())
        assert says.startswith("The tenant “titan”: ServiceTitan does not let the app read this")
        assert says.endswith('"The scope tn.jpm.jobs:r is not granted." [403].')
        acme.titan.kit.faults.clear()
        await settles(acme)


@pytest.mark.fault("F31")
async def test_each_form_of_a_pause_is_kept_and_a_long_one_is_told(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        for form, least in (
            ("2", 2.0),
            ("2.128", 2.128),
            ("0", 0.0),
            ("-5", 0.0),
            ("soon", 0.0),
            (None, 0.0),
            ("date", 7.0),
            ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0),
        ):
            waits.later(hours=2)
            moved = move_all(acme)
            if form == "date":  # by the clock of the vendor, whose answers carry the time
                in_a_while = acme.box.clock.now() + timedelta(seconds=10)
                form = format_datetime(in_a_while, usegmt=True)  # noqa: PLW2901 -- made just in time
            for system in (acme.titan, acme.google):
                fails(system, status=429, retry_after=form, times=1, **READ)
            fails(acme.google, status=429, retry_after=form, times=1, **WRITE)
            waits.slept.clear()
            view = await acme.apply()
            assert told(view) == [], form
            assert view.writes == moved, form
            pauses = [one for one in waits.slept if one >= max(least, 0.25)]
            wanted = 1 if least == 7.0 else 2  # one's wait may be another's
            assert len(pauses) >= wanted, (form, waits.slept)
            assert max(waits.slept) <= 1.1 * max(least, 1) + 3, (form, waits.slept)
        await settles(acme)
        assert set(written(acme.google).values()) == {8}  # once for each move

        for system in (acme.titan, acme.google):
            fails(system, status=429, retry_after="999999999", **READ)
            (says,) = told(await acme.apply())
            assert says.startswith(READING[system.name])
            assert says.endswith("asked for a pause; it goes on by itself after 25 h [429].")
            system.kit.faults.clear()
            calls = len(system.kit.calls)
            waits.later(hours=23)
            assert "asked for a pause" in " ".join(told(await acme.apply()))
            assert len(system.kit.calls) == calls  # nobody forgets it, whoever asks
            waits.later(hours=4)
        await settles(acme)


@pytest.mark.fault("F31")
async def test_a_write_is_not_sent_again_before_the_pause_is_over(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        number = next(one for one, _ in acme.assigned())
        acme.office("reschedule", appointmentId=number, **acme.later(number, hours=1))
        fails(acme.google, status=429, retry_after="86400", **WRITE)
        says, *_ = told(await acme.apply())
        assert job_of(acme, number) in says
        assert says.endswith("it goes on by itself after 25 h [429].")
        acme.google.kit.faults.clear()
        acme.forget_calls()
        waits.later(hours=23)
        assert (await acme.apply()).writes == 0
        assert not acme.calls("google-calendar", "PATCH", "POST") or all(
            one.path == "/token" for one in acme.calls("google-calendar", "PATCH", "POST")
        )
        waits.later(hours=4)
        assert (await acme.apply()).writes > 0
        await settles(acme)


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    ("what", "part"),
    [
        ({"status": 503, **WEB_PAGE}, "had a failure of its own; it is tried again by itself [503]."),
        ({"status": 200, **WEB_PAGE}, "answered with a web page where data was expected."),
        ({"kind": "truncated"}, "broke off the connection; it is tried again by itself."),
        ({"kind": "drop"}, "broke off the connection; it is tried again by itself."),
        ({"kind": "hang"}, "did not answer in time; it is tried again by itself."),
    ],
    ids=["503-page", "200-page", "truncated", "drop", "hang"],
)  # fmt: skip
async def test_an_answer_that_is_none_is_told_and_nothing_is_concluded(
    store, tmp_path, monkeypatch, what, part
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        before = len(acme.events())
        move_all(acme)
        for system in (acme.titan, acme.google):
            fails(system, **what, **READ)
            view = await acme.apply()
            (says,) = told(view)
            assert says.startswith(READING[system.name])
            assert part in says
            assert len(acme.events()) == before
            system.kit.faults.clear()
        fails(acme.google, **what, **WRITE)
        view = await acme.apply()
        texts = told(view)
        assert all("Google Calendar" in text for text in texts)
        acme.google.kit.faults.clear()
        waits.later(hours=1)
        await settles(acme)
        assert len(acme.events()) == before
