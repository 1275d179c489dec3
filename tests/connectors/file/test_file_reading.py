"""What a table says, read as records; what it does not say, named with row and column."""

from datetime import date, datetime

import pytest

from connectors.file.tables import Office
from truckroll.kit.contract import Missing, Seen, Unreadable
from truckroll.kit.errors import GiveUp
from truckroll.model.records import Address, Contact, Occurrence, Occurrences
from truckroll.model.time import AllDay, Rule, Timed

HEAD = "Job No,Title,Start,End\n"


@pytest.fixture
def office(tmp_path):
    def make(text, **settings):
        return Office(tmp_path / "visits.csv", text, **settings)

    return make


async def test_columns_are_known_by_the_names_that_people_give_them(office):
    table = office(
        "Job #,Subject,STARTS,duration_min,Technician(s),Assigned,State,Site Address,Work Type,"
        "Parts,Description,Client,Contact Name,Tel.,E-Mail,Private\n"
        "J-1,Boiler,2026-12-01 09:00,90,x,Ana Ruiz; Ben Cole,Sched.,12 Elm St,Service,"
        'igniter,"two\nlines",Acme,Kim,+1 555 0100,kim@example.com,yes\n'
    )
    assert await table.fields() == {
        "number": "J-1",
        "title": "Boiler",
        "when": Timed(datetime(2026, 12, 1, 9), "America/New_York", 5400),
        "people": ("Ana Ruiz", "Ben Cole"),
        "status": "Sched.",
        "location": Address(text="12 Elm St"),
        "job_type": "Service",
        "materials": "igniter",
        "notes": "two\nlines",
        "customer": "Acme",
        "contact": Contact("Kim", "+1 555 0100", "kim@example.com"),
        "private": True,
    }


async def test_a_mapping_goes_before_the_words(office):
    table = office(
        "Ref,What,Day,At,Street,City,Who A,Who B,Status\n"
        "J-1,Leak,2026-12-01,09:00,12 Elm St,Springfield,Ana,Ben,New\n",
        columns='{"key": "Ref", "title": "{What} in {City}", "start": ["Day", "At"], "status": null,'
        ' "location": ["Street", "City"], "people": ["Who A", "Who B"]}',
        minutes="60",
    )
    fields = await table.fields()
    assert fields["title"] == "Leak in Springfield"
    assert fields["location"] == Address(text="12 Elm St, Springfield")
    assert fields["people"] == ("Ana", "Ben")
    assert fields["when"] == Timed(datetime(2026, 12, 1, 9), "America/New_York", 3600)
    assert "status" not in fields


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ('{"start": "Begins"}', 'did you mean "Begin"'),
        ('{"sart": "Begin"}', 'did you mean "start"'),
        ("start=Begin", "are not written as"),
    ],
)
async def test_a_wrong_mapping_is_told_with_the_known_names(office, columns, says):
    with pytest.raises(GiveUp, match=says):
        await office("Job,Begin\nJ-1,2026-12-01\n", columns=columns).list()


@pytest.mark.parametrize(
    ("header", "says"),
    [("Title,Start", "known as its key"), ("Job,Title", "known as its start")],
)
async def test_a_table_without_key_or_start_is_told_with_its_columns(office, header, says):
    with pytest.raises(GiveUp, match=f"{says}.*it has: {header.replace(',', ', ')}"):
        await office(f"{header}\na,b\n").list()


async def test_two_columns_of_one_name_are_not_chosen_from(office):
    with pytest.raises(GiveUp, match='two columns called "Start"'):
        await office("Job,Start,Start\nJ-1,a,b\n").list()


@pytest.mark.behaviour("CAL-11")
@pytest.mark.parametrize(
    "cell",
    [
        *("2026-12-01 09:00", "2026-12-01T09:00:00", "2026/12/01 9:00", "20261201T090000"),
        *("12/01/2026 9:00 am", "1 Dec 2026 09:00", "Tue Dec 1 2026 9 AM", "01.12.2026 09:00"),
        *("2026-12-01T14:00Z", "2026-12-01T15:00+01:00", "December 1st 2026, 9:00"),
    ],
)
async def test_a_start_is_read_as_people_and_programs_write_it(office, cell):
    table = office(f'Job No,Start,Minutes\nJ-1,"{cell}",60\n', dates="mdy")
    assert (await table.fields())["when"].begins.isoformat() == "2026-12-01T14:00:00+00:00"


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        *(("90", 5400), ("1h30", 5400), ("1 h 30 min", 5400), ("PT90M", 5400), ("1:30", 5400)),
        *(("90 min", 5400), ("1.5 hours", 5400), ("0", 0)),
    ],
)
async def test_a_duration_is_read_as_people_and_programs_write_it(office, cell, seconds):
    table = office(f"Job No,Start,Duration\nJ-1,2026-12-01 09:00,{cell}\n")
    assert (await table.fields())["when"].seconds == seconds


