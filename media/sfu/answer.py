"""Writes the SDP answer to a WHIP or WHEP offer: ICE-lite, one port, one codec per section.

Pure; called by `server`. Everything echoed from the offer was validated by `sdp`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from media.sfu.codecs import Choice, ChosenMedia
from media.sfu.dtls import Fingerprint
from media.sfu.sdp import (
    MEDIA_ID,
    REPAIRED_ID,
    STREAM_ID,
    TRANSPORT_SEQ,
    Offer,
    OfferedCodec,
    OfferedMedia,
)

FEEDBACK = ("nack", "nack pli", "ccm fir")
PUBLISHER_FEEDBACK = (*FEEDBACK, "goog-remb", "transport-cc")
VIEWER_FEEDBACK = (*FEEDBACK, "goog-remb")
MEASURED_FEEDBACK = (*FEEDBACK, "transport-cc")
HOST_TYPE_PREFERENCE = 126
H264_LEVEL_TAKEN = 0x34
"""5.2, which has room for 1080p60 and for 4K (H.264 table A-1): we forward pictures of any size."""
H264_LEVEL_1_1, LEVEL_1B_FLAG = 0x0B, 0x10
PROFILES_OF_1B = (66, 77, 88)
"""Baseline, Main and Extended; of others the flag says something else (H.264 A.2)."""
PROFILE_LEVEL = re.compile("[0-9a-fA-F]{6}")
CHROMIUM_START_BITRATE = "x-google-start-bitrate=2000"  # kbit/s; others ignore it


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end: ICE credentials, certificate, and the addresses peers may reach us at."""

    ice_ufrag: str
    ice_password: str
    fingerprint: Fingerprint
    candidate_ips: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class OutgoingStream:
    """What a viewer's answer announces: the room's SSRC per kind under one canonical name.

    `rtx_ssrc` is of the repeats of video, for viewers who take such a stream; 0: there is none.
    `transport_seq` is the header extension by which the viewer's link is measured; 0: by REMB.
    """

    cname: str
    ssrcs: Mapping[str, int]
    rtx_ssrc: int = 0
    transport_seq: int = 0


def build_answer(
    offer: Offer, chosen: Choice, transport: LocalTransport, stream: OutgoingStream | None
) -> str:
    """Return the answer; `stream` is None towards a publisher, who only sends."""
    accepted = {id(media.section): media for media in chosen.values()}
    mids = [s.mid for s in offer.media if id(s) in accepted and s.mid]
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite"]
    if mids:
        lines.append(f"a=group:BUNDLE {' '.join(mids)}")
    lines.append("a=msid-semantic: WMS *")
    for section in offer.media:
        media = accepted.get(id(section))
        if media is None:
            lines.extend(_reject_section(section))
            continue
        repeating = _choose_repeating(media, stream)
        lines.extend(_accept_section(media, transport, repeating))
        lines.append(f"a=setup:{'active' if offer.is_dtls_server else 'passive'}")
        lines.extend(_describe_codec(media, stream))
        if repeating is not None:
            lines.append(f"a=rtpmap:{repeating} rtx/90000")
            lines.append(f"a=fmtp:{repeating} apt={media.codec.payload_type}")
        if stream is None:
            lines.append("a=recvonly")
            lines.extend(_take_layers(media))
        else:
            lines.append("a=sendonly")
            lines.extend(_announce_stream(section.kind, stream, has_rtx=repeating is not None))
        lines.extend(list_candidates(transport.candidate_ips, transport.port))
    return "\r\n".join(lines) + "\r\n"


def _choose_repeating(media: ChosenMedia, stream: OutgoingStream | None) -> int | None:
    """Return the payload type of repeats, None when they are to come as what they repeat."""
    if stream is None:
        return media.publisher_rtx
    return media.rtx if stream.rtx_ssrc else None


def _reject_section(section: OfferedMedia) -> Iterator[str]:
    """Answer port 0 (RFC 3264 §6): the section stays in place and carries nothing."""
    yield f"m={section.kind} 0 {section.protocol} {section.formats}"
    yield "c=IN IP4 0.0.0.0"
    if section.mid:
        yield f"a=mid:{section.mid}"
    yield "a=inactive"


def _accept_section(
    media: ChosenMedia, transport: LocalTransport, repeating: int | None
) -> Iterator[str]:
    section = media.section
    numbers = [str(n) for n in (media.codec.payload_type, repeating) if n is not None]
    yield f"m={section.kind} 9 {section.protocol} {' '.join(numbers)}"
    yield "c=IN IP4 0.0.0.0"
    yield "a=rtcp:9 IN IP4 0.0.0.0"
    if section.mid:
        yield f"a=mid:{section.mid}"
    yield f"a=ice-ufrag:{transport.ice_ufrag}"
    yield f"a=ice-pwd:{transport.ice_password}"
    yield f"a=fingerprint:{transport.fingerprint.algorithm} {transport.fingerprint.value}"
    yield "a=rtcp-mux"
    if section.has_reduced_rtcp:
        yield "a=rtcp-rsize"


