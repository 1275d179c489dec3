"""Whose calendar cannot be seen, his times are said to be uncertain until it can be seen again."""

from datetime import timedelta

import pytest

from app.test_sign_in import COMMAND, consent, consenting, revoked
from contract.sentences import assert_sentence
from support.office import api_text, instant
from support.trouble import troubled
from truckroll.app.certain import uncertain
from truckroll.app.conflicts import conflicts
from truckroll.cli import told
from truckroll.cli.screen import Screen


async def double_booked(acme):
    """Book a technician twice; everything else is a day away."""
    first, second, *_ = acme.visits().values()
    (one, *_) = acme.emails
    at = instant(first["start"])
    for visit, begins in ((first, at), (second, at + timedelta(minutes=15))):
        times = {"start": api_text(begins), "end": api_text(begins + timedelta(hours=1))}
        acme.office("reschedule", appointmentId=visit["id"], **times)
        acme.office("assign", appointmentId=visit["id"], technicianIds=[one])


@pytest.mark.fault("AT-19")
async def test_the_times_of_a_technician_whose_calendar_needs_a_sign_in_are_uncertain(
    store, tmp_path, monkeypatch, capsys
):
    async with troubled(store, tmp_path, monkeypatch) as (acme, waits):
        await consenting(acme)
        await double_booked(acme)
        assert await uncertain(acme.hub) == []
        found = await conflicts(acme.hub)
        assert found
        assert not any("(uncertain)" in text for one in found for text in (*one.slots, *one.free))

        since = waits.now()
        await revoked(acme, waits)
        await acme.apply()
        doubtful = await uncertain(acme.hub)
        assert len(doubtful) == len(acme.emails)
        for one in doubtful:
            assert one.says.startswith(f"The times of {one.technician} are uncertain: ")
            assert one.says.endswith(COMMAND)
            assert_sentence(one.says.split("  truckroll")[0])
            assert abs((one.since - since).total_seconds()) < 120
        found = await conflicts(acme.hub)
        texts = [text for one in found for text in (*one.slots, *one.free)]
        assert texts
        assert all(text.endswith(" (uncertain)") for text in texts)
        told.uncertain(Screen(), doubtful)
        assert "are uncertain" in capsys.readouterr().out

        await consent(acme)
        await acme.apply()
        assert await uncertain(acme.hub) == []
        found = await conflicts(acme.hub)
        assert not any("(uncertain)" in text for one in found for text in (*one.slots, *one.free))
