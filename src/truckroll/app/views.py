"""What a pass found and did, as people and programs are shown it."""

from __future__ import annotations

import shlex
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from truckroll.model.records import Occurrence, Occurrences, Value, as_text, person_text
from truckroll.sync.perform import OTHER_AGAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from truckroll.model.records import Fields
    from truckroll.sync.types import Hold, Link, RecordRow, Step


_USUAL = Occurrence()


class FieldView(msgspec.Struct, frozen=True):
    """A field of a step: what it shows and what it is to show, as people read it."""

    old: str
    new: str


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A planned or performed write. `notifies` names who would be mailed or texted."""

    account: str
    system: str
    place: str
    op: str
    kind: str
    title: str
    ref: str
    when: str
    reason: str
    notifies: str
    fields: dict[str, FieldView]
    person: str = ""


class HoldView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that waits: which record, where, why, and what would release it."""

    ref: str
    title: str
    when: str
    place: str
    field: str
    reason: str
    detail: str
    release: str = ""


class PassView(msgspec.Struct, frozen=True, kw_only=True):
    """A pass. `run` is None for a plan; `stops` are the brakes' sentences with their numbers.

    `held` counts records; one may be held for several reasons, each of which stands in `holds`.
    Of a first matching, `found_again` records were there already, `differing` of them with other
    content, and `foreign` ones belong to nobody here. A plan alone tells of `overlaps`.
    """

    run: int | None
    recipe: str
    writes: int
    by_op: dict[str, int]
    held: int
    failed: int
    steps: list[StepView]
    holds: list[HoldView]
    failures: list[str]
    problems: list[str]
    overlaps: list[str]
    stops: list[str]
    confirm: int
    calls: dict[str, int]
    sources: str
    targets: str
    found_again: int = 0
    differing: int = 0
    foreign: int = 0
    seconds: float = 0.0
    not_undone: list[str] = []


def stopped(written: int) -> str:
    """Return how to say that the brakes stopped a run, after so many writes."""
    return "stopped before writing more" if written else "stopped before writing"


def step_view(
    step: Step, accounts: Mapping[int, tuple[str, str]], label: Callable[[int], str]
) -> StepView:
    """Return a step as it is shown. `accounts` gives name and system by row id."""
    name, system = accounts[step.account]
    fields = {
        slot: _field_view(step.before.get(slot), value) for slot, value in step.fields.items()
    }
    return StepView(
        account=name,
        system=system,
        place=label(step.scope),
        op=step.op,
        kind=step.kind,
        title=step.title,
        ref=step.ref,
        when=as_text(_when(step.whole, step.before)),
        reason=step.reason,
        notifies=step.notifies,
        fields=fields,
        person=person_text(step.key),
    )


def _field_view(old: Value, new: Value) -> FieldView:
    if isinstance(old, Occurrences) or isinstance(new, Occurrences):
        return FieldView(*_visits(old, new))
    return FieldView(as_text(old), as_text(new))


def _visits(old: Value, new: Value) -> tuple[str, str]:
    """Return the visits of a series that differ, as they are and as they are to be."""
    before = old.by_start if isinstance(old, Occurrences) else {}
    after = new.by_start if isinstance(new, Occurrences) else {}
    keys = [
        key
        for key in sorted({*before, *after})
        if before.get(key, _USUAL) != after.get(key, _USUAL)
    ]
    return (
        "; ".join(_visit(key, before.get(key, _USUAL)) for key in keys),
        "; ".join(_visit(key, after.get(key, _USUAL)) for key in keys),
    )


def _visit(key: str, visit: Occurrence) -> str:
    day = datetime.fromisoformat(key)
    name = f"{day:%a} {day.day} {day:%b}"
    if visit.cancelled:
        return f"{name} cancelled"
    changes = [
        as_text(value) if slot == "when" else f"{slot} {as_text(value)}"
        for slot, value in visit.fields.items()
    ]
    return f"{name}: {', '.join(changes)}" if changes else f"{name} as usual"


def _when(*shown: Fields) -> Value:
    return next((fields["when"] for fields in shown if "when" in fields), None)


def ref_of(link: Link) -> tuple[str, str, str]:
    """Return what people call a link's record: number, title, time."""
    shown = [dict(link.agreed), *(dict(end.shown) for end in link.ends)]

    def first(name: str) -> str:
        return next((text for one in shown if (text := as_text(one.get(name)))), "")

    number = first("number")
    source = [end.external_id for end in link.ends if end.side == "source" and end.external_id]
    return number or (source[0] if source else link.key), first("title"), first("when")


def called(ref: str, title: str) -> str:
    """Return what people call a record; many titles begin with the number already."""
    if not title or title == ref:
        return ref
    return title if not ref or title.startswith(ref) else f"{ref} {title}"


def hold_view(link: Link, hold: Hold, label: Callable[[int], str]) -> HoldView:
    """Return a hold as it is shown."""
    ref, title, when = ref_of(link)
    scopes = {end.id: end.scope for end in link.ends}
    place = label(scopes[hold.end]) if hold.end in scopes else ""
    return HoldView(
        ref=ref,
        title=title,
        when=when,
        place=place,
        field=hold.field,
        reason=hold.reason,
        detail=hold.detail,
        release=hold.release or _release(hold, ref),
    )


def unreadable_view(row: RecordRow, label: Callable[[int], str]) -> HoldView:
    """Return a record that could not be read, as a hold."""
    return HoldView(
        ref=row.external_id,
        title=as_text(row.fields.get("title")),
        when=as_text(row.fields.get("when")),
        place=label(row.scope),
        field="",
        reason="unreadable",
        detail=row.problem,
        release="by itself, as soon as it can be read",
    )


def _release(hold: Hold, ref: str) -> str:
    ref = shlex.quote(ref)
    if hold.reason in ("drift", "ask", "lossy_edit", "missing", "source_deleted"):
        return f"truckroll holds --accept {ref}    or    truckroll holds --restore {ref}"
    if hold.reason == "copied_back":
        return f"is it a record of its own?  truckroll holds --accept {ref}"
    if hold.reason == "in_doubt":
        return "by itself, as soon as that answer is known"
    if hold.reason == "not_ours":
        return "by itself, as soon as its owner has changed it"
    if hold.reason == "awaits_other":
        minutes = OTHER_AGAIN // timedelta(minutes=1)
        soon = f"by itself, within {minutes} minutes of its being there"
        return f"{soon}; at once: truckroll holds --retry {ref}"
    if hold.reason == "conflict":
        return "by itself: the next run tries again"
    if hold.reason in ("refused", "undone", "churn", "not_stored"):
        return f"truckroll holds --retry {ref}"
    return ""


def by_op(steps: list[StepView]) -> dict[str, int]:
    """Return how many steps there are of each operation."""
    return dict(sorted(Counter(step.op for step in steps).items()))
