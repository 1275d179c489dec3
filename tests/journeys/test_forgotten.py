"""What a hub did is remembered for so long, and what it has in hand and why stays longer."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from support.company import brief, company, row
from truckroll.app import journal, runs
from truckroll.app.trouble import TroubleError
from truckroll.app.why import why


def count(url, what):
    with psycopg.connect(url, options="-c search_path=truckroll") as connection:
        return connection.execute(f"select count(*) from {what}").fetchone()[0]


async def forget(acme, **after):
    """Forget what is old, seen so long after today."""
    at = acme.hub.now() + timedelta(**after)
    return await journal.forget_old(replace(acme.hub, now=lambda: at))


async def lines(acme, ref):
    (told,) = (await why(acme.hub, ref)).records
    return [line.text for line in told.story]


async def test_an_old_run_is_forgotten_and_of_each_record_the_last_line_stays(
    store, tmp_path, fresh_radicale, database_url
):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        acme.rows = [row(n, "Ana", day=2 + n) for n in range(1, 4)]
        acme.save()
        first = await acme.apply()
        acme.rows[0]["Title"] = "Moved"
        acme.save()
        second = await acme.apply()
        whole = await lines(acme, "J-1")
        assert await forget(acme, days=399) == 0
        assert await lines(acme, "J-1") == whole
        assert await forget(acme, days=401) == 2
        assert count(database_url, "run") == count(database_url, "step") == 0
        assert count(database_url, "tally") == 0
        assert await lines(acme, "J-1") == whole[-1:]
        for run in (first.run, second.run):
            with pytest.raises(TroubleError, match="kept for 400 days"):
                await acme.undo(run)
            with pytest.raises(TroubleError, match="truckroll journal"):
                await runs.shown(acme.hub, run)
        again = await acme.apply()
        assert again.writes == again.held == again.failed == 0, brief(again)


async def test_an_intent_that_is_still_open_keeps_its_run(
    store, tmp_path, fresh_radicale, database_url
):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        acme.rows = [row(n, "Ana", day=2 + n) for n in range(1, 4)]
        acme.save()
        await acme.apply()
        with psycopg.connect(database_url, options="-c search_path=truckroll") as connection:
            connection.execute("update step set open = true where id = (select min(id) from step)")
        assert await forget(acme, days=401) == 0
        assert count(database_url, "step") == 3
        await acme.apply()  # it is looked up and ended
        assert await forget(acme, days=401) >= 1
        assert count(database_url, "step") == 0


async def test_the_days_are_a_persons_to_say_and_are_bounded(store, tmp_path, fresh_radicale):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await acme.apply()
        assert (await journal.shown(acme.hub)).days == 400
        assert await forget(acme, days=31) == 0
        assert (await journal.keep(acme.hub, 30)).oldest is not None
        assert await forget(acme, days=31) == 1
        assert (await journal.shown(acme.hub)).oldest is None
        for days in (0, 29, 36_501):
            with pytest.raises(TroubleError, match="30 to 36,500 days"):
                await journal.keep(acme.hub, days)


async def test_many_old_lines_are_walked_through_once_and_the_rest_stays(
    store, tmp_path, fresh_radicale, database_url
):
    async with company(store, tmp_path, fresh_radicale, "Ana") as acme:
        await acme.apply()
        with psycopg.connect(database_url, options="-c search_path=truckroll") as connection:
            connection.execute(
                "insert into story (tenant, link, at, code, text)"
                " select 1, (select min(id) from link), now() - interval '500 days', 'x', 'old'"
                " from generate_series(1, 4500)"
            )
            connection.execute(
                "insert into story (tenant, link, at, code, text)"
                " select 1, (select min(id) from link), now(), 'x', 'new' from generate_series(1, 5)"
            )
        await forget(acme)
        texts = await lines(acme, "J-1")
        assert texts.count("old") == 0
        assert texts.count("new") == 5
