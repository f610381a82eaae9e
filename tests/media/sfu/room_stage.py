"""A room of the forwarding plane with records around it, and time by hand."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiortc.rtp import RtcpRtpfbPacket, RtcpSenderInfo, RtcpSrPacket

from media.sfu.codecs import choose_publish, choose_watch
from media.sfu.dtls import DtlsIdentity, DtlsSrtpPeer
from media.sfu.egress import EgressJob
from media.sfu.ice import IceAgent, IceCredentials
from media.sfu.options import PacketFact, SfuOptions
from media.sfu.room import SfuRoom
from media.sfu.rtcp import RtcpIn, parse_rtcp
from media.sfu.rtp import RtpFields, parse_rtp
from media.sfu.sdp import REPAIRED_ID, STREAM_ID, TRANSPORT_SEQ, parse_offer
from media.sfu.session import PublisherSession, SessionParts, ViewerSession
from media.sfu.srtp import PROFILES, SrtpKeys, SrtpPair
from media.sfu.stun import Address
from tests.media.sfu import packets as p
from tests.media.sfu.peer import Credentials, make_offer

IDENTITY = DtlsIdentity(datetime(2026, 1, 1, tzinfo=UTC))
RID_EXTENSION = 10
REPAIRED_EXTENSION = 11
NUMBER_EXTENSION = 3
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
    packets: list[bytes] = field(default_factory=list)

    def transmit(self, datagram: bytes, _address: Address) -> None:
        packet = self.receiving.unprotect_rtcp(datagram)
        assert packet is not None
        found = parse_rtcp(packet)
        assert found is not None
        self.facts.append(found)
        self.packets.append(packet)

    @property
    def keyframes_wanted(self) -> int:
        return sum(len(fact.keyframe_ssrcs) for fact in self.facts)


def make_keys() -> tuple[SrtpKeys, SrtpKeys]:
    """Return keys for both ends of one connection."""
    profile = PROFILES[0]
    one, two = (secrets.token_bytes(profile.key_bytes + profile.salt_bytes) for _ in range(2))
    return SrtpKeys(profile, one, two), SrtpKeys(profile, two, one)


def make_parts(feedback: Feedback) -> SessionParts:
    agent = IceAgent("unused", IceCredentials("theirs", "theirs too"))
    agent.address = ("192.0.2.1", 1)
    dtls = DtlsSrtpPeer(IDENTITY, [])
    return SessionParts(secrets.token_hex(4), "r", agent, dtls, feedback.transmit, 0.0)


def describe_layers(rids: Sequence[str]) -> str:
    """Write the lines of a section that sends several encodings, as browsers do."""
    sent = "".join(f"a=rid:{rid} send\r\n" for rid in rids)
    named = ((RID_EXTENSION, STREAM_ID), (REPAIRED_EXTENSION, REPAIRED_ID))
    names = "".join(f"a=extmap:{number} {uri}\r\n" for number, uri in named)
    return f"a=mid:0\r\n{names}{sent}a=simulcast:send {';'.join(rids)}\r\n"


def offer_repeats(offer: str) -> str:
    """Return an offer of VP8 that takes, or sends, repeats in a stream of their own."""
    lines = "a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96"
    return offer.replace("SAVPF 96", "SAVPF 96 97").replace("a=rtpmap:96 VP8/90000", lines)


def offer_numbers(offer: str) -> str:
    """Return an offer of VP8 with transport-wide numbers and feedback by them."""
    lines = f"a=rtcp-fb:96 transport-cc\r\na=extmap:{NUMBER_EXTENSION} {TRANSPORT_SEQ}"
    return offer.replace("a=mid:0", f"a=mid:0\r\n{lines}")


def make_layer_payload(number: int, frame: int, part: int = 0, *, is_keyframe: bool) -> bytes:
    """Return VP8 with numbers of the encoding's own; its last bytes name encoding and part."""
    picture = (1000 * number + frame).to_bytes(2, "big")
    tl0 = (50 * number + frame) & 0xFF
    start = 0x10 if part == 0 else 0
    head = bytes([0x80 | start, 0xC0, picture[0] | 0x80, picture[1], tl0])
    size = (320 << number).to_bytes(2, "little") + (180 << number).to_bytes(2, "little")
    key = b"\x00\x00\x00\x9d\x01\x2a" + size if is_keyframe else b"\x01delta"
    return head + (key if part == 0 else b"rest") + bytes([number, part])


