"""account sign-in: a new password, or a consent in the browser."""

from __future__ import annotations

import asyncio
import os
import sys
import webbrowser
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from truckroll.app import accounts
from truckroll.app import sign_in as consents
from truckroll.app.systems import connector
from truckroll.app.trouble import TroubleError
from truckroll.cli.accounts import says_of, secrets_of
from truckroll.cli.ask import hub_of, settings

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import AsyncIterator

    from truckroll.app.accounts import AccountView
    from truckroll.app.hub import Hub
    from truckroll.cli.screen import Screen

_PATIENCE_SECONDS = 600
_LINE_BYTES = 8192
_PAGE = b"<!doctype html><title>Truckroll</title><p>Go back to the terminal: it goes on there.</p>"


async def sign_in(args: Namespace, screen: Screen) -> int:
    """Give a new password or consent, which is kept if the system accepts it."""
    said = settings(args.settings)
    given = bool(said or args.password or args.password_stdin or _in_environment())
    async with hub_of(args) as hub:
        if not given and await consents.by_consent(hub, args.name):
            view = await _by_browser(hub, args.name, screen)
        else:
            account = await accounts.one(hub, args.name)
            secrets = secrets_of(args, connector(account.system), said, screen)
            view = await accounts.sign_in_again(hub, args.name, said | secrets)
    screen.data(view)
    screen.text(says_of(view), indent=f"  {screen.sign(well=True)} ", hang="    ")
    return 0


def _in_environment() -> bool:
    return bool(os.environ.get("TRUCKROLL_REFRESH_TOKEN"))


async def _by_browser(hub: Hub, name: str, screen: Screen) -> AccountView:
    """Send the person to the consent page, and wait for them to come back."""
    async with _loopback() as (address, came_back):
        asked = await consents.ask(hub, name, address)
        out = sys.stderr if screen.json else sys.stdout
        says = "  Open this page in a browser of this machine, and allow the access:"
        print(f"{says}\n  {asked.url}", file=out, flush=True)
        if screen.tty:
            await asyncio.to_thread(webbrowser.open, asked.url)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer = await came_back
        except TimeoutError:
            says = f"nobody came back from the page; ask again:  truckroll account sign-in {name}"
            raise TroubleError(says) from None
    return await consents.granted(
        hub,
        asked,
        code=answer.get("code", ""),
        state=answer.get("state", ""),
        issuer=answer.get("iss", ""),
    )


@asynccontextmanager
async def _loopback() -> AsyncIterator[tuple[str, asyncio.Future[dict[str, str]]]]:
    """Give an address on this machine and what comes back to it (RFC 8252 section 7.3)."""
    came_back: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await reader.readline()).decode("latin-1")
            target = urlsplit(line.split(" ")[1] if line.count(" ") > 1 else "")
            found = {key: values[0] for key, values in parse_qs(target.query).items()}
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"
            writer.write(head + _PAGE)
            await writer.drain()
            is_answer = target.path == "/" and ("code" in found or "error" in found)
            if is_answer and not came_back.done():
                came_back.set_result(found)
        except ValueError:  # a line without end: no browser's
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=_LINE_BYTES)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/", came_back
