"""What the planner is given and what it decides: frozen data, no behaviour.

None of it can be a part of itself, so the garbage collector need not watch it.
"""

from datetime import datetime
from typing import Literal

import msgspec

from truckroll.model.records import Fields, Value

EndState = Literal["unseen", "live", "gone", "released", "unreadable"]
LinkState = Literal["live", "ended"]
Op = Literal["create", "update", "cancel", "delete", "unlink"]
Side = Literal["source", "target"]

PERSON = 0  # in `Link.by`: a field stands on the word of a person of the hub, and of no end


class FieldHold(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A field of an end that waits: no `base` or `given` moves, nothing is written there.

    `reason` is drift · ask · lossy_edit · not_stored · undone · unmapped; `detail` says it in a
    sentence. `answer` is a person's: accept · restore · keep. `run` is the undone run. `of` is
    what the end should have shown when the hold was set: another such value ends some holds.
    """

    reason: str
    detail: str = ""
    answer: str = ""
    run: int = 0
    of: Value = None


class End(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A link's presence in one scope of one account.

    `key` is the fan-out key that the end stands for (a person), "" where the mirror does not fan
    out. `shown` is what it showed last, `base` what its last word on a field was, `given` the
    value that `base` stands for; all three in the end's own terms. `seen_order` counts the
    hub's observations; `changed` holds per field the order in which its present value was first
    observed. `open` says that an intent's outcome is unknown: the end waits. `removed_by_hub`
    says whose hand made it gone. `gone_at` is when its absence was first observed.
    """

    id: int
    side: Side
    account: int
    scope: int
    external_id: str
    key: str = ""
    generation: int = 0
    state: EndState = "unseen"
    version: str | None = None
    owned: bool = True
    shown: Fields = {}
    base: Fields = {}
    given: Fields = {}
    holds: dict[str, FieldHold] = {}
    seen_order: int = 0
    changed: dict[str, int] = {}
    seen_at: datetime | None = None
    gone_at: datetime | None = None
    removed_by_hub: bool = False
    open: bool = False
    decided: str = ""
    series: str | None = None


class Link(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing across systems, with all its ends.

    `key` is stable for the link's life and goes into marks and create keys. `agreed` is in the
    mirror's terms; `by` names the end (id) on whose word each field stands, or PERSON. `hold` is
    the reason that holds the whole link, with `hold_detail` for people. `undone` is the run whose
    undo holds the link's existence (0: none). `fold` is the value that its source records share
    in a mirror that folds ("" for none). `row` is the version of the stored row, `touched` how
    often it was made due: a link touched since it was read stays due when it is journalled.
    """

    id: int
    mirror: int
    key: str
    state: LinkState = "live"
    ended_why: str = ""
    agreed: Fields = {}
    by: dict[str, int] = {}
    ends: tuple[End, ...] = ()
    hold: str = ""
    hold_detail: str = ""
    undone: int = 0
    fold: str = ""
    look_at: datetime | None = None
    row: int = 0
    touched: int = 0


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One planned write at one end.

    `fields` is what is needed and `whole` all that the end should show, both in the end's own
    terms and before the system's storing. `version` is the one that was merged; it is what a
    conditional write carries. A `cancel` without fields takes the record out. `create_key` is
    stable over retries. `reason` is one sentence. `notifies` names whom the write may notify (""
    for nobody). `before` is what the end showed.
    """

    link: int
    end: int
    op: Op
    account: int
    scope: int
    external_id: str
    key: str = ""
    kind: str = "appointment"
    fields: Fields = {}
    whole: Fields = {}
    before: Fields = {}
    version: str | None = None
    create_key: str = ""
    reason: str = ""
    notifies: str = ""
    title: str = ""
    ref: str = ""
    undoes: int = 0


class Note(msgspec.Struct, frozen=True, gc=False):
    """A line of a record's story: a code for machines and a sentence for people."""

    code: str
    text: str
    end: int = 0
    data: Fields = {}


class Hold(msgspec.Struct, frozen=True, gc=False):
    """Something that waits for a reason: the whole link (`end` 0), an end, or a field of it."""

    reason: str
    detail: str
    end: int = 0
    field: str = ""
    release: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the planner decided about one link.

    `link` is the link as it is once this is journalled (new ends have negative ids). `changed`
    says whether it differs from what is stored.
    """

    link: Link
    changed: bool
    steps: tuple[Step, ...] = ()
    holds: tuple[Hold, ...] = ()
    notes: tuple[Note, ...] = ()
    look_again_at: datetime | None = None


class RecordRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An observed record as the store keeps it, linked or not.

    `ended` says of a candidate for matching that it stands under a released end, or an ended
    link, of the mirror that asks.
    """

    id: int
    account: int
    scope: int
    external_id: str
    kind: str = "appointment"
    state: EndState = "live"
    version: str | None = None
    fields: Fields = {}
    mark: str | None = None
    series: str | None = None
    owned: bool = True
    problem: str = ""
    ended: bool = False
    seen_order: int = 0
    changed: dict[str, int] = {}
    seen_at: datetime | None = None
    gone_at: datetime | None = None


OutcomeKind = Literal["done", "refused", "conflict", "later", "unknown", "gone"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the performing of a step ended.

    `external_id`, `version`, `shown` and `raw` are the reply as the next observation (`shown`
    None: the record is gone or was not shown). `base` and `given` are the fields that move at
    the written end. `holds` are fields to be held there. `retry_at` is when the link is to be
    looked at again: after `later`, and after `done` where more was found than what was written.
    """

    step: int
    kind: OutcomeKind
    says: str = ""
    external_id: str = ""
    version: str | None = None
    shown: Fields | None = None
    raw: bytes = b""
    series: str | None = None
    base: Fields = {}
    given: Fields = {}
    holds: dict[str, FieldHold] = {}
    retry_at: datetime | None = None
