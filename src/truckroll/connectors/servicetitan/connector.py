"""The connector for ServiceTitan, the back office of service contractors.

Every fact about the vendor stands in docs/connectors/servicetitan.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from truckroll.connectors.servicetitan import creates, listing, pushes, reads, removing, writes
from truckroll.connectors.servicetitan.calls import get, path
from truckroll.connectors.servicetitan.refusals import ensure
from truckroll.connectors.servicetitan.site import (
    PAST_DAYS,
    api_address,
    past_days,
    tenant_of,
    token_address,
    zone_of,
)
from truckroll.kit.auth import OAuth2, OAuthApp
from truckroll.kit.contract import (
    PRIVATE,
    Connector,
    Resource,
    Scope,
    Session,
    Setting,
    is_private,
)
from truckroll.kit.errors import GiveUp
from truckroll.kit.grants import Grants
from truckroll.kit.http import Limit, Pace, Transport, expect
from truckroll.kit.normal import LOSSLESS, Stored

SETTINGS = (
    Setting("tenant", "The tenant's id (a number)"),
    Setting("client_id", "The client id that the tenant's admin got for your app (cid.…)"),
    Setting("client_secret", "The client secret beside it (cs2.…)", secret=True),
    Setting("app_key", "The key of your app (ak1.…)", secret=True),
    Setting("zone", "In which zone does the company work (America/New_York)?", required=False),
    Setting(
        "environment",
        "Which one is it (production or integration)?",
        required=False,
        default="production",
    ),
    Setting(
        "past_days",
        "For how many days after its end does a visit belong to the list?",
        required=False,
        default=str(PAST_DAYS),
    ),
    Setting(
        "app_guid",
        "The GUID of your app for external data; needed to make visits",
        required=False,
    ),
    Setting(
        "customer", "The customer's id for jobs made without a customer's name", required=False
    ),
    Setting("location", "The location's id for jobs made without an address", required=False),
    Setting("business_unit", "The business unit's id for jobs that are made", required=False),
    Setting("job_type", "The job type's id for jobs made without a type's name", required=False),
    Setting("campaign", "The campaign's id for jobs that are made", required=False),
    Setting(
        "priority",
        "The priority of jobs that are made (Low, Normal, High or Urgent)",
        required=False,
        default="Normal",
    ),
    Setting(
        "cancel_reason", "The reason (name or id) with which jobs are cancelled", required=False
    ),
    Setting("hold_reason", "The reason (name or id) with which visits are held", required=False),
    Setting("api", "Another address of the interface, for a test system", required=False),
    Setting("auth", "Another address for tokens, for a test system", required=False),
    PRIVATE,
)


@dataclass(frozen=True, slots=True)
class AppAuth:
    """The tenant's token and the app's key, which go with every call (sheet, section 3).

    Both are proofs of the transport: they leave neither its site nor https.
    """

    tokens: OAuth2
    key: str

    def __repr__(self) -> str:
        return "AppAuth()"

    async def headers(self) -> Mapping[str, str]:
        """Return both headers; raises what a renewal of the token raises."""
        return {**await self.tokens.headers(), "ST-App-Key": self.key}

    async def refused(self) -> bool:
        """Ask for a new token after a 401."""
        return await self.tokens.refused()

    def keep_in(self, grants: Grants) -> None:
        """Keep the token where all processes find it: it is good for a quarter of an hour."""
        self.tokens.keep_in(grants)


def transport(settings: Mapping[str, str]) -> Transport:
    """Return how a tenant is reached: client credentials, and 60 requests a second (section 8)."""
    app = OAuthApp(
        system="ServiceTitan",
        token_url=token_address(settings),
        client_id=settings.get("client_id", "").strip(),
        client_secret=settings.get("client_secret", "").strip(),
        secret_in_body=True,
        private=is_private(settings),
    )
    tokens = OAuth2(app, own=True)
    return Transport(
        base_url=api_address(settings),
        auth=AppAuth(tokens, settings.get("app_key", "").strip()),
        pace=Pace(concurrency=8, limits=(_limit(settings),)),
        private=is_private(settings),
    )


def _limit(settings: Mapping[str, str]) -> Limit:
    """Return the limit of an app at a tenant, whoever of us uses the two (section 8)."""
    key = f"{settings.get('tenant', '')} {settings.get('client_id', '')}"
    return Limit(60, of="app", key=key)


async def scopes(session: Session) -> tuple[Scope, ...]:
    """Return the tenant, after one call that shows that it is connected.

    Raises GiveUp where its id, zone or another setting cannot be used, or the app may not read.
    """
    tenant = tenant_of(session)
    zone_of(session)
    past_days(session.settings)
    answer = await get(session, path(session, "jpm", "appointments"), {"page": 1, "pageSize": 1})
    ensure(session, answer)
    expect(answer, {"application/json"}, session.system, otherwise=GiveUp)
    return (Scope(tenant, session.account or tenant, "appointment"),)


_TEXT = Stored(trim=True, omits_empty=True)
# Each visit has it: from its source, else by the settings.
_GIVEN = Stored(trim=True, omits_empty=True, always=True)
FIELDS: Mapping[str, Stored] = {
    "number": _GIVEN,
    "title": _TEXT,
    "when": LOSSLESS,
    "window": LOSSLESS,
    "status": Stored(words=(("tentative", "scheduled"),)),
    "people": Stored(trim=True),
    "location": _GIVEN,
    "job_type": _TEXT,
    "notes": _TEXT,
    "customer": _GIVEN,
    "contact": LOSSLESS,
    "category": _TEXT,
}
# Which writes tell is not stated; a job may send its customer notices (`notificationsEnabled`).
_TELLS = "the customer, if the job's notifications are on, and the technicians"

APPOINTMENTS = Resource(
    kind="appointment",
    fields=FIELDS,
    listing=listing.listing,
    writes=frozenset((*writes.PLANS, *writes.FIXED)),
    read=reads.read,
    read_many=reads.read_many,
    create=creates.create,
    update=writes.update,
    cancel=writes.cancel,
    remove=removing.remove,
    find=reads.find,
    repeat_safe="marker search",
    lag=listing.LAG,
    concurrency=4,
    notifies=dict.fromkeys(("create", "update", "cancel", "delete"), _TELLS),
)

SERVICETITAN = Connector(
    system="servicetitan",
    title="ServiceTitan",
    part="tenant",
    settings=SETTINGS,
    transport=transport,
    scopes=scopes,
    resources={APPOINTMENTS.kind: APPOINTMENTS},
    push=pushes.PUSH,
    poll=timedelta(seconds=30),
)
