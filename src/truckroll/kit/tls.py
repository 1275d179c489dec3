"""Whom the hub believes: certificate authorities, and what to say when one is not known."""

import ssl
from typing import Literal

import aiohttp

from truckroll.kit.errors import GiveUp

_EXPIRED, _NOT_YET = 10, 9  # OpenSSL's X509_V_ERR_* numbers
_SELF_SIGNED = frozenset({18, 19})
_WRONG_NAME = frozenset({62, 64})


def tls_context(ca_file: str, system: str) -> ssl.SSLContext | Literal[True]:
    """Return a checking TLS context that also believes the authority in `ca_file` (PEM).

    Without one it is True, by which aiohttp takes the checking context that it made when it was
    imported: reading the machine's authorities takes a while. Raises GiveUp where the file
    cannot be read.
    """
    if not ca_file:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError:
        raise GiveUp(
            f"The file with the certificate authority for {system} cannot be read. "
            "Check that it exists and holds certificates in PEM form."
        ) from None
    return context


def refused_certificate(
    system: str, host: str, error: aiohttp.ClientConnectorCertificateError
) -> GiveUp:
    """Return the error that says what is wrong with a certificate and what to do."""
    code = getattr(error.certificate_error, "verify_code", 0)
    if code == _EXPIRED:
        what = "has expired. Its owner must renew it"
    elif code == _NOT_YET:
        what = "is not valid yet. Check this machine's clock"
    elif code in _SELF_SIGNED:
        what = "is self-signed. If the server is your own, give its certificate as the authority"
    elif code in _WRONG_NAME:
        what = "is for another name. Check the address"
    else:
        what = "is not signed by an authority known here. Check the address, or give the authority"
    return GiveUp(f"The certificate of {system} ({host}) {what}.")


def no_tls(system: str, host: str) -> GiveUp:
    """Return the error for a server that does not speak TLS at this address."""
    return GiveUp(
        f"No encrypted connection to {system} ({host}) can be made: the server does not speak "
        "TLS there. Check the address and its port."
    )
