"""Plant bugs of the runtime one at a time, and tell by which seed the simulation finds each.

Run as `python tests/simulation/plant.py [most seeds [words of a name]]`, from the root of the
repository. As many processes as there are cores plant side by side.
"""

from __future__ import annotations

import gc
import os
import sys
from multiprocessing import get_context
from pathlib import Path

if __name__ in ("__main__", "__mp_main__"):
    root = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root / "src"), str(root / "tests")]

from simulation.planted import BUGS, planted
from simulation.world import simulate

MOST = 10_000


def found_by(bug, most: int = MOST, first: int = 0) -> tuple[int, str] | None:
    """Return the seed of the first life that finds a bug, and how; None where none does."""
    with planted(bug):
        for seed in range(first, most):
            try:
                simulate(seed)
            except Exception as error:  # noqa: BLE001 -- whatever breaks finds it
                return seed, (str(error).strip().splitlines() or [repr(error)])[0][:90]
            if seed % 50 == 0:
                gc.collect()
    return None


def _row(asked: tuple[int, int]) -> tuple[int, tuple[int, str] | None]:
    number, most = asked
    return number, found_by(BUGS[number], most)


def main(most: int, words: str) -> int:
    """Print a line per bug; return how many were not found."""
    chosen = [number for number, one in enumerate(BUGS) if words in one.name]
    missed = 0
    print(f"{'planted':<56} {'seed':>6}  how", flush=True)
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        asked = [(number, most) for number in chosen]
        for number, found in pool.imap_unordered(_row, asked):
            missed += found is None
            seed, how = found or (f">{most}", "")
            print(f"{BUGS[number].name:<56} {seed:>6}  {how}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} found")
    return missed


if __name__ == "__main__":
    numbers = sys.argv[1:2]
    sys.exit(main(int(numbers[0]) if numbers else MOST, " ".join(sys.argv[2:])))
