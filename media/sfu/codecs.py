"""Decides which codec of an offer a room takes from its publisher or gives to a viewer.

Pure; called by `server` between reading an offer and writing the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from media.sfu.errors import NoSupportedCodec, OfferMalformed
from media.sfu.sdp import REPAIRED_ID, TRANSPORT_SEQ, Offer, OfferedCodec, OfferedMedia

SIMULCAST_CODECS = ("H264", "VP8")
VIDEO_CODECS = ("H264", "VP8", "H265", "VP9", "AV1")
PROFILES = {"H265": "profile-id", "VP9": "profile-id", "AV1": "profile"}
SHORT_EXTENSION_MAX = 14
"""Above it an extension takes the two-byte form (RFC 8285 §4.3), which we do not write."""
H264_DEFAULT = "42e01f"
H264_PROFILES = ("42e0", "4200", "42", "4d", "64")


@dataclass(frozen=True, slots=True)
class ChosenMedia:
    """A section we accept, with the one codec it will carry."""

    section: OfferedMedia
    codec: OfferedCodec

    @property
    def rids(self) -> tuple[str, ...]:
        """The encodings to take at once: of codecs whose streams can be joined at keyframes."""
        return self.section.rids if self.codec.name.upper() in SIMULCAST_CODECS else ()

    @property
    def rtx(self) -> int | None:
        """The payload type that repeats the codec's packets, where the client takes one."""
        number = self.section.rtx.get(self.codec.payload_type)
        is_listed = str(number) in self.section.formats.split()
        return number if is_listed and self.section.kind == "video" else None

    @property
    def publisher_rtx(self) -> int | None:
        """The payload type in which a publisher repeats, None when it is to repeat as it sent.

        Of several encodings only where each stream of repeats says whose it is (RFC 8852 §3.2).
        """
        return self.rtx if not self.rids or REPAIRED_ID in self.section.extensions else None

    @property
    def transport_seq(self) -> int:
        """The header extension for transport-wide numbers on what a client gets; 0: none agreed."""
        number = self.section.extensions.get(TRANSPORT_SEQ, 0)
        return number if self._takes_transport_seq and number <= SHORT_EXTENSION_MAX else 0

    @property
    def _takes_transport_seq(self) -> bool:
        return self.section.kind == "video" and "transport-cc" in self.codec.feedback


Choice = Mapping[str, ChosenMedia]


def choose_publish(offer: Offer, preferred: Sequence[str] = VIDEO_CODECS) -> Choice:
    """Return the sections to take by kind; video is required, sound is not.

    The first section of a kind that can be taken wins. Raises `NoSupportedCodec`.
    """
    chosen: dict[str, ChosenMedia] = {}
    for section in offer.media:
        if not section.can_send or section.kind in chosen:
            continue
        if section.kind == "audio":
            codec = find_opus(section)
        else:
            codec = next(filter(None, (find_video(section, name) for name in preferred)), None)
        if codec is not None:
            chosen[section.kind] = ChosenMedia(section, codec)
    if "video" not in chosen:
        raise NoSupportedCodec(wanted=list(preferred))
    _check_payload_types(chosen)
    return chosen


def choose_watch(offer: Offer, room: Mapping[str, OfferedCodec]) -> Choice:
    """Return the sections to fill by kind, each with the codec the room's publisher sends.

    `room` maps kind to the publisher's codec. Raises `NoSupportedCodec` when the client wants
    video and cannot decode the room's, or when nothing at all is left.
    """
    chosen: dict[str, ChosenMedia] = {}
    wants_video = False
    for section in offer.media:
        source = room.get(section.kind)
        if not section.can_receive or section.kind in chosen:
            continue
        wants_video = wants_video or section.kind == "video"
        if source is None:
            continue
        if section.kind == "audio":
            codec = find_opus(section)
        else:
            name = source.name.upper()
            profile = source.get_parameter(PROFILES.get(name, "profile-level-id"))
            codec = find_video(section, name, profile)
        if codec is not None:
            chosen[section.kind] = ChosenMedia(section, codec)
    if not chosen or (wants_video and "video" not in chosen):
        raise NoSupportedCodec(wanted=sorted(codec.name for codec in room.values()))
    _check_payload_types(chosen)
    return chosen


def find_opus(section: OfferedMedia) -> OfferedCodec | None:
    """Return the Opus payload type (RFC 7587 §7: always 48000/2)."""
    for codec in section.codecs:
        if codec.name.lower() == "opus" and codec.clock_rate == 48000 and codec.channels == 2:
            return codec
    return None


def find_video(section: OfferedMedia, name: str, profile: str = "") -> OfferedCodec | None:
    """Return the payload type for a video codec: of the same profile, or of the closest one.

    H.264 is taken in mode 1 only, which encoders that fragment send (RFC 6184 §6.3). Decoders
    take more than they announce, so another profile is better than a refusal.
    """
    found = [
        codec
        for codec in section.codecs
        if codec.name.upper() == name and codec.clock_rate == 90000
    ]
    if name != "H264":
        parameter = PROFILES.get(name, "")
        same = [codec for codec in found if codec.get_parameter(parameter, "0") == (profile or "0")]
        return next(iter(same or found), None)
    found = [codec for codec in found if codec.get_parameter("packetization-mode") == "1"]
    profile = (profile or H264_DEFAULT).lower()
    wanted = (profile[:4], profile[:2], *H264_PROFILES)
    return min(found, key=lambda codec: _rank_profile(codec, wanted), default=None)


def _rank_profile(codec: OfferedCodec, wanted: Sequence[str]) -> int:
    offered = codec.get_parameter("profile-level-id", H264_DEFAULT).lower()
    ranks = [rank for rank, prefix in enumerate(wanted) if offered.startswith(prefix)]
    return ranks[0] if ranks else len(wanted)


def _check_payload_types(chosen: Choice) -> None:
    """Refuse one payload type for two kinds: nothing else tells their packets apart."""
    numbers = [media.codec.payload_type for media in chosen.values()]
    numbers += [media.rtx for media in chosen.values() if media.rtx is not None]
    if len(set(numbers)) != len(numbers):
        raise OfferMalformed(reason="payload_type_twice")
