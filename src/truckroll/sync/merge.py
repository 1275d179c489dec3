"""Fields: who changed what, what is agreed now, and whose word it is (SYNC §5).

Every change that is weighed here moves `base` of its end, so it is weighed once. Changes that may
not speak are drift; changes of a lossy end are patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from truckroll.kit.normal import Stored, is_stored, stored
from truckroll.model.records import Fields, Occurrences, Value, as_text, same
from truckroll.model.time import AllDay, Timed
from truckroll.recipes.mirror import Line, Problem
from truckroll.sync import series
from truckroll.sync.types import FieldHold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truckroll.sync.work import At, Work


NOTHING: frozenset[str] = frozenset()
# Holds that end by what their end shows, or by a person's answer; others name what is missing.
STEADY = frozenset({"drift", "ask", "lossy_edit", "not_stored", "undone"})


class Claim(NamedTuple):
    """An end's word on a field of the mirror. `at` is None for what was agreed before.

    `exempt` says that the word answers a hold (undone, or accepted by a person): it need not
    reckon with what was agreed behind the hold's back. `part` is what a lossy end showed before:
    its word is a patch of that part.
    """

    field: str
    value: Value
    at: At | None
    line: Line | None
    end: int
    order: int
    exempt: bool = False
    part: Value = None


def merge(work: Work) -> frozenset[str]:
    """Weigh what the ends show; return the fields on which somebody's word was weighed."""
    claims: dict[str, list[Claim]] = {}
    source = work.source
    if not work.agreed and not work.followers and source is not None and not source.holds:
        return _take_in(work, source)
    ends = work.followers if source is None else (source, *work.followers)
    _answered(ends)
    drifted: list[tuple[At, Line]] = []
    for at in ends:
        if not at.weighable or (not at.holds and (at.base is at.shown or at.base == at.shown)):
            continue
        shown, base = at.shown, at.base
        for line in at.lines:
            slot = line.slot
            if slot not in shown or (
                slot in base and slot not in at.holds and same(shown[slot], base[slot])
            ):
                continue
            claim = _weigh(work, at, line, drifted)
            if claim is not None:
                claims.setdefault(claim.field, []).append(claim)
    before = work.agreed
    for field, said in claims.items():
        _decide(work, field, said, before)
    for at, line in drifted:
        _drift(work, at, line, before)
    if not claims:
        return NOTHING
    weighed = frozenset(claims)
    if "when" in weighed:
        series.reanchor(work, before, weighed)
        series.let_go(work)
    return weighed


def _take_in(work: Work, source: At) -> frozenset[str]:
    """Take the authority's first word on everything; what no map can carry is held."""
    if not source.weighable:
        return NOTHING
    shape = work.ctx.mirror.shapes["source"]
    said = dict(source.shown)
    if not shape.slots.issuperset(said):
        said = {slot: value for slot, value in said.items() if slot in shape.slots}
    agreed = said.copy()
    for line in shape.made:
        if line.slot not in said:
            continue
        meant = line.invert(agreed.pop(line.slot)) if line.invert is not None else None
        if isinstance(meant, Problem):
            _hold_unmapped(work, source, line, meant)
            del said[line.slot]
        elif line.invert is not None:
            agreed[line.inputs[0]] = meant
    shows = shape.fill(agreed)
    given = said.copy()
    for line in shape.made:
        want = shows.get(line.slot)
        if line.slot in said and want is not None and not isinstance(want, Problem):
            given[line.slot] = want
    work.agree_all(agreed, source, shows)
    source.settle_all(said, given)
    return frozenset(agreed)


def wanted(work: Work, line: Line) -> Value | Problem | None:
    """Return what a slot should hold by what is agreed; None where nothing is known of it."""
    return line.want(work.agreed)


def _answered(ends: Sequence[At]) -> None:
    """Let a person's choice among the words of several ends settle the question for all."""
    if not [at for at in ends if at.holds]:
        return
    asked = [
        (at, line)
        for at in ends
        if at.holds
        for line in at.lines
        if line.slot in at.holds and at.holds[line.slot].reason == "ask"
    ]
    chosen = {line.inputs[0] for at, line in asked if at.holds[line.slot].answer == "accept"}
    for at, line in asked:
        held = at.holds[line.slot]
        if line.inputs[0] in chosen and not held.answer:
            at.hold(line.slot, msgspec.structs.replace(held, answer="restore"), again=True)


