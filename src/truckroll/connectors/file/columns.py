"""Which column holds what: the words that people use for columns, and a person's own mapping."""

import difflib
import re

import msgspec

from truckroll.kit.errors import GiveUp

# What a column can hold, with the names that people give it, best first. Names are compared
# without case, punctuation and underscores.
WORDS: dict[str, tuple[str, ...]] = {
    "key": ("key", "id", "record id", "uid", "appointment id", "job id", "visit id", "external id"),
    "number": (
        *("job number", "job no", "job nr", "job #", "work order number", "work order no"),
        *("appointment number", "visit number", "ticket number", "request number", "reference"),
        *("number", "no", "nr", "#", "ref", "job", "work order", "ticket", "order"),
    ),
    "title": ("title", "summary", "subject", "what", "appointment", "visit"),
    "start": (
        *("start", "starts", "starts at", "start at", "start date time", "start datetime"),
        *("scheduled start", "begin", "begins", "from", "start time", "time", "when"),
        *("scheduled", "scheduled for", "date time", "datetime"),
    ),
    "date": ("date", "day", "start date", "appointment date", "visit date", "scheduled date"),
    "end": (
        *("end", "ends", "ends at", "end at", "end date time", "end datetime", "scheduled end"),
        *("finish", "until", "to", "end time", "finish time"),
    ),
    "end_date": ("end date", "finish date", "last day"),
    "duration": ("duration", "minutes", "duration min", "duration minutes"),
    "all_day": ("all day", "allday", "whole day", "full day"),
    "zone": ("zone", "time zone", "timezone", "tz"),
    "rule": ("rule", "rrule", "recurrence", "repeats", "repeat", "recurrence rule"),
    "exceptions": ("exceptions", "exception", "occurrences", "exdate", "changed visits"),
    "status": ("status", "state", "job status", "appointment status"),
    "people": (
        *("technicians", "technician", "assigned", "assigned to", "assignee", "assignees"),
        *("people", "crew", "tech", "techs", "engineer", "engineers", "staff", "who"),
    ),
    "location": ("address", "location", "site address", "job address", "site", "where", "place"),
    "job_type": ("job type", "type", "work type", "service", "service type"),
    "materials": ("materials", "material", "parts", "required materials", "bring"),
    "notes": ("notes", "note", "description", "details", "comments", "comment", "instructions"),
    "customer": ("customer", "customer name", "client", "client name", "company", "account"),
    "contact": ("contact", "contact name", "site contact", "contact person"),
    "phone": ("phone", "telephone", "mobile", "phone number", "tel", "contact phone"),
    "mail": ("mail", "email", "e mail", "email address", "contact email", "mail address"),
    "busy": ("busy", "blocks calendar"),
    "private": ("private", "confidential"),
    "category": ("category", "label", "categories"),
    "link": ("link", "url", "web address"),
    "mark": ("truckroll", "truckroll mark"),
}
# A person's mapping may use the model's names too.
_ALIASES = {"id": "key", "occurrences": "exceptions", "technicians": "people"}
_BRACES = re.compile(r"\{([^{}]*)\}")


class Source(msgspec.Struct, frozen=True):
    """Where a value comes from: one column, several, or a text with columns in braces."""

    columns: tuple[int, ...]
    names: tuple[str, ...]
    template: str = ""

    @property
    def label(self) -> str:
        """The columns' names as they are shown in messages."""
        return " + ".join(self.names)

    @property
    def single(self) -> bool:
        """Whether one column holds the value itself, so that it can be written."""
        return len(self.columns) == 1 and not self.template


