"""How an account fares with its system: answering, paused, down, or waiting for a sign-in.

Pure transitions of one small value, which all processes share: where the store keeps it, it runs
these same functions on the locked row.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

# So many attempts in a row without an answer, over so long a time, open the breaker: with a third
# of all calls failing (F32) that happens once in 170,000, and a moment's hiccup does not do it.
IN_A_ROW = 10
_AT_LEAST = timedelta(seconds=10)
# Two failures so close to each other make a system shaky, for so long.
_CLOSE, _SHAKY = timedelta(minutes=5), timedelta(minutes=15)
_DOWN_SECONDS, _DOWN_CAP_SECONDS = 15.0, 300.0
_SIGN_IN_SECONDS, _SIGN_IN_CAP_SECONDS = 30.0, 3600.0
_MEANWHILE = timedelta(seconds=1)
# A probe that its process does not live to tell of is given up after longer than any attempt.
_PROBE = timedelta(seconds=150)
_SOON_SECONDS = 0.5
_LONGEST = timedelta(hours=24)

State = Literal["", "down", "sign_in"]
Why = Literal["", "paused", "down", "sign_in"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account for all processes; instants are aware UTC.

    `failures` counts attempts in a row that got no answer, since `failing_since`. A `state` other
    than "" began at `since`; nothing is asked before `until`, and then by one probe, which may be
    out until `probe_until`. `trips` is how often in a row it was found so; `says` is for people.
    Until `shaky_until` failures, of which the last was at `failed_at`, are to be reckoned with.
    """

    paused_until: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    state: State = ""
    since: datetime | None = None
    until: datetime | None = None
    trips: int = 0
    probe_until: datetime | None = None
    says: str = ""
    failed_at: datetime | None = None
    shaky_until: datetime | None = None


class Verdict(NamedTuple):
    """Whether an attempt may go out: after `wait` seconds (0: now), `why` not yet.

    With `probe` it may go out as the breaker's probe; `probing` says that one is out, of which
    more is known soon.
    """

    wait: float = 0.0
    why: Why = ""
    probe: bool = False
    probing: bool = False


def verdict(health: Health, at: datetime) -> Verdict:
    """Return whether an attempt may go out; one that may only as the `probe` is to claim it."""
    if health.paused_until is not None and health.paused_until > at:
        return Verdict(_seconds(health.paused_until, at), "paused")
    if not health.state:
        return Verdict()
    if health.until is not None and health.until > at:
        return Verdict(_seconds(health.until, at), health.state)
    if health.probe_until is not None and health.probe_until > at:
        wait = min(_seconds(health.probe_until, at), _SOON_SECONDS)
        return Verdict(wait, health.state, probing=True)
    return Verdict(probe=True)


def shaky(health: Health, at: datetime) -> bool:
    """Tell whether a system has failures that are to be reckoned with."""
    return health.shaky_until is not None and health.shaky_until > at


def _seconds(until: datetime, at: datetime) -> float:
    return (until - at).total_seconds()


def probing(health: Health, at: datetime) -> Health:
    """Claim the probe, where it is free."""
    if not verdict(health, at).probe:
        return health
    return msgspec.structs.replace(health, probe_until=at + _PROBE)


def released(health: Health, _at: datetime) -> Health:
    """Give the probe back without a finding."""
    return msgspec.structs.replace(health, probe_until=None)


def paused(health: Health, at: datetime, *, seconds: float) -> Health:
    """Hold everything for so long, at most a day; never shortens a pause."""
    until = at + min(timedelta(seconds=seconds), _LONGEST * 1.1)
    if health.paused_until is not None and health.paused_until >= until:
        return health
    return msgspec.structs.replace(health, paused_until=until)


def failed(health: Health, at: datetime, *, says: str = "", probe: bool = False) -> Health:
    """Count an attempt without an answer; open the breaker after many, or after a probe's."""
    count, began = health.failures + 1, health.failing_since or at
    again = health.failed_at is not None and at - health.failed_at <= _CLOSE
    counted = msgspec.structs.replace(
        health,
        failures=count,
        failing_since=began,
        failed_at=at,
        shaky_until=at + _SHAKY if again else health.shaky_until,
    )
    if health.state == "" and count >= IN_A_ROW and at - began >= _AT_LEAST:
        return _stopped(counted, at, "down", says)
    if health.state and probe:
        return _stopped(counted, at, health.state, says if health.state == "down" else "")
    return counted


def signed_out(health: Health, at: datetime, *, says: str) -> Health:
    """Note that a person must sign in; what was out meanwhile adds nothing to it.

    The first time it is tried again at once, for some refuse a sign-in by mistake.
    """
    if health.state == "sign_in" and health.until is not None and health.since is not None:
        if health.until > at or at - health.since < _MEANWHILE:
            return health
        return _stopped(health, at, "sign_in", says)
    return msgspec.structs.replace(_stopped(health, at, "sign_in", says), until=at, trips=0)


def well(health: Health, _at: datetime, *, probe: bool = False) -> Health:
    """Note an answer. Only a probe's closes the breaker: others may have been asked before."""
    if health.state and not probe:
        return health
    return Health(
        paused_until=health.paused_until,
        failed_at=health.failed_at,
        shaky_until=health.shaky_until,
    )


def forgiven(health: Health, at: datetime) -> Health:
    """Let one attempt go out now, since a person asks for it; what the system asked for stands."""
    return msgspec.structs.replace(health, probe_until=None, until=at if health.state else None)


def _stopped(health: Health, at: datetime, state: State, says: str) -> Health:
    again = health.state == state
    trips = health.trips + 1 if again else 1
    first, cap = (
        (_DOWN_SECONDS, _DOWN_CAP_SECONDS)
        if state == "down"
        else (_SIGN_IN_SECONDS, _SIGN_IN_CAP_SECONDS)
    )
    return msgspec.structs.replace(
        health,
        state=state,
        since=health.since if again else at,
        until=at + timedelta(seconds=min(cap, first * 2.0 ** min(trips - 1, 16))),
        trips=trips,
        probe_until=None,
        says=says or health.says,
    )