def _weigh(work: Work, at: At, line: Line, drifted: list[tuple[At, Line]]) -> Claim | None:
    """Return an end's word on a field, if it has one; what may not speak goes to `drifted`."""
    slot = line.slot
    if slot not in at.shown:
        return None
    shown = at.shown[slot]
    hold = at.holds.get(slot)
    if hold is not None and not _released(work, at, line, hold):
        return None
    if slot not in at.base:
        return _first_sight(work, at, line, hold.answer if hold is not None else "")
    if same(shown, at.base[slot]):
        return None
    if hold is not None and hold.answer in ("restore", "keep"):
        _settle_drift(work, at, line, hold.answer, wanted(work, line))
        return None
    accepted = hold is not None and hold.answer == "accept"
    if line.invert is None or not (line.speaks or accepted):
        drifted.append((at, line))
        return None
    value = _heard(work, at, line)
    if isinstance(value, Problem):
        return None
    exempt = accepted or (hold is not None and hold.reason == "undone")
    claim = _claim(at, line, value, exempt=exempt)
    return claim._replace(part=at.base[slot]) if _shows_less(at, line) else claim


def _claim(at: At, line: Line, value: Value, *, exempt: bool = False) -> Claim:
    order = at.end.changed.get(line.slot, at.end.seen_order)
    return Claim(line.inputs[0], value, at, line, at.end.id, order, exempt)


def _released(work: Work, at: At, line: Line, hold: FieldHold) -> bool:
    """Tell whether a held field may be weighed again, and drop holds that have lost their cause."""
    slot = line.slot
    moved = not (slot in at.base and same(at.shown[slot], at.base[slot]))
    if hold.answer or hold.reason not in STEADY:
        at.release(slot)
        return True
    if hold.reason in ("not_stored", "undone"):
        want = wanted(work, line)
        speaks = line.speaks or hold.reason == "not_stored"
        if (moved and speaks) or not same(want if not isinstance(want, Problem) else None, hold.of):
            at.release(slot)
            return True
        return False
    if not moved:
        at.release(slot)
        return True
    return False


def _first_sight(work: Work, at: At, line: Line, answer: str) -> Claim | None:
    """Take in a field that this end never showed before: its first word, or a difference."""
    field = line.inputs[0]
    if line.invert is None:
        at.settle(line.slot, at.shown[line.slot])
        return None
    value = line.invert(at.shown[line.slot])
    if isinstance(value, Problem):
        _hold_unmapped(work, at, line, value)
        return None
    if field not in work.agreed:
        if at.end.side == "source" or _originated(work):
            return _claim(at, line, value)
        at.settle(line.slot, at.shown[line.slot])
        return None
    if answer == "accept":
        return _claim(at, line, value, exempt=True)
    if answer in ("restore", "keep"):
        _settle_drift(work, at, line, answer, wanted(work, line))
        return None
    return _differing(work, at, line, value)


def _differing(work: Work, at: At, line: Line, value: Value) -> Claim | None:
    """Apply the mirror's `first` rule to a field that was there before the hub."""
    first = work.ctx.mirror.first
    want = wanted(work, line)
    how = at.facts.how(line.slot)
    agrees = not isinstance(want, Problem) and is_stored(how, want, at.shown[line.slot])
    if not agrees and at.end.side == "source" and (told := _told_first(work, line.inputs[0])):
        teller, its = told
        if not its.speaks:
            return _claim(at, line, value)
        if first == "target" and teller.facts.how(its.slot).lossy:
            _hold_shortened(at, line, by=teller, whole=at.shown[line.slot])
            return None
    if first == "ask" and not agrees:
        text = (
            f"{at.facts.label} shows {_quoted(at.shown[line.slot])}, and {_quoted(want)} is known"
        )
        at.hold(line.slot, FieldHold(reason="ask", detail=text))
        return None
    if first == at.end.side and line.speaks and not agrees:
        if how.lossy:
            _hold_shortened(at, line, by=at, whole=want)
            return None
        return _claim(at, line, value)
    at.settle(line.slot, at.shown[line.slot])
    return None


def _hold_shortened(at: At, line: Line, *, by: At, whole: Value | Problem) -> None:
    text = f"{by.facts.label} may have shortened {_quoted(whole)}"
    at.hold(line.slot, FieldHold(reason="lossy_edit", detail=text))


def _told_first(work: Work, field: str) -> tuple[At, Line] | None:
    """Return the follower that told first what is agreed of a field, and its line for it."""
    teller = work.by.get(field)
    for at in work.followers:
        if at.end.id == teller:
            return next(((at, one) for one in at.lines if one.inputs == (field,)), None)
    return None


def _originated(work: Work) -> bool:
    source = work.source
    return source is None or source.state == "unseen"


