"""Vendors in trouble: their waits take no time, and what a person then reads."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from contract.sentences import assert_sentence
from support.company import brief
from support.fleet import fleet
from truckroll.app import accounts
from truckroll.cli.told import hold as as_told
from truckroll.kit import auth
from truckroll.kit.http import Limits, open_client
from truckroll.kit.pace import Timing
from truckroll_sim.kit.faults import Fault

SHORT = Limits(total_seconds=0.5, connect_seconds=0.5)


@dataclass
class Waits:
    """A clock of its own, on which waiting takes no time; `slept` are the waits in seconds."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    passed: float = 0.0
    slept: list = field(default_factory=list)

    def now(self):
        return self.at + timedelta(seconds=self.passed)

    def later(self, **how):
        self.passed += timedelta(**how).total_seconds()

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)

    @property
    def timing(self):
        return Timing(lambda: self.passed, self.now, self.sleep, lambda: 0.5)


@contextmanager
def no_waiting(monkeypatch, limits=SHORT):
    """Let every client of the hub wait on a clock of its own; yields it."""
    waits = Waits()

    def opened(transport, **names):
        names["timing"] = waits.timing
        return open_client(replace(transport, limits=limits), **names)

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "open_client", opened)
        patch.setattr(auth, "open_client", opened)
        for made in (auth.OAuth2.__init__, auth.lasting):
            patch.setitem(made.__kwdefaults__, "timing", waits.timing)
        yield waits


def fails(system, **what):
    """Let a simulated system answer otherwise than it should."""
    return system.kit.faults.add(Fault(**{"kind": "status", **what}))


@asynccontextmanager
async def troubled(store, tmp_path, monkeypatch, *, limits=SHORT, in_step=True, **sample):
    """A fleet whose hub waits on a clock of its own, `in_step` unless it is not yet filled."""
    sample = {"technicians": 3, "appointments": 9, "days": 5, **sample}
    async with fleet(store, tmp_path, **sample) as acme:
        acme.titan.tenant.habits.calls_a_second = 0  # the hub's waits take no time here
        with no_waiting(monkeypatch, limits) as waits:
            acme.hub = replace(acme.hub, now=waits.now)
            if in_step:
                first = await acme.apply()
                assert first.failed == first.held == 0, brief(first)
                acme.forget_calls()
            yield acme, waits


def written(system):
    """How often each record was written at a system: every attempt counts, parts of batches too."""
    log = [part for call in system.kit.calls for part in (call.parts or (call,))]
    return Counter(
        one.path for one in log if one.method in ("PATCH", "PUT", "DELETE") and one.status < 300
    )


def move_all(acme, hours=1):
    """Let the office move every visit; returns how many events are to follow."""
    for number in acme.visits():
        acme.office("reschedule", appointmentId=number, **acme.later(number, hours=hours))
    return len(acme.assigned())


def in_step(acme):
    """Tell whether each technician's calendar has just the visits, at their times."""
    starts = {number: row["start"].astimezone(UTC) for number, row in acme.visits().items()}
    wanted = Counter((email, starts[number]) for number, email in acme.assigned())
    return wanted == Counter(
        (email, datetime.fromisoformat(one["start"]["dateTime"]).astimezone(UTC))
        for email in acme.emails.values()
        for one in acme.google.records["events"].list({"calendar": email})
        if one["status"] != "cancelled"
    )


def job_of(acme, visit):
    """Return the number by which people call the job of a visit."""
    job = acme.visits()[visit]["jobId"]
    return next(one["jobNumber"] for one in acme.titan.records["jobs"].list({}) if one["id"] == job)


def told(view):
    """All that a pass tells of trouble: each text is held to what people can read."""
    texts = [*view.problems, *view.failures]
    for text in texts:
        plain = text.split("  truckroll ")[0]
        assert_sentence(plain)
    for hold in view.holds:
        if hold.reason in ("refused", "conflict", "outcome_unknown"):  # what vendors cause
            assert_sentence(hold.detail)
            texts.append(as_told(hold)[0])
    return texts
