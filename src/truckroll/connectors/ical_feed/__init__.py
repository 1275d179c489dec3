"""Inbound iCalendar feeds: a web address or a local file as a source of appointments."""

from truckroll.connectors.ical_feed.connector import ICAL_FEED

__all__ = ["ICAL_FEED"]
