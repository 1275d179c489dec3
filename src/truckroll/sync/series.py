"""Series: exceptions merged key by key, and re-anchored when the series moves (SYNC §11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truckroll.model.records import Occurrence, Occurrences, Value, same
from truckroll.model.time import AllDay, Timed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truckroll.sync.work import At, Work


def merge_keys(base: Occurrences, claims: Sequence[Occurrences]) -> Occurrences:
    """Return the exceptions on which several changed sets agree, the last claim winning a key.

    A key counts as changed by a claim where it differs from `base`; absent is a value too.
    """
    merged = dict(base.by_start)
    for claim in claims:
        for key in base.by_start.keys() | claim.by_start.keys():
            theirs = claim.by_start.get(key)
            if not _same(theirs, base.by_start.get(key)):
                if theirs is None:
                    merged.pop(key, None)
                else:
                    merged[key] = theirs
    return Occurrences(dict(sorted(merged.items())))


def _same(a: Occurrence | None, b: Occurrence | None) -> bool:
    if a is None or b is None:
        return a is b
    return same(Occurrences({"": a}), Occurrences({"": b}))


def reanchor(work: Work, before: dict[str, Value], weighed: frozenset[str]) -> None:
    """Move the exceptions along when a series moved and nobody said where they went.

    Keys follow by ordinal in the old occurrence set; a key with no heir holds the link.
    """
    old, new = before.get("when"), work.agreed.get("when")
    exceptions = work.agreed.get("occurrences")
    if "occurrences" in weighed or "when" not in weighed:
        return
    if not (isinstance(old, Timed | AllDay) and isinstance(new, Timed | AllDay)):
        return
    if not isinstance(exceptions, Occurrences) or not exceptions.by_start or same(old, new):
        return
    from truckroll.model.recurrence import reanchor as by_ordinal  # noqa: PLC0415 -- dateutil is slow to import and rarely needed

    moved, orphans = by_ordinal(old, new, exceptions)
    work.agree("occurrences", moved, work.by.get("when", 0))
    if orphans:
        keys = ", ".join(sorted(orphans))
        text = f"the series moved, and nothing in it answers to the changed visits of {keys}"
        work.note("occurrence_without_heir", text, data={"occurrences": Occurrences(orphans)})
        work.hold_link("occurrence_without_heir", text)


def let_go(work: Work) -> None:
    """Let go of what is held of visits after the end of a series that was cut, as by a split.

    Left as it is, such a visit stands in the calendar beside the one that took its place.
    """
    when, agreed = work.agreed.get("when"), work.agreed.get("occurrences")
    held = [at for at in work.followers if at.weighable and _is_drift(at)]
    if not held or not isinstance(when, Timed | AllDay):
        return
    from truckroll.model.recurrence import LIMIT, ordinal_keys  # noqa: PLC0415 -- dateutil is slow to import and rarely needed

    keys = ordinal_keys(when)
    if not keys or len(keys) == LIMIT:  # as good as endless
        return
    for at in held:
        shown = at.shown["occurrences"]
        changed = _differing(shown, agreed)
        if min(changed, default="") <= keys[-1]:
            continue
        text = f"it ends before the visits that were changed by hand: {', '.join(sorted(changed))}"
        work.note("drift_ended", text, at.end.id, {"occurrences": shown})
        at.release("occurrences")
        at.settle("occurrences", shown)


def _is_drift(at: At) -> bool:
    held = at.holds.get("occurrences")
    asked = held is not None and held.reason == "drift" and not held.answer
    return asked and "occurrences" in at.shown


def _differing(one: Value, other: Value) -> frozenset[str]:
    """Return the keys at which two sets of exceptions differ; none at all is an empty set."""
    a, b = (they.by_start if isinstance(they, Occurrences) else {} for they in (one, other))
    return frozenset(key for key in a.keys() | b.keys() if not _same(a.get(key), b.get(key)))
