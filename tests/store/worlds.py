"""A small world to test the store in: two accounts with a calendar each, and a mirror."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from truckroll.kit.contract import Page, Scope, Seen
from truckroll.model.time import Timed
from truckroll.sync.types import Decision, End, Outcome, Step

AT = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


def later(**how):
    return AT + timedelta(**how)


def visit(title="Boiler", hour=9, **more):
    start = datetime.fromisoformat(f"2026-12-08T{hour:02}:00:00")
    when = Timed(start=start, zone="Europe/Berlin", seconds=3600)
    return {"title": title, "when": when, **more}


def seen(id_, fields=None, version="1", **more):
    return Seen(id=id_, fields=visit() if fields is None else fields, version=version, **more)


def reply(id_, fields=None, version="w1", **more):
    fields = visit() if fields is None else fields
    return {
        "external_id": id_,
        "version": version,
        "shown": fields,
        "base": fields,
        "given": fields,
        **more,
    }


@dataclass
class World:
    store: object
    source: int
    target: int
    source_account: int
    target_account: int
    recipe: int
    mirror: int
    run: int = 1

    async def page(self, *items, scope=None, at=AT, cursor=None, listing=None, **more):
        scope = scope or self.source
        listing = listing or await self.store.begin_listing(scope)
        page = Page(items=tuple(items), cursor=cursor, last=True, **more)
        return await self.store.store_page(
            scope, listing, "appointment", page, at=at, keep_cursor=False
        )

    async def adopt(self, at=AT, limit=100):
        of = [self.source]
        return (await self.store.adopt(self.mirror, "source", of, at=at, limit=limit)).made

    async def due(self, at=AT, **more):
        more = {"after": 0, "limit": 100, **more}
        return await self.store.due(self.mirror, at=at, **more)

    async def link(self, id_):
        (link,) = await self.store.links([id_])
        return link

    def create(self, link, end=-1, **more):
        return self.step(link, end, "create", **{"whole": visit(), "fields": visit(), **more})

    def step(self, link, end, op, **more):
        return Step(
            link=link.id,
            end=end,
            op=op,
            account=self.target_account,
            scope=self.target,
            **{"external_id": "", "reason": "new in A", "create_key": f"{link.key}-0", **more},
        )

    async def adopted(self, *items):
        """Read records, and return their links as they are once nothing is due."""
        await self.page(*(items or (seen("1"),)))
        await self.adopt()
        links = await self.due()
        for link in links:
            await self.journal(link)
        return [await self.link(link.id) for link in links]

    def new_end(self, **more):
        place = {"account": self.target_account, "scope": self.target, "external_id": ""}
        return End(**{"id": -1, "side": "target", **place, **more})

    async def follower(self, link, **more):
        """Journal the creation of a follower; return the opened step."""
        decided = replace(link, ends=(*link.ends, self.new_end()))
        (opened,) = await self.journal(decided, self.create(link), **more)
        return opened

    async def synced(self, *items):
        """Return links whose followers were made, each with two live ends."""
        links = []
        for number, link in enumerate(await self.adopted(*items)):
            opened = await self.follower(link)
            await self.finish(opened, "done", **reply(f"x{number}"))
            links.append(await self.link(link.id))
        return links

    async def finish(self, opened, kind, at=AT, **more):
        await self.store.finish(self.run, [Outcome(step=opened.id, kind=kind, **more)], at=at)

    async def journal(self, link, *steps, at=AT, **more):
        decision = Decision(link=link, changed=True, steps=steps, **more)
        return await self.store.journal(self.run, [decision], at=at)


async def make_world(store, name="r"):
    source = await store.add_account("caldav", f"{name}-a", {"url": "a"}, {})
    target = await store.add_account("caldav", f"{name}-b", {"url": "b"}, {})
    (a,) = await store.put_scopes(source.id, [Scope("/a/", "A", "calendar")])
    (b,) = await store.put_scopes(target.id, [Scope("/b/", "B", "calendar")])
    await store.install_recipe(name, "text", {}, {})
    recipe = await store.recipe(name)
    mirror = await store.mirror_id(recipe.id, "m")
    return World(store, a.id, b.id, source.id, target.id, recipe.id, mirror)
