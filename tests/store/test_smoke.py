import msgspec

from store.worlds import AT, later, make_world, seen, visit
from truckroll.sync.types import End, Outcome


async def test_a_record_travels(store):
    world = await make_world(store)
    result = await world.page(seen("1"), seen("2"), cursor="c1")
    assert result.new == 2
    assert await world.adopt() == 2
    links = await world.due()
    assert len(links) == 2
    link = links[0]
    new = End(
        id=-1, side="target", account=world.target_account, scope=world.target, external_id=""
    )
    decided = msgspec.structs.replace(
        link, agreed=visit(), by={"title": link.ends[0].id}, ends=(*link.ends, new)
    )
    (opened,) = await world.journal(decided, world.create(link))
    assert opened.step.end > 0
    reply = Outcome(
        step=opened.id,
        kind="done",
        external_id="x1",
        version="9",
        shown=visit(),
        raw=b"RAW",
        base=visit(),
        given=visit(),
    )
    await store.finish(world.run, [reply], at=later(seconds=1))
    link = await world.link(link.id)
    assert link.ends[1].state == "live"
    assert link.ends[1].shown == visit()
    assert await world.due(at=later(hours=1)) == links[1:]
    assert (await store.counts("scope", world.target, since=AT)).writes == 1
