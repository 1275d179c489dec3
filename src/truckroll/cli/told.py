"""How passes are told: steps, holds and brakes as lines."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from truckroll.app.views import called, stopped
from truckroll.cli.screen import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truckroll.app.certain import Uncertain
    from truckroll.app.views import FieldView, HoldView, PassView, StepView
    from truckroll.cli.screen import Screen

# What is said, and what follows it: on the same line if it fits.
Entry = tuple[str, str]

GAP = "   "
FEW = 8
EXAMPLES = 3
_DAY = re.compile(r"(\w{3} \d{1,2} \w{3}) (.+)", re.DOTALL)
_LONG = 60
_ORDER = ("create", "update", "cancel", "delete", "unlink")
_WHOLE = ("", "existence", "write", "when")


def steps(screen: Screen, view: PassView, *, everything: bool = False) -> None:
    """Print the steps by operation: how many, and what the first ones are."""
    groups: dict[str, list[StepView]] = {op: [] for op in _ORDER}
    for step in view.steps:
        groups.setdefault(step.op, []).append(step)
    for op, group in groups.items():
        shown = len(group) if everything or len(group) <= FEW else EXAMPLES
        entries: list[Entry] = [_step(one) for one in group[:shown]]
        if len(group) > shown:
            entries = [(_spread(group), ""), *entries, (_more(len(group) - shown, "--all"), "")]
        _block(screen, op, len(group), entries)


def holds(screen: Screen, held: Sequence[HoldView], *, everything: bool = False) -> None:
    """Print what waits, each with what would release it; the number is that of records."""
    merged = together(held)
    shown = len(merged) if everything or len(merged) <= FEW else EXAMPLES
    entries = [hold(one) for one in merged[:shown]]
    if len(merged) > shown:
        reasons = Counter(one.reason.replace("_", " ") for one in merged)
        spread = " · ".join(f"{reason} {number}" for reason, number in reasons.most_common())
        more = _more(len(merged) - shown, "truckroll holds")
        entries = [(spread, ""), *entries, (more, "")]
    _block(screen, "held", len({(one.ref, one.title) for one in held}), entries)


def together(held: Sequence[HoldView]) -> list[HoldView]:
    """Return holds with those of one record that say the same made one, its fields together."""
    found: dict[tuple[str, ...], HoldView] = {}
    for one in held:
        key = (one.ref, one.title, one.reason, one.detail, one.place)
        same = found.get(key)
        fields = f"{same.field}, {one.field}" if same else one.field
        found[key] = msgspec.structs.replace(one, field=fields)
    return list(found.values())


def hold(one: HoldView) -> Entry:
    """Return a hold as what to say: the record and the cause, and the next act."""
    known = one.place in one.detail or one.reason == "unreadable"  # its sentence has the place
    place = f" in {one.place}" if one.place and not known else ""
    field = f" ({one.field})" if one.field not in _WHOLE else ""
    said = f"{called(one.ref, one.title)}{field}{place}: {one.detail}"
    return said, f"→ {one.release}" if one.release else ""


def _step(step: StepView) -> Entry:
    who = f", {step.person}" if step.person else f", {step.place}"
    told = []
    if step.when and "when" not in step.fields:
        told.append(step.when)
    if step.op == "update":
        told += [_field(slot, field) for slot, field in step.fields.items()]
    elif step.when and not told:
        told.append(step.when)
    if step.reason and not (step.op == "create" and step.reason.startswith("new in")):
        told.append(f"({step.reason})")
    return called(step.ref, step.title) + who, "   ".join(told)


def _field(slot: str, field: FieldView) -> str:
    if "\n" in field.old or "\n" in field.new or len(field.old) + len(field.new) > 2 * _LONG:
        return _rewritten(slot, field)
    if slot == "when":
        return _arrow(field)
    if slot == "occurrences":
        return f"only these visits: {field.new}"
    if not field.old:
        return f"+ {slot} {field.new}"
    if not field.new:
        return f"- {slot} {field.old}"
    return f"{slot} {field.old} → {field.new}"


def _arrow(field: FieldView) -> str:
    """Return a move; a day that stays is said once."""
    old, new = _DAY.match(field.old), _DAY.match(field.new)
    same = old is not None and new is not None and old[1] == new[1] and "–" in new[2]
    return f"{field.old or 'no time'} → {new[2] if same and new else field.new or 'no time'}"


def _rewritten(slot: str, field: FieldView) -> str:
    """Return what came into a long text and what went, as far as that is short."""
    old, new = field.old.splitlines(), field.new.splitlines()
    came = [f"+ {line.strip()}" for line in new if line.strip() and line not in old]
    went = [f"- {line.strip()}" for line in old if line.strip() and line not in new]
    told = [line for line in (*went, *came) if len(line) <= _LONG]
    if not told or len(told) < len(came) + len(went) or len(told) > EXAMPLES:
        return f"{slot} rewritten"
    return "   ".join(line.replace(" ", "\xa0") for line in told)  # each in one piece


def _spread(group: Sequence[StepView]) -> str:
    """Say how many writes go where."""
    where = Counter(step.person or step.place for step in group)
    shown = " · ".join(f"{place} {number}" for place, number in where.most_common(FEW))
    more = len(where) - FEW
    return shown + (f" · {more} more" if more > 0 else "")


def _more(number: int, how: str) -> str:
    return f"… and {number:,} more:  {how}"


def _block(screen: Screen, word: str, number: int, entries: Sequence[Entry]) -> None:
    """Print entries beside their word and number; what does not fit goes on below."""
    lead = f"  {word:<8}{number:>5,}   "
    blank = " " * len(lead)
    for at, (said, more) in enumerate(entries):
        indent = lead if at == 0 else blank
        if len(lead) + len(said) + len(more) + len(GAP) <= screen.width:
            screen.line(f"{indent}{said}{GAP}{more}".replace("\xa0", " ").rstrip())
            continue
        screen.text(said, indent=indent, hang=f"{blank}  ")
        if more:
            screen.text(more, indent=f"{blank}  ", hang=f"{blank}    ")


def overlaps(screen: Screen, view: PassView) -> None:
    """Print who is booked twice."""
    entries = [(text, "") for text in view.overlaps[:FEW]]
    if len(view.overlaps) > FEW:
        entries.append((_more(len(view.overlaps) - FEW, "truckroll conflicts"), ""))
    _block(screen, "overlap", len(view.overlaps), entries)


def problems(screen: Screen, view: PassView) -> None:
    """Print what could not be read or signed in to, and which writes failed."""
    for text in (*view.problems, *view.failures):
        screen.text(text, indent=f"  {screen.sign(well=False)} ", hang="    ")


def first_matching(screen: Screen, view: PassView) -> None:
    """Print what a first run found there already."""
    told = []
    if view.found_again:
        differ = f", {view.differing:,} of them with differences" if view.differing else ""
        told.append(f"{view.found_again:,} found there already{differ}")
    if view.foreign:
        told.append(f"{count(view.foreign, 'other event')} there, left alone")
    if told:
        screen.text(" · ".join(told), indent="  ")


def notified(screen: Screen, view: PassView) -> None:
    """Say who would be mailed or texted."""
    whom = Counter(step.notifies for step in view.steps if step.notifies)
    if not whom:
        screen.line("  nobody will be mailed or texted")
    for text, number in whom.items():
        screen.text(f"{count(number, 'write')} may tell {text}", indent="  ")


def brakes(screen: Screen, view: PassView) -> None:
    """Say why a run stopped, and the two ways on."""
    written = view.writes if view.run is not None else 0
    for text in view.stops:
        screen.text(f"{stopped(written)}: {text}.", indent="  ", hang="  ")
    kept = f"What was written before stays; undo with  truckroll undo {view.run}"
    kept = kept if written else "Nothing was changed."
    screen.text(f"That looks like a bad read or a slip. {kept}", indent="  ")
    screen.line(
        f"  If it is right:  truckroll apply --these-deletes-are-right {view.confirm}"
        "     else:  truckroll doctor"
    )


def uncertain(screen: Screen, found: Sequence[Uncertain]) -> None:
    """Print whose times are uncertain."""
    for one in found:
        screen.text(one.says, indent=f"  {screen.sign(well=False)} ", hang="    ")
