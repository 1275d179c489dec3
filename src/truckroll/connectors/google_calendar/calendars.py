"""Which calendars an account has: a person's list, or an organisation's people and resources."""

import msgspec

from truckroll.connectors.google_calendar import calls
from truckroll.kit.contract import Scope, Session
from truckroll.kit.errors import GiveUp
from truckroll.kit.paging import Got, NextToken, Walk
from truckroll.kit.xml import read_json

_WRITES = frozenset({"writer", "writerWithoutPrivateAccess", "owner"})
DIRECTORY = "https://admin.googleapis.com/"


class _Calendar(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    summary: str = ""
    summary_override: str = ""
    access_role: str = ""
    primary: bool = False
    deleted: bool = False
    data_owner: str = ""


class _Name(msgspec.Struct, frozen=True, rename="camel"):
    full_name: str = ""


class _User(msgspec.Struct, frozen=True, rename="camel"):
    primary_email: str
    name: _Name = _Name()
    suspended: bool = False
    archived: bool = False
    is_mailbox_setup: bool = True


class _Resource(msgspec.Struct, frozen=True, rename="camel"):
    resource_email: str = ""
    resource_name: str = ""
    generated_resource_name: str = ""


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    items: list[msgspec.Raw] = []
    users: list[msgspec.Raw] = []
    next_page_token: str = ""


async def scopes(session: Session) -> tuple[Scope, ...]:
    """Return the calendars in the list of the person who signed in.

    Raises GiveUp where there is none, and what `Http.request` raises.
    """
    rows = await _all(session, "calendar/v3/users/me/calendarList", maxResults="250")
    found = [msgspec.json.decode(row, type=_Calendar) for row in rows]
    shown = tuple(_scope(one) for one in found if not one.deleted)
    if not shown:
        raise GiveUp(
            f"{session.system} shows no calendar. Make one in Google Calendar, or have one shared "
            "with this account."
        )
    return shown


async def who(session: Session) -> str:
    """Return the mail address of the person who signed in: their main calendar's id."""
    response = await calls.ask(session, calls.calendar_path("primary"))
    return msgspec.json.decode(calls.data_of(session, response), type=_Calendar).id


def _scope(one: _Calendar) -> Scope:
    owner = one.id if one.primary or calls.is_person(one.id) else one.data_owner
    return Scope(
        id=one.id,
        title=one.summary_override or one.summary or one.id,
        kind="appointment",
        writable=one.access_role in _WRITES,
        owner=owner,
    )


async def organisation(session: Session) -> tuple[Scope, ...]:
    """Return the main calendars of an organisation's people, and its resources' calendars.

    People who are suspended or archived are left out: their calendars cannot be worked on.
    Raises GiveUp where the directory shows nobody.
    """
    base = f"{directory(session)}admin/directory/v1/"
    query = {"customer": "my_customer", "maxResults": "500"}
    wanted = session.settings.get("people", "")
    rows = await _all(session, f"{base}users", **query, query=wanted, orderBy="email")
    people = [msgspec.json.decode(row, type=_User) for row in rows]
    found = [
        Scope(
            id=one.primary_email,
            title=one.name.full_name or one.primary_email,
            kind="appointment",
            owner=one.primary_email,
        )
        for one in people
        if not (one.suspended or one.archived) and one.is_mailbox_setup
    ]
    if session.settings.get("resources", "yes") == "yes":
        url = f"{base}customer/my_customer/resources/calendars"
        things = [
            msgspec.json.decode(row, type=_Resource)
            for row in await _all(session, url, maxResults="500")
        ]
        found += [
            Scope(
                id=one.resource_email,
                title=one.generated_resource_name or one.resource_name or one.resource_email,
                kind="appointment",
            )
            for one in things
            if one.resource_email
        ]
    if not found:
        raise GiveUp(
            f"The directory of {session.system} shows nobody with a calendar. Check which people "
            "the account was told to look for."
        )
    return tuple(found)


def directory(session: Session) -> str:
    """Return the directory's address: Google's, or where the account's API lies."""
    root = calls.root(session.settings)
    return DIRECTORY if root == calls.GOOGLE else root


async def _all(session: Session, url: str, **query: str) -> list[msgspec.Raw]:
    async def fetch(at: str | None) -> Got:
        given = {name: value for name, value in query.items() if value}
        response = await calls.ask(session, url, **given, pageToken=at)
        page = read_json(calls.data_of(session, response), session.system, _Page)
        rows.extend((*page.items, *page.users))
        return Got(next=page.next_page_token)

    rows: list[msgspec.Raw] = []
    async for _ in Walk(NextToken(), fetch, session.system).pages():
        pass
    return rows
