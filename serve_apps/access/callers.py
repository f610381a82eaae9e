"""Whose request it is, by address: the peer's, or what a trusted proxy says of its client. Pure."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence

from kit.setting_sections import SettingsInvalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED_MAX = 32
"""Addresses read of one X-Forwarded-For; nobody stands behind more proxies."""
IPV6_PREFIX = 64
"""What one subscriber gets (RFC 6177); single addresses of it are free to change."""


def find_caller(peer: str, forwarded: str, trusted: Sequence[str]) -> str:
    """Return the caller's address, an IPv6 one as its /64.

    `forwarded` is X-Forwarded-For. It is read from the right, and only as far as each address that
    passed it on is a trusted proxy: whatever stands further left anybody could have written.
    """
    networks = read_networks(tuple(trusted))
    caller = _read_address(peer)
    if caller is None:
        return peer
    for text in reversed(forwarded.split(",")[-FORWARDED_MAX:]):
        if not any(caller in network for network in networks):
            break
        told = _read_address(text.strip())
        if told is None:
            break
        caller = told
    if isinstance(caller, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((caller, IPV6_PREFIX), strict=False))
    return str(caller)


def is_of_this_machine(caller: str) -> bool:
    """Whether a caller is a loopback address: a proxy or a tool on this machine."""
    return caller in ("", "::/64") or caller.startswith("127.")


def _read_address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@functools.lru_cache(maxsize=8)
def read_networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the trusted networks; raises SettingsInvalid."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in trusted)
    except ValueError as error:
        raise SettingsInvalid(f"http.trusted_proxies: {error}.") from error
