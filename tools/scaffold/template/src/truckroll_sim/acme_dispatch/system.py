"""The company, its visits, and the way in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from truckroll_sim.kit.auth import bearer
#if etag
from truckroll_sim.kit.calls import Answer, Call, Handler, Refused
#else
from truckroll_sim.kit.calls import Answer, Call, Handler
#end
from truckroll_sim.kit.clock import stamp
from truckroll_sim.kit.faults import Fault
from truckroll_sim.kit.paging import numbered
from truckroll_sim.kit.state import Table
from truckroll_sim.kit.system import Kit, System

COMPANY = {"id": "c-1", "name": "Sample Company"}
STATUSES = ("Tentative", "Scheduled", "Confirmed", "Working", "Done", "Cancelled")
_LONGEST_TITLE = 255
_SHOWN_DELETED = timedelta(days=30)
_TEN_YEARS = 10 * 365 * 86_400
_EMPTY = {
    "title": "",
    "start": None,
    "end": None,
    "timeZone": "",
    "status": "Scheduled",
    "address": "",
    "notes": "",
    "reference": None,
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Visits:
    """What people do with visits in the vendor's own screens, and what the API does with them."""

    kit: Kit
    table: Table[Row]

    def list(self, options: Mapping[str, str]) -> list[Row]:
        """Return the visits that are there."""
        del options
        return [row for row in self.table.rows() if not row["deleted"]]

    def get(self, key: str, options: Mapping[str, str]) -> Row:
        """Return a visit; raises KeyError where it is not there."""
        del options
        row = self.table.get(key)
        if row is None or row["deleted"]:
            raise KeyError(f"there is no visit {key}")
        return row

    def add(self, fields: Row, options: Mapping[str, str]) -> Row:
        """Make a visit and return it."""
        del options
        id_ = f"v-{self.kit.ids.number('visit')}"
        return self._put({"id": id_, "deleted": False, **_EMPTY, **_checked(fields)})

    def edit(self, key: str, fields: Row, options: Mapping[str, str]) -> Row:
        """Change some fields of a visit and return it."""
        return self._put({**self.get(key, options), **_checked(fields)})

    def remove(self, key: str, options: Mapping[str, str]) -> None:
        """Delete a visit; lists of changes show for some time that it was there."""
        self._put({**self.get(key, options), "deleted": True})

    def shown(self, since: datetime | None, lag_seconds: float) -> Iterable[Row]:
        """Return what a list shows: what is there, or all that changed since an instant."""
        now = self.kit.clock.now()
        for row in self.table.rows(lag_seconds):
            at = datetime.fromisoformat(row["updatedAt"])
            if since is None:
                if not row["deleted"]:
                    yield row
            elif at >= since and not (row["deleted"] and now - at > _SHOWN_DELETED):
                yield row

    def _put(self, row: Row) -> Row:
        told = {"updatedAt": stamp(self.kit.clock.now())}
#if etag
        told["etag"] = f'"{self.kit.ids.number("etag")}"'
#end
        return self.table.put(row["id"], {**row, **told}).row


def _checked(fields: Row) -> Row:
    """Return fields as they are kept; raises ValueError with a sentence."""
    if fields.get("status", STATUSES[0]) not in STATUSES:
        raise ValueError(f"The status must be one of {', '.join(STATUSES)}.")
    for name in ("start", "end"):
        if fields.get(name) and datetime.fromisoformat(fields[name]).tzinfo is None:
            raise ValueError(f"{name} must have an offset.")
    kept = {name: fields[name] for name in fields if name not in {"id", "etag", "updatedAt"}}
    if isinstance(kept.get("title"), str):
        kept["title"] = kept["title"][:_LONGEST_TITLE]
    return kept


