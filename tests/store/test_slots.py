"""Claims on technicians' time, on the real database and from many connections at once."""

import asyncio
import os
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psycopg
import pytest

from truckroll.dispatch.claims import Occupied, Wish, clashes
from truckroll.dispatch.overlap import Booking, Span
from truckroll.dispatch.slots import Hours, free_slots
from truckroll.kit.contract import Scope
from truckroll.model.time import Timed
from truckroll.store.open import open_stores

SOURCE = Path(__file__).parents[2] / "src"
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=10)
TEN = datetime(2026, 12, 2, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUARTER = timedelta(minutes=15)


def wish(technician, visit, begins=TEN, length=HOUR):
    return Wish(technician, begins, begins + length, visit, visit)


async def ask(store, *wishes, **more):
    return await store.claim(wishes, **{"at": NOW, "expires": SOON, **more})


async def free(store, technician, length=HOUR, travel=timedelta(0)):
    """Return when a technician is free next, as a loser is told."""
    until = TEN + timedelta(days=7)
    claims = await store.claims_between([technician], NOW, until, at=NOW)
    stands = Booking(technician=str(technician), key="", ref="", when=Timed(TEN, "UTC"))
    taken = [Span(stands, one.begins, one.ends) for one in claims]
    hours = Hours(zone="America/New_York")
    return free_slots(
        taken, length=length, after=TEN, before=until, hours=hours, travel=travel, limit=3
    )


@pytest.mark.fault("AT-18")
async def test_of_fifty_who_want_one_slot_at_once_one_has_it_and_the_others_get_the_next(
    database_url, tmp_path
):
    async with open_stores(database_url, tmp_path, largest_pool=16) as stores:
        await workspace(stores, 1)
        stores_of = [stores.of(1) for _ in range(50)]
        (ana,) = (await stores_of[0].technicians(["Ana Ruiz"])).values()

        async def one(number):
            store = stores_of[number]
            made = await ask(store, wish(ana, f"visit {number}"))
            return made, () if made.ids else await free(store, ana)

        came = await asyncio.gather(*(one(number) for number in range(50)))
        winners = [made for made, _ in came if made.ids]
        assert len(winners) == 1
        losers = [(made, offered) for made, offered in came if not made.ids]
        assert len(losers) == 49
        held = await stores.of(1).claims_between([ana], NOW, TEN + HOUR, at=NOW)
        for made, offered in losers:
            assert made.clashes[0].taken.visit == held[0].visit
            assert len(offered) == 3
            assert all(slot.begins >= TEN + HOUR for slot in offered)


@pytest.mark.fault("AT-18")
async def test_two_processes_do_not_both_have_a_slot(store, database_url, tmp_path):
    (ana,) = (await store.technicians(["Ana Ruiz"])).values()
    script = f"""
import asyncio, sys
from datetime import datetime
from pathlib import Path
from truckroll.dispatch.claims import Wish
from truckroll.store.open import open_stores

async def main():
    at, begins = datetime.fromisoformat({NOW.isoformat()!r}), datetime.fromisoformat({TEN.isoformat()!r})
    ends, expires = datetime.fromisoformat({(TEN + HOUR).isoformat()!r}), datetime.fromisoformat({SOON.isoformat()!r})
    async with open_stores({database_url!r}, Path(sys.argv[1])) as stores:
        sys.stdout.write("ready\\n"); sys.stdout.flush()
        sys.stdin.readline()
        asked = [stores.of(1).claim([Wish({ana}, begins, ends, f"{{sys.argv[2]}} {{n}}")], at=at, expires=expires) for n in range(8)]
        print(sum(bool(made.ids) for made in await asyncio.gather(*asked)))

asyncio.run(main())
"""
    runs = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(tmp_path / name), name),
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in ("one", "two")
    ]
    for run in runs:
        assert await run.stdout.readline() == b"ready\n"
    for run in runs:
        run.stdin.write(b"go\n")
    outs = await asyncio.gather(*(run.communicate() for run in runs))
    assert sum(int(out) for out, _ in outs) == 1


async def workspace(stores, tenant):
    async with stores.of(tenant)._transaction() as cursor:
        await cursor.execute(
            "insert into workspace (tenant, name) values (%s, '') on conflict do nothing", [tenant]
        )


async def test_a_visit_keeps_its_distance_from_another_and_not_from_its_own_claim(store):
    made = await ask(store, wish(1, "A"))
    assert made.ids
    near = wish(1, "B", TEN + HOUR)
    assert (await ask(store, near)).ids
    await store.release_claims((await ask(store, near)).ids)
    assert not (await ask(store, near, travel=QUARTER)).ids
    assert (await ask(store, wish(1, "B", TEN + HOUR + QUARTER), travel=QUARTER)).ids
    moved = await ask(store, wish(1, "A", TEN - HOUR))
    assert moved.ids
    left = await store.claims_between([1], NOW, TEN + 5 * HOUR, at=NOW)
    assert [(one.visit, one.begins) for one in left] == [
        ("A", TEN - HOUR),
        ("B", TEN + HOUR + QUARTER),
    ]


