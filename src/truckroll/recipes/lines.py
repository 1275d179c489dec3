"""From the lines of a recipe to functions: how each field of a side is made and read back."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from truckroll.model.records import (
    Address,
    Contact,
    Fields,
    Kind,
    Occurrence,
    Occurrences,
    Value,
    same,
)
from truckroll.recipes import templates
from truckroll.recipes.mirror import Itself, Line, Masked, Problem, as_it_is
from truckroll.recipes.schema import FieldRule, MirrorRule, ValueMap
from truckroll.recipes.values import backward, forward, reversible

Render = Callable[[Fields], Value | Problem]
Step = Callable[[Value], Value | Problem]

BUSY = "Busy"

# What a private record shows of itself: that somebody is busy, when, and whether it still is on.
SHOWN_OF_PRIVATE = frozenset({"when", "occurrences", "status", "busy", "private", "people"})


def source_lines(
    rule: MirrorRule, kind: Kind, maps: Mapping[str, ValueMap], recipe: str
) -> tuple[Line, ...]:
    """Return the source's lines: each field as it is, or through its map. All of them speak."""
    lines = []
    for field in kind.fields:
        line = Line(field, (field,), Itself(field), as_it_is, speaks=True)
        if name := rule.source_maps.get(field):
            table = maps[name]
            line = replace(
                line,
                render=_then(line.render, (backward(table, field),)),
                invert=forward(table, field, recipe),
            )
        lines.append(line)
    return tuple(lines)


