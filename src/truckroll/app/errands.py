"""Errands: a scope is read, a recipe is settled, and what is due next is written down."""

from __future__ import annotations

import dataclasses
import logging
import random
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from truckroll.app import polling
from truckroll.app.care import KILLED, WHOLE, Care, killed, left_alone, says_killed
from truckroll.app.installed import make_job
from truckroll.app.settling import Settled, settle
from truckroll.app.systems import connector
from truckroll.app.trouble import TroubleError
from truckroll.errands.backoff import FIRST, backoff
from truckroll.errands.ports import CutShort
from truckroll.kit import watch
from truckroll.kit.errors import SignIn, VendorError
from truckroll.store.trouble import DatabaseTrouble, says_of
from truckroll.sync.job import under
from truckroll.sync.leases import TERMS, holding, is_fenced
from truckroll.sync.ports import Fenced
from truckroll.sync.read import ScopeReport, read_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from truckroll.app.installed import Installed
    from truckroll.app.resident import Known, Resident
    from truckroll.errands.ports import Do, Registry
    from truckroll.store.due import RecipeAgenda, ScopeAgenda
    from truckroll.sync.job import Job
    from truckroll.sync.leases import Held, Terms
    from truckroll.sync.ports import StoredScope

PAUSE = timedelta(hours=6)  # a signed-out account is looked at so often by itself
BUSY = timedelta(seconds=1)  # somebody else is at it: look again
BRAKED = timedelta(minutes=5)
SLICE_SECONDS = 60.0
log = logging.getLogger(__name__)


