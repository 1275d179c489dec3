"""The page of messages: each sentence on it is what the hub says, said again here."""

import re
from functools import partial
from pathlib import Path

import pytest

from support.company import brief
from support.fleet import RECIPE, google_answers, titan_answers
from support.trouble import fails, job_of, told, troubled
from truckroll.app import accounts, passes
from truckroll.app.trouble import TroubleError

PAGE = Path(__file__).parents[2] / "docs" / "messages.md"
HTML = {"body": "<html><body>Sign in</body></html>", "headers": {"Content-Type": "text/html"}}
READ, WRITE = {"method": "GET"}, {"method": "PATCH"}


async def adding(acme, _waits, system, **changed):
    """Add an account with one wrong answer."""
    given = {"servicetitan": titan_answers, "google-calendar": google_answers}[system](acme.box)
    changed = {name: value.replace("BOX", acme.box.address) for name, value in changed.items()}
    with pytest.raises(TroubleError) as caught:
        await accounts.add(acme.hub, "new", system, {**given, **changed})
    return caught.value.says


async def reading(acme, _waits, system, **what):
    """Read while a system is in trouble."""
    fails(acme.box.systems[system], **{**READ, **what})
    (says,) = set(told(await acme.apply()))
    return says


async def one_calendar(acme, waits, **what):
    """Read while one calendar is in trouble."""
    path = f"*{_calendar(acme).replace('@', '*')}/events"
    return await reading(acme, waits, "google-calendar", path=path, **what)


async def writing(acme, _waits, **what):
    """Write to a calendar while Google is in trouble."""
    number = _visit(acme)
    acme.office("reschedule", appointmentId=number, **acme.later(number, hours=1))
    fails(acme.google, **{**WRITE, **what})
    says, *_ = told(await acme.apply())
    return says


async def revoked(acme, waits):
    """Read after somebody took Truckroll's access back."""
    acme.google.acts["revoke"]({"account": _office(acme)})
    says = await reading(acme, waits, "google-calendar", path="/none")
    await _sign_in(acme)
    return says


async def revoked_before_writing(acme, waits):
    """Write after somebody took Truckroll's access back."""
    for number in (_visit(acme), *[one for one in acme.visits() if one != _visit(acme)][:4]):
        acme.office("reschedule", appointmentId=number, **acme.later(number, hours=1))

    def took_back(_writes):
        acme.google.acts["revoke"]({"account": _office(acme)})
        waits.later(minutes=1)

    (says,) = told(await passes.apply(acme.hub, RECIPE, begins=took_back))
    await _sign_in(acme)
    return re.sub(r"^\d+", "11", says)


async def silent(acme, _waits):
    """Write to a system that asks for one long pause after the other."""
    for number in acme.visits():
        acme.office("reschedule", appointmentId=number, **acme.later(number, hours=1))
    fails(acme.google, method="POST", path="/batch/*", kind="hang")
    fails(acme.google, method="GET", path="/calendar/*/events/*", kind="drop")
    texts = told(await acme.apply())
    (says,) = (text for text in texts if "does not answer;" in text)
    return re.sub(r"^\d+ changes", "11 changes", says)


async def quietly(acme, waits):
    """Read with a token that ran out."""
    acme.box.clock.advance(7200)
    waits.later(hours=2)
    view = await acme.apply()
    assert not view.failed
    return "".join(told(view)) or "nothing"


async def secret_changed(acme, _waits):
    """Read after the tenant's admin made a new client secret."""
    account = await acme.hub.store.account("titan")
    wrong = {**account.secrets, "client_secret": "cs2.of-yesterday"}
    await acme.hub.store.update_account("titan", secrets=wrong)
    (says,) = told(await acme.apply())
    await acme.hub.store.update_account("titan", secrets=account.secrets)
    return says


def _visit(acme):
    """The first visit with one technician alone."""
    visits = [number for number, _ in acme.assigned()]
    return min(one for one in visits if visits.count(one) == 1)


def _calendar(acme):
    return next(email for number, email in acme.assigned() if number == _visit(acme))


def _office(acme):
    return acme.google.credentials("")["account"]


async def _sign_in(acme):
    token = acme.google.acts["sign-in"]({"account": _office(acme)})["refresh_token"]
    await accounts.sign_in_again(acme.hub, "google", {"refresh_token": token})


