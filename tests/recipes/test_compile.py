from datetime import datetime, timedelta
from itertools import product

import pytest

from truckroll.model.records import KINDS, Address, Contact, Occurrence, Occurrences
from truckroll.model.time import Timed
from truckroll.recipes.check import load
from truckroll.recipes.compile import BadChoicesError, builtin, check_choices, compile_mirror
from truckroll.recipes.mirror import GateContext, Place, Problem
from truckroll.recipes.schema import Recipe

NY = "America/New_York"
wall = datetime.fromisoformat
WHEN = Timed(wall("2026-12-01T09:00"), NY, 3600)
LATER = Timed(wall("2026-12-01T13:00"), NY, 3600)
JOB = {
    "number": "J-1042",
    "title": "Boiler service",
    "job_type": "Maintenance",
    "when": WHEN,
    "status": "scheduled",
    "people": ("Ana Ruiz", "Ben Cole"),
    "location": Address(line1="12 Elm St", city="Austin"),
    "materials": "igniter 41-408",
    "notes": "Gate 7",
    "customer": "Jane Roe",
    "contact": Contact("Jane Roe", "+1 512 555 0100", "jane@roe.example"),
    "busy": True,
    "link": "https://fsm.example/j/1042",
}


def recipe(name) -> Recipe:
    loaded = load(builtin()[name], f"{name}.toml")
    assert isinstance(loaded, Recipe), [str(slip) for slip in loaded]
    return loaded


def calendars(**choices):
    return compile_mirror(recipe("appointments-to-calendars"), choices)


def events(**choices):
    return compile_mirror(recipe("calendar-to-calendar"), choices)


def line(mirror, slot, side="target"):
    (found,) = [one for one in mirror.lines[side] if one.slot == slot]
    return found


def shown(mirror, fields):
    return {one.slot: one.render(fields) for one in mirror.lines["target"]}


def test_an_event_shows_type_place_time_materials_notes_contact_and_a_link_back():
    mirror = calendars()
    assert mirror.per == "people"
    assert shown(mirror, JOB) == {
        "title": "J-1042 Boiler service · Jane Roe",
        "when": WHEN,
        "occurrences": None,
        "status": "scheduled",
        "location": JOB["location"],
        "notes": (
            "Work: Maintenance\n"
            "Bring: igniter 41-408\n"
            "Contact: Jane Roe · +1 512 555 0100 · jane@roe.example\n"
            "Crew: Ana Ruiz, Ben Cole\n"
            "\n"
            "Gate 7\n"
            "\n"
            "https://fsm.example/j/1042"
        ),
        "busy": True,
        "link": JOB["link"],
    }


def test_a_bare_appointment_makes_a_bare_event_without_loose_words():
    title = shown(calendars(), {"job_type": "Repair", "when": WHEN})
    assert (title["title"], title["notes"]) == ("Repair", "Work: Repair")


def test_what_was_cleared_is_cleared_and_what_is_unknown_is_left_alone():
    notes = line(calendars(), "notes")
    assert notes.render({"notes": "", "materials": ""}) == ""
    assert notes.render({"notes": None}) is None
    assert notes.render({}) is None


def choices_of(made):
    """Each word of each option alone, and all combinations of those that depend on each other."""
    words = {
        name: list(option.words) or [str(option.least), str(option.most)]
        for name, option in made.options.items()
    }
    yield from ({name: word} for name, several in words.items() for word in several)
    tied = ("two_way", "edits_by_hand", "private")
    for combination in product(*(words[name] for name in tied)):
        yield dict(zip(tied, combination, strict=True))


@pytest.mark.parametrize("name", list(builtin()))
def test_every_choice_of_a_shipped_recipe_compiles(name):
    made = recipe(name)
    for choices in choices_of(made):
        mirror = compile_mirror(made, choices)
        for side in ("source", "target"):
            for one in mirror.lines[side]:
                assert one.inputs
                assert set(one.inputs) <= KINDS[mirror.kind].fields.keys()
                assert not (one.speaks and one.invert is None)


def test_the_defaults_are_the_safe_ones():
    mirror = calendars()
    assert (mirror.deletes, mirror.missing, mirror.drift) == ("propagate", "recreate", "hold")
    assert (mirror.cancelled, mirror.left, mirror.leaving) == ("remove", "remove", "freeze")
    assert (mirror.first, mirror.overlap, mirror.travel) == ("source", "show", timedelta(0))
    assert mirror.originates == {"source"}
    assert not any(one.speaks for one in mirror.lines["target"])
    assert [name for name, _ in mirror.gates] == ["has_time", "assigned", "inside_window"]


