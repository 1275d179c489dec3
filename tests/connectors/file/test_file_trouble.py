"""Files that are missing, half-written, too big or no tables: nothing is concluded from them."""

import io
import os
import time
import zipfile
from pathlib import Path

import openpyxl
import pytest

from connectors.file.tables import Office
from contract.sentences import assert_sentence
from truckroll.connectors.file import disk, jsonrows, workbook
from truckroll.connectors.file.table import Bounds, NotATable
from truckroll.kit.errors import GiveUp, RetryLater

HEAD = "Job No,Title,Start,End\n"
ROW = "J-1,Boiler,2026-12-01 09:00,2026-12-01 10:00\n"


def xlsx(rows=(("Job", "Start"), ("J-1", "2026-12-01"))):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


WORKBOOK = xlsx()
BAD_FILES = {
    "nothing": ("visits.csv", b"", RetryLater, "looks half-written"),
    "page": ("visits.csv", b"<!DOCTYPE html><html>Sign in", RetryLater, "web page"),
    "cut in a cell": ("visits.csv", (HEAD + 'J-1,"Boi').encode(), RetryLater, "half-written"),
    "cut in a row": ("visits.csv", (HEAD + ROW + "J-2,Bo").encode(), RetryLater, "2 of 4 cells"),
    "cut in a letter": (
        "visits.csv",
        (HEAD + "J-1,Gie\u00df").encode()[:-1],
        RetryLater,
        "character",
    ),
    "lost quote": (
        "visits.csv",
        (HEAD + 'J-1,"Boiler' + "x" * 140_000 + "\n").encode(),
        GiveUp,
        "quotation mark",
    ),
    "cut JSON line": (
        "visits.jsonl",
        b'{"id":"J-1","start":"2026-12-01"}\n{"id":',
        RetryLater,
        "row 2",
    ),
    "cut JSON": ("visits.json", b'[{"id":"J-1","start":"2026-12-01"},', RetryLater, "half-written"),
    "open JSON": ("visits.json", b'[{"id":"J-1","start":"2026-12-01"}', RetryLater, "bracket"),
    "deep JSON": ("visits.json", b'[{"a":' * 100_000, RetryLater, "half-written"),
    "cut workbook": (
        "visits.xlsx",
        WORKBOOK[: len(WORKBOOK) // 2],
        RetryLater,
        "not a whole .xlsx",
    ),
    "page as workbook": ("visits.xlsx", b"<html>Sign in</html>", RetryLater, "web page"),
    "old workbook": ("visits.xlsx", b"\xd0\xcf\x11\xe0" + b"\0" * 600, GiveUp, "save it as plain"),
    "workbook as CSV": ("visits.csv", WORKBOOK, GiveUp, "name it .xlsx"),
    "document": ("visits.docx", b"x", GiveUp, "does not end in"),
}


@pytest.mark.fault("F23")
@pytest.mark.fault("AT-01")
@pytest.mark.parametrize("case", BAD_FILES)
async def test_a_bad_file_is_never_an_empty_table(tmp_path, case):
    name, data, error, says = BAD_FILES[case]
    table = Office(tmp_path / name)
    table.path.write_bytes(data)
    with pytest.raises(error, match=says) as caught:
        await table.list()
    assert_sentence(caught.value.says)
    assert table.path.read_bytes() == data


@pytest.mark.fault("AT-01")
async def test_a_file_that_is_not_there_is_waited_for(tmp_path):
    table = Office(tmp_path / "visits.csv")
    with pytest.raises(RetryLater, match="is not there"):
        await table.list()
    with pytest.raises(RetryLater, match="is not there"):
        await table.read()
    table.path.mkdir()
    with pytest.raises(GiveUp, match="must name a file"):
        await table.list()


async def test_an_account_without_path_or_with_a_wrong_setting_is_told(tmp_path):
    table = Office(tmp_path / "visits.csv", HEAD + ROW, minutes="an hour")
    with pytest.raises(GiveUp, match=r'minutes of visits\.csv are "an hour"'):
        await table.list()
    with pytest.raises(GiveUp, match="can be dmy or mdy"):
        await Office(table.path, dates="ymd").list()
    with pytest.raises(GiveUp, match="names no file"):
        await Office("").list()


@pytest.mark.fault("F13")
async def test_a_file_that_grows_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    table = Office(tmp_path / "visits.csv", HEAD + ROW)
    real = os.fstat

    def growing(handle):
        found = real(handle)
        with table.path.open("a") as file:
            file.write("J-2,Late,")
        return found

    monkeypatch.setattr(os, "fstat", growing)
    with pytest.raises(RetryLater, match="was being written"):
        await table.list()


@pytest.mark.fault("AT-15")
@pytest.mark.fault("F14")
async def test_an_emptied_table_is_complete_and_shows_its_emptiness(tmp_path):
    table = Office(tmp_path / "visits.csv", HEAD + ROW)
    assert set((await table.list()).seen) == {"J-1"}
    table.write(HEAD)
    read = await table.list()
    assert (read.items, read.unchanged, read.complete) == ([], set(), True)


@pytest.mark.fault("F45")
async def test_a_row_that_is_gone_is_absent_from_a_complete_listing(tmp_path):
    table = Office(tmp_path / "visits.csv", HEAD + ROW + ROW.replace("J-1", "J-2"))
    first = await table.list()
    table.write(HEAD + ROW)
    read = await table.list(first.cursor)
    assert (read.unchanged, read.seen, read.complete) == ({"J-1"}, {}, True)


async def test_an_unchanged_file_is_not_read_row_by_row(tmp_path, monkeypatch):
    table = Office(tmp_path / "visits.csv", HEAD + ROW)
    first = await table.list()
    table.path.touch()
    monkeypatch.setattr(disk, "parse", None)
    again = await table.list(first.cursor)
    assert (again.items, again.complete, again.cursor) == ([], False, first.cursor)


@pytest.mark.fault("F23")
async def test_a_workbook_that_unpacks_to_a_flood_is_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"\0" * 50_000_000)
    table = Office(tmp_path / "visits.xlsx", out.getvalue())
    with pytest.raises(GiveUp, match="unpacks to more than the limit"):
        await table.list()


