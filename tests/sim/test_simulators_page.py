"""What docs/simulators.md says of the control plane is so."""

import re
from pathlib import Path

import aiohttp

from truckroll_sim.kit.server import running
from truckroll_sim.systems import SYSTEMS

PAGE = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text(encoding="utf-8")
KINDS = {"servicetitan": "appointments", "google-calendar": "events"}


async def test_every_call_of_the_table_is_answered():
    calls = re.findall(r"^\| `(GET|POST) (/_sim/[^`]*)` \|", PAGE, re.MULTILINE)
    assert len(calls) == 11
    async with running(SYSTEMS) as box, aiohttp.ClientSession() as session:
        for system, kind in KINDS.items():
            for method, path in calls:
                at = path.replace("<system>", system).replace("<kind>", kind)
                async with session.request(method, box.address + at, json={}) as answer:
                    assert answer.status < 300, f"{method} {at}: {await answer.text()}"


async def test_the_bodies_of_the_page_are_taken():
    seeds = re.findall(r"/_sim/([\w-]+)/seed -d '(.*)'", PAGE)
    (fault,) = re.findall(r"takes it: `(\{.*?\})`", PAGE)
    assert len(seeds) == 2
    async with running(SYSTEMS) as box, aiohttp.ClientSession() as session:
        for system, body in seeds:
            for path, sent in (("seed", body), ("faults", fault)):
                where = f"{box.address}/_sim/{system}/{path}"
                async with session.post(where, data=sent) as answer:
                    assert answer.status < 300, await answer.text()
