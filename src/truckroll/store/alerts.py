"""Alerts: opened by a reason, closed when it is gone, told once over each channel."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from truckroll.store.base import Base, Row, named_sql
from truckroll.store.secret import Keyring

SQL = named_sql("alerts")
SETTLES = timedelta(minutes=5)  # a reason that comes and goes is one alert, not many


class Finding(msgspec.Struct, frozen=True):
    """A reason for an alert: its code, what it is about (an id or name), and what to say.

    `says` is a sentence, `act` a command that helps or "".
    """

    code: str
    about: str
    says: str
    act: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it stands. `silenced_until` is None where nobody silenced it."""

    id: int
    code: str
    about: str
    says: str
    act: str
    opened_at: datetime
    closed_at: datetime | None = None
    told_at: datetime | None = None
    silenced_until: datetime | None = None


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts are told: `kind` is mail, slack or webhook. Settings are never printed."""

    id: int
    name: str
    kind: str
    settings: dict[str, str]
    added_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Channel(id={self.id}, name={self.name!r}, kind={self.kind!r})"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is to be sent: of which alert, over which channel, opened or closed."""

    id: int
    what: str
    made_at: datetime
    attempts: int
    channel: Channel
    alert: Alert


class Settled(msgspec.Struct, frozen=True):
    """What a look at the findings changed."""

    opened: int = 0
    closed: int = 0
    told: int = 0


class AlertsStore(Base):
    """Alerts and channels of a tenant."""

    async def settle_alerts(self, findings: Sequence[Finding], *, at: datetime) -> Settled:
        """Bring the open alerts in line with the findings, and put messages into the outbox.

        One alert is open per code and what it is about. It closes once its reason has been gone
        for five minutes. Each is told once per channel when it opens (later, where it was
        silenced or there was no channel yet), and to those when it closes.
        """
        wanted = {(one.code, one.about): one for one in findings}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["lock_alerts"], {"tenant": str(self._tenant)})
            await cursor.execute(SQL["open_alerts"])
            there = {(row[1], row[2]): row for row in await cursor.fetchall()}
            opened = [one for key, one in wanted.items() if key not in there]
            closed = []
            for one in opened:
                await cursor.execute(SQL["open_alert"], {**msgspec.structs.asdict(one), "at": at})
            for key, row in there.items():
                if (still := wanted.get(key)) is not None:
                    kept = {"id": row[0], "says": still.says, "act": still.act}
                    await cursor.execute(SQL["keep_alert"], kept)
                elif row[3] is None:
                    await cursor.execute(SQL["reason_gone"], {"id": row[0], "at": at})
                elif at - row[3] >= SETTLES:
                    closed.append(row[0])
                    await cursor.execute(SQL["close_alert"], {"id": row[0], "at": at})
            await cursor.execute(SQL["tell_opened"], {"at": at})
            told = len(await cursor.fetchall())
            await cursor.execute(SQL["tell_closed"], {"ids": closed, "at": at})
            told += len(await cursor.fetchall())
        return Settled(len(opened), len(closed), told)

    async def alerts(self, *, at: datetime, closed: bool = False, limit: int = 100) -> list[Alert]:
        """Return the open alerts, and with `closed` also those that are over, newest first."""
        names = Alert.__struct_fields__
        async with self._transaction() as cursor:
            await cursor.execute(SQL["alerts"], {"at": at, "closed": closed, "limit": limit})
            return [Alert(**dict(zip(names, row, strict=True))) async for row in cursor]

    async def silence(self, alert: int, *, until: datetime) -> bool:
        """Tell nobody of an alert's reason until an instant; False where there is no such alert."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["silence"], {"id": alert, "until": until})
            return await cursor.fetchone() is not None

    async def add_channel(
        self, name: str, kind: str, settings: Mapping[str, str], *, at: datetime
    ) -> None:
        """Add a channel; raises KeyError where the name is taken."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["channels"])
            if name in {row[1] for row in await cursor.fetchall()}:
                raise KeyError(name)
            await cursor.execute(SQL["new_channel_id"])
            row = await cursor.fetchone()
            assert row is not None
            key_id, sealed = self._keyring.seal(dict(settings), self._about_channel(row[0]))
            place = {"id": row[0], "name": name, "kind": kind, "at": at}
            await cursor.execute(SQL["add_channel"], {**place, "sealed": sealed, "key_id": key_id})

    async def channels(self) -> list[Channel]:
        """Return the channels by name, their settings opened."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["channels"])
            return [
                self._channel(row[0], row[1], row[2], row[3], row[4], row[5])
                async for row in cursor
            ]

    async def remove_channel(self, name: str) -> bool:
        """Remove a channel with what was to be sent over it; False where there is none."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["remove_channel"], {"name": name})
            return await cursor.fetchone() is not None

    async def take_messages(
        self, *, at: datetime, lease: timedelta, limit: int = 20
    ) -> list[Message]:
        """Take messages that are due, for as long as the lease; nobody else gets them meanwhile."""
        async with self._transaction() as cursor:
            row = {"at": at, "until": at + lease, "limit": limit}
            await cursor.execute(SQL["take_messages"], row)
            return [self._message(row) async for row in cursor]

    async def message_done(
        self, message: int, *, sent_at: datetime | None, next_at: datetime | None, problem: str
    ) -> None:
        """Note how sending a message ended; `next_at` None: it is not tried again."""
        row = {"id": message, "sent_at": sent_at, "next_at": next_at, "problem": problem}
        async with self._transaction() as cursor:
            await cursor.execute(SQL["message_done"], row)

    async def failing_channels(self) -> dict[str, str]:
        """Return the channels whose latest message could not be sent, with the trouble."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["failing_channels"])
            return {row[0]: row[1] async for row in cursor}

    async def reseal_channels(self, keyring: Keyring) -> int:
        """Seal every channel's settings with the first key of `keyring`; see `reseal`."""
        async with self._transaction() as cursor:
            await cursor.execute(SQL["channels"])
            rows = await cursor.fetchall()
            for row in rows:
                about = self._about_channel(row[0])
                plain = self._keyring.open(row[4], row[3], about)
                key_id, sealed = keyring.seal(plain, about)
                place = {"id": row[0], "sealed": sealed, "key_id": key_id}
                await cursor.execute(SQL["reseal_channel"], place)
        return len(rows)

    def _about_channel(self, channel: int) -> list[str | int]:
        return [self._tenant, "alert channel", channel]

    def _channel(
        self, id_: int, name: str, kind: str, sealed: bytes, key_id: str, at: datetime | None
    ) -> Channel:
        settings = self._keyring.open(key_id, sealed, self._about_channel(id_))
        return Channel(id=id_, name=name, kind=kind, settings=settings, added_at=at)

    def _message(self, row: Row) -> Message:
        return Message(
            id=row[0],
            what=row[1],
            made_at=row[2],
            attempts=row[3],
            channel=self._channel(row[4], row[5], row[6], row[7], row[8], None),
            alert=Alert(
                id=row[9],
                code=row[10],
                about=row[11],
                says=row[12],
                act=row[13],
                opened_at=row[14],
                closed_at=row[15],
            ),
        )
