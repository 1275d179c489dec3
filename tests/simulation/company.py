"""A tenant of the simulated hub: its systems, its people, its recipe, and what must hold of it."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

from simulation.real import RealTwin
from simulation.systems import Wild, at_once
from simulation.twin import Twin
from support.chaos import Chaos
from truckroll.app.care import KILLED, says_killed
from truckroll.app.installed import Installed
from truckroll.kit.errors import AwaitOther
from truckroll.kit.normal import LOSSLESS, stored
from truckroll.model.records import same
from truckroll.model.time import AllDay, Timed
from truckroll.sync.brakes import FEW, REMOVALS_FLOOR, REMOVALS_SHARE, SMALL_SCOPE
from truckroll.sync.leases import BEAT_SECONDS, ROBBED_BEATS
from truckroll.sync.perform import OTHER_AGAIN

if TYPE_CHECKING:
    from simulation.world import World
    from truckroll.sync.types import Link

RECIPE = MIRROR = 1
HOUR = 3600.0
SOON = timedelta(seconds=420)  # a retry of what failed, by a clock that is ahead


class Company(Chaos):
    """A tenant. Chaos has what its people do and most of what must hold."""

    def __init__(self, sim: World, tenant: int, knobs: dict) -> None:
        self.sim = sim
        self.tenant = tenant
        self.pages_move = knobs["pages_move"]
        self.pushing = knobs["pushing"]
        twin = RealTwin(sim.database) if sim.database else Twin()
        twin.broken, twin.moved = sim.broken, self.cursor_moved
        twin.steady = sim.now_steady
        rules = {**knobs["rules"], "overlap": "off", "match": ("title",)}
        super().__init__(knobs["systems"], store=twin, **rules)
        self.numbers = itertools.count(1 + 10_000 * (tenant - 1))
        self.doubt = True
        self.wilds = {name: Wild(self, name, one) for name, one in self.ends.items()}
        self.installed = self._installed()
        self.removed: list[tuple[float, int, str]] = []
        self.confirmed_until = -1.0
        self.acked: dict[bytes, float] = {}
        self.dirty = True
        self.forgot = False
        self.restores = 0
        self.pushed = 0
        self.typed_at: dict[tuple[str, str, str], float] = {}
        self.fine: set[tuple] = set()
        self.scope_of = {name: id_ for id_, name in self._names().items()}

    def _names(self) -> dict[int, str]:
        return {id_: self.name_of(id_) for id_ in self.store.scopes}

    def _installed(self) -> Installed:
        world = self.world
        scopes = self.store.scopes
        accounts = {
            one.account: SimpleNamespace(system="caldav", name=self.name_of(one.id))
            for one in scopes.values()
        }
        return Installed(
            row=SimpleNamespace(id=RECIPE, name=f"recipe of {self.tenant}"),
            recipe=None,
            mirror=world.mirror,
            mirror_id=MIRROR,
            accounts=accounts,
            sources=(scopes[world.scopes[self.a.name].id],),
            targets=tuple(scopes[world.scopes[one.name].id] for one in world.targets.values()),
            people={person: (place,) for person, place in world.places.items()},
            zone="UTC",
        )

    @property
    def account_of(self) -> dict[int, str]:
        return {one.account: self.name_of(one.id) for one in self.store.scopes.values()}

    def next_push(self) -> int:
        """Return the number of a tenant's next push; other tenants have the same numbers."""
        self.pushed += 1
        return self.pushed

    # What people do

    def value(self, field: str, *, short: bool = False):
        if field != "when":
            return super().value(field, short=short)
        number = next(self.numbers)
        if number % 5 == 0:
            first = datetime(2026, 10, 1).date() + timedelta(days=number % 60)
            return AllDay(first, first + timedelta(days=1 + number % 3))
        # Around the end of summer time, so that some hours come twice.
        at = datetime(2026, 10, 24, 1) + timedelta(minutes=30 * (number % 90))
        return Timed(at, "Europe/Berlin", 1800 * (1 + number % 4))

    def type(self, name: str, id_: str, **fields) -> None:
        super().type(name, id_, **fields)
        for field in fields:
            self.typed_at[name, id_, field] = self.sim.loop.now
        self.changed(name)

    def delete(self, name: str, index: int) -> None:
        super().delete(name, index)
        self.changed(name)

    def restore(self, name: str) -> None:
        super().restore(name)
        self.changed(name)

    def wipe(self, name: str) -> None:
        """Somebody deletes everything."""
        for _ in range(len(self.ends[name].records)):
            self.delete(name, 0)

    def changed(self, name: str) -> None:
        """What is there changed: the system sends a push, if it does such things."""
        self.dirty = True
        if name in self.pushing:
            self.sim.push(self, self.scope_of[name])

    # What the systems hear

    def may_write(self, me, name: str) -> None:
        """Hold a write to its lease: nobody writes whose work another took over."""
        row = self.store.lease_rows.get(("recipe", RECIPE))
        if row is None or not row.holder or row.holder == me.name:
            return
        robbed = self.store.robbed_at.get(("recipe", RECIPE), -HOUR)
        if self.sim.now_steady() - robbed <= BEAT_SECONDS * ROBBED_BEATS:
            return  # whoever took over waits until this one knows
        if self.sim.now_steady() - self.sim.leapt_at > HOUR / 60:
            self.sim.broken(f"F36: {me.name} writes to {name}, though {row.holder} took over")

    def before_write(self, wild: Wild, act: str, what, looked: float) -> None:
        nasty = wild.nasty
        if act == "remove" and what.id in nasty.records:
            self._brake(wild, what.id)
        elif act == "update" and not (nasty.conditional and nasty.etags):
            self._overwritten(wild, what, looked)

    def _overwritten(self, wild: Wild, what, looked: float) -> None:
        """Without a condition, what is typed between the last look and a write is lost.

        The window is stated among what each system can do; it is no silent loss of the hub's.
        """
        for field in what.fields:
            if self.typed_at.get((wild.name, what.id, field), -1.0) >= looked:
                self.store.said.append(wild.nasty.records.get(what.id, (0, {}))[1].get(field))

    def _brake(self, wild: Wild, id_: str) -> None:
        """No more is removed within the hour than brakes allow, save what a person confirmed.

        What a system refuses is asked of it again: it is one removal.
        """
        now = self.sim.now_steady()
        if now <= self.confirmed_until or self.sim.leapt_at >= 0:
            return
        scope = self.scope_of[wild.name]
        self.removed.append((now, scope, id_))
        live = len(wild.nasty.records)
        ours = {name for at, one, name in self.removed if one == scope and now - at < HOUR}
        limit = max(REMOVALS_FLOOR, REMOVALS_SHARE * live)
        if live < SMALL_SCOPE:
            limit = min(limit, max(FEW, self.most_live(scope) / 2))
        if len(ours) > limit:
            self.sim.broken(f"brake: {len(ours)} removals in {wild.name} within the hour")

    def most_live(self, scope: int) -> int:
        """Return how many records a scope may have shown to the hub."""
        name = self.name_of(scope)
        return len(self.ends[name].records) + sum(one == scope for _, one, _ in self.removed) + 4

    def wrote(self, wild: Wild, act: str, id_: str) -> None:
        """Hold each write to having been journalled, and to leave one thing one (I1, I2)."""
        self.changed(wild.name)
        scope = self.scope_of[wild.name]
        key = (act, id_)
        times = wild.nasty.log.count(key)
        if times > self.store.planned[scope, act, id_]:
            self.sim.broken(f"I2: {act} {id_} in {wild.name} was not journalled")

    def _only_journalled(self) -> None:
        """Held at each write; see `wrote`."""

    def cursor_moved(self, scope: int, cursor: str) -> None:
        """I6: what the cursor leaves behind is stored."""
        nasty = self.ends[self.name_of(scope)]
        if not nasty.etags or nasty.lag or self.store.scope_rows[scope].whole:
            return  # it is asked again for what it may have left behind
        records = self.store.records
        for id_, (version, _) in nasty.records.items():
            held = records.get((scope, id_))
            if version <= int(cursor) and (
                held is None or (held.state == "live" and int(held.version or 0) < version)
            ):
                self.sim.broken(
                    f"I6: the cursor of {nasty.name} left {id_} at {version} behind: {held}"
                )

    def look(self) -> None:
        """Check what must hold at any moment."""
        if self.dirty:
            self.dirty = False
            self.check()
        for delivery in self.acked:
            if delivery not in self.store.pushes:
                self.sim.broken(f"a push of tenant {self.tenant} was answered and is lost")

    def went_back(self) -> None:
        """A backup was restored: what was linked since is found again, or is new to the hub."""
        self.acked.clear()
        self.restores += 1
        for wild in self.wilds.values():
            if wild.down:
                wild.goes_down()  # who counted how often it was asked begins anew
        self.dirty = self.answered = self.forgot = True

    def _somebody(self, link, end, field, value, typed) -> None:
        """Look at each value once: what somebody typed stays typed."""
        key = link.id, end.scope, end.external_id, field, value
        if key not in self.fine and not (self.forgot and self._cut(field, value)):
            super()._somebody(link, end, field, value, typed)
            self.fine.add(key)

    def _cut(self, field, value) -> bool:
        """Tell whether it is what some system keeps of what somebody typed.

        After a restore what the hub wrote to a follower may be new to it, and a record of its own.
        """
        forms = [one.stores.get(field, LOSSLESS) for one in self.ends.values()]
        said = [one for _, _, slot, one in self.typed if slot == field]
        cuts = [(one, stored(form, one)) for form in forms for one in said]
        if any(same(cut, value) for _, cut in cuts):
            return True
        # Changed twice since the backup, where only the first was synced: that looks like an edit
        # of what a follower keeps of a longer text, and the rest is put to it.
        longer = [cut for one, cut in cuts if isinstance(one, str) and cut and cut != one]
        return isinstance(value, str) and value.startswith(tuple(longer))

    def typed_for(self, link):
        return self.typed if self.forgot else super().typed_for(link)

    def lie(self, name: str) -> None:
        if not self.sim.at_ease:
            super().lie(name)

    # When the faults stop

    def calm(self) -> None:
        """Stop what is wrong with the systems."""
        for wild in self.wilds.values():
            nasty = wild.nasty
            nasty.signed_out = nasty.expire = wild.down = False
            nasty.fails, nasty.deaf, nasty.stale, nasty.race = [], 0, None, None
            wild.fates = []

    def left_alone(self) -> bool:
        """Tell whether something waits that killed whoever worked on it."""
        scopes = self.store.scope_rows.values()
        says = self.store.recipe_rows[RECIPE].trouble
        return says == says_killed(self.installed.row.name) or any(
            one.code == KILLED for one in scopes
        )

    def restless(self, since: float, now: datetime) -> str:
        """Say what is not at rest; "" where all is."""
        twin = self.store
        for id_, row in twin.scope_rows.items():
            if row.failures or twin.read_at.get(id_, -1.0) < since:
                return f"{self.name_of(id_)} was not read"
            if row.due_at is None or row.due_at <= now:
                return f"{self.name_of(id_)} is due"
        soon = now + SOON  # by the clock of a process that was ahead
        recipe = twin.recipe_rows[RECIPE]
        if recipe.failures or (recipe.due_at is not None and recipe.due_at <= soon):
            return f"the recipe is due ({recipe.trouble})"
        if at_once(twin.open_intents(RECIPE)):
            return "an intent has no outcome"
        links = twin.link_rows.values()
        late = [
            one.id
            for one in links
            if one.look_at and one.look_at <= (now + OTHER_AGAIN if _awaits(one) else soon)
        ]
        return f"links {late} are due" if late else ""

    def linked(self):
        """Leave out what waits longer by as much as the clock leapt back."""
        late = self.sim.now() + timedelta(seconds=HOUR) + SOON
        for link, now in super().linked():
            waits = self.sim.leapt_at >= 0 and link.look_at is not None and link.look_at < late
            if not (self.sim.at_ease and waits):
                yield link, now

    def mirrored(self, name: str, id_: str, field: str, value) -> bool:
        """Tell whether the followers of a source record show a value that was typed there."""
        for link, now in self.linked():
            ends = list(now.values())
            if not any(
                one.side == "source" and (self.name_of(one.scope), one.external_id) == (name, id_)
                for one in ends
            ):
                continue
            held = any(end.holds for end in ends)
            if link.state == "ended" or link.hold or link.undone or held:
                return True  # it waits for a person, or for ever
            return all(
                end.state != "live"
                or end.holds
                or self.ends[self.name_of(end.scope)].read_only
                or self._shows(end, field, value)
                for end in ends
                if end.side == "target"
            )
        return True  # it was let go before

    def _shows(self, end, field: str, value) -> bool:
        nasty = self.ends[self.name_of(end.scope)]
        record = nasty.records.get(end.external_id)
        odd = field in nasty.drops | nasty.forces.keys()
        return odd or (record is not None and same(record[1].get(field), value))


def _awaits(link: Link) -> bool:
    """Tell whether a link waits for what one of its ends hangs on."""
    held = (end.holds.get("write") for end in link.ends)
    return any(one is not None and one.reason == AwaitOther.code for one in held)