def test_the_source_speaks_for_every_field():
    mirror = calendars()
    assert {one.slot for one in mirror.lines["source"]} == KINDS["appointment"].fields.keys()
    assert all(one.speaks and one.invert for one in mirror.lines["source"])


@pytest.mark.parametrize("word", ["remove", "mark"])
def test_a_cancelled_appointment_is_removed_or_marked_by_choice(word):
    assert calendars(cancelled=word).cancelled == word


@pytest.mark.parametrize(
    ("two_way", "by_hand", "drift"),
    [
        ("off", "hold", "hold"),
        ("off", "restore", "restore"),
        ("off", "keep", "keep"),
        ("ask", "restore", "hold"),
        ("reschedule", "restore", "restore"),
    ],
)
def test_a_choice_inside_a_choice_is_followed(two_way, by_hand, drift):
    assert calendars(two_way=two_way, edits_by_hand=by_hand).drift == drift


def test_a_technicians_move_speaks_where_it_was_chosen_and_the_office_wins():
    mirror = calendars(two_way="reschedule")
    assert {one.slot for one in mirror.lines["target"] if one.speaks} == {"when", "occurrences"}
    assert line(mirror, "when").invert(LATER) == LATER
    assert mirror.conflict == {"when": "source", "occurrences": "source"}


def test_an_overlap_is_refused_only_where_it_was_chosen():
    assert "overlap_free" in dict(calendars(overlap="refuse").gates)
    assert calendars(overlap="refuse", travel_minutes="15").travel == timedelta(minutes=15)
    assert "overlap_free" not in dict(calendars(overlap="show").gates)


def test_the_window_is_the_chosen_one():
    ctx = GateContext(now=wall("2026-12-20T12:00+00:00"), zone=NY, people=lambda _: Problem("", ""))
    assert dict(calendars(window_past_days="30").gates)["inside_window"](JOB, ctx) is None
    assert dict(calendars(window_past_days="5").gates)["inside_window"](JOB, ctx)


def test_a_place_goes_into_the_mirror():
    place = Place(1, 2, "Dee")
    assert compile_mirror(recipe("calendar-to-calendar"), {}, place=place).place == place


def test_status_words_are_read_and_a_persons_own_row_is_used():
    status = line(calendars(), "status", "source")
    assert status.invert("Sched.") == "scheduled"
    problem = status.invert("Rolling")
    assert problem.reason == "status_unmapped"
    assert "truckroll recipe set appointments-to-calendars" in problem.release
    own = line(calendars(**{'maps.status."Rolling"': "on_the_way"}), "status", "source")
    assert own.invert("rolling") == "on_the_way"
    plain = line(calendars(**{"maps.status.Rolling. Now": "working"}), "status", "source")
    assert plain.invert("Rolling. now") == "working"


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"missng": "ask"}, 'has no choice "missng"; did you mean "missing"?'),
        ({"zzz": "ask"}, 'has no choice "zzz"; there are: two_way,'),
        ({"missing": "no"}, '"missing" cannot be "no"; its words are: recreate, ask, accept'),
        ({"travel_minutes": "a lot"}, '"travel_minutes" must be a whole number from 0 to 240'),
        ({"travel_minutes": "241"}, "from 0 to 240"),
        ({'maps.stat."X"': "done"}, 'has no map "stat"; did you mean "status"?'),
        ({'maps.status."X"': "dnoe"}, '"dnoe" is no status; did you mean "done"?'),
    ],
)
def test_a_choice_that_is_not_offered_is_refused_with_what_is(choices, says):
    made = recipe("appointments-to-calendars")
    (slip,) = check_choices(made, choices)
    assert says in str(slip)
    with pytest.raises(BadChoicesError) as error:
        compile_mirror(made, choices)
    assert error.value.slips == [slip]


def test_all_bad_choices_are_said_at_once():
    bad = {"missing": "no", "cancelled": "no", "overlap": "no"}
    assert len(check_choices(recipe("appointments-to-calendars"), bad)) == 3


PRIVATE = {**JOB, "private": True, "category": "Health"}