async def test_all_or_none_is_claimed(store):
    await ask(store, wish(2, "taken"))
    made = await ask(store, wish(1, "crew"), wish(2, "crew"))
    assert (made.ids, len(made.clashes)) == ((), 1)
    assert (await ask(store, wish(1, "other"))).ids
    assert not (await ask(store, wish(3, "A"), wish(3, "B"))).ids, "they are in each other's way"


async def test_a_claim_runs_out(store):
    await ask(store, wish(1, "forgotten"))
    assert not (await ask(store, wish(1, "B"))).ids
    late = SOON + timedelta(seconds=1)
    assert await store.claims_between([1], NOW, TEN + HOUR, at=late) == []
    assert (await ask(store, wish(1, "B"), at=late, expires=late + HOUR)).ids


async def test_what_is_observed_is_in_the_way_and_the_table_itself_refuses_twins(
    store, database_url
):
    seen = [Occupied(1, TEN, TEN + HOUR, "seen", "J-1")]
    made = await ask(store, wish(1, "A"), read=lambda _: seen)
    assert made.clashes[0].taken.ref == "J-1"
    await ask(store, wish(1, "A"))
    with psycopg.connect(database_url, options="-c search_path=truckroll") as other:
        other.execute("select set_config('truckroll.tenant', '1', false)")
        with pytest.raises(psycopg.errors.ExclusionViolation):
            other.execute(
                "insert into claim (tenant, technician, during, visit, ref, expires)"
                " values (1, 1, tstzrange(%s, %s), 'B', '', %s)",
                [TEN + QUARTER, TEN + HOUR, SOON],
            )


async def test_tenants_do_not_see_or_hinder_each_other(database_url, tmp_path):
    async with open_stores(database_url, tmp_path) as stores:
        for tenant in (1, 2):
            await workspace(stores, tenant)
        one, two = stores.of(1), stores.of(2)
        assert (await ask(one, wish(1, "A"))).ids
        assert (await ask(two, wish(1, "A"))).ids
        assert len(await two.claims_between([1], NOW, TEN + HOUR, at=NOW)) == 1
        await two.release_claims((await ask(one, wish(1, "A"))).ids)
        assert not (await ask(one, wish(1, "B"))).ids


async def test_technicians_keep_their_ids_whatever_a_system_calls_them(store):
    account = (await store.add_account("caldav", "field", {}, {})).id
    (stored,) = await store.put_scopes(account, [Scope("ana", "Ana", "calendar")])
    scope = stored.id
    await store.map_person("Ana Ruiz", account, scope, "test")
    first = await store.technicians(["Ana Ruiz", "Ben Cole"])
    assert len(set(first.values())) == 2
    await store.map_person("Ana Ruiz <ana@acme.example>", account, scope, "test")
    again = await store.technicians(["Ana Ruiz <ana@acme.example>", "Ana Ruiz", "Ben Cole"])
    assert again["Ana Ruiz <ana@acme.example>"] == again["Ana Ruiz"] == first["Ana Ruiz"]
    assert again["Ben Cole"] == first["Ben Cole"]


@pytest.mark.parametrize("seed", range(5))
async def test_many_workers_place_visits_and_nobody_is_booked_twice(database_url, tmp_path, seed):
    """Invariant I9: what workers place never meets, unless they were told of it."""
    chance = Random(seed)
    travel = timedelta(minutes=chance.choice((0, 15)))
    placed: dict[str, tuple[Wish, ...]] = {}  # what the vendor holds
    observed: list[Occupied] = []  # what of it is stored; a claim is given up after that alone

    def read(_):
        return list(observed)

    async def worker(store, number):
        mine = Random(f"{seed} {number}")
        for turn in range(6):
            crew = mine.sample(range(1, 4), mine.choice((1, 1, 2)))
            begins = TEN + timedelta(minutes=30 * mine.randrange(12))
            known = [key for key in placed if key.startswith(f"{number}-")]
            key = mine.choice(known) if known and mine.random() < 0.3 else f"{number}-{turn}"
            length = timedelta(minutes=mine.choice((30, 60, 90)))
            wishes = tuple(wish(one, key, begins, length) for one in crew)
            made = await ask(store, *wishes, travel=travel, read=read)
            if not made.ids:
                assert made.clashes
                continue
            await asyncio.sleep(mine.random() / 200)  # the vendor is called
            if mine.random() < 0.8:
                placed[key] = wishes
                observed[:] = [one for one in observed if one.visit != key]
                observed.extend(
                    Occupied(one.technician, one.begins, one.ends, key) for one in wishes
                )
            await store.release_claims(made.ids)

    async with open_stores(database_url, tmp_path, largest_pool=8) as stores:
        await workspace(stores, 1)
        await asyncio.gather(*(worker(stores.of(1), number) for number in range(8)))
    everything = [one for wishes in placed.values() for one in wishes]
    assert len(everything) > 5
    assert max(Counter(one.technician for one in everything).values()) > 2
    for one in everything:
        others = [
            Occupied(left.technician, left.begins, left.ends, left.visit)
            for left in everything
            if left.visit != one.visit
        ]
        assert clashes([one], others, travel=travel) == ()
