"""Random histories: whatever people, faults and lying systems do, the invariants hold."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from support.chaos import PEOPLE, Chaos, nasty_stores
from support.scenario import FAULTS, RULES, WINNERS, history

AT_ONCE = 40


@pytest.mark.parametrize("first", range(0, 400, AT_ONCE))
@pytest.mark.fault("F39")
@pytest.mark.fault("F26")
@pytest.mark.fault("F34")
def test_invariants_hold_in_random_histories(first):
    for seed in range(first, first + AT_ONCE):
        history(seed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(10_000, 30_000, 1_000))
def test_invariants_hold_in_many_random_histories(first):
    for seed in range(first, first + 1_000):
        history(seed, steps=80)


@pytest.mark.parametrize("seed", [12048, 14907])
def test_long_histories_that_once_broke_hold(seed):
    history(seed, steps=80)


@pytest.mark.parametrize("seed", [3, 77, 1270])
def test_the_same_seed_gives_the_same_trace(seed):
    one, two = history(seed), history(seed)
    assert [system.log for system in one.ends.values()] == [s.log for s in two.ends.values()]
    assert repr(one.store.story).encode() == repr(two.store.story).encode()
    assert one.store.records == two.store.records


INDEX = st.integers(0, 3)
TARGETS = st.sampled_from(PEOPLE)
NAMES = st.sampled_from(("a", *PEOPLE))
SLOTS = st.sampled_from(("title", "notes", "when"))
CREWS = st.lists(TARGETS, unique=True).map(lambda crew: tuple(sorted(crew)))
KNOBS = st.fixed_dictionaries(
    {"etags": st.booleans(), "conditional": st.booleans()},
    optional={"stores": st.just(nasty_stores(6)), "read_only": st.booleans()},
)


class Machine(RuleBasedStateMachine):
    """The same world, told by Hypothesis, so that a failure comes back as its shortest story."""

    @initialize(
        knobs=st.lists(KNOBS, min_size=3, max_size=3),
        drawn=st.fixed_dictionaries({name: st.sampled_from(of) for name, of in RULES.items()}),
        speaks=st.sets(SLOTS),
        conflict=st.fixed_dictionaries(
            {slot: st.sampled_from(WINNERS) for slot in ("title", "notes", "when")}
        ),
        crew=CREWS,
    )
    def begin(self, knobs, drawn, speaks, conflict, crew):
        ends = {"a": {}, **dict(zip(PEOPLE, knobs, strict=True))}
        self.chaos = Chaos(ends, **drawn, speaks=frozenset(speaks), conflict=conflict)
        self.chaos.make("a", crew)
        self.chaos.run()

    @rule()
    def pass_over(self):
        self.chaos.run()

    @rule(crew=CREWS)
    def make(self, crew):
        if len(self.chaos.a.records) < 4:
            self.chaos.make("a", crew)

    @rule(name=NAMES, index=INDEX, field=SLOTS)
    def edit(self, name, index, field):
        self.chaos.edit(name, index, field)

    @rule(index=INDEX, crew=CREWS)
    def assign(self, index, crew):
        self.chaos.assign(index, crew)

    @rule(index=INDEX, status=st.sampled_from(("cancelled", "scheduled")))
    def status(self, index, status):
        self.chaos.status(index, status)

    @rule(name=NAMES, index=INDEX)
    def delete(self, name, index):
        self.chaos.delete(name, index)

    @rule(name=NAMES)
    def restore(self, name):
        self.chaos.restore(name)

    @rule(name=TARGETS, index=INDEX)
    def twin(self, name, index):
        self.chaos.make(name, twin=index)

    @rule(name=NAMES, how=st.sampled_from(FAULTS))
    def fail(self, name, how):
        self.chaos.fail(name, how)

    @rule(name=NAMES, times=st.integers(1, 3))
    def deafen(self, name, times):
        self.chaos.deafen(name, times)

    @rule(name=NAMES, out=st.booleans())
    def sign(self, name, out):
        self.chaos.sign(name, out=out)

    @rule(name=NAMES)
    def expire(self, name):
        self.chaos.expire(name)

    @rule(where=st.sampled_from(("after journal", "before finish")))
    def crash(self, where):
        self.chaos.crash(where)

    @rule()
    def undo(self):
        self.chaos.undo()

    @rule(field=SLOTS, answer=st.sampled_from(("accept", "restore", "keep")))
    def answer(self, field, answer):
        self.chaos.answer(field, answer)

    def teardown(self):
        if hasattr(self, "chaos"):
            self.chaos.quiesce()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
