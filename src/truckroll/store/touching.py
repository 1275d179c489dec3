"""Records that may touch stretches of time: what is read for it lies around them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from truckroll.store.base import RECORD, named_sql

SQL = named_sql("touching")


def touching(
    query: bytes, scopes: Sequence[int], stretches: Sequence[tuple[datetime, datetime]]
) -> tuple[bytes, dict[str, Any]]:
    """Return a statement over the live records of scopes that may touch stretches, and its values.

    Stretches are aware UTC, their ends exclusive. `query` names the records as `{touching}` and
    their columns as `{record}`. Every series that began before the last end is among them, and
    whole days as seen from every zone; what touches two stretches may be there twice.
    """
    place = {
        "scopes": list(scopes),
        "starts": [start for start, _ in stretches],
        "stops": [stop for _, stop in stretches],
    }
    return query.replace(b"{touching}", SQL["touching"]).replace(b"{record}", RECORD), place
