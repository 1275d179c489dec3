"""The simulated Acme Dispatch under the contract suite."""

import asyncio
import json
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime

from contract import samples
from contract.bench import Held, Visit, World
from support.proxy import FaultProxy
from truckroll.connectors.acme_dispatch import ACME_DISPATCH
from truckroll.kit.contract import Session
from truckroll.kit.http import open_client
from truckroll.kit.pace import Timing
from truckroll_sim.acme_dispatch import AcmeDispatch
from truckroll_sim.kit.server import running

AT_ONCE = Timing(sleep=lambda _: asyncio.sleep(0))  # the client's waits take no time
TIMES = {"start": "2026-11-30T17:00:00Z", "end": "2026-11-30T18:30:00Z"}


class Company:
    """The simulated company, and what its people do in the vendor's own screens."""

    def __init__(self, box):
        self.url = f"{box.address}/acme-dispatch"
        self.system = box.systems["acme-dispatch"]
        self.visits = self.system.records["visits"]

    def settings(self, api="", **more):
        told = self.system.credentials(self.url)
        return {"token": told["token"], "api": api or told["api"], "private": "yes", **more}

    def add(self, title, **more):
        """Make a visit with something on it that the hub knows nothing of; return its id."""
        fields = {"title": title, **TIMES, "timeZone": "America/Los_Angeles", **more}
        return self.visits.add({**fields, "colour": "teal"}, {})["id"]

    def edit(self, id_, **fields):
        self.visits.edit(id_, fields, {})

    def spoil(self):
        return self.add("Backwards", end="2026-11-30T16:00:00Z")

    def get(self, id_):
        return next((row for row in self.visits.list({}) if row["id"] == id_), None)

    def back(self, id_):
        """Return a visit in the model's terms, without the connector."""
        row = self.get(id_)
        return row and {
            "title": row["title"],
            "begins": datetime.fromisoformat(row["start"]),
            "ends": datetime.fromisoformat(row["end"]),
            "status": row["status"].lower(),
            "notes": row["notes"],
        }


@asynccontextmanager
async def session_of(settings, held=None):
    """Sign in."""
    transport = ACME_DISPATCH.transport(settings)
    async with open_client(
        transport, system=ACME_DISPATCH.title, account="office", timing=AT_ONCE
    ) as client:
        yield Session(
            account="office",
            system=ACME_DISPATCH.system,
            settings=settings,
            http=client,
            known=held if held is not None else Held(),
        )


@asynccontextmanager
async def visit(_):
    async with running([AcmeDispatch]) as box:
        company = Company(box)
        async with (
            FaultProxy(f"{box.address}/") as proxy,
            session_of(company.settings(f"{proxy.url}acme-dispatch")) as session,
        ):
            yield await _stay(company, proxy, session)


async def _stay(company, proxy, session):
    (scope,) = await ACME_DISPATCH.scopes(session)
    proxy.clear()
    return Visit(
        connector=ACME_DISPATCH,
        session=session,
        scope=scope,
        seed=lambda _, title: company.add(title),
        edit=lambda id_, title: company.edit(id_, title=title),
        delete=lambda id_: company.visits.remove(id_, {}),
        count=lambda: len(company.visits.list({})),
        back=company.back,
        spoil=company.spoil,
        unknown=lambda id_: company.get(id_)["colour"] == "teal",
        expired=lambda cursor: json.dumps({**json.loads(cursor), "at": "2020-01-01T00:00:00Z"}),
        proxy=proxy,
        server=company,
        held=session.known,
        writes_by="PATCH",
        creates_by="POST",
    )


# The vendor keeps visits with a time of day only.
WORLDS = [World("acme-dispatch", nullcontext, visit, samples={"when": samples.timed()})]
