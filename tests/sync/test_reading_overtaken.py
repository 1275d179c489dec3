"""A complete listing that began before a write of the hub, and what somebody did after it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from msgspec import structs

from support.nasty import Nasty, World
from truckroll.kit.contract import Session
from truckroll.sync import read

FIELDS = ("title", "notes")


def paused(resource, meanwhile):
    """Let something happen between the beginning of a listing and what it shows."""

    async def listing(session, scope, cursor):
        await meanwhile()
        async for page in resource.listing(session, scope, cursor):
            yield page

    return replace(resource, listing=listing)


@pytest.mark.parametrize("direct", [True, False], ids=["read", "too many"])
@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "there"])
async def test_what_was_written_and_deleted_during_a_listing_is_known_to_be_gone(
    monkeypatch, direct, gone
):
    """The hub's update is answered, then somebody deletes: no later page has a word of it."""
    if not direct:
        monkeypatch.setattr(read, "AGAIN_AT_MOST", 0)
    a, b = Nasty("A"), Nasty("B")
    world = World(a, {"b": b}, fields=FIELDS, missing="accept")
    a.put("1", title="Leak")
    await world.settle()
    doubted = []
    monkeypatch.setattr(world.store, "doubt_scope", lambda scope, _: doubted.append(scope))

    async def meanwhile():
        a.put("1", title="No heat")
        await world.run()
        if gone:
            b.drop(min(b.records))

    whole = structs.replace(world.store.scope(world.scopes["B"].id), cursor=None)
    session = Session(account="b", system="nasty", settings={}, http=SimpleNamespace(calls=0))
    resource = paused(b.resource(), meanwhile)
    await read.read_scope(world.store, resource, session, whole, now=world.now)
    if not direct:
        assert doubted == [whole.id]
        return
    (record,) = [one for one in world.store.records.values() if one.scope == whole.id]
    assert record.state == ("gone" if gone else "live")
    assert not doubted
    assert await world.settle() == 0
    assert b.show() == ({} if gone else {record.external_id: {"title": "No heat"}})
