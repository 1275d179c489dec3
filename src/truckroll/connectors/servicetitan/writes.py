"""Changing and cancelling a visit.

One change may take several calls, since each call of the vendor carries some fields only (sheet,
section 4). None is repeated by itself. What failed after something was done makes the hub look
again; what is there in the end is read by id and told as it is.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from truckroll.connectors.servicetitan.calls import get, listed, path, read_row, send
from truckroll.connectors.servicetitan.parts import with_people
from truckroll.connectors.servicetitan.people import technicians_called
from truckroll.connectors.servicetitan.places import job_type_called
from truckroll.connectors.servicetitan.reads import read
from truckroll.connectors.servicetitan.refusals import STATE_FORBIDS, STATE_IS_KNOWN, ensure
from truckroll.connectors.servicetitan.texts import instructions_in, summary_with
from truckroll.connectors.servicetitan.wire import (
    Appointment,
    Assignment,
    Job,
    Named,
    Row,
    instant_text,
    person,
    status_of,
    utc,
)
from truckroll.kit.classify import Rule
from truckroll.kit.contract import Change, Item, Missing, Reply, Scope, Seen, Session
from truckroll.kit.errors import (
    GiveUp,
    Gone,
    HoldRecord,
    OutcomeUnknown,
    Replan,
    SignIn,
    VendorError,
)
from truckroll.kit.http import Response
from truckroll.kit.normal import explains
from truckroll.model.records import Value, as_text
from truckroll.model.time import Timed

MEMO = "Set by Truckroll, as its source says."
_GONE = {404, 410}
_PERHAPS_SO_ALREADY = {400, 409}
_OFFICES = {"scheduled", "confirmed", "paused", "cancelled"}  # what is the office's to change
_R = TypeVar("_R", bound=Row)


class Visit(NamedTuple):
    """A visit as it is now, with its job; `what` is how people call it in a sentence."""

    appointment: Appointment
    job: Job
    what: str


class Call(NamedTuple):
    """One call of a change. `settled` tells, after a refusal, whether it is so already."""

    verb: str
    where: str
    body: Any = None
    settled: Callable[[], Awaitable[bool]] | None = None


async def update(session: Session, scope: Scope, change: Change) -> Reply:
    """Change a visit and return it as it is afterwards.

    All that can be refused without asking is refused before the first call. Raises Gone where it
    is not there, HoldRecord where the vendor cannot store a value or does not take it, Replan
    where only a part was done.
    """
    if change.fields.get("status") == "cancelled":
        return await _cancelled(session, scope, change, alone=False)
    visit = await visit_of(session, change.id)
    await _stays(session, scope, change, visit.what)
    calls: list[Call] = []
    for name, plan in PLANS.items():
        if name in change.fields:
            calls += await plan(session, visit, change.fields[name])
    forbids = STATE_IS_KNOWN if _state_is_known(change, visit) else STATE_FORBIDS
    await in_order(session, visit.what, calls, Replan, forbids)
    return await as_it_is(session, scope, change.id, change.fields.get("people"))


class _Held(msgspec.Struct, frozen=True):
    """Of an observation's raw form, what its state hangs on."""

    appointment: Appointment
    job: Job | None = None


def _state_is_known(change: Change, visit: Visit) -> bool:
    """Tell whether a visit was in the same state when the change was planned."""
    try:
        held = msgspec.json.decode(change.raw, type=_Held)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return False
    before = status_of(held.appointment, held.job)
    return before == status_of(visit.appointment, visit.job)


async def cancel(session: Session, scope: Scope, change: Change) -> Reply:
    """Cancel a visit: its job where it is the only one, else the visit is deleted.

    A visit cannot be cancelled alone (sheet, section 4). Done twice, the second time does
    nothing. Raises Gone where it is not there.
    """
    return await _cancelled(session, scope, change, alone=True)


