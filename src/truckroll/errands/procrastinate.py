"""The engine on PostgreSQL: Procrastinate's tables and functions, in the schema `engine`.

Of the library we use the queue: its locks, its fetching, its heartbeats and its notifications.
Its worker, retries and periodic tasks are left aside (docs/why/errands.md says what they cost).
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from procrastinate import exceptions
from procrastinate.manager import JobManager
from procrastinate.psycopg_connector import PsycopgConnector

from truckroll.errands.ports import STALLED_SECONDS, EngineAway, Errand, Taken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from typing import LiteralString

    from procrastinate.jobs import Job

QUEUE = "truckroll"
_TRIES = 3
CHANNEL = f"procrastinate_queue_v1#{QUEUE}"  # where the library tells of new rows

# As the library's own function puts them in, but for what waits already: there it fails whole.
_DEFER: LiteralString = """
insert into procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args)
select %(queue)s, e.kind, e.key, e.key, jsonb_build_object('tenant', e.tenant, 'about', e.about)
from unnest(%(kinds)s::text[], %(keys)s::text[], %(tenants)s::bigint[], %(abouts)s::bigint[])
  with ordinality e (kind, key, tenant, about, n)
order by e.n
on conflict (queueing_lock) where status = 'todo' do nothing
returning task_name, args
"""
_GOING: LiteralString = """
select task_name, args from procrastinate_jobs where status in ('todo', 'doing')
order by status desc, id
"""
# One statement: a row that its worker ends meanwhile is left as it is. A heartbeat from the future
# is one from before the clock leapt back; who lives says so again at once.
_RECOVER: LiteralString = """
with lost as (
  update procrastinate_jobs j set status = 'failed', attempts = attempts + 1
  where j.status = 'doing' and (j.worker_id = %(worker)s and not j.id = any(%(hands)s::bigint[])
    or not exists (
      select from procrastinate_workers w
      where w.id = j.worker_id and w.last_heartbeat
        between now() - make_interval(secs => %(seconds)s)
          and now() + make_interval(secs => %(seconds)s)))
  returning j.id, j.task_name, j.args)
select task_name, args from lost order by id
"""
_BURY: LiteralString = """
delete from procrastinate_workers where last_heartbeat
  not between now() - make_interval(secs => %(seconds)s)
    and now() + make_interval(secs => %(seconds)s)
"""
_BEAT: LiteralString = """
update procrastinate_workers set last_heartbeat = now() where id = %(worker)s returning id
"""
# Ended rows are the oldest ones: the walk along the primary key is short.
_PRUNE: LiteralString = """
with old as (
  select j.id from procrastinate_jobs j
  where j.status in ('succeeded', 'failed') and not exists (
    select from procrastinate_events e
    where e.job_id = j.id and e.at >= now() - make_interval(secs => %(seconds)s))
  order by j.id limit %(most)s)
delete from procrastinate_jobs j using old where j.id = old.id returning j.id
"""


class ProcrastinateEngine:
    """Implements `ports.Engine`; made by `open_engine`."""

    def __init__(self, connector: PsycopgConnector) -> None:
        self._connector = connector
        self._manager = JobManager(connector)
        self._worker: int | None = None

    async def defer(self, errands: Sequence[Errand]) -> list[Errand]:
        """Let errands wait, in this order; return those that did not wait already."""
        if not errands:
            return []
        rows = await self._rows(
            _DEFER,
            queue=QUEUE,
            kinds=[one.kind for one in errands],
            keys=[one.key for one in errands],
            tenants=[one.tenant for one in errands],
            abouts=[one.about for one in errands],
        )
        return [_errand(row) for row in rows]

    async def take(self) -> Taken | None:
        """Take the errand that waits longest and whose key does not run."""
        if self._worker is None:
            await self.beat()
        assert self._worker is not None
        with _away():
            job = await self._fetched(self._worker)
        if job is None or job.id is None:
            return None
        return Taken(job.id, _errand({"task_name": job.task_name, "args": job.task_kwargs}))

    async def _fetched(self, worker: int) -> Job | None:
        for _ in range(_TRIES):
            with suppress(exceptions.UniqueViolation):  # one of the same key was just taken
                return await self._manager.fetch_job([QUEUE], worker)
        return None

    async def finish(self, taken: Taken, *, well: bool = True) -> bool:
        """Note that an errand ended; False where it was taken from this worker meanwhile."""
        end: LiteralString = """
            update procrastinate_jobs set status = %(status)s, attempts = attempts + 1
            where id = %(id)s and status = 'doing' returning id"""
        rows = await self._rows(end, id=taken.id, status="succeeded" if well else "failed")
        return bool(rows)

    async def recover(
        self, *, seconds: float = STALLED_SECONDS, hands: Sequence[int] | None = None
    ) -> list[Errand]:
        """End as failed what dead workers were doing, and return it; also what is not in hand."""
        worker = None if hands is None else self._worker
        mine = {"worker": worker, "hands": list(hands or ())}
        lost = await self._rows(_RECOVER, seconds=seconds, **mine)
        with _away():
            await self._connector.execute_query_async(_BURY, seconds=seconds)
        return [_errand(row) for row in lost]

    async def beat(self) -> None:
        """Say that this worker lives; a worker that was taken for dead counts as a new one."""
        if self._worker is not None and await self._rows(_BEAT, worker=self._worker):
            return
        with _away():
            self._worker = await self._manager.register_worker()

    async def going(self) -> list[Errand]:
        """Return what waits or runs."""
        return [_errand(row) for row in await self._rows(_GOING)]

    async def prune(self, *, seconds: float, most: int) -> int:
        """Forget at most so many errands that ended longer ago; return how many."""
        return len(await self._rows(_PRUNE, seconds=seconds, most=most))

    async def leave(self) -> None:
        """Say that this worker ends."""
        if self._worker is not None:
            with _away():
                await self._manager.unregister_worker(self._worker)
            self._worker = None

    async def _rows(self, query: LiteralString, **arguments: Any) -> list[dict[str, Any]]:
        with _away():
            rows: list[dict[str, Any]] = await self._connector.execute_query_all_async(
                query, **arguments
            )
        return rows


@asynccontextmanager
async def open_engine(
    url: str, *, role: str, schema: str = "engine"
) -> AsyncIterator[ProcrastinateEngine]:
    """Give the engine of the database at `url`, for one worker; `role` is taken on for it."""
    connector = PsycopgConnector(
        conninfo=url,
        kwargs={"options": f"-c role={role} -c search_path={schema}", "autocommit": True},
        min_size=1,
        max_size=4,
        timeout=10.0,
    )
    await connector.open_async()
    engine = ProcrastinateEngine(connector)
    try:
        yield engine
    finally:
        await connector.close_async()


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except exceptions.ConnectorException as error:
        raise EngineAway(str(error.__cause__ or error)) from error


def _errand(row: dict[str, Any]) -> Errand:
    return Errand(row["task_name"], row["args"]["tenant"], row["args"]["about"])
