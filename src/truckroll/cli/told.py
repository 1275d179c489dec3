"""How passes are told: steps, holds and brakes as lines."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from truckroll.cli.screen import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from truckroll.app.views import FieldView, HoldView, PassView, StepView
    from truckroll.cli.screen import Screen

FEW = 8
EXAMPLES = 3
_DAY = re.compile(r"(\w{3} \d{1,2} \w{3}) (.+)", re.DOTALL)
_LONG = 60


def steps(screen: Screen, view: PassView, *, everything: bool = False) -> None:
    """Print the steps by operation: how many, and what the first ones are."""
    groups: dict[str, list[StepView]] = defaultdict(list)
    for step in view.steps:
        groups[step.op].append(step)
    for op, group in groups.items():
        lines = [_step(one) for one in group]
        shown = len(lines) if everything or len(lines) <= FEW else EXAMPLES
        if len(lines) > shown:
            lines = [_spread(group), *lines[:shown], _more(len(lines) - shown, "--all")]
        _block(screen, op, len(group), lines)


def holds(screen: Screen, held: Sequence[HoldView], *, everything: bool = False) -> None:
    """Print what waits, each with what would release it."""
    if not held:
        return
    shown = len(held) if everything or len(held) <= FEW else EXAMPLES
    lines = [hold(one) for one in held[:shown]]
    if len(held) > shown:
        reasons = Counter(_words(one.reason) for one in held)
        spread = " · ".join(f"{reason} {number}" for reason, number in reasons.most_common())
        lines = [spread, *lines, _more(len(held) - shown, "truckroll holds")]
    _block(screen, "held", len(held), lines)


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def hold(one: HoldView) -> str:
    """Return a hold as a line: the record, the cause, and the next act."""
    known = one.place in one.detail or one.reason == "unreadable"  # its sentence has the place
    place = f" in {one.place}" if one.place and not known else ""
    field = f" ({one.field})" if one.field not in ("", "existence", "write", "when") else ""
    release = f"   → {one.release}" if one.release else ""
    return f"{name(one.ref, one.title)}{field}{place}: {one.detail}{release}"


def name(ref: str, title: str) -> str:
    """Return what people call a record; many titles begin with the number already."""
    if not title or title == ref:
        return ref
    return title if not ref or title.startswith(ref) else f"{ref} {title}"


def _step(step: StepView) -> str:
    who = f", {step.person}" if step.person else f", {step.place}"
    told = [name(step.ref, step.title) + who]
    if step.op == "update":
        told += [_field(slot, field) for slot, field in step.fields.items()]
        if "when" not in step.fields and step.when:
            told.insert(1, step.when)
    elif step.when:
        told.append(step.when)
    plain = step.op == "create" and step.reason.startswith("new in")
    return "   ".join(told) + ("" if plain or not step.reason else f"   ({step.reason})")


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
    return "   ".join(told)


def _spread(group: Sequence[StepView]) -> str:
    """Say how many writes go where."""
    where = Counter(step.person or step.place for step in group)
    shown = " · ".join(f"{place} {number}" for place, number in where.most_common(FEW))
    more = len(where) - FEW
    return shown + (f" · {more} more" if more > 0 else "")


def _more(number: int, how: str) -> str:
    return f"… and {number:,} more:  {how}"


def _block(screen: Screen, word: str, number: int, lines: Sequence[str]) -> None:
    lead = f"  {word:<8}{number:>5,}   "
    blank = " " * len(lead)
    for at, line in enumerate(lines):
        indent = lead if at == 0 else blank
        screen.text(line, indent=indent, hang=f"{blank}  ")


def overlaps(screen: Screen, view: PassView) -> None:
    """Print who is booked twice."""
    lines = [*view.overlaps[:FEW]]
    if len(view.overlaps) > FEW:
        lines.append(_more(len(view.overlaps) - FEW, "truckroll conflicts"))
    if lines:
        _block(screen, "overlap", len(view.overlaps), lines)


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
    for text in view.stops:
        screen.text(f"stopped before writing: {text}.", indent="  ", hang="  ")
    screen.text("That looks like a bad read or a slip. Nothing was changed.", indent="  ")
    screen.line(
        f"  If it is right:  truckroll apply --these-deletes-are-right {view.confirm}"
        "     else:  truckroll doctor"
    )
