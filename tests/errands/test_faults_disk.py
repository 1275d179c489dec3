"""Errands and commands while the database has no room, or is locked."""

import asyncio
from argparse import Namespace

import pytest

from contract.sentences import assert_sentence
from support import disk
from support.company import row
from truckroll.cli import main as cli_main


@pytest.mark.fault("F56")
async def test_without_room_nothing_is_written_and_all_of_it_after(
    hub, office, database_url, capsys, tmp_path
):
    await hub.quiet()
    assert len(office.titles("ana")) == 1
    office.rows += [row(n, "Ana", day=3 + n) for n in range(2, 6)]
    office.save()
    await hub.now()
    with disk.full(database_url, "step"):
        await hub.quiet()
        assert len(office.titles("ana")) == 1, "no write whose intent could not be kept"
        (recipe,) = await hub.store.recipes()
        agenda = await hub.store.recipe_agenda(recipe.id)
        assert agenda.failures == 1
        assert_sentence(agenda.trouble)
        assert "no room left on its disk" in agenda.trouble
        assert agenda.due_at is not None
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- what the command line gets
            await office.apply()
        args = Namespace(home=str(tmp_path / "home"))
        assert cli_main._trouble(caught.value, args, json=False) == 1
        said = capsys.readouterr().err
        assert "no room left on its disk" in said
        assert "Traceback" not in said
        assert len(office.titles("ana")) == 1
    await hub.store.make_recipes_due([recipe.id], at=hub.resident.now())  # its time has come
    await hub.quiet()
    assert len(office.titles("ana")) == 5
    agenda = await hub.store.recipe_agenda(recipe.id)
    assert (agenda.failures, agenda.trouble) == (0, "")


@pytest.mark.fault("F56")
async def test_what_was_read_without_room_is_read_again(hub, office, database_url):
    await hub.quiet()
    office.rows.append(row(2, "Ana", day=5))
    office.save()
    with disk.full(database_url, "record"):
        await hub.now()
        await hub.quiet()
        troubles = {
            (await hub.store.scope_agenda(one.id)).trouble for one in await hub.store.scopes()
        }
        assert any("no room left on its disk" in one for one in troubles)
    await hub.now()
    await hub.quiet()
    assert len(office.titles("ana")) == 2


@pytest.mark.fault("F56")
async def test_locked_tables_are_waited_for(hub, office, database_url):
    office.rows += [row(n, "Ana", day=3 + n) for n in range(2, 6)]
    office.save()
    with disk.locked(database_url, "step", "record"):
        work = asyncio.create_task(hub.quiet())
        await asyncio.sleep(1)
        assert not work.done()
        assert office.titles("ana") == []
    await work
    assert len(office.titles("ana")) == 5