@pytest.mark.behaviour("CAL-7")
@pytest.mark.parametrize("make", [calendars, events])
def test_of_a_private_record_nothing_but_busy_time_and_status_is_shown(make):
    out = shown(make(), PRIVATE)
    assert out["title"] == "Busy"
    assert (out["when"], out["status"], out["busy"]) == (WHEN, "scheduled", True)
    rest = {
        slot: value
        for slot, value in out.items()
        if slot in {"notes", "location", "link", "category"}
    }
    assert set(rest.values()) == {""}


@pytest.mark.behaviour("CAL-7")
@pytest.mark.parametrize("make", [calendars, events])
def test_the_visits_of_a_private_series_show_no_content_either(make):
    exceptions = Occurrences(
        {
            "2026-12-08T09:00:00": Occurrence(cancelled=True),
            "2026-12-15T09:00:00": Occurrence(
                fields={
                    "when": LATER,
                    "title": "Oncologist",
                    "notes": "bring results",
                    "customer": "Dr. Who",
                    "location": Address(text="Clinic"),
                }
            ),
            "2026-12-22T09:00:00": Occurrence(fields={"title": "Oncologist"}),
        }
    )
    assert shown(make(), {**PRIVATE, "occurrences": exceptions})["occurrences"] == Occurrences(
        {
            "2026-12-08T09:00:00": Occurrence(cancelled=True),
            "2026-12-15T09:00:00": Occurrence(fields={"when": LATER}),
        }
    )


@pytest.mark.behaviour("CAL-7")
def test_the_mark_alone_changes_what_every_line_with_content_needs():
    for mirror in (calendars(), events()):
        for one in mirror.lines["target"]:
            if one.slot not in {"when", "status", "busy", "private"}:
                assert "private" in one.inputs, one.slot


@pytest.mark.parametrize(
    ("choices", "held"),
    [
        ({}, False),
        ({"private": "skip"}, True),
        ({"private": "copy"}, False),
        ({"two_way": "on"}, True),
        ({"two_way": "on", "private": "copy"}, False),
    ],
)
@pytest.mark.behaviour("CAL-7")
def test_where_content_travels_both_ways_private_records_wait(choices, held):
    mirror = events(**choices)
    assert ("not_private" in dict(mirror.gates)) is held
    if choices.get("private") == "copy":
        assert shown(mirror, PRIVATE)["title"] == "Boiler service"


@pytest.mark.behaviour("CAL-7")
@pytest.mark.parametrize("rule", ['originates = "both"\n', ""])
def test_a_recipe_cannot_forget_to_hear_what_is_private(rule):
    text = SMALL.replace('private = "copy"\n', rule)
    if rule:
        text = text.replace('both = "target-wins"\n', "")
    mirror = compile_mirror(load(text, "x.toml"), {})
    assert "not_private" in dict(mirror.gates)
    heard = line(mirror, "private")
    assert heard.speaks
    assert heard.invert("as it is") == "as it is"


def test_two_way_events_speak_on_both_sides_and_may_begin_on_either():
    mirror = events(two_way="on")
    assert mirror.originates == {"source", "target"}
    assert all(one.speaks for one in mirror.lines["target"])
    assert mirror.conflict["title"] == "newest"
    assert events(two_way="ask").conflict["title"] == "ask"


def series(**visits):
    return Occurrences({f"2026-12-{day[1:]}T09:00:00": one for day, one in visits.items()})


@pytest.mark.behaviour("CAL-11")
def test_a_visit_with_another_customer_has_another_title():
    exceptions = series(
        d08=Occurrence(fields={"customer": "Max Mu"}),
        d15=Occurrence(fields={"people": ("Ana Ruiz",)}),
    )
    out = shown(calendars(), {**JOB, "occurrences": exceptions})["occurrences"]
    assert out.by_start["2026-12-08T09:00:00"].fields == {"title": "J-1042 Boiler service · Max Mu"}
    assert out.by_start["2026-12-15T09:00:00"].fields["notes"].count("Ben") == 0


def test_a_visit_that_differs_in_nothing_there_is_no_exception_there():
    exceptions = series(d08=Occurrence(fields={"category": "blue"}))
    assert shown(calendars(), {**JOB, "occurrences": exceptions})["occurrences"] == Occurrences()


