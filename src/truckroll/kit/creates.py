"""Creates that happen once, whatever becomes of the answer.

Which way is right is declared by the resource (`Authority`): a client id or a mark is looked up
before anything is sent again; a create key or an upsert may be sent again as it is; what has
neither is sent once and its doubt handed on.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid5

from truckroll.kit.contract import Item, Missing, Reply, Seen
from truckroll.kit.errors import Gone, OutcomeUnknown, Replan, VendorError
from truckroll.kit.pace import REAL_TIME, Timing, backoff

Create = Callable[[], Awaitable[Reply]]
LookUp = Callable[[], Awaitable[Item | None]]

_TRIES = 3
_KEYS = UUID("6f1c8f0e-6f0c-5b0e-9a53-0d4f6f7e2b11")
BASE32HEX = "0123456789abcdefghijklmnopqrstuv"


async def repeated(create: Create, *, tries: int = _TRIES, timing: Timing = REAL_TIME) -> Reply:
    """Send a create that the system itself makes repeat-safe: create key or external-id upsert.

    After OutcomeUnknown the same request goes out again, up to `tries` times in all; the last
    doubt is raised.
    """
    for attempt in range(1, tries):
        try:
            return await create()
        except OutcomeUnknown:
            await timing.sleep(backoff(attempt, timing.chance()))
    return await create()


async def looked_up(
    create: Create,
    find: LookUp,
    *,
    lag: timedelta = timedelta(0),
    patience: timedelta = timedelta(seconds=5),
    replay: bool = False,
    tries: int = _TRIES,
    timing: Timing = REAL_TIME,
) -> Reply:
    """Send a create whose record can be found again, by the client's id or by a mark.

    After OutcomeUnknown, and where the system says that the id is taken (Replan), `find` looks
    for it: what is found is the reply. Nothing found is believed only after the listing's `lag`:
    one within `patience` is waited for, then the create goes out again; a longer one leaves the
    doubt to the caller. `replay` says that the create may have gone out before (after a crash):
    it is looked for first. A look-up that fails leaves the doubt as it was.
    """
    if replay and (found := await find()) is not None and not isinstance(found, Missing):
        return _reply(found)
    for attempt in range(1, tries + 1):
        try:
            return await create()
        except (OutcomeUnknown, Replan) as doubt:
            if lag <= patience and lag > timedelta(0):
                await timing.sleep(lag.total_seconds())
            found = await _after_doubt(find, doubt)
            if found is not None:
                return _reply(found)
            last = attempt == tries
            if last or lag > patience or isinstance(doubt, Replan):
                raise
    raise AssertionError  # the last attempt returns or raises


async def _after_doubt(find: LookUp, doubt: VendorError) -> Item | None:
    try:
        found = await find()
    except Gone:
        return None
    except VendorError:
        raise doubt from None
    return None if isinstance(found, Missing) else found


def _reply(found: Item) -> Reply:
    return Reply(found.id, found if isinstance(found, Seen) else None)


def key_uuid(key: str) -> str:
    """Return a UUID for a create key, always the same (Graph `transactionId`)."""
    return str(uuid5(_KEYS, key))


def key_id(key: str, *, alphabet: str = BASE32HEX, length: int = 26) -> str:
    """Return a record id for a create key, always the same, in letters that a system takes.

    The default suits Google Calendar's event ids (base32hex in small letters, RFC 2938).
    """
    number = int.from_bytes(hashlib.sha256(key.encode()).digest())
    letters = []
    for _ in range(length):
        number, letter = divmod(number, len(alphabet))
        letters.append(alphabet[letter])
    return "".join(letters)
