"""sim: the simulated vendors in the foreground, until they are ended."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from truckroll.app import simulators

if TYPE_CHECKING:
    from argparse import Namespace

    from truckroll.cli.screen import Screen


def sim(args: Namespace, screen: Screen) -> int:
    """Become the simulators' own process: a signal to this one ends them."""
    del screen
    simulators.present()
    command = simulators.command(args.port)
    os.execv(command[0], command)  # noqa: S606 -- our own interpreter and our own package
