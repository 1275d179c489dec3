"""How fast accounts may be asked, and how they fare, for all processes."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from weakref import WeakValueDictionary

import msgspec

from truckroll.kit import breaker
from truckroll.kit.breaker import Health
from truckroll.kit.gate import Change, Gate, Meter, Taken, Want, first_of
from truckroll.kit.outcomes import BY_ITSELF
from truckroll.kit.pace import Pace, Timing
from truckroll.store.base import Base, Row, named_sql, retried

SQL = named_sql("pace")
_HEALTH = tuple(Health.__struct_fields__)
_SHARED_TENANT = 0

Clock = Callable[[], datetime]

# Whoever has an account open in this process shares one gate, and with it the connections that
# the account may have. The pool is part of the key: it belongs to one event loop.
_gates: WeakValueDictionary[tuple[int, int, int], Gate] = WeakValueDictionary()


class AccountEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to an account as a whole, to be told once.

    `kind`: `sign_in` (a person must sign in again), `signed_in`, `down` (the system does not
    answer), `up`. `at` is aware UTC; `says` is a sentence for people.
    """

    id: int
    account: int
    name: str
    at: datetime
    kind: str
    says: str


class PaceStore(Base):
    """Budgets, breakers and sign-in states of a tenant's accounts.

    Times go by the database's clock, since those of processes differ; `clock` takes its place
    where a test has a clock of its own.
    """

    def gate(
        self, account: int, system: str, pace: Pace, timing: Timing, *, clock: Clock | None = None
    ) -> Gate:
        """Return the gate of an account, one for all who have it open in this process."""
        key = (id(self._pool), self._tenant, account)
        gate = _gates.get(key)
        if gate is None or gate.pace != pace or clock is not None:
            gate = Gate(pace, timing, self.meter(account, system, clock=clock))
            _gates[key] = gate
        return gate

    def meter(self, account: int, system: str, *, clock: Clock | None = None) -> Meter:
        """Return the budgets of an account, and how it fares."""
        return _AccountMeter(self, self._tenant, account, system, clock)

    @retried
    async def take_turn(self, account: int, wants: "_Wanted", at: datetime | None) -> Taken:
        """Take units; see `kit.gate.Meter`."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["take"], {"account": account, "at": at, **wants.columns})
            row = await cursor.fetchone()
        assert row is not None
        health, now = _health(row[1:12]), row[0]
        found = breaker.verdict(health, now)
        if found.probe:
            found = await self._claim_probe(account, at)
            if found.probe:
                return Taken(await self._probe_units(wants, at), probe=True)
        if found.why:
            return Taken((), found.wait, found.why, health.says, probing=found.probing)
        return Taken(
            wants.first(row[12]), failures=health.failures, shaky=breaker.shaky(health, now)
        )

    async def _claim_probe(self, account: int, at: datetime | None) -> breaker.Verdict:
        found = breaker.Verdict()

        def claim(health: Health, now: datetime) -> Health:
            nonlocal found
            found = breaker.verdict(health, now)
            return breaker.probing(health, now)

        await self.change_health(account, claim, at=at)
        return found

    async def _probe_units(self, wants: "_Wanted", at: datetime | None) -> tuple[float, ...]:
        """Take units for the probe, past the breaker that lets nothing else through."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["take"], {"account": None, "at": at, **wants.columns})
            row = await cursor.fetchone()
        assert row is not None
        return wants.first(row[12])

    @retried
    async def give_back(self, wants: "_Wanted") -> None:
        """Put units back that were not used."""
        async with self._transaction(durable=False) as cursor:
            await cursor.execute(SQL["give_back"], wants.columns)

    @retried
    async def change_health(
        self, account: int, change: Change, *, at: datetime | None = None
    ) -> Health:
        """Change how an account fares as one step; note what people should hear. Return it.

        An account that is gone meanwhile fares well.
        """
        async with self._transaction() as cursor:
            place = {"account": account, "at": at}
            await cursor.execute(SQL["lock_health"], place)
            row = await cursor.fetchone()
            if row is None:
                await cursor.execute(SQL["new_health"], place)
                await cursor.execute(SQL["lock_health"], place)
                row = await cursor.fetchone()
                assert row is not None
            before, now = _health(row[1:]), row[0]
            after = change(before, now)
            if after != before:
                await cursor.execute(SQL["set_health"], {**_columns(after), "account": account})
            for kind, says in _events(before, after):
                event = {"account": account, "at": now, "kind": kind, "says": says}
                await cursor.execute(SQL["insert_event"], event)
        return after

    async def accounts_waiting(self, at: datetime | None = None) -> dict[int, Health]:
        """Return the accounts that nothing is asked of now, and why, by account id.

        `until` (or `paused_until`) says from when on one may be asked again.
        """
        async with self._transaction() as cursor:
            await cursor.execute(SQL["waiting"], {"at": at})
            return {row[0]: _health(row[1:]) async for row in cursor}

    async def untold(self) -> list[AccountEvent]:
        """Return what happened to accounts and nobody was told yet, the oldest first."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["untold"])
            return [
                AccountEvent(
                    id=row[0], account=row[1], name=row[2], at=row[3], kind=row[4], says=row[5]
                )
                async for row in cursor
            ]

    async def mark_told(self, ids: Sequence[int], *, at: datetime) -> None:
        """Note that people were told of these events."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["told"], {"ids": list(ids), "at": at})

    async def prune_budgets(self, at: datetime | None = None) -> None:
        """Forget budgets that nobody has drawn on for a day."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["prune"], {"at": at})


class _Wanted:
    """Wants as the columns of a statement, and back."""

    def __init__(self, tenant: int, account: int, system: str, wants: Sequence[Want]) -> None:
        self._wants = wants
        places = [_place(tenant, account, system, want) for want in wants]
        self._keys = [key for _, key in places]
        self.columns = {
            "tenants": [owner for owner, _ in places],
            "keys": self._keys,
            "spans": [want.units * want.limit.interval for want in wants],
        }

    def first(self, answer: str | None) -> tuple[float, ...]:
        """Return when the first unit of each may be used, from how far the budgets are used up."""
        used = msgspec.json.decode(answer, type=dict[str, float]) if answer else {}
        return tuple(
            first_of(want, used[key]) for want, key in zip(self._wants, self._keys, strict=True)
        )


def _place(tenant: int, account: int, system: str, want: Want) -> tuple[int, str]:
    """Return whose a budget is, and its key: what tenants share shows nothing of them."""
    if want.limit.of in ("account", "user"):
        return tenant, f"{account} {want.budget}"
    return _SHARED_TENANT, hashlib.sha256(f"{system} {want.budget}".encode()).hexdigest()


class _AccountMeter:
    """The `Meter` of one account."""

    def __init__(
        self, store: PaceStore, tenant: int, account: int, system: str, clock: Clock | None
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._account = account
        self._system = system
        self._clock = clock

    def _wanted(self, wants: Sequence[Want]) -> _Wanted:
        return _Wanted(self._tenant, self._account, self._system, wants)

    def _at(self) -> datetime | None:
        return self._clock() if self._clock is not None else None

    async def take(self, wants: Sequence[Want]) -> Taken:
        """See `Meter`."""
        return await self._store.take_turn(self._account, self._wanted(wants), self._at())

    async def give_back(self, wants: Sequence[Want]) -> None:
        """See `Meter`."""
        await self._store.give_back(self._wanted(wants))

    async def tell(self, change: Change) -> Health:
        """See `Meter`."""
        return await self._store.change_health(self._account, change, at=self._at())


def _health(row: Row) -> Health:
    """Return how an account fares from its columns; nothing is known where it has no row."""
    if row[1] is None:
        return Health()
    return Health(**dict(zip(_HEALTH, row, strict=True)))


def _columns(health: Health) -> dict[str, object]:
    return msgspec.structs.asdict(health)


def _events(before: Health, after: Health) -> list[tuple[str, str]]:
    """Return what people should hear of a change: its kind and a sentence, "" for an end."""
    if before.state == after.state:
        return []
    events = []
    if before.state and not after.state:
        events.append(({"sign_in": "signed_in", "down": "up"}[before.state], ""))
    if after.state == "sign_in":
        events.append(("sign_in", after.says))
    if after.state == "down":
        events.append(("down", f"{after.says}{BY_ITSELF}."))
    return events