async def _cancelled(session: Session, scope: Scope, change: Change, *, alone: bool) -> Reply:
    visit = await visit_of(session, change.id)
    if visit.job.appointment_count <= 1:
        await cancel_job(session, visit)
        return await as_it_is(session, scope, change.id)
    if status_of(visit.appointment, visit.job) == "cancelled":
        return await as_it_is(session, scope, change.id)
    if not alone:
        raise HoldRecord(
            f"{visit.what} is one of {visit.job.appointment_count} visits of its job, and "
            f"{session.system} cannot cancel one of them. Delete it there, or cancel the job."
        )
    before = await read(session, scope, change.id)
    await delete(session, visit)
    return Reply(change.id, _marked_cancelled(before))


async def cancel_job(session: Session, visit: Visit) -> None:
    """Cancel the job of a visit with the account's reason, unless it is cancelled already."""
    if status_of(visit.appointment, visit.job) == "cancelled":
        return
    reason = await _reason(session, "cancel", visit.what)
    where = path(session, "jpm", f"jobs/{visit.job.id}/cancel")
    await in_order(session, visit.what, [Call("PUT", where, reason)], Replan)


async def delete(session: Session, visit: Visit) -> None:
    """Delete one visit of several; it not being there is success."""
    where = path(session, "jpm", f"appointments/{visit.appointment.id}")
    response = await send(session, "DELETE", where)
    if response.status not in _GONE:
        ensure(session, response, visit.what, (STATE_FORBIDS,))


def _marked_cancelled(before: Item) -> Seen | None:
    """Return what a deleted visit was, cancelled: the vendor shows nothing of it any more."""
    if not isinstance(before, Seen):
        return None
    return msgspec.structs.replace(
        before, fields={**before.fields, "status": "cancelled"}, version=None
    )


async def visit_of(session: Session, id_: str) -> Visit:
    """Return a visit and its job as they are now; raises Gone."""
    gone = Gone(f"The appointment {id_} is not at {session.system} any more.")
    if not id_.isdecimal():
        raise gone
    response = await get(session, path(session, "jpm", f"appointments/{id_}"))
    if response.status in _GONE:
        raise gone
    ensure(session, response)
    appointment = _row(session, response, Appointment, f"The appointment {id_}")
    if not appointment.active:
        raise gone
    answer = await get(session, path(session, "jpm", f"jobs/{appointment.job_id}"))
    ensure(session, answer, f"the job of appointment {id_}")
    job = _row(session, answer, Job, f"The job of appointment {id_}")
    return visit_in(job, appointment)


def visit_in(job: Job, appointment: Appointment) -> Visit:
    """Return a visit of a job, named for sentences."""
    return Visit(appointment, job, f"the visit {appointment.id} of job {job.job_number}")


def _row(session: Session, response: Response, shape: type[_R], what: str) -> _R:
    rows = read_row(session, response, shape)
    if not rows.kept:
        raise HoldRecord(f"{what} has an unknown form at {session.system}; look at it there.")
    return rows.kept[0].row


async def in_order(
    session: Session,
    what: str,
    calls: list[Call],
    partly: type[VendorError],
    forbids: Rule = STATE_FORBIDS,
) -> None:
    """Make calls one after another; a failure after a success raises `partly`.

    `forbids` is what it means that a state forbids a call.
    """
    for done, call in enumerate(calls):
        try:
            response = await send(session, call.verb, call.where, call.body)
            if not await _is_so_already(call, response):
                ensure(session, response, what, (forbids,))
        except (SignIn, GiveUp, OutcomeUnknown):
            raise
        except VendorError as error:
            if not done:
                raise
            raise partly(
                f"Only a part of the change of {what} was done at {session.system}; it is looked "
                f"at again. What hindered: {error.says}"
            ) from None


async def _is_so_already(call: Call, response: Response) -> bool:
    if call.settled is None or response.status not in _PERHAPS_SO_ALREADY:
        return False
    return await call.settled()


