"""CalDAV: iCloud, Nextcloud, Radicale, Cyrus and every other server of RFC 4791."""

from truckroll.connectors.caldav.connector import CALDAV

__all__ = ["CALDAV"]
