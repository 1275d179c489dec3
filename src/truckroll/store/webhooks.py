"""Outgoing webhooks: endpoints, and deliveries of the events that the database writes itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from truckroll.store.base import Base, named_sql, to_json
from truckroll.store.secret import Keyring

SQL = named_sql("webhooks")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An address that hears of events; of all where `types` is empty.

    `waiting` counts its deliveries that are not done. `paused_why` is a sentence.
    """

    id: int
    url: str
    types: list[str]
    private: bool
    added_at: datetime
    paused_at: datetime | None = None
    paused_why: str = ""
    waiting: int = 0


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery to be made. `key` is the event's id for the receiver, `data` its JSON text."""

    id: int
    attempts: int
    first_at: datetime
    endpoint: int
    url: str
    private: bool
    secret: str
    key: str
    type: str
    at: datetime
    data: bytes

    def __repr__(self) -> str:
        return f"Due(id={self.id}, endpoint={self.endpoint}, type={self.type!r})"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the delivery log: `status` 0 is no answer, `head` the answer's first bytes."""

    id: int
    endpoint: int
    event: str
    type: str
    at: datetime
    attempts: int
    next_at: datetime | None
    last_at: datetime | None
    done_at: datetime | None
    status: int
    ms: int
    head: str
    problem: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How a delivery ended; `next_at` says when it is tried again, None where it is done."""

    id: int
    done_at: datetime | None = None
    next_at: datetime | None = None
    status: int = 0
    ms: int = 0
    head: str = ""
    problem: str = ""


class WebhooksStore(Base):
    """Endpoints and deliveries of a tenant."""

    async def add_endpoint(
        self, url: str, types: Sequence[str], secret: str, *, private: bool, at: datetime
    ) -> int:
        """Add an endpoint with its secret, which is sealed; return its id."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["new_endpoint_id"])
            row = await cursor.fetchone()
            assert row is not None
            key_id, sealed = self._keyring.seal({"secret": secret}, self._about_endpoint(row[0]))
            await cursor.execute(
                SQL["add_endpoint"],
                {
                    "id": row[0],
                    "url": url,
                    "types": list(types),
                    "private": private,
                    "sealed": sealed,
                    "key_id": key_id,
                    "at": at,
                },
            )
        return int(row[0])

    async def endpoints(self) -> list[Endpoint]:
        """Return the endpoints by id; never their secrets."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["endpoints"])
            return [
                Endpoint(
                    id=row[0],
                    url=row[1],
                    types=row[2],
                    private=row[3],
                    added_at=row[6],
                    paused_at=row[7],
                    paused_why=row[8],
                    waiting=row[9],
                )
                async for row in cursor
            ]

    async def remove_endpoint(self, endpoint: int) -> bool:
        """Remove an endpoint with its deliveries; False where there is none."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["remove_endpoint"], {"id": endpoint})
            return await cursor.fetchone() is not None

    async def test_event(self, endpoint: int, *, at: datetime) -> int | None:
        """Make an event for one endpoint alone; return the delivery, None where there is none."""
        data = to_json({"endpoint": endpoint})
        async with self._transaction() as cursor:
            row = {"endpoint": endpoint, "at": at, "data": data}
            await cursor.execute(SQL["test_event"], row)
            made = await cursor.fetchone()
        return None if made is None else int(made[0])

    async def take_deliveries(
        self, *, at: datetime, lease: timedelta, each: int = 20, endpoint: int | None = None
    ) -> list[Due]:
        """Take deliveries that are due, at most `each` of one endpoint, until the lease ends."""
        row = {"at": at, "until": at + lease, "each": each, "endpoint": endpoint}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["take_deliveries"], row)
            return [
                Due(
                    id=row[0],
                    attempts=row[1],
                    first_at=row[2],
                    endpoint=row[3],
                    url=row[4],
                    private=row[5],
                    secret=self._keyring.open(row[7], row[6], self._about_endpoint(row[3]))[
                        "secret"
                    ],
                    key=row[8],
                    type=row[9],
                    at=row[10],
                    data=bytes(row[11]) if not isinstance(row[11], str) else row[11].encode(),
                )
                async for row in cursor
            ]

    async def delivered(self, told: Sequence[Told]) -> None:
        """Note how deliveries ended."""
        async with self._transaction() as cursor:
            await cursor.executemany(
                SQL["delivered"], [msgspec.structs.asdict(one) for one in told]
            )

    async def last_delivered(self, endpoint: int) -> datetime | None:
        """Return when an endpoint took something last."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["last_delivered"], {"id": endpoint})
            row = await cursor.fetchone()
        return row[0] if row is not None else None

    async def pause_endpoint(self, endpoint: int, why: str, *, at: datetime) -> None:
        """Deliver nothing more to an endpoint; its events wait."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["pause_endpoint"], {"id": endpoint, "why": why, "at": at})
            await cursor.execute(SQL["pause_deliveries"], {"id": endpoint})

    async def resume_endpoint(self, endpoint: int, *, at: datetime) -> bool:
        """Go on with an endpoint: what waits is delivered; False where there is none."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["resume_endpoint"], {"id": endpoint})
            found = await cursor.fetchone() is not None
            await cursor.execute(SQL["resume_deliveries"], {"id": endpoint, "at": at})
        return found

    async def redeliver(self, delivery: int, *, at: datetime) -> bool:
        """Make a delivery due again under the same event id; False where it cannot be."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["redeliver"], {"id": delivery, "at": at})
            return await cursor.fetchone() is not None

    async def deliveries(
        self,
        *,
        endpoint: int | None = None,
        id_: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """Return the delivery log, the newest first, of ids below `before`."""
        names = Delivery.__struct_fields__
        async with self._transaction() as cursor:
            place = {"endpoint": endpoint, "id": id_, "before": before, "limit": limit}
            await cursor.execute(SQL["deliveries"], place)
            return [Delivery(**dict(zip(names, row, strict=True))) async for row in cursor]

    async def reseal_endpoints(self, keyring: Keyring) -> int:
        """Seal every endpoint's secret with the first key of `keyring`; see `reseal`."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["endpoints"])
            rows = await cursor.fetchall()
            for row in rows:
                about = self._about_endpoint(row[0])
                key_id, sealed = keyring.seal(self._keyring.open(row[5], row[4], about), about)
                place = {"id": row[0], "sealed": sealed, "key_id": key_id}
                await cursor.execute(SQL["reseal_endpoint"], place)
        return len(rows)

    def _about_endpoint(self, endpoint: int) -> list[str | int]:
        return [self._tenant, "webhook endpoint", endpoint]
