"""Who is served next: round robin over tenants, with a cap for each tenant and account. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from truckroll.errands.ports import Errand, Work

EACH_TENANT = 8
EACH_ACCOUNT = 4


def fair(
    due: Sequence[Work],
    going: Sequence[Errand],
    accounts: Mapping[Errand, tuple[int, int]],
    *,
    each_tenant: int = EACH_TENANT,
    each_account: int = EACH_ACCOUNT,
) -> list[Errand]:
    """Return which of the due work is released now, in the order in which workers take it.

    One errand of each tenant in turn, the longest waiting tenant first, until each has as many
    going as the caps allow: a storm of one tenant is never more than one batch ahead of another.
    `accounts` tells the account of what is going, where that is known.
    """
    tenants = Counter(one.tenant for one in going)
    busy = Counter(accounts[one] for one in going if one in accounts)
    queues: dict[int, deque[Work]] = defaultdict(deque)
    for one in sorted(due, key=lambda work: (work.due_at, work.errand)):
        queues[one.errand.tenant].append(one)
    released: list[Errand] = []
    while queues:
        for tenant in list(queues):
            work: Work | None = _next(queues[tenant], busy, each_account)
            if work is None or tenants[tenant] >= each_tenant:
                del queues[tenant]
                continue
            tenants[tenant] += 1
            if work.account:
                busy[tenant, work.account] += 1
            released.append(work.errand)
    return released


def _next(queue: deque[Work], busy: Counter[tuple[int, int]], most: int) -> Work | None:
    """Take the first whose account has room; those of a full account wait for the next tick."""
    while queue:
        work = queue.popleft()
        if not work.account or busy[work.errand.tenant, work.account] < most:
            return work
    return None
