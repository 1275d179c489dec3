"""The control plane: what a test, or a person trying things out, may do to a box."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from truckroll_sim.kit.clock import Clock, stamp
from truckroll_sim.kit.faults import Fault
from truckroll_sim.kit.system import Kit, System

Build = Callable[[Kit], System]
Handled = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The routes below `/_sim/`; see the package's docstring for them."""

    def __init__(
        self, clock: Clock, systems: dict[str, System], begin: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._systems = systems
        self._begin = begin

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the control plane."""
        own = "/_sim/{system}"
        record = own + "/records/{kind}/{id}"
        return [
            web.get("/_sim/", self._list_systems),
            web.get("/_sim/clock", self._show_clock),
            web.post("/_sim/clock", self._set_clock),
            web.get(own + "/credentials", self._credentials),
            web.post(own + "/seed", self._seed),
            web.post(own + "/reset", self._reset),
            web.get(own + "/acts", self._list_acts),
            web.post(own + "/acts/{act}", self._act),
            web.get(own + "/records/{kind}", self._list_records),
            web.post(own + "/records/{kind}", self._add_record),
            web.get(record, self._get_record),
            web.patch(record, self._edit_record),
            web.delete(record, self._remove_record),
            web.get(own + "/faults", self._list_faults),
            web.post(own + "/faults", self._add_fault),
            web.delete(own + "/faults", self._end_faults),
            web.delete(own + "/faults/{id}", self._end_faults),
            web.get(own + "/{log:calls|outbox|pushes}", self._show_log),
            web.delete(own + "/{log:calls|outbox|pushes}", self._clear_log),
        ]

    def _system(self, request: web.Request) -> System:
        name = request.match_info["system"]
        if name not in self._systems:
            raise KeyError(f"there is no system called {name} in this box")
        return self._systems[name]

    def _records(self, request: web.Request) -> Any:
        kinds = self._system(request).records
        kind = request.match_info["kind"]
        if kind not in kinds:
            raise KeyError(f"there are no records called {kind}; there are: {', '.join(kinds)}")
        return kinds[kind]

    async def _list_systems(self, _: web.Request) -> web.Response:
        return _json({"systems": sorted(self._systems)})

    async def _show_clock(self, _: web.Request) -> web.Response:
        return _json({"now": stamp(self._clock.now()), "frozen": self._clock.frozen})

    async def _set_clock(self, request: web.Request) -> web.Response:
        wanted = await _object(request)
        if at := wanted.get("set"):
            instant = datetime.fromisoformat(at)
            if instant.tzinfo is None:
                raise ValueError("the clock is set to an instant: give it an offset or a Z")
            self._clock.set(instant)
        if seconds := wanted.get("advance_seconds"):
            self._clock.advance(float(seconds))
        if "frozen" in wanted:
            self._clock.freeze(frozen=bool(wanted["frozen"]))
        return await self._show_clock(request)

    async def _credentials(self, request: web.Request) -> web.Response:
        system = self._system(request)
        base = f"{request.scheme}://{request.host}/{request.match_info['system']}"
        return _json(system.credentials(base))

    async def _seed(self, request: web.Request) -> web.Response:
        return _json(self._system(request).seed(await _object(request)), 201)

    async def _reset(self, request: web.Request) -> web.Response:
        await self._system(request).close()
        self._begin(self._system(request).name)
        return web.Response(status=204)

    async def _list_acts(self, request: web.Request) -> web.Response:
        return _json({"acts": sorted(self._system(request).acts)})

    async def _act(self, request: web.Request) -> web.Response:
        acts = self._system(request).acts
        name = request.match_info["act"]
        if name not in acts:
            raise KeyError(f"there is no act called {name}; there are: {', '.join(sorted(acts))}")
        return _json(acts[name](await _object(request)))

    async def _list_records(self, request: web.Request) -> web.Response:
        return _json({"items": self._records(request).list(dict(request.query))})

    async def _get_record(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        return _json(self._records(request).get(key, dict(request.query)))

    async def _add_record(self, request: web.Request) -> web.Response:
        fields = await _object(request)
        return _json(self._records(request).add(fields, dict(request.query)), 201)

    async def _edit_record(self, request: web.Request) -> web.Response:
        key, fields = request.match_info["id"], await _object(request)
        return _json(self._records(request).edit(key, fields, dict(request.query)))

    async def _remove_record(self, request: web.Request) -> web.Response:
        self._records(request).remove(request.match_info["id"], dict(request.query))
        return web.Response(status=204)

    async def _list_faults(self, request: web.Request) -> web.Response:
        return _json({"faults": self._system(request).kit.faults.all()})

    async def _add_fault(self, request: web.Request) -> web.Response:
        fault = msgspec.convert(await _object(request), Fault)
        return _json(self._system(request).kit.faults.add(fault), 201)

    async def _end_faults(self, request: web.Request) -> web.Response:
        self._system(request).kit.faults.clear(request.match_info.get("id"))
        return web.Response(status=204)

    async def _show_log(self, request: web.Request) -> web.Response:
        log = request.match_info["log"]
        return _json({log: self._log(request)})

    async def _clear_log(self, request: web.Request) -> web.Response:
        self._log(request).clear()
        return web.Response(status=204)

    def _log(self, request: web.Request) -> list[Any]:
        kit = self._system(request).kit
        logs: dict[str, list[Any]] = {
            "calls": kit.calls,
            "outbox": kit.outbox.messages,
            "pushes": kit.push.sent,
        }
        return logs[request.match_info["log"]]


@web.middleware
async def told_in_words(request: web.Request, handler: Handled) -> web.StreamResponse:
    """Answer slips at the control plane with a sentence."""
    if not request.path.startswith("/_sim/"):
        return await handler(request)
    try:
        return await handler(request)
    except KeyError as slip:
        return _json({"error": f"not found: {slip.args[0]}"}, 404)
    except (ValueError, TypeError) as slip:
        return _json({"error": str(slip)}, 400)


async def _object(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    value = msgspec.json.decode(raw) if raw.strip() else {}
    if not isinstance(value, dict):
        raise TypeError("the body must be a JSON object")
    return value


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