async def as_it_is(session: Session, scope: Scope, id_: str, people: Value = None) -> Reply:
    """Return a visit as it is now, with the people that were just assigned.

    Who is assigned is read from a list, which may lag (sheet, section 5); that the calls for it
    were answered with success says more.
    """
    item = await read(session, scope, id_)
    if isinstance(item, Missing):
        raise Gone(f"The appointment {id_} is not at {session.system} any more.")
    if not isinstance(item, Seen) or not isinstance(people, tuple):
        return Reply(id_, item if isinstance(item, Seen) else None)
    called = await technicians_called(session, people, f"the visit {id_}")
    names = tuple(person(one.name, one.email) for one in called)
    shown = item.fields.get("people")
    late = not isinstance(shown, tuple) or sorted(shown) != sorted(names)
    return Reply(id_, with_people(item, names) if late else item)


async def _reschedule(session: Session, visit: Visit, value: Value) -> list[Call]:
    """Move a visit; its arrival window stays if it begins within it, else it moves along."""
    when = timed(session, value, visit.what)
    where = path(session, "jpm", f"appointments/{visit.appointment.id}/reschedule")
    return [Call("PATCH", where, window(when, visit.appointment))]


def window(when: Timed, appointment: Appointment | None = None) -> dict[str, str]:
    """Return start, end and arrival window for a call, as instants in UTC.

    A new visit's window is the visit itself. A window in which a moved visit begins stays: it is
    what the customer was told.
    """
    sent = {"start": instant_text(when.begins), "end": instant_text(when.ends)}
    if appointment is None:
        return sent | {"arrivalWindowStart": sent["start"], "arrivalWindowEnd": sent["end"]}
    opens, closes = appointment.arrival_window_start, appointment.arrival_window_end
    if opens is not None and closes is not None and appointment.start is not None:
        kept = utc(opens) <= when.begins <= utc(closes)
        moved = timedelta(0) if kept else when.begins - utc(appointment.start)
        sent["arrivalWindowStart"] = instant_text(utc(opens) + moved)
        sent["arrivalWindowEnd"] = instant_text(utc(closes) + moved)
    return sent


def timed(session: Session, value: Value, what: str) -> Timed:
    """Return a time that the vendor can store; raises HoldRecord on whole days and series."""
    if not isinstance(value, Timed):
        raise HoldRecord(
            f"{session.system} has no whole-day visits, and {what} is one. Give it a time of day."
        )
    if value.rule is not None:
        raise HoldRecord(
            f"{session.system} has no repeating visits, and {what} is one. Make its visits single "
            "ones."
        )
    return value


async def _people(session: Session, visit: Visit, value: Value) -> list[Call]:
    """Assign who is new, then take off who is not wanted: so it is never nobody's in between."""
    called = value if isinstance(value, tuple) else ()
    ids = {one.id for one in await technicians_called(session, called, visit.what)}
    now = await _assigned(session, visit)
    return [
        _assign(session, visit, verb, changed)
        for verb, changed in (("assign", ids - now), ("unassign", now - ids))
        if changed
    ]


def _assign(session: Session, visit: Visit, verb: str, ids: set[int]) -> Call:
    async def settled() -> bool:
        return ids & await _assigned(session, visit) == (ids if verb == "assign" else set())

    where = path(session, "dispatch", f"appointment-assignments/{verb}-technicians")
    body = {"jobAppointmentId": visit.appointment.id, "technicianIds": sorted(ids)}
    return Call("POST", where, body, settled)


async def _assigned(session: Session, visit: Visit) -> set[int]:
    where = path(session, "dispatch", "appointment-assignments")
    rows = await listed(session, where, Assignment, {"appointmentIds": visit.appointment.id})
    return {one.row.technician_id for one in rows.kept if one.row.active}


async def _instructions(session: Session, visit: Visit, value: Value) -> list[Call]:
    text = instructions_in(value if isinstance(value, str) else "", visit.job.summary)
    if text is None:
        raise HoldRecord(
            f"The notes of {visit.what} begin with the further lines of its job's summary, which "
            f"concern the whole job. Change those at {session.system}, and only what follows here."
        )
    where = path(session, "jpm", f"appointments/{visit.appointment.id}/special-instructions")
    return [Call("PUT", where, {"specialInstructions": text})]


