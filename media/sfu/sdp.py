"""Reads and validates SDP offers (RFC 8866, RFC 8829), as WHIP and WHEP clients send them.

Called by `server` for every publish and watch. What comes out is safe to echo into an answer;
everything else raises `OfferMalformed`. Lines nobody here reads (candidates, header extensions,
SSRCs) are dropped first, so that an oddity in them refuses nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription

from media.sfu.dtls import DIGESTS, Fingerprint
from media.sfu.errors import OfferMalformed

OFFER_CHARS_MAX = 65_536
MEDIA_MAX = 16
CODECS_MAX = 128
SECTION_CODEC_LINES_MAX = 256
OFFER_CODEC_LINES_MAX = 1024
"""About codecs that we may take. Browsers write a hundred in the section of their pictures."""
PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "RTP/SAVPF")
READ_ATTRIBUTES = frozenset(
    {
        *("mid", "rtpmap", "fmtp", "rtcp-fb", "rtcp-mux", "group"),
        *("setup", "fingerprint", "ice-ufrag", "ice-pwd", "ice-lite"),
        *("sendrecv", "sendonly", "recvonly", "inactive"),
    }
)
CODEC_ATTRIBUTES = frozenset({"rtpmap", "fmtp", "rtcp-fb"})
TAKEN_CODECS = frozenset({"opus", "h264", "vp8", "h265", "vp9", "av1"})
FLAGS = frozenset({"bundle-only", "rtcp-rsize"})
TRANSPORT_SEQ = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
STREAM_ID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_ID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
MEDIA_ID = "urn:ietf:params:rtp-hdrext:sdes:mid"
EXTENSIONS = frozenset({TRANSPORT_SEQ, STREAM_ID, REPAIRED_ID, MEDIA_ID})
EXTENSION_ID_MAX = 255
PAYLOAD_TYPE_MAX = 127
RIDS_MAX = 4
# What aiortc's parser lets through on bad input; it has no error of its own.
PARSE_ERRORS = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    StopIteration,
    TypeError,
    ValueError,
)

# Python ends lines at more of these than SDP does.
_CONTROL = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u2028\\u2029]")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}")
_PARAMETER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~/=:,-]{1,256}")
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")
UFRAG = re.compile(r"[A-Za-z0-9+/=-]{4,256}")
PASSWORD = re.compile(r"[A-Za-z0-9+/=-]{22,256}")


@dataclass(frozen=True, slots=True)
class OfferedCodec:
    """One payload type of a section: name as registered, format parameters, feedback kinds."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int | None
    parameters: tuple[tuple[str, str | None], ...]
    feedback: frozenset[str]

    def get_parameter(self, name: str, default: str = "") -> str:
        """Return a format parameter as text."""
        return dict(self.parameters).get(name) or default


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """One m= section; `is_usable` says whether it may be accepted at all.

    `extensions` are the header extensions we know, by URI, with the number the client gave; `rids`
    the encodings sent at once (RFC 8853); `rtx` the payload types that repeat others (RFC 4588).
    """

    kind: str
    mid: str
    protocol: str
    formats: str
    direction: str
    codecs: tuple[OfferedCodec, ...]
    is_usable: bool
    has_reduced_rtcp: bool
    extensions: Mapping[str, int]
    rids: tuple[str, ...] = ()
    rtx: Mapping[int, int] = field(default_factory=dict)

    @property
    def can_send(self) -> bool:
        """Tell whether the client offers to send."""
        return self.is_usable and self.direction in ("sendonly", "sendrecv")

    @property
    def can_receive(self) -> bool:
        """Tell whether the client offers to receive."""
        return self.is_usable and self.direction in ("recvonly", "sendrecv")


@dataclass(frozen=True, slots=True)
class Offer:
    """A validated offer: its sections in order and the one transport they share.

    `is_dtls_server` is set when the client can only wait for our handshake: WHIP asks for
    "actpass" (RFC 9725 §4.4), yet FFmpeg's muxer offers "passive".
    """

    media: tuple[OfferedMedia, ...]
    ice_ufrag: str
    ice_password: str
    fingerprints: tuple[Fingerprint, ...]
    is_dtls_server: bool


def parse_offer(sdp: str) -> Offer:
    """Read an offer; raises `OfferMalformed` with a reason when it does not hold together."""
    if not sdp.startswith("v=0"):
        raise OfferMalformed(reason="not_sdp")
    if len(sdp) > OFFER_CHARS_MAX or _CONTROL.search(sdp):
        raise OfferMalformed(reason="too_long_or_binary")
    text, extras = _keep_read_lines(sdp)
    if not 1 <= len(extras) <= MEDIA_MAX:
        raise OfferMalformed(reason="media_count")
    try:
        session = SessionDescription.parse(text)
    except PARSE_ERRORS as error:
        raise OfferMalformed(reason="syntax") from error
    bundle = _get_bundle(session)
    media = tuple(
        _read_media(section, own, bundle)
        for section, own in zip(session.media, extras, strict=True)
    )
    _check_sections(media, bundle)
    transport = _find_transport(session, media, bundle)
    ufrag, password = _read_ice(transport)
    return Offer(
        media=media,
        ice_ufrag=ufrag,
        ice_password=password,
        fingerprints=_read_fingerprints(transport),
        is_dtls_server=transport.dtls is not None and transport.dtls.role == "server",
    )


