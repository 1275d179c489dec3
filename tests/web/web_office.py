"""What the tests of the API put into a hub."""

import csv

from support.company import COLUMNS, row
from truckroll.app import accounts

RECIPE = "calendar-to-calendar"


async def tables(hub, folder, company):
    """Let a company keep one table in step with another; return the paths of both."""
    paths = []
    for name in ("jobs", "copy"):
        path = folder / f"{company}-{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            if name == "jobs":
                writer.writerow(row(1, "Ana", Title=f"Boiler of {company}"))
        await accounts.add(
            hub, f"{company}-{name}", "file", {"path": str(path)}, zone="America/New_York"
        )
        paths.append(path)
    return paths
