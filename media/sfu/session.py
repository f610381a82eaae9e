"""One peer: its ICE agent, its DTLS handshake, its SRTP contexts, and when it was last heard.

Made by `server`; publishers feed a room, viewers are targets of the egress. Holds state and does
what concerns this peer alone; which peer follows which is `room`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kit.errors import AppError
from kit.ids import make_token
from media.sfu.arrivals import Arrivals
from media.sfu.budget import Budget
from media.sfu.codecs import Choice
from media.sfu.dtls import DtlsSrtpPeer
from media.sfu.ice import IceAgent
from media.sfu.layer_selector import LayerSelector
from media.sfu.link_estimate import LinkEstimate
from media.sfu.options import Kind, SessionFact
from media.sfu.packets_out import OutPacket
from media.sfu.relayed_layers import RelayedLayers
from media.sfu.rtp import find_extension
from media.sfu.rtx import RtxStream
from media.sfu.sdp import REPAIRED_ID, STREAM_ID, TRANSPORT_SEQ, OfferedCodec
from media.sfu.srtp import SrtpPair
from media.sfu.stun import Address

TRANSPORT_SEQ_BYTES = 2
REPEATS_PER_S = 150.0
REPEATS_BURST = 300.0
REPEAT_PAUSE_S = 0.02
REPEATS_REMEMBERED = 512
FEEDBACK_PER_S = 40_000.0
FEEDBACK_BURST = 80_000.0
FEEDBACK_PACKET_BYTES = 100
"""What reading one costs besides its bytes. A browser on a bad connection says 20 kB a second."""
FLIGHTS_BYTES_MAX = 8192
"""Of a handshake: five flights of ours take 3.5 kB."""
HELD_MAX = 1024
"""Packets, two seconds of 5 Mbit/s: it takes less to hear whether a publisher may begin."""

Transmit = Callable[[bytes, Address], None]
KINDS: tuple[Kind, ...] = ("audio", "video")


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a session is made of."""

    session_id: str
    room_id: str
    agent: IceAgent
    dtls: DtlsSrtpPeer
    transmit: Transmit
    created_at_s: float


class Session:
    """What all sessions have in common, however their packets come.

    `held` is what a publisher sent while it must not begin, as what takes it; None once it may.
    """

    role: Literal["viewer", "publisher"] = "publisher"

    def __init__(self, session_id: str, room_id: str, created_at_s: float) -> None:
        self.session_id = session_id
        self.room_id = room_id
        self.created_at_s = created_at_s
        self.is_open = True
        self.held: list[Callable[[], None]] | None = None

    def hold(self, take: Callable[[], None]) -> None:
        """Keep what a publisher sends before it may begin; what is too much is lost."""
        if self.held is not None and len(self.held) < HELD_MAX:
            self.held.append(take)

    @property
    def is_connected(self) -> bool:
        """Tell whether media can flow."""
        return self.is_open

    @property
    def label(self) -> str:
        """Enough of the session id to find it in a log; not enough to end the session."""
        return self.session_id[:6]

    def describe(self, now_s: float) -> SessionFact:
        """Return what an operator may see."""
        age_s = now_s - self.created_at_s
        return SessionFact(self.session_id, self.room_id, self.role, self.is_connected, age_s)


