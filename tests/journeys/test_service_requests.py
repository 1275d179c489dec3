"""Real input on real servers: public service requests become technicians' calendars."""

import csv
import os
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from support import servers
from support.company import SOON, brief, company

SHARED = Path(os.environ.get("TRUCKROLL_SHARED", "../shared"))
REQUESTS = SHARED / "data" / "jobs" / "service-requests-nyc-publicstuff.csv"
TECHNICIANS = [f"Tech{number}" for number in range(12)]

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not REQUESTS.exists(), reason="the service requests are not here"),
]


def working_days(first: date, count: int) -> list[date]:
    days, day = [], first
    while len(days) < count:
        day += timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return days


def appointments(limit: int | None) -> list[dict[str, str]]:
    """The k-th request takes the k-th hour slot of the next 60 working days."""
    with REQUESTS.open(newline="") as file:
        requests = list(csv.DictReader(file))[:limit]
    days = working_days(SOON.date(), 60)
    hours = range(24)
    rows = []
    for number, request in enumerate(requests):
        day = days[number // len(hours) % len(days)]
        rows.append(
            {
                "Job": request["id"],
                "Title": request["title"],
                "Start": f"{day:%Y-%m-%d} {hours[number % len(hours)]:02d}:00",
                "Duration": "60",
                "Technician": TECHNICIANS[number % 12],
                "Status": "Scheduled",
                "Address": request["address"],
                "Customer": "",
                "Notes": request["description"],
            }
        )
    return rows


async def lands_and_stays(store, tmp_path, server, rows, report=print):
    async with company(store, tmp_path, server, *TECHNICIANS) as acme:
        acme.rows = rows
        acme.save()
        began = time.monotonic()
        first = await acme.apply()
        report(f"{server.name}: {first.writes} appointments in {time.monotonic() - began:.1f} s")
        assert first.by_op == {"create": len(rows)}, brief(first)
        assert first.held == first.failed == 0, brief(first)
        landed = [server.events(name.lower()) for name in TECHNICIANS]
        assert sum(map(len, landed)) == len(rows)

        began = time.monotonic()
        again = await acme.apply()
        report(f"{server.name}: import again in {time.monotonic() - began:.1f} s")
        assert again.writes == 0, brief(again)
        assert again.calls["field"] == len(TECHNICIANS)

        for changed in acme.rows[:20]:
            changed["Title"] += " (changed)"
        acme.save()
        changed = await acme.apply()
        assert changed.by_op == {"update": 20}, brief(changed)
        assert changed.calls["field"] == 20 + len(TECHNICIANS)

        removed = [acme.rows.pop(5 * number) for number in range(5)]
        acme.save()
        deleted = await acme.apply()
        assert deleted.by_op == {"cancel": 5}, brief(deleted)
        kept = {name for box in map(server.events, map(str.lower, TECHNICIANS)) for name in box}
        assert len(kept) == len(rows)
        assert removed

        acme.rows = []
        acme.save()
        emptied = await acme.apply()
        assert emptied.writes == 0
        assert emptied.stops, brief(emptied)
        assert emptied.confirm == len(rows)
        still = {name for box in map(server.events, map(str.lower, TECHNICIANS)) for name in box}
        assert still == kept


@pytest.mark.behaviour("CAL-1")
@pytest.mark.behaviour("CAL-2")
@pytest.mark.behaviour("CAL-3")
@pytest.mark.fault("F14")
@pytest.mark.fault("F45")
@pytest.mark.fault("AT-01")
async def test_five_hundred_service_requests_land_and_stay(store, tmp_path, fresh_radicale):
    await lands_and_stays(store, tmp_path, fresh_radicale, appointments(500))


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["cyrus", "xandikos"])
async def test_all_service_requests_land_and_stay(store, tmp_path, kind, capsys):
    if kind == "cyrus" and (why := servers.cyrus_missing()):
        pytest.skip(why)

    def report(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    with getattr(servers, kind)() as server:
        await lands_and_stays(store, tmp_path, server, appointments(None), report)