async def test_an_end_that_is_a_time_is_the_first_after_the_start(office):
    table = office(
        "Job No,Date,Start,End\nJ-1,2026-12-01,22:00,02:00\nJ-2,2026-12-01,9 am,9:30 am\n"
    )
    assert (await table.fields())["when"].seconds == 4 * 3600
    assert (await table.fields("J-2"))["when"] == Timed(
        datetime(2026, 12, 1, 9), "America/New_York", 1800
    )


async def test_one_unmistakable_date_decides_its_column(office):
    rows = "J-1,03/04/2026 09:00,\nJ-2,{},\n"
    head = "Job No,Start,Title\n"
    table = office(head + rows.format("31/12/2026 09:00"), minutes="60")
    assert (await table.fields())["when"].start == datetime(2026, 4, 3, 9)
    table = office(head + rows.format("12/31/2026 09:00"), minutes="60")
    assert (await table.fields())["when"].start == datetime(2026, 3, 4, 9)
    table = office(head + rows.format("04/05/2026 09:00"), minutes="60")
    assert "may be two different days" in await table.reason()
    assert "dmy or mdy" in await table.reason()
    # A slip of the pen is nobody's word on the order.
    table = office(head + rows.format("31/02/2026 09:00"), minutes="60")
    assert "may be two different days" in await table.reason()


BAD_CELLS = {
    "no such day": ("31/02/2026", "2026-12-01 10:00", "column Start: '31/02/2026' is not a date"),
    "word": (
        "tomorrow",
        "",
        "column Start: 'tomorrow' is not a date; write it as 2026-12-01 09:00",
    ),
    "empty": ("", "2026-12-01 10:00", "column Start: the start is missing"),
    "short year": ("12/31/26", "", "is not a date"),
    "no end": ("2026-12-01 09:00", "", "column End: neither an end nor a duration is given"),
    "bad end": ("2026-12-01 09:00", "later", "column End: 'later' is not a date"),
    "backwards": ("2026-12-01 09:00", "2026-12-01 08:00", "column End: it ends before it starts"),
    "end without time": ("2026-12-01 09:00", "2026-12-02", "column End: the end has no time"),
    "days backwards": ("2026-12-03", "2026-12-01", "column End: it ends before it starts"),
    "no such hour": ("2026-12-01 25:00", "", "is not a date"),
}


@pytest.mark.parametrize("case", BAD_CELLS)
@pytest.mark.fault("AT-07")
async def test_a_missing_or_wrong_time_is_an_error_never_now(office, case):
    start, end, says = BAD_CELLS[case]
    table = office(f"{HEAD}J-1,Bad,{start},{end}\nJ-2,Good,2026-12-01 09:00,2026-12-01 10:00\n")
    read = await table.list()
    assert set(read.seen) == {"J-2"}
    assert says in read.unreadable["J-1"].reason
    assert read.unreadable["J-1"].reason.startswith("Visit J-1 in visits.csv, row 2")
    assert read.complete


@pytest.mark.fault("AT-09")
async def test_a_bad_date_in_row_4000_is_named_and_all_other_rows_flow(office):
    rows = [f"J-{n},Visit,2026-12-01 09:00,2026-12-01 10:00" for n in range(2, 5002)]
    rows[3998] = "J-4000,Visit,31/02/2026,2026-12-01 10:00"
    read = await office(HEAD + "\n".join(rows) + "\n").list()
    assert len(read.seen) == 4999
    assert read.unreadable["J-4000"].reason == (
        "Visit J-4000 in visits.csv, row 4000, column Start: '31/02/2026' is not a date; "
        "write it as 2026-12-01 09:00."
    )
    assert max(len(page.items) for page in read.pages) <= 500


async def test_rows_are_numbered_as_the_spreadsheet_shows_them(office):
    table = office(f'{HEAD}J-1,"three\nlines\nhere",2026-12-01,\n\nJ-2,After a blank row,bad,\n')
    assert "row 4," in await table.reason("J-2")


