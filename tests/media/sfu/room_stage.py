"""A room of the forwarding plane with records around it, and time by hand."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiortc.rtp import RtcpRtpfbPacket

from media.sfu.codecs import choose_publish, choose_watch
from media.sfu.dtls import DtlsIdentity, DtlsSrtpPeer
from media.sfu.egress import EgressJob
from media.sfu.ice import IceAgent, IceCredentials
from media.sfu.options import PacketFact, SfuOptions
from media.sfu.room import SfuRoom
from media.sfu.rtcp import RtcpIn, parse_rtcp
from media.sfu.rtp import RtpFields, parse_rtp
from media.sfu.sdp import parse_offer
from media.sfu.session import PublisherSession, SessionParts, ViewerSession
from media.sfu.srtp import PROFILES, SrtpKeys, SrtpPair
from media.sfu.stun import Address
from tests.media.sfu import packets as p
from tests.media.sfu.peer import Credentials, make_offer

IDENTITY = DtlsIdentity(datetime(2026, 1, 1, tzinfo=UTC))
FINGERPRINT = ":".join(["AA"] * 32)


@dataclass
class RecordingEgress:
    """Sends nothing; remembers who would have got what."""

    jobs: list[EgressJob] = field(default_factory=list)
    name: str = "record"
    stalls: int = 0
    packets_dropped: int = 0
    queued_packets: int = 0

    def send(self, job: EgressJob) -> None:
        if job.targets and job.packets:
            self.jobs.append(job)

    def list_sent(self, viewer: ViewerSession) -> list[bytes]:
        """Return every plaintext for a viewer, in order."""
        return [
            packet.plaintext for job in self.jobs if viewer in job.targets for packet in job.packets
        ]


@dataclass
class Feedback:
    """What a publisher was sent: opened packets, since the test has both halves of its keys."""

    receiving: SrtpPair
    facts: list[RtcpIn] = field(default_factory=list)

    def transmit(self, datagram: bytes, _address: Address) -> None:
        packet = self.receiving.unprotect_rtcp(datagram)
        assert packet is not None
        found = parse_rtcp(packet)
        assert found is not None
        self.facts.append(found)

    @property
    def keyframes_wanted(self) -> int:
        return sum(len(fact.keyframe_ssrcs) for fact in self.facts)


def make_keys() -> tuple[SrtpKeys, SrtpKeys]:
    """Return keys for both ends of one connection."""
    profile = PROFILES[0]
    one, two = (secrets.token_bytes(profile.key_bytes + profile.salt_bytes) for _ in range(2))
    return SrtpKeys(profile, one, two), SrtpKeys(profile, two, one)


def make_parts(feedback: Feedback) -> SessionParts:
    agent = IceAgent("unused", IceCredentials("theirs"))
    agent.address = ("192.0.2.1", 1)
    dtls = DtlsSrtpPeer(IDENTITY, [])
    return SessionParts(secrets.token_hex(4), "r", agent, dtls, feedback.transmit, 0.0)


class Stage:
    """A room with everything around it replaced by records, and time by hand."""

    def __init__(self) -> None:
        self.facts: list[PacketFact] = []
        self.egress = RecordingEgress()
        options = SfuOptions(packet_observer=self.facts.append)
        self.room = SfuRoom("r", options, self.egress, 0.0)
        self.now_s = 1.0
        self.seq = 100
        self.reports: dict[str, Feedback] = {}

    def add_publisher(self, codec: str = "VP8") -> tuple[PublisherSession, Feedback]:
        ours, theirs = make_keys()
        feedback = Feedback(SrtpPair(theirs))
        offer = make_offer(Credentials(), FINGERPRINT, "sendonly", (codec, "opus"))
        session = PublisherSession(make_parts(feedback), choose_publish(parse_offer(offer)))
        session.srtp = SrtpPair(ours)
        self.room.promote_publisher(session, self.now_s)
        return session, feedback

    def add_viewer(self, codecs: tuple[str, ...] = ("VP8", "opus")) -> ViewerSession:
        ours, theirs = make_keys()
        offer = make_offer(Credentials(), FINGERPRINT, "recvonly", codecs)
        chosen = choose_watch(parse_offer(offer), self.room.get_codecs())
        reports = Feedback(SrtpPair(theirs))
        session = ViewerSession(make_parts(reports), chosen)
        self.reports[session.session_id] = reports
        session.srtp = SrtpPair(ours)
        self.room.viewers[session.session_id] = session
        self.room.connect_viewer(session, self.now_s)
        return session

    def video(self, session: PublisherSession, *payloads: bytes, ssrc: int = 7) -> None:
        """Deliver one frame per payload, as one batch."""
        (number,) = [pt for pt, kind in session.kinds.items() if kind == "video"]
        for payload in payloads:
            self.seq += 1
            packet = p.make_rtp(
                self.seq, self.seq * 3000, payload, ssrc=ssrc, marker_and_type=0x80 | number
            )
            self.room.apply_rtp(session, packet, self.now_s)
        self.room.flush(self.now_s)

    def sound(self, session: PublisherSession, count: int = 1) -> None:
        for _ in range(count):
            self.seq += 1
            packet = p.make_rtp(self.seq, self.seq, b"opus", ssrc=8, marker_and_type=111)
            self.room.apply_rtp(session, packet, self.now_s)
            self.room.flush(self.now_s)

    def list_video(self, viewer: ViewerSession) -> list[RtpFields]:
        """Return the video a viewer was sent."""
        parsed = [parse_rtp(text) for text in self.egress.list_sent(viewer)]
        wanted = self.room.tracks["video"].ssrc
        return [fields for fields in parsed if fields is not None and fields.ssrc == wanted]

    def nack(self, viewer: ViewerSession, seqs: Sequence[int], ssrc: int | None = None) -> None:
        target = self.room.tracks["video"].ssrc if ssrc is None else ssrc
        packet = RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=target, lost=list(seqs))
        self.room.apply_rtcp(viewer, bytes(packet), self.now_s)


def get_payloads(fields: Sequence[RtpFields]) -> list[bytes]:
    return [f.payload for f in fields]


def get_steps(fields: Sequence[RtpFields]) -> set[int]:
    """Return the distances between neighbouring sequence numbers."""
    return {(b.seq - a.seq) & 0xFFFF for a, b in itertools.pairwise(fields)}
