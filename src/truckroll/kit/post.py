"""One message to an address that a person gave: sent once, never into the house by accident."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from truckroll.kit.addresses import CheckedResolver, Lookup, checked_url, system_lookup
from truckroll.kit.errors import VendorError

_HEAD = 500  # characters of an answer that are kept for people


class Posted(msgspec.Struct, frozen=True):
    """How a message was answered: `status` 0 is no answer, and `problem` then says why.

    `head` is the beginning of the answer's body, `retry_after` its header of that name, or "".
    """

    status: int
    ms: int
    head: str = ""
    problem: str = ""
    retry_after: str = ""

    @property
    def well(self) -> bool:
        """Whether it was taken: any answer of the class 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 -- the class of successes


class Poster:
    """Posts messages over kept-alive connections. Made by `open_poster`."""

    def __init__(self, session: aiohttp.ClientSession, *, private: bool, seconds: float) -> None:
        self._session = session
        self._private = private
        self._seconds = seconds

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Posted:
        """Post a body and return the answer, whatever it is; never raises for the network's sake.

        A redirect is not followed. An address inside the house is refused unless it may be.
        """
        started = time.monotonic()
        status, head, problem, again = 0, "", "", ""
        try:
            target = checked_url(url, private=self._private, system="the receiver")
            async with (
                asyncio.timeout(self._seconds),
                self._session.post(
                    target, data=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                status, again = answer.status, answer.headers.get("retry-after", "")
                head = (await answer.content.read(_HEAD)).decode("utf-8", "replace")
        except VendorError as error:
            problem = error.says
        except TimeoutError:
            if not status:  # an answer whose body stalls is one all the same
                problem = f"The receiver did not answer within {self._seconds:g} s."
        except (aiohttp.ClientError, OSError) as error:
            problem = "" if status else _trouble(error)
        ms = round((time.monotonic() - started) * 1000)
        return Posted(status, ms, head.replace("\0", ""), problem, again)


@asynccontextmanager
async def open_poster(
    *, private: bool = False, seconds: float = 15.0, lookup: Lookup = system_lookup
) -> AsyncIterator[Poster]:
    """Give a poster; `private` lets it reach the house's own addresses."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=CheckedResolver(private=private, system="the receiver", lookup=lookup)
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": "Truckroll"},
    )
    # Every attempt is ours to count: see kit.http.
    session._retry_connection = False  # noqa: SLF001 -- there is no public switch for it
    async with session:
        yield Poster(session, private=private, seconds=seconds)


def _trouble(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "The receiver's certificate is not valid."
    if isinstance(error, aiohttp.ClientConnectorError):
        return "The receiver cannot be reached."
    return "The receiver broke off the connection."
