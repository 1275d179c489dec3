"""Absence speaks only inside the extent of a listing."""

from datetime import UTC, date, datetime

import pytest

from truckroll.model.time import AllDay, Rule, Timed
from truckroll.sync.read import _over
from truckroll.sync.types import RecordRow

SINCE = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("when", "over"),
    [
        (Timed(datetime(2026, 12, 1, 6), "UTC", 3600), True),
        (Timed(datetime(2026, 12, 1, 13), "UTC", 3600), False),
        (Timed(datetime(2026, 11, 1, 6), "UTC", 3600, rule=Rule(("FREQ=DAILY",))), False),
        (AllDay(date(2026, 11, 30), date(2026, 12, 1)), True),
        (AllDay(date(2026, 12, 1), date(2026, 12, 2)), False),
        (None, False),
    ],
)
def test_what_ended_before_the_extent_is_not_suspected(when, over):
    record = RecordRow(id=1, account=1, scope=1, external_id="x", fields={"when": when})
    assert _over(record, SINCE) is over
    assert not _over(record, None)