def _heard(work: Work, at: At, line: Line) -> Value | Problem:
    """Return the end's changed value in the mirror's terms; a lossy end's change is a patch."""
    assert line.invert is not None
    slot = line.slot
    shown = at.shown[slot]
    given, part = at.given.get(slot), at.base[slot]
    if line.patch is not None:
        value = line.patch(shown, part, work.agreed.get(line.inputs[0]))
        if isinstance(value, Problem):
            _hold_unmapped(work, at, line, value)
        return value
    if _shows_less(at, line):
        patched = _patch(at.facts.how(slot), given, part, shown)
        if patched is None:
            text = (
                f"{at.facts.label} shows only a part of this field: it now says {_quoted(shown)}, "
                f"and the whole is {_quoted(given)}"
            )
            at.hold(slot, FieldHold(reason="lossy_edit", detail=text))
            return Problem("lossy_edit", text)
        shown = patched
    value = line.invert(shown)
    if isinstance(value, Problem):
        _hold_unmapped(work, at, line, value)
    return value


def _shows_less(at: At, line: Line) -> bool:
    """Tell whether an end shows a field lossily: what it showed is not what it was given.

    Two words of the end's own that mean the same to the mirror are no loss, nor is what a system
    shows for nothing.
    """
    slot = line.slot
    if slot not in at.given or same(at.base[slot], at.given[slot]):
        return False
    if at.given[slot] in (None, "") and same(at.base[slot], at.facts.how(slot).default):
        return False
    assert line.invert is not None
    meant, showed = line.invert(at.given[slot]), line.invert(at.base[slot])
    if isinstance(meant, Problem) or isinstance(showed, Problem):
        return True
    return not same(meant, showed)


def _patch(how: Stored, given: Value, part: Value, shown: Value) -> Value | None:
    """Return `given` with the part that an end can hold replaced by what it shows now.

    None where it does not fit: the end's stored form of the patched value must be exactly what
    the end shows.
    """
    if isinstance(given, Timed | AllDay):
        return shown
    if not (isinstance(given, str) and isinstance(part, str) and isinstance(shown, str)):
        return None
    if not same(stored(how, given), part):
        how = Stored(limit=len(part))
    if given.startswith(part):
        patched = shown + given[len(part) :]
    elif part.strip() in given:
        patched = given.replace(part.strip(), shown.strip(), 1)
    else:
        return None
    return patched if same(stored(how, patched), shown) else None


def _hold_unmapped(work: Work, at: At, line: Line, problem: Problem) -> None:
    at.hold(line.slot, FieldHold(reason=problem.reason, detail=problem.detail))
    work.look_again(problem.again_at)


def _drift(work: Work, at: At, line: Line, before: Fields) -> None:
    """Follow the mirror's rule with a change by an end that may not speak.

    It is none where the end shows what is agreed by now: somebody did the same in both places, or
    both are what the hub wrote after the backup that it was restored from.
    """
    shown, base = at.shown[line.slot], at.base[line.slot]
    want = wanted(work, line)
    how = at.facts.how(line.slot)
    if not isinstance(want, Problem) and is_stored(how, want, shown):
        at.settle(line.slot, want)
        return
    rule = work.ctx.mirror.drift
    if rule != "hold":
        _settle_drift(work, at, line, rule, line.want(before))
        return
    text = f"changed by hand in {work.ctx.scope_label(at.end.scope)}: {_arrow(base, shown)}"
    at.hold(line.slot, FieldHold(reason="drift", detail=text))
    work.note("drift", text, at.end.id)


def _settle_drift(work: Work, at: At, line: Line, rule: str, want: Value | Problem | None) -> None:
    """Restore: the need stays, for what was given is the drifted value. Keep: it is as agreed."""
    shown = at.shown[line.slot]
    keep = rule == "keep" and not isinstance(want, Problem)
    text = f"{line.slot} changed by hand in {work.ctx.scope_label(at.end.scope)}"
    work.note("drift_kept" if keep else "drift_restored", text, at.end.id, {line.slot: shown})
    at.settle(line.slot, want if keep and not isinstance(want, Problem) else shown)


