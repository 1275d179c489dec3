"""The reasons for alarms: pure rules over what is known at an instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from truckroll.app.freshness import WINDOW, AccountFresh, ago, count, length
from truckroll.app.views import stopped
from truckroll.store.alerts import Finding
from truckroll.store.watch import LastRun
from truckroll.store.webhooks import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


IDLE = timedelta(days=40)  # well before the sign-ins end that end by not being used
SAID_LATELY = timedelta(days=7)  # a system that says nothing of its end any more has none
_CERTAIN = timedelta(minutes=4)  # a system that answered so lately is not wholly silent
_CALLS = 5  # fewer say nothing about a rate
_HALF = 0.5
_NAMED = 3


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules look at. `open` says since when alerts are open, by code and subject."""

    now: datetime
    accounts: Sequence[AccountFresh]
    runs: Sequence[LastRun] = ()
    endpoints: Sequence[Endpoint] = ()
    channels: Mapping[str, str] = {}
    open: Mapping[tuple[str, str], datetime] = {}


def findings(facts: Facts) -> list[Finding]:
    """Return every reason for an alert there is. Each cause is told once, not per consequence."""
    found = [*_signed_out(facts), *_down(facts)]
    explained = {one.about for one in found}
    quiet = {
        one.name
        for one in facts.accounts
        if one.name in explained or f"system {one.system}" in explained
    }
    found += [one for account in facts.accounts for one in _of_account(account, facts, quiet)]
    found += [one for run in facts.runs for one in _of_run(run)]
    found += [_paused(one) for one in facts.endpoints if one.paused_at is not None]
    found += [
        Finding(
            "channel_failing",
            name,
            f"Alerts cannot be sent over “{name}”: {problem}",
            f"truckroll alerts test {name}",
        )
        for name, problem in facts.channels.items()
    ]
    return found


def _signed_out(facts: Facts) -> Iterator[Finding]:
    for account in facts.accounts:
        if account.needs("sign_in"):
            yield Finding(
                "sign_in",
                account.name,
                f"{account.title} does not accept the sign-in of “{account.name}” any more. What "
                "is to be read and written there waits in order, and nothing is lost.",
                f"truckroll account sign-in {account.name}",
            )


def _down(facts: Facts) -> Iterator[Finding]:
    """Find systems that fail: by the rate of answers over all accounts, else account by account."""
    by_system: dict[str, list[AccountFresh]] = defaultdict(list)
    for account in facts.accounts:
        by_system[account.system].append(account)
    for system, accounts in sorted(by_system.items()):
        about = f"system {system}"
        if _failing(accounts, facts, about):
            yield _unanswered(about, accounts[0].title, accounts)
            continue
        for account in accounts:
            if len(accounts) > 1 and _failing([account], facts, account.name):
                title = f"{account.title} “{account.name}”"
                yield _unanswered(account.name, title, [account])


def _failing(accounts: Sequence[AccountFresh], facts: Facts, about: str) -> bool:
    """Tell whether calls fail: most of them, or all since the last answer.

    One that was found failing stays so until it answers: nobody may have called it meanwhile.
    """
    watches = [one.watch for one in accounts]
    answered, failed = sum(one.answered for one in watches), sum(one.failed for one in watches)
    first = min((one.first_failed for one in watches if one.first_failed), default=None)
    last = max((one.last_failed for one in watches if one.last_failed), default=None)
    heard = max((one.last_answered for one in watches if one.last_answered), default=None)
    if first is None or last is None:
        since = facts.open.get(("system_down", about))
        return since is not None and all(
            one.answered_at is None or one.answered_at < since for one in watches
        )
    if answered + failed >= _CALLS and answered < _HALF * (answered + failed):
        return True
    silent = heard is None or heard < first or facts.now - heard >= _CERTAIN
    return silent and failed > 1 and last > first


