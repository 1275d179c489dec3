"""Plant bugs one at a time, and tell by which seed the random histories find each.

Run as `python tests/sync/plant.py [most seeds]`, from the root of the repository.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root / "src"), str(root / "tests"), str(root / "tests" / "sync")]

import test_brakes
import test_histories
import test_histories_found
import test_match
import test_series
from planted import BUGS, Bug, planted

from support.scenario import history

MOST = 2_000


def told_by(bug: Bug) -> str:
    """Return the name of the first told history that finds a bug, "" where none does."""
    modules = (test_histories, test_histories_found, test_match, test_series, test_brakes)
    told = {name: story for module in modules for name, story in vars(module).items()}
    with planted(bug):
        for name, story in told.items():
            if (
                not inspect.iscoroutinefunction(story)
                or not name.startswith("test_")
                or inspect.signature(story).parameters
            ):
                continue
            try:
                asyncio.run(story())
            except Exception:  # noqa: BLE001 -- whatever breaks finds it
                return name.removeprefix("test_")
    return ""


def found_by(bug: Bug, most: int = MOST) -> tuple[int, str] | None:
    """Return the seed of the history that finds a bug, and how; None where none does."""
    with planted(bug):
        for seed in range(most):
            try:
                history(seed)
            except Exception as error:  # noqa: BLE001 -- whatever breaks finds it
                return seed, str(error).splitlines()[0][:70] if str(error) else repr(error)[:70]
    return None


def main() -> int:
    """Print a line per bug; return how many were not found."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else MOST
    missed = 0
    print(f"{'planted':<52} {'seed':>6}  {'how':<70}  told history")
    for bug in BUGS:
        told, found = told_by(bug), found_by(bug, most)
        missed += found is None and not told
        seed, how = found or (f">{most}", "")
        print(f"{bug.name:<52} {seed:>6}  {how:<70}  {told or '-'}", flush=True)
    print(f"{len(BUGS) - missed} of {len(BUGS)} found")
    return missed


if __name__ == "__main__":
    sys.exit(main())
