"""Writes that are under way at the same time, sent to a system in one request.

Nothing is kept waiting for company: a batch goes out when it is full, or when the event loop has
nothing more to add. Each write ends as if it had been sent alone: what the batch as a whole meets
is met by every write in it, and a batch whose answer was lost leaves each of them in doubt.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from yarl import URL

from truckroll.kit import outcomes
from truckroll.kit.answers import Response
from truckroll.kit.errors import VendorError

# Turns of the event loop without a new write after which none is coming: from the answer of one
# write to the next one there are a few turns (a task wakes, lets another one go, which writes).
_QUIET_TURNS = 8
_FORBIDDEN = 403


class Outgoing(NamedTuple):
    """A write on its way: an absolute address, and in whose name it is made ("": the account)."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes
    whom: str = ""


class Envelope(Protocol):
    """How a system takes several requests in one, and gives several answers back. Pure."""

    def pack(self, calls: Sequence[Outgoing]) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of the request that carries these."""
        ...

    def unpack(self, response: Response, calls: Sequence[Outgoing]) -> list[Response | None]:
        """Return the answer to each call, None where there is none.

        Raises ValueError where the answer is of another form.
        """
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """A system's way of taking several writes at once: where to, at most how many, in what form.

    Only writes in one person's name share a batch. `apart` recognises the answer to a write that
    only failed for its company and is to be sent alone.
    """

    url: str
    most: int
    envelope: Envelope
    apart: Callable[[Response], bool] = lambda _: False


class Sender(Protocol):
    """The client that sends single requests and batches alike, and keeps the account's pauses."""

    @property
    def system(self) -> str:
        """The system's name in sentences."""
        ...

    @property
    def account(self) -> str:
        """The account's name in sentences."""
        ...

    @property
    def busy(self) -> outcomes.Busy | None:
        """What recognises the system's own way to ask for a pause."""
        ...

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        whom: str = "",
        weight: int = 1,
        alone: bool = False,
    ) -> Response:
        """Send one request; see `Http.request`."""
        ...

    async def renewed(self, whom: str = "") -> bool:
        """Renew the proof of identity after a 401; see `Client.renewed`."""
        ...

    async def pause(self, response: Response, tries: int, waited: float) -> float:
        """Hold the account as an answer asks; see `Client.pause`."""
        ...


@dataclass(slots=True)
class _Waiting:
    """A write and the answer it waits for: an answer, an error, or None: it is sent alone."""

    call: Outgoing
    answer: asyncio.Future[Response | VendorError | None]

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def tell(self, outcome: Response | VendorError | None) -> None:
        if not self.answer.done():  # it is where nobody waits any more
            self.answer.set_result(outcome)


@dataclass(slots=True)
class _Lane:
    """The writes in one person's name: one batch is out at a time, the others gather."""

    waiting: list[_Waiting] = field(default_factory=list)
    sending: asyncio.Task[None] | None = None


class Gatherer:
    """Gathers an account's writes into batches."""

    def __init__(self, batch: Batch, client: Sender) -> None:
        self._batch = batch
        self._client = client
        self._lanes: dict[str, _Lane] = {}

    async def send(self, call: Outgoing) -> Response:
        """Send a write along with others and return its own answer; raises as a single one does.

        A write that the system asks to send later is sent again after the pause, one whose sign-in
        was too old after a renewal, and one that its company failed is sent alone.
        """
        tries, waited, renewed = 0, 0.0, False
        while True:
            tries += 1
            outcome = await self._told(call)
            if isinstance(outcome, VendorError):
                raise outcome
            if outcome is None or self._batch.apart(outcome):
                return await self._client.request(
                    call.method,
                    str(call.url),
                    headers=call.headers,
                    body=call.body,
                    whom=call.whom,
                    alone=True,
                )
            if outcome.status == 401:  # noqa: PLR2004 -- statuses are best known by number
                if renewed or not await self._client.renewed(call.whom):
                    system, account = self._client.system, self._client.account
                    raise outcomes.not_signed_in(system, account, outcome.body)
                renewed = True
                continue
            if not outcomes.asks_for_pause(outcome, self._client.busy):
                break
            waited = await self._client.pause(outcome, tries, waited)
        if outcomes.is_answer(outcome.status):
            return outcome
        raise outcomes.failed(self._client.system, outcome.status, unknown=True)

    def close(self) -> None:
        """End what is being sent: nobody waits for it any more."""
        for lane in self._lanes.values():
            if lane.sending is not None:
                lane.sending.cancel()

    async def _told(self, call: Outgoing) -> Response | VendorError | None:
        lane = self._lanes.setdefault(call.whom, _Lane())
        mine = _Waiting(call, asyncio.get_running_loop().create_future())
        lane.waiting.append(mine)
        if lane.sending is None:
            lane.sending = asyncio.create_task(self._drain(lane))
        return await mine.answer

    async def _drain(self, lane: _Lane) -> None:
        try:
            while lane.waiting:
                await self._gathered(lane)
                most = self._batch.most
                out, lane.waiting = lane.waiting[:most], lane.waiting[most:]
                await self._send(out)
        finally:
            lane.sending = None
            for left in lane.waiting:  # only where this task was ended from outside
                left.answer.cancel()

    async def _gathered(self, lane: _Lane) -> None:
        """Wait until the batch is full or the event loop has nothing more to add."""
        quiet, count = 0, len(lane.waiting)
        while quiet < _QUIET_TURNS and count < self._batch.most:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(lane.waiting) == count else 0
            count = len(lane.waiting)

    async def _send(self, out: list[_Waiting]) -> None:
        calls = [one.call for one in out]
        try:
            outcomes_ = await self._outcomes(calls) if len(out) > 1 else [None]
        except asyncio.CancelledError:
            for one in out:
                one.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 -- it is raised to those who wait for an answer
            for one in out:
                one.fail(copy.copy(error))  # each is raised, and traced, on its own
        else:
            for one, outcome in zip(out, outcomes_, strict=True):
                one.tell(outcome)

    async def _outcomes(self, calls: Sequence[Outgoing]) -> Sequence[Response | VendorError | None]:
        headers, body = self._batch.envelope.pack(calls)
        response = await self._client.request(
            "POST",
            self._batch.url,
            headers=headers,
            body=body,
            whom=calls[0].whom,
            weight=len(calls),
            alone=True,
        )
        if response.status == _FORBIDDEN:
            return [response] * len(calls)
        if response.status >= 300:  # noqa: PLR2004 -- the batch was refused, so nothing was done
            return [None] * len(calls)
        try:
            answers = self._batch.envelope.unpack(response, calls)
        except ValueError:
            answers = [None] * len(calls)
        says = "gave no answer for this record in its answer to several changes"
        return [
            outcomes.lost(self._client.system, says, unknown=True) if answer is None else answer
            for answer in answers
        ]