@dataclass
class Simulcast:
    """A publisher of several encodings, each with numbers and timestamps of its own.

    Encodings are named from the smallest; each has the next one's half width.
    """

    stage: Stage
    session: PublisherSession
    feedback: Feedback
    rids: tuple[str, ...]
    frames: int = 0
    seqs: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    filling: bytes = b""
    """Between the head of every payload and its end; `parts` are packets a frame by encoding."""

    def send(self, *keyframes: str, only: Sequence[str] = (), packets: int = 1) -> None:
        """Send one frame in every encoding, or in some; a keyframe in those that are named."""
        self.frames += 1
        self.stage.now_s += 1 / 30
        for number, rid in enumerate(self.rids):
            if only and rid not in only:
                continue
            parts = self.parts.get(rid, packets)
            for part in range(parts):
                payload = make_layer_payload(
                    number, self.frames, part, is_keyframe=rid in keyframes
                )
                payload = payload[:-2] + self.filling + payload[-2:]
                self._deliver(number, payload, is_last=part == parts - 1)
        self.stage.room.flush(self.stage.now_s)

    def report(self) -> None:
        """Send each encoding's clock: their frames are of one moment."""
        ntp = int(self.stage.now_s * 2**32)
        for number in range(len(self.rids)):
            info = RtcpSenderInfo(ntp, self._get_timestamp(number), 1, 1)
            report = RtcpSrPacket(ssrc=100 + number, sender_info=info)
            self.stage.room.apply_rtcp(self.session, bytes(report), self.stage.now_s)

    def count_wishes(self, rid: str) -> int:
        """Return how often a keyframe of an encoding was asked for."""
        ssrc = 100 + self.rids.index(rid)
        return sum(fact.keyframe_ssrcs.count(ssrc) for fact in self.feedback.facts)

    def _get_timestamp(self, number: int) -> int:
        return (0xFFFF0000 * (number + 1) + 3000 * self.frames) & 0xFFFFFFFF

    def _deliver(self, number: int, payload: bytes, *, is_last: bool) -> None:
        rid = self.rids[number]
        seq = self.seqs[rid] = self.seqs.get(rid, 65_500) + 1
        marker = 0x80 if is_last else 0
        plain = p.make_rtp(
            seq,
            self._get_timestamp(number),
            payload,
            ssrc=100 + number,
            marker_and_type=marker | 96,
        )
        packet = p.add_extension(plain, RID_EXTENSION, rid.encode())
        self.stage.room.apply_rtp(self.session, packet, self.stage.now_s)


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

    def add_publisher(
        self, codec: str = "VP8", *, rtx: bool = False, numbers: bool = False
    ) -> tuple[PublisherSession, Feedback]:
        ours, theirs = make_keys()
        feedback = Feedback(SrtpPair(theirs))
        offer = make_offer(Credentials(), FINGERPRINT, "sendonly", (codec, "opus"))
        offer = offer_repeats(offer) if rtx else offer
        offer = offer_numbers(offer) if numbers else offer
        session = PublisherSession(make_parts(feedback), choose_publish(parse_offer(offer)))
        session.srtp = SrtpPair(ours)
        self.room.promote_publisher(session, self.now_s)
        return session, feedback

    def add_simulcast(self, rids: tuple[str, ...] = ("q", "h", "f")) -> Simulcast:
        """Add a publisher of several encodings."""
        ours, theirs = make_keys()
        feedback = Feedback(SrtpPair(theirs))
        offer = offer_repeats(make_offer(Credentials(), FINGERPRINT, "sendonly", ("VP8", "opus")))
        offer = offer.replace("a=mid:0\r\n", describe_layers(rids))
        session = PublisherSession(make_parts(feedback), choose_publish(parse_offer(offer)))
        session.srtp = SrtpPair(ours)
        self.room.promote_publisher(session, self.now_s)
        return Simulcast(self, session, feedback, rids)

    def add_viewer(
        self, codecs: tuple[str, ...] = ("VP8", "opus"), *, rtx: bool = False, numbers: bool = False
    ) -> ViewerSession:
        ours, theirs = make_keys()
        offer = make_offer(Credentials(), FINGERPRINT, "recvonly", codecs)
        if rtx:
            offer = offer_repeats(offer)
        if numbers:
            offer = offer_numbers(offer)
        chosen = choose_watch(parse_offer(offer), self.room.get_codecs())
        reports = Feedback(SrtpPair(theirs))
        is_measured = self.room.layers.are_several
        session = ViewerSession(
            make_parts(reports), chosen, self.room.rtx_ssrc, is_measured=is_measured
        )
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
