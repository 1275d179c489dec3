"""The hub's program, killed hard at a commit: `python -m support.dying POINT WHEN WORDS...`.

A point is a method that changes the database, by its name; it is killed `before` its first commit
(nothing of it is kept) or `after` it (all is kept, nobody knows). At the point `record`
nothing is killed, and the points that it comes to are written to standard error.
"""

import os
import re
import signal
import sys
from contextlib import asynccontextmanager
from functools import wraps

from truckroll.cli.main import main
from truckroll.errands.procrastinate import ProcrastinateEngine
from truckroll.store.base import Base, Statements

ENGINE = ("defer", "take", "finish", "recover", "beat")
WRITES = re.compile(rb"\b(insert|(?<!for )(?<!key )update|delete)\b")


class Dying:
    """Kills its process at a point, or tells the points that it comes to."""

    def __init__(self, point, when):
        self.point = point
        self.when = when
        self.told = set()

    def reach(self, point, when):
        if self.point == "record" and point not in self.told:
            self.told.add(point)
            sys.stderr.write(f"point {point}\n")
        if (self.point, self.when) == (point, when):
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self):
        """Let every commit of this process be reached."""
        transaction, rows = Base._transaction, Base._rows
        Statements.execute = _noting(Statements.execute)
        Statements.executemany = _noting(Statements.executemany)

        def watched(store, **how):
            point = sys._getframe(1).f_code.co_name
            return self._around(transaction(store, **how), point)

        async def asked(store, query, params=None):
            point = sys._getframe(1).f_code.co_name
            if not WRITES.search(query):
                return await rows(store, query, params)
            self.reach(point, "before")
            found = await rows(store, query, params)
            self.reach(point, "after")
            return found

        Base._transaction, Base._rows = watched, asked
        for name in ENGINE:
            setattr(ProcrastinateEngine, name, self._method(name))

    @asynccontextmanager
    async def _around(self, transaction, point):
        async with transaction as cursor:
            yield cursor
            wrote = getattr(cursor, "wrote", False)
            if wrote:
                self.reach(point, "before")
        if wrote:
            self.reach(point, "after")

    def _method(self, name):
        real = getattr(ProcrastinateEngine, name)

        @wraps(real)
        async def method(engine, *args, **how):
            self.reach(f"engine.{name}", "before")
            told = await real(engine, *args, **how)
            self.reach(f"engine.{name}", "after")
            return told

        return method


def _noting(real):
    """Let a cursor know whether it wrote."""

    @wraps(real)
    async def noting(cursor, query, *args, **how):
        if WRITES.search(query if isinstance(query, bytes) else query.encode()):
            cursor.wrote = True
        return await real(cursor, query, *args, **how)

    return noting


if __name__ == "__main__":
    Dying(*sys.argv[1:3]).watch()
    sys.exit(main(sys.argv[3:]))
