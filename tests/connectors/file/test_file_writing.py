"""What is written into a table: the cells concerned, in their own form, and nothing else."""

import csv
import io
import os
import stat
from datetime import date, datetime

import openpyxl
import pytest

from connectors.file.tables import ZONE, Office
from truckroll.connectors.file import disk
from truckroll.connectors.file.delimited import guard, unguard
from truckroll.connectors.file.table import Drop
from truckroll.kit.contract import Seen, Unreadable
from truckroll.kit.errors import Gone, HoldRecord, Replan, RetryLater
from truckroll.model.records import Address, Contact, Occurrence, Occurrences
from truckroll.model.time import AllDay, Rule, Timed, same_when

HEAD = "Job No,Title,Start,End,Status,Notes,Colour\n"
ROW = 'J-1,"Boiler, big",2026-12-01 09:00,2026-12-01 10:00,Sched.,"say ""hi""",teal\n'
OTHER = "J-2 ,  spaced  ,2026-12-02 9:00,2026-12-02 10:00,,,'quoted'\n"


def at(*parts, minutes=60, zone=ZONE, **more):
    return Timed(datetime(*parts), zone, minutes * 60, **more)


@pytest.fixture
def office(tmp_path):
    def make(data, name="visits.csv", **settings):
        return Office(tmp_path / name, data, **settings)

    return make


async def test_an_update_changes_its_cells_and_no_other_byte(office):
    table = office(HEAD + ROW + OTHER)
    reply = await table.update(await table.read(), when=at(2026, 12, 1, 10, 30), status="Moved")
    moved = ROW.replace("09:00", "10:30").replace("10:00", "11:30").replace("Sched.", "Moved")
    assert table.text == HEAD + moved + OTHER
    assert reply.seen == await table.read()


