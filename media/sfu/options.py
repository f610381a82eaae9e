"""What the edge hands to the forwarding plane and gets back: options, answers, events, counts.

Plain values; every part of this package may import them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["audio", "video"]


@dataclass(frozen=True, slots=True)
class PacketFact:
    """One forwarded packet as a test sees it: `seq` is the sender's on the way in, ours out."""

    room_id: str
    kind: str
    direction: Literal["in", "out"]
    seq: int
    payload_sha256: bytes


@dataclass(frozen=True, slots=True)
class SfuOptions:
    """Addresses and limits of one forwarding plane; `port` 0 takes any free one.

    `bind_host` empty: every address, of IPv6 as well as IPv4 once a candidate is of IPv6.
    `egress` is "auto" (the best of the others that works here), "compiled", "gso", "sendmmsg" or
    "sendto".
    """

    bind_host: str = ""
    port: int = 8002
    candidate_ips: tuple[str, ...] = ("127.0.0.1",)
    rooms_max: int = 100
    viewers_per_room_max: int = 500
    sessions_max: int = 2000
    idle_timeout_s: float = 15.0
    connect_timeout_s: float = 15.0
    viewer_grace_s: float = 30.0
    publisher_bitrate_max_bps: int = 6_000_000
    stun_per_source_per_s: float = 1000.0
    handshakes_per_source_per_s: float = 50.0
    handshakes_per_s: float = 300.0
    egress: str = "auto"
    packet_observer: Callable[[PacketFact], None] | None = None


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """The answer to an offer; `session_id` is unguessable and is all one needs to end it."""

    session_id: str
    sdp: str
    etag: str


@dataclass(frozen=True, slots=True)
class SessionFact:
    """One session as `list_sessions` shows it."""

    session_id: str
    room_id: str
    role: Literal["publisher", "viewer"]
    is_connected: bool
    age_s: float


@dataclass(frozen=True, slots=True)
class RoomStats:
    """Counts of one room since it opened; rates are over the last second.

    `publisher_state` is "connecting", "connected" or "lost". `packets_lost` is what the present
    publisher sent and never arrived, `viewer_loss` the worst share a viewer reported (0..1).
    """

    room_id: str
    publisher_state: str
    video_codec: str
    viewers_connected: int
    viewers_connecting: int
    packets_in: int
    packets_out: int
    bitrate_in_bps: int
    bitrate_out_bps: int
    packets_lost: int
    viewer_loss: float
    nacks_in: int
    nacks_out: int
    retransmits: int
    retransmits_refused: int
    plis_in: int
    plis_out: int
    packets_dropped: int


@dataclass(frozen=True, slots=True)
class SfuStats:
    """Counts of the whole forwarding plane since it started."""

    rooms: tuple[RoomStats, ...]
    sessions: int
    handshakes: int
    handshakes_failed: int
    egress: str
    datagrams_in: int
    datagrams_refused: int
    send_stalls: int
    queued_packets: int
    packets_dropped: int


class SfuEvents(Protocol):
    """Hears of sessions as they come and go, on the event loop, never from inside a call.

    `publisher_lost` and `viewer_left` follow only for sessions announced as ready or connected.
    Reasons: "closed" (by us), "left" (by the peer), "timeout", "replaced", "publisher_gone",
    "codec_changed", "shutdown".
    """

    def on_publisher_ready(self, room_id: str, session_id: str) -> None:
        """A publisher that was held has connected, and waits for `begin_publisher` or its end."""
        ...

    def on_publisher_connected(self, room_id: str, session_id: str) -> None:
        """A publisher's media can flow."""
        ...

    def on_publisher_lost(self, room_id: str, session_id: str, reason: str) -> None:
        """A publisher is gone; unless replaced, the viewers stay for the grace period."""
        ...

    def on_viewer_connected(self, room_id: str, session_id: str) -> None:
        """A viewer can receive."""
        ...

    def on_viewer_left(self, room_id: str, session_id: str, reason: str) -> None:
        """A viewer is gone."""
        ...