TITAN, GOOGLE = "servicetitan", "google-calendar"
SCENES = {
    "a secret is missing when the account is added": partial(adding, system=TITAN, app_key=""),
    "the client secret is wrong": partial(adding, system=TITAN, client_secret="cs2.wrong"),
    "the app's key is wrong": partial(adding, system=TITAN, app_key="ak1.wrong"),
    "the tenant's id is no number": partial(adding, system=TITAN, tenant="acme"),
    "it is another tenant's id, or the app is not connected": partial(
        adding, system=TITAN, tenant="12345"
    ),
    "the refresh token is wrong": partial(adding, system=GOOGLE, refresh_token="1//wrong"),
    "neither refresh token nor key is given": partial(adding, system=GOOGLE, refresh_token=""),
    "the address for tokens is wrong": partial(adding, system=GOOGLE, token="BOX/nothing"),
    "the address of the interface is wrong": partial(adding, system=GOOGLE, api="BOX/nothing"),
    "nothing answers at the address": partial(adding, system=GOOGLE, api="http://127.0.0.1:9"),
    "the address is no web address": partial(adding, system=TITAN, api="servicetitan"),
    "the address lies in your own network": partial(adding, system=TITAN, private="no"),
    "an access token ran out": quietly,
    "the access was taken back, or the password changed": revoked,
    "that happened between reading and writing": revoked_before_writing,
    "Google ended the session itself": partial(reading, system=GOOGLE, status=401),
    "the client secret was replaced": secret_changed,
    "the app's key was withdrawn": partial(reading, system=TITAN, status=401),
    "the sign-in does not cover the calendar": partial(
        reading, system=GOOGLE, status=403, reason="insufficientPermissions"
    ),
    "the interface is switched off in the project": partial(
        reading, system=GOOGLE, status=403, reason="accessNotConfigured"
    ),
    "a scope was taken from the app": partial(
        reading, system=TITAN, status=403, reason="The scope tn.jpm.jobs:r is not granted."
    ),
    "a calendar is not shared any more": partial(one_calendar, status=404),
    "a calendar may not be read": partial(one_calendar, status=403, reason="forbidden"),
    "a calendar may not be written": partial(writing, status=403, reason="forbidden"),
    "somebody else organises the event": partial(
        writing, status=403, reason="forbiddenForNonOrganizer"
    ),
    "the quota is used up": partial(
        reading, system=GOOGLE, status=403, reason="quotaExceeded", path="/calendar/*"
    ),
    "a short pause is asked for": partial(
        reading, system=TITAN, status=429, retry_after="20", path="/jpm/*"
    ),
    "a long pause is asked for": partial(
        reading, system=TITAN, status=429, retry_after="86400", path="/jpm/*"
    ),
    "a long pause is asked for at a write": partial(writing, status=429, retry_after="86400"),
    "the system failed": partial(reading, system=TITAN, status=500),
    "the system failed while it was written to": partial(writing, status=500),
    "no answer came in time": partial(reading, system=GOOGLE, kind="hang"),
    "no answer came to a write": partial(writing, kind="hang"),
    "several writes in a row had no answer": silent,
    "the connection broke off": partial(reading, system=GOOGLE, kind="drop"),
    "a web page came instead of data": partial(reading, system=TITAN, status=200, **HTML),
    "the answer was cut off": partial(
        reading, system=TITAN, status=200, body='{"data": [', path="/jpm/*",
        headers={"Content-Type": "application/json"},
    ),
    "requests are sent on to another site": partial(
        reading, system=GOOGLE, status=302, headers={"Location": "https://elsewhere.example/"}
    ),
    "the content is refused": partial(writing, status=400, reason="invalid"),
    "the record is too large": partial(writing, status=413),
    "somebody changes the record at the same time, again and again": partial(writing, status=412),
}  # fmt: skip


def rows():
    """The table: what a person reads, by cause."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {
        cause: says.strip("`")
        for cause, says, *_ in cells
        if cause != "cause" and not cause.startswith("--")
    }


async def said(acme, waits, cause, scene):
    """Let a scene happen and return what is read, under the names of the page."""
    number, calendar = _visit(acme), _calendar(acme)
    job = job_of(acme, number)
    says = await scene(acme, waits)
    for system in (acme.titan, acme.google):
        system.kit.faults.clear()
    for link, hold, _ in await acme.hub.store.holds(1):
        if hold.field:
            await acme.hub.store.answer(link.id, hold.end, hold.field, "retry", "test")
    waits.later(hours=30 if "long" in cause else 2)
    for _ in range(3):
        last = await acme.apply()
    assert last.writes == last.failed == last.held == 0, (cause, brief(last))
    says = re.sub(rf'{job} [^"]*? · [A-Z][a-z]+ [A-Z][a-z]+', "J-1042 No heat · Ana Ruiz", says)
    # What waits is called as its system calls it: by its number there and its kind of job.
    says = re.sub(r"^\d+ [^“]+ in the calendar", "J-1042 No heat · Ana Ruiz in the calendar", says)
    return says.replace(calendar, "ana@acme.example")


async def test_each_sentence_on_the_page_is_what_the_hub_says(store, tmp_path, monkeypatch):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        found = {cause: await said(acme, waits, cause, scene) for cause, scene in SCENES.items()}
    assert rows() == found


def test_each_row_says_what_happens_next_and_what_to_do():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    for line in lines:
        cells = line.strip("|").split(" | ")
        assert len(cells) == 4, line
        assert all(cell.strip() for cell in cells), line
