"""Tables of appointments in files: CSV, XLSX, JSON lines."""

from truckroll.connectors.file.connector import FILE

__all__ = ["FILE"]
