"""Making a visit: a new job with its first visit, or one more visit of a job.

The vendor has no create key (sheet, section 10), so the hub's mark is kept with the job as
external data under the app's GUID, and looked for before anything is made.
"""

from typing import Any, TypeVar

from truckroll.connectors.servicetitan.calls import listed, path, read_row, send
from truckroll.connectors.servicetitan.parts import app_guid
from truckroll.connectors.servicetitan.people import technicians_called
from truckroll.connectors.servicetitan.places import job_type_called, place_of
from truckroll.connectors.servicetitan.reads import find
from truckroll.connectors.servicetitan.refusals import STATE_FORBIDS, ensure
from truckroll.connectors.servicetitan.site import number
from truckroll.connectors.servicetitan.texts import summary_with
from truckroll.connectors.servicetitan.wire import (
    MARK_KEY,
    Appointment,
    Job,
    Row,
    mark_key,
    status_of,
    utc,
)
from truckroll.connectors.servicetitan.writes import (
    PLANS,
    Call,
    Visit,
    as_it_is,
    in_order,
    timed,
    visit_in,
    window,
)
from truckroll.kit.contract import Draft, Reply, Scope, Seen, Session
from truckroll.kit.errors import AwaitOther, HoldRecord, OutcomeUnknown, VendorError
from truckroll.kit.http import Response
from truckroll.model.time import Timed

_PRIORITIES = ("Low", "Normal", "High", "Urgent")
_AS_MADE = {None, "", "scheduled", "tentative"}  # what needs no further call
_MAKEABLE = {*_AS_MADE, "confirmed", "paused"}
_R = TypeVar("_R", bound=Row)
# What a new job needs (sheet, section 4) besides customer and location, as settings.
_NEEDED = {
    "business_unit": "the business unit's id",
    "job_type": "the job type's id",
    "campaign": "the campaign's id",
}


async def create(session: Session, scope: Scope, draft: Draft) -> Reply:
    """Make a visit; doing it again with the same mark finds the first one.

    With a job number it is one more visit of that job, else the first of a new job. Raises
    HoldRecord with what is missing, AwaitOther where that may yet come, OutcomeUnknown where the
    visit was made and something of it was not.
    """
    title = draft.fields.get("title")
    what = f'"{title}"' if title else "a visit without a title"
    guid = _guid(session, what)
    when = timed(session, draft.fields.get("when"), what)
    if draft.fields.get("status") not in _MAKEABLE:
        raise HoldRecord(
            f"{what} is {draft.fields['status']} already, and {session.system} makes new visits "
            "only. It stays as it is."
        )
    found = await find(session, scope, draft.mark)
    if found is not None:
        return Reply(found.id, found if isinstance(found, Seen) else None)
    asked = draft.fields.get("people")
    called = asked if isinstance(asked, tuple) else ()
    technicians = [one.id for one in await technicians_called(session, called, what)]
    times = {**window(when), "technicianIds": technicians}
    named = draft.fields.get("number")
    if isinstance(named, str) and named.strip():
        visit = await _one_more(session, named.strip(), when, times)
    else:
        visit = await _new_job(session, draft, guid, what, times)
    try:
        await _finish(session, draft, guid, visit)
        return await as_it_is(session, scope, str(visit.appointment.id), called or None)
    except VendorError as error:
        # Whatever failed now, the visit is there: it must not be made again by a retry.
        raise OutcomeUnknown(
            f"{visit.what} was made at {session.system}, but perhaps not all of it. It is looked "
            f"up before anything is tried again. What hindered: {error.says}"
        ) from None


def _guid(session: Session, what: str) -> str:
    guid = app_guid(session)
    if not guid:
        raise HoldRecord(
            f"{what} cannot be made at {session.system} without the GUID of your app, under which "
            "the hub's mark is kept. Give it as app_guid in the account's settings."
        )
    return guid


