"""Several processes of the hub on one database, which begin at the same time."""

import asyncio
import multiprocessing
import time
from datetime import UTC, datetime

from truckroll.kit.auth import OAuth2, OAuthApp, Tokens
from truckroll.kit.pace import REAL_TIME, Limit, Pace
from truckroll.store.open import open_store

PATIENCE_SECONDS = 60
OLD = Tokens("", "r0", datetime(2000, 1, 1, tzinfo=UTC))
FAST = Pace(concurrency=20, limits=(Limit(40, 1),))


def app_at(url):
    return OAuthApp("Jobber", url, "me", "secret", private=True)


async def renew(store, account, url):
    """Sign in with the account's tokens; answers the header."""
    auth = OAuth2(app_at(url), OLD, grants=store.grants(account))
    return (await auth.headers())["Authorization"]


async def draw(store, account, seconds):
    """Use as much of the account's budget as there is; answers when."""
    gate = store.gate(account, "toy", FAST, REAL_TIME)
    at, until = [], time.monotonic() + seconds

    async def work():
        while time.monotonic() < until:
            async with gate.turn():
                at.append(time.time())

    await asyncio.gather(*(work() for _ in range(3)))
    return at


def _process(what, url, home, args, ready, go, answers):
    async def run():
        async with open_store(url, home) as store:
            ready.release()
            await asyncio.to_thread(go.wait, PATIENCE_SECONDS)
            return await what(store, *args)

    answers.put(asyncio.run(run()))


async def at_once(count, what, url, home, *args):
    """Let so many processes do it, from the same moment on; returns their answers."""
    context = multiprocessing.get_context("spawn")
    ready, go, answers = context.Semaphore(0), context.Event(), context.Queue()
    given = (what, url, home, args, ready, go, answers)
    processes = [context.Process(target=_process, args=given) for _ in range(count)]
    for one in processes:
        one.start()
    try:
        for _ in processes:
            assert await asyncio.to_thread(ready.acquire, timeout=PATIENCE_SECONDS)
        go.set()
        return [await asyncio.to_thread(answers.get, timeout=30) for _ in processes]
    finally:
        for one in processes:
            await asyncio.to_thread(one.join, 10)
            one.kill()
            one.join()
            one.close()
        answers.close()
        answers.join_thread()
