"""One tenant imports thousands: the others are served between, and a person can stop it."""

import dataclasses
from collections import Counter
from contextlib import AsyncExitStack

import msgspec
import pytest

from support.company import RECIPE, company, row
from truckroll.app import errands as app_errands
from truckroll.app import passes, recipes, resident, runs, top
from truckroll.app.trouble import TroubleError
from truckroll.cli.passes import _sum
from truckroll.kit.contract import Reply, Seen
from truckroll.store.open import open_store
from truckroll.sync import braked, planned

BATCH = 150
JOBS = 1_500  # a hundred thousand, with the batches as much smaller


@pytest.fixture
def desk(monkeypatch):
    """A calendar that takes everything at once; counts what it was given, in its order."""
    made = []
    real = resident.hand

    def hand(installed, account, session):
        found = real(installed, account, session)

        async def create(session, scope, draft):
            made.append(str(draft.fields["title"]))
            for heard in desk_heard:
                await heard(len(made))
            return Reply(draft.id, Seen(draft.id, draft.fields, version="1"))

        desk_heard = heard
        instead = dataclasses.replace(found.resource, create=create)
        return msgspec.structs.replace(found, resource=instead)

    heard = []
    monkeypatch.setattr(resident, "hand", hand)
    monkeypatch.setattr(planned, "BATCH", BATCH)
    monkeypatch.setattr(braked, "KEPT", BATCH)
    monkeypatch.setattr(app_errands, "SLICE_SECONDS", 0.0)  # each settling does one batch
    return (made, heard)


def importing(office, jobs=JOBS):
    office.rows = [row(n, "Ana", day=1 + n % 300, hour=n % 24) for n in range(1, jobs + 1)]
    office.save()


@pytest.mark.fault("F63")
@pytest.mark.timeout(180)
async def test_an_import_lets_others_go_first_after_each_batch(
    hub, office, store, database_url, tmp_path, calendars, desk
):
    made, _ = desk
    importing(office)
    async with AsyncExitStack() as stack:
        await store.add_tenant("acme")
        second = await stack.enter_async_context(
            open_store(database_url, tmp_path / "home", tenant=2)
        )
        (tmp_path / "beta").mkdir()
        other = await stack.enter_async_context(
            company(second, tmp_path / "beta", calendars, "Cid")
        )
        other.rows = []
        other.save()
        await hub.tick.once()
        while (errand := await hub.one()) is not None and errand.kind == "read":
            await hub.tick.once()
        begun = len(made)
        assert 0 < begun <= 2 * BATCH

        waits = []
        for number in range(4):  # the small one books while the large one imports
            other.rows.append(row(9000 + number, "Cid", day=5 + number, Title="Other"))
            other.save()
            scopes = [one.id for one in await second.scopes()]
            await second.make_due(scopes, at=hub.resident.now())
            before, title = len(made), f"J-{9000 + number}"
            steps = 0
            while not any(one.startswith(title) for one in made):
                await hub.tick.once()
                assert await hub.one() is not None
                steps += 1
                assert steps < 20
            waits.append(sum(" Other " not in one for one in made[before:]))
        # each change needs two errands: its read and its settling, a batch ahead of each
        assert max(waits) <= 2 * BATCH
        assert len(made) < JOBS, "the import was over before it could be in the way"
        await hub.quiet(most=200)
        mine = [one for one in made if " Other " not in one]
        assert Counter(mine).most_common(1)[0][1] == 1
        assert len(mine) == JOBS
        done = [one for one in await store.runs(limit=100) if one.summary.get("writes")]
        assert sum(one.summary["writes"] for one in done) == JOBS
        assert [one.summary["planned"] for one in reversed(done)] == list(range(JOBS, 0, -BATCH))
    calendars.delete("cid", "")


@pytest.mark.fault("F63")
@pytest.mark.timeout(180)
async def test_an_import_shows_how_far_it_is_pauses_and_goes_on(hub, office, desk, monkeypatch):
    made, heard = desk
    monkeypatch.setattr(app_errands, "SLICE_SECONDS", 3600.0)
    monkeypatch.setattr("truckroll.sync.perform.FLUSH_AT", 16)
    importing(office, 900)
    seen = []

    async def look(count):
        if count == 220:
            (line,) = (await top.top(office.hub)).recipes
            (run, *_) = await runs.listed(office.hub)
            seen.extend([line, run, len(made)])
            assert await recipes.pause(office.hub, RECIPE)

    heard.append(look)
    await hub.quiet()
    line, run, then = seen
    assert (line.planned, line.paused) == (900, False)
    assert 0 < line.done <= then < 900  # the others write on while somebody looks
    assert top.says_works(line) == f"{line.done} of 900 writes done"
    assert _sum(run) == f"{run.done} of 900 writes done"

    stopped = len(made)
    assert 220 <= stopped <= 220 + 3 * BATCH
    (line,) = (await top.top(office.hub)).recipes
    assert top.says_works(line) == "paused"
    assert not await recipes.pause(office.hub, RECIPE)
    (view,) = [one for one in await recipes.listed(office.hub) if one.installed]
    assert view.paused_at is not None
    office.rows.append(row(901, "Ana", day=2))  # it is read, but not written
    office.save()
    await hub.now()
    done = await hub.quiet()
    assert {one.kind for one in done} == {"read"}
    await hub.agenda.sweep()
    assert await hub.quiet() == []
    assert len(made) == stopped
    with pytest.raises(TroubleError, match="is paused, so that nothing of it is written"):
        await office.apply()
    assert (await passes.plan(office.hub, RECIPE)).writes == 901 - stopped

    assert await recipes.resume(office.hub, RECIPE)
    assert not await recipes.resume(office.hub, RECIPE)
    await hub.quiet()
    assert len(made) == len(set(made)) == 901
    ended = await hub.store.runs(limit=100)
    assert sum(one.summary["writes"] for one in ended) == 901
    assert (await top.top(office.hub)).recipes == []