@dataclass(slots=True)
class _Extras:
    """What a section says beyond what the parser reports."""

    flags: set[str] = field(default_factory=set)
    extensions: dict[str, int] = field(default_factory=dict)
    sent_rids: set[str] = field(default_factory=set)
    simulcast: list[str] = field(default_factory=list)
    repeating: set[int] = field(default_factory=set)
    repeated: dict[int, int] = field(default_factory=dict)
    codec_lines: int = 0

    def list_rids(self) -> tuple[str, ...]:
        """Return the encodings that can be told apart; nothing unless there are several."""
        rids = tuple(rid for rid in self.simulcast if rid in self.sent_rids)
        return rids if len(set(rids)) == len(rids) > 1 and STREAM_ID in self.extensions else ()

    def map_rtx(self) -> dict[int, int]:
        """Return the repeating payload types by what they repeat."""
        return {known: own for own, known in self.repeated.items() if own in self.repeating}


def _keep_read_lines(sdp: str) -> tuple[str, list[_Extras]]:
    """Return the lines we read, and of each section what the parser does not report.

    Browsers offer some thirty codecs with five lines each; we take six, and the parser's time
    grows with the square of their number. Raises OfferMalformed for more than anybody writes.
    """
    kept: list[str] = []
    extras: list[_Extras] = []
    lines = [line.rstrip() for line in sdp.splitlines()]
    payload_types = _list_payload_types(lines)
    for line in lines:
        if line.startswith("m="):
            extras.append(_Extras())
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            if extras:
                _apply_extra(extras[-1], name, value)
            if name not in READ_ATTRIBUTES:
                continue
            if name in CODEC_ATTRIBUTES:
                if value.partition(" ")[0] not in payload_types:
                    continue
                _count_codec_line(extras)
        elif not line.startswith(("v=", "o=", "s=", "t=", "m=")):
            continue
        kept.append(line)
    return "\r\n".join(kept) + "\r\n", extras


def _count_codec_line(extras: Sequence[_Extras]) -> None:
    """Count a line of the last section; what stands before the first one belongs to no codec."""
    if not extras:
        return
    extras[-1].codec_lines += 1
    is_much = extras[-1].codec_lines > SECTION_CODEC_LINES_MAX
    if is_much or sum(section.codec_lines for section in extras) > OFFER_CODEC_LINES_MAX:
        raise OfferMalformed(reason="codec_count")


def _apply_extra(extras: _Extras, name: str, value: str) -> None:
    """Read a flag, header extension (RFC 8285 §5) or encoding; an odd one is as good as none."""
    if name in FLAGS:
        extras.flags.add(name)
    words = value.split()
    if name == "rid" and words[1:2] == ["send"] and _RID.fullmatch(words[0]):
        extras.sent_rids.add(words[0])
    elif name == "simulcast" and "send" in words[:-1]:
        # Alternatives to one encoding follow a comma, "~" marks one that begins paused (§5.1).
        streams = words[words.index("send") + 1].split(";")[:RIDS_MAX]
        extras.simulcast = [stream.partition(",")[0].lstrip("~") for stream in streams]
    elif name in ("rtpmap", "fmtp") and len(words) > 1:
        _apply_repeating(extras, name, words)
    if name == "extmap" and len(words) > 1 and words[1] in EXTENSIONS:
        number = words[0].partition("/")[0]
        if number.isdecimal() and 1 <= int(number[:4]) <= EXTENSION_ID_MAX:
            extras.extensions[words[1]] = int(number[:4])


def _apply_repeating(extras: _Extras, name: str, words: Sequence[str]) -> None:
    """Read which payload type repeats which (RFC 4588 §8.1)."""
    own, what = words[0], words[1].lower()
    if not own.isdecimal() or len(own) > 3 or int(own) > PAYLOAD_TYPE_MAX:
        return
    if name == "rtpmap" and what == "rtx/90000":
        extras.repeating.add(int(own))
    known = what.partition(";")[0].removeprefix("apt=")
    if name == "fmtp" and what.startswith("apt=") and known.isdecimal() and len(known) <= 3:
        extras.repeated[int(own)] = int(known)


def _list_payload_types(lines: Sequence[str]) -> set[str]:
    """Return the payload types of codecs we may take, as their attribute lines begin."""
    found = {"*"}
    for line in lines:
        attribute, _, value = line.partition(":")
        words = value.split()
        is_rtpmap = attribute == "a=rtpmap" and len(words) > 1
        if is_rtpmap and words[1].partition("/")[0].lower() in TAKEN_CODECS:
            found.add(words[0])
    return found


