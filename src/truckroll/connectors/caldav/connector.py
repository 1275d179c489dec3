"""The connector for CalDAV servers: iCloud, Nextcloud, Radicale, Cyrus, Fastmail and others."""

from collections.abc import Mapping
from datetime import timedelta

from truckroll.connectors.caldav import discovery, reads, sync, wire, writes
from truckroll.connectors.caldav.site import base_url, has_apples_ways
from truckroll.kit.auth import Basic
from truckroll.kit.contract import PRIVATE, Connector, Resource, Setting, is_private
from truckroll.kit.http import Pace, Transport

SETTINGS = (
    Setting(
        "url",
        "Address of the calendar server, or of one calendar (iCloud: https://caldav.icloud.com/)",
    ),
    Setting("user", "User name (iCloud: the mail address of the Apple account)"),
    Setting(
        "password",
        "Password (iCloud and most others: a password made for this programme alone)",
        secret=True,
    ),
    PRIVATE,
    Setting(
        "ca_file",
        "File with the certificate authority of your own server, if it has one",
        required=False,
    ),
    Setting("quirks", "Ways of the server (auto or icloud)", required=False, default="auto"),
)


def transport(settings: Mapping[str, str]) -> Transport:
    """Return how the server of an account is reached: HTTP Basic, sent with every request.

    Apple publishes no limits and slows down clients that open more than a few connections
    (sheet, section 8), so two at a time there.
    """
    return Transport(
        base_url=base_url(settings["url"]),
        auth=Basic(settings.get("user", ""), settings.get("password", "")),
        pace=Pace(concurrency=2 if has_apples_ways(settings) else 8),
        private=is_private(settings),
        ca_file=settings.get("ca_file", ""),
    )


APPOINTMENTS = Resource(
    kind="appointment",
    fields=wire.FIELDS,
    listing=sync.listing,
    writes=wire.WRITES,
    read=reads.read,
    create=writes.create,
    update=writes.update,
    cancel=writes.cancel,
    remove=writes.remove,
    choose_id=writes.choose_id,
    repeat_safe="client id",
    conditional=True,
    concurrency=8,
)

CALDAV = Connector(
    system="caldav",
    title="CalDAV",
    part="calendar",
    settings=SETTINGS,
    transport=transport,
    scopes=discovery.scopes,
    resources={APPOINTMENTS.kind: APPOINTMENTS},
    poll=timedelta(minutes=2),
)