FORMS = {
    "day first": ("31/12/2026 09:00,90 min", "01/12/2026 14:30,120 min"),
    "month first": ("12/31/2026 9:00 AM,1h30", "12/01/2026 2:30 PM,2h"),
    "ISO": ("2026-12-31T09:00:00,PT90M", "2026-12-01T14:30,PT2H"),
    "UTC": ("2026-12-31T14:00Z,1:30", "2026-12-01T19:30Z,2:00"),
    "offset": ("2026-12-31T09:00-05:00,90", "2026-12-01T14:30-05:00,120"),
    "name": ("31 Dec 2026 9:00 am,90", "1 Dec 2026 2:30 pm,120"),
    "dots": ("31.12.2026 09:00,90", "01.12.2026 14:30,120"),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_time_is_written_in_the_column_s_own_form(office, form):
    before, after = FORMS[form]
    order = {"day first": "dmy", "month first": "mdy"}.get(form, "")
    table = office(f"Job No,Start,Duration\nJ-1,{before}\n", dates=order)
    reply = await table.update(await table.read(), when=at(2026, 12, 1, 14, 30, minutes=120))
    assert table.text == f"Job No,Start,Duration\nJ-1,{after}\n"
    assert same_when(reply.seen.fields["when"], at(2026, 12, 1, 14, 30, minutes=120))


async def test_a_date_is_never_written_so_that_it_can_be_two_days(office):
    table = office("Job No,Start,End\nJ-1,12/31/2026 09:00,12/31/2026 10:00\n")
    await table.update(await table.read(), when=at(2026, 12, 30, 9))
    assert table.text.endswith("J-1,12/30/2026 09:00,12/30/2026 10:00\n")
    await table.update(await table.read(), when=at(2026, 12, 1, 9))
    assert table.text.endswith("J-1,2026-12-01 09:00,2026-12-01 10:00\n")
    assert (await table.fields())["when"] == at(2026, 12, 1, 9)


async def test_date_and_time_columns_are_written_apart(office):
    table = office("Job No,Date,Start,End\nJ-1,12/31/2026,9:00 am,10:00 am\n", dates="mdy")
    await table.update(await table.read(), when=at(2026, 12, 1, 22, 30, minutes=180))
    assert table.text == "Job No,Date,Start,End\nJ-1,12/01/2026,10:30 pm,1:30 am\n"
    assert (await table.fields())["when"] == at(2026, 12, 1, 22, 30, minutes=180)


@pytest.mark.behaviour("CAL-11")
@pytest.mark.fault("F49")
@pytest.mark.parametrize(
    "when",
    [
        at(2026, 11, 1, 1, 30),
        at(2026, 11, 1, 1, 30, fold=1),
        at(2026, 11, 1, 0, 30, minutes=240),
        at(2026, 11, 1, 0, 45),
        at(2027, 3, 14, 1, 30, minutes=120),
        at(2027, 3, 14, 2, 30),
        at(2026, 12, 1, 9, zone="Europe/Berlin"),
        at(2026, 12, 1, 9, zone="Australia/Lord_Howe", minutes=24 * 60),
        Timed(datetime(2026, 10, 31, 12), ZONE, 0, 1),
        AllDay(date(2026, 12, 1), date(2026, 12, 4)),
        AllDay(date(2026, 11, 1), date(2026, 11, 2)),
    ],
    ids=str,
)
async def test_instants_and_days_survive_being_written(office, when):
    table = office(HEAD + ROW)
    made = (await table.create("J-9", title="New", when=when)).seen
    assert same_when(made.fields["when"], when)
    changed = (await table.update(await table.read(), when=when)).seen
    assert same_when(changed.fields["when"], when)


@pytest.mark.behaviour("CAL-11")
async def test_a_series_with_exceptions_survives_being_written(office):
    table = office("Job No,Start,Minutes,Rule,Exceptions,Zone\nJ-1,2026-12-01 09:00,60,,,\n")
    when = at(
        2026, 12, 1, 9, zone="Europe/Berlin", rule=Rule(("FREQ=WEEKLY",), ("2026-12-24T08:00:00",))
    )
    exceptions = Occurrences(
        {
            "2026-12-08T09:00:00": Occurrence(cancelled=True),
            "2026-12-15T09:00:00": Occurrence(
                fields={
                    "when": at(2026, 12, 16, 7, zone="Europe/Berlin", minutes=30),
                    "title": 'two; "parts"\nhere',
                    "location": Address(text="9 Oak St; rear"),
                    "people": ("Ana", "Ben"),
                }
            ),
        }
    )
    reply = await table.update(await table.read(), when=when, occurrences=exceptions)
    assert reply.seen.fields["when"] == when
    assert reply.seen.fields["occurrences"] == exceptions
    assert "2026-12-08 09:00 cancelled; 2026-12-15 09:00 -> 2026-12-16 07:00" in table.text


@pytest.mark.parametrize(
    ("header", "fields", "says"),
    [
        (
            "Minutes",
            {"when": at(2026, 12, 1, 9, rule=Rule(("FREQ=DAILY",)))},
            "column for the rule",
        ),
        ("Title", {"when": at(2026, 12, 1, 9)}, "no column for its end or duration"),
        ("Title", {"when": None}, "it has no time"),
        ("Title", {"link": "https://hub.example/1"}, "no column for link"),
        (
            "Minutes,Rule",
            {"when": at(2026, 12, 1, 9, zone="Europe/Berlin", rule=Rule(("FREQ=DAILY",)))},
            "add a zone column",
        ),
    ],
)
async def test_what_a_table_cannot_say_is_held_and_nothing_is_written(office, header, fields, says):
    text = f"Job No,Start,{header}\nJ-1,2026-12-01 09:00,60\n"
    table = office(text, minutes="45")
    with pytest.raises(HoldRecord, match=says):
        await table.update(await table.read(), **fields)
    assert table.text == text


async def test_people_contacts_and_flags_keep_the_form_of_their_column(office):
    table = office(
        "Job No,Start,Technicians,Contact,Phone,Private,Address\n"
        "J-1,2026-12-01,Ana & Ben,Kim,555,FALSE,12 Elm St\n"
    )
    await table.update(
        await table.read(),
        people=("Cy", "Dee"),
        contact=Contact("Lee", "+1 555 0100"),
        private=True,
        location=Address(line1="9 Oak St", city="Salem", postal="97301"),
    )
    assert table.text.splitlines()[1] == (
        'J-1,2026-12-01,Cy & Dee,Lee,+1 555 0100,true,"9 Oak St, Salem, 97301"'
    )
    await table.update(await table.read(), people=(), contact=None)
    assert table.text.splitlines()[1].startswith("J-1,2026-12-01,,,,true")


@pytest.mark.fault("F67")
@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("+1 (555) 010-0100", "+1 (555) 010-0100"),
        ("-5", "-5"),
        ("'=1+1", "''=1+1"),
        ("'tis fine", "'tis fine"),
    ],
)
async def test_no_text_of_another_system_runs_as_a_formula(office, text, cell):
    table = office(HEAD + ROW)
    reply = await table.update(await table.read(), title=text, notes=text)
    row = list(csv.reader(io.StringIO(table.text)))[1]
    assert (row[1], row[5]) == (cell, cell)
    assert (reply.seen.fields["title"], reply.seen.fields["notes"]) == (text, text)
    assert unguard(guard(text)) == text