def _get_bundle(session: SessionDescription) -> tuple[str, ...]:
    groups = [group for group in session.group if group.semantic == "BUNDLE"]
    return tuple(str(item) for item in groups[0].items) if groups else ()


def _read_media(section: MediaDescription, extras: _Extras, bundle: Sequence[str]) -> OfferedMedia:
    mid = section.rtp.muxId or ""
    if mid and not _TOKEN.fullmatch(mid):
        raise OfferMalformed(reason="mid")
    is_av = section.kind in ("audio", "video")
    if is_av and section.profile not in PROTOCOLS:
        raise OfferMalformed(reason="protocol")
    if len(section.rtp.codecs) > CODECS_MAX:
        raise OfferMalformed(reason="codec_count")
    is_bundled = not bundle or mid in bundle
    is_enabled = section.port != 0 or "bundle-only" in extras.flags
    return OfferedMedia(
        kind=section.kind,
        mid=mid,
        protocol=section.profile,
        formats=" ".join(str(item) for item in section.fmt),
        direction=section.direction or "sendrecv",
        codecs=_read_codecs(section) if is_av else (),
        is_usable=is_av and is_enabled and is_bundled and section.rtcp_mux,
        has_reduced_rtcp="rtcp-rsize" in extras.flags,
        extensions=extras.extensions,
        rids=extras.list_rids(),
        rtx=extras.map_rtx(),
    )


def _read_codecs(section: MediaDescription) -> tuple[OfferedCodec, ...]:
    """Read the codecs the m= line lists; an rtpmap for any other payload type means nothing."""
    return tuple(_read_codec(c) for c in section.rtp.codecs if c.payloadType in section.fmt)


def _read_codec(codec: RTCRtpCodecParameters) -> OfferedCodec:
    payload_type = -1 if codec.payloadType is None else codec.payloadType
    if not 0 <= payload_type <= 127 or not _TOKEN.fullmatch(codec.name):
        raise OfferMalformed(reason="rtpmap")
    parameters = []
    for name, value in codec.parameters.items():
        text = None if value is None else str(value).strip()
        for part in (name.strip(), text):
            if part and not _PARAMETER.fullmatch(part):
                raise OfferMalformed(reason="fmtp")
        if name.strip():
            parameters.append((name.strip(), text))
    return OfferedCodec(
        payload_type=payload_type,
        name=codec.name,
        clock_rate=codec.clockRate,
        channels=codec.channels,
        parameters=tuple(parameters),
        feedback=frozenset(
            fb.type if fb.parameter is None else f"{fb.type} {fb.parameter}"
            for fb in codec.rtcpFeedback
        ),
    )


def _check_sections(media: Sequence[OfferedMedia], bundle: Sequence[str]) -> None:
    """Refuse what makes the sections ambiguous: WHIP and WHEP clients bundle (RFC 9725 §4.4)."""
    av = [section for section in media if section.kind in ("audio", "video")]
    mids = [section.mid for section in media if section.mid]
    if len(set(mids)) != len(mids) or not set(bundle) <= set(mids):
        raise OfferMalformed(reason="mid")
    if len(av) > 1 and not bundle:
        raise OfferMalformed(reason="bundle_missing")
    if av and not any(section.is_usable for section in av):
        raise OfferMalformed(reason="rtcp_mux_or_bundle_missing")


def _find_transport(
    session: SessionDescription, media: Sequence[OfferedMedia], bundle: Sequence[str]
) -> MediaDescription:
    """Return the section whose ICE and DTLS parameters hold for all (RFC 9143 §7.2)."""
    tag = bundle[0] if bundle else media[0].mid
    return next(section for section in session.media if (section.rtp.muxId or "") == tag)


def _read_ice(section: MediaDescription) -> tuple[str, str]:
    """Return the client's user fragment and password."""
    ice = section.ice
    if ice is None or ice.iceLite:
        raise OfferMalformed(reason="ice_lite")  # Two lite agents never find each other.
    ufrag, password = ice.usernameFragment or "", ice.password or ""
    if not UFRAG.fullmatch(ufrag) or not PASSWORD.fullmatch(password):
        raise OfferMalformed(reason="ice_credentials")
    return ufrag, password


def _read_fingerprints(section: MediaDescription) -> tuple[Fingerprint, ...]:
    if section.dtls is None:
        raise OfferMalformed(reason="dtls_setup")
    found = []
    for item in section.dtls.fingerprints:
        algorithm = item.algorithm.lower()
        if algorithm not in DIGESTS:
            continue
        size = DIGESTS[algorithm].digest_size
        if not re.fullmatch(rf"[0-9A-Fa-f]{{2}}(:[0-9A-Fa-f]{{2}}){{{size - 1}}}", item.value):
            raise OfferMalformed(reason="fingerprint")
        found.append(Fingerprint(algorithm, item.value.upper()))
    if not found:
        raise OfferMalformed(reason="fingerprint")
    return tuple(found)
