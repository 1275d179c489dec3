"""Events as they are written, each with the proof that its tree is what its octets say."""

import msgspec

from truckroll.kit.ical.read import read_calendar, read_parts
from truckroll.kit.ical.write import write_event


def octets(uid, fields, **how):
    written = write_event(uid, fields, **how)
    calendar = read_parts(written.tree)
    if not calendar.problems and not any(one.problems or one.refused for one in calendar.entries):
        assert _without_places(calendar) == _without_places(read_calendar(written.octets))
    return written.octets


def _without_places(calendar):
    entries = tuple(msgspec.structs.replace(one, line=0) for one in calendar.entries)
    return msgspec.structs.replace(calendar, entries=entries)