def layout(header: tuple[str, ...], mapping: str, key: str, file: str) -> dict[str, Source]:
    """Return the source of each thing that a table holds.

    `mapping` is a JSON object (our name → a column, a list of columns, a text with columns in
    braces, or null for none) that goes before the words; `key` names the key column. Without
    either the key is an id column, else the job number. Raises GiveUp with what to change.
    """
    found = _by_words(header)
    wanted: dict[str, object] = _mapping(mapping, file)
    if key.strip():
        wanted["key"] = key.strip()
    for name, value in wanted.items():
        if value in (None, "", []):
            found.pop(name, None)
        else:
            found[name] = _source(header, name, value, file)
    _settle(found)
    for name in ("key", "start"):
        if name not in found:
            raise GiveUp(
                f"{file} has no column that is known as its {_NEEDED[name]}; it has: "
                f"{', '.join(filter(None, header))}. Say which one it is in the account's "
                f'columns, as in {{"{name}": "{header[0]}"}}.'
            )
    _refuse_twins(header, found, file)
    return found


def _settle(found: dict[str, Source]) -> None:
    """Let columns stand in for each other: key and number, date and start."""
    if "key" not in found and "number" in found:
        found["key"] = found["number"]
    elif "key" in found:
        found.setdefault("number", found["key"])
    for slot, day in (("start", "date"), ("end", "end_date")):
        pair = found.get(slot)
        if pair and len(pair.columns) == 2 and not pair.template:  # noqa: PLR2004 -- day and time
            found[day] = Source(pair.columns[:1], pair.names[:1])
            found[slot] = Source(pair.columns[1:], pair.names[1:])
        elif pair is None and day in found:
            found[slot] = found.pop(day)


_NEEDED = {"key": "key (a job number that each row has once)", "start": "start"}


def _by_words(header: tuple[str, ...]) -> dict[str, Source]:
    plain: dict[str, int] = {}
    for index, name in enumerate(header):
        plain.setdefault(_plain(name), index)
    found: dict[str, Source] = {}
    for slot, words in WORDS.items():
        for word in words:
            index = plain.get(_plain(word), -1)
            if index >= 0 and not (word == "to" and "from" not in plain):
                found[slot] = Source((index,), (header[index],))
                break
    return found


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[^\w#]|_", " ", name.casefold()).split())


def _mapping(text: str, file: str) -> dict[str, object]:
    if not text.strip():
        return {}
    try:
        given = msgspec.json.decode(text, type=dict[str, str | list[str] | None])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise GiveUp(
            f'The columns of {file} are not written as {{"start": "Begin", "location": '
            '["Street", "City"]}; correct the account\'s columns.'
        ) from error
    known: dict[str, object] = {}
    for name, value in given.items():
        slot = _ALIASES.get(name, name)
        if slot not in WORDS:
            raise GiveUp(
                f'The columns of {file} name "{name}", which is nothing that a table can hold'
                f"{_near(name, tuple(WORDS))}. It can hold: {', '.join(WORDS)}."
            )
        known[slot] = value
    return known


def _source(header: tuple[str, ...], slot: str, value: object, file: str) -> Source:
    names = list(value) if isinstance(value, list) else [str(value)]
    template = ""
    if isinstance(value, str) and "{" in value and value not in header:
        template, names = value, _BRACES.findall(value)
    columns = tuple(_index(header, name, slot, file) for name in names)
    return Source(columns, tuple(header[index] for index in columns), template)


def _index(header: tuple[str, ...], name: str, slot: str, file: str) -> int:
    if name in header:
        return header.index(name)
    same = [index for index, one in enumerate(header) if _plain(one) == _plain(name)]
    if len(same) == 1:
        return same[0]
    raise GiveUp(
        f'{file} has no column "{name}", which the account names for {slot}'
        f"{_near(name, header)}. It has: {', '.join(filter(None, header))}."
    )


def _near(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def _refuse_twins(header: tuple[str, ...], found: dict[str, Source], file: str) -> None:
    for source in found.values():
        for name in source.names:
            if header.count(name) > 1:
                raise GiveUp(
                    f'{file} has two columns called "{name}", and it cannot be said which one '
                    "is meant; rename one of them."
                )