async def test_of_two_rows_with_one_key_the_known_one_counts_and_both_are_named(office):
    first = "J-1,First,2026-12-01,\n"
    table = office(HEAD + first)
    await table.list()
    table.write(f"{HEAD}J-1,Copy,2026-12-05,\n{first}")
    read = await table.list()
    assert read.unchanged == {"J-1"}
    reason = read.unreadable["J-1 (row 2)"].reason
    assert "row 2" in reason
    assert "row 3" in reason
    assert read.complete
    new = office(f"{HEAD}J-1,Copy,2026-12-05,\n{first}")
    assert (await new.list()).seen["J-1"].fields["title"] == "Copy"


@pytest.mark.fault("AT-01")
async def test_while_a_row_has_no_key_no_missing_row_counts_as_deleted(office):
    table = office(f"{HEAD}J-1,One,2026-12-01,\nJ-2,Two,2026-12-01,\n")
    await table.list()
    table.write(f"{HEAD},One,2026-12-01,\nJ-2,Two,2026-12-01,\n")
    read = await table.list()
    assert not read.complete
    assert "row 2: the row has no key in column Job No" in read.unreadable["row 2"].reason
    assert isinstance(await table.read("J-1"), Unreadable)
    table.write(f"{HEAD}J-2,Two,2026-12-01,\n")
    assert (await table.list()).complete
    assert isinstance(await table.read("J-1"), Missing)


async def test_a_row_that_is_wider_than_the_header_is_not_guessed_at(office):
    read = await office(
        f"{HEAD}J-1,Elm St, Gate 7,2026-12-01,2026-12-02\nJ-2,Two,2026-12-01,\n"
    ).list()
    assert set(read.seen) == {"J-2"}
    assert "has 5 cells and the header 4" in read.unreadable["row 2"].reason
    assert not read.complete


@pytest.mark.fault("AT-23")
async def test_three_values_of_nothing(office, tmp_path):
    fields = await office("Job No,Start,Technicians,Notes\nJ-1,2026-12-01,,\n").fields()
    assert fields["people"] == ()
    assert fields["notes"] == ""
    assert "status" not in fields
    lines = Office(
        tmp_path / "visits.jsonl",
        '{"id": "J-1", "start": "2026-12-01", "notes": null, "status": ""}\n'
        '{"id": "J-2", "start": "2026-12-01", "people": ["Ana", "Ben"]}\n',
    )
    first, second = await lines.fields(), await lines.fields("J-2")
    assert (first["notes"], first["status"]) == (None, "")
    assert "people" not in first
    assert "notes" not in second
    assert second["people"] == ("Ana", "Ben")


@pytest.mark.parametrize(
    ("cell", "people"),
    [
        ("Ana Ruiz, Ben Cole", ("Ana Ruiz", "Ben Cole")),
        ("Ana Ruiz & Ben Cole", ("Ana Ruiz", "Ben Cole")),
        ("Ruiz, Ana; Cole, Ben", ("Ruiz, Ana", "Cole, Ben")),
        ("Ana\nBen\nAna", ("Ana", "Ben")),
        (" ; ", ()),
    ],
)
async def test_several_technicians_in_a_cell(office, cell, people):
    fields = await office(f'Job No,Start,Technicians\nJ-1,2026-12-01,"{cell}"\n').fields()
    assert fields["people"] == people


@pytest.mark.fault("AT-07")
@pytest.mark.fault("F52")
@pytest.mark.behaviour("CAL-11")
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "UTC"])
async def test_whole_days_have_no_zone_and_an_inclusive_last_day(office, zone):
    text = f"{HEAD}J-1,One,2026-12-01,\nJ-2,Three,2026-12-01,2026-12-03\n"
    table = office(text, zone=zone)
    assert (await table.fields())["when"] == AllDay(date(2026, 12, 1), date(2026, 12, 2))
    assert (await table.fields("J-2"))["when"] == AllDay(date(2026, 12, 1), date(2026, 12, 4))
    table = office(text, zone=zone, last_day="exclusive")
    assert (await table.fields("J-2"))["when"] == AllDay(date(2026, 12, 1), date(2026, 12, 3))


async def test_an_all_day_column_decides(office):
    table = office("Job No,Start,End,All day\nJ-1,2026-12-01 00:00,2026-12-02 23:59,yes\n")
    assert (await table.fields())["when"] == AllDay(date(2026, 12, 1), date(2026, 12, 3))


