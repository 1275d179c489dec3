"""The connector for Acme Dispatch.

Every fact about the vendor stands in docs/connectors/acme-dispatch.md.
"""

from collections.abc import Mapping

from truckroll.connectors.acme_dispatch import calls, wire
from truckroll.kit.auth import Bearer
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
from truckroll.kit.http import Pace, Transport

ADDRESS = ""  # the vendor's own, with a slash at its end; without it an account must name one

SETTINGS = (
    Setting("token", "The access token that you made at Acme Dispatch", secret=True),
    Setting("api", "Another address of the API, for a test system", required=False),
    PRIVATE,
)


def transport(settings: Mapping[str, str]) -> Transport:
    """Return how the API is reached; raises GiveUp where no address of it is known."""
    address = settings.get("api", "").strip() or ADDRESS
    if not address:
        raise GiveUp(
            f"This hub does not know yet where {wire.TITLE} is reached. Give the address of its "
            'API as the setting "api".'
        )
    return Transport(
        base_url=f"{address.rstrip('/')}/",
        auth=Bearer(settings.get("token", "").strip()),
        pace=Pace(per_second=2, concurrency=4),
        private=is_private(settings),
    )


async def scopes(session: Session) -> tuple[Scope, ...]:
    """Return the company's visits as the one scope of the account.

    One call shows that the account may read; raises GiveUp where it may not.
    """
    company = await calls.company(session)
    return (Scope(company.id, company.name, "appointment"),)


APPOINTMENTS = Resource(
    kind="appointment",
    fields=wire.FIELDS,
    listing=calls.listing,
    writes=frozenset(wire.FIELDS),
    read=calls.read,
    create=calls.create,
    update=calls.update,
    cancel=calls.cancel,
    remove=calls.remove,
    find=calls.find,
    repeat_safe="marker search",
#if etag
    conditional=True,
#end
)

ACME_DISPATCH = Connector(
    system="acme-dispatch",
    title=wire.TITLE,
    settings=SETTINGS,
    transport=transport,
    scopes=scopes,
    resources={APPOINTMENTS.kind: APPOINTMENTS},
    part="company",
)
