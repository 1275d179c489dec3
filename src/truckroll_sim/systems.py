"""The systems that a box holds."""

from truckroll_sim.kit.system import System

SYSTEMS: tuple[type[System], ...] = ()
