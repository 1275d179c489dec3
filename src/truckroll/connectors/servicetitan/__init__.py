"""ServiceTitan: appointments of a tenant, composed of jobs, customers, locations and people."""

from truckroll.connectors.servicetitan.connector import SERVICETITAN

__all__ = ["SERVICETITAN"]