def _describe_codec(media: ChosenMedia, stream: OutgoingStream | None) -> Iterator[str]:
    codec, is_publisher = media.codec, stream is None
    number = codec.payload_type
    channels = f"/{codec.channels}" if media.section.kind == "audio" else ""
    yield f"a=rtpmap:{number} {codec.name}/{codec.clock_rate}{channels}"
    wanted, number_of = _choose_feedback(media, stream)
    if number_of and "transport-cc" in codec.feedback:
        yield f"a=extmap:{number_of} {TRANSPORT_SEQ}"
    for kind in wanted:
        if kind in codec.feedback:
            yield f"a=rtcp-fb:{number} {kind}"
    parameters = _write_parameters(codec.parameters)
    if is_publisher and media.section.kind == "video":
        parameters = [*_describe_taken(codec), CHROMIUM_START_BITRATE]
    if parameters:
        yield f"a=fmtp:{number} {';'.join(parameters)}"


def _write_parameters(parameters: Iterable[tuple[str, str | None]]) -> list[str]:
    return [key if value is None else f"{key}={value}" for key, value in parameters]


def _describe_taken(codec: OfferedCodec) -> list[str]:
    """Return the parameters of what we take: of H.264 up to our level, not up to the offer's.

    The offer's is what the publisher decodes. Where it allows different ones, ours bounds what it
    sends (RFC 6184 §8.2.2); otherwise there is one level for both directions, and it stays.
    """
    offered = codec.get_parameter("profile-level-id")
    is_asymmetric = codec.get_parameter("level-asymmetry-allowed") == "1"
    if codec.name.upper() != "H264" or not is_asymmetric or not PROFILE_LEVEL.fullmatch(offered):
        return _write_parameters(codec.parameters)
    profile, constraints, level = bytes.fromhex(offered)
    if level < H264_LEVEL_TAKEN:
        if level == H264_LEVEL_1_1 and profile in PROFILES_OF_1B:
            constraints &= ~LEVEL_1B_FLAG  # with it, this level is 1b (§8.1)
        level = H264_LEVEL_TAKEN
    taken = bytes((profile, constraints, level)).hex()
    return _write_parameters({**dict(codec.parameters), "profile-level-id": taken}.items())


def _choose_feedback(
    media: ChosenMedia, stream: OutgoingStream | None
) -> tuple[Sequence[str], int]:
    """Return which feedback we can use, and the header extension of transport-wide numbers."""
    if media.section.kind != "video":
        # Where sound has numbers, too, Chromium takes jitter for a full link, and sound, which does
        # not give way, gets the most of what is left (benchmarks/page_glass, on a bad network).
        return (), 0
    if stream is None:
        return PUBLISHER_FEEDBACK, media.section.extensions.get(TRANSPORT_SEQ, 0)
    return (MEASURED_FEEDBACK if stream.transport_seq else VIEWER_FEEDBACK), stream.transport_seq


def _take_layers(media: ChosenMedia) -> Iterator[str]:
    """Take several encodings at once (RFC 8853 §5.2), told apart by their stream ids (RFC 8852)."""
    if not media.rids:
        return
    for uri in (STREAM_ID, REPAIRED_ID, MEDIA_ID):
        if uri in media.section.extensions:
            yield f"a=extmap:{media.section.extensions[uri]} {uri}"
    for rid in media.rids:
        yield f"a=rid:{rid} recv"
    yield f"a=simulcast:recv {';'.join(media.rids)}"


def _announce_stream(kind: str, stream: OutgoingStream, *, has_rtx: bool) -> Iterator[str]:
    """Name the stream's SSRC, and that of its repeats (RFC 5576 §4.2, RFC 4588 §8.2)."""
    yield f"a=msid:{stream.cname} {kind}"
    ssrcs = [stream.ssrcs[kind]]
    if has_rtx:
        ssrcs.append(stream.rtx_ssrc)
        yield f"a=ssrc-group:FID {ssrcs[0]} {ssrcs[1]}"
    for ssrc in ssrcs:
        yield f"a=ssrc:{ssrc} cname:{stream.cname}"
        yield f"a=ssrc:{ssrc} msid:{stream.cname} {kind}"


def list_candidates(ips: Sequence[str], port: int) -> Iterator[str]:
    """Host candidates, first ones preferred (RFC 8445 §5.1.2.1)."""
    for number, ip in enumerate(ips, start=1):
        priority = (HOST_TYPE_PREFERENCE << 24) | ((65536 - number) << 8) | 255
        yield f"a=candidate:{number} 1 udp {priority} {ip} {port} typ host"
    yield "a=end-of-candidates"
