"""plan, apply, undo: what people read and what programs get."""

import asyncio
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from cli.conftest import MONDAY, job
from support.children import child
from truckroll.app.views import PassView
from truckroll.cli.passes import show_apply
from truckroll.cli.screen import Screen
from truckroll.store.open import open_store

KEYS = {"run", "recipe", "writes", "by_op", "held", "failed", "steps", "calls"}
STEP_KEYS = {
    *("account", "system", "op", "kind", "title", "ref", "reason", "notifies", "fields"),
}


def test_plan_names_every_write_and_writes_nothing(desk):
    desk.work(job("J-1"), job("J-2", "Ana Ruiz, Ben Cole", hour=13))
    said = desk.well("plan").out
    assert "nothing has been written" in said
    assert re.search(r"create +3", said)
    assert "J-2 Boiler service · Bea Winter, Ben Cole" in said
    assert "nobody will be mailed or texted" in said
    assert desk.events() == {}


def test_plan_and_apply_for_programs(desk):
    desk.work(job("J-1"))
    plan = desk.well("plan", "--json").json
    assert plan.keys() >= KEYS
    assert (plan["run"], plan["writes"], plan["by_op"]) == (None, 1, {"create": 1})
    (step,) = plan["steps"]
    assert step.keys() >= STEP_KEYS
    assert (step["account"], step["system"], step["op"], step["ref"]) == (
        *("field", "caldav", "create", "J-1"),
    )
    done = desk.well("apply", "--json").json
    assert (done["run"], done["writes"], done["held"], done["failed"]) == (1, 1, 0, 0)
    assert done["calls"]["field"] > 0


def test_apply_does_it_and_a_second_pass_writes_nothing(desk):
    desk.work(job("J-1"), job("J-2", "Ben Cole"))
    said = desk.well("apply").out
    assert re.search(
        r"2 writes · [\d.]+ s · calls: field \d+ · run 1 +undo with  truckroll undo 1", said
    )
    assert len(desk.events("ana")) == len(desk.events("ben")) == 1
    assert "  0 writes" in desk.well("apply").out


def test_a_move_is_shown_as_an_arrow_and_a_material_as_what_came(desk):
    desk.work(job("J-1", Materials="igniter 41-408"))
    desk.well("apply")
    desk.change("J-1", Start=f"{MONDAY} 11:00", End=f"{MONDAY} 12:00", Materials="flame sensor")
    said = desk.well("plan").out
    assert "09:00–10:00 → 11:00–12:00" in said
    assert "+ Bring: flame sensor" in said
    assert "(moved in the table “jobs.csv”)" in said


def test_undo_takes_a_run_back_and_the_next_pass_writes_nothing(desk):
    desk.work(job("J-1"))
    desk.well("apply")
    desk.change("J-1", Start=f"{MONDAY} 11:00", End=f"{MONDAY} 12:00")
    desk.well("apply")
    said = desk.well("undo", "2").out
    assert "run 2 was taken back with 1 write (run 3)" in said
    assert "T090000" in next(iter(desk.events().values()))
    after = desk("apply")
    assert (after.code, "  0 writes" in after.out) == (1, True)
    assert "truckroll holds --retry J-1" in after.out
    runs = desk.well("runs", "--json").json["runs"]
    assert [one["kind"] for one in runs] == ["apply", "undo", "apply", "apply"]
    assert desk("undo", "99").code == 2


def test_a_brake_stops_before_writing_and_says_both_ways_on(desk):
    rows = [job(f"J-{n}", hour=8 + n % 10, day=n % 5) for n in range(20)]
    desk.work(*rows)
    desk.well("apply")
    desk.table(*rows[:2])
    stopped = desk("apply")
    assert stopped.code == 3
    assert "stopped before writing" in stopped.out
    assert "truckroll apply --these-deletes-are-right 18" in stopped.out
    assert len(desk.events()) == 20
    assert desk("plan", "--json").json["confirm"] == 18
    assert desk("plan").code == 3
    desk.well("apply", "--these-deletes-are-right", "18")
    assert len(desk.events()) == 2


def test_a_brake_after_some_writes_says_that_these_stay(desk):
    """A source may be emptied while a run goes on."""
    desk.work(job("J-1"))
    view = msgspec.convert(desk("plan", "--json").json, PassView, strict=False)
    view = msgspec.structs.replace(view, run=7, writes=3, stops=["9 of 9 records would go"])
    out = io.StringIO()
    show_apply(Screen(out=out), view)
    said = " ".join(out.getvalue().split())
    assert "stopped before writing more: 9 of 9 records would go." in said
    assert "What was written before stays; undo with truckroll undo 7" in said
    assert "Nothing was changed" not in said


