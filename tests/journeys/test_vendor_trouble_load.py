"""Vendors that fail for a third of all calls, and batches of which single parts fail."""

import pytest

from support.company import brief
from support.trouble import fails, in_step, move_all, told, troubled

PAGE = "<html><body><h1>Service Unavailable</h1></body></html>"
MADE = "/calendar/v3/calendars/*/events"
MINUTES = 10  # between two passes
HOURS = 3


def calls(acme):
    """All calls to both systems; a batch counts as its parts."""
    log = (*acme.titan.kit.calls, *acme.google.kit.calls)
    return sum(len(one.parts) or 1 for one in log)


def made(google):
    """How many events were made at Google, and how often it was asked to make one."""
    log = [part for call in google.kit.calls for part in (call.parts or (call,))]
    asked = [one for one in log if one.method == "POST" and one.path.endswith("/events")]
    return sum(one.status == 200 and not one.fault for one in asked), len(asked)


async def three_hours(acme, waits):
    """A pass every ten minutes, and everything moved at the beginning of each hour."""
    acme.forget_calls()
    for number in range(HOURS * 60 // MINUTES):
        if number % (60 // MINUTES) == 0:
            move_all(acme)
        told(await acme.apply())
        waits.later(minutes=MINUTES)
    return calls(acme)


@pytest.mark.fault("F32")
async def test_a_third_of_all_calls_failing_for_three_hours_loses_and_doubles_nothing(
    store, tmp_path, monkeypatch
):
    sample = {"technicians": 5, "appointments": 40, "days": 10}
    async with troubled(store, tmp_path, monkeypatch, **sample) as (acme, waits):
        usual = await three_hours(acme, waits)
        assert in_step(acme)
        events = len(acme.events())
        for system in (acme.titan, acme.google):
            fails(system, status=500, share=0.3)
        troubled_calls = await three_hours(acme, waits)
        assert troubled_calls <= 2 * usual
        for system in (acme.titan, acme.google):
            assert any(one.status == 500 for one in system.kit.calls)
            system.kit.faults.clear()
        await acme.apply()
        waits.later(minutes=MINUTES)
        assert (await acme.apply()).failed == 0
        last = await acme.apply()
        assert last.writes == last.failed == last.held == 0, brief(last)
        assert in_step(acme)
        assert len(acme.events()) == events


@pytest.mark.fault("F32")
async def test_a_write_without_an_answer_is_looked_up_once_before_it_is_sent_again(
    store, tmp_path, monkeypatch
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, _):
        move_all(acme)
        fails(acme.google, method="PATCH", status=500, times=2)
        told(await acme.apply())
        log = [part for call in acme.google.kit.calls for part in (call.parts or (call,))]
        assert sum(one.status == 500 for one in log) == 2
        assert sum(one.method == "GET" and "/events/" in one.path for one in log) == 2
        assert in_step(acme)


@pytest.mark.fault("F24")
async def test_a_first_fill_at_vendors_that_fail_for_a_third_of_all_calls_doubles_nothing(
    store, tmp_path, monkeypatch
):
    sample = {"technicians": 5, "appointments": 40, "days": 10}
    async with troubled(store, tmp_path, monkeypatch, in_step=False, **sample) as (acme, waits):
        for system in (acme.titan, acme.google):
            fails(system, status=500, share=0.15)
            fails(system, status=500, share=0.15, after=True)  # it is done, and not said
        view = None
        for _ in range(20):
            view = await acme.apply()
            told(view)
            waits.later(minutes=MINUTES)
            if in_step(acme) and not (view.writes or view.failed or view.held):
                break
        assert view.writes == view.failed == view.held == 0, brief(view)
        assert len(acme.events()) == len(acme.assigned())


# What single parts meet; whether they are held; how often one of them is sent again at once.
PARTS = {
    "quota": ({"status": 403, "reason": "rateLimitExceeded"}, ""),
    "pause": ({"status": 429, "retry_after": "3"}, ""),
    "sign-in": ({"status": 401, "reason": "authError"}, ""),
    "failure": ({"status": 500}, ""),
    "page": ({"status": 503, "body": PAGE, "headers": {"Content-Type": "text/html"}}, ""),
    "cut": ({"kind": "truncated"}, ""),
    "drop": ({"kind": "drop"}, ""),
    "hang": ({"kind": "hang"}, ""),
    "forbidden": ({"status": 403, "reason": "forbidden"}, "does not let this account do that"),
    "bad": ({"status": 400, "reason": "invalid"}, "change it and it is sent again by itself"),
    "long-pause": ({"status": 429, "retry_after": "7200"}, "it goes on by itself after 2 h"),
}


@pytest.mark.fault("F33")
@pytest.mark.parametrize("name", PARTS)
async def test_parts_of_a_batch_that_fail_are_told_and_only_they_are_sent_again(
    store, tmp_path, monkeypatch, name
):
    what, says = PARTS[name]
    async with troubled(store, tmp_path, monkeypatch, in_step=False, appointments=15) as (
        acme,
        waits,
    ):
        wanted = len(acme.assigned())
        fails(acme.google, method="POST", path=MADE, times=2, **what)
        view = await acme.apply()
        texts = told(view)
        assert bool(texts) == bool(says)
        assert all(says in text and "Google Calendar" in text for text in texts)
        assert len(acme.events()) >= wanted - 2 - (name == "long-pause") * view.failed
        acme.google.kit.faults.clear()
        waits.later(hours=3)
        for link, hold, _ in await store.holds(1):
            await store.answer(link.id, hold.end, hold.field, "retry", "test")
        await acme.apply()
        last = await acme.apply()
        assert last.writes == last.failed == last.held == 0, brief(last)
        assert in_step(acme)
        assert made(acme.google)[1] <= wanted + 2  # each once, and the two again
