"""Visits of a table, folded by customer into one event for each customer, on a real CalDAV server."""

import random
from datetime import timedelta

from support.company import SOON, brief, company, row
from truckroll.app import passes, why

NAME = "customers"
RECIPE = """\
name = "customers"
title = "Visits → one event for each customer"
version = 1
about = "A customer's next visits are one event."

[maps.status]
unmapped = "hold"
words = { "Called off" = "cancelled" }

[mirror.customers]
kind = "appointment"
fold = "customer"
source_maps = { status = "status" }
gates = ["has_time"]
deletes = "propagate"

[[mirror.customers.field]]
target = "title"
text = "{customer}: {title}"

[[mirror.customers.field]]
target = "when"
from = "when"

[[mirror.customers.field]]
target = "notes"
from = "number"
fold = "list"
"""


class Folded:
    """The company's table, and its folded calendar."""

    def __init__(self, acme) -> None:
        self.acme = acme

    async def apply(self):
        self.acme.save()
        return await passes.apply(self.acme.hub, NAME, confirmed=1000)

    def shown(self):
        """Title, start and list of each event, as an independent client reads them."""
        found = {}
        for data in self.acme.server.events("office").values():
            event = data.replace("\r", "").replace("\n ", "").split("BEGIN:VEVENT")[1]
            lines = {}
            for line in event.splitlines():
                name, _, value = line.partition(":")
                lines[name.partition(";")[0]] = value
            assert lines["SUMMARY"] not in found
            notes = lines.get("DESCRIPTION", "").replace("\\,", ",")
            found[lines["SUMMARY"]] = lines["DTSTART"], notes
        return found


async def folded(acme):
    bound = {"from": "jobs", "to": "field/office", "zone": "America/New_York"}
    await acme.hub.store.install_recipe(NAME, RECIPE, bound, {})
    return Folded(acme)


def at(day, hour=9):
    return f"{SOON + timedelta(days=day, hours=hour):%Y%m%dT%H%M%S}"


async def test_a_customers_visits_are_one_event_that_follows_the_latest(
    store, tmp_path, fresh_radicale
):
    async with company(store, tmp_path, fresh_radicale, "Office") as acme:
        here = await folded(acme)
        acme.rows = [
            row(1, day=3),
            row(2, day=5),
            row(3, day=4, Customer="Jones"),
            row(4, day=4, Customer=""),
        ]
        first = await here.apply()
        assert first.by_op == {"create": 2}, brief(first)
        assert [hold.reason for hold in first.holds] == ["fold_key_missing"], brief(first)
        assert here.shown() == {
            "Smith: Visit 2": (at(5), "J-1, J-2"),
            "Jones: Visit 3": (at(4), "J-3"),
        }
        again = await here.apply()
        assert again.writes == 0, brief(again)
        names = set(fresh_radicale.events("office"))

        acme.rows[1]["Customer"] = "Jones"  # moves on, and the last without a customer gets one
        acme.rows[3]["Customer"] = "Smith"
        moved = await here.apply()
        assert moved.by_op == {"update": 2}, brief(moved)
        assert moved.holds == []
        assert here.shown() == {
            "Smith: Visit 4": (at(4), "J-1, J-4"),
            "Jones: Visit 2": (at(5), "J-3, J-2"),
        }
        acme.rows[3]["Status"] = "Called off"
        acme.rows[1]["Customer"] = "Smith"
        await here.apply()
        assert here.shown() == {
            "Smith: Visit 2": (at(5), "J-1, J-2"),
            "Jones: Visit 3": (at(4), "J-3"),
        }
        assert set(fresh_radicale.events("office")) == names

        for changed in acme.rows:
            changed["Customer"] = changed["Customer"].replace("Smith", "Smith Ltd")
        renamed = await here.apply()
        assert renamed.by_op == {"update": 1}, brief(renamed)
        told = await why.why(acme.hub, "J-1", NAME)
        assert [place.here for one in told.records for place in one.places] == [True, True]

        acme.rows = acme.rows[:1]
        gone = await here.apply()
        assert gone.by_op == {"update": 1, "cancel": 1}, brief(gone)
        assert here.shown() == {"Smith Ltd: Visit 1": (at(3), "J-1")}
        assert (await here.apply()).writes == 0


async def test_random_rows_make_what_a_plain_grouping_says(store, tmp_path, fresh_radicale):
    chance = random.Random(7)
    async with company(store, tmp_path, fresh_radicale, "Office") as acme:
        here = await folded(acme)
        acme.rows = [row(number, day=2 + number) for number in range(1, 31)]
        for _ in range(6):
            for one in chance.sample(acme.rows, 12):
                one["Customer"] = chance.choice(("Ash", "Birch", "Cedar", "Elm", "Fir"))
                day, hour = chance.randint(2, 9), chance.randint(8, 15)
                one["Start"] = f"{SOON + timedelta(days=day, hours=hour):%Y-%m-%d %H:%M}"
            acme.rows.pop(chance.randrange(len(acme.rows)))
            await here.apply()
            wanted = {}
            for one in sorted(acme.rows, key=lambda one: (one["Start"], one["Job"])):
                wanted.setdefault(one["Customer"], []).append(one)
            assert here.shown() == {
                f"{name}: {rows[-1]['Title']}": (
                    rows[-1]["Start"].replace("-", "").replace(" ", "T").replace(":", "") + "00",
                    ", ".join(one["Job"] for one in rows),
                )
                for name, rows in wanted.items()
            }
            assert (await here.apply()).writes == 0
