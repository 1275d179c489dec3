"""The systems that a box holds."""

from truckroll_sim.google_calendar import GoogleCalendar
from truckroll_sim.kit.system import System
from truckroll_sim.servicetitan import ServiceTitan

SYSTEMS: tuple[type[System], ...] = (GoogleCalendar, ServiceTitan)
