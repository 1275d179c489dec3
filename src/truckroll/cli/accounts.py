"""account add, list, test, remove."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from truckroll.app import accounts
from truckroll.app.recipes import check_zone
from truckroll.app.systems import connector
from truckroll.cli.ask import hub_of, settings
from truckroll.cli.screen import Screen, count

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.app.accounts import AccountView
    from truckroll.kit.contract import Connector

_PLAIN = ("url", "user", "path", "sheet", "private")
_FILES = ("path", "ca_file")


async def add(args: Namespace, screen: Screen) -> int:
    """Sign in to a system and keep the sign-in."""
    speaks = connector(args.system)
    check_zone(args.zone)
    answers = _answers(args, speaks, screen)
    async with hub_of(args) as hub:
        view = await accounts.add(hub, args.name, args.system, answers, zone=args.zone)
    screen.data(view)
    screen.line(f"  {screen.sign(well=True)} {says_of(view)}")
    return 0


def _answers(args: Namespace, speaks: Connector, screen: Screen) -> dict[str, str]:
    """Put together what was said by options, by --set, by the environment and when asked."""
    answers = settings(args.settings)
    plain = {name: getattr(args, name) for name in _PLAIN}
    answers |= {name: value for name, value in plain.items() if value is not None}
    for name in _FILES:
        if answers.get(name):
            answers[name] = str(Path(answers[name]).expanduser().resolve())
    return answers | secrets_of(args, speaks, answers, screen)


def secrets_of(
    args: Namespace, speaks: Connector, said: dict[str, str], screen: Screen
) -> dict[str, str]:
    """Return the secrets of a system; warn of those that stand in the shell's history."""
    found = {}
    for one in speaks.settings:
        if one.secret and one.name in said:
            says = f"{one.name} may be seen in the shell's history now"
            screen.line(f"  {screen.sign(well=False)} {says}")
            found[one.name] = said[one.name]
        elif one.secret and (given := _secret(args, one.name, one.asks)):
            found[one.name] = given
    return found


def _secret(args: Namespace, name: str, asks: str) -> str:
    if name == "password":
        if args.password is not None:
            return str(args.password)
        if args.password_stdin:
            return sys.stdin.readline().rstrip("\r\n")
    if given := os.environ.get(f"TRUCKROLL_{name.upper()}"):
        return given
    return getpass.getpass(f"{asks}: ") if sys.stdin.isatty() else ""


def says_of(view: AccountView) -> str:
    """Return an account and its parts in a line."""
    parts = ", ".join(view.scopes[:8]) + (" …" if len(view.scopes) > 8 else "")  # noqa: PLR2004 -- a line full
    return f"{view.name} ({view.title}): {count(len(view.scopes), 'part')}: {parts}"


async def listed(args: Namespace, screen: Screen) -> int:
    """List the accounts; never a secret."""
    async with hub_of(args) as hub:
        views = await accounts.listed(hub)
    screen.data({"accounts": views})
    if not views:
        screen.line(
            "  no account yet:  truckroll account add NAME --system caldav --url … --user …"
        )
    for view in views:
        screen.text(says_of(view), indent="  ", hang="      ")
        for name, value in view.settings.items():
            screen.line(f"      {name}  {value}")
        if view.waits:
            since = f" (since {view.since:%Y-%m-%d %H:%M} UTC)" if view.since else ""
            screen.text(
                f"{view.waits}{since}", indent=f"      {screen.sign(well=False)} ", hang="        "
            )
    return 0


async def test(args: Namespace, screen: Screen) -> int:
    """Sign in again and look for new parts."""
    async with hub_of(args) as hub:
        view = await accounts.refresh(hub, args.name)
    screen.data(view)
    screen.text(f"{says_of(view)}", indent=f"  {screen.sign(well=True)} ", hang="    ")
    return 0


async def remove(args: Namespace, screen: Screen) -> int:
    """Forget an account."""
    async with hub_of(args) as hub:
        await accounts.remove(hub, args.name)
    screen.data({"removed": args.name})
    screen.line(f"  “{args.name}” is forgotten; what is in its system stays as it is")
    return 0
