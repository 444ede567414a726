"""What counts as one address, one caller and one network where limits are counted by address. Pure."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

UNKNOWN = "unknown"
_IPV4_NETWORK, _IPV6_NETWORK = 24, 64


def address_of(text: str) -> str:
    """Return an address in its one spelling; an IPv4 address inside IPv6 is that IPv4 address."""
    found = _read(text)
    return UNKNOWN if found is None else str(found)


def network_of(text: str) -> str:
    """Return the network of an address: a /24 of IPv4, a /64 of IPv6."""
    found = _read(text)
    if found is None:
        return UNKNOWN
    length = _IPV6_NETWORK if isinstance(found, IPv6Address) else _IPV4_NETWORK
    return str(ipaddress.ip_network(f"{found}/{length}", strict=False))


def caller_of(text: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the /64 from which one IPv6 customer chooses freely."""
    return network_of(text) if isinstance(_read(text), IPv6Address) else address_of(text)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
