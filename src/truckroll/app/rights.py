"""Rights: what somebody may do, as a small closed set, and the presets that people are given."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from truckroll.app.trouble import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Right(StrEnum):
    """One thing that somebody may do. A token's scopes are some of its member's rights."""

    SEE_RECORDS = "records.see"
    SEE_SETTINGS = "settings.see"
    SEE_INVOICES = "invoices.see"
    SEE_OWN = "own.see"
    PLAN = "plan"
    APPLY = "apply"
    UNDO = "undo"
    ANSWER_HOLDS = "holds.answer"
    DECIDE_BOOKINGS = "bookings.decide"
    MAP_PEOPLE = "people.map"
    CHANGE_RECIPES = "recipes.change"
    MANAGE_ACCOUNTS = "accounts.manage"
    CHANGE_TIMETABLE = "timetable.change"
    MANAGE_ALERTS = "alerts.manage"
    MANAGE_WEBHOOKS = "webhooks.manage"
    MANAGE_MEMBERS = "members.manage"
    MANAGE_TENANT = "tenant.manage"
    READ_AUDIT = "audit.read"


class Preset(StrEnum):
    """What somebody is, with the rights that this usually takes."""

    ADMINISTRATOR = "administrator"
    DISPATCHER = "dispatcher"
    CSR = "csr"
    MARKETING_MANAGER = "marketing-manager"
    PROJECT_MANAGER = "project-manager"
    OPERATIONS_MANAGER = "operations-manager"
    TECHNICIAN = "technician"
    CUSTOMER = "customer"
    PARTNER = "partner"
    INTEGRATOR = "integrator"
    AUDITOR = "auditor"


MEANS = MappingProxyType(
    {
        Right.SEE_RECORDS: "see records, their stories, what waits, double bookings, runs,"
        " freshness and alerts",
        Right.SEE_SETTINGS: "see accounts, their parts, recipes and the people map; no secrets",
        Right.SEE_INVOICES: "see invoices and prices",
        Right.SEE_OWN: "see what is theirs alone: a technician's visits, a customer's jobs",
        Right.PLAN: "ask what would be written",
        Right.APPLY: "let it be written now, take what is offered, and answer a brake",
        Right.UNDO: "take back what a run did",
        Right.ANSWER_HOLDS: "answer what waits",
        Right.DECIDE_BOOKINGS: "accept, decline and convert bookings",
        Right.MAP_PEOPLE: "say whose calendar is whose",
        Right.CHANGE_RECIPES: "install, set, roll back and remove recipes",
        Right.MANAGE_ACCOUNTS: "test accounts, sign in again by a link, renew subscriptions",
        Right.CHANGE_TIMETABLE: "say when what is read, and how old it may grow",
        Right.MANAGE_ALERTS: "silence alerts, and say who is told of them",
        Right.MANAGE_WEBHOOKS: "say which programs hear of events, and see what they heard",
        Right.MANAGE_MEMBERS: "add and remove members and tokens, with rights of their own at most",
        Right.MANAGE_TENANT: "rename the tenant",
        Right.READ_AUDIT: "read the audit log",
    }
)

ALL = frozenset(Right)
_OFFICE = frozenset({Right.SEE_RECORDS, Right.SEE_SETTINGS, Right.PLAN})
_DISPATCH = _OFFICE | {Right.APPLY, Right.UNDO, Right.ANSWER_HOLDS, Right.MAP_PEOPLE}

PRESETS: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        Preset.ADMINISTRATOR: ALL,
        Preset.DISPATCHER: _DISPATCH,
        Preset.CSR: _OFFICE | {Right.ANSWER_HOLDS, Right.DECIDE_BOOKINGS},
        Preset.MARKETING_MANAGER: _OFFICE | {Right.DECIDE_BOOKINGS},
        Preset.PROJECT_MANAGER: _OFFICE
        | {Right.APPLY, Right.ANSWER_HOLDS, Right.DECIDE_BOOKINGS, Right.SEE_INVOICES},
        Preset.OPERATIONS_MANAGER: _DISPATCH
        | {
            Right.DECIDE_BOOKINGS,
            Right.SEE_INVOICES,
            Right.CHANGE_RECIPES,
            Right.MANAGE_ACCOUNTS,
            Right.CHANGE_TIMETABLE,
            Right.MANAGE_ALERTS,
            Right.MANAGE_WEBHOOKS,
        },
        Preset.TECHNICIAN: frozenset({Right.SEE_OWN}),
        Preset.CUSTOMER: frozenset({Right.SEE_OWN}),
        Preset.PARTNER: frozenset({Right.SEE_OWN}),
        Preset.INTEGRATOR: _OFFICE
        | {
            Right.APPLY,
            Right.MAP_PEOPLE,
            Right.CHANGE_RECIPES,
            Right.MANAGE_ACCOUNTS,
            Right.CHANGE_TIMETABLE,
            Right.MANAGE_ALERTS,
            Right.MANAGE_WEBHOOKS,
        },
        Preset.AUDITOR: frozenset(
            {Right.SEE_RECORDS, Right.SEE_SETTINGS, Right.SEE_INVOICES, Right.READ_AUDIT}
        ),
    }
)


def rights_of(presets: Iterable[str]) -> frozenset[Right]:
    """Return the rights that presets give together; raises TroubleError for an unknown one."""
    found: frozenset[Right] = frozenset()
    for name in presets:
        if name not in PRESETS:
            raise known(name, list(PRESETS), "preset")
        found |= PRESETS[name]
    return found


def rights_named(words: Iterable[str]) -> frozenset[Right]:
    """Return rights by their names; raises TroubleError for an unknown one."""
    names = {str(one): one for one in Right}
    found = set()
    for word in words:
        if word not in names:
            raise known(word, list(names), "right")
        found.add(names[word])
    return frozenset(found)


def as_table() -> str:
    """Return who may do what as Markdown, for the documentation."""
    heads = ["right", "means", *PRESETS]
    lines = [heads, ["---"] * len(heads)]
    lines += [
        [f"`{right}`", MEANS[right], *("✓" if right in given else "" for given in PRESETS.values())]
        for right in Right
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
