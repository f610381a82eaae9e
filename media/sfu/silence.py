"""Which peers are given up: those that never finish connecting, those not heard for long, and the
viewers whose publisher stayed away.

Called by `server` on every tick, which ends them.
"""

from __future__ import annotations

from collections.abc import Iterable

from media.sfu.dtls import DtlsState
from media.sfu.options import SfuOptions
from media.sfu.room import SfuRoom
from media.sfu.session import PeerSession, Session, ViewerSession


def list_silent(
    sessions: Iterable[Session], options: SfuOptions, now_s: float
) -> list[PeerSession]:
    """Return the peers to end; those that still connect are sent their flight again when due."""
    peers = [session for session in sessions if isinstance(session, PeerSession)]
    return [peer for peer in peers if _is_silent(peer, options, now_s)]


def list_abandoned(
    rooms: Iterable[SfuRoom], options: SfuOptions, now_s: float
) -> list[ViewerSession]:
    """Return the viewers of rooms whose publisher stayed away longer than the grace."""
    return [
        viewer
        for room in rooms
        if room.publisher is None and room.lost_at_s is not None
        if now_s - room.lost_at_s > options.viewer_grace_s
        for viewer in room.viewers.values()
    ]


def _is_silent(peer: PeerSession, options: SfuOptions, now_s: float) -> bool:
    if peer.srtp is not None:
        heard_at_s = max(peer.heard_at_s, peer.agent.consent_at_s)
        return now_s - heard_at_s > options.idle_timeout_s
    peer.send(peer.dtls.retransmit())
    is_late = now_s - peer.created_at_s > options.connect_timeout_s
    return is_late or peer.dtls.state is DtlsState.FAILED
