"""The systems that this hub speaks to. A connector is loaded when it is first needed."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from truckroll import connectors
from truckroll.app.trouble import known

if TYPE_CHECKING:
    from truckroll.kit.contract import Connector

# A package under connectors/ is a system of its name; these are further systems of a package.
_FURTHER = {"google-workspace": "google_calendar"}


@cache
def _where() -> dict[str, str]:
    """Return the package of each system."""
    found = {one.name.replace("_", "-"): one.name for one in iter_modules(connectors.__path__)}
    return found | _FURTHER


def systems() -> list[str]:
    """Return the names of the systems there are connectors for."""
    return sorted(_where())


def connector(system: str) -> "Connector":
    """Return the connector of a system; raises TroubleError with the known ones.

    Its package has it under the system's name in capitals: `GOOGLE_CALENDAR`.
    """
    if system not in _where():
        raise known(system, systems(), "system")
    name = system.replace("-", "_").upper()
    found: Connector = getattr(import_module(package(system)), name)
    return found


def package(system: str) -> str:
    """Return the package in which a system's connector lies."""
    return f"{connectors.__name__}.{_where()[system]}"


def scope_label(system: str, title: str) -> str:
    """Return how a part of an account is named in a sentence."""
    return f"the {connector(system).part} “{title}”"
