"""From a table of bookings to jobs at a simulated ServiceTitan tenant."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from connectors.servicetitan.world import Company
from contract.sentences import assert_sentence
from support.company import brief, row, written
from truckroll.app import accounts, holds, passes, why
from truckroll.app.hub import Hub
from truckroll.sync.perform import OTHER_AGAIN
from truckroll_sim.kit.server import running
from truckroll_sim.servicetitan import ServiceTitan

NAME = "bookings-to-jobs"
RECIPE = """\
name = "bookings-to-jobs"
title = "Bookings → jobs"
version = 1
about = "Each booking becomes a job."

[maps.status]
unmapped = "hold"
words = { "Scheduled" = "scheduled" }

[mirror.bookings]
kind = "appointment"
source_maps = { status = "status" }
gates = ["has_time"]
deletes = "propagate"

[[mirror.bookings.field]]
target = "title"
from = "title"

[[mirror.bookings.field]]
target = "when"
from = "when"

[[mirror.bookings.field]]
target = "customer"
from = "customer"

[[mirror.bookings.field]]
target = "location"
from = "location"
"""
ZONE = "America/Chicago"
HOME = {
    "street": "7 Elm St",
    "city": "Springfield",
    "state": "IL",
    "zip": "62701",
    "country": "USA",
}


@dataclass
class Bookings:
    """A table and the tenant that its bookings go to."""

    hub: Hub
    titan: Company
    rows: list[dict[str, str]]

    async def apply(self):
        written(self.hub.home / "jobs.csv", self.rows)
        return await passes.apply(self.hub, NAME)

    def made(self):
        """The customer of each job, by its visit's title."""
        jobs = [self.titan.job_of(one["id"]) for one in self.titan.visits()]
        return {job["summary"]: job["customerId"] for job in jobs}

    def new_customer(self, name):
        """Let the office make a customer with one location; return the id."""
        body = {"name": name, "address": HOME, "locations": [{"name": name, "address": HOME}]}
        return self.titan.system.acts["add_customer"](body)["id"]

    def sent(self):
        """What was sent to be made or changed, sign-ins aside."""
        calls = self.titan.system.kit.calls
        return [one for one in calls if one.method != "GET" and one.path != "/connect/token"]

    def forget_sent(self):
        self.titan.system.kit.calls.clear()

    def later(self, time):
        now = self.hub.now
        self.hub = replace(self.hub, now=lambda: now() + time)


@asynccontextmanager
async def bookings(store, tmp_path, *, told=True):
    """A hub between both; where the settings are not `told`, they name no customer."""
    hub = Hub(home=tmp_path, store=store)
    written(tmp_path / "jobs.csv", [])
    async with running([ServiceTitan]) as box:
        titan = Company(box)
        answers = titan.settings() if told else titan.settings(customer="", location="")
        await accounts.add(hub, "table", "file", {"path": str(tmp_path / "jobs.csv")}, zone=ZONE)
        await accounts.add(hub, "titan", "servicetitan", answers, zone=ZONE)
        bound = {"from": "table", "to": "titan", "zone": ZONE}
        await store.install_recipe(NAME, RECIPE, bound, {})
        yield Bookings(hub, titan, [])


@pytest.mark.fault("F37")
async def test_a_job_waits_for_its_customer_and_is_made_once_they_are_there(store, tmp_path):
    async with bookings(store, tmp_path, told=False) as desk:
        known = desk.titan.row("customers", desk.titan.customer)["name"]
        desk.rows = [
            row(1, Customer="Miller", Address="", Title="Leak"),
            row(2, Customer=known, Address="", Title="Noise"),
        ]
        first = await desk.apply()
        assert desk.made() == {"Noise": desk.titan.customer}, brief(first)
        (held,) = first.holds
        assert (held.ref, held.reason) == ("J-1", "awaits_other")
        assert_sentence(held.detail)
        assert 'no customer called "Miller"' in held.detail
        assert "by itself" in held.release
        assert not first.failures
        assert held.detail in str(await why.why(desk.hub, "Leak"))

        desk.forget_sent()
        for _ in range(2):
            again = await desk.apply()
            assert (again.writes, again.held) == (0, 1), brief(again)
            desk.later(OTHER_AGAIN)
        assert desk.sent() == []

        added = desk.new_customer("Miller")
        desk.later(OTHER_AGAIN)
        then = await desk.apply()
        assert (then.by_op, then.held) == ({"create": 1}, 0), brief(then)
        assert desk.made() == {"Noise": desk.titan.customer, "Leak": added}
        quiet = await desk.apply()
        assert (quiet.writes, quiet.held) == (0, 0), brief(quiet)


@pytest.mark.fault("F37")
async def test_whoever_made_the_customer_need_not_wait(store, tmp_path):
    async with bookings(store, tmp_path, told=False) as desk:
        desk.rows = [row(1, Customer="Miller", Address="", Title="Leak")]
        assert (await desk.apply()).held == 1
        added = desk.new_customer("Miller")
        await holds.answer(desk.hub, "Leak", "retry", by="test")
        assert (await desk.apply()).by_op == {"create": 1}
        assert desk.made() == {"Leak": added}


async def test_what_the_settings_add_to_a_booking_stays(store, tmp_path):
    async with bookings(store, tmp_path) as desk:
        desk.rows = [row(1, Customer="", Address="", Title="Leak")]
        first = await desk.apply()
        assert (first.by_op, first.held) == ({"create": 1}, 0), brief(first)
        assert desk.made() == {"Leak": desk.titan.customer}
        quiet = await desk.apply()
        assert (quiet.writes, quiet.held) == (0, 0), brief(quiet)
