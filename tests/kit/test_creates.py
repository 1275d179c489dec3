from datetime import timedelta
from uuid import UUID

import pytest

from truckroll.kit.contract import Missing, Reply, Seen, Unreadable
from truckroll.kit.creates import key_id, key_uuid, looked_up, repeated
from truckroll.kit.errors import Gone, HoldRecord, OutcomeUnknown, Replan, RetryLater


class System:
    """Holds what was created; its answers get lost as told."""

    def __init__(self, *plan, lag_looks=0):
        self.plan, self.held, self.sent, self.looks = list(plan), [], 0, 0
        self.hidden = lag_looks

    async def create(self):
        self.sent += 1
        what = self.plan.pop(0) if self.plan else "done"
        if what == "exists":
            raise Replan("there already")
        if what == "refused":
            raise HoldRecord("no")
        if what in {"done", "done, answer lost"}:
            self.held.append(f"r{self.sent}")
        if what != "done":
            raise OutcomeUnknown("lost")
        return Reply(self.held[-1])

    async def find(self):
        self.looks += 1
        if self.looks <= self.hidden or not self.held:
            return None
        return Seen(self.held[0], {"title": "x"})


@pytest.mark.fault("F24")
@pytest.mark.fault("AT-25")
@pytest.mark.parametrize(
    ("plan", "sent"),
    [
        (["done"], 1),
        (["done, answer lost"], 1),
        (["not done, answer lost", "done"], 2),
        (["not done, answer lost", "done, answer lost"], 2),
    ],
)
async def test_a_create_in_doubt_is_looked_up_and_happens_once(clock, plan, sent):
    system = System(*plan)
    reply = await looked_up(system.create, system.find, timing=clock.timing)
    assert system.held == [reply.id]
    assert system.sent == sent


@pytest.mark.fault("F24")
async def test_a_short_lag_is_waited_for_before_nothing_is_believed(clock):
    system = System("done, answer lost")
    reply = await looked_up(
        system.create, system.find, lag=timedelta(seconds=3), timing=clock.timing
    )
    assert (reply.id, system.sent, clock.slept) == ("r1", 1, [3.0])
    assert reply.seen.fields == {"title": "x"}


@pytest.mark.fault("F34")
@pytest.mark.fault("AT-25")
async def test_within_a_long_lag_nothing_found_proves_nothing(clock):
    system = System("done, answer lost", lag_looks=1)
    with pytest.raises(OutcomeUnknown):
        await looked_up(system.create, system.find, lag=timedelta(minutes=1), timing=clock.timing)
    assert (system.sent, system.held) == (1, ["r1"])


@pytest.mark.fault("F25")
async def test_after_a_crash_it_is_looked_for_first(clock):
    system = System()
    system.held.append("before the crash")
    reply = await looked_up(system.create, system.find, replay=True, timing=clock.timing)
    assert (reply.id, system.sent) == ("before the crash", 0)
    fresh = System()
    assert (await looked_up(fresh.create, fresh.find, replay=True, timing=clock.timing)).id == "r1"


async def test_an_id_that_is_taken_is_ours_if_it_is_found(clock):
    system = System("exists")
    system.held.append("ours")
    assert (await looked_up(system.create, system.find, timing=clock.timing)).id == "ours"
    foreign = System("exists")
    with pytest.raises(Replan):
        await looked_up(foreign.create, foreign.find, timing=clock.timing)
    assert foreign.sent == 1


@pytest.mark.fault("AT-25")
async def test_a_look_up_that_fails_leaves_the_doubt(clock):
    system = System("done, answer lost")

    async def fails():
        raise RetryLater("down")

    with pytest.raises(OutcomeUnknown):
        await looked_up(system.create, fails, timing=clock.timing)
    assert system.sent == 1


@pytest.mark.parametrize("nothing", [Gone("no"), Missing("x")])
async def test_a_tombstone_is_nothing_found(clock, nothing):
    system = System("not done, answer lost")

    async def find():
        if isinstance(nothing, Exception):
            raise nothing
        return nothing

    assert (await looked_up(system.create, find, timing=clock.timing)).id == "r2"


async def test_a_record_that_cannot_be_read_is_there(clock):
    system = System("done, answer lost")

    async def find():
        return Unreadable("r1", "broken")

    assert await looked_up(system.create, find, timing=clock.timing) == Reply("r1")


async def test_doubt_without_end_is_handed_on(clock):
    system = System(*["not done, answer lost"] * 9)
    with pytest.raises(OutcomeUnknown):
        await looked_up(system.create, system.find, timing=clock.timing)
    assert system.sent == 3


@pytest.mark.fault("F24")
async def test_a_create_with_a_key_is_sent_again_as_it_is(clock):
    made = {}

    async def create():
        made.setdefault("key", "r1")
        create.sent += 1
        if create.sent < 3:
            raise OutcomeUnknown("lost")
        return Reply(made["key"])

    create.sent = 0
    assert (await repeated(create, timing=clock.timing)).id == "r1"
    assert create.sent == 3
    always = System(*["not done, answer lost"] * 9)
    with pytest.raises(OutcomeUnknown):
        await repeated(always.create, timing=clock.timing)
    assert always.sent == 3


async def test_a_refusal_is_no_doubt(clock):
    for way in (
        lambda s: repeated(s.create, timing=clock.timing),
        lambda s: looked_up(s.create, s.find, timing=clock.timing),
    ):
        system = System("refused")
        with pytest.raises(HoldRecord):
            await way(system)
        assert (system.sent, system.looks) == (1, 0)


def test_a_key_gives_the_same_id_for_ever():
    assert key_uuid("link-1") == key_uuid("link-1") != key_uuid("link-2")
    assert UUID(key_uuid("link-1")).version == 5
    assert key_id("link-1") == "cvr5ioh7dae3ds91sqe3ri0c92"
    assert key_uuid("link-1") == "b671f8cc-7705-5ad7-ac6b-de50b6a81776"
    assert key_id("link-1") == key_id("link-1") != key_id("link-2")
    assert set(key_id("x" * 99)) <= set("0123456789abcdefghijklmnopqrstuv")
    assert len({key_id(str(n)) for n in range(10_000)}) == 10_000
