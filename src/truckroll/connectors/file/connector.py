"""Tables of appointments in files: CSV, XLSX and JSON, as source and as target.

Every fact about the forms of files stands in docs/connectors/file.md.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import timedelta

from truckroll.connectors.file.listing import listing, open_table, path_of, read
from truckroll.connectors.file.wire import TEXTS
from truckroll.connectors.file.writing import cancel, create, remove, update
from truckroll.kit.contract import Connector, Resource, Scope, Session, Setting
from truckroll.kit.http import Transport
from truckroll.kit.normal import LOSSLESS, Stored


async def scopes(session: Session) -> tuple[Scope, ...]:
    """Return the one table of the account; raises GiveUp and RetryLater as reading it does."""
    how = await asyncio.to_thread(open_table, session)
    sheet = f" · {how.table.sheet}" if how.table.sheet else ""
    writable = os.access(path_of(session), os.W_OK)
    return (Scope("table", f"{how.file}{sheet}", "appointment", writable=writable),)


_TRIMMED = Stored(trim=True)
_FIELDS: Mapping[str, Stored] = {
    "when": LOSSLESS,
    "occurrences": LOSSLESS,
    "busy": LOSSLESS,
    "private": LOSSLESS,
    "people": _TRIMMED,
    "contact": _TRIMMED,
    "location": Stored(trim=True, as_text=True),
    **dict.fromkeys(TEXTS, _TRIMMED),
}

FILE = Connector(
    system="file",
    title="Table in a file",
    part="table",
    settings=(
        Setting("path", "Where is the file (CSV, XLSX or JSON lines)?"),
        Setting("zone", "In which zone are its times meant (America/New_York)?", required=False),
        Setting("sheet", "Which sheet of the workbook (else the first)?", required=False),
        Setting(
            "columns",
            'Which columns hold what, where their names do not say it ({"start": "Begin"})?',
            required=False,
        ),
        Setting("key", "Which column has a key that each row has once?", required=False),
        Setting("dates", "Is 03/04/2026 the 3 April (dmy) or March 4 (mdy)?", required=False),
        Setting("minutes", "How many minutes does a visit without an end last?", required=False),
        Setting(
            "last_day",
            "Is the end date of a whole-day visit its last day (inclusive) or the day after "
            "(exclusive)?",
            required=False,
            default="inclusive",
        ),
    ),
    transport=lambda _: Transport(base_url=""),
    scopes=scopes,
    resources={
        "appointment": Resource(
            kind="appointment",
            fields=_FIELDS,
            listing=listing,
            writes=frozenset(_FIELDS),
            read=read,
            create=create,
            update=update,
            cancel=cancel,
            remove=remove,
            choose_id=lambda _, key: key,
            repeat_safe="client id",
            conditional=True,
            snapshot=True,
            concurrency=1,
        )
    },
    facts={"delay": "seconds: the file is looked at on every pass", "push": "none"},
    poll=timedelta(seconds=10),
)
