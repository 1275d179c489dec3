"""What the tests of cursors need: answers page by page, and what became of them."""

from datetime import UTC, datetime

from truckroll.kit.contract import Seen
from truckroll.kit.cursors import Reading

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
READING = Reading("Google", now=lambda: NOW)


def rows(*ids, version="1"):
    return tuple(Seen(str(one), {}, version=version) for one in ids)


async def everything(pages):
    found = [page async for page in pages]
    assert [page.last for page in found] == [False] * (len(found) - 1) + [True]
    return found


def ids(pages):
    return [item.id for page in pages for item in page.items]


def answers(pages):
    async def fetch(*key):
        key = key if len(key) > 1 else key[0]
        fetch.asked.append(key)
        got = pages[key]
        if isinstance(got, Exception):
            raise got
        return got

    fetch.asked = []
    return fetch


def later(by):
    return Reading("Google", now=lambda: NOW + by)