class PeerSession(Session):
    """What publishers and viewers by WebRTC have in common.

    `etag` and `section` are what a PATCH for this session is checked and answered with.
    """

    def __init__(self, parts: SessionParts) -> None:
        super().__init__(parts.session_id, parts.room_id, parts.created_at_s)
        self.agent = parts.agent
        self.dtls = parts.dtls
        self.heard_at_s = parts.created_at_s
        self.srtp: SrtpPair | None = None
        self.etag = ""
        self.section = ""
        self._transmit = parts.transmit
        self._flights_bytes = 0

    @property
    def is_connected(self) -> bool:
        """Tell whether media can flow."""
        return self.srtp is not None and self.is_open

    def start_srtp(self) -> None:
        """Take the keys of the finished handshake."""
        assert self.dtls.keys is not None, "SRTP starts after the handshake"
        self.srtp = SrtpPair(self.dtls.keys)

    def note_heard(self, source: Address, now_s: float) -> float:
        """Note an authentic packet, which is consent only from where we send to; returns when."""
        if source == self.agent.address:
            self.heard_at_s = now_s
        return now_s

    def send(self, datagrams: list[bytes]) -> None:
        """Send control datagrams as they are to the address ICE chose, and bind it to that.

        Until the handshake is done nobody has proven to be there: its flights end at a limit.
        """
        if self.agent.address is None:
            return
        for datagram in datagrams:
            self.agent.is_bound = True
            if self.srtp is None:
                self._flights_bytes += len(datagram)
                if self._flights_bytes > FLIGHTS_BYTES_MAX:
                    return
            self._transmit(datagram, self.agent.address)

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send one compound RTCP packet; nothing happens before the handshake."""
        if self.srtp is not None and self.agent.address is not None:
            self._transmit(self.srtp.protect_rtcp(packet), self.agent.address)


class PublisherSession(PeerSession):
    """A session that sends: which payload type is which kind, in which codec, arriving when.

    `transport_seq` is the header extension with the transport-wide number, where one was agreed for
    video; `repeats` are the payload types that repeat others, by number, with what they repeat.
    `rids` are the encodings it sends at once, none unless several, which `rid_extension` names on
    their own streams and `repaired_extension` on those of their repeats.
    """

    def __init__(self, parts: SessionParts, chosen: Choice) -> None:
        super().__init__(parts)
        self.kinds: dict[int, Kind] = {}
        self.codecs: dict[str, OfferedCodec] = {}
        self.arrivals = Arrivals()
        self.transport_seq: int | None = None
        self.refusal: AppError | None = None
        self.rids: tuple[str, ...] = ()
        self.rid_extension = 0
        self.repaired_extension = 0
        self.repeats: dict[int, int] = {}
        for kind in KINDS:
            if kind in chosen:
                self.kinds[chosen[kind].codec.payload_type] = kind
                self.codecs[kind] = chosen[kind].codec
        if "video" in chosen:
            if "transport-cc" in chosen["video"].codec.feedback:
                self.transport_seq = chosen["video"].section.extensions.get(TRANSPORT_SEQ)
            self.rids = chosen["video"].rids
            self.rid_extension = chosen["video"].section.extensions.get(STREAM_ID, 0)
            self.repaired_extension = chosen["video"].section.extensions.get(REPAIRED_ID, 0)
            rtx = chosen["video"].publisher_rtx
            if rtx is not None:
                self.repeats[rtx] = chosen["video"].codec.payload_type

    @property
    def needs_estimate(self) -> bool:
        """Tell whether we are to find out what its link carries: it is not told of arrivals."""
        return self.transport_seq is None

    def note_arrival(self, packet: bytes, now_s: float) -> None:
        """Remember when a packet came, for the publisher's congestion control."""
        if self.transport_seq is not None:
            value = find_extension(packet, self.transport_seq)
            if value is not None and len(value) == TRANSPORT_SEQ_BYTES:
                self.arrivals.note(int.from_bytes(value, "big"), now_s)


class LocalPublisher(Session):
    """A publisher within this process (RTMP, a relay): RTP comes by `feed`, at once connected.

    `refusal` says why its pictures cannot be watched by WebRTC, if so. `on_feedback` hears what a
    publisher is told; without one nobody does. `layers` are the encodings that a relay can have.
    """

    needs_estimate = False

    def __init__(
        self,
        room_id: str,
        codecs: Mapping[str, OfferedCodec],
        now_s: float,
        on_feedback: Callable[[bytes], None] | None = None,
        layers: RelayedLayers | None = None,
    ) -> None:
        super().__init__(make_token(), room_id, now_s)
        self.codecs = dict(codecs)
        self.kinds = {codec.payload_type: kind for kind in KINDS if (codec := codecs.get(kind))}
        self.repeats: dict[int, int] = {}
        self.refusal: AppError | None = None
        self.layers = layers
        self.arrivals = Arrivals()
        self._on_feedback = on_feedback

    def note_arrival(self, _packet: bytes, _now_s: float) -> None:
        """Nothing is lost or late on the way within one process."""

    def send_rtcp(self, packet: bytes) -> None:
        """Pass feedback on; an RTMP encoder cannot be asked for anything."""
        if self._on_feedback is not None:
            self._on_feedback(packet)


