"""How often a scope is read where nobody said how often."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truckroll.kit.contract import Connector

POLL = timedelta(minutes=5)  # where its connector says nothing
PUSHED = timedelta(minutes=15)  # where its system tells of changes by itself
_SHARE = 0.25  # of an account's rate that looking for changes may take


def interval(
    speaks: Connector, settings: Mapping[str, str], scopes: int, *, pushed: bool
) -> timedelta:
    """Return after how long a scope is read again.

    That is what its connector says, or longer where the account's `scopes` together would take
    more than a quarter of its rate, one call each. `pushed` says that a live subscription tells
    of its changes: then reading only finds what no push told.
    """
    usual = speaks.poll or POLL
    if pushed:
        usual = max(usual, PUSHED)
    # The limit of each person counts for the whole account only where that is one person's.
    rates = [
        one.amount / one.per_seconds
        for one in speaks.transport(settings).pace.all_limits()
        if one.of != "user" or speaks.who is not None
    ]
    if not rates:
        return usual
    return max(usual, timedelta(seconds=round(scopes / (_SHARE * min(rates)))))


def longest(speaks: Connector) -> timedelta:
    """Return the longest time between two reads of a scope that its system may come to."""
    usual = speaks.poll or POLL
    told = speaks.push is not None and speaks.push.subscribe is not None
    return max(usual, PUSHED) if told else usual
