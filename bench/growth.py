"""(c) A pass with fifty changes, in stores of growing size.

The whole pass is run (read, plan, brakes, write, view), against a system that lives in memory
and answers at once, so that what is measured is the hub. A thousand appointments get in step
through it; further ones are copied inside the database, as history is: earlier, each with its
own number.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from bench import ROOT
from bench.figures import Figure, median
from bench.planning import PEOPLE, appointment
from truckroll import connectors
from truckroll.app import passes, systems
from truckroll.app.bootstrap import open_hub
from truckroll.kit.contract import Connector, Page, Reply, Resource, Scope, Seen
from truckroll.kit.http import Transport
from truckroll.kit.normal import LOSSLESS
from truckroll.model.records import APPOINTMENT, encode_fields
from truckroll.recipes.compile import builtin
from truckroll.store.embedded import Embedded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from truckroll.app.hub import Hub
    from truckroll.kit.contract import Change, Draft, Session

BASE = 1000
CHANGES = 50
RECIPE = "appointments-to-calendars"
_OFFICE = "office"
_APART = 10_000_000  # how far the ids of one copy lie from those of the next


class _Office:
    """What the system in memory shows: everything at first, then fifty changes each time."""

    links = BASE

    def ids(self, number: int) -> str:
        copy, one = divmod(number, BASE)
        return f"{one}-{copy}" if copy else f"{one}"

    async def listing(
        self, session: Session, scope: Scope, cursor: str | None
    ) -> AsyncIterator[Page]:
        del session
        if scope.id != _OFFICE:
            yield Page(items=(), cursor="0", last=True, complete=cursor is None)
        elif cursor is None:
            items = [_seen(str(number), number, 0) for number in range(BASE)]
            yield Page(items=tuple(items), cursor="0", last=True, complete=True)
        else:
            now = int(cursor) + 1
            step = self.links // CHANGES
            chosen = [(at * step + now) % self.links for at in range(CHANGES)]
            items = [_seen(self.ids(number), number % BASE, now) for number in chosen]
            yield Page(items=tuple(items), cursor=str(now), last=True)


def _seen(id_: str, number: int, edit: int) -> Seen:
    fields = dict(appointment(number, datetime.now(UTC)))
    if edit:
        fields["notes"] = f"Edit {edit}"
    return Seen(id=id_, fields=fields, version=f"v{edit}", raw=encode_fields(fields))


async def _create(session: Session, scope: Scope, draft: Draft) -> Reply:
    del session, scope
    seen = Seen(id=draft.id, fields=draft.fields, version="w", mark=draft.mark)
    return Reply(draft.id, seen)


async def _update(session: Session, scope: Scope, change: Change) -> Reply:
    del session, scope
    version = f"{change.version}+"[-40:]
    return Reply(change.id, Seen(id=change.id, fields=change.whole, version=version))


OFFICE = _Office()


async def _scopes(session: Session) -> tuple[Scope, ...]:
    del session
    return ()


BENCH = Connector(
    system="bench",
    title="Bench",
    settings=(),
    transport=lambda _: Transport(base_url=""),
    scopes=_scopes,
    resources={
        "appointment": Resource(
            kind="appointment",
            fields=dict.fromkeys(APPOINTMENT.fields, LOSSLESS),
            listing=OFFICE.listing,
            writes=frozenset(APPOINTMENT.fields),
            create=_create,
            update=_update,
            choose_id=lambda _, key: key,
            conditional=True,
            concurrency=8,
        )
    },
)


@contextmanager
def _known() -> Iterator[None]:
    """Let the hub know this system as it knows its connectors."""
    name, known = f"{connectors.__name__}.bench", systems._where()  # noqa: SLF001 -- the hub finds connectors by package, and this one is in none
    sys.modules[name], known["bench"] = sys.modules[__name__], "bench"
    try:
        yield
    finally:
        del sys.modules[name], known["bench"]


async def _fill(home: Path) -> None:
    """Make a hub with a thousand appointments in step."""
    with _known():
        async with open_hub(home, make=True) as hub:
            store = hub.store
            office = await store.add_account("bench", "office", {}, {}, "America/New_York")
            field = await store.add_account("bench", "field", {}, {})
            await store.put_scopes(office.id, [Scope(_OFFICE, "Jobs", "table")])
            names = [f"Technician {one}" for one in range(PEOPLE)]
            scopes = [Scope(name, name, "calendar") for name in names]
            for name, stored in zip(names, await store.put_scopes(field.id, scopes), strict=True):
                await store.map_person(name, field.id, stored.id, "bench")
            bound = {"from": "office", "to": "field", "zone": "America/New_York"}
            await store.install_recipe(RECIPE, builtin()[RECIPE], bound, {})
            view = await passes.apply(hub)
            assert view.writes == BASE, view
            await _pass(hub)


_COPIES = {
    "record": {
        "id": "id + c * {apart}",
        "external_id": "external_id || '-' || c",
        "coarse": "coarse || '-' || c",
        "number": "number || '-' || c",
        "begins": "begins - c::integer * interval '60 days'",
        "ends": "ends - c::integer * interval '60 days'",
        "arrived": "1",
    },
    "link": {"id": "id + c * {apart}", "key": "substr(md5(key || c), 1, 16)"},
    "link_end": {
        "id": "id + c * {apart}",
        "link": "link + c * {apart}",
        "record": "record + c * {apart}",
        "external_id": "external_id || '-' || c",
    },
}


def _grow(url: str, links: int) -> None:
    """Copy the thousand appointments until there are `links`, and let the database settle."""
    copies = f"generate_series(1::bigint, {links // BASE - 1}) c"
    with psycopg.connect(url, autocommit=True, options="-c search_path=truckroll") as connection:
        connection.execute("set session_replication_role = replica")  # the keys are known to fit
        for table, changed in _COPIES.items():
            columns = [
                row[0]
                for row in connection.execute(
                    "select attname from pg_attribute where attrelid = %s::regclass"
                    " and attnum > 0 and not attisdropped order by attnum",
                    [table],
                )
            ]
            values = ", ".join(changed.get(name, name).format(apart=_APART) for name in columns)
            connection.execute(
                f"insert into {table} ({', '.join(columns)}) select {values}"
                f" from {table}, {copies} where id < {_APART}"
            )
        connection.execute(
            "update scope s set live = (select count(*) from record r where r.scope = s.id)"
        )
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")


async def _pass(hub: Hub) -> dict[str, float]:
    began = time.perf_counter()
    view = await passes.apply(hub)
    took = time.perf_counter() - began
    assert view.writes == CHANGES, (view.writes, view.failures, view.holds[:2], view.stops)
    return {"seconds": took, "kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


async def _one(home: Path) -> dict[str, float]:
    with _known():
        async with open_hub(home) as hub:
            return await _pass(hub)


def main() -> None:
    """Make one pass in this process, over the given home and number of links; print JSON."""
    OFFICE.links = int(sys.argv[2])
    print(json.dumps(asyncio.run(_one(Path(sys.argv[1])))))


def _fresh_pass(home: Path, links: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", "from bench import growth; growth.main()", str(home), str(links)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout)


def measure(sizes: list[int], rounds: int) -> dict[int, list[dict[str, float]]]:
    """Return the passes at each size, in turns; the first of each size (cold) is left out."""
    found: dict[int, list[dict[str, float]]] = {links: [] for links in sizes}
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder, ExitStack() as stack:
        homes = {links: Path(folder) / str(links) for links in sizes}
        for links, home in homes.items():
            held = Embedded(home)
            stack.callback(held.erase)  # under root the data stand elsewhere
            url = held.hold()
            stack.callback(held.let_go)
            asyncio.run(_fill(home))
            if links > BASE:
                _grow(url, links)
        for _ in range(rounds + 1):
            for links, home in homes.items():
                found[links].append(_fresh_pass(home, links))
    return {links: passed[1:] for links, passed in found.items()}


def figures(*, sizes: list[int], rounds: int) -> list[Figure]:
    """Return the lines of the table: each larger size beside the smallest."""
    found = measure(sizes, rounds)

    def middle(links: int, what: str) -> float:
        return median([one[what] for one in found[links]])

    least = sizes[0]
    lines = []
    for links in sizes[1:]:
        for what, key, goal, shown in (
            ("time", "seconds", 1.3, lambda value: f"{value * 1000:.0f} ms"),
            ("peak memory", "kilobytes", 1.2, lambda value: f"{value / 1024:.0f} MiB"),
        ):
            lines.append(
                Figure(
                    f"pass with {CHANGES} changes at {links:,} links, {what}",
                    shown(middle(links, key)),
                    f"at {least:,}: {shown(middle(least, key))}",
                    middle(links, key) / middle(least, key),
                    goal,
                    note=f"median of {rounds}",
                )
            )
    return lines
