"""RTCP as the forwarding plane needs it: reading what peers send, writing what we send.

Called by `room` and `feedback`; parsing is aiortc's, which is strict about lengths. Everything
written is a compound packet that opens with a report (RFC 3550 §6.1), since reduced-size packets
need an agreement that not every client makes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpByePacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    pack_remb_fci,
    pack_rtcp_packet,
    unpack_remb_fci,
)

from media.sfu.reception import ReceptionReport

NACKED_PACKETS_MAX = 512
ARRIVAL_MESSAGES_MAX = 8
OWN_SSRC = 1
SDES_CNAME = 1
RTPFB = 205
TRANSPORT_FEEDBACK = 15
FIR_SIZE = struct.Struct("!LBxxx")


@dataclass(frozen=True, slots=True)
class SenderReport:
    """A publisher's mapping between its wall clock (NTP) and one stream's timestamps."""

    ssrc: int
    ntp_timestamp: int
    rtp_timestamp: int


@dataclass(frozen=True, slots=True)
class LossReport:
    """What one receiver says it lost of a stream since its last report, in 1/256."""

    ssrc: int
    fraction_lost: int


@dataclass(slots=True)
class RtcpIn:
    """All the facts of one incoming compound packet that someone here acts on."""

    nacks: list[tuple[int, list[int]]] = field(default_factory=list)
    keyframe_ssrcs: list[int] = field(default_factory=list)
    sender_reports: list[SenderReport] = field(default_factory=list)
    losses: list[LossReport] = field(default_factory=list)
    left_ssrcs: list[int] = field(default_factory=list)
    arrivals: list[bytes] = field(default_factory=list)
    estimate_bps: int | None = None


def parse_rtcp(packet: bytes) -> RtcpIn | None:
    """Read a decrypted compound packet; None when any part of it is malformed."""
    rest, arrivals = _split_arrivals(packet)
    try:
        parts = RtcpPacket.parse(rest)
    except (ValueError, struct.error, IndexError):
        return None
    facts = RtcpIn(arrivals=arrivals)
    for part in parts:
        _apply_part(facts, part)
    return facts


def _split_arrivals(packet: bytes) -> tuple[bytes, list[bytes]]:
    """Cut transport-wide feedback out, which aiortc takes for NACKs; returns the rest and its FCI.

    What does not fit together is left as it is, for the strict reader to refuse.
    """
    found: list[bytes] = []
    rest: list[bytes] = []
    at = 0
    while at + 4 <= len(packet):
        end = at + 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
        kind = packet[at] & 0x1F, packet[at + 1]
        if kind == (TRANSPORT_FEEDBACK, RTPFB) and end <= len(packet):
            found.append(packet[at + 12 : end])
        else:
            rest.append(packet[at:end])
        at = end
    if not found:
        return packet, []
    return b"".join((*rest, packet[at:])), found[:ARRIVAL_MESSAGES_MAX]


def _apply_part(facts: RtcpIn, part: AnyRtcpPacket) -> None:
    if isinstance(part, RtcpRtpfbPacket) and part.fmt == RTCP_RTPFB_NACK:
        left = NACKED_PACKETS_MAX - sum(len(seqs) for _, seqs in facts.nacks)
        facts.nacks.append((part.media_ssrc, [seq & 0xFFFF for seq in part.lost[:left]]))
    elif isinstance(part, RtcpPsfbPacket) and part.fmt == RTCP_PSFB_PLI:
        facts.keyframe_ssrcs.append(part.media_ssrc)
    elif isinstance(part, RtcpPsfbPacket) and part.fmt == RTCP_PSFB_FIR:
        # FIR names its target in the entry, not in the header (RFC 5104 §4.3.1).
        for at in range(0, len(part.fci) - FIR_SIZE.size + 1, FIR_SIZE.size):
            facts.keyframe_ssrcs.append(FIR_SIZE.unpack_from(part.fci, at)[0])
    elif isinstance(part, RtcpPsfbPacket) and part.fmt == RTCP_PSFB_APP:
        facts.estimate_bps = _read_estimate(part.fci)
    elif isinstance(part, RtcpSrPacket):
        info = part.sender_info
        report = SenderReport(part.ssrc, info.ntp_timestamp, info.rtp_timestamp)
        facts.sender_reports.append(report)
        facts.losses += [LossReport(r.ssrc, r.fraction_lost) for r in part.reports]
    elif isinstance(part, RtcpRrPacket):
        facts.losses += [LossReport(r.ssrc, r.fraction_lost) for r in part.reports]
    elif isinstance(part, RtcpByePacket):
        facts.left_ssrcs += part.sources


def _read_estimate(fci: bytes) -> int | None:
    """Return the bit rate of a REMB message; None for other application feedback."""
    try:
        return unpack_remb_fci(fci)[0]
    except (ValueError, IndexError, struct.error):
        return None


def build_nack(media_ssrc: int, seqs: Sequence[int]) -> bytes:
    """Ask for `seqs` (in order, may wrap) again (RFC 4585 §6.2.1)."""
    pairs: list[list[int]] = []
    for seq in seqs:
        distance = (seq - pairs[-1][0]) & 0xFFFF if pairs else 0
        if pairs and 1 <= distance <= 16:
            pairs[-1][1] |= 1 << (distance - 1)
        elif not pairs or distance:
            pairs.append([seq, 0])
    body = struct.pack("!LL", OWN_SSRC, media_ssrc)
    body += b"".join(struct.pack("!HH", first, mask) for first, mask in pairs)
    return build_empty_report() + pack_rtcp_packet(RTPFB, RTCP_RTPFB_NACK, body)


def build_arrival_feedback(fci: bytes, media_ssrc: int) -> bytes:
    """Tell when packets came; `fci` is made by `arrivals`.

    Of all streams, yet `media_ssrc` must be one of the sender's: Chromium ignores any other
    (libwebrtc, RTCPReceiver::HandleTransportFeedback), and cuts its rate each second without.
    """
    body = struct.pack("!LL", OWN_SSRC, media_ssrc) + fci
    return build_empty_report() + pack_rtcp_packet(RTPFB, TRANSPORT_FEEDBACK, body)


def build_pli(media_ssrc: int) -> bytes:
    """Ask for a keyframe (RFC 4585 §6.3.1)."""
    pli = RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=OWN_SSRC, media_ssrc=media_ssrc)
    return build_empty_report() + bytes(pli)


def build_receiver_report(
    blocks: Sequence[tuple[int, ReceptionReport]], allowed_bps: int, video_ssrcs: list[int]
) -> bytes:
    """Tell the publisher how its streams arrive and how much it may send (REMB)."""
    infos = [
        RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=report.fraction_lost,
            packets_lost=report.packets_lost,
            highest_sequence=report.highest_sequence,
            jitter=report.jitter,
            lsr=report.lsr,
            dlsr=min(int(report.delay_s * 65536), 0xFFFFFFFF),
        )
        for ssrc, report in blocks
    ]
    packet = bytes(RtcpRrPacket(ssrc=OWN_SSRC, reports=infos))
    if video_ssrcs:
        fci = pack_remb_fci(allowed_bps, video_ssrcs)
        packet += bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=OWN_SSRC, media_ssrc=0, fci=fci))
    return packet


def build_sender_report(report: SenderReport, counts: tuple[int, int], cname: str) -> bytes:
    """Write a viewer's sender report; `counts` are the packets and bytes of the track so far."""
    info = RtcpSenderInfo(
        ntp_timestamp=report.ntp_timestamp,
        rtp_timestamp=report.rtp_timestamp,
        packet_count=counts[0] & 0xFFFFFFFF,
        octet_count=counts[1] & 0xFFFFFFFF,
    )
    source = RtcpSourceInfo(ssrc=report.ssrc, items=[(SDES_CNAME, cname.encode())])
    return bytes(RtcpSrPacket(ssrc=report.ssrc, sender_info=info)) + bytes(
        RtcpSdesPacket(chunks=[source])
    )


def build_empty_report() -> bytes:
    """Write a receiver report of nothing, with which every compound packet begins."""
    return bytes(RtcpRrPacket(ssrc=OWN_SSRC))
