"""The only place that wires: home directory, database and store become a hub."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from truckroll.app.home import home_directory, is_home, make_home
from truckroll.app.hub import Actor, Hub
from truckroll.app.tenants import find
from truckroll.app.trouble import TroubleError
from truckroll.store.embedded import URL_VARIABLE, Embedded
from truckroll.store.open import open_home, prepare
from truckroll.store.trouble import DatabaseTrouble


@asynccontextmanager
async def open_hub(
    home: Path,
    *,
    make: bool = False,
    database: Embedded | None = None,
    tenant: str = "",
    actor: Actor | None = None,
) -> AsyncIterator[Hub]:
    """Open a hub, and its embedded database where TRUCKROLL_DATABASE names no other.

    `make` makes a home of the directory; else it must be one. `database` is the embedded one
    if it was begun before. `tenant` names whose hub it is, "" the first; `actor` is who acts, the
    hub itself where nobody is named. Raises TroubleError.
    """
    if make:
        make_home(home)
    elif not is_home(home):
        raise TroubleError(
            f"{home} is not a hub's home yet; make it one:  truckroll init", usage=True
        )
    try:
        async with open_home(home, database=database) as first:
            store = first.beside(await find(first, tenant)) if tenant else first
            yield Hub(home=home, store=store, actor=actor or Actor())
    except DatabaseTrouble as error:
        raise TroubleError(str(error)) from error


def begin_database(given: str) -> Embedded | None:
    """Begin to start a home's embedded database and to bring it up to date, and return at once.

    `given` is the home as `home_directory` takes it. None where that is no home, or
    TRUCKROLL_DATABASE names another database. Whoever began lets go.
    """
    home = home_directory(given)
    if os.environ.get(URL_VARIABLE) or not is_home(home):
        return None
    database = Embedded(home)
    database.begin(prepare)
    return database
