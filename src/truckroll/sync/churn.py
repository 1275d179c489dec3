"""Churn: a field that goes back and forth is held before it goes on for ever (SYNC §9)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from truckroll.model.records import Fields, as_text, same

HOUR = timedelta(hours=1)
MOST_WRITES = 5
MOST_RETURNS = 2


def churning(recent: Mapping[int, Sequence[Fields]], end: int, fields: Fields) -> str:
    """Say in a sentence which field of an end goes back and forth, or "".

    `recent` holds what was written to each end within the hour, the oldest first. A field churns
    that was written five times already, or that would come back to a value which it left twice:
    one move and one move back is a dispatcher on the phone.
    """
    written = recent.get(end, ())
    for slot, value in fields.items():
        past = [one[slot] for one in written if slot in one]
        if len(past) >= MOST_WRITES:
            return (
                f"{slot} was written {len(past)} times within the hour; somebody writes against us"
            )
        left = sum(same(old, value) for old in past[:-1])
        if left >= MOST_RETURNS:
            return (
                f"{slot} comes back to “{as_text(value)}” again and again within the hour; "
                "somebody writes against us"
            )
    return ""
