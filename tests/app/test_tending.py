"""What is looked after beside the work: of all processes, one does each round."""

from truckroll.app.tending import Tending
from truckroll.store.open import open_stores

ADDRESS = "https://hub.example"


async def test_who_has_no_address_leaves_subscribing_to_a_process_that_has_one(
    database_url, tmp_path
):
    async with open_stores(database_url, tmp_path) as stores:
        await Tending(stores, tmp_path, "").renew()
        assert await stores.turn("renew", 59), "the turn was still to be had"
        assert not await stores.turn("renew", 59)


async def test_who_has_an_address_takes_the_turn(database_url, tmp_path):
    async with open_stores(database_url, tmp_path) as stores:
        await Tending(stores, tmp_path, ADDRESS).renew()
        assert not await stores.turn("renew", 59)
