"""What went wrong in a pass, told once for each cause, with what a person does next."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from truckroll.app.systems import connector
from truckroll.app.trouble import mended_by_sign_in
from truckroll.app.views import called
from truckroll.kit.errors import SignIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from truckroll.app.installed import Installed
    from truckroll.sync.job import Job, Report
    from truckroll.sync.types import Step

_FAILED = ("refused", "later", "unknown")
_FEW = 3  # writes that fail alike and are still told one by one


class Failures(NamedTuple):
    """Sentences: `problems` of scopes and accounts, `writes` of records.

    `number` counts what failed, each scope and write for itself.
    """

    problems: list[str]
    writes: list[str]
    number: int


def failures(
    installed: Installed,
    job: Job,
    report: Report,
    label: Callable[[int], str],
    *,
    beside_holds: bool,
) -> Failures:
    """Return what could not be read or written; `label` names scopes by row id.

    What stands `beside_holds` need not tell of a write that is held now: its hold does.
    """
    unread = _unread(installed, job, report, label)
    alike: dict[tuple[int, str], list[Step]] = defaultdict(list)
    for step, outcome in report.failures:
        if outcome.kind in _FAILED and not (beside_holds and "write" in outcome.holds):
            alike[step.account, outcome.says].append(step)
    number = sum(len(steps) for steps in alike.values())
    number += sum(bool(one.error) for one in report.scopes) + len(report.stopped_accounts)
    stopped = []
    for account, says in report.stopped_accounts.items():
        waits = len(alike.pop((account, says), ()))
        told = f"{_waiting(waits, job.hands[account].label)}: {says}" if waits else says
        out = account in report.signed_out
        stopped.append(mended_by_sign_in(told, _name(job, account)) if out else told)
    writes = []
    for (account, says), steps in alike.items():
        if len(steps) > _FEW:
            first = called(steps[0].ref, steps[0].title)
            where = job.hands[account].label
            writes.append(f"{len(steps)} writes to {where}, the first of them {first}: {says}")
        else:
            writes += [f"{called(s.ref, s.title)} in {label(s.scope)}: {says}" for s in steps]
    return Failures(unread + stopped, writes, number)


def _unread(
    installed: Installed, job: Job, report: Report, label: Callable[[int], str]
) -> list[str]:
    """Return a sentence for each scope that could not be read; one for all that say the same."""
    account_of = {scope.id: scope.account for scope in (*job.sources, *job.targets)}
    alike: dict[tuple[int, str, str], list[int]] = defaultdict(list)
    for one in report.scopes:
        if one.error:
            alike[account_of[one.scope], one.code, one.error].append(one.scope)
    told = []
    for (account, code, says), scopes in alike.items():
        where = label(scopes[0])
        if len(scopes) > 1:
            part = connector(installed.accounts[account].system).part
            where = f"{job.hands[account].label}, {len(scopes)} {part}s"
        text = f"{where[:1].upper()}{where[1:]}: {says}"
        told.append(mended_by_sign_in(text, _name(job, account)) if code == SignIn.code else text)
    return told


def _waiting(number: int, where: str) -> str:
    if number == 1:
        return f"1 change for {where} waits and is not lost"
    return f"{number:,} changes for {where} wait in order and nothing is lost"


def _name(job: Job, account: int) -> str:
    return job.hands[account].session.account
