"""The counts of a whole plane, gathered from its parts when `server.stats` is asked."""

from __future__ import annotations

from media.sfu.egress import Egress
from media.sfu.handshakes import Handshakes
from media.sfu.options import RoomStats, SfuStats
from media.sfu.udp import UdpMux


def sum_up(
    rooms: tuple[RoomStats, ...],
    sessions: int,
    handshakes: Handshakes,
    mux: UdpMux,
    egress: Egress,
) -> SfuStats:
    """Return what the parts counted so far."""
    return SfuStats(
        rooms=rooms,
        sessions=sessions,
        handshakes=handshakes.done,
        handshakes_failed=handshakes.failed,
        egress=egress.name,
        datagrams_in=mux.datagrams_in,
        datagrams_refused=mux.datagrams_refused,
        send_stalls=egress.stalls,
        queued_packets=egress.queued_packets,
        packets_dropped=egress.packets_dropped,
    )