class Slice:
    """How long one settling may keep a worker, from its first batch on; the rest is due at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: float | None = None

    def is_over(self) -> bool:
        """Tell whether it is over; asking for the first time begins it."""
        if self._ends is None:
            self._ends = self._clock() + SLICE_SECONDS
            return False
        return self._clock() >= self._ends


class Errands:
    """Does the errands of every tenant; each notes how it went and when it is due again.

    Nothing is raised but what the database says: a later errand goes on where one ended.
    """

    def __init__(
        self,
        resident: Resident,
        *,
        chance: Callable[[], float] = random.random,
        terms: Terms = TERMS,
    ) -> None:
        self._resident = resident
        self._chance = chance
        self._terms = terms
        self._care = Care()

    def registry(self) -> Registry:
        """Return what to do for each kind of errand; raises CutShort where the database is away."""
        return {"read": _cut_short(self.read), "settle": _cut_short(self.settle)}

    async def read(self, tenant: int, scope: int) -> None:
        """Read a scope under its lease, and let its recipes be settled if it brought anything."""
        async with self._resident.known(tenant) as known:
            store, now = known.hub.store, self._resident.now
            recipes = known.uses(scope)
            if not recipes:
                agenda = await store.scope_agenda(scope)
                await store.scope_read(scope, agenda, at=now(), next_at=None)
                return
            try:
                async with holding(store, "scope", [scope], terms=self._terms) as held:
                    if held.leases:
                        await self._read(known, recipes, scope, held)
                    else:
                        await store.put_off("scope", scope, at=now() + BUSY)
            except Fenced:
                log.warning("another worker went on with scope %s of tenant %s", scope, tenant)

    async def _read(self, known: Known, recipes: list[Installed], scope: int, held: Held) -> None:
        store, now = known.hub.store, self._resident.now
        stored, agenda = await store.scope(scope), await store.scope_agenda(scope)
        again = agenda.code == KILLED
        if again and agenda.tried_at is not None:
            until = agenda.tried_at + left_alone(agenda.failures, 0.0)
            if until > now():  # whoever asks: a push does not mend it
                await store.put_off("scope", scope, at=until)
                return
        # What was shown empty is listed whole until it shows something: only that ends the brake.
        whole = agenda.whole or agenda.emptied > 0
        asked = replace(stored, cursor=None) if whole else stored
        calls, began, poll = 0, now(), None
        try:
            hand = await known.hand(recipes[0], stored.account)
            before = hand.session.http.calls
            with watch.span("errand", parent=agenda.trace, scope=scope):
                if killed(held):
                    says = says_killed(stored.scope.title)
                    report = ScopeReport(scope=scope, before=stored.live, error=says, code=KILLED)
                else:
                    async with self._care.taken(held, anyhow=again):
                        report = await read_scope(
                            held.store, hand.resource, hand.session, asked, now=now
                        )
            calls = hand.session.http.calls - before
            if not report.error:
                settings = hand.session.settings
                poll = _poll(known, recipes[0], stored, agenda, settings)
        except Exception as error:
            if is_fenced(error):
                raise Fenced from error
            report = _unread(stored, error)
        if whole and calls:
            await store.spend(stored.account, now().date(), calls)
        await store.note_reads([report], began=began)
        if not report.error:
            found = report.new + report.changed + report.gone
            await store.note_read(scope, found=found, began=began)
        await self._note(known, held, stored, agenda, report, began, poll)

    async def _note(
        self,
        known: Known,
        held: Held,
        scope: StoredScope,
        agenda: ScopeAgenda,
        report: ScopeReport,
        began: datetime,
        poll: timedelta | None,
    ) -> None:
        """Write down how a read went, and when the next one is due.

        `poll` is how long after it `began`, None where it failed. A read that takes long leaves
        the account in peace for half that time at least.
        """
        store, now = known.hub.store.under(held.leases), self._resident.now()
        recipes = [one.row.id for one in known.uses(scope.id)]
        if poll is not None:
            emptied = agenda.emptied
            if report.complete:
                emptied = 0 if report.live else max(emptied, report.before)
            await store.scope_read(
                report.scope,
                agenda,
                at=now,
                next_at=max(min(began, now) + poll, now + poll / 2),  # the clock may have leapt
                complete=report.complete,
                emptied=emptied,
                recipes=recipes,
            )
            return
        failures = agenda.failures + 1
        wait = backoff(failures, self._chance(), asked=report.after)
        if report.code == KILLED:
            wait = left_alone(failures, self._chance())
        if report.code == SignIn.code and await store.pause_account(
            scope.account,
            until=now + PAUSE,
            trouble=report.error,
            code=report.code,
            settings=known.settings,
        ):
            wait = PAUSE
        await store.scope_read(
            report.scope,
            agenda,
            at=now,
            next_at=now + wait,
            failures=failures,
            trouble=report.error,
            code=report.code,
            emptied=agenda.emptied,
            recipes=recipes,
        )

    async def settle(self, tenant: int, recipe: int) -> None:
        """Do what is due of a recipe under its lease."""
        async with self._resident.known(tenant) as known:
            store, now = known.hub.store, self._resident.now
            agenda = await store.recipe_agenda(recipe)
            installed = known.installed.get(recipe)
            if installed is None:
                says = known.broken.get(recipe, "")
                await store.recipe_settled(recipe, agenda, at=now(), next_at=None, trouble=says)
                return
            try:
                async with holding(store, "recipe", [recipe], terms=self._terms) as held:
                    if held.leases:
                        await self._settle(known, installed, agenda, held)
                    else:
                        await store.put_off("recipe", recipe, at=now() + BUSY)
            except Fenced:
                log.warning("another worker went on with recipe %s of tenant %s", recipe, tenant)

    async def _settle(
        self, known: Known, installed: Installed, agenda: RecipeAgenda, held: Held
    ) -> None:
        store, recipe = known.hub.store.under(held.leases), installed.row.id
        if await store.is_paused(recipe):
            return  # it stays due until it is resumed
        scopes = [one.id for one in (*installed.sources, *installed.targets)]
        try:
            job = under(make_job(known.hub, installed, await known.hands(installed)), held)
            agendas = await store.scope_agendas(scopes)
            with watch.span("settle", parent=agenda.trace, recipe=recipe):
                settled = await self._settled(known, installed, job, agendas, agenda, held)
        except Exception as error:
            if is_fenced(error):
                raise Fenced from error
            settled = Settled(failed=1, problems=[_sentence(error, installed.row.name)])
        now = self._resident.now()
        if settled.done and agenda.pushed_at is not None:
            watch.measure("delivery", (now - agenda.pushed_at).total_seconds())
        waits, look_at = await store.next_look(recipe, installed.mirror_id, at=now)
        failures, next_at = self._next(settled, agenda, now, waits=waits)
        known_instants = [at for at in (next_at, look_at) if at is not None]
        await store.recipe_settled(
            recipe,
            agenda,
            at=now,
            next_at=min(known_instants, default=None),
            failures=failures,
            trouble="\n".join(settled.stops or settled.problems),
        )
        if settled.done or held.leases[0].deaths:  # who died may have written too
            await self._tell_others(known, installed)

    async def _settled(
        self,
        known: Known,
        installed: Installed,
        job: Job,
        agendas: Mapping[int, ScopeAgenda],
        agenda: RecipeAgenda,
        held: Held,
    ) -> Settled:
        hand = killed(held)
        if hand == WHOLE:
            return Settled(failed=1, problems=[says_killed(installed.row.name)], killed=True)
        async with self._care.taken(held) as marked:
            enough = partial(self._enough, known, installed.row.id, Slice(self._terms.clock))
            job = dataclasses.replace(job, marked=marked, enough=enough)
            return await settle(known.hub, installed, job, agendas, told=agenda.trouble, aside=hand)

    async def _enough(self, known: Known, recipe: int, mine: Slice) -> bool:
        """Tell whether others are to have their turn, or a person let the recipe pause."""
        return mine.is_over() or await known.hub.store.is_paused(recipe)

    async def _tell_others(self, known: Known, installed: Installed) -> None:
        """Let recipes that share a scope see at once what was written there."""
        scopes = (*installed.sources, *installed.targets)
        others = {one.row.id for scope in scopes for one in known.uses(scope.id)}
        others.discard(installed.row.id)
        if others:
            await known.hub.store.make_recipes_due(sorted(others), at=self._resident.now())

    def _next(
        self, settled: Settled, agenda: RecipeAgenda, now: datetime, *, waits: bool
    ) -> tuple[int, datetime | None]:
        """Return how many failures there are in a row now, and when to settle again by them."""
        if not (waits or settled.failed or settled.stops):
            return 0, None
        if settled.done and not settled.failed:
            return 0, now  # it gets on: the rest follows at once
        failures = agenda.failures + 1
        if settled.killed:
            return failures, now + left_alone(failures, self._chance())
        first = BRAKED if settled.stops else FIRST
        return failures, now + backoff(failures, self._chance(), first=first)


def _poll(
    known: Known,
    recipe: Installed,
    scope: StoredScope,
    agenda: ScopeAgenda,
    settings: Mapping[str, str],
) -> timedelta:
    """Return after how long a scope is read again: as a person said, else as is usual."""
    if agenda.poll_seconds:
        return timedelta(seconds=agenda.poll_seconds)
    speaks = connector(recipe.accounts[scope.account].system)
    count = known.scopes_of(scope.account)
    return polling.interval(speaks, settings, count, pushed=agenda.pushed)


def _unread(scope: StoredScope, error: Exception) -> ScopeReport:
    code = error.code if isinstance(error, VendorError) else "stumbled"
    says = _sentence(error, scope.scope.title)
    return ScopeReport(scope=scope.id, before=scope.live, error=says, code=code)


def _cut_short(errand: Do) -> Do:
    async def done(tenant: int, about: int) -> None:
        try:
            await errand(tenant, about)
        except Exception as error:
            if says := says_of(error):
                raise CutShort(says) from error
            raise

    return done


def _sentence(error: Exception, what: str) -> str:
    """Return what went wrong for people; what nobody foresaw goes into the log."""
    if isinstance(error, VendorError | TroubleError | DatabaseTrouble):
        return error.says
    if says := says_of(error):
        log.warning("the database failed during an errand about %s: %s", what, error)
        return says
    log.error("an errand about %s failed", what, exc_info=error)
    return (
        f"Truckroll stumbled at {what} over something that it did not expect. It tries again by"
        " itself; please report what the log says about it."
    )
