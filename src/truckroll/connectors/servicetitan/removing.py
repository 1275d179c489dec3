"""Taking a visit out.

The vendor deletes one visit of several, but neither a job nor its last visit (sheet, section 4).
Such a job is cancelled, and a note under the app's GUID says that the hub took the visit out. As
long as the job stays cancelled, the visit counts as gone; restored, it is there again.
"""

from typing import Any

from truckroll.connectors.servicetitan.calls import path
from truckroll.connectors.servicetitan.parts import app_guid
from truckroll.connectors.servicetitan.reads import read
from truckroll.connectors.servicetitan.wire import out_key
from truckroll.connectors.servicetitan.writes import Call, cancel_job, delete, in_order, visit_of
from truckroll.kit.contract import Missing, Removal, Scope, Seen, Session
from truckroll.kit.errors import HoldRecord, Replan


async def remove(session: Session, scope: Scope, removal: Removal) -> None:
    """Take a visit out, if it is still as it was merged; it not being there is success.

    Raises Replan where it changed meanwhile, HoldRecord where no reason to cancel is known.
    """
    item = await read(session, scope, removal.id)
    if isinstance(item, Missing):
        return
    if isinstance(item, Seen) and removal.version not in {None, item.version}:
        raise Replan(
            f"The appointment {removal.id} changed at {session.system} since it was read; it is "
            "planned again."
        )
    visit = await visit_of(session, removal.id)
    if visit.job.appointment_count > 1:
        await delete(session, visit)
        return
    await cancel_job(session, visit)
    guid = app_guid(session)
    if guid:
        await _note(
            session, visit.job.id, {"key": out_key(visit.appointment.id), "value": "1"}, guid
        )


async def _note(session: Session, job: int, datum: dict[str, Any], guid: str) -> None:
    """Note that the visit was taken out; without the note it is only seen again, cancelled."""
    data = {"applicationGuid": guid, "externalData": [datum], "patchMode": "Merge"}
    call = Call("PATCH", path(session, "jpm", f"jobs/{job}"), {"externalData": data})
    try:
        await in_order(session, f"job {job}", [call], Replan)
    except (HoldRecord, Replan):
        return