def _unanswered(about: str, title: str, accounts: Sequence[AccountFresh]) -> Finding:
    answered = sum(one.watch.answered for one in accounts)
    calls = answered + sum(one.watch.failed for one in accounts)
    rate = f"{answered} of {count(calls, 'call')} in the last {length(WINDOW.total_seconds())}"
    what = f"{title} answered {rate}" if calls else f"{title} has not answered since it failed"
    return Finding(
        "system_down",
        about,
        f"{what}. What is to be read and written there waits, nothing is lost, and all of it "
        "follows by itself once it answers; what is shown of it may be old meanwhile.",
        "truckroll top",
    )


def _of_account(account: AccountFresh, facts: Facts, quiet: set[str]) -> Iterator[Finding]:
    if account.late and account.name not in quiet:
        yield _late(account)
    for scope in account.scopes:
        if scope.emptied:
            yield Finding(
                "emptied",
                f"{account.name} {scope.scope}",
                f"{account.title} “{account.name}”: {scope.label} shows nothing any more, where "
                f"{count(scope.emptied, 'record')} were. That looks like a bad read, or somebody "
                "emptied it. Look there before you let anything follow.",
                "truckroll plan",
            )
    yield from _ending(account, facts)


def _late(account: AccountFresh) -> Finding:
    late = account.late
    worst = account.oldest
    assert worst is not None
    names = ", ".join(one.label for one in late[:_NAMED])
    names += f" and {len(late) - _NAMED} more" if len(late) > _NAMED else ""
    promise = f"promise {length(account.promise_seconds)}"
    age = "never" if worst.age_seconds is None else ago(worst.age_seconds)
    if all(one.stopped for one in late):
        why = "nothing has even tried to read it, so its read was set going again"
    else:
        why = account.trouble or "its reads do not come to their end"
    return Finding(
        "late",
        account.name,
        f"{account.title} “{account.name}”, {names}: last complete read {age}, {promise}: "
        f"{why.rstrip('.')}.",
        f"truckroll account test {account.name}",
    )


def _ending(account: AccountFresh, facts: Facts) -> Iterator[Finding]:
    watch = account.watch
    seen = [watch.added_at, *filter(None, (watch.answered_at,))]
    tried = [one.tried_seconds for one in account.scopes if one.tried_seconds is not None]
    seen += [facts.now - timedelta(seconds=one) for one in tried]
    if facts.now - max(seen) > IDLE:
        yield Finding(
            "idle",
            account.name,
            f"Nothing has been asked of {account.title} “{account.name}” for "
            f"{length((facts.now - max(seen)).total_seconds())}. Many systems end a sign-in that "
            "is not used. A test keeps it alive; one that nobody needs is better removed.",
            f"truckroll account test {account.name}",
        )
    told = watch.end_told_at
    if told is None or facts.now - told > SAID_LATELY:
        return
    if watch.sunset_at is not None:
        over = "ended" if watch.sunset_at <= facts.now else "ends"
        when = f"{over} on {_day(watch.sunset_at)}"
    else:
        when = f"is deprecated since {_day(watch.deprecated_at or told)}"
    more = f" It says more at {watch.more}." if watch.more else ""
    yield Finding(
        "retiring",
        account.name,
        f"{account.title} says to “{account.name}” that what Truckroll calls there {when}.{more} "
        "A newer version of Truckroll may know what comes after it.",
    )


def _of_run(run: LastRun) -> Iterator[Finding]:
    if run.summary is None:
        yield Finding(
            "run_failed",
            run.recipe,
            f"Run {run.run} of {run.recipe} broke off before its end. What was written stays "
            "written, and the next run goes on from there.",
            "truckroll runs",
        )
    elif stops := run.summary.get("stopped"):
        yield Finding(
            "stopped",
            run.recipe,
            f"{run.recipe} {stopped(run.summary.get('writes', 0))}: {stops[0]}",
            f"truckroll plan {run.recipe}",
        )


def _paused(endpoint: Endpoint) -> Finding:
    host = urlsplit(endpoint.url).hostname or "its receiver"
    return Finding(
        "webhook_paused",
        str(endpoint.id),
        f"Webhook {endpoint.id} to {host} is paused: {endpoint.paused_why} Its events wait.",
        f"truckroll webhooks resume {endpoint.id}",
    )


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"
