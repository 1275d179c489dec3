"""Google Calendar and Google Workspace, simulated.

From the discovery documents of Calendar v3 and Directory v1 and the sheets of both. Where these
say nothing, or doubt, the choice made is stated in the module that makes it.
"""

from truckroll_sim.google_calendar.system import GoogleCalendar

__all__ = ["GoogleCalendar"]
