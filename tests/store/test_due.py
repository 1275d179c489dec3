"""The agenda and its twin live through the same random happenings, and end up the same."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from store.worlds import AT, make_world, seen
from truckroll.kit.contract import Page, Scope
from truckroll.store.due import DueDesk, ScopeAgenda
from truckroll.store.memory_due import MemoryDesk, MemoryDue
from truckroll.sync.ports import Fenced

OUT = "sign_in"


class Twin:
    """Both stores; scopes are told apart by their place in a list."""

    def __init__(self, real, world):
        self.stores = (real, MemoryDue(recipe=world.recipe, mirror=world.mirror))
        accounts = (world.source_account, world.target_account)
        made = [
            self.stores[1].put_scope(account, Scope(str(account), "A", "appointment"))
            for account in accounts
        ]
        self.scopes = ([world.source, world.target], [one.id for one in made])
        self.accounts = accounts
        self.recipe = world.recipe
        self.before = {}
        self.version = 0

    async def step(self, chance, at):
        which = chance.randrange(2)
        what = chance.choice(
            (
                "due",
                "due",
                "recipe",
                "off",
                "page",
                "begin",
                "read",
                "read",
                "settled",
                "pause",
                "watch",
                "calm",
            )
        )
        later = at + timedelta(minutes=chance.randint(1, 60))
        wrong = chance.random() < 0.4
        whole = chance.random() < 0.5
        stale = chance.random() < 0.3
        self.version += 1
        for number, store in enumerate(self.stores):
            scope = self.scopes[number][which]
            match what:
                case "due":
                    await store.make_due([scope], at=later, whole=whole)
                case "recipe":
                    await store.make_recipes_due([self.recipe], at=later)
                case "off":
                    await store.put_off("scope", scope, at=later)
                    await store.put_off("recipe", self.recipe, at=later)
                case "page":
                    items = (seen("1", {"title": f"v{self.version}"}, version=str(self.version)),)
                    listing = await store.begin_listing(scope)
                    await store.store_page(
                        scope,
                        listing,
                        "appointment",
                        Page(items=items, last=True),
                        at=at,
                        keep_cursor=True,
                    )
                case "begin":
                    self.before[number] = (
                        which,
                        await store.scope_agenda(scope),
                        await store.recipe_agenda(self.recipe),
                    )
                case "read" if number in self.before:
                    begun, agenda, _ = self.before[number]
                    failed = (
                        {"failures": agenda.failures + 1, "trouble": "no", "code": OUT}
                        if wrong
                        else {}
                    )
                    await store.scope_read(
                        self.scopes[number][begun],
                        agenda,
                        at=at,
                        next_at=later,
                        complete=whole,
                        recipes=[self.recipe],
                        **failed,
                    )
                case "settled" if number in self.before:
                    await store.recipe_settled(
                        self.recipe,
                        self.before[number][2],
                        at=at,
                        next_at=later if wrong else None,
                        failures=int(wrong),
                    )
                case "pause":
                    settings = await store.settings() - stale
                    await store.pause_account(
                        self.accounts[which],
                        until=later,
                        trouble="out",
                        code=OUT,
                        settings=settings,
                    )
                case "watch":
                    await store.watch(self.scopes[number][which:], 7, at=at, signed_out=OUT)
                case "calm":
                    await store.calm([scope])

    async def state(self, number):
        store = self.stores[number]
        agendas = await store.scope_agendas(self.scopes[number])
        return [agendas[id_] for id_ in self.scopes[number]], await store.recipe_agenda(self.recipe)

    async def work(self, desks, at, going):
        found = []
        for number, desk in enumerate(desks):
            named = {id_: place for place, id_ in enumerate(self.scopes[number])}
            busy = [
                (kind, 1, self.scopes[number][about] if kind == "read" else self.recipe)
                for kind, about in going
            ]
            rows = await desk.work(busy, at=at, each=3)
            found.append(
                sorted(
                    (kind, named[about] if kind == "read" else 0, account, due)
                    for kind, _, about, account, due in rows
                )
            )
        return found


@pytest.mark.parametrize("seed", range(4))
async def test_the_agenda_does_what_its_twin_does(store, seed):
    chance = random.Random(seed)
    twin = Twin(store, await make_world(store))
    desks = DueDesk(store._pool, store._keyring), MemoryDesk({1: twin.stores[1]}, lambda: AT)
    for step in range(80):
        at = AT + timedelta(minutes=7 * step)
        await twin.step(chance, at)
        ours, theirs = [await twin.state(number) for number in (0, 1)]
        assert ours == theirs, step
        going = chance.sample([("read", 0), ("read", 1), ("settle", 0)], chance.randint(0, 2))
        ours, theirs = await twin.work(desks, at, going)
        assert ours == theirs, step


@pytest.mark.parametrize(
    ("hours", "failures", "loose"), [(None, 0, True), (1, 0, True), (1, 2, False), (0, 0, False)]
)
async def test_whose_links_are_due_though_the_agenda_says_later_is_found(
    store, hours, failures, loose
):
    """Who answered a hold died before it said so; a retry of what failed is left where it is."""
    world = await make_world(store)
    await world.page(seen("1"))
    await world.adopt()
    now = datetime.now(UTC)
    await store.recipe_settled(
        world.recipe,
        await store.recipe_agenda(world.recipe),
        at=now,
        next_at=None if hours is None else now + timedelta(hours=hours),
        failures=failures,
    )
    desk = DueDesk(store._pool, store._keyring)
    assert await desk.loose_recipes() == ([(1, world.recipe)] if loose else [])


async def test_news_are_told_though_the_process_dies_between_storing_and_telling(store):
    """The reader of the page is no more; whoever reads again finds nothing new and tells it."""
    world = await make_world(store)
    await world.page(seen("1"))
    await world.page(seen("1"))
    assert (await store.recipe_agenda(world.recipe)).due_at is None
    await store.scope_read(world.source, ScopeAgenda(), at=AT, next_at=AT, recipes=[world.recipe])
    agenda = await store.recipe_agenda(world.recipe)
    assert agenda.due_at == AT
    await store.recipe_settled(world.recipe, agenda, at=AT, next_at=None)
    await store.scope_read(world.source, ScopeAgenda(), at=AT, next_at=AT, recipes=[world.recipe])
    assert (await store.recipe_agenda(world.recipe)).due_at is None


@pytest.mark.fault("F36")
async def test_how_a_read_went_is_not_told_by_who_lost_its_lease(store):
    world = await make_world(store)
    (lost,) = await store.take("scope", [world.source], seconds=60)
    await store.release([lost])
    await store.take("scope", [world.source], seconds=60)
    with pytest.raises(Fenced):
        await store.under([lost]).scope_read(world.source, ScopeAgenda(), at=AT, next_at=AT)
    with pytest.raises(Fenced):
        await store.under([lost]).recipe_settled(
            world.recipe, await store.recipe_agenda(world.recipe), at=AT, next_at=AT
        )
