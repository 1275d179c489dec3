"""The connectors for Google Calendar and for the calendars of a Google Workspace organisation."""

from collections.abc import Mapping
from dataclasses import replace

from truckroll.connectors.google_calendar import calendars, calls, reads, sharing, wire, writes
from truckroll.kit.auth import OAuthApp, lasting
from truckroll.kit.batch import Batch
from truckroll.kit.contract import PRIVATE, Connector, Resource, Setting, is_private
from truckroll.kit.errors import GiveUp
from truckroll.kit.http import Auth, Pace, Transport
from truckroll.kit.multipart import MULTIPART
from truckroll.kit.service_account import ServiceAccount, read_key

_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
_MOST_PARTS = 50
# Each person's writes make batches of their own, which only many waiting ones can fill; how many
# requests are out at one time is the pace's business.
_MOST_WAITING = 400
_PER_MINUTE = 600  # a user of a project (sheet, section 8)
_WORDS = {
    "notify": ("none", "outside", "all"),
    "share": ("none", *sharing.ROLES),
    "resources": ("yes", "no"),
}
_SCOPE = "https://www.googleapis.com/auth/"
CALENDAR = (f"{_SCOPE}calendar",)
DELEGATED = (
    *CALENDAR,
    f"{_SCOPE}admin.directory.user.readonly",
    f"{_SCOPE}admin.directory.resource.calendar.readonly",
)

_PLACE = (
    Setting(
        "notify",
        "Whom may Google mail about changes of events with guests? (none, outside or all)",
        required=False,
        default="none",
    ),
    Setting(
        "per_minute",
        "How many requests a minute does your Google project allow for a user?",
        required=False,
    ),
    Setting("api", "Address of the API, if it is not Google's own", required=False),
    Setting("token", "Address of the token server, if it is not Google's own", required=False),
    PRIVATE,
)

SETTINGS = (
    Setting("client_id", "Client id of your app in the Google console", required=False),
    Setting("client_secret", "Client secret of your app", secret=True, required=False),
    Setting(
        "refresh_token", "Refresh token that Google gave to your app", secret=True, required=False
    ),
    Setting(
        "key",
        "Or instead: the key of a service account (its JSON text, or the path of the file)",
        secret=True,
        required=False,
    ),
    Setting("subject", "Mail address of the person the service account acts for", required=False),
    *_PLACE,
)

WORKSPACE_SETTINGS = (
    Setting(
        "key", "Key of the service account (its JSON text, or the path of the file)", secret=True
    ),
    Setting("subject", "Mail address of an admin in whose name the directory is read"),
    Setting(
        "people",
        "Which people (a search of the directory, as orgUnitPath='/Field'); all if left out",
        required=False,
    ),
    Setting(
        "resources",
        "Also the calendars of vans and rooms? (yes or no)",
        required=False,
        default="yes",
    ),
    Setting(
        "share",
        "Share the calendars that are written with the whole organisation? (none, busy or read)",
        required=False,
        default="none",
    ),
    Setting("domain", "Domain to share with, if it is not the admin's own", required=False),
    *_PLACE,
)


def transport(settings: Mapping[str, str]) -> Transport:
    """Return how a person's calendars are reached: by refresh token, or by service account.

    Raises GiveUp where neither was given.
    """
    if settings.get("key"):
        auth: Auth = _service_account(settings, CALENDAR).acting(settings.get("subject", ""))
    elif all(settings.get(name) for name in ("client_id", "client_secret", "refresh_token")):
        app = OAuthApp(
            system="Google Calendar",
            token_url=settings.get("token") or _TOKEN,
            client_id=settings["client_id"],
            client_secret=settings["client_secret"],
            secret_in_body=True,
            private=is_private(settings),
        )
        auth = lasting(app, settings["refresh_token"])
    else:
        raise GiveUp(
            "Google Calendar needs either client id, client secret and refresh token, or the key "
            "of a service account. Give one or the other."
        )
    return _transport(settings, auth)


def workspace_transport(settings: Mapping[str, str]) -> Transport:
    """Return how an organisation's calendars are reached: each in the name of its owner."""
    return _transport(settings, _service_account(settings, DELEGATED))


def _service_account(settings: Mapping[str, str], scopes: tuple[str, ...]) -> ServiceAccount:
    return ServiceAccount(
        system="Google",
        key=read_key(settings["key"], "Google"),
        scopes=scopes,
        subject=settings.get("subject", ""),
        token_url=settings.get("token", ""),
        private=is_private(settings),
    )


def _check_words(settings: Mapping[str, str]) -> None:
    for name, words in _WORDS.items():
        given = settings.get(name, "")
        if given and given not in words:
            raise GiveUp(
                f'"{given}" says nothing here about "{name}"; it is one of: {", ".join(words)}.'
            )


def _transport(settings: Mapping[str, str], auth: Auth) -> Transport:
    _check_words(settings)
    root = calls.root(settings)
    return Transport(
        base_url=root,
        auth=auth,
        pace=Pace(per_second=_per_second(settings, root), concurrency=8),
        private=is_private(settings),
        also=(calendars.DIRECTORY,) if root == calls.GOOGLE else (),
        busy=calls.busy,
        batch=Batch(f"{root}batch/calendar/v3", _MOST_PARTS, MULTIPART, calls.clashed),
    )


def _per_second(settings: Mapping[str, str], root: str) -> float | None:
    """Return the pace: as a person said, else Google's own; elsewhere no limit is known."""
    said = settings.get("per_minute", "")
    if said.isascii() and said.isdigit() and int(said):
        return int(said) / 60
    return _PER_MINUTE / 60 if root == calls.GOOGLE else None


APPOINTMENTS = Resource(
    kind="appointment",
    fields=wire.FIELDS,
    listing=reads.listing,
    writes=wire.WRITES,
    read=reads.read,
    create=writes.create,
    update=writes.update,
    remove=writes.remove,
    find=reads.find,
    choose_id=writes.choose_id,
    repeat_safe="client id",
    conditional=True,
    concurrency=_MOST_PARTS,
    notifies_by=calls.notified,
)

GOOGLE_CALENDAR = Connector(
    system="google-calendar",
    title="Google Calendar",
    part="calendar",
    settings=SETTINGS,
    transport=transport,
    scopes=calendars.scopes,
    resources={APPOINTMENTS.kind: APPOINTMENTS},
)

GOOGLE_WORKSPACE = Connector(
    system="google-workspace",
    title="Google Workspace",
    part="calendar",
    settings=WORKSPACE_SETTINGS,
    transport=workspace_transport,
    scopes=calendars.organisation,
    resources={APPOINTMENTS.kind: replace(APPOINTMENTS, concurrency=_MOST_WAITING)},
)