class ViewerSession(PeerSession):
    """A session that receives, and a target of the egress once its handshake is done.

    `first_index` holds the first packet index sent per kind: nothing older goes to this viewer.
    `rtx` takes its repeats of video, where it agreed to a stream for them. `link` is what its
    transport-wide feedback tells of its link, where `transport_seq` was agreed; video packets of
    its present track count from the index `measured_from` on.
    """

    role = "viewer"

    def __init__(
        self, parts: SessionParts, chosen: Choice, rtx_ssrc: int = 0, *, is_measured: bool = False
    ) -> None:
        super().__init__(parts)
        has_numbers = is_measured and "video" in chosen
        self.transport_seq = chosen["video"].transport_seq if has_numbers else 0
        self.link = LinkEstimate()
        self.measured_from = 0
        rtx = chosen["video"].rtx if "video" in chosen and rtx_ssrc else None
        self.rtx = None if rtx is None else RtxStream(rtx, rtx_ssrc)
        self.payload_types: Mapping[str, int] = {
            kind: media.codec.payload_type for kind, media in chosen.items()
        }
        self.video_codec = chosen["video"].codec.name.upper() if "video" in chosen else ""
        self.seal: Callable[[Sequence[OutPacket], memoryview, int], int] = _refuse_seal
        self.describe_stream: Callable[[int, int], bytes] = _describe_nothing
        self.tag_bytes = 0
        self.address: Address = ("", 0)
        self.packets_out = 0
        self.first_index: dict[str, int] = {}
        self.loss = 0.0
        self.selector = LayerSelector()
        self._repeats = Budget(REPEATS_PER_S, REPEATS_BURST, parts.created_at_s)
        self._repeated_at_s: dict[tuple[str, int], float] = {}
        self._feedback = Budget(FEEDBACK_PER_S, FEEDBACK_BURST, parts.created_at_s)

    def start_srtp(self) -> None:
        """Take the keys, and become a target."""
        super().start_srtp()
        assert self.srtp is not None, "start_srtp sets it"
        # The handshake is a proof; it took less than an answer is good for.
        self.agent.proven_at_s = self.created_at_s
        self.seal, self.tag_bytes = self.srtp.seal, self.srtp.tag_bytes
        self.describe_stream = self.srtp.describe_stream
        self.follow_address()

    def follow_address(self) -> None:
        """Send media to where ICE now says the viewer is."""
        if self.agent.address is not None:
            self.address = self.agent.address

    def may_report(self, size_bytes: int, now_s: float) -> bool:
        """Tell whether a packet of feedback is read: few bytes of it can ask for much work."""
        return self._feedback.spend(now_s, FEEDBACK_PACKET_BYTES + size_bytes)

    def may_repeat(self, kind: str, number: int, now_s: float) -> bool:
        """Tell whether a lost packet may be sent again now, and count it if so.

        Refuses floods and quick repeats. `delivery` looks up only what was sent to this viewer: a
        packet older than its first would belong to an earlier rollover than its SRTP contexts know.
        """
        key = (kind, number)
        if now_s - self._repeated_at_s.get(key, float("-inf")) < REPEAT_PAUSE_S:
            return False
        if not self._repeats.spend(now_s):
            return False
        if len(self._repeated_at_s) >= REPEATS_REMEMBERED:
            self._repeated_at_s.clear()
        self._repeated_at_s[key] = now_s
        return True


def _refuse_seal(_packets: Sequence[OutPacket], _into: memoryview, _at: int) -> int:
    raise ValueError("this viewer has no SRTP context yet")


def _describe_nothing(_ssrc: int, _index: int) -> bytes:
    return b""


Publisher = PublisherSession | LocalPublisher
