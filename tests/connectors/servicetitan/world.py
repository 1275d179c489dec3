"""The simulated ServiceTitan under the contract suite."""

import json
import re
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime, timedelta
from html import unescape

from contract import samples
from contract.bench import Held, Visit, World
from support.clock import at_once
from support.proxy import FaultProxy
from truckroll.connectors.servicetitan import SERVICETITAN
from truckroll.kit.contract import Session
from truckroll.kit.http import open_client
from truckroll_sim.kit.server import running
from truckroll_sim.servicetitan import ServiceTitan

AT_ONCE = at_once()
GUID = "5a2f1c77-5f0e-4f0a-9a6e-0c1d2e3f4a5b"
STATUSES = {"Scheduled": "scheduled", "Canceled": "cancelled", "Hold": "paused"}
NEXT_YEAR = "2099-03-02T{hour:02}:00:00Z"


class Company:
    """One tenant with what its people do in the vendor's own screens."""

    def __init__(self, box, **seed):
        self.box = box
        self.system = box.systems["servicetitan"]
        self.tenant = self.system.tenant
        self.tenant.habits.calls_a_second = 0  # the client's waits take no time in tests
        people = {"technicians": 3, "customers": 2, "appointments": 0, **seed}
        self.made = self.system.seed(people)
        self.place = next(self.tenant["locations"].seen())
        self.customer = self.place["customerId"]
        self.technicians = list(self.tenant["technicians"].seen())

    def act(self, name, **body):
        return self.system.acts[name](body)

    def job(self, summary="<p>AC not cooling</p>", visits=1, crew=(), **more):
        """Book a job in the office; return its row."""
        return self.act(
            "book",
            customerId=self.customer,
            locationId=self.place["id"],
            businessUnitId=self.made["business_units"][0],
            jobTypeId=self.made["job_types"][0],
            campaignId=self.made["campaign"],
            priority="Normal",
            summary=summary,
            appointments=[
                {
                    "start": NEXT_YEAR.format(hour=15 + 2 * n),
                    "end": NEXT_YEAR.format(hour=16 + 2 * n),
                    "arrivalWindowStart": NEXT_YEAR.format(hour=14 + 2 * n),
                    "arrivalWindowEnd": NEXT_YEAR.format(hour=16 + 2 * n),
                    "technicianIds": list(crew),
                }
                for n in range(visits)
            ],
            **more,
        )

    def row(self, table, id_):
        return self.tenant[table].get(int(id_))

    def edit(self, table, id_, **changes):
        return self.tenant.edit(table, int(id_), **changes)

    def job_of(self, visit):
        return self.row("jobs", self.row("appointments", visit)["jobId"])

    def title(self, visit, title):
        job = self.job_of(visit)
        self.edit("jobs", job["id"], summary=f"<p>{title}</p>")

    def visits(self):
        return [row for row in self.tenant["appointments"].seen() if row["active"]]

    def back(self, visit):
        """Return a visit in the model's terms, without the connector."""
        row = self.row("appointments", visit)
        if row is None or not row["active"] or self.taken_out(visit):
            return None
        lines = unescape(re.sub(r"<[^>]*>", "\n", self.job_of(visit)["summary"] or "")).split("\n")
        return {
            "title": next((line for line in lines if line.strip()), ""),
            "begins": row["start"],
            "ends": row["end"],
            "status": STATUSES.get(row["status"], row["status"]),
            "people": [one["technicianName"] for one in self.crew(visit)],
            "notes": row["specialInstructions"],
        }

    def taken_out(self, visit):
        """Tell whether the hub took a visit out, as its note on the cancelled job says."""
        notes = self.job_of(visit)["_external"].get(GUID, {})
        canceled = self.row("appointments", visit)["status"] == "Canceled"
        return canceled and f"truckroll-out:{visit}" in notes

    def crew(self, visit):
        rows = self.tenant["assignments"].having("appointmentId", int(visit))
        return [row for row in rows if row["active"]]

    def settings(self, api="", **more):
        told = self.system.credentials(f"{self.box.address}/servicetitan")
        return {
            "tenant": str(told["tenant"]),
            "client_id": told["client_id"],
            "client_secret": told["client_secret"],
            "app_key": told["app_key"],
            "api": api or told["api"],
            "auth": told["token_url"],
            "private": "yes",
            "zone": "America/Chicago",
            "past_days": "3650",
            "app_guid": GUID,
            "customer": str(self.customer),
            "location": str(self.place["id"]),
            "business_unit": str(self.made["business_units"][0]),
            "job_type": str(self.made["job_types"][0]),
            "campaign": str(self.made["campaign"]),
            "cancel_reason": str(self.made["cancel_reasons"][0]),
            "hold_reason": str(self.made["hold_reasons"][0]),
            **more,
        }


@asynccontextmanager
async def session_of(settings, held=None):
    """Sign in; sentences name the system."""
    async with open_client(
        SERVICETITAN.transport(settings), system="servicetitan", account="acme", timing=AT_ONCE
    ) as client:
        yield Session(
            account="acme",
            system="servicetitan",
            settings=settings,
            http=client,
            zone="UTC",
            known=held if held is not None else Held(),
        )


@asynccontextmanager
async def visit(_):
    async with running([ServiceTitan]) as box:
        company = Company(box)
        async with (
            FaultProxy(f"{box.address}/") as proxy,
            session_of(company.settings(f"{proxy.url}servicetitan")) as session,
        ):
            yield await _stay(company, proxy, session)


async def _stay(company, proxy, session):
    def seed(name: str, title: str) -> str:
        del name
        more = {"customerPo": "PO-7781", "customFields": [{"typeId": 9, "value": "teal"}]}
        job = company.job(f"<p><b>{title}</b></p><p>Roof, <i>unit</i> 3</p>", **more)
        return str(job["firstAppointmentId"])

    def spoil() -> str:
        id_ = seed("bad", "Backwards")
        start = company.row("appointments", id_)["start"]
        company.edit("appointments", id_, end=start - timedelta(hours=1))
        return id_

    def unknown(id_: str) -> bool:
        job = company.job_of(id_)
        kept = job["customerPo"] == "PO-7781" and job["customFields"][0]["value"] == "teal"
        return kept and job["summary"].endswith("</b></p><p>Roof, <i>unit</i> 3</p>")

    def expired(cursor: str) -> str:
        held = json.loads(cursor)
        return json.dumps({**held, "tokens": {**held["tokens"], "jobs": "bm90IGtub3du"}})

    (scope,) = await SERVICETITAN.scopes(session)
    proxy.clear()
    return Visit(
        connector=SERVICETITAN,
        session=session,
        scope=scope,
        seed=seed,
        edit=company.title,
        delete=lambda id_: company.tenant.delete("appointments", int(id_)),
        count=lambda: len(company.visits()),
        back=company.back,
        spoil=spoil,
        unknown=unknown,
        expired=expired,
        proxy=proxy,
        server=company,
        held=session.known,
        quiet_calls=8,
        writes_by="PATCH",
        creates_by="POST",
    )


def utc(text: str) -> datetime:
    """Return an instant."""
    return datetime.fromisoformat(text)


WORLDS = [
    World(
        "servicetitan",
        nullcontext,
        visit,
        # Jobs, customers, locations and job types are looked up: they must be there.
        samples={
            "when": samples.timed(),
            **dict.fromkeys(("number", "customer", "location", "job_type")),
        },
    )
]