def test_a_moved_visit_comes_back_and_what_the_calendar_never_showed_is_kept():
    mirror = calendars(two_way="reschedule")
    one = line(mirror, "occurrences")
    agreed = series(
        d08=Occurrence(fields={"category": "blue", "customer": "Max Mu"}),
        d15=Occurrence(fields={"category": "red"}),
    )
    base = one.render({**JOB, "occurrences": agreed})
    start = "2026-12-15T09:00:00"
    edited = Occurrences({**base.by_start, start: Occurrence(fields={"when": LATER})})
    after = one.patch(edited, base, agreed)
    assert after.by_start["2026-12-08T09:00:00"] == agreed.by_start["2026-12-08T09:00:00"]
    assert after.by_start[start].fields == {"category": "red", "when": LATER}
    assert one.patch(base, edited, after) == agreed


def test_a_visit_taken_out_by_hand_is_cancelled_and_put_back_again():
    one = line(calendars(two_way="reschedule"), "occurrences")
    start = "2026-12-15T09:00:00"
    gone = Occurrences({start: Occurrence(cancelled=True)})
    cancelled = one.patch(gone, Occurrences(), Occurrences())
    assert cancelled == gone
    assert one.patch(Occurrences(), gone, cancelled) == Occurrences()


def test_a_text_edited_on_one_visit_is_drift_and_loses_nothing():
    one = line(calendars(two_way="reschedule"), "occurrences")
    edited = series(d15=Occurrence(fields={"title": "my own words"}))
    problem = one.patch(edited, Occurrences(), Occurrences())
    assert isinstance(problem, Problem)
    assert problem.reason == "drift"
    assert "the title of the visit of 2026-12-15" in problem.detail
    assert one.invert(edited) == Occurrences()


def test_what_comes_back_makes_the_same_exceptions_again():
    one = line(events(two_way="on"), "occurrences")
    said = series(
        d08=Occurrence(cancelled=True), d15=Occurrence(fields={"when": LATER, "title": "Other"})
    )
    assert one.render({**JOB, "occurrences": said}) == said
    assert one.invert(said) == said


SMALL = """
name = "x"
title = "X"
version = 1
[maps.colour]
unmapped = "hold"
words = { "Red" = "urgent", "Green" = "calm" }
[mirror.m]
kind = "appointment"
deletes = "ask"
private = "copy"
[[mirror.m.field]]
target = "category"
from = "category"
map = "colour"
both = "target-wins"
[[mirror.m.field]]
target = "location"
text = "{location.city}"
[[mirror.m.field]]
target = "contact"
text = "{customer}"
[[mirror.m.field]]
target = "busy"
value = true
[[mirror.m.field]]
target = "title"
from = "title"
use = ["strip_html", { transform = "shorten", length = 8 }]
"""


def test_maps_texts_fixed_values_and_transforms_make_the_targets_own_types():
    mirror = compile_mirror(load(SMALL, "x.toml"), {})
    out = shown(
        mirror,
        {
            "category": "red",
            "location": Address(city="Austin"),
            "customer": "Jane",
            "title": "<b>Boiler</b> service",
        },
    )
    assert out == {
        "category": "urgent",
        "location": Address(text="Austin"),
        "contact": Contact(name="Jane"),
        "busy": True,
        "title": "Boiler…",
    }
    assert shown(mirror, {})["title"] is None
    colour = line(mirror, "category")
    assert colour.invert("calm") == "Green"
    assert colour.render({"category": "Pink"}).reason == "category_unmapped"
    assert mirror.conflict == {"category": "target"}


def test_a_gate_may_be_used_twice_with_other_settings():
    text = SMALL.replace(
        'private = "copy"',
        'private = "skip"\ngates = [{ gate = "type_enabled", types = ["A", "B"] }, { gate = "type_enabled", types = ["B", "C"] }]',
    )
    mirror = compile_mirror(load(text, "x.toml"), {})
    assert [name for name, _ in mirror.gates] == ["type_enabled", "type_enabled", "not_private"]
    passed = [
        all(gate({"job_type": job}, None) is None for _, gate in mirror.gates) for job in "ABC"
    ]
    assert passed == [False, True, False]


def test_an_unknown_mirror_is_a_key_error():
    with pytest.raises(KeyError):
        compile_mirror(recipe("calendar-to-calendar"), {}, mirror="nope")
