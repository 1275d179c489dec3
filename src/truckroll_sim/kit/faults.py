"""What goes wrong, said over the control plane.

A fault is one JSON object. `kind` is one of
- `status`: the call is answered with `status` (and `reason` in the vendor's own error body, or
  `body`, and `retry_after` as text for that header) instead of being handled;
- `hang`: no answer for `seconds` (0: for as long as the client waits); `drop`: the connection
  closes without one; `truncated`: half of the body arrives, then the connection closes;
- `push`: web hooks are `mode` `duplicated`, `late` (by `seconds`) or `lost`;
- `stale`: listings trail writes by `seconds`; `cursor`: a cursor that comes back has expired;
- `skew`: the vendor's clock is off by `seconds` (negative: slow).

Which calls: `method` and `path` (shell pattern over the vendor's path, `*` crosses slashes), each
optional. How many: `share` of the calls that match (0 to 1, by a seeded chance), and at most
`times`. With `after`, the call is handled first and only its answer is lost: the vendor did it.
"""

import fnmatch
import random
from typing import Any, Literal

import msgspec

from truckroll_sim.kit.calls import Call

Kind = Literal["status", "hang", "drop", "truncated", "push", "stale", "cursor", "skew"]
ANSWERED_OTHERWISE: tuple[Kind, ...] = ("status", "hang", "drop", "truncated")


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong: see the module."""

    kind: Kind
    id: str = ""
    method: str | None = None
    path: str | None = None
    status: int = 503
    reason: str | None = None
    body: Any = None
    headers: dict[str, str] = {}
    retry_after: str | None = None
    seconds: float = 0.0
    mode: Literal["duplicated", "late", "lost"] = "lost"
    share: float = 1.0
    times: int | None = None
    after: bool = False

    def meets(self, method: str, path: str) -> bool:
        """Tell whether this call is one of those that the fault is about."""
        return self.method in (None, method) and (
            self.path is None or fnmatch.fnmatchcase(path, self.path)
        )


class Faults:
    """The faults of one system that are in force, in the order in which they were set."""

    def __init__(self, seed: str = "truckroll") -> None:
        self._chance = random.Random(seed)
        self._number = 0
        self._left: dict[str, int | None] = {}
        self._set: dict[str, Fault] = {}

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force and return it with its id."""
        self._number += 1
        named = msgspec.structs.replace(fault, id=str(self._number))
        self._set[named.id], self._left[named.id] = named, named.times
        return named

    def all(self) -> list[Fault]:
        """Return the faults in force."""
        return [fault for fault in self._set.values() if self._left[fault.id] != 0]

    def clear(self, name: str | None = None) -> None:
        """End one fault, or all of them."""
        for known in list(self._set) if name is None else [name]:
            self._set.pop(known, None)

    def strikes(self, kind: Kind, call: Call | None = None) -> Fault | None:
        """Return the fault of a kind that meets this call, and count it; None if none does."""
        return self._first((kind,), call)

    def otherwise(self, call: Call) -> Fault | None:
        """Return the fault that takes the place of this call's answer, and count it."""
        return self._first(ANSWERED_OTHERWISE, call)

    def lag_seconds(self, call: Call) -> float:
        """Return by how much listings trail writes for this call."""
        return max((one.seconds for one in self._standing("stale", call)), default=0.0)

    def skew_seconds(self) -> float:
        """Return by how much the vendor's clock is off."""
        return sum(one.seconds for one in self._standing("skew", None))

    def _standing(self, kind: Kind, call: Call | None) -> list[Fault]:
        return [one for one in self.all() if one.kind == kind and _meets(one, call)]

    def _first(self, kinds: tuple[Kind, ...], call: Call | None) -> Fault | None:
        for fault in self.all():
            if fault.kind not in kinds or not _meets(fault, call):
                continue
            if fault.share < 1 and self._chance.random() >= fault.share:
                continue
            left = self._left[fault.id]
            if left is not None:
                self._left[fault.id] = left - 1
            return fault
        return None


def _meets(fault: Fault, call: Call | None) -> bool:
    return call is None or fault.meets(call.method, call.path)
