"""A vendor: from a call to its answer, with everything that a box offers to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from truckroll_sim.kit.auth import Tokens
from truckroll_sim.kit.calls import Answer, Call, Logged, Routes, handled
from truckroll_sim.kit.clock import Clock, SkewedClock
from truckroll_sim.kit.faults import Fault, Faults
from truckroll_sim.kit.ids import Ids
from truckroll_sim.kit.outbox import Outbox
from truckroll_sim.kit.push import Push
from truckroll_sim.kit.state import Revisions, Table

Watcher = Callable[[Call, Answer], None]


@dataclass
class Kit:
    """What each system has of its own; see the package's docstring."""

    clock: SkewedClock
    ids: Ids
    revisions: Revisions
    tokens: Tokens
    outbox: Outbox
    faults: Faults
    push: Push
    calls: list[Logged] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)

    @classmethod
    def of(cls, clock: Clock, seed: str = "truckroll") -> "Kit":
        """Return a kit on the box's clock."""
        faults = Faults(seed)
        own = SkewedClock(clock, faults.skew_seconds)
        ids = Ids(seed)
        return cls(
            clock=own,
            ids=ids,
            revisions=Revisions(),
            tokens=Tokens(own, ids),
            outbox=Outbox(own),
            faults=faults,
            push=Push(own, faults),
        )

    def table(self) -> Table[Any]:
        """Return a new table on this system's clock and revisions."""
        return Table(self.clock, self.revisions)


class Records(Protocol):
    """What a user of the vendor does with the records of a kind, in the vendor's own screens.

    Records go in and out as JSON objects; `options` are the query parameters of the call to the
    control plane. A record that is not there raises KeyError, a bad one ValueError with a sentence.
    """

    def list(self, options: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return all records of the kind."""
        ...

    def get(self, key: str, options: Mapping[str, str]) -> dict[str, Any]:
        """Return one record."""
        ...

    def add(self, fields: dict[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
        """Make a record and return it."""
        ...

    def edit(self, key: str, fields: dict[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
        """Change some fields of a record and return it."""
        ...

    def remove(self, key: str, options: Mapping[str, str]) -> None:
        """Delete a record."""
        ...


Act = Callable[[dict[str, Any]], Any]


class System(ABC):
    """A vendor's system. See the package's docstring for how to write one."""

    name: str
    also: tuple[str, ...] = ()
    """Further names under which the same system is reached."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.routes = Routes()
        self.records: dict[str, Records] = {}
        self.acts: dict[str, Act] = {}

    @abstractmethod
    def credentials(self, base: str) -> dict[str, Any]:
        """Return all that a client needs to sign in; `base` is the system's own address."""

    @abstractmethod
    def seed(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Make a sample company and return what was made.

        Raises ValueError with a sentence on a parameter that it does not know.
        """

    @abstractmethod
    def account(self, call: Call) -> str | None:
        """Return who is signed in on this call, None if nobody is. Has no effect."""

    @abstractmethod
    def not_found(self, call: Call) -> Answer:
        """Return the vendor's answer to a path that it does not know."""

    @abstractmethod
    def trouble(self, call: Call, fault: Fault) -> Answer:
        """Return the vendor's error answer with the status and the reason of a fault."""

    async def answer(self, call: Call) -> Answer:
        """Answer a call that came in over the wire: faults, handling, log."""
        answer = await self.answer_unlogged(call)
        self.kit.calls.append(self.logged(call, answer))
        return answer

    async def answer_unlogged(self, call: Call) -> Answer:
        """Answer a call without a line in the log, as a part of a batch is."""
        fault = self.kit.faults.otherwise(call)
        if fault is None:
            answer = await self.handle(call)
        else:
            first = await self.handle(call) if _is_handled(fault) else None
            answer = self._spoilt(call, fault, first)
        for watcher in self.kit.watchers:
            watcher(call, answer)
        return answer

    async def handle(self, call: Call) -> Answer:
        """Answer a call as the vendor does when nothing is wrong."""
        found = self.routes.find(call)
        return await handled(*found) if found else self.not_found(call)

    def logged(self, call: Call, answer: Answer) -> Logged:
        """Return the line of the call log for an exchange."""
        return Logged(
            method=call.method,
            path=call.path,
            query=call.query,
            status=answer.status,
            account=self.account(call),
            at=self.kit.clock.now(),
            fault=answer.fault,
            parts=answer.logged_parts,
        )

    async def close(self) -> None:
        """Let go of what the system holds outside of itself."""
        await self.kit.push.close()

    def _spoilt(self, call: Call, fault: Fault, first: Answer | None) -> Answer:
        answer = first or Answer(200)
        match fault.kind:
            case "hang" | "drop" | "truncated" as transport:
                return replace(answer, transport=transport, seconds=fault.seconds, fault=transport)
            case _:
                return _with_words(self.trouble(call, fault), fault)


def _is_handled(fault: Fault) -> bool:
    return fault.after or fault.kind == "truncated"


def _with_words(answer: Answer, fault: Fault) -> Answer:
    headers = {**answer.headers, **fault.headers}
    if fault.retry_after is not None:
        headers["Retry-After"] = fault.retry_after
    body = answer.body
    if isinstance(fault.body, str):
        body = fault.body.encode()
    elif fault.body is not None:
        body = msgspec.json.encode(fault.body)
    return replace(answer, body=body, headers=headers, fault="status")
