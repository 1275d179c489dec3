"""A tz database that changed: wall times stay ahead, instants stay behind."""

import shutil
import zoneinfo
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import tzdata

from store.worlds import AT, make_world, seen, visit
from truckroll.app.doctor import _clocks
from truckroll.app.hub import Hub
from truckroll.model import time as model
from truckroll.model.time import Timed
from truckroll.store.zones import take_instants

ZONES = Path(tzdata.__file__).parent / "zoneinfo"


@contextmanager
def a_new_law(place, zone, like):
    """Let a zone have the rules of another one, as if its parliament had decided so."""
    shutil.copytree(ZONES, place, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (place / zone).write_bytes((ZONES / like).read_bytes())
    before = zoneinfo.TZPATH

    def take(path):
        zoneinfo.reset_tzpath(to=path)
        zoneinfo.ZoneInfo.clear_cache()
        model.zone_info.cache_clear()
        model.instant.cache_clear()

    take([str(place)])
    try:
        yield
    finally:
        take(before)


def at(day, zone="Europe/Berlin"):
    return visit(f"Visit of {day}", when=Timed(datetime(2026, *day, 9), zone, seconds=3600))


@pytest.mark.fault("F50")
async def test_a_new_tz_database_moves_instants_ahead_and_says_so_before_anything_is_rewritten(
    store, database_url, tmp_path
):
    world = await make_world(store)
    past, ahead, other = at((11, 3)), at((12, 8)), at((12, 9), "America/Chicago")
    await world.page(seen("past", past), seen("ahead", ahead), seen("other", other))
    assert await store.moved_instants(now=AT) == []
    with a_new_law(tmp_path / "zones", "Europe/Berlin", "Europe/Moscow"):
        (moved,) = await store.moved_instants(now=AT)
        assert moved.external_id == "ahead"
        assert moved.fields["when"] == ahead["when"], "the wall time stays"
        assert moved.was - moved.begins == timedelta(hours=2)
        (check,) = await _clocks(Hub(home=tmp_path, store=store, now=lambda: AT))
        assert "1 future visit with the same time of day" in check.says
        assert "Visit of (12, 8)" in check.says
        assert "08:00 → 06:00 UTC" in check.says
        assert take_instants(database_url, now=AT) == 1
        assert await store.moved_instants(now=AT) == []
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("select external_id, begins from truckroll.record").fetchall()
    hours = {name: begins.astimezone(model.UTC).hour for name, begins in rows}
    assert hours == {"past": 8, "ahead": 6, "other": 15}, "what is over stays as it was lived"
