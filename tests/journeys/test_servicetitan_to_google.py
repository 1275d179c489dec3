"""From a ServiceTitan tenant to the technicians' Google calendars, both simulated."""

import pytest

from support.company import brief
from support.fleet import fleet


@pytest.mark.behaviour("CAL-1")
@pytest.mark.behaviour("CAL-12")
@pytest.mark.fault("AT-10")
@pytest.mark.fault("F33")
async def test_a_first_fill_goes_in_batches_and_tells_nobody(store, tmp_path):
    async with fleet(store, tmp_path, technicians=40, appointments=2000, days=14) as acme:
        wanted = acme.assigned()
        planned = await acme.plan()
        assert planned.by_op == {"create": len(wanted)}, brief(planned)
        acme.forget_calls()
        first = await acme.apply()
        assert first.by_op == {"create": len(wanted)}, (brief(first), list(first.failures)[:3])
        assert first.held == first.failed == 0, brief(first)
        assert len(acme.events()) == len(wanted)

        lists = 40
        asked = len(acme.calls("google-calendar"))
        assert asked <= (first.writes / 20 + lists) * 1.05, asked
        assert acme.written_to_titan() == []
        assert not acme.google.kit.outbox.messages
        assert not acme.titan.kit.outbox.messages

        acme.forget_calls()
        second = await acme.apply()
        assert second.writes == 0, brief(second)
        assert len(acme.calls("google-calendar", "GET")) <= lists

        acme.forget_calls()
        changed = sorted(acme.visits())[:: len(acme.visits()) // 20][:20]
        for number in changed:
            acme.office("reschedule", appointmentId=number, **acme.later(number, hours=1))
        third = await acme.apply()
        moved = {one for one in wanted if one[0] in changed}
        assert third.by_op == {"update": len(moved)}, brief(third)
        quiet = lists + 10  # a list for each calendar, a feed for each part, two sign-ins
        asked = len(acme.calls("google-calendar")) + len(acme.calls("servicetitan"))
        assert asked - quiet <= 2 * len(changed), asked
        assert not acme.google.kit.outbox.messages
        assert acme.written_to_titan() == []
        assert (await acme.apply()).writes == 0
