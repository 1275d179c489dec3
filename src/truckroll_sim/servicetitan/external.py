"""External data: an application's own keys on a job, customer, location or job type.

It is kept per application GUID and shown only to a call that names the GUID (sheet, 10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from truckroll_sim.servicetitan.requests import guid
from truckroll_sim.servicetitan.tenant import invalid

if TYPE_CHECKING:
    from msgspec import UnsetType

    from truckroll_sim.servicetitan.bodies import ExternalData

Kept = dict[str, dict[str, str]]


def merged(kept: Kept, given: ExternalData | UnsetType | None) -> Kept:
    """Return what is kept after a write: Replace (the default) swaps, Merge adds and takes away."""
    if given is UNSET or given is None:
        return kept
    try:
        application = guid(given.application_guid)
    except ValueError:
        raise invalid("ExternalData.ApplicationGuid", "The GUID is not valid.") from None
    before = kept.get(application, {}) if given.patch_mode == "Merge" else {}
    pairs: dict[str, Any] = {**before, **{pair.key: pair.value for pair in given.external_data}}
    return {**kept, application: {k: v for k, v in pairs.items() if v is not None}}
