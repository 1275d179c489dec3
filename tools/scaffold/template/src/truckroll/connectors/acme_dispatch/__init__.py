"""Acme Dispatch: its visits."""

from truckroll.connectors.acme_dispatch.connector import ACME_DISPATCH

__all__ = ["ACME_DISPATCH"]
