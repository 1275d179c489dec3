"""The systems that this hub speaks to. A connector is loaded when it is first needed."""

from importlib import import_module
from typing import TYPE_CHECKING

from truckroll.app.trouble import known

if TYPE_CHECKING:
    from truckroll.kit.contract import Connector

_WHERE = {
    "caldav": ("truckroll.connectors.caldav", "CALDAV"),
    "file": ("truckroll.connectors.file", "FILE"),
    "google-calendar": ("truckroll.connectors.google_calendar", "GOOGLE_CALENDAR"),
    "google-workspace": ("truckroll.connectors.google_calendar", "GOOGLE_WORKSPACE"),
    "ical-feed": ("truckroll.connectors.ical_feed", "ICAL_FEED"),
    "servicetitan": ("truckroll.connectors.servicetitan", "SERVICETITAN"),
}

# What the parts of an account of a system are called, and what comes before their title.
_PARTS = {
    "caldav": "calendar",
    "file": "table",
    "google-calendar": "calendar",
    "google-workspace": "calendar",
    "ical-feed": "feed",
    "servicetitan": "tenant",
}


def systems() -> list[str]:
    """Return the names of the systems there are connectors for."""
    return sorted(_WHERE)


def connector(system: str) -> "Connector":
    """Return the connector of a system; raises TroubleError with the known ones."""
    if system not in _WHERE:
        raise known(system, systems(), "system")
    module, name = _WHERE[system]
    found: Connector = getattr(import_module(module), name)
    return found


def package(system: str) -> str:
    """Return the package in which a system's connector lies."""
    return _WHERE[system][0]


def scope_label(system: str, title: str) -> str:
    """Return how a part of an account is named in a sentence."""
    return f"the {_PARTS.get(system, 'part')} “{title}”"