@pytest.mark.fault("F67")
async def test_a_text_stays_a_text_in_a_workbook(tmp_path):
    table = await workbook(tmp_path)
    await table.update(await table.read(), title='=HYPERLINK("http://x")')
    cell = openpyxl.load_workbook(table.path).active["B2"]
    assert (cell.data_type, cell.value) == ("s", '=HYPERLINK("http://x")')
    assert (await table.fields())["title"] == '=HYPERLINK("http://x")'


@pytest.mark.fault("F24")
@pytest.mark.fault("AT-25")
async def test_a_create_that_is_repeated_makes_one_row_even_after_an_edit(office):
    table = office("Job No,Title,Start,Minutes,Truckroll\n")
    first = await table.create("a1-1-0", "a1", title="New", when=at(2026, 12, 1, 9))
    table.write(table.text.replace("New", "Edited"))
    again = await table.create("a1-1-0", "a1", title="New", when=at(2026, 12, 1, 9))
    assert len(table.text.splitlines()) == 2
    assert again.seen.fields["title"] == "Edited"
    assert first.seen.mark == again.seen.mark == "a1"


@pytest.mark.fault("F26")
async def test_a_row_that_changed_meanwhile_is_planned_again(office):
    table = office(HEAD + ROW)
    seen = await table.read()
    table.write(table.text.replace("Sched.", "Done"))
    for write in (table.update(seen, title="x"), table.cancel(seen), table.remove(seen)):
        with pytest.raises(Replan, match="row 2"):
            await write
    assert "Done" in table.text
    table.write(HEAD)
    with pytest.raises(Gone):
        await table.update(seen, title="x")
    await table.remove(seen)


async def test_a_change_of_another_row_is_no_conflict(office):
    table = office(HEAD + ROW + OTHER)
    seen = await table.read()
    table.write(table.text.replace("spaced", "other"))
    await table.update(seen, title="x")
    assert "other" in table.text


async def test_cancelling_uses_the_column_s_own_word_or_the_recipe_s(office):
    table = office(HEAD + ROW + "J-3,Old,2026-12-01,,Canceled,,\n")
    await table.cancel(await table.read())
    assert (await table.fields())["status"] == "Canceled"
    await table.cancel(await table.read(), status="Storno")
    assert (await table.fields())["status"] == "Storno"
    bare = office("Job No,Start\nJ-1,2026-12-01\n")
    with pytest.raises(HoldRecord, match="no status column"):
        await bare.cancel(await bare.read())


async def test_a_removal_takes_out_the_row_alone(office):
    table = office(HEAD + ROW + OTHER)
    await table.remove(await table.read())
    assert table.text == HEAD + OTHER


