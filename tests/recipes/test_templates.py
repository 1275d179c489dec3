import pytest

from truckroll.model.records import APPOINTMENT, Address, Contact
from truckroll.recipes.templates import TemplateError, known_names, parse

FULL = {
    "number": "J-1042",
    "title": "Boiler service",
    "job_type": "Maintenance",
    "customer": "Jane Roe",
    "location": Address(line1="12 Elm St", city="Austin", state="TX", postal="78701"),
    "contact": Contact("Jane Roe", "+1 512 555 0100"),
    "materials": "igniter",
    "people": ("Ana Ruiz", "Ben Cole"),
}


def fill(text, **fields):
    return parse(text).fill(fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{number} {title} · {customer}", "J-1042 Boiler service · Jane Roe"),
        ("{location}", "12 Elm St, Austin, TX 78701"),
        ("{location.city}: {contact.phone}", "Austin: +1 512 555 0100"),
        ("Crew: {people}", "Crew: Ana Ruiz, Ben Cole"),
        ("{{{number}}}", "{J-1042}"),
        ("no fields at all", "no fields at all"),
    ],
)
def test_fields_are_filled_in_as_people_write_them(text, expected):
    assert parse(text).fill(FULL) == expected


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("{number} {title} · {customer}", {"title": "Leak"}, "Leak"),
        ("{number} {title} · {customer}", {"customer": "Roe"}, "Roe"),
        ("{number} {title} · {customer}", {"number": "7", "customer": "Roe"}, "7 · Roe"),
        ("{title} ({number})", {"title": "Leak"}, "Leak"),
        ("{title} ({number}) – {customer}", {"title": "Leak", "customer": "Roe"}, "Leak – Roe"),
        ("{customer}, {number}, {title}", {"title": "Leak", "customer": "Roe"}, "Roe, Leak"),
        ("Job {number}", {}, ""),
        ("{title or job_type}", {"job_type": "Repair"}, "Repair"),
        ("{title or job_type}", {"job_type": "Repair", "title": "Leak"}, "Leak"),
        ("{title or job_type}", {"title": "  "}, ""),
        ("Visit · {title}", {}, ""),
        ("Visit · {title}", {"title": "Leak"}, "Visit · Leak"),
    ],
)
def test_what_belongs_to_an_empty_field_goes_with_it(text, fields, expected):
    assert fill(text, **fields) == expected


def test_a_line_whose_fields_are_all_empty_vanishes():
    text = "Bring: {materials}\nContact: {contact.name} · {contact.phone}\n\n{notes}\n\n{link}\n"
    assert fill(text, materials="igniter") == "Bring: igniter"
    assert fill(text, materials="igniter", link="https://x.example/1") == (
        "Bring: igniter\n\nhttps://x.example/1"
    )
    assert fill(text, notes="Gate 7\nDog", contact=Contact(phone="55")) == (
        "Contact: 55\n\nGate 7\nDog"
    )
    assert fill(text) == ""


def test_a_title_stays_in_one_line():
    assert fill("{title}", title="Leak\n in  the cellar") == "Leak in the cellar"


def test_braces_in_a_value_are_no_fields():
    assert fill("{title}", title="{number}", number="7") == "{number}"


@pytest.mark.parametrize("text", ["{number", "number}", "{a}{", "{{number}"])
def test_a_lonely_brace_is_refused(text):
    with pytest.raises(TemplateError, match="a brace stands alone"):
        parse(text)


def test_names_and_inputs_are_known():
    template = parse("{title or job_type} · {contact.phone}\n{title}")
    assert template.names == ("title", "job_type", "contact.phone")
    assert template.inputs == ("title", "job_type", "contact")
    assert set(template.names) <= set(known_names(APPOINTMENT))
    assert {"location.city", "contact.mail"} <= set(known_names(APPOINTMENT))
    assert not any(name.startswith("when.") for name in known_names(APPOINTMENT))


def test_percent_signs_are_nothing_special():
    text = "100 % of {title}, {number}"
    assert fill(text, title="50 %s off") == "100 % of 50 %s off"
    assert fill(text, title="%d", number="7 %") == "100 % of %d, 7 %"


def test_what_a_value_says_is_left_alone_where_a_neighbour_is_empty():
    assert fill("{title} ({number})\n{notes}", title="call f()  twice") == "call f()  twice"


def test_one_template_serves_records_that_leave_other_fields_empty():
    template = parse("{number} {title} · {customer}")
    records = [{"number": "7"}, {"title": "Leak"}, {"number": "8"}, {}, {"customer": "Roe"}]
    assert [template.fill(one) for one in records] == ["7", "Leak", "8", "", "Roe"]