async def _new_job(
    session: Session, draft: Draft, guid: str, what: str, times: dict[str, Any]
) -> Visit:
    ids = {name: number(session, name, of) for name, of in _NEEDED.items()}
    type_ = draft.fields.get("job_type")
    if isinstance(type_, str) and type_.strip():
        ids["job_type"] = await job_type_called(session, type_, what)
    missing = [f"{name} ({_NEEDED[name]})" for name, id_ in ids.items() if id_ is None]
    if missing:
        raise HoldRecord(
            f"To make a job for {what}, {session.system} needs to know more. Give in the account's "
            f"settings: {', '.join(missing)}; or map the number of a job that is there."
        )
    place = await place_of(session, draft.fields, what)
    title = draft.fields.get("title")
    body = {
        "customerId": place.customer,
        "locationId": place.location,
        "businessUnitId": ids["business_unit"],
        "jobTypeId": ids["job_type"],
        "campaignId": ids["campaign"],
        "priority": _priority(session),
        "summary": summary_with(title if isinstance(title, str) else "", None),
        "appointments": [times],
        "externalData": _marked(guid, MARK_KEY, draft.mark),
    }
    response = await send(session, "POST", path(session, "jpm", "jobs"), body)
    ensure(session, response, what, (STATE_FORBIDS,))
    job = _made(session, response, Job, what)
    first = Appointment(job.first_appointment_id, job_id=job.id, status="Scheduled")
    return visit_in(job, first)


def _priority(session: Session) -> str:
    name = session.settings.get("priority", "").strip().capitalize() or "Normal"
    if name not in _PRIORITIES:
        raise HoldRecord(
            f'"{name}" is no priority of {session.system}; it has {", ".join(_PRIORITIES)}. '
            "Correct the account's settings."
        )
    return name


async def _one_more(session: Session, number_: str, when: Timed, times: dict[str, Any]) -> Visit:
    """Add a visit to a job. One of just these times that is there already is taken for it.

    A lost answer leaves no other trace: the vendor keeps no mark on a visit itself.
    """
    jobs = await listed(session, path(session, "jpm", "jobs"), Job, {"number": number_})
    fits = [one.row for one in jobs.kept if one.row.job_number == number_]
    if len(fits) != 1:
        raise (HoldRecord if fits else AwaitOther)(
            f'{session.system} has no job with the number "{number_}" to which the visit could be '
            "added. Correct the number, or take it out of the recipe so that a job is made."
        )
    job, where = fits[0], path(session, "jpm", "appointments")
    visits = await listed(session, where, Appointment, {"jobId": job.id})
    same = [
        one.row
        for one in visits.kept
        if one.row.start and one.row.end and status_of(one.row, job) != "cancelled"
        if (utc(one.row.start), utc(one.row.end)) == (when.begins, when.ends)
    ]
    if same:
        return visit_in(job, same[0])
    what = f"a visit of job {number_}"
    response = await send(session, "POST", where, {"jobId": job.id, **times})
    ensure(session, response, what, (STATE_FORBIDS,))
    return visit_in(job, _made(session, response, Appointment, what))


def _marked(guid: str, key: str, mark: str) -> dict[str, Any]:
    return {"applicationGuid": guid, "externalData": [{"key": key, "value": mark}]}


def _made(session: Session, response: Response, shape: type[_R], what: str) -> _R:
    """Return the row of what was made; an answer that cannot be read leaves it in doubt."""
    try:
        rows = read_row(session, response, shape)
    except VendorError:
        rows = None
    if rows is None or not rows.kept:
        raise OutcomeUnknown(
            f"{session.system} took {what}, and its answer cannot be read. It is looked up before "
            "anything is tried again."
        )
    return rows.kept[0].row


async def _finish(session: Session, draft: Draft, guid: str, visit: Visit) -> None:
    """Bring to a new visit what the call that makes it does not carry: mark, status and notes.

    The mark is kept with the visit's id: a job may get further visits, before it and after.
    """
    marked = _marked(guid, mark_key(visit.appointment.id), draft.mark) | {"patchMode": "Merge"}
    where = path(session, "jpm", f"jobs/{visit.job.id}")
    calls = [Call("PATCH", where, {"externalData": marked})]
    for name in ("status", "notes"):
        value = draft.fields.get(name)
        if value not in _AS_MADE:
            calls += await PLANS[name](session, visit, value)
    await in_order(session, visit.what, calls, OutcomeUnknown)