@pytest.mark.behaviour("CAL-6")
def test_conflicts_name_both_visits_the_technician_and_the_minutes(desk):
    twice = job("J-2", Start=f"{MONDAY} 09:30", End=f"{MONDAY} 10:30")
    desk.work(job("J-1"), twice, choices=("travel_minutes=15",))
    said = desk("conflicts")
    assert said.code == 1
    assert "Ana Ruiz: J-2 Boiler service" in said.out
    assert "by 45 min incl. 15 min travel" in said.out
    (one,) = desk("conflicts", "--json").json["conflicts"]
    assert (one["technician"], one["minutes"], one["travel_minutes"]) == ("Ana Ruiz", 45, 15)
    assert one["first"].startswith("J-1")
    assert "overlap" in desk.well("plan").out
    desk.change("J-2", Start=f"{MONDAY} 14:00", End=f"{MONDAY} 15:00")
    assert desk.well("conflicts").out.strip() == "nobody is booked twice in the next 30 days"


def loop(desk, *words):
    command = [sys.executable, "-m", "truckroll.cli", "--home", str(desk.home), *words]
    pipe = subprocess.PIPE
    return child(command, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_every_runs_again_with_a_line_each_and_ends_cleanly_on_a_signal(desk, number):
    desk.work(job("J-1"))
    with loop(desk, "apply", "--every", "1s") as process:
        lines = [process.stdout.readline() for _ in range(2)]
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert time.monotonic() - began < 10
    assert ("1 write ·" in lines[0], "0 writes ·" in lines[1]) == (True, True)
    assert out.strip().endswith("ended")
    assert err == ""


def test_every_waits_for_another_run_and_goes_on(desk, database_url):
    desk.work(job("J-1"))

    async def hold(stack):
        async with open_store(database_url, desk.home) as store:
            (recipe,) = await store.recipes()
            async with store.run(recipe.id, "apply"):
                process = stack.enter_context(loop(desk, "apply", "--every", "1s"))
                first = await asyncio.to_thread(process.stdout.readline)
            second = await asyncio.to_thread(process.stdout.readline)
            while "Another run" in second:
                second = await asyncio.to_thread(process.stdout.readline)
        process.terminate()
        await asyncio.to_thread(process.communicate)
        return first, second

    with contextlib.ExitStack() as stack:
        first, second = asyncio.run(hold(stack))
    assert "Another run of this recipe is at work" in first
    assert "1 write" in second


def test_a_length_of_time_that_is_none_is_a_wrong_call(desk):
    desk.work(job("J-1"))
    wrong = desk("apply", "--every", "soon")
    assert (wrong.code, wrong.err) == (2, "“soon” is no length of time; write 30s, 5m or 1h\n")


def test_long_work_shows_a_bar_to_who_looks_and_nobody_else(desk, monkeypatch):
    desk.work(*(job(f"J-{number}", day=number) for number in range(60)))
    main, seen = os.openpty()
    shown = b""

    def look():
        nonlocal shown
        with contextlib.suppress(OSError):  # the screen was closed
            while part := os.read(main, 65536):
                shown += part

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    with open(seen, "w") as screen, monkeypatch.context() as patched:  # noqa: PTH123 -- it is a number
        patched.setattr(sys, "stderr", screen)
        desk.well("apply")
    looking.join(10)
    os.close(main)
    assert b"writing" in shown
    assert b"%" in shown
    desk.table(*(job(f"J-{number}", day=number, hour=12) for number in range(60)))
    assert "writing" not in desk.well("apply").err


def test_what_was_undone_follows_again_when_a_person_says_so(desk):
    others = [job(f"J-{number}", day=number) for number in range(4, 12)]
    desk.work(job("J-1"), *others)
    desk.well("apply")
    desk.change("J-1", Status="Cancelled")
    desk.table(*desk.rows.values(), job("J-3", day=2))
    run = desk("apply", "--json").json["run"]
    assert len(desk.events()) == 9
    desk("undo", str(run))
    held = desk("apply", "--json").json
    assert held["writes"] == 0
    assert sorted(one["ref"] for one in held["holds"]) == ["J-1", "J-3"], "each is named once"
    assert any("J-1" in text for text in desk.events().values())
    for number in ("J-1", "J-3"):
        desk.well("holds", "--retry", number)
    assert desk("apply", "--json").json["by_op"] == {"cancel": 1, "create": 1}
    assert desk("apply", "--json").json["writes"] == 0
    assert not any("J-1 " in text for text in desk.events().values())
