"""truckroll subscriptions, as people and programs see it."""

import asyncio
import threading

import pytest

from support.fleet import google_answers, titan_answers
from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.server import running
from truckroll_sim.servicetitan import ServiceTitan


@pytest.fixture
def vendors(tmp_path):
    """Serve the vendors in a thread of their own: the command line has its own loop."""
    loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found = {}

    async def serve():
        async with running([ServiceTitan, GoogleCalendar]) as box:
            box.systems["servicetitan"].seed({"zone": "America/Chicago"})
            box.systems["google-calendar"].seed({"technicians": 2, "vans": 0})
            found["box"] = box
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(10)
    yield found["box"]
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


def add(desk, name, system, answers):
    said = [word for pair in answers.items() for word in ("--set", "=".join(pair))]
    desk.well("account", "add", name, "--system", system, *said)


@pytest.fixture
def desk_with_google(desk, vendors, monkeypatch):
    monkeypatch.delenv("TRUCKROLL_URL", raising=False)
    add(desk, "google", "google-calendar", google_answers(vendors))
    titles = desk.well("account", "list", "--json").json["accounts"][0]["scopes"]
    desk.well(
        *("recipe", "install", "calendar-to-calendar", "--zone", "UTC"),
        *("--from", f"google/{titles[0]}", "--to", f"google/{titles[1]}"),
    )
    return desk


def test_without_an_address_it_says_that_everything_is_polled(desk_with_google, vendors):
    desk = desk_with_google
    shown = desk.well("subscriptions", "list")
    assert "every system is polled" in shown.out
    assert "TRUCKROLL_URL" in shown.out
    ran = desk("subscriptions", "renew")
    assert (ran.code, "polled" in ran.out) == (1, True)
    assert desk("subscriptions", "renew", "--json").json["polled"] is True
    bad = desk("subscriptions", "renew", "--url", "http://hub.example")
    assert (bad.code, "https://" in bad.err) == (2, True)


def test_subscriptions_are_made_shown_and_stopped(desk_with_google, vendors, monkeypatch):
    desk = desk_with_google
    monkeypatch.setenv("TRUCKROLL_URL", "http://127.0.0.1:9")  # nobody is at home there
    made = desk.well("subscriptions", "renew")
    assert "2 subscriptions made" in made.out
    channels = vendors.systems["google-calendar"].channels.open
    assert len(channels) == 2
    listed = desk.well("subscriptions", "list", "--json")
    rows = listed.json["subscriptions"]
    assert [(row["state"], row["pushes"], row["by_hand"]) for row in rows] == [
        ("live", 0, False),
        ("live", 0, False),
    ]
    shown = desk.well("subscriptions", "list", "google")
    for channel in channels.values():
        for secret in (channel.address, channel.address.rpartition("/")[2], channel.token):
            assert secret not in shown.out + listed.out
    assert "at work" in shown.out
    assert "0 pushes, last never" in shown.out
    assert "2 subscriptions stopped" in desk.well("subscriptions", "stop", "google").out
    assert channels == {}
    assert "stopped" in desk.well("subscriptions", "list").out
    wrong = desk("subscriptions", "stop", "gogle")
    assert (wrong.code, "google" in wrong.err) == (2, True)


def test_what_is_set_up_by_hand_gets_an_address_and_a_secret(desk, vendors, monkeypatch):
    monkeypatch.setenv("TRUCKROLL_URL", "https://hub.example/")
    add(desk, "titan", "servicetitan", titan_answers(vendors))
    first = desk.well("subscriptions", "add", "titan", "--json").json
    again = desk.well("subscriptions", "add", "titan", "--json").json
    assert first == again
    assert first["url"].startswith("https://hub.example/push/")
    assert 32 <= len(first["secret"]) <= 64  # what the portal takes
    assert first["secret"] in desk.well("subscriptions", "add", "titan").out
    (row,) = desk.well("subscriptions", "list", "--json").json["subscriptions"]
    assert (row["state"], row["by_hand"], row["place"]) == ("live", True, "all of it")
    desk.well("subscriptions", "stop", "titan")
    assert desk.well("subscriptions", "list", "--json").json["subscriptions"][0]["state"] == "off"
    desk.table()
    assert desk.add_table().code == 0
    none = desk("subscriptions", "add", "jobs")
    assert (none.code, "polled" in none.err) == (2, True)
