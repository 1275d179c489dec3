"""Whom the vendor would have told: nothing leaves the box."""

from dataclasses import dataclass
from datetime import datetime

from truckroll_sim.kit.state import TellsTime


@dataclass(frozen=True)
class Message:
    """One message that the vendor would have sent to a person. `at` is UTC."""

    to: str
    about: str
    why: str
    channel: str
    at: datetime


class Outbox:
    """The messages that a system would have sent, oldest first."""

    def __init__(self, clock: TellsTime) -> None:
        self._clock = clock
        self.messages: list[Message] = []

    def tell(self, to: str, about: str, why: str, channel: str = "email") -> None:
        """Note that this person (address or number) is told about this record, and why."""
        self.messages.append(Message(to, about, why, channel, self._clock.now()))

    def clear(self) -> None:
        """Forget all messages."""
        self.messages.clear()
