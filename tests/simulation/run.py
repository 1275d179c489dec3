"""Live through many seeds: `make simulate SEEDS=n FROM=k PROCESSES=p`.

What was done is noted, so that the same call goes on where an earlier one was cut short.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from simulation.plan import draw  # noqa: E402 -- run as a script, its place comes first
from simulation.shrink import failure, shrunk, told  # noqa: E402 -- run as a script, its place comes first
from simulation.world import simulate  # noqa: E402 -- run as a script, its place comes first

AT_ONCE = 50
NOTED = ROOT / ".simulated.json"
SAY_SECONDS = 30.0
SHRINK_FIRST = 3


def lived(first: int, last: int) -> tuple[int, dict[str, int], dict[int, str]]:
    """Live through seeds; return how many, which faults took effect, and what failed."""
    gc.disable()
    fired: Counter[str] = Counter()
    failed: dict[int, str] = {}
    for seed in range(first, last):
        try:
            fired.update(simulate(seed).fired)
        except Exception as error:  # noqa: BLE001 -- whatever breaks is the failure
            failed[seed] = f"{type(error).__name__}: {error}"
    gc.collect()
    return last - first, dict(fired), failed


def _part(bounds: tuple[int, int]) -> tuple[int, int, dict[str, int], dict[int, str]]:
    return bounds[0], *lived(*bounds)


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def main(seeds: int, first: int, processes: int) -> int:
    """Live through the seeds and print what came of it; return how many failed."""
    what = [_commit(), seeds, first]
    noted = json.loads(NOTED.read_text()) if NOTED.exists() else {}
    if noted.get("what") != what:
        noted = {"what": what, "done": [], "fired": {}, "failed": {}, "seconds": 0.0}
    parts = [(at, min(at + AT_ONCE, first + seeds)) for at in range(first, first + seeds, AT_ONCE)]
    left = [part for part in parts if part[0] not in set(noted["done"])]
    began = said = time.monotonic()
    before = noted["seconds"]
    with get_context("spawn").Pool(processes) as pool:
        for at, _, fired, failed in pool.imap_unordered(_part, left):
            noted["done"].append(at)
            noted["fired"] = dict(Counter(noted["fired"]) + Counter(fired))
            noted["failed"] |= {str(seed): how for seed, how in failed.items()}
            noted["seconds"] = round(before + time.monotonic() - began, 1)
            NOTED.write_text(json.dumps(noted))
            for seed, how in failed.items():
                print(f"seed {seed} fails: {how.splitlines()[0][:200]}", flush=True)
            if time.monotonic() - said > SAY_SECONDS:
                said = time.monotonic()
                print(f"{len(noted['done'])} of {len(parts)} parts", flush=True)
    _tell(noted, what[0], seeds, first)
    return len(noted["failed"])


def _tell(noted: dict, commit: str, seeds: int, first: int) -> None:
    for seed in sorted(map(int, noted["failed"]))[:SHRINK_FIRST]:
        how = failure(draw(seed))
        if how:
            print(f"\ncommit {commit}, {told(shrunk(draw(seed), how), how)}")
    fired = ", ".join(f"{name} {count}" for name, count in sorted(noted["fired"].items()))
    print(f"faults that took effect: {fired}")
    failed = sorted(map(int, noted["failed"]))
    print(
        f"commit {commit}: {seeds} seeds from {first} in {noted['seconds']:.0f} s,"
        f" {len(noted['fired'])} classes of faults, {len(failed)} failed {failed or ''}"
    )


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.exit(min(1, main(*(numbers + [2000, 0, 2][len(numbers) :]))))