@pytest.mark.fault("F66")
async def test_a_workbook_with_an_entity_bomb_does_not_unfold(tmp_path):
    bomb = (
        '<!DOCTYPE s [<!ENTITY a "'
        + "x" * 1000
        + '">'
        + "".join(
            f'<!ENTITY {name} "{f"&{before};" * 100}">'
            for before, name in zip("abcd", "bcde", strict=True)
        )
    )
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.infolist():
            data = old.read(part)
            if part.filename.startswith("xl/worksheets/sheet"):
                data = f"{bomb}]><worksheet>&e;</worksheet>".encode()
            new.writestr(part, data)
    table = Office(tmp_path / "visits.xlsx", out.getvalue())
    with pytest.raises((RetryLater, GiveUp)):
        await table.list()


async def test_limits_on_rows_cells_and_size(tmp_path):
    path = tmp_path / "visits.csv"
    table = Office(path, HEAD + ROW * 3)
    content = disk.read(path)
    with pytest.raises(GiveUp, match="more than 2 rows"):
        disk.parse(path, content, "", Bounds(rows=2))
    with pytest.raises(GiveUp, match="larger than 0 MB"):
        disk.read(path, Bounds(file_bytes=100))
    parsed = disk.parse(path, content, "", Bounds(cell=12))
    assert all("more than 12 characters" in row.fault for row in parsed.rows)
    with pytest.raises(NotATable, match="more than 1 rows"):
        jsonrows.parse(b'[{"a":1},{"a":2}]', lines=False, bounds=Bounds(rows=1))
    with pytest.raises(NotATable, match="more than 1 rows"):
        workbook.parse(xlsx((("a",), ("b",), ("c",))), bounds=Bounds(rows=1))
    assert table.text


async def test_a_broken_json_line_is_named_and_the_others_flow(tmp_path):
    table = Office(
        tmp_path / "visits.jsonl",
        '{"id":"J-1","start":"2026-12-01"}\nnot json\n[1]\n{"id":"J-4","start":"2026-12-04"}\n',
    )
    read = await table.list()
    assert set(read.seen) == {"J-1", "J-4"}
    assert set(read.unreadable) == {"row 2", "row 3"}
    assert not read.complete


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("visits.jsonl", '{"id":"J-1","start":"2026-12-01","title":"\\ud800"}\n'),
        ("visits.jsonl", '{"id":"J\\u0000","start":"2026-12-01"}\n'),
        ("visits.csv", "id,start\nJ\0,2026-12-01\n"),
    ],
)
async def test_what_no_database_can_hold_is_refused_by_row(tmp_path, name, data):
    good = data.splitlines()[-1].replace("J-1", "J-9").replace("\\ud800", "x")
    good = good.replace("J\\u0000", "J-9").replace("J\0", "J-9")
    read = await Office(tmp_path / name, data + good + "\n").list()
    assert set(read.seen) == {"J-9"}
    assert "character that no system can store" in next(iter(read.unreadable.values())).reason
    assert not read.complete


async def test_the_named_sheet_is_read(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["nothing", "here"])
    sheet = book.create_sheet("Visits")
    sheet.append(["Job", "Start"])
    sheet.append(["J-1", "2026-12-01"])
    path = tmp_path / "visits.xlsx"
    book.save(path)
    assert set((await Office(path, sheet="visits").list()).seen) == {"J-1"}
    with pytest.raises(GiveUp, match='has no sheet "June"; it has: Sheet, Visits'):
        await Office(path, sheet="June").list()


@pytest.mark.shared
async def test_thousands_of_public_service_requests_are_read_and_known_again(shared):
    source = shared / "data" / "jobs" / "service-requests-nyc-publicstuff.csv"
    table = Office(source, columns='{"start": "created_utc"}', minutes="60")
    began = time.perf_counter()
    first = await table.list()
    middle = time.perf_counter()
    again = await table.list()
    print(f"8,179 rows: first {middle - began:.2f} s, known {time.perf_counter() - middle:.2f} s")
    assert (len(first.seen), first.unreadable, first.complete) == (8179, {}, True)
    assert first.seen["915216"].fields["title"] == "Illegal Parking"
    assert (len(again.unchanged), again.items, again.complete) == (8179, [], True)


@pytest.fixture
def shared():
    folder = Path(os.environ.get("TRUCKROLL_SHARED", "../shared"))
    if not folder.is_dir():
        pytest.skip("the shared test material is not here")
    return folder