class AcmeDispatch(System):
    """One company and its API below `/v1`."""

    name = "acme-dispatch"

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.visits = Visits(kit, kit.table())
        self.records["visits"] = self.visits
        self.acts["revoke"] = lambda _: {"revoked": kit.tokens.revoke()}
        one = "/v1/visits/{id}"
        for method, pattern, handler in (
            ("GET", "/v1/company", lambda _: Answer.json(COMPANY)),
            ("GET", "/v1/visits", self._list),
            ("POST", "/v1/visits", self._create),
            ("GET", one, self._get),
            ("PATCH", one, self._change),
            ("DELETE", one, self._delete),
        ):
            self.routes.add(method, pattern, self._behind_the_door(handler))

    def credentials(self, base: str) -> dict[str, Any]:
        """Return the API's address and a token."""
        return {"api": base, "token": self.kit.tokens.issue("office", lasts_seconds=_TEN_YEARS)}

    def seed(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Make `visits` (default 3) visits from tomorrow on; returns their ids."""
        if unknown := set(parameters) - {"visits"}:
            raise ValueError(f"there is no parameter called {', '.join(sorted(unknown))}")
        first = self.kit.clock.now().replace(minute=0, second=0, microsecond=0)
        made = []
        for number in range(1, int(parameters.get("visits", 3)) + 1):
            begins = first + timedelta(days=number)
            times = {"start": stamp(begins), "end": stamp(begins + timedelta(hours=2))}
            place = {"timeZone": "America/Chicago", "address": f"{number} Elm St"}
            made.append(self.visits.add({"title": f"Visit {number}", **times, **place}, {})["id"])
        return {"visits": made}

    def account(self, call: Call) -> str | None:
        """Return whose token the call carries."""
        grant = self.kit.tokens.grant(bearer(call))
        return grant.account if grant else None

    def not_found(self, call: Call) -> Answer:
        """Return the vendor's answer to an unknown path."""
        return _error(404, f"Nothing is at {call.path}.")

    def trouble(self, call: Call, fault: Fault) -> Answer:
        """Return an injected error in the vendor's words."""
        del call
        return _error(fault.status, fault.reason or "An error occurred.")

    def _behind_the_door(self, handler: Handler) -> Handler:
        def admitted(call: Call) -> Any:
            if self.account(call) is None:
                return _error(401, "The token is missing, unknown or revoked.")
            try:
                return handler(call)
            except KeyError as slip:
                return _error(404, str(slip.args[0]))
            except (ValueError, TypeError) as slip:
                return _error(400, str(slip))

        return admitted

    def _list(self, call: Call) -> Answer:
        since, reference = call.one("updatedSince"), call.one("reference")
        begin = datetime.fromisoformat(since) if since else None
        shown = self.visits.shown(begin, self.kit.faults.lag_seconds(call))
        rows = [row for row in shown if reference in (None, row["reference"])]
        rows.sort(key=lambda row: (row["updatedAt"], row["id"]))
        number, size = int(call.one("page") or 1), min(int(call.one("pageSize") or 50), 100)
        page = numbered(rows, number, size)
        return Answer.json({"visits": page.items, "page": number, "total": len(rows)})

    def _create(self, call: Call) -> Answer:
        return self._told(call, self.visits.add(call.json(), {}), 201)

    def _get(self, call: Call) -> Answer:
        return Answer.json(self.visits.get(call.parts["id"], {}))

    def _change(self, call: Call) -> Answer:
        row = self._wanted(call)
        return self._told(call, self.visits.edit(row["id"], call.json(), {}))

    def _delete(self, call: Call) -> Answer:
        row = self._wanted(call)
        self.visits.remove(row["id"], {})
        self._told(call, row)
        return Answer.empty()

    def _wanted(self, call: Call) -> Row:
        """Return the visit that a write is about."""
#if etag
        row = self.visits.get(call.parts["id"], {})
        wanted = call.headers.get("If-Match")
        if wanted not in (None, row["etag"]):
            raise Refused(_error(412, "The visit was changed meanwhile."))
        return row
#else
        return self.visits.get(call.parts["id"], {})
#end

    def _told(self, call: Call, row: Row, status: int = 200) -> Answer:
        """Answer a write; the customer is told of it unless the call says not to."""
        if call.one("notify") != "false":
            self.kit.outbox.tell("the customer", row["id"], call.method)
        return Answer.json(row, status)


def _error(status: int, message: str) -> Answer:
    return Answer.json({"error": {"message": message}}, status)
