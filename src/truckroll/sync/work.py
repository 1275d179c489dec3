"""The planner's workbench: one link taken apart, to be put together again as a decision.

Most links of a pass have not changed: nothing is copied before something does.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from truckroll.model.records import Fields, Value
from truckroll.recipes.mirror import Line, Problem
from truckroll.sync.context import AccountFacts, Context
from truckroll.sync.types import (
    Decision,
    End,
    EndState,
    FieldHold,
    Hold,
    Link,
    LinkState,
    Note,
    Side,
    Step,
)


class At(msgspec.Struct, eq=False, gc=False):
    """An end under the planner's hands. `base`, `given` and `holds` are copied when they change.

    `waits` says that its last intent is in doubt, or that its scope could not be read. `planned`
    says that this plan has said already what becomes of it, `dirty` that it is not as stored, and
    `own` that the copies are made.
    """

    end: End
    waits: bool
    lines: tuple[Line, ...]
    facts: AccountFacts
    state: EndState
    shown: Fields
    base: dict[str, Value]
    given: dict[str, Value]
    holds: dict[str, FieldHold]
    decided: str
    dirty: bool
    planned: bool = False
    own: bool = False

    @property
    def weighable(self) -> bool:
        """Whether what it shows may be weighed and it may be written: read, and not in doubt."""
        return self.state == "live" and not self.waits

    def _change(self) -> None:
        self.dirty = True
        if not self.own:
            self.own = True
            self.base, self.given = dict(self.base), dict(self.given)
            self.holds = dict(self.holds)

    def settle(self, slot: str, given: Value) -> None:
        """Move `base` to what is shown and `given` to the value that it stands for."""
        self._change()
        self.base[slot] = self.shown[slot]
        self.given[slot] = given

    def settle_all(self, base: dict[str, Value], given: dict[str, Value]) -> None:
        """Move `base` of these fields to what is shown of them, and `given` to these values."""
        self.dirty = True
        self.base, self.given = {**self.base, **base}, {**self.given, **given}

    def hold(self, slot: str, hold: FieldHold, *, again: bool = False) -> None:
        """Hold a field; an answer given to the same hold stays, save `again`."""
        old = self.holds.get(slot)
        if again or old is None or msgspec.structs.replace(old, answer=hold.answer) != hold:
            self._change()
            self.holds[slot] = hold

    def told_holds(self) -> list[tuple[str, FieldHold]]:
        """Return what is held, an end that is held whole by an undo as one thing."""
        existence = self.holds.get("existence")
        whole = existence is not None and existence.reason == "undone"
        return [
            (slot, held)
            for slot, held in self.holds.items()
            if held is existence or not (whole and held.reason == "undone")
        ]

    def release(self, slot: str) -> None:
        """Drop a field's hold."""
        if slot in self.holds:
            self._change()
            del self.holds[slot]

    def become(self, state: str, decided: str) -> None:
        """Change the end's state by a decision, which is not taken twice."""
        self.state = state  # type: ignore[assignment] # one of EndState by construction
        self.decided = decided
        self.dirty = True

    def rekey(self, key: str) -> None:
        """Let it stand for another key of the same spot."""
        if self.end.key != key:
            self.end = msgspec.structs.replace(self.end, key=key)
            self.dirty = True

    def succeed(self, bearer: At) -> None:
        """Take over what was weighed and held of the records that this end now speaks for."""
        self._change()
        bearer._change()
        self.base, bearer.base = bearer.base, {}
        self.given, bearer.given = bearer.given, {}
        self.holds, bearer.holds = bearer.holds, {}

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


