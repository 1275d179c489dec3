"""`python -m bench`: run the parts, print their tables, and keep them in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from bench import (
    automation,
    burst,
    calendars,
    costs,
    growth,
    latency,
    planning,
    pushes,
    quiet,
    restart,
    rows,
    vendors,
)
from bench.figures import Figure, keep, machine, table, versions
from support import servers
from truckroll.store.embedded import Embedded

PARTS = (
    "cyrus",
    "radicale",
    "vendors",
    "planning",
    "growth",
    "store",
    "pushes",
    "latency",
    "resident",
    "burst",
    "automation",
    "costs",
    "restart",
)
PAIRS = {"cyrus": 5, "radicale": 1}  # a pair of 1,000 events takes Radicale two minutes


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--pairs", type=int, help="initial fills on each server")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of all else (5)")
    parser.add_argument("--events", type=int, default=1000, help="events to be synced (1000)")
    parser.add_argument("--sizes", default="1000,100000,1000000", help="numbers of links")
    parser.add_argument("--peer", default=sys.executable, help="a Python that has vdirsyncer")
    parser.add_argument("--rate", type=int, default=1000, help="pushes a second (1000)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long (60)")
    parser.add_argument("--calendars", type=int, default=200, help="technicians (200)")
    parser.add_argument("--changes", type=int, default=3000, help="changes of a burst (3000)")
    parser.add_argument("--print", action="store_true", help="leave docs/benchmarks.md as it is")
    return parser.parse_args(argv)


def _calendars(part: str, args: argparse.Namespace) -> list[Figure]:
    found, _ = calendars.on(
        calendars.SERVERS[part],
        count=args.events,
        pairs=args.pairs or PAIRS[part],
        rounds=args.rounds,
        peer=args.peer,
    )
    return found


async def _store(args: argparse.Namespace) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="truckroll-bench-") as folder:
        home = Path(folder) / "home"
        embedded = Embedded(home)
        try:
            async with embedded:
                many = args.events * 10
                return await rows.figures(embedded.url, home, count=many, rounds=args.rounds)
        finally:
            embedded.erase()  # under root the data stand elsewhere


def _figures(part: str, args: argparse.Namespace) -> list[Figure]:
    if part in calendars.SERVERS:
        return _calendars(part, args)
    if part == "vendors":
        many = args.events * 2
        return vendors.figures(visits=many, technicians=min(40, many // 10), rounds=args.rounds)
    if part == "planning":
        return planning.figures(count=args.events * 10, rounds=args.rounds)
    if part == "growth":
        sizes = [int(one) for one in args.sizes.split(",")]
        return growth.figures(sizes=sizes, rounds=args.rounds)
    if part == "store":
        return asyncio.run(_store(args))
    return asyncio.run(_resident(part, args))


async def _resident(part: str, args: argparse.Namespace) -> list[Figure]:
    """Take the parts that have a hub that is up."""
    if part == "pushes":
        return await pushes.figures(rate=args.rate, seconds=args.seconds)
    if part == "latency":
        size = {"calendars": args.calendars, "rate": 10.0}
        return await latency.figures(**size, seconds=min(args.seconds, 30.0))
    if part == "resident":
        return await quiet.figures(count=args.events, rounds=args.rounds * 4, peer=args.peer)
    if part == "burst":
        many = max(4, args.calendars // 5)
        return await burst.figures(changes=args.changes, calendars=many, workers=(1, 2, 4))
    if part == "costs":
        many = max(4, args.calendars // 4)
        return await costs.figures(changes=args.changes // 2, calendars=many, seconds=15.0)
    if part == "restart":
        return await restart.figures(visits=args.changes // 10)
    return await automation.figures(seconds=min(args.seconds, 15.0), changes=args.changes // 2)


def main(argv: list[str] | None = None) -> int:
    """Run the parts that were asked for; the exit code is 1 where a goal is missed."""
    args = _arguments(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # processes are ended with it
    missed = False
    names = versions("truckroll", "aiohttp", "psycopg", "uvicorn", "radicale", "vdirsyncer")
    for part in args.parts or PARTS:
        if part == "cyrus" and (why := servers.cyrus_missing()):
            print(f"cyrus: left out, {why}")
            continue
        head = f"{machine()} · {names}"
        found = _figures(part, args)
        missed |= any(one.met is False for one in found)
        text = f"{table(found)}\n\n{head}"
        print(f"{text}\n", flush=True)
        if not args.print:
            keep(part, text)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