@pytest.mark.fault("F49")
@pytest.mark.behaviour("CAL-11")
async def test_hours_that_the_clocks_skip_or_double_are_read_by_rule_and_noted(office):
    table = office(
        "Job No,Start,Minutes\nJ-1,2027-03-14 02:30,60\nJ-2,2026-11-01 01:30,60\n"
        "J-3,2026-11-01T01:30-05:00,60\nJ-4,2026-11-01 00:30,240\n"
    )
    seen = (await table.list()).seen
    whens = {id_: item.fields["when"] for id_, item in seen.items()}
    assert f"{whens['J-1'].begins:%H:%MZ}" == "07:30Z"
    assert f"{whens['J-2'].begins:%H:%MZ}" == "05:30Z"
    assert f"{whens['J-3'].begins:%H:%MZ}" == "06:30Z"
    assert whens["J-3"].fold == 1
    assert f"{whens['J-4'].ends:%H:%MZ}" == "08:30Z"
    assert "skipped by the clocks" in seen["J-1"].problems[0]
    assert "occurs twice" in seen["J-2"].problems[0]
    assert seen["J-3"].problems == ()


@pytest.mark.fault("F51")
async def test_a_time_without_any_zone_is_never_silently_utc(office):
    text = "Job No,Start,Minutes,Zone\nJ-1,2026-12-01 09:00,60,{}\nJ-2,2026-12-01T09:00Z,60,\n"
    table = office(text.format(""), zone="")
    assert "nothing says in which zone" in await table.reason()
    assert (await table.fields("J-2"))["when"].zone == "UTC"
    table = office(text.format("Europe/Berlin"), zone="")
    assert (await table.fields())["when"].zone == "Europe/Berlin"
    table = office(text.format("Middle Earth"), zone="")
    assert "'Middle Earth' is no zone" in await table.reason()
    with pytest.raises(GiveUp, match="which is no zone"):
        await office(text, zone="Mars/Base").list()


@pytest.mark.behaviour("CAL-11")
async def test_a_series_with_its_exceptions(office):
    table = office(
        "Job No,Start,Minutes,Rule,Exceptions\n"
        'J-1,2026-12-01 09:00,60,rrule:byday=tu;freq=weekly,"2026-12-08 cancelled; 2026-12-15 09:00 '
        "-> 2026-12-15 14:00; 2026-12-22 title: x; 2026-12-29 -> 2026-12-30 08:00 to 2026-12-30 "
        '09:30; 2026-12-22 notes: ""a; b"""\n'
        "J-2,2026-12-01,,FREQ=DAILY;COUNT=3,2026-12-02 cancelled\n"
        "J-3,2026-12-01 09:00,60,FREQ=SOMETIMES,\n"
        "J-4,2026-12-01 09:00,60,FREQ=DAILY,perhaps not on Monday\n"
        "J-5,2026-12-01 09:00,60,,\n"
    )
    fields = await table.fields()
    assert fields["when"].rule == Rule(("FREQ=WEEKLY;BYDAY=TU",))
    zone = "America/New_York"
    assert fields["occurrences"] == Occurrences(
        {
            "2026-12-08T09:00:00": Occurrence(cancelled=True),
            "2026-12-15T09:00:00": Occurrence(
                fields={"when": Timed(datetime(2026, 12, 15, 14), zone, 3600)}
            ),
            "2026-12-22T09:00:00": Occurrence(fields={"title": "x", "notes": "a; b"}),
            "2026-12-29T09:00:00": Occurrence(
                fields={"when": Timed(datetime(2026, 12, 30, 8), zone, 5400)}
            ),
        }
    )
    days = await table.fields("J-2")
    assert days["occurrences"] == Occurrences({"2026-12-02": Occurrence(cancelled=True)})
    assert "column Rule: 'FREQ=SOMETIMES'" in await table.reason("J-3")
    assert "column Exceptions: 'perhaps not on Monday'" in await table.reason("J-4")
    assert "occurrences" not in await table.fields("J-5")


async def test_a_changed_mapping_or_zone_reads_all_rows_again(office):
    table = office(f"{HEAD}J-1,One,2026-12-01 09:00,2026-12-01 10:00\n")
    first = await table.list()
    moved = office(table.text, zone="Europe/Berlin")
    moved.held = table.held
    again = await moved.list(first.cursor)
    assert isinstance(again.seen["J-1"], Seen)
    assert again.seen["J-1"].version != first.seen["J-1"].version
