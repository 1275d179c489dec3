"""Which IANA zone a TZID means.

In this order: an IANA name, also prefixed, quoted, in another case or with other separators;
a Windows name (CLDR's table); a name that gives a city or a fixed offset; and last the VTIMEZONE
itself, whose zone is an IANA zone with the same offsets over the years that the entry uses.
Where an IANA name and its VTIMEZONE contradict each other, the IANA zone wins and it is said.
A name that means nothing is refused with the raw name: it is never silently UTC.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import tzdata  # type: ignore[import-untyped] # it brings data alone

from truckroll.kit.ical.lines import Component, RefusedError
from truckroll.kit.ical.times import offset_text
from truckroll.kit.ical.vtimezone import Observance, changes, offset_at, onsets, read_vtimezone
from truckroll.model.time import zone_info

_FIXED = re.compile(r"\(?(?:GMT|UTC)?\s*([+-])(\d{1,2}):?(\d\d)?\)?", re.ASCII | re.IGNORECASE)
_SHOWN = re.compile(r"\((?:GMT|UTC)\s*(?:([+-])(\d{1,2})[:.]?(\d\d)?)?\)\s*(.+)", re.IGNORECASE)
_AMERICA = {
    "eastern time": "America/New_York",
    "central time": "America/Chicago",
    "mountain time": "America/Denver",
    "pacific time": "America/Los_Angeles",
    "atlantic time": "America/Halifax",
}
_MAX_NAME = 200
_SECOND = timedelta(seconds=1)
_SLACK = timedelta(hours=3)

Years = tuple[int, int]


@dataclass(slots=True)
class Zones:
    """The zones of one VCALENDAR: its VTIMEZONEs by name, and the zone of floating times."""

    described: dict[str, tuple[Observance, ...]] = field(default_factory=dict)
    stated: str = ""
    fallback: str = ""
    _known: dict[tuple[str, Years], tuple[str, str]] = field(default_factory=dict)

    def find(self, tzid: str, years: Years) -> tuple[str, str]:
        """Return the IANA zone of a TZID over some years, and a sentence on what was odd.

        Raises RefusedError, with the raw name shown, where it means no zone.
        """
        key = (tzid, years)
        if key not in self._known:
            self._known[key] = self._find(tzid, years)
        return self._known[key]

    def floating(self, years: Years) -> str:
        """Return the zone of times that name none; raises RefusedError where there is none."""
        if self.stated:
            try:
                return self.find(self.stated, years)[0]
            except RefusedError:
                pass  # the account's zone may still do
        if self.fallback:
            return self.fallback
        raise RefusedError(
            "Its time names no time zone, and neither the calendar nor the account gives one;"
            " set the account's time zone."
        )

    def _find(self, tzid: str, years: Years) -> tuple[str, str]:
        described = self.described.get(_plain(tzid), ())
        zone = iana_zone(tzid)
        if zone and described:
            return zone, _contradiction(zone, tzid, described, years)
        if zone:
            return zone, ""
        if described:
            found = matching_zone(described, years, tzid)
            if found:
                return found, f'The time zone "{tzid[:_MAX_NAME]}" was read as {found}.'
        raise RefusedError(
            f'Its time zone "{tzid[:_MAX_NAME]}" is not known'
            + (" and no known zone has the offsets that the file gives it." if described else ".")
        )


def zones_of(calendar: Component, fallback: str) -> Zones:
    """Return the zones of a VCALENDAR; X-WR-TIMEZONE goes before `fallback` for floating times."""
    zones = Zones()
    for part in calendar.parts("VTIMEZONE"):
        name = part.line("TZID")
        if name is not None:
            zones.described[_plain(name.value)] = read_vtimezone(part)
    stated = calendar.line("X-WR-TIMEZONE")
    zones.stated = stated.value.strip() if stated else ""
    zones.fallback = fallback
    return zones


def _plain(tzid: str) -> str:
    return tzid.strip().strip('"').replace("\\", "").strip().casefold()


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    # The list that tzdata brings: zoneinfo's own opens each file of the tz database to make one.
    listed = (Path(tzdata.__file__).parent / "zones").read_text(encoding="ascii")
    return {
        name.casefold(): name
        for name in sorted(listed.split())
        if "/" in name or name in {"UTC", "GMT", "Zulu"} or name.isupper()
    }


@lru_cache(maxsize=1)
def _cities() -> dict[str, str]:
    """Return zones by the name of their city, where only one has it."""
    found: dict[str, set[str]] = {}
    for name in _names().values():
        if not name.startswith(("Etc/", "SystemV/", "US/")) and "/" in name:
            city = name.rpartition("/")[2].replace("_", " ").casefold()
            found.setdefault(city, set()).add(name)
    return {city: min(names, key=len) for city, names in found.items() if len(names) == 1}


@lru_cache(maxsize=1)
def _windows() -> dict[str, str]:
    # Seldom needed, and its library takes a fifth of the start of a pass to import.
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415 -- see above

    return {name.casefold(): zone for name, zone in WINDOWS_TO_OLSON.items()}


@lru_cache(maxsize=1024)
def iana_zone(tzid: str) -> str:
    """Return the IANA name that a TZID gives by name alone, or ""."""
    name = _plain(tzid).removeprefix("tzid=")
    if not name or len(name) > _MAX_NAME:
        return ""
    if name in {"z", "utc", "etc/utc", "gmt", "coordinated universal time"}:
        return "UTC"
    for form in (
        name,
        name.replace(" ", "_"),
        name.replace("_", "/", 1),
        name.replace("-", "/", 1),
    ):
        pieces = form.strip("/").split("/")
        for first in range(len(pieces)):  # /freeassociation.example/Tzfile/Europe/Berlin
            found = _names().get("/".join(pieces[first:]))
            if found and (first == 0 or "/" in found):
                return found
    return _windows().get(name) or _fixed(name) or _shown(name) or _city(name)


def _fixed(name: str) -> str:
    match = _FIXED.fullmatch(name)
    if match is None or (match[3] or "00") != "00" or int(match[2]) > 14:  # noqa: PLR2004 -- Kiribati
        return ""
    hours = int(match[2])
    opposite = "-" if match[1] == "+" else "+"  # Etc/GMT-2 is two hours east of Greenwich
    return f"Etc/GMT{opposite}{hours}" if hours else "UTC"


def _shown(name: str) -> str:
    """Return the zone that Windows shows as `(UTC+01:00) Amsterdam, Berlin`, or ""."""
    match = _SHOWN.fullmatch(name)
    if match is None:
        return ""
    minutes = int(match[2] or 0) * 60 + int(match[3] or 0)
    offset = timedelta(minutes=-minutes if match[1] == "-" else minutes)
    words = [word.strip() for word in re.split(r"[,;]", match[4])]
    for word in words:
        zone = _AMERICA.get(word.partition(" (")[0]) or _cities().get(word)
        if zone and offset in _offsets(zone):
            return zone
    return ""


def _city(name: str) -> str:
    """Return the zone of `Germany/Berlin`: an unknown region, but a city that only one has."""
    region, slash, city = name.rpartition("/")
    return _cities().get(city.replace("_", " "), "") if slash and region else ""


def _offsets(zone: str) -> set[timedelta]:
    info = zone_info(zone)
    days = (datetime(2026, month, 15, tzinfo=info) for month in range(1, 13))
    return {day.utcoffset() or timedelta(0) for day in days}


@lru_cache(maxsize=256)
def matching_zone(described: tuple[Observance, ...], years: Years, hint: str = "") -> str:
    """Return an IANA zone with the same offsets over all of `years`, or "".

    Zones whose city the hint names come first, then those of CLDR's table, then all. Files often
    name the hour of a change wrongly (Lotus: 02:00 for all of Europe): where no zone is exact,
    one that agrees but for the hours around its changes is taken.
    """
    for slack in (_SECOND, _SLACK):
        samples = _samples(described, years, slack)
        for zone in _candidates(hint.casefold()):
            info = zone_info(zone)
            if all(at.astimezone(info).utcoffset() == offset for at, offset in samples) and (
                not difference(zone, described, years, slack)
            ):
                return zone
    return ""


def _candidates(hint: str) -> Iterator[str]:
    named = [zone for city, zone in _cities().items() if city in hint]
    yield from dict.fromkeys(
        [*sorted(named, key=lambda zone: hint.find(zone.rpartition("/")[2].casefold()))]
        + [zone for zone in _windows().values() if not zone.startswith("Etc/")]
        + sorted(_names().values(), key=lambda name: (name.startswith("Etc/"), name))
    )


def _samples(
    described: tuple[Observance, ...], years: Years, slack: timedelta
) -> list[tuple[datetime, timedelta]]:
    """Return instants with their offsets: around each change, and twice a year."""
    first, last = years
    moments = [
        datetime(year, month, 1, tzinfo=UTC) for year in range(first, last + 1) for month in (1, 7)
    ]
    for at, _ in onsets(described, first, last):
        if first <= at.year <= last:
            moments += [at - slack, at + slack - _SECOND]
    return [(at, offset_at(described, at, years)) for at in moments]


@lru_cache(maxsize=512)
def difference(
    zone: str, described: tuple[Observance, ...], years: Years, slack: timedelta = _SECOND
) -> tuple[datetime, timedelta, timedelta] | None:
    """Return the first instant at which zone and VTIMEZONE differ, with both offsets."""
    moments = [at for at, _ in _samples(described, years, slack)]
    for year in range(years[0], years[1] + 1):
        for change in changes(zone, year):
            moments += [change.at - slack, change.at + slack - _SECOND]
    info = zone_info(zone)
    for at in sorted(moments):
        real, told = at.astimezone(info).utcoffset(), offset_at(described, at, years)
        if real is not None and real != told:
            return at, real, told
    return None


def _contradiction(zone: str, tzid: str, described: tuple[Observance, ...], years: Years) -> str:
    found = difference(zone, described, years)
    if found is None:
        return ""
    at, real, told = found
    return (
        f'The file describes the time zone "{tzid[:_MAX_NAME]}" in its own way'
        f" (UTC{offset_text(told)} on {at:%Y-%m-%d}); the tz database says UTC{offset_text(real)}"
        f" for {zone}, and that was believed."
    )
