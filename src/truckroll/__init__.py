"""Truckroll keeps field-service records in step across systems."""

__version__ = "0.1.0"