def hearing_private(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return the target's lines with one that hears its mark of privacy, whatever the recipe says.

    Where records or edits travel back, a private one must be known before its content is.
    """
    mark = Line("private", ("private",), Itself("private"), as_it_is, speaks=True)
    return (*(line for line in lines if line.slot != "private"), mark)


def target_lines(
    rules: tuple[tuple[FieldRule, str, tuple[Step, ...]], ...],
    kind: Kind,
    maps: Mapping[str, ValueMap],
    recipe: str,
    *,
    busy_only: bool,
) -> tuple[Line, ...]:
    """Return the target's lines.

    Each rule comes with its `both` as chosen and its transforms ready to call. With `busy_only`
    a private record shows nothing but when it is; this is part of every line that carries
    content, so that a change of the mark alone changes what the target needs.
    """
    lines = []
    for rule, both, steps in rules:
        line = _line(rule, kind, both, steps, maps, recipe)
        wanted = kind.types.get(rule.target, (str,))
        if Address in wanted or Contact in wanted:
            line = replace(line, render=_then(line.render, (partial(_fit, wanted),)))
        lines.append(_masked(line) if busy_only else line)
    return tuple(
        _per_visit(line, lines, busy_only=busy_only) if _exceptions(line) else line
        for line in lines
    )


def _line(
    rule: FieldRule,
    kind: Kind,
    both: str,
    steps: tuple[Step, ...],
    maps: Mapping[str, ValueMap],
    recipe: str,
) -> Line:
    if rule.text:
        template = templates.parse(rule.text)
        return Line(rule.target, template.inputs, _then(partial(_text, template), steps))
    if not rule.source:
        # A fixed value is known as soon as anything is known of the record.
        return Line(rule.target, tuple(kind.fields), lambda _: rule.value)
    render: Render = Itself(rule.source)
    invert: Step | None = as_it_is if rule.source == rule.target and not steps else None
    if rule.map:
        table = maps[rule.map]
        render = _then(render, (forward(table, rule.source, recipe),))
        invert = backward(table, rule.source) if invert and reversible(table) else None
    # What can be read back is, even where it does not speak: a person may accept it.
    return Line(rule.target, (rule.source,), _then(render, steps), invert, both != "never")


def _then(render: Render, steps: tuple[Step, ...]) -> Render:
    """Return a rendering followed by steps; unknown values and problems pass them by."""
    if not steps:
        return render

    def through(fields: Fields) -> Value | Problem:
        value = render(fields)
        for step in steps:
            if value is None or isinstance(value, Problem):
                return value
            value = step(value)
        return value

    return through


def _text(template: templates.Template, fields: Fields) -> Value:
    """Return the template's text; without any content it is cleared only if a field was."""
    text = template.fill(fields)
    if text or any(fields.get(name) is not None for name in template.inputs):
        return text
    return None


def _fit(wanted: tuple[Any, ...], value: Value) -> Value:
    """Return a text as the address or contact that the target's field holds."""
    if isinstance(value, str) and value and Address in wanted:
        return Address(text=value)
    if isinstance(value, str) and value and Contact in wanted:
        return Contact(name=value)
    return value


def _masked(line: Line) -> Line:
    if line.slot in SHOWN_OF_PRIVATE:
        return line
    # Empty, not unknown: what was copied before the record became private is taken out again.
    masked = Masked(line.render, BUSY if line.slot == "title" else "")
    return replace(line, inputs=tuple(dict.fromkeys((*line.inputs, "private"))), render=masked)


def _exceptions(line: Line) -> bool:
    return line.slot == "occurrences" and line.inputs[:1] == ("occurrences",)


def _per_visit(line: Line, lines: list[Line], *, busy_only: bool) -> Line:
    """Return the line for a series' exceptions: each changed visit goes through all other lines.

    A visit whose customer is another shows another title at the target. Read back, a visit keeps
    what two-way lines say of it.
    """
    others = tuple(one for one in lines if one.slot != "occurrences")
    made = (one for one in others if one.inputs != (one.slot,))
    inputs = dict.fromkeys(("occurrences", *(name for one in made for name in one.inputs)))
    if busy_only:
        inputs["private"] = None
    speaking = {one.slot: one.invert for one in others if one.speaks and one.invert}
    if not line.speaks:  # a person accepts what is there, all of it
        speaking = {one.slot: one.invert for one in others if one.invert}

    def render(fields: Fields) -> Value | Problem:
        value = fields.get("occurrences")
        if not isinstance(value, Occurrences):
            return value
        visits = {start: _shown(one, fields, others) for start, one in value.by_start.items()}
        return _said(visits)

    def invert(value: Value) -> Value | Problem:
        visits = {start: _readable(one, speaking) for start, one in _by_start(value).items()}
        return _said(visits) if isinstance(value, Occurrences) else value

    def patch(shown: Value, base: Value, agreed: Value) -> Value | Problem:
        now, before, known = _by_start(shown), _by_start(base), dict(_by_start(agreed))
        for start in now.keys() | before.keys():
            old, new = before.get(start, _AS_USUAL), now.get(start, _AS_USUAL)
            visit = _heard(start, new, old, known.get(start, _AS_USUAL), speaking)
            if isinstance(visit, Problem):
                return visit
            known[start] = visit
        return _said(known)

    if line.invert is None:
        return replace(line, inputs=tuple(inputs), render=render)
    return replace(line, inputs=tuple(inputs), render=render, invert=invert, patch=patch)


_AS_USUAL = Occurrence()


def _by_start(value: Value) -> Mapping[str, Occurrence]:
    return value.by_start if isinstance(value, Occurrences) else {}


def _said(visits: Mapping[str, Occurrence]) -> Occurrences:
    """Return exceptions in order; a visit that differs in nothing is none."""
    kept = {start: one for start, one in visits.items() if one.cancelled or one.fields}
    return Occurrences(dict(sorted(kept.items())))


def _shown(one: Occurrence, fields: Fields, others: tuple[Line, ...]) -> Occurrence:
    """Return a changed visit in the target's fields: those that differ from the series there."""
    whole = {**fields, **one.fields}
    shown: dict[str, Value] = {}
    for line in others:
        if not one.fields.keys() & set(line.inputs):
            continue
        value, usual = line.render(whole), line.render(fields)
        if isinstance(value, Problem) or (not isinstance(usual, Problem) and same(value, usual)):
            continue
        shown[line.slot] = value
    return Occurrence(cancelled=one.cancelled, fields=shown)


def _readable(one: Occurrence, speaking: Mapping[str, Step]) -> Occurrence:
    """Return of a visit what can be read back; the rest is nobody's word."""
    fields = {slot: speaking[slot](value) for slot, value in one.fields.items() if slot in speaking}
    kept = {slot: value for slot, value in fields.items() if not isinstance(value, Problem)}
    return Occurrence(cancelled=one.cancelled, fields=kept)


def _heard(
    start: str,
    new: Occurrence,
    old: Occurrence,
    known: Occurrence,
    speaking: Mapping[str, Step],
) -> Occurrence | Problem:
    """Return what is known of a visit after an edit at the target; the rest of it is kept."""
    fields = dict(known.fields)
    for slot in new.fields.keys() | old.fields.keys():
        if slot in new.fields and slot in old.fields and same(new.fields[slot], old.fields[slot]):
            continue
        if slot not in speaking:
            detail = f"the {slot} of the visit of {start[:10]} was changed by hand"
            return Problem("drift", detail, "say whether to restore or to keep it")
        if slot not in new.fields:
            fields.pop(slot, None)
            continue
        value = speaking[slot](new.fields[slot])
        if isinstance(value, Problem):
            return value
        fields[slot] = value
    cancelled = known.cancelled if new.cancelled == old.cancelled else new.cancelled
    return Occurrence(cancelled=cancelled, fields=fields)
