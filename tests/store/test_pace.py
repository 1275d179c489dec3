"""Budgets, pauses, breakers over processes and tenants, on the database."""

from bisect import bisect_left
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest

from store.worlds import AT
from support.many import FAST, at_once, draw
from truckroll.kit import breaker
from truckroll.kit.gate import Gate, HeldBackError, Want
from truckroll.kit.pace import REAL_TIME, Limit, Pace, Timing
from truckroll.store.open import open_store, open_stores


class Clock:
    """A virtual clock; whoever sleeps moves it."""

    def __init__(self):
        self.at = AT

    def now(self):
        return self.at

    async def sleep(self, seconds):
        self.at += timedelta(seconds=seconds)

    def seconds(self):
        return (self.at - AT).total_seconds()

    @property
    def timing(self):
        return Timing(self.seconds, self.now, self.sleep, lambda: 0.0)

    def gate(self, store, account, pace):
        """Return the gate of a process of its own."""
        return Gate(pace, self.timing, store.meter(account, "toy", clock=self.now))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def account(store):
    return (await store.add_account("caldav", "field", {}, {})).id


async def out(gate, **how):
    async with gate.turn(patience=30, **how) as turn:
        await turn.well()


def most_in(at, seconds):
    at = sorted(at)
    return max(bisect_left(at, one + seconds - 1e-6) - n for n, one in enumerate(at))


async def test_processes_share_one_budget(store, account, database_url, tmp_path):
    got = await at_once(3, draw, database_url, tmp_path / "home", account, 2.0)
    at = [one for process in got for one in process]
    assert all(got), "each had its share"
    # A machine that is busy lets a process oversleep, so that two of its turns come close.
    assert most_in(at, 1) <= 40 + 8
    assert len(at) >= 50


async def test_no_stretch_holds_more_than_the_limit_over_processes(store, account, clock):
    pace = Pace(limits=(Limit(60, 60, burst=5),))
    gates = [clock.gate(store, account, pace) for _ in range(4)]
    at = []
    for number in range(200):
        async with gates[number % 4].turn():
            at.append((clock.at - AT).total_seconds())
    assert most_in(at, 60) <= 60
    assert 200 / at[-1] >= 0.9


async def test_a_busy_account_asks_the_database_once_for_several_requests(store, account, clock):
    gate, asked = clock.gate(store, account, Pace(limits=(Limit(600, 60, burst=50),))), []
    take = gate._meter.take

    async def taking(wants):
        asked.append(wants)
        return await take(wants)

    gate._meter.take = taking
    for _ in range(300):
        await out(gate)
    assert len(asked) <= 300 / 4
    await gate.close()
    before = clock.at
    await out(clock.gate(store, account, gate.pace))
    assert clock.at - before < timedelta(seconds=0.5)  # what was left came back


async def test_tenants_share_the_budget_of_an_app_and_not_each_others_accounts(
    database_url, tmp_path, clock
):
    pace = Pace(limits=(Limit(1, 60, of="app", key="client-1"), Limit(1, 10)))
    async with (
        open_store(database_url, tmp_path / "home", 1) as one,
        open_store(database_url, tmp_path / "home", 2) as two,
    ):
        first = (await one.add_account("caldav", "a", {}, {})).id
        second = (await two.add_account("caldav", "a", {}, {})).id
        await out(clock.gate(one, first, pace))
        with pytest.raises(HeldBackError) as held:
            await out(clock.gate(two, second, pace))
        assert held.value.seconds == pytest.approx(60)
        await out(clock.gate(two, second, Pace(limits=pace.limits[1:])))
        async with two._transaction() as cursor:
            await cursor.execute("select tenant, key from budget")
            keys = [tuple(row) async for row in cursor]
        assert {tenant for tenant, _ in keys} == {0, 2}
        assert not any("client-1" in key for tenant, key in keys if tenant == 0)


@pytest.mark.fault("F31")
async def test_a_pause_holds_all_processes_and_survives_a_restart(
    store, account, clock, database_url, tmp_path
):
    pace = Pace()
    here, there = (clock.gate(store, account, pace) for _ in range(2))
    await out(there)
    await here.pause(86400)
    clock.at += timedelta(seconds=2)
    with pytest.raises(HeldBackError) as held:
        await out(there)
    assert (held.value.why, round(held.value.seconds)) == ("paused", 86398)
    async with open_store(database_url, tmp_path / "home") as restarted:
        with pytest.raises(HeldBackError):
            await out(clock.gate(restarted, account, pace))
        other = (await restarted.add_account("caldav", "other", {}, {})).id
        await out(clock.gate(restarted, other, pace))
        (waiting,) = (await restarted.waiting(clock.at)).items()
        assert waiting[0] == account
        assert waiting[1].paused_until == AT + timedelta(days=1)
        clock.at = AT + timedelta(days=1, seconds=1)
        await out(clock.gate(restarted, account, pace))
        assert await restarted.waiting(clock.at) == {}