class Work(msgspec.Struct, eq=False, gc=False):
    """A link being planned: its ends, what is agreed, and what comes of it.

    `ends` are all, tombstones included; `source` and `followers` those that stand for their
    place now (`existence.line_up`).
    """

    link: Link
    ctx: Context
    agreed: dict[str, Value] = {}
    by: dict[str, int] = {}
    state: LinkState = "live"
    why: str = ""
    ends: list[At] = []
    source: At | None = None
    followers: list[At] = []
    steps: list[Step] = []
    holds: list[Hold] = []
    notes: list[Note] = []
    look_at: datetime | None = None
    _hold: tuple[str, str] = ("", "")
    _changed: bool = False
    _shows: dict[Side, dict[str, Value | Problem]] = {}

    def __post_init__(self) -> None:
        """Take the link apart."""
        link = self.link
        self.agreed = link.agreed  # type: ignore[assignment] # copied before it changes
        self.by = link.by
        self.state = link.state
        self.why = link.ended_why
        self.ends = [self.at(end) for end in link.ends]

    def at(self, end: End) -> At:
        """Return an end on the bench; one that waits is looked at again in the next pass."""
        ctx = self.ctx
        waits = end.open or end.scope in ctx.waiting
        if waits:
            self.look_at = ctx.now
        return At(
            end,
            waits,
            ctx.mirror.lines[end.side],
            ctx.accounts[end.account],
            end.state,
            end.shown,
            end.base,  # type: ignore[arg-type] # copied before it changes
            end.given,  # type: ignore[arg-type] # the same
            end.holds,
            end.decided,
            end.id < 0,
        )

    def shows(self, side: Side) -> dict[str, Value | Problem]:
        """Return what the ends of a side should show by what is agreed, by slot.

        A slot of which nothing is known is None, or is not there. All ends of a side should show
        the same, so it is worked out once.
        """
        found = self._shows.get(side)
        if found is None:
            found = self._shows[side] = self.ctx.mirror.shapes[side].fill(self.agreed)
        return found

    def agree(self, field: str, value: Value, by: int) -> None:
        """Take a value as agreed, on the word of an end."""
        self._shows.clear()
        if not self._changed:
            self._changed = True
            self.agreed, self.by = dict(self.agreed), dict(self.by)
        self.agreed[field] = value
        self.by[field] = by

    def agree_all(
        self, values: dict[str, Value], by: At, shows: dict[str, Value | Problem]
    ) -> None:
        """Take all values as agreed on the word of an end, which should show `shows`."""
        self._changed = True
        self.agreed, self.by = values, dict.fromkeys(values, by.end.id)
        self._shows = {by.end.side: shows}

    def look_again(self, at: datetime | None) -> None:
        """Ask to be looked at again at an instant, or before."""
        if at is not None and (self.look_at is None or at < self.look_at):
            self.look_at = at

    def step(self, at: At, step: Step) -> None:
        """Add a step for an end."""
        at.planned = True
        self.steps.append(step)

    def note(self, code: str, text: str, end: int = 0, data: Fields | None = None) -> None:
        """Add a line to the story."""
        self.notes.append(Note(code=code, text=text, end=end, data=data or {}))

    def hold_link(self, reason: str, detail: str, release: str = "") -> None:
        """Hold the whole link."""
        self._hold = (reason, detail)
        self.holds.append(Hold(reason=reason, detail=detail, release=release))

    def decision(self) -> Decision:
        """Put the link together again."""
        self.holds += [
            Hold(held.reason, held.detail, at.end.id, slot)
            for at in self.ends
            if at.holds
            for slot, held in at.told_holds()
        ]
        changed = self._differs()
        return Decision(
            link=self._frozen() if changed else self.link,
            changed=changed,
            steps=tuple(self.steps),
            holds=tuple(self.holds),
            notes=tuple(self.notes),
            look_again_at=self.look_at,
        )

    def _differs(self) -> bool:
        link = self.link
        return (
            self._changed
            or bool(self.notes)
            or self._hold != (link.hold, link.hold_detail)
            or self.state != link.state
            or len(self.ends) != len(link.ends)
            or True in [at.dirty for at in self.ends]
        )

    def _frozen(self) -> Link:
        link = self.link
        return Link(
            id=link.id,
            mirror=link.mirror,
            key=link.key,
            state=self.state,
            ended_why=self.why,
            agreed=self.agreed,
            by=self.by,
            ends=tuple([at.freeze() for at in self.ends]),
            hold=self._hold[0],
            hold_detail=self._hold[1],
            undone=link.undone,
            fold=link.fold,
            look_at=link.look_at,
            row=link.row,
            touched=link.touched,
        )
