"""The connectors for Google Calendar and for the calendars of a Google Workspace organisation."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from truckroll.connectors.google_calendar import (
    calendars,
    calls,
    channels,
    reads,
    sharing,
    wire,
    writes,
)
from truckroll.kit.auth import OAuthApp, lasting
from truckroll.kit.batch import Batch
from truckroll.kit.contract import PRIVATE, Connector, Resource, Setting, is_private
from truckroll.kit.errors import GiveUp
from truckroll.kit.http import Auth, Limit, Pace, Transport
from truckroll.kit.multipart import MULTIPART
from truckroll.kit.service_account import ServiceAccount, read_key

_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address
_CONSENT = "https://accounts.google.com/o/oauth2/v2/auth"
_MOST_PARTS = 50
# Each person's writes make batches of their own, which only many waiting ones can fill; how many
# requests are out at one time is the pace's business.
_MOST_WAITING = 400
# A user of a project, and a project, in a sliding minute (sheet, section 8).
_PER_MINUTE, _PROJECT_PER_MINUTE = 600, 10_000
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
    Setting("authorize", "Address of the consent page, if it is not Google's own", required=False),
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
        signer = _service_account(settings, CALENDAR)
        auth: Auth = signer.acting(settings.get("subject", ""))
        project = signer.key.project
    elif (app := consent(settings)) is not None and settings.get("refresh_token"):
        auth, project = lasting(app, settings["refresh_token"]), app.client_id
    else:
        raise GiveUp(
            "Google Calendar needs either client id, client secret and refresh token, or the key "
            "of a service account. Give one or the other."
        )
    return _transport(settings, auth, project)


def consent(settings: Mapping[str, str]) -> OAuthApp | None:
    """Return the app that a person lets into their calendars; None without id and secret.

    Google gives a refresh token where `access_type` asks for one, and surely a new one only after
    a new consent (sheet, section 3).
    """
    client_id, secret = settings.get("client_id"), settings.get("client_secret")
    if not client_id or not secret or settings.get("key"):
        return None
    return OAuthApp(
        system="Google Calendar",
        token_url=settings.get("token") or _TOKEN,
        client_id=client_id,
        client_secret=secret,
        authorize_url=settings.get("authorize") or _CONSENT,
        scopes=CALENDAR,
        secret_in_body=True,
        extra={"access_type": "offline", "prompt": "consent"},
        private=is_private(settings),
    )


def workspace_transport(settings: Mapping[str, str]) -> Transport:
    """Return how an organisation's calendars are reached: each in the name of its owner."""
    signer = _service_account(settings, DELEGATED)
    return _transport(settings, signer, signer.key.project)


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


def _transport(settings: Mapping[str, str], auth: Auth, project: str) -> Transport:
    _check_words(settings)
    root = calls.root(settings)
    return Transport(
        base_url=root,
        auth=auth,
        pace=Pace(concurrency=8, limits=_limits(settings, root, project)),
        private=is_private(settings),
        also=(calendars.DIRECTORY,) if root == calls.GOOGLE else (),
        busy=calls.busy,
        batch=Batch(f"{root}batch/calendar/v3", _MOST_PARTS, MULTIPART, calls.clashed),
    )


def _limits(settings: Mapping[str, str], root: str, project: str) -> tuple[Limit, ...]:
    """Return the limits: as a person said, else Google's own; elsewhere none are known.

    Each part of a batch counts, and a whole batch may go at once.
    """
    said = settings.get("per_minute", "")
    ours = int(said) if said.isascii() and said.isdigit() else 0
    google = root == calls.GOOGLE
    limits = []
    if ours or google:
        limits.append(Limit(ours or _PER_MINUTE, 60, of="user", burst=_MOST_PARTS))
    if google:
        limits.append(Limit(_PROJECT_PER_MINUTE, 60, of="app", key=project))
    return tuple(limits)


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
    who=calendars.who,
    consent=consent,
    resources={APPOINTMENTS.kind: APPOINTMENTS},
    push=channels.PUSH,
    poll=timedelta(minutes=1),
)

GOOGLE_WORKSPACE = Connector(
    system="google-workspace",
    title="Google Workspace",
    part="calendar",
    settings=WORKSPACE_SETTINGS,
    transport=workspace_transport,
    scopes=calendars.organisation,
    resources={APPOINTMENTS.kind: replace(APPOINTMENTS, concurrency=_MOST_WAITING)},
    push=channels.PUSH,
    poll=timedelta(minutes=1),
)
