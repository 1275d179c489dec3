"""Acme Dispatch in a box.

Made up by the scaffold: one company with visits behind a plain REST interface. Write the vendor's
own rules in its place, from its documentation alone, and say here what that leaves open.
"""

from truckroll_sim.acme_dispatch.system import AcmeDispatch

__all__ = ["AcmeDispatch"]
