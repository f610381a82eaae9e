"""Which peers are given up: those that never finish connecting, those not heard for long, viewers
that do not answer where they are sent to, and those whose publisher stayed away.

Called by `server` on every tick, which ends them.
"""

from __future__ import annotations

from collections.abc import Iterable

from media.sfu.dtls import DtlsState
from media.sfu.ice import IceLite
from media.sfu.options import SfuOptions
from media.sfu.path_proof import PROOF_LIFE_S, RENEW_S
from media.sfu.room import SfuRoom
from media.sfu.session import PeerSession, Session, ViewerSession


def list_silent(
    sessions: Iterable[Session], ice: IceLite, options: SfuOptions, now_s: float
) -> list[PeerSession]:
    """Return the peers to end; the others are sent what is due of a handshake or a proof."""
    peers = [session for session in sessions if isinstance(session, PeerSession)]
    return [peer for peer in peers if _is_silent(peer, ice, options, now_s)]


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


def _is_silent(peer: PeerSession, ice: IceLite, options: SfuOptions, now_s: float) -> bool:
    if peer.srtp is not None:
        heard_at_s = max(peer.heard_at_s, peer.agent.consent_at_s)
        is_idle = now_s - heard_at_s > options.idle_timeout_s
        return is_idle or (isinstance(peer, ViewerSession) and _is_unproven(peer, ice, now_s))
    peer.send(peer.dtls.retransmit())
    is_late = now_s - peer.created_at_s > options.connect_timeout_s
    return is_late or peer.dtls.state is DtlsState.FAILED


def _is_unproven(viewer: ViewerSession, ice: IceLite, now_s: float) -> bool:
    """Tell whether nobody answered for long where a viewer's media goes; ask there when due.

    Publishers are not asked: they are sent less than they send, and some encoders answer nothing.
    """
    proven_s = now_s - viewer.agent.proven_at_s
    if proven_s < RENEW_S:
        return False
    viewer.send(ice.renew(viewer.agent, now_s))
    return proven_s > PROOF_LIFE_S
