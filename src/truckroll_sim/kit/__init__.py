"""The kit of the simulators: everything that does not differ from vendor to vendor.

How the pieces fit
------------------
A *system* (`kit.system.System`) is a vendor: a table of routes from `Call` to `Answer`
(`kit.calls`), with no server in it. A *box* (`kit.server.Box`) holds several systems and puts
them behind one address: `http://127.0.0.1:P/<system>/<the vendor's own path>`, with the control
plane at `/_sim/`. Tests take `running(systems)` (in process) or the same box as a process of its
own (`python -m truckroll_sim --port P`); both behave alike.

Each system owns one `kit.system.Kit`, with
- `clock`: the vendor's time (aware, UTC). It flows unless it is frozen, can be set and advanced,
  and is off by the `skew` fault, if there is one.
- `ids`: identifiers from seeded counters: the same calls give the same ids.
- `calls`: the call log. `outbox`: whom the vendor would have told, about what, and why.
- `tokens`: access tokens and what they grant. `faults`: what goes wrong. `push`: web hooks.
- `watchers`: callables `(call, answer)` that see every exchange (a test's schema check).

A table (`kit.state.Table`) keeps rows with revisions: what changed since a cursor, and what a
reader sees who is some seconds late. Rows are never changed in place: put a new one. One
`Revisions` may serve many tables. `kit.paging` has opaque cursors and pages by number or by key.

How to add a system
-------------------
1. A folder `truckroll_sim/<system>/` with a class that inherits `System`, sets `name` (the first
   segment of its paths) and fills `self.routes` with `self.routes.add(method, pattern, handler)`.
   A pattern is the vendor's path, such as `/crm/v2/tenant/{tenant}/customers/{id}`; each `{part}`
   is one path segment, percent-decoded, in `call.parts`. A handler is a function or coroutine
   function from `Call` to `Answer`; it refuses by raising `Refused(answer)`. The more specific
   pattern wins over `{part}`; an unknown path is answered by `not_found`.
2. Say how the vendor speaks: `not_found(call)`, `account(call)` (who is signed in, for the log;
   None if nobody), and `trouble(call, fault)` (the vendor's body of an injected error).
3. Fill the control plane: `credentials(base)` (all that a client needs to sign in; `base` is the
   system's own address), `seed(parameters)` (a sample company; answers what it made),
   `records[kind]` (an object with the five methods of `Records`: what a user of the vendor does in
   its screens) and `acts[name]` (any other act of a person, or a setting, such as "arrive" or
   "revoke": a function from the JSON body to a JSON answer).
4. Where a listing is read, ask `kit.faults.lag_seconds(call)` and read the table as of then;
   where a cursor comes back, ask `kit.faults.strikes("cursor", call)`.
5. Name the class in the `__all__` of its package; the box finds it.

The control plane
-----------------
- `GET /_sim/` lists the systems. `GET|POST /_sim/clock`: `{"set": "2026-11-02T08:00:00Z",
  "advance_seconds": 60, "frozen": true}`, each optional, in this order.
- `GET /_sim/<system>/credentials`, `POST /_sim/<system>/seed` (parameters as JSON).
- `GET|POST|PATCH|DELETE /_sim/<system>/records/<kind>[/<id>]`, query parameters are handed on.
- `POST /_sim/<system>/acts/<name>`; `GET /_sim/<system>/acts` lists the names.
- `GET|DELETE /_sim/<system>/calls`, `.../outbox`, `.../pushes`.
- `GET|POST|DELETE /_sim/<system>/faults`, `DELETE /_sim/<system>/faults/<id>`: see `kit.faults`.
- `POST /_sim/<system>/reset` forgets everything but the clock and begins anew, unseeded.
Its errors are `{"error": "a sentence"}` with 400 or 404.
"""
