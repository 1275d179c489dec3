"""The systems that a box holds: what each package beside this file names in its `__all__`."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import truckroll_sim
from truckroll_sim.kit.system import System


def _found() -> Iterator[type[System]]:
    for one in iter_modules(truckroll_sim.__path__):
        if one.ispkg and one.name != "kit":
            module = import_module(f"{truckroll_sim.__name__}.{one.name}")
            yield from (getattr(module, name) for name in module.__all__)


SYSTEMS: tuple[type[System], ...] = tuple(_found())
