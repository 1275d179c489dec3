"""What an account's settings say: addresses, tenant, zone, and how far back visits are kept."""

import re
from collections.abc import Mapping
from datetime import timedelta
from zoneinfo import ZoneInfoNotFoundError

from truckroll.kit.contract import Session
from truckroll.kit.errors import GiveUp
from truckroll.model.time import zone_info

# Sheet, section 2.
_API = {
    "production": "https://api.servicetitan.io/",
    "integration": "https://api-integration.servicetitan.io/",
}
_AUTH = {
    "production": "https://auth.servicetitan.io/connect/token",
    "integration": "https://auth-integration.servicetitan.io/connect/token",
}
PAST_DAYS = 60
_MOST_DAYS = 3650


def _environment(settings: Mapping[str, str]) -> str:
    name = settings.get("environment", "").strip().lower() or "production"
    if name not in _API:
        raise GiveUp(
            f'The environment "{name}" is not one of production and integration. Correct it in the '
            "account's settings."
        )
    return name


def api_address(settings: Mapping[str, str]) -> str:
    """Return the address under which the modules lie, with a slash at its end."""
    given = settings.get("api", "").strip() or _API[_environment(settings)]
    return given if given.endswith("/") else f"{given}/"


def token_address(settings: Mapping[str, str]) -> str:
    """Return the address at which tokens are granted."""
    return settings.get("auth", "").strip() or _AUTH[_environment(settings)]


def tenant_of(session: Session) -> str:
    """Return the tenant's id; raises GiveUp where it is no number."""
    tenant = session.settings.get("tenant", "").strip()
    if not re.fullmatch(r"\d{1,19}", tenant):
        raise GiveUp(
            f'"{tenant}" is no tenant of {session.system}: a tenant\'s id is a number. Correct it '
            "in the account's settings."
        )
    return tenant


def zone_of(session: Session) -> str:
    """Return the zone that the tenant's times are meant in; raises GiveUp where it is not known.

    The vendor gives instants in UTC and does not tell the tenant's zone (sheet, section 12).
    """
    zone = session.settings.get("zone", "").strip() or session.zone or "UTC"
    try:
        zone_info(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise GiveUp(
            f'The zone "{zone}" is not known. Give it as America/New_York in the account\'s '
            "settings."
        ) from None
    return zone


def past_days(settings: Mapping[str, str]) -> timedelta:
    """Return for how long after their end visits belong to the listing."""
    text = settings.get("past_days", "").strip() or str(PAST_DAYS)
    if not text.isdecimal() or int(text) > _MOST_DAYS:
        raise GiveUp(
            f'"{text}" is no number of days from 0 to {_MOST_DAYS}. Correct it in the account\'s '
            "settings."
        )
    return timedelta(days=int(text))


def number(session: Session, name: str, what: str) -> int | None:
    """Return a setting that is an id, None where it was not given; raises GiveUp on others."""
    text = session.settings.get(name, "").strip()
    if not text:
        return None
    if not re.fullmatch(r"\d{1,19}", text):
        raise GiveUp(
            f'"{text}" is no {what} of {session.system}: ids are numbers. Correct it in the '
            "account's settings."
        )
    return int(text)
