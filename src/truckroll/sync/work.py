"""The planner's workbench: one link taken apart, to be put together again as a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from truckroll.sync.types import Decision, End, FieldHold, Hold, Link, Note, Step

if TYPE_CHECKING:
    from datetime import datetime

    from truckroll.model.records import Fields, Value
    from truckroll.recipes.mirror import Line
    from truckroll.sync.context import AccountFacts, Context

NO_HOLD = FieldHold(reason="")


class At:
    """An end under the planner's hands. `base`, `given` and `holds` are its own copies.

    `waits` says that its last intent is in doubt, or that its scope could not be read.
    """

    __slots__ = (
        "base",
        "decided",
        "dirty",
        "end",
        "facts",
        "given",
        "holds",
        "lines",
        "shown",
        "state",
        "waits",
    )

    def __init__(
        self, end: End, lines: tuple[Line, ...], facts: AccountFacts, *, waits: bool
    ) -> None:
        self.end = end
        self.waits = waits
        self.lines = lines
        self.facts = facts
        self.state = end.state
        self.shown: Fields = end.shown
        self.base: dict[str, Value] = dict(end.base)
        self.given: dict[str, Value] = dict(end.given)
        self.holds: dict[str, FieldHold] = dict(end.holds)
        self.decided = end.decided
        self.dirty = end.id < 0

    @property
    def weighable(self) -> bool:
        """Whether what it shows may be weighed and it may be written: read, and not in doubt."""
        return self.state == "live" and not self.waits

    def settle(self, slot: str, given: Value) -> None:
        """Move `base` to what is shown and `given` to the value that it stands for."""
        self.base[slot] = self.shown[slot]
        self.given[slot] = given
        self.dirty = True

    def hold(self, slot: str, hold: FieldHold) -> None:
        """Hold a field; an answer given to the same hold stays."""
        if self.holds.get(slot) != hold:
            self.holds[slot] = hold
            self.dirty = True

    def release(self, slot: str) -> None:
        """Drop a field's hold."""
        if self.holds.pop(slot, None) is not None:
            self.dirty = True

    def become(self, state: str, decided: str) -> None:
        """Change the end's state by a decision, which is not taken twice."""
        self.state = state  # type: ignore[assignment] # one of EndState by construction
        self.decided = decided
        self.dirty = True

    def freeze(self) -> End:
        """Return the end as it is now."""
        if not self.dirty:
            return self.end
        return msgspec.structs.replace(
            self.end,
            state=self.state,
            shown=self.shown,
            base=self.base,
            given=self.given,
            holds=self.holds,
            decided=self.decided,
        )


class Work:
    """A link being planned: its ends, what is agreed, and what comes of it."""

    __slots__ = (
        "_hold",
        "agreed",
        "by",
        "ctx",
        "ends",
        "holds",
        "link",
        "look_at",
        "notes",
        "state",
        "steps",
        "why",
    )

    def __init__(self, link: Link, ctx: Context) -> None:
        self.link = link
        self.ctx = ctx
        self.agreed: dict[str, Value] = dict(link.agreed)
        self.by: dict[str, int] = dict(link.by)
        self.steps: list[Step] = []
        self.holds: list[Hold] = []
        self.notes: list[Note] = []
        self.look_at: datetime | None = None
        self.ends = [self.at(end) for end in link.ends]
        self.state = link.state
        self.why = link.ended_why
        self._hold: tuple[str, str] = ("", "")

    def at(self, end: End) -> At:
        """Return an end on the bench."""
        lines, facts = self.ctx.mirror.lines[end.side], self.ctx.accounts[end.account]
        unread = end.scope in self.ctx.waiting
        if unread:
            self.look_at = self.ctx.now
        return At(end, lines, facts, waits=end.open or unread)

    @property
    def source(self) -> At | None:
        """The authority's end: the latest one of the source side."""
        ours = [at for at in self.ends if at.end.side == "source"]
        return max(ours, key=lambda at: at.end.generation) if ours else None

    def followers(self) -> list[At]:
        """Return the ends of the target side, tombstones included."""
        return [at for at in self.ends if at.end.side == "target"]

    def note(self, code: str, text: str, end: int = 0, data: Fields | None = None) -> None:
        """Add a line to the story."""
        self.notes.append(Note(code=code, text=text, end=end, data=data or {}))

    def hold_link(self, reason: str, detail: str, release: str = "") -> None:
        """Hold the whole link."""
        self._hold = (reason, detail)
        self.holds.append(Hold(reason=reason, detail=detail, release=release))

    def decision(self) -> Decision:
        """Put the link together again."""
        ends = tuple(at.freeze() for at in self.ends)
        reason, detail = self._hold
        link = msgspec.structs.replace(
            self.link,
            state=self.state,
            ended_why=self.why,
            agreed=self.agreed,
            by=self.by,
            ends=ends,
            hold=reason,
            hold_detail=detail,
        )
        for at in self.ends:
            for slot, held in at.holds.items():
                self.holds.append(
                    Hold(reason=held.reason, detail=held.detail, end=at.end.id, field=slot)
                )
        return Decision(
            link=link,
            changed=link != self.link or bool(self.notes),
            steps=tuple(self.steps),
            holds=tuple(self.holds),
            notes=tuple(self.notes),
            look_again_at=self.look_at,
        )
