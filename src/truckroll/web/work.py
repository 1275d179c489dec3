"""Long work: a call waits for it a while, then it goes on by itself and is asked about."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from truckroll.app.trouble import TroubleError
from truckroll.kit.secrets import redact

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Work:
    """The work that this process has taken on for calls. `patience` is in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def patience(self) -> float:
        """How many seconds a call waits."""
        return self._patience

    async def do(self, begin: Callable[[Callable[[int], None]], Coroutine[Any, Any, T]]) -> T | int:
        """Return what the work comes to, or its run's number where it takes longer.

        `begin` is given what hears the run's number. What the work raises is raised here, as long
        as somebody waits; later it is logged.
        """
        number: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(begin(number.set_result))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=self._patience)
        if not task.done():
            first: set[asyncio.Future[Any]] = {task, number}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            number.cancel()
            return task.result()
        return number.result()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, TroubleError):
            _log.error("A run did not end well: %s", redact(repr(error)))

    async def close(self) -> None:
        """Break off what is at work; the journal knows how far it came."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
