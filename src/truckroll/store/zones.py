"""A new tz database: future visits keep their wall time, so their instants may move (F50).

The instants that stand beside each record were reckoned when it was seen last. Those of visits that
are over stay as they were lived.
"""

from datetime import datetime

import msgspec
import psycopg
from psycopg import sql

from truckroll.model.records import Fields, decode_fields
from truckroll.model.time import Timed
from truckroll.store.backup import unbound
from truckroll.store.base import Base
from truckroll.store.observe import span

_AHEAD = """
select tenant, id, scope, external_id, fields::text, begins from truckroll.record
where state = 'live' and not recurring and ends > %s order by begins, id
"""


class MovedInstant(msgspec.Struct, frozen=True, kw_only=True):
    """A visit whose wall time means another instant now: `was` and `begins` are aware, UTC."""

    tenant: int
    id: int
    scope: int
    external_id: str
    fields: Fields
    was: datetime
    begins: datetime


class ZonesStore(Base):
    """What the rules of the clocks moved, for one tenant."""

    async def moved_instants(self, *, now: datetime) -> list[MovedInstant]:
        """Return the visits after `now` (aware) that begin at another instant than when seen."""
        async with self._transaction() as cursor:
            await cursor.execute(_AHEAD, [now])
            return _moved(await cursor.fetchall())


def take_instants(url: str, *, now: datetime) -> int:
    """Reckon the instants of future visits anew, for all tenants; return how many moved."""
    with psycopg.connect(url, autocommit=True) as connection, unbound(connection, "record"):
        moved = _moved(connection.execute(_AHEAD, [now]).fetchall())
        for one in moved:
            begins, ends, _ = span(one.fields)
            connection.execute(
                sql.SQL(
                    "update truckroll.record set begins = %s, ends = %s"
                    " where tenant = %s and id = %s"
                ),
                [begins, ends, one.tenant, one.id],
            )
    return len(moved)


def _moved(rows: list[tuple[object, ...]]) -> list[MovedInstant]:
    found = []
    for tenant, id_, scope, external_id, text, was in rows:
        fields = decode_fields(str(text).encode())
        begins, _, _ = span(fields)
        if isinstance(fields.get("when"), Timed) and begins is not None and begins != was:
            assert isinstance(was, datetime)
            found.append(
                MovedInstant(
                    tenant=int(str(tenant)),
                    id=int(str(id_)),
                    scope=int(str(scope)),
                    external_id=str(external_id),
                    fields=fields,
                    was=was,
                    begins=begins,
                )
            )
    return found