async def fails(gate, says="Toy did not answer in time"):
    async with gate.turn(patience=0) as turn:
        await turn.failed(says)


@pytest.mark.fault("F61")
async def test_a_vendor_down_for_forty_hours_is_asked_by_one_probe_at_a_time(store, account, clock):
    gates = [clock.gate(store, account, Pace()) for _ in range(3)]
    other = clock.gate(store, (await store.add_account("caldav", "b", {}, {})).id, Pace())
    asked, alarmed = 0, None
    while clock.at < AT + timedelta(hours=40):
        for gate in gates:
            with suppress(HeldBackError):
                await fails(gate)
                asked += 1
        await out(other)
        if alarmed is None and await store.untold():
            alarmed = clock.at
        clock.at += timedelta(minutes=4) if alarmed else timedelta(seconds=5)
    assert alarmed - AT <= timedelta(minutes=5)
    assert asked <= 40 * 60 / 5 + 40
    (event,) = await store.untold()
    assert (event.kind, event.name) == ("down", "field")
    assert event.says == "Toy did not answer in time; it is tried again by itself."
    clock.at += timedelta(minutes=6)
    for gate in gates:
        await out(gate)
    assert [one.kind for one in await store.untold()] == ["down", "up"]
    await store.mark_told([one.id for one in await store.untold()], at=clock.at)
    assert await store.untold() == []


@pytest.mark.fault("F61")
async def test_half_open_one_process_probes_and_the_others_wait(store, account, clock):
    gates = [clock.gate(store, account, Pace()) for _ in range(5)]
    for _ in range(breaker.IN_A_ROW):
        await fails(gates[0])
        clock.at += timedelta(seconds=2)
    clock.at += timedelta(minutes=1)
    async with gates[0].turn(patience=0) as probe:
        assert probe.probe
        for gate in gates[1:]:
            with pytest.raises(HeldBackError):
                await out(gate)
        await probe.well()
    for gate in gates:
        await out(gate)


@pytest.mark.fault("F32")
async def test_a_third_of_all_calls_failing_does_not_open_the_breaker(store, account, clock):
    gate = clock.gate(store, account, Pace())
    for number in range(200):
        clock.at += timedelta(seconds=3)
        if number % 10 < 3:
            await fails(gate)
        else:
            await out(gate)
    assert await store.untold() == []


async def test_a_probe_whose_process_died_is_given_up(store, account, clock):
    meter = store.meter(account, "toy", clock=clock.now)
    await meter.tell(partial(breaker.signed_out, says="Sign in again."))
    clock.at += timedelta(minutes=1)
    assert (await meter.take([])).probe
    assert (await meter.take([])).why == "sign_in"
    clock.at += timedelta(minutes=3)
    assert (await meter.take([])).probe


@pytest.mark.fault("F42")
async def test_a_sign_in_that_is_refused_is_said_once_whoever_meets_it(store, account, clock):
    gates = [clock.gate(store, account, Pace()) for _ in range(4)]
    for _ in range(3):
        for gate in gates:
            with suppress(HeldBackError):
                async with gate.turn(patience=0) as turn:
                    await turn.signed_out("Toy does not accept the sign-in. Sign in again.")
        clock.at += timedelta(hours=2)
    clock.at -= timedelta(hours=2)
    with pytest.raises(HeldBackError, match="Toy does not accept the sign-in") as held:
        await out(clock.gate(store, account, Pace()))
    assert held.value.why == "sign_in"
    assert [one.kind for one in await store.untold()] == ["sign_in"]
    assert (await store.waiting(AT))[account].since == AT


async def test_an_attempt_that_waits_out_a_pause_goes_on_by_itself(store, account, clock):
    gate = clock.gate(store, account, Pace())
    await gate.pause(20)
    await out(gate)
    assert clock.at >= AT + timedelta(seconds=20)


async def test_one_process_has_one_gate_for_an_account_while_it_is_in_use(
    database_url, tmp_path, account
):
    async with open_stores(database_url, tmp_path / "home") as stores:
        gates = {
            id(stores.of(1).gate(account, "toy", FAST, REAL_TIME))
            for gate in [stores.of(1).gate(account, "toy", FAST, REAL_TIME)]
            for _ in range(3)
        }
        kept = stores.of(1).gate(account, "toy", FAST, REAL_TIME)
        assert stores.of(1).gate(account, "toy", FAST, REAL_TIME) is kept
        assert stores.of(1).gate(account, "toy", Pace(), REAL_TIME) is not kept
    assert len(gates) == 1


async def test_budgets_that_nobody_draws_on_are_forgotten(store, account, clock):
    meter, limit = store.meter(account, "toy", clock=clock.now), Limit(1)
    await meter.take([Want(limit, limit.budget(), 1)])
    await store.prune_budgets(clock.at + timedelta(hours=23))
    await store.prune_budgets(clock.at + timedelta(hours=25))
    async with store._transaction() as cursor:
        await cursor.execute("select count(*) from budget")
        assert await cursor.fetchone() == (0,)
