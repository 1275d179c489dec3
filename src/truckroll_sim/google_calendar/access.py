"""Who is calling, what for, how often, and what an account may do to a calendar."""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from truckroll_sim.google_calendar.errors import not_found, refusal
from truckroll_sim.google_calendar.world import ROLES, Book, World
from truckroll_sim.kit.auth import Grant, bearer
from truckroll_sim.kit.calls import Call

SCOPE = "https://www.googleapis.com/auth/"
_MINUTE = timedelta(minutes=1)


@dataclass
class Quota:
    """Requests per minute, in a sliding window (google-calendar, section 8)."""

    per_user: int = 600
    per_project: int = 10_000
    _made: dict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))

    def spend(self, user: str, now: datetime) -> None:
        """Count a request of a user; refuses it (403) if that is one too many."""
        for name, limit, reason in (
            (user, self.per_user, "userRateLimitExceeded"),
            ("", self.per_project, "rateLimitExceeded"),
        ):
            made = self._made[name]
            while made and made[0] <= now - _MINUTE:
                made.popleft()
            if len(made) >= limit:
                raise refusal(403, reason)
        for name in (user, ""):
            self._made[name].append(now)


@dataclass
class Gate:
    """Lets calls in."""

    world: World
    quota: Quota = field(default_factory=Quota)

    def account(self, call: Call) -> str | None:
        """Return who is signed in, None if nobody is."""
        grant = self.world.kit.tokens.grant(bearer(call))
        return grant.account if grant else None

    def enter(self, call: Call, scopes: Iterable[str]) -> Grant:
        """Return the grant of a call.

        Refuses one without valid token or of a suspended person (401), without any of the scopes
        (403), or beyond the quota (403).
        """
        grant = self.world.kit.tokens.grant(bearer(call))
        person = self.world.people.get(grant.account) if grant else None
        if grant is None or (person and not person.active):
            raise refusal(401, "authError", location="Authorization", location_type="header")
        # The quota's user is the impersonated one, unless `quotaUser` splits it (section 8).
        user = call.one("quotaUser") or grant.account
        self.quota.spend(user, self.world.kit.clock.now())
        if not any(SCOPE + scope in grant.scopes for scope in scopes):
            raise refusal(403, "insufficientPermissions")
        return grant

    def book(self, grant: Grant, calendar_id: str, least: str) -> tuple[Book, str]:
        """Return a calendar and the account's role on it.

        Refuses a calendar that is not there or not shared with the account (404), and one on
        which its role is below `least` (403).
        """
        name = grant.account if calendar_id == "primary" else calendar_id
        book = self.world.books.get(name)
        if book is None or book.deleted:
            raise not_found()
        role = self.world.role(book, grant.account)
        if role == "none":
            raise not_found()
        if ROLES.index(role) < ROLES.index(least):
            raise refusal(403, "forbidden", f"You need to have {least} access to this calendar.")
        return book, role