async def test_a_row_of_two_twins_is_not_written(office):
    table = office(HEAD + ROW + ROW)
    with pytest.raises(HoldRecord, match="rows 2 and 3 have the same key 'J-1'"):
        await table.update(await table.read(), title="x")


async def test_the_state_before_our_first_write_is_kept_and_the_mode_too(office):
    table = office(HEAD + ROW)
    table.path.chmod(0o640)
    await table.update(await table.read(), title="first")
    await table.update(await table.read(), title="second")
    backup = table.path.with_name("visits.csv.bak")
    assert backup.read_text() == HEAD + ROW
    assert stat.S_IMODE(table.path.stat().st_mode) == 0o640
    table.write(table.text.replace("second", "theirs"))
    await table.update(await table.read(), title="third")
    assert "theirs" in backup.read_text()
    left = {path.name for path in table.path.parent.iterdir()}
    assert left == {"visits.csv", "visits.csv.bak", ".visits.csv.truckroll"}


@pytest.mark.fault("F55")
async def test_a_crash_in_the_middle_of_a_write_leaves_the_old_file(office, monkeypatch):
    table = office(HEAD + ROW)
    await table.update(await table.read(), title="x")
    before = table.text

    def crash(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    content = disk.read(table.path)
    parsed = disk.parse(table.path, content, "")
    with pytest.raises(KeyboardInterrupt), disk.locked(table.path):
        disk.write(table.path, content, parsed, Drop(0))
    assert table.text == before
    assert not list(table.path.parent.glob("*.new"))


@pytest.mark.parametrize("theirs", ["~$visits.csv", ".~lock.visits.csv#"])
async def test_a_file_that_is_open_in_a_spreadsheet_is_not_overwritten(office, theirs):
    table = office(HEAD + ROW)
    seen = await table.read()
    table.path.with_name(theirs).touch()
    with pytest.raises(RetryLater, match="open in a spreadsheet program"):
        await table.update(seen, title="x")
    assert table.text == HEAD + ROW


@pytest.mark.parametrize(
    ("data", "cell"),
    [
        ((HEAD + ROW).encode("utf-16"), "Gießen"),
        ((HEAD + ROW).encode("utf-16-le"), "Gießen"),
        ((HEAD + ROW).encode("utf-8-sig"), "東京"),
        ((HEAD + ROW).replace("big", "groß").encode("cp1252"), "Gießen"),
        ((HEAD + ROW).replace("\n", "\r\n").encode(), "東京"),
        (("sep=;\n" + HEAD.replace(",", ";") + ROW.replace(",", ";")).encode(), "a;b"),
        ((HEAD + ROW).replace(", big", "").replace(",", "\t").encode(), "東京"),
    ],
)
async def test_encoding_and_line_ends_stay(office, data, cell):
    table = office(data)
    seen = await table.read()
    await table.update(seen, title=cell)
    assert (await table.fields())["title"] == cell
    await table.update(await table.read(), title=seen.fields["title"])
    assert table.path.read_bytes().replace(b'"', b"") == data.replace(b'"', b"")


async def test_a_letter_that_the_file_s_encoding_lacks_is_held(office):
    table = office((HEAD + ROW).replace("big", "groß").encode("cp1252"))
    seen = await table.read()
    assert "read as Windows-1252" in seen.problems[0]
    with pytest.raises(HoldRecord, match='has no "東"'):
        await table.update(seen, title="東京")


async def test_the_style_of_a_quoted_table_is_kept_in_new_rows(office):
    table = office('"Job No";"Start"\r\n"J-1";"2026-12-01"')
    await table.create("J-2", when=AllDay(date(2026, 12, 2), date(2026, 12, 3)))
    assert table.text == '"Job No";"Start"\r\n"J-1";"2026-12-01"\r\n"J-2";"2026-12-02"\r\n'


async def workbook(tmp_path, **cells):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Job", "Title", "Start", "End", "Minutes", "Status"])
    sheet.append([1042, "Boiler", datetime(2026, 12, 1, 9), datetime(2026, 12, 1, 10), None, "New"])
    sheet["C2"].number_format = "dd.mm.yyyy hh:mm"
    sheet["B2"].font = openpyxl.styles.Font(bold=True)
    sheet.append([1043, "Days", date(2026, 12, 5), date(2026, 12, 6)])
    for name, value in cells.items():
        sheet[name] = value
    path = tmp_path / "visits.xlsx"
    book.save(path)
    table = Office(path)
    table.read = lambda id_="1042": Office.read(table, id_)
    table.fields = lambda id_="1042": Office.fields(table, id_)
    return table


async def test_a_workbook_keeps_its_types_and_styles(tmp_path):
    table = await workbook(tmp_path)
    assert (await table.fields())["when"] == at(2026, 12, 1, 9)
    assert (await table.fields("1043"))["when"] == AllDay(date(2026, 12, 5), date(2026, 12, 7))
    await table.update(await table.read(), title="Leak", when=at(2026, 12, 2, 13, minutes=90))
    sheet = openpyxl.load_workbook(table.path).active
    assert sheet["C2"].value == datetime(2026, 12, 2, 13)
    assert sheet["D2"].value == datetime(2026, 12, 2, 14, 30)
    assert sheet["C2"].number_format == "dd.mm.yyyy hh:mm"
    assert sheet["B2"].font.bold
    made = await table.create("x1", title="New", when=at(2026, 12, 3, 8))
    assert isinstance(made.seen, Seen)
    assert made.seen.fields["when"] == at(2026, 12, 3, 8)
    await table.remove(await table.read("1043"))
    assert set((await table.list()).seen) == {"1042", "x1"}


@pytest.mark.parametrize("cells", [{"F2": "=1+1"}, {"H9": "=NOW()"}])
async def test_a_workbook_with_formulas_is_not_written(tmp_path, cells):
    table = await workbook(tmp_path, **cells)
    item = await table.read("1043")
    with pytest.raises(HoldRecord, match="has a formula in cell"):
        await table.update(item, title="x")


async def test_a_formula_that_was_never_computed_is_not_read_as_empty(tmp_path):
    table = await workbook(tmp_path, F2='="New"&"er"')
    item = await table.read()
    assert "formula without a value in cell F2" in item.reason
    assert isinstance(await table.read("1043"), Seen)


async def test_an_error_in_a_cell_that_counts_is_no_value(tmp_path):
    table = await workbook(tmp_path, B2="#REF!", H3="#N/A", C3=1e12)
    assert "column Title: the cell shows #REF!" in (await table.read()).reason
    assert isinstance(await table.read("1043"), Unreadable)


async def test_a_text_that_reads_like_an_error_is_a_text(tmp_path):
    table = await workbook(tmp_path)
    await table.update(await table.read(), title="#NUM!")
    assert (await table.fields())["title"] == "#NUM!"


async def test_json_rows_keep_their_layout(tmp_path):
    text = (
        '[\n  {\n    "id": "J-1",\n    "start": "2026-12-01",\n    "customer": {"name": "Acme", "no": 1.10}\n  },\n'
        '  {"id": "J-2", "start": "2026-12-02"}\n]\n'
    )
    table = Office(tmp_path / "visits.json", text, columns='{"customer": "customer.name"}')
    await table.update(await table.read("J-2"), when=AllDay(date(2026, 12, 3), date(2026, 12, 4)))
    assert table.text == text.replace("12-02", "12-03")
    await table.update(await table.read("J-1"), customer="Globex")
    assert '"name": "Globex"' in table.text
    await table.create("J-3", when=AllDay(date(2026, 12, 9), date(2026, 12, 10)))
    await table.remove(await table.read("J-2"))
    assert set((await table.list()).seen) == {"J-1", "J-3"}
    await table.remove(await table.read("J-3"))
    await table.remove(await table.read("J-1"))
    read = await table.list()
    assert (read.items, read.complete) == ([], True)
