from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from truckroll.dispatch.moving import Visit, moved_up, pushed_back

DAY = datetime(2026, 12, 1, tzinfo=UTC)
EARLY = DAY - timedelta(days=1)
MIDNIGHT = DAY + timedelta(days=1)


def at(clock):
    hours, minutes = clock.split(":")
    return DAY + timedelta(hours=int(hours), minutes=int(minutes))


def visit(ref, start, end, **more):
    bounds = {name: at(more.pop(name)) for name in ("earliest", "latest") if name in more}
    return Visit(key=ref, ref=ref, begins=at(start), ends=at(end), **bounds, **more)


def clock(shift):
    return {one.visit.ref: f"{one.begins:%H:%M}–{one.ends:%H:%M}" for one in shift.moves}


def up(*day, free="10:00", now=EARLY, travel=0):
    return clock(moved_up(day, free=at(free), now=now, travel=timedelta(minutes=travel)))


def back(*day, delayed, now=EARLY, travel=0):
    return pushed_back(
        day, delayed=delayed, now=now, until=MIDNIGHT, travel=timedelta(minutes=travel)
    )


FIRST = visit("A", "11:30", "12:30")
SECOND = visit("B", "13:00", "14:00")


def test_later_visits_move_up_together_and_keep_their_distances():
    assert up(FIRST, SECOND) == {"A": "10:00–11:00", "B": "11:30–12:30"}


def test_nothing_moves_to_before_now_or_into_what_came_before():
    assert up(FIRST, now=at("10:42")) == {"A": "10:45–11:45"}
    before = visit("early", "09:00", "10:10")
    assert up(before, FIRST, travel=15) == {"A": "10:25–11:25"}


def test_a_visit_moves_no_further_than_its_customer_was_promised():
    promised = visit("A", "11:30", "12:30", earliest="11:00")
    assert up(promised, SECOND) == {"A": "11:00–12:00", "B": "12:00–13:00"}
    assert up(promised, SECOND, travel=30) == {"A": "11:00–12:00", "B": "12:30–13:30"}


def test_what_is_fixed_stays_and_nothing_goes_past_it():
    lunch = visit("lunch", "12:30", "13:00", fixed="time off", travels=False)
    assert up(FIRST, lunch, SECOND) == {"A": "10:00–11:00"}
    assert up(visit("A", "11:30", "12:30", fixed="it repeats"), SECOND, free="10:00") == {
        "B": "12:30–13:30"
    }


def test_without_later_visits_there_is_nothing_to_move():
    assert up(visit("early", "08:00", "09:00")) == {}
    assert up(FIRST, free="11:30") == {}


def test_a_delay_pushes_what_it_meets_and_no_further_than_needed():
    late = visit("late", "10:00", "12:00")
    shift = back(FIRST, SECOND, delayed=late)
    assert clock(shift) == {"A": "12:00–13:00"}
    assert clock(back(FIRST, SECOND, delayed=late, travel=15)) == {
        "A": "12:15–13:15",
        "B": "13:30–14:30",
    }
    assert clock(back(SECOND, delayed=late)) == {}


def test_a_delayed_day_goes_past_what_is_fixed_and_names_what_cannot_follow():
    late = visit("late", "10:00", "12:00")
    lunch = visit("lunch", "12:30", "13:00", fixed="time off", travels=False)
    assert clock(back(FIRST, lunch, delayed=late)) == {"A": "13:00–14:00"}
    promised = visit("A", "11:30", "12:30", latest="11:45")
    shift = back(promised, delayed=late)
    assert (shift.moves, shift.stays) == (
        (),
        ((promised, "it would begin later than was promised"),),
    )
    hit = visit("lunch", "11:00", "11:30", fixed="time off")
    assert back(hit, delayed=late).stays == ((hit, "time off"),)
    evening = visit("E", "11:30", "23:45")
    assert back(evening, delayed=late).stays == ((evening, "there is no room left on that day"),)


DAYS = st.lists(
    st.tuples(st.integers(1, 8), st.integers(1, 12), st.booleans(), st.booleans()),
    min_size=1,
    max_size=7,
)


def a_day(drawn, begin):
    """Return a day's visits, one after the other, some of them fixed or without a drive."""
    found, clock_at = [], begin
    for number, (gap, length, fixed, drives) in enumerate(drawn):
        starts = clock_at + timedelta(minutes=5 * gap)
        clock_at = starts + timedelta(minutes=5 * length)
        found.append(
            Visit(
                key=str(number),
                ref=str(number),
                begins=starts,
                ends=clock_at,
                fixed="fixed" if fixed else "",
                travels=drives,
            )
        )
    return found


def after(day, shift):
    moved = {one.visit.key: (one.begins, one.ends) for one in shift.moves}
    return sorted(moved.get(one.key, (one.begins, one.ends)) for one in day)


def hits(times):
    return [(a, b) for a, b in pairwise(times) if b[0] < a[1]]


@given(DAYS, st.integers(0, 60), st.integers(0, 4))
def test_moving_up_makes_no_overlap_and_moves_nothing_later(drawn, now, travel):
    day = a_day(drawn, at("10:00"))
    moment = at("09:00") + timedelta(minutes=now * 3)
    shift = moved_up(day, free=at("10:00"), now=moment, travel=timedelta(minutes=5 * travel))
    assert not hits(after(day, shift))
    for one in shift.moves:
        assert not one.visit.fixed
        assert moment <= one.begins < one.visit.begins
        assert one.ends - one.begins == one.visit.ends - one.visit.begins


@given(DAYS, st.integers(1, 40), st.integers(0, 4))
def test_a_delay_makes_no_overlap_but_those_it_names(drawn, minutes, travel):
    late = visit("late", "09:00", "10:00")
    late = Visit(
        key="late", ref="late", begins=late.begins, ends=late.ends + timedelta(minutes=5 * minutes)
    )
    day = a_day(drawn, at("10:00"))
    shift = pushed_back(
        day, delayed=late, now=EARLY, until=MIDNIGHT, travel=timedelta(minutes=5 * travel)
    )
    met = {one.key for one, _ in shift.stays}
    assert not hits(after(day, shift))
    assert not hits(after([late, *(one for one in day if one.key not in met)], shift))
    assert all(one.begins > one.visit.begins and not one.visit.fixed for one in shift.moves)


def test_nothing_is_moved_onto_what_cannot_follow():
    late = visit("late", "10:00", "12:00")
    promised = visit("B", "12:30", "13:30", latest="12:45")
    shift = back(FIRST, promised, delayed=late)
    assert clock(shift) == {"A": "13:30–14:30"}
    assert shift.stays == ((promised, "it would begin later than was promised"),)
