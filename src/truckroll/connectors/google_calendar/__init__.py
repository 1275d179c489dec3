"""Google Calendar: a person's calendars, and those of a Google Workspace organisation."""

from truckroll.connectors.google_calendar.connector import GOOGLE_CALENDAR, GOOGLE_WORKSPACE

__all__ = ["GOOGLE_CALENDAR", "GOOGLE_WORKSPACE"]
