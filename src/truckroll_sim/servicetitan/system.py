"""ServiceTitan in a box: the doors in front of the API, and the way to its modules.

Paths are the vendor's own below `/servicetitan`: the token at `/connect/token`, the API at
`/{module}/v2/tenant/{tenant}/…` (sheet, 2 and 3).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from truckroll_sim.kit.auth import Grant, basic, bearer
from truckroll_sim.kit.calls import Answer, Call, Handler
from truckroll_sim.kit.system import Kit, System
from truckroll_sim.servicetitan import (
    accounting,
    bookings,
    company,
    crm,
    dispatch,
    export,
    forms,
    jpm,
    leads,
    office,
    settings,
)
from truckroll_sim.servicetitan.requests import Request, Route, refusal
from truckroll_sim.servicetitan.tenant import RefusalError, Tenant

if TYPE_CHECKING:
    from truckroll_sim.kit.faults import Fault

TENANT = 9_330_417
CLIENT_ID = "cid.simulated-client"
CLIENT_SECRET = "cs2.simulated-secret"  # noqa: S105 - the sample company's, of use nowhere else
APP_KEY = "ak1.simulated-app"

MODULES = (jpm, crm, bookings, leads, dispatch, settings, accounting, forms, export)
ROUTES: tuple[Route, ...] = tuple(route for module in MODULES for route in module.ROUTES)


def scope(route: Route) -> str:
    """Return the scope that a route needs, named like ``tn.jpm.jobs:r`` (sheet, 3)."""
    module, _, rest = route.path.partition("/")
    part = rest.removeprefix("export/").split("/")[0]
    return f"tn.{module}.{part}:{'r' if route.method == 'GET' else 'w'}"


class ServiceTitan(System):
    """One tenant, one app, one set of credentials."""

    name = "servicetitan"

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit)
        self.tenant = Tenant(TENANT, kit)
        self.scopes = frozenset(scope(route) for route in ROUTES)
        self._recent: deque[float] = deque()
        self.routes.add("POST", "/connect/token", self._token)
        self.routes.add("GET", forms.BLOBS, lambda call: forms.blob(self.tenant, call))
        for route in ROUTES:
            module, _, rest = route.path.partition("/")
            pattern = f"/{module}/v2/tenant/{{tenant}}/{rest}"
            self.routes.add(route.method, pattern, self._behind_the_doors(route))
        self.records.update(office.desks(self.tenant))
        self.acts.update(office.acts(self.tenant))
        self.acts.update({"scopes": self._limit_scopes, "revoke": self._revoke})

    def credentials(self, base: str) -> dict[str, Any]:
        """Return what the tenant's administrator and the developer portal hand out."""
        return {
            "api": base,
            "token_url": f"{base}/connect/token",
            "tenant": TENANT,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "app_key": APP_KEY,
            "booking_provider": min(self.tenant.providers),
        }

    def seed(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Make the sample company; see `company.Sample` for the parameters."""
        return company.seed(self.tenant, parameters)

    def account(self, call: Call) -> str | None:
        """Return the client whose token the call carries."""
        grant = self._grant(call)
        return grant.account if grant else None

    def _grant(self, call: Call) -> Grant | None:
        # The client library in use sends the token without the word Bearer, and is answered.
        return self.kit.tokens.grant(bearer(call) or call.headers.get("Authorization"))

    def not_found(self, call: Call) -> Answer:
        """Return a path that the vendor does not know."""
        return self._refused(RefusalError(404, f"No resource at {call.path}."))

    def trouble(self, call: Call, fault: Fault) -> Answer:
        """Return an injected error in the vendor's words."""
        if call.path == "/connect/token":
            return Answer.json({"error": fault.reason or "server_error"}, fault.status)
        return self._refused(RefusalError(fault.status, fault.reason or "An error occurred."))

    def _refused(self, refused: RefusalError, headers: dict[str, str] | None = None) -> Answer:
        trace = f"00-{self.kit.ids.hex('trace')}-{self.kit.ids.hex('span', 16)}-00"
        return refusal(refused, trace, headers)

    def _token(self, call: Call) -> Answer:
        """Client credentials, in the form or as Basic (RFC 6749, 2.3.1 and 4.4)."""
        form = {
            name: values[-1]
            for name, values in parse_qs(call.body.decode(errors="replace")).items()
        }
        client = basic(call) or (form.get("client_id"), form.get("client_secret"))
        if client != (CLIENT_ID, CLIENT_SECRET):
            return Answer.json({"error": "invalid_client"}, 400)
        if form.get("grant_type") != "client_credentials":
            return Answer.json({"error": "unsupported_grant_type"}, 400)
        lasts = self.tenant.habits.token_seconds
        token = self.kit.tokens.issue(CLIENT_ID, self.scopes, lasts)
        answer = {
            "access_token": token,
            "expires_in": lasts,
            "token_type": "Bearer",
            "scope": " ".join(sorted(self.scopes)),
        }
        return Answer.json(answer, headers={"Cache-Control": "no-store"})

    def _behind_the_doors(self, route: Route) -> Handler:
        def handler(call: Call) -> Answer:
            try:
                self._admit(call, scope(route))
                if self._too_fast():
                    refused = RefusalError(429, "Rate limit is exceeded. Try again in 1 second.")
                    return self._refused(refused, {"Retry-After": "1"})
                return route.answer(Request(self.tenant, call))
            except RefusalError as refused:
                return self._refused(refused)

        return handler

    def _admit(self, call: Call, needed: str) -> Grant:
        grant = self._grant(call)
        key = call.headers.get("ST-App-Key") or call.one("servicetitanapplicationkey")
        if grant is None:
            raise RefusalError(401, "The access token is missing, unknown or expired.")
        if key != APP_KEY:
            raise RefusalError(401, "The application key is missing or unknown.")
        if call.parts["tenant"] != str(self.tenant.number):
            raise RefusalError(404, "The tenant is not connected to this application.")
        if needed not in grant.scopes:
            raise RefusalError(403, f"The scope {needed} is not granted.")
        return grant

    def _too_fast(self) -> bool:
        """Whether this call is one too many within a second; a frozen clock knows no second."""
        limit = self.tenant.habits.calls_a_second
        if not limit or self.kit.clock.box.frozen:
            return False
        now = self.kit.clock.now().timestamp()
        while self._recent and not now - 1 < self._recent[0] <= now:
            self._recent.popleft()
        if len(self._recent) >= limit:
            return True
        self._recent.append(now)
        return False

    def _limit_scopes(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take scopes from the app (`without`) or give all back; tokens that exist keep theirs."""
        known = frozenset(scope(route) for route in ROUTES)
        without = frozenset(body.get("without", ()))
        if unknown := without - known:
            raise ValueError(f"there is no scope called {', '.join(sorted(unknown))}")
        self.scopes = known - without
        return {"scopes": sorted(self.scopes)}

    def _revoke(self, _: dict[str, Any]) -> dict[str, Any]:
        """Make all access tokens worthless, as a disconnected tenant does."""
        return {"revoked": self.kit.tokens.revoke()}
