"""Which addresses the hub may call: an address that a person typed must not lead inside.

Every address that a name resolves to is checked, and the connection is made to the addresses
that were checked and to no others, so that a name which changes its answer gains nothing.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

from aiohttp.abc import AbstractResolver, ResolveResult
from publicsuffixlist import PublicSuffixList
from yarl import URL

from truckroll.kit.errors import GiveUp, RetryLater

Reach = Literal["open", "inside", "never"]
Lookup = Callable[[str, int, socket.AddressFamily], Awaitable[list[tuple[int, str]]]]

_NEVER = (
    "0.0.0.0/8",  # "this host": connects to the machine itself
    "169.254.0.0/16",  # link-local, where clouds answer for credentials
    "100.100.100.200/32",  # Alibaba Cloud's metadata service
    "192.0.0.192/32",  # Oracle Cloud's metadata service
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "::/128",
    "fe80::/10",  # link-local
    "fd00:ec2::254/128",  # Amazon's metadata service
    "ff00::/8",  # multicast
)
_INSIDE = (
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT (RFC 6598)
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "::1/128",
    "64:ff9b:1::/48",  # NAT64 of a local network (RFC 8215)
    "100::/64",
    "2001::/23",  # Teredo and other protocol assignments
    "2001:db8::/32",
    "fc00::/7",  # unique local (RFC 4193)
    "fec0::/10",
)


def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(IPv6Network(text) if ":" in text else IPv4Network(text) for text in texts)


_NEVER_NETWORKS = _networks(_NEVER)
_INSIDE_NETWORKS = _networks(_INSIDE)
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_COMPATIBLE = IPv6Network("::/96")
_LOW_32_BITS = 0xFFFFFFFF
# A host whose last label is a number is an IPv4 address to browsers and C libraries alike
# (WHATWG URL, "ends in a number"): 2130706433, 0x7f.1, 0177.0.0.1.
_NUMERIC = re.compile(r"(?:^|\.)(?:\d+|0[xX][0-9a-fA-F]*)\.?$")


def reach(address: str) -> Reach:
    """Return how far inside an IP address leads: `open`, `inside` (a house), `never`.

    An IPv4 address wrapped in IPv6 (mapped, compatible, 6to4, NAT64) is judged as itself.
    Raises ValueError where `address` is no IP address.
    """
    ip = ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, IPv6Address):
        inner = _wrapped(ip)
        if inner is not None:
            return reach(str(inner))
    if any(ip in net for net in _NEVER_NETWORKS):
        return "never"
    if any(ip in net for net in _INSIDE_NETWORKS):
        return "inside"
    return "open"


def _wrapped(ip: IPv6Address) -> IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _SIX_TO_FOUR:
        return ip.sixtofour
    if ip in _NAT64:
        return IPv4Address(int(ip) & _LOW_32_BITS)
    if ip in _COMPATIBLE and int(ip) > 1:
        return IPv4Address(int(ip))
    return None


def allow(address: str, *, private: bool, system: str, host: str) -> None:
    """Raise GiveUp unless the hub may connect to this IP address.

    `private` allows a house's own addresses and this machine; link-local, metadata, multicast
    and unspecified addresses are never allowed.
    """
    how = reach(address)
    if how == "open" or (how == "inside" and private):
        return
    what = f"The address of {system} ({host})"
    if how == "inside":
        raise GiveUp(
            f"{what} leads into a private network, which this account may not reach. "
            "Say private = yes for the account if the server is your own."
        )
    raise GiveUp(f"{what} is one that no server may have. Check the address.")


def checked_url(url: str, *, private: bool, system: str) -> URL:
    """Return an absolute http(s) address parsed as the connection will use it.

    Raises GiveUp where the scheme is another, a user name or password stands in it, the host is
    missing or a disguised number, or is itself an address that may not be reached.
    """
    try:
        parsed = URL(url)
        host, port = parsed.raw_host or "", parsed.port
    except ValueError:
        raise GiveUp(
            f"The address given for {system} cannot be read. Check it for typing errors."
        ) from None
    if parsed.scheme not in {"http", "https"} or not host:
        raise GiveUp(
            f"The address given for {system} is no web address: it must begin with https://."
        )
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise GiveUp(
            f"The address given for {system} holds a user name or password. "
            "Take them out of the address and give them in their own fields."
        )
    if not port:
        raise GiveUp(f"The address given for {system} names no valid port.")
    _check_host(host, private=private, system=system)
    return parsed


def _check_host(host: str, *, private: bool, system: str) -> None:
    try:
        ip = ip_address(host.split("%", maxsplit=1)[0])
    except ValueError:
        if _NUMERIC.search(host):
            raise GiveUp(
                f"The address given for {system} hides a number in another form ({host}). "
                "Write the host by name or as four plain numbers."
            ) from None
        return
    allow(str(ip), private=private, system=system, host=host)


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def same_site(a: URL, b: URL) -> bool:
    """Tell whether two addresses have the same host or the same registrable domain."""
    first, second = (a.raw_host or "").lower(), (b.raw_host or "").lower()
    if first == second:
        return True
    if _is_ip(first) or _is_ip(second):
        return False
    mine = _suffixes().privatesuffix(first)
    return mine is not None and mine == _suffixes().privatesuffix(second)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def system_lookup(
    host: str, port: int, family: socket.AddressFamily
) -> list[tuple[int, str]]:
    """Return (family, address) pairs that the machine's resolver gives; raises OSError."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
    return [(int(info[0]), str(info[4][0])) for info in infos]


class CheckedResolver(AbstractResolver):
    """Resolves names for the connection pool, and gives out only addresses that were checked.

    One forbidden address among several refuses the name: a server has no business there.
    """

    def __init__(self, *, private: bool, system: str, lookup: Lookup = system_lookup) -> None:
        self._private = private
        self._system = system
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the checked addresses of a host.

        Raises GiveUp for an unknown or forbidden host, RetryLater where the resolver is down.
        """
        try:
            found = await self._lookup(host, port, family)
        except (OSError, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise RetryLater(
                    f"The address of {self._system} ({host}) cannot be looked up just now; "
                    "it is tried again by itself."
                ) from None
            raise self._unknown(host) from None
        if not found:
            raise self._unknown(host)
        for _, address in found:
            allow(address, private=self._private, system=self._system, host=host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, address in found
        ]

    def _unknown(self, host: str) -> GiveUp:
        return GiveUp(f"There is no server called {host}. Check the address of {self._system}.")

    async def close(self) -> None:
        """Nothing is held."""
