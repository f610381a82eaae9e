"""Where this edge is reached: its URL, and the addresses in its ICE candidates."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from kit.setting_sections import EdgeSettings

PORT_STEP = 10
ELSEWHERE = ("192.0.2.1", 9)  # TEST-NET-1 (RFC 5737): a route is looked up, nothing is sent
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class EdgeAddress:
    """One edge slot: `url` is what clients use; ports are the slot's own."""

    url: str
    host: str
    port: int
    udp_port: int


def make_edge_address(settings: EdgeSettings, slot: int) -> EdgeAddress:
    """Return the addresses of a slot; UDP port 0 leaves each slot's to the system."""
    port = settings.port + PORT_STEP * slot
    udp_port = settings.udp_port + PORT_STEP * slot if settings.udp_port else 0
    return EdgeAddress(
        url=f"http://{settings.public_host}:{port}",
        host=settings.host,
        port=port,
        udp_port=udp_port,
    )


def find_route_ip(to: tuple[str, int]) -> str | None:
    """Return the address that this machine would send from; None where no route leads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(to)
        except OSError:
            return None
        return str(probe.getsockname()[0])


def find_candidate_ips(
    settings: EdgeSettings, find_route: Callable[[tuple[str, int]], str | None] = find_route_ip
) -> tuple[str, ...]:
    """Return the ICE candidates: the configured ones, else the default route's, else loopback."""
    if settings.public_ips:
        return settings.public_ips
    address = find_route(ELSEWHERE)
    return (LOOPBACK,) if address is None or address.startswith("0.") else (address,)
