"""Reading one visit, and finding one by the hub's mark."""

from collections.abc import Mapping, Sequence

from truckroll.connectors.servicetitan.calls import by_ids, get, listed, path, read_row
from truckroll.connectors.servicetitan.parts import Composer, app_guid, broken, of_app
from truckroll.connectors.servicetitan.refusals import ensure
from truckroll.connectors.servicetitan.site import zone_of
from truckroll.connectors.servicetitan.wire import MARK_KEY, Appointment, Job, marked_visit
from truckroll.kit.contract import Item, Missing, Scope, Session

_GONE = {404, 410}


async def read(session: Session, scope: Scope, id_: str) -> Item:  # noqa: ARG001 -- one scope
    """Return a visit as it is now: it and its job by id, which does not lag (sheet, section 14).

    Missing where it is not there. Raises what `Http.request` raises, GiveUp where the app may
    not read it.
    """
    if not id_.isdecimal():
        return Missing(id_)
    response = await get(session, path(session, "jpm", f"appointments/{id_}"))
    if response.status in _GONE:
        return Missing(id_)
    ensure(session, response)
    rows = read_row(session, response, Appointment)
    if rows.broken:
        return broken(session.system, rows.broken[0])
    if not rows.kept[0].row.active:
        return Missing(id_)
    composer = Composer(session, zone_of(session))
    where = path(session, "jpm", f"jobs/{rows.kept[0].row.job_id}")
    response = await get(session, where, of_app(session))
    if response.status not in _GONE:
        ensure(session, response)
        for job in read_row(session, response, Job).kept:
            composer.know_job(job)
    (item,) = await composer.items(rows.kept)
    return item


async def read_many(session: Session, scope: Scope, ids: Sequence[str]) -> Mapping[str, Item]:  # noqa: ARG001 -- one scope
    """Return several visits as they are now, asked for by their ids, fifty in a call.

    A list by ids is taken to show what a read by id shows: the lag is told of lists by time
    (sheet, section 14). Raises what `read` raises.
    """
    where = path(session, "jpm", "appointments")
    rows = await by_ids(session, where, Appointment, {int(id_) for id_ in ids if id_.isdecimal()})
    live = [one for one in rows.kept if one.row.active]
    composer = Composer(session, zone_of(session))
    items = [*await composer.items(live), *(broken(session.system, one) for one in rows.broken)]
    found = {item.id: item for item in items}
    return {id_: found.get(id_) or Missing(id_) for id_ in ids}


async def find(session: Session, scope: Scope, mark: str) -> Item | None:
    """Return the visit that the hub made under this mark, None where there is none.

    Jobs are searched by external data under the app's GUID (sheet, section 10).
    """
    guid = app_guid(session)
    if not guid:
        return None
    query = {
        "externalDataApplicationGuid": guid,
        "externalDataKey": MARK_KEY,
        "externalDataValues": mark,
    }
    jobs = await listed(session, path(session, "jpm", "jobs"), Job, query)
    for one in jobs.kept:
        id_ = marked_visit(one.row, mark) or await _first_made(session, one.row.id)
        item = await read(session, scope, str(id_))
        if not isinstance(item, Missing):
            return item
    return None


async def _first_made(session: Session, job: int) -> int:
    """Return the oldest visit of a job: ids rise, and a job is made with its visit."""
    where = path(session, "jpm", "appointments")
    visits = await listed(session, where, Appointment, {"jobId": job})
    return min((one.row.id for one in visits.kept), default=0)
