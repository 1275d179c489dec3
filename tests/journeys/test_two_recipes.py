"""Two recipes that write into one calendar."""

import pytest

from support.company import RECIPE, brief, company
from support.proxy import Cut, FaultProxy, Status
from truckroll.app import passes
from truckroll.recipes.compile import builtin

CIRCLE = "calendar-to-calendar"


@pytest.mark.fault("AT-03")
@pytest.mark.fault("F24")
async def test_a_recipe_waits_while_another_ones_create_there_is_in_doubt(
    store, tmp_path, fresh_radicale
):
    async with FaultProxy(fresh_radicale.url.rstrip("/")) as proxy:
        async with company(store, tmp_path, fresh_radicale, "Ana", "Pool", url=proxy.url) as acme:
            await acme.apply()
            (path, _text), *_ = fresh_radicale.events("ana").items()

            # Somebody else copies the next visit into another calendar at the same time.
            acme.rows.append(
                {**acme.rows[0], "Job": "J-2", "Title": "Visit 2", "Start": "2031-03-04 09:00"}
            )
            acme.save()
            proxy.rule(Cut(after=True), method="PUT")
            proxy.rule(Status(503, b"", "text/plain"), method="GET")
            first = await acme.apply()
            assert first.failed == 1, brief(first)
            proxy.clear()

            # The server had taken it, and shows it late.
            (late,) = (one for one in fresh_radicale.events("ana") if one != path)
            taken = fresh_radicale.events("ana")[late]
            fresh_radicale.delete("ana", late)
            fresh_radicale.put("pool", "copy.ics", taken.replace("UID:", "UID:copy-"))
            bound = {"from": "field/pool", "to": "field/ana", "zone": "America/New_York"}
            await store.install_recipe(CIRCLE, builtin()[CIRCLE], bound, {})
            other = await passes.apply(acme.hub, CIRCLE)
            assert other.writes == 0, brief(other)
            assert [one.reason for one in other.holds] == ["in_doubt"], brief(other)
            assert other.holds[0].release.startswith("by itself")

            fresh_radicale.put("ana", late, taken)
            assert (await passes.apply(acme.hub, RECIPE)).writes == 0
            settled = await passes.apply(acme.hub, CIRCLE)
            assert len(fresh_radicale.events("ana")) == 2, brief(settled)
