"""CalDAV servers under the contract suite: Radicale, Xandikos, and Cyrus where it is installed."""

import json
import re
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC
from itertools import count

import icalendar
import pytest

from contract.bench import Held, Visit, World
from support.clock import at_once
from support.proxy import FaultProxy
from support.servers import Server, cyrus, cyrus_missing, radicale, xandikos
from truckroll.connectors.caldav import CALDAV
from truckroll.kit.contract import Session
from truckroll.kit.http import open_client

EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Phone//EN
BEGIN:VEVENT
UID:{uid}
DTSTAMP:20261101T080000Z
DTSTART:20261130T170000Z
DTEND:20261130T183000Z
SUMMARY:{title}
DESCRIPTION:Gate code 1234
LOCATION:12 Elm St
STATUS:CONFIRMED
X-PHONE-COLOUR:teal
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Leave now
TRIGGER:-PT30M
END:VALARM
END:VEVENT
END:VCALENDAR
"""
# Well-formed for every server, and yet no visit: nobody knows what zone its times are in.
UNREADABLE = (
    EVENT.replace("DTSTART:", "DTSTART;TZID=Nowhere/Atlantis:")
    .replace("DTEND:", "DTEND;TZID=Nowhere/Atlantis:")
    .replace("0Z\nDTEND", "0\nDTEND")
    .replace("3000Z\nSUMMARY", "3000\nSUMMARY")
)
_numbers = count(1)
AT_ONCE = at_once()


@asynccontextmanager
async def session_at(url, server, **settings):
    """Sign in to a server at an address (its own or a proxy's)."""
    asked = {"url": url, "user": server.user, "password": server.password, "private": "yes"}
    asked |= settings
    async with open_client(
        CALDAV.transport(asked), system=server.name, account="field", timing=AT_ONCE
    ) as client:
        yield Session(account="field", system="caldav", settings=asked, http=client, known=Held())


def _titled(server: Server, calendar: str, name: str, title: str) -> None:
    text, _ = server.get(calendar, name)
    server.put(calendar, name, re.sub(r"SUMMARY:.*", f"SUMMARY:{title}", text, count=1))


def _back(server: Server, calendar: str, name: str):
    text = server.events(calendar).get(name)
    if text is None:
        return None
    event = icalendar.Calendar.from_ical(text).walk("VEVENT")[0]
    return {
        "title": str(event.get("SUMMARY", "")),
        "begins": event.decoded("DTSTART").astimezone(UTC),
        "ends": event.decoded("DTEND").astimezone(UTC),
        "status": str(event.get("STATUS", "")).lower(),
        "location": str(event.get("LOCATION", "")),
    }


@asynccontextmanager
async def visit(server: Server):
    calendar = f"cal{next(_numbers)}"
    path = server.make_calendar(calendar, f"Calendar {calendar}")

    def seed(name: str, title: str) -> str:
        server.put(calendar, f"{name}.ics", EVENT.format(uid=f"{name}-{calendar}", title=title))
        return f"{name}.ics"

    def spoil() -> str:
        server.put(calendar, "bad.ics", UNREADABLE.format(uid=f"bad-{calendar}", title="Where?"))
        return "bad.ics"

    def unknown(id_: str) -> bool:
        text = server.get(calendar, id_)[0]
        return all(part in text for part in ("X-PHONE-COLOUR:teal", "TRIGGER:-PT30M", "Leave now"))

    def expired(cursor: str) -> str:
        token = "http://radicale.org/ns/sync/" + "0" * 64
        return json.dumps({**json.loads(cursor), "token": token})

    async with FaultProxy(server.url) as proxy, session_at(proxy.url, server) as session:
        scopes = await CALDAV.scopes(session)
        scope = next(scope for scope in scopes if scope.id == path)
        proxy.clear()
        yield Visit(
            connector=CALDAV,
            session=session,
            scope=scope,
            seed=seed,
            edit=lambda id_, title: _titled(server, calendar, id_, title),
            delete=lambda id_: server.delete(calendar, id_),
            count=lambda: len(server.events(calendar)),
            back=lambda id_: _back(server, calendar, id_),
            spoil=spoil,
            unknown=unknown,
            expired=expired,
            proxy=proxy,
            server=server,
            more=calendar,
            held=session.known,
        )


@contextmanager
def cyrus_or_skip():
    """Run Cyrus, or skip the test with the reason why it cannot."""
    reason = cyrus_missing()
    if reason:
        pytest.skip(reason)
    with cyrus() as server:
        yield server


WORLDS = [
    World("radicale", lambda: radicale(password="secret"), visit, series=True),
    World("xandikos", xandikos, visit, series=True),
    World("cyrus", cyrus_or_skip, visit, marks=(pytest.mark.cyrus,), series=True),
]
