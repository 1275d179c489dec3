"""What commands share: the open hub, the person's name, KEY=VALUE words."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

from truckroll.app.bootstrap import open_hub
from truckroll.app.home import home_directory
from truckroll.app.hub import Actor
from truckroll.app.trouble import TroubleError
from truckroll.cli.parser import pairs

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from truckroll.app.hub import Hub


def hub_of(args: Namespace, *, make: bool = False) -> AbstractAsyncContextManager[Hub]:
    """Open the hub of a command's home and tenant, in the name of the system's user."""
    return open_hub(
        home_directory(getattr(args, "home", "")),
        make=make,
        database=getattr(args, "database", None),
        tenant=getattr(args, "tenant", "") or os.environ.get("TRUCKROLL_TENANT", ""),
        actor=Actor(name=person(), way="cli"),
    )


def person() -> str:
    """Return who gives the answers: the name of the operating system's account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "a person"


def settings(words: Sequence[str]) -> dict[str, str]:
    """Return KEY=VALUE words as a dict; raises TroubleError naming the one that is none."""
    try:
        return pairs(words)
    except ValueError as error:
        says = f"“{error}” is not KEY=VALUE"
        raise TroubleError(says, usage=True) from None
