"""From a ServiceTitan tenant to the technicians' Google calendars, both simulated."""

import pytest

from support.company import brief
from support.fleet import fleet


@pytest.mark.behaviour("CAL-12")
@pytest.mark.fault("AT-10")
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


@pytest.mark.fault("AT-10")
@pytest.mark.parametrize("notify", ["none", "all"])
async def test_exactly_those_are_told_whom_the_plan_names(store, tmp_path, notify):
    size = {"technicians": 3, "appointments": 12, "crew_share": 0.0}
    async with fleet(store, tmp_path, google_says={"notify": notify}, **size) as acme:
        first = await acme.plan()
        assert not any(step.notifies for step in first.steps), "what the hub makes has no guests"
        await acme.apply()
        assert not acme.google.kit.outbox.messages
        invited, alone, gone = acme.events()[:3]
        guests = ["bea@customers.example", "cy@customers.example"]
        for event, mails in ((invited, guests), (gone, guests[:1])):
            people = {"attendees": [{"email": mail} for mail in mails]}
            place = {"calendar": event["calendarId"]}
            acme.google.records["events"].edit(event["id"], people, place)
        await acme.apply()
        acme.forget_calls()

        visits = {str(row["jobId"]): row for row in acme.visits().values()}
        for event in (invited, alone):
            visit = visits[event["summary"].split()[0]]
            acme.office("reschedule", appointmentId=visit["id"], **acme.later(visit["id"], hours=1))
        acme.office("cancel", jobId=visits[gone["summary"].split()[0]]["jobId"])
        planned = await acme.plan()
        named = [step.notifies for step in planned.steps if step.notifies]
        expected = [", ".join(guests), guests[0]] if notify == "all" else []
        assert sorted(named) == sorted(expected), brief(planned)
        done = await acme.apply()
        assert done.by_op == {"cancel": 1, "update": 2}, brief(done)
        told = sorted(one.to for one in acme.google.kit.outbox.messages)
        assert told == sorted(mail for line in named for mail in line.split(", "))
        assert (await acme.apply()).writes == 0