def _decide(work: Work, field: str, claims: list[Claim], before: dict[str, Value]) -> None:
    """Agree on one field, move `base` and `given` of the ends heard, keep the losers' words."""
    if field not in before and len(claims) == 1:
        _first_word(work, claims[0])
        return
    rivals = list(claims)
    if field in before and len(claims) == 1 and _unheard(work, claims[0]):
        by = work.by.get(field, 0)
        rivals.append(Claim(field, before[field], None, None, by, -1))
    said, rivals = rivals, _patched(rivals)
    mended = rivals is not said
    winner = rivals[0]
    if not mended and any(not same(claim.value, winner.value) for claim in rivals[1:]):
        if field == "occurrences":
            winner = _merged_occurrences(work, rivals, before)
        else:
            chosen = _choose(work, field, rivals)
            if chosen is None:
                _ask(field, claims)
                return
            winner = chosen
            _tell_losers(work, field, rivals, winner)
    work.agree(field, winner.value, winner.end)
    for claim in (rival for rival in rivals if rival.at is not None):
        assert claim.at is not None
        assert claim.line is not None
        slot = claim.line.slot
        want = wanted(work, claim.line)
        won = same(claim.value, winner.value) and not isinstance(want, Problem)
        claim.at.settle(
            slot, want if won and not isinstance(want, Problem) else claim.at.shown[slot]
        )


def _first_word(work: Work, claim: Claim) -> None:
    """Take the only word on a field of which nothing was agreed."""
    at, line = claim.at, claim.line
    assert at is not None
    assert line is not None
    work.agree(claim.field, claim.value, claim.end)
    want = wanted(work, line)
    at.settle(line.slot, at.shown[line.slot] if isinstance(want, Problem) else want)


def _patched(rivals: list[Claim]) -> list[Claim]:
    """Apply the patches of lossy ends to what another end says now, where they fit."""
    whole = [claim for claim in rivals if claim.part is None]
    if len(whole) != 1 or len(rivals) == 1 or whole[0].line is None:
        return rivals
    value = whole[0].value
    for claim in rivals:
        if claim.part is not None and claim.at is not None and claim.line is not None:
            how = claim.at.facts.how(claim.line.slot)
            if same(stored(how, value), claim.part):
                shown = claim.at.shown[claim.line.slot]
                patched = _patch(how, value, claim.part, shown)
                value = value if patched is None else patched
    if same(value, whole[0].value):
        return rivals
    patches = [claim._replace(value=value) for claim in rivals if claim.part is not None]
    return [*patches, *whole]


def _unheard(work: Work, claim: Claim) -> bool:
    """Tell whether the claiming end had not yet been given what was agreed before its change."""
    at, line = claim.at, claim.line
    assert at is not None
    assert line is not None
    if claim.exempt:
        return False
    want = wanted(work, line)
    if want is None or isinstance(want, Problem) or line.slot not in at.given:
        return False
    if same(at.given[line.slot], want):
        return False
    return not is_stored(at.facts.how(line.slot), want, at.shown[line.slot])


def _choose(work: Work, field: str, rivals: list[Claim]) -> Claim | None:
    """Return the claim that wins by the field's rule; None where a person is asked."""
    rule = work.ctx.mirror.conflict.get(field, "source")
    if rule == "ask":
        return None
    if rule == "newest":
        newest = max(claim.order for claim in rivals)
        rivals = [claim for claim in rivals if claim.order == newest]
        rule = "source"
    sides = {at.end.id: at.end.side for at in work.ends}
    for claim in rivals:
        if sides.get(claim.end) == rule:
            return claim
    return rivals[0]


def _ask(field: str, claims: list[Claim]) -> None:
    for claim in claims:
        assert claim.at is not None
        assert claim.line is not None
        text = f"{field} was changed in more than one place; here it is {_quoted(claim.value)}"
        claim.at.hold(claim.line.slot, FieldHold(reason="ask", detail=text))


def _tell_losers(work: Work, field: str, rivals: list[Claim], winner: Claim) -> None:
    for claim in rivals:
        if not same(claim.value, winner.value):
            text = f"{field}: {_quoted(claim.value)} gave way to {_quoted(winner.value)}"
            work.note("lost", text, claim.end, {field: claim.value})


def _merged_occurrences(work: Work, rivals: list[Claim], before: dict[str, Value]) -> Claim:
    """Merge the exceptions of a series key by key; only keys in conflict have a winner."""
    base = before.get("occurrences")
    preferred = _choose(work, "occurrences", rivals) or rivals[0]
    others = [claim.value for claim in rivals if claim is not preferred]
    value = series.merge_keys(
        base if isinstance(base, Occurrences) else Occurrences(),
        [one for one in [*others, preferred.value] if isinstance(one, Occurrences)],
    )
    return preferred._replace(value=value)


def _quoted(value: Value | Problem) -> str:
    if isinstance(value, Problem):
        return "nothing that fits"
    text = as_text(value)
    return f"“{text}”" if text else "nothing"


def _arrow(old: Value, new: Value) -> str:
    return f"{as_text(old) or 'nothing'} → {as_text(new) or 'nothing'}"
