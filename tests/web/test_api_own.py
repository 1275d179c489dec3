"""Own views: a technician sees their visits, a customer their orders, and nothing of others."""

import csv
from datetime import UTC, datetime, timedelta

import pytest

from truckroll.app import accounts, members, passes
from truckroll.recipes.compile import builtin
from web.web_office import RECIPE

NOON = datetime.now(UTC).replace(hour=17, minute=0, second=0, microsecond=0, tzinfo=None)
COLUMNS = ("Job", "Title", "Start", "Duration", "Technician", "Status", "Address", "Customer",
           "Email", "Rule")  # fmt: skip


def visit(number, who, day, **more):
    return {
        "Job": f"J-{number}",
        "Title": f"Visit {number}",
        "Start": f"{NOON + timedelta(days=day):%Y-%m-%d %H:%M}",
        "Duration": "60",
        "Technician": who,
        "Status": "Scheduled",
        "Address": f"{number} Elm St",
        "Customer": "Smith",
        "Email": f"smith{number}@mail.example",
        **more,
    }


async def settle(hub, folder, name, rows):
    """Let a company keep a table of visits in step with another."""
    for which in ("jobs", "copy"):
        path = folder / f"{name}-{which}.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(rows if which == "jobs" else [])
        await accounts.add(hub, which, "file", {"path": str(path)}, zone="UTC")
    bound = {"from": "jobs", "to": "copy", "zone": "UTC"}
    await hub.store.install_recipe(RECIPE, builtin()[RECIPE], bound, {})
    await passes.apply(hub)


@pytest.fixture
async def people(office, tmp_path):
    """Two companies with visits; return the tokens of people by tenant and name."""
    acme = [
        visit(1, "Ana Ruiz", 1),
        visit(2, "Ben Cole", 1),
        visit(3, "Ana Ruiz; Ben Cole", 2, Status="Cancelled"),
        visit(4, "Ana Ruiz", 14),
        visit(5, "Ana Ruiz", 16),
        visit(6, "Ana Ruiz", -1),
        visit(7, "Ana Ruiz Junior", 1),
    ]
    beta = [visit(8, "Ana Ruiz", 1), visit(1, "Ben Cole", 1, Title="Of beta")]
    await settle(office.hubs["acme"], tmp_path, "acme", acme)
    await settle(office.hubs["beta"], tmp_path, "beta", beta)
    for name, hub in office.hubs.items():
        for who, preset, mail in (
            ("Ana Ruiz", "technician", ""),
            ("Ben Cole", "technician", ""),
            ("Nobody", "technician", ""),
            ("Smith", "customer", " Smith1@mail.example "),
            ("Partner", "partner", "smith2@mail.example"),
            ("No mail", "customer", ""),
        ):
            person = who if preset == "technician" else ""
            await members.add(hub, who, mail=mail, presets=[preset], person=person)
            made = await members.make_token(hub, f"{who}'s", who)
            office.tokens[name, who] = made.secret
    return office


async def visits(office, who, tenant="acme"):
    found = await office.well("GET", "/my/visits", preset=who, tenant=tenant)
    return [(one["number"], one["status"]) for one in found["items"]]


@pytest.mark.fault("F65")
async def test_a_technician_sees_their_own_visits_of_two_weeks(people):
    found = await people.well("GET", "/my/visits", preset="Ana Ruiz")
    told = [(one["number"], one["others"]) for one in found["items"]]
    assert told == [("J-1", []), ("J-3", ["Ben Cole"]), ("J-4", [])]
    first = found["items"][0]
    assert (first["title"], first["location"], first["customer"]) == (
        "Visit 1",
        "1 Elm St",
        "Smith",
    )
    begins = datetime.fromisoformat(first["begins"])
    assert begins == (NOON + timedelta(days=1)).replace(tzinfo=UTC)
    assert await visits(people, "Ben Cole") == [("J-2", "Scheduled"), ("J-3", "Cancelled")]
    assert await visits(people, "Nobody") == []
    assert await visits(people, "administrator") == [], "who stands for nobody sees nobody's"
    for path in ("/runs", "/why/J-1", "/conflicts", "/people", "/holds", "/top"):
        assert (await people.call("GET", path, preset="Ana Ruiz")).status_code == 404


@pytest.mark.fault("F65")
async def test_another_company_has_a_technician_of_the_same_name(people):
    assert await visits(people, "Ana Ruiz", "beta") == [("J-8", "Scheduled")]
    assert await visits(people, "Ben Cole", "beta") == [("J-1", "Scheduled")]
    await people.hubs["acme"].store.remove_member("Ana Ruiz")
    assert (await people.call("GET", "/my/visits", preset="Ana Ruiz")).status_code == 401


async def test_of_two_people_of_one_name_neither_is_shown_the_others_visits(office, tmp_path):
    hub = office.hubs["acme"]
    rows = [
        visit(1, "Ana Ruiz <a@acme.example>", 1),
        visit(2, "Ana Ruiz <b@acme.example>", 1),
        visit(3, "Ben Cole <c@acme.example>", 1),
    ]
    await settle(hub, tmp_path, "acme", rows)
    for name, person in (
        ("any", "Ana Ruiz"),
        ("a", "Ana Ruiz <a@acme.example>"),
        ("c", "ben cole"),
    ):
        await members.add(hub, name, presets=["technician"], person=person)
        office.tokens["acme", name] = (await members.make_token(hub, name, name)).secret
    assert await visits(office, "any") == []
    assert await visits(office, "a") == [("J-1", "Scheduled")]
    assert await visits(office, "c") == [("J-3", "Scheduled")]


async def test_a_series_shows_each_of_its_visits_and_whole_days_have_no_time(office, tmp_path):
    hub = office.hubs["acme"]
    rows = [
        visit(1, "Ana", -20, Rule="FREQ=WEEKLY"),
        visit(2, "Ana", 2, Start=f"{NOON + timedelta(days=2):%Y-%m-%d}", Duration=""),
    ]
    await settle(hub, tmp_path, "acme", rows)
    await members.add(hub, "ana", presets=["technician"], person="Ana")
    office.tokens["acme", "ana"] = (await members.make_token(hub, "a", "ana")).secret
    found = (await office.well("GET", "/my/visits", preset="ana"))["items"]
    days = [one["when"] for one in found if one["number"] == "J-1"]
    assert len(days) == 2
    assert len(set(days)) == 2
    (whole,) = [one["when"] for one in found if one["number"] == "J-2"]
    assert "all day" in whole


@pytest.mark.fault("F65")
async def test_a_customer_sees_the_order_whose_contact_they_are_and_no_other(people):
    nothing = await people.call("GET", "/nothing-here")
    order = await people.well("GET", "/my/orders/j-1", preset="Smith")
    assert (order["number"], order["title"]) == ("J-1", "Visit 1")
    assert order["visits"][0]["technicians"] == ["Ana Ruiz"]
    assert (await people.well("GET", "/my/orders/J-2", preset="Partner"))["number"] == "J-2"
    for who, number in (
        ("Smith", "J-2"),
        ("Smith", "J-99"),
        ("Smith", "%25"),
        ("Partner", "J-1"),
        ("No mail", "J-1"),
        ("Ana Ruiz", "J-1"),
        ("administrator", "J-1"),
    ):
        answer = await people.call("GET", f"/my/orders/{number}", preset=who)
        assert answer.content == nothing.content, (who, number)
    other = await people.well("GET", "/my/orders/J-1", preset="Smith", tenant="beta")
    assert other["title"] == "Of beta"
    assert await visits(people, "Smith") == []