async def _title(session: Session, visit: Visit, value: Value) -> list[Call]:
    summary = summary_with(value if isinstance(value, str) else "", visit.job.summary)
    if summary is None:
        raise HoldRecord(
            f"The summary of {visit.what} has a form in which its first line cannot be replaced "
            f"alone. Change it at {session.system}."
        )
    if summary == (visit.job.summary or ""):
        return []
    return [Call("PATCH", path(session, "jpm", f"jobs/{visit.job.id}"), {"summary": summary})]


async def _status(session: Session, visit: Visit, value: Value) -> list[Call]:
    """Confirm, hold, restore, or take it back; technicians alone do the rest (section 11)."""
    wanted = "scheduled" if value in {"tentative", None, ""} else value
    now = status_of(visit.appointment, visit.job)
    if wanted == now:
        return []
    if wanted not in _OFFICES or now == "done" or (wanted != "paused" and now not in _OFFICES):
        raise HoldRecord(
            f"{session.system} does not let others than its technicians set {visit.what} from "
            f'"{now}" to "{wanted}". It follows when they do.'
        )
    here = path(session, "jpm", f"appointments/{visit.appointment.id}")
    calls: list[Call] = []
    if now == "cancelled":
        job = path(session, "jpm", f"jobs/{visit.job.id}/remove-cancellation")
        calls.append(Call("PUT", job))
    if now == "paused":
        calls.append(Call("DELETE", f"{here}/hold"))
    if wanted == "paused":
        calls.append(Call("PUT", f"{here}/hold", await _reason(session, "hold", visit.what)))
    elif (wanted == "confirmed") != visit.appointment.is_confirmed:
        calls.append(Call("PUT" if wanted == "confirmed" else "DELETE", f"{here}/confirmation"))
    return calls


async def _reason(session: Session, verb: str, what: str) -> dict[str, Any]:
    """Return the body that names the reason to cancel or hold; raises HoldRecord without one."""
    name = session.settings.get(f"{verb}_reason", "").strip()
    where = path(session, "jpm", f"job-{verb}-reasons")
    rows = await listed(session, where, Named, {"active": "True"}) if name else None
    known = [one.row for one in rows.kept] if rows else []
    fits = [one for one in known if name.casefold() in {str(one.id), one.name.casefold()}]
    if len(fits) != 1:
        names = ", ".join(f'"{one.name}"' for one in known[:20])
        there = f" It knows: {names}." if names else ""
        raise HoldRecord(
            f"To {verb} {what}, {session.system} wants a reason, and the account's setting "
            f"{verb}_reason names none of its reasons. Set it to the name or id of one.{there}"
        )
    return {"reasonId": fits[0].id, "memo": MEMO}


async def _job_type(session: Session, visit: Visit, value: Value) -> list[Call]:
    if not isinstance(value, str) or not value.strip():
        raise HoldRecord(
            f"A job without a type is not known to {session.system}, and {visit.what} has none at "
            "its source. Give it one there."
        )
    id_ = await job_type_called(session, value, visit.what)
    where = path(session, "jpm", f"jobs/{visit.job.id}")
    return [] if id_ == visit.job.job_type_id else [Call("PATCH", where, {"jobTypeId": id_})]


async def _stays(session: Session, scope: Scope, change: Change, what: str) -> None:
    """Hold a change of what is said once, when a visit is made: its job, customer and location."""
    asked = {name: change.fields[name] for name in FIXED if change.fields.get(name) is not None}
    if not asked:
        return
    item = await read(session, scope, change.id)
    shown = item.fields if isinstance(item, Seen) else {}
    for name, value in asked.items():
        if not explains(value, shown.get(name)):
            raise HoldRecord(
                f"{what} was made for its job, customer and location, and moves to no other: its "
                f'{name} is not "{as_text(value)}" at {session.system}. Change it there, or make '
                "the visit anew."
            )


Plan = Callable[[Session, Visit, Value], Awaitable[list[Call]]]
# In the order of the calls: what matters most is done first.
PLANS: dict[str, Plan] = {
    "when": _reschedule,
    "people": _people,
    "status": _status,
    "notes": _instructions,
    "title": _title,
    "job_type": _job_type,
}
FIXED = ("number", "customer", "location")
