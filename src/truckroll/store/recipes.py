"""Installed recipes: versions with their bindings and choices, and their mirrors."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from truckroll.store.base import Base, Row, named_sql, to_json
from truckroll.sync.ports import Busy

SQL = named_sql("recipes")
LEASES = named_sql("leases")
DUE = named_sql("due")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A version of an installed recipe: its text, the accounts it is bound to, and choices.

    `paused_at` is since when nothing of it is written, None where it is at work.
    """

    id: int
    name: str
    version: int
    toml: str
    bindings: dict[str, Any]
    choices: dict[str, Any]
    installed_at: datetime
    paused_at: datetime | None = None


class Overtaken(Exception):  # noqa: N818 -- named by what happened
    """Somebody else changed the recipe meanwhile; `version` is the present one."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class RecipesStore(Base):
    """Recipes and mirrors of a tenant."""

    async def install_recipe(
        self,
        name: str,
        toml: str,
        bindings: Mapping[str, Any],
        choices: Mapping[str, Any],
        *,
        over: int | None = None,
    ) -> int:
        """Install a recipe, or a new version of it; return the version, which counts from 1.

        What every earlier version was is kept. Raises Overtaken where `over` is not the present
        version.
        """
        row = {
            "toml": toml,
            "bindings": to_json(dict(bindings)),
            "choices": to_json(dict(choices)),
        }
        async with self._transaction() as cursor:
            await cursor.execute(SQL["lock_recipe"], {"name": name})
            recipe = await cursor.fetchone()
            assert recipe is not None
            if over is not None and over != recipe[1]:
                raise Overtaken(recipe[1])
            await cursor.execute(SQL["next_version"], {**row, "recipe": recipe[0]})
            version = await cursor.fetchone()
            assert version is not None
            await cursor.execute(SQL["set_version"], {"recipe": recipe[0], "version": version[0]})
        return int(version[0])

    async def recipe(self, name: str) -> Recipe | None:
        """Return the present version of a recipe."""
        found = await self._recipes(SQL["recipes"], name)
        return found[0] if found else None

    async def recipes(self) -> list[Recipe]:
        """Return the present version of every recipe, by name."""
        return await self._recipes(SQL["recipes"], None)

    async def remove_recipe(self, name: str) -> None:
        """Let a recipe be installed no more: it is not listed, and nothing runs of it.

        Its versions, links, ends and stories are kept; where it is installed again they are its
        own. Raises KeyError where no such recipe is installed, and Busy while a run of it works.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL["remove"], {"name": name})
            row = await cursor.fetchone()
            if row is None:
                raise KeyError(name)
            await cursor.execute(LEASES["held"], {"what": "recipe", "id": row[0]})
            held = await cursor.fetchone()
            if held is None or held[0]:
                raise Busy("A run of this recipe is at work. Wait until it is done.")

    async def pause_recipe(self, name: str, *, at: datetime) -> bool:
        """Let nothing of an installed recipe be written; False where it pauses already."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["pause"], {"name": name, "at": at})
            return await cursor.fetchone() is not None

    async def resume_recipe(self, name: str, *, at: datetime) -> bool:
        """Let a paused recipe go on, due at an instant; False where it does not pause."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["resume"], {"name": name, "at": at})
            went_on = await cursor.fetchone() is not None
            await cursor.execute(DUE["wake"])
        return went_on

    async def is_paused(self, recipe: int) -> bool:
        """Tell whether nothing of a recipe is to be written."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["paused"], {"recipe": recipe})
            row = await cursor.fetchone()
        return row is not None and bool(row[0])

    async def removed_recipes(self) -> list[Recipe]:
        """Return the last version of every recipe that was removed, by name."""
        return await self._recipes(SQL["recipes"], None, removed=True)

    async def history(self, name: str) -> list[Recipe]:
        """Return all versions of a recipe, the oldest first."""
        return await self._recipes(SQL["history"], name)

    async def set_choices(
        self, name: str, choices: Mapping[str, Any], *, over: int | None = None
    ) -> int:
        """Install the same recipe with other choices; return the new version.

        Raises Overtaken where `over` is not the present version.
        """
        known = await self.recipe(name)
        if known is None:
            raise KeyError(name)
        return await self.install_recipe(name, known.toml, known.bindings, choices, over=over)

    async def rollback(self, name: str, version: int, *, over: int | None = None) -> int:
        """Install an earlier version again, as a new one; return its number.

        Raises KeyError where there is no such version, Overtaken where `over` is not the present
        one.
        """
        for old in await self.history(name):
            if old.version == version:
                return await self.install_recipe(
                    name, old.toml, old.bindings, old.choices, over=over
                )
        raise KeyError(version)

    async def mirror_id(self, recipe: int, name: str) -> int:
        """Return the id of a recipe's mirror, which is the same for all versions."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["mirror"], {"recipe": recipe, "name": name})
            row = await cursor.fetchone()
            assert row is not None
            return int(row[0])

    async def mirror_ids(self) -> dict[tuple[int, str], int]:
        """Return the ids of all mirrors by their recipe and name."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["mirrors"])
            return {(row[0], row[1]): row[2] async for row in cursor}

    async def touch(
        self, mirror: int, links: Sequence[int] | None = None, *, at: datetime | None = None
    ) -> None:
        """Make live links of a mirror due: these, or all of them."""
        chosen = list(links) if links is not None else None
        row = {"mirror": mirror, "links": chosen, "at": at or datetime.now(UTC)}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["touch_mirror"], row)

    async def allow(
        self, recipe: int, brake: str, bound: int, by: str, *, at: datetime | None = None
    ) -> None:
        """Remember a person's answer to a brake, with its bound: so many are right."""
        row = {"recipe": recipe, "brake": brake, "bound": bound, "by": by}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["allow"], {**row, "at": at or datetime.now(UTC)})

    async def allowance(self, recipe: int, brake: str, *, since: datetime) -> int:
        """Return the highest bound that was answered to a brake since an instant, 0 for none."""
        async with self._transaction() as cursor:
            place = {"recipe": recipe, "brake": brake, "since": since}
            await cursor.execute(SQL["allowance"], place)
            row = await cursor.fetchone()
            assert row is not None
            return int(row[0])

    async def _recipes(
        self, query: bytes, name: str | None, *, removed: bool = False
    ) -> list[Recipe]:
        async with self._transaction() as cursor:
            await cursor.execute(query, {"name": name, "removed": removed})
            return [_recipe(row) async for row in cursor]


def _recipe(row: Row) -> Recipe:
    return Recipe(
        id=row[0],
        name=row[1],
        version=row[2],
        toml=row[3],
        bindings=msgspec.json.decode(row[4]),
        choices=msgspec.json.decode(row[5]),
        installed_at=row[6],
        paused_at=row[7],
    )
