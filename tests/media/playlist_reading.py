"""Playlists as a strict player reads them: RFC 8216 §4, its second edition where a live uses it.

Pictures for scrubbing are those of the Image Media Playlist specification, version 0.4. Whatever
is not a tag, an attribute or a form that those texts name is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",\s]+)(?:,|$)')
PLAYLIST_TAGS = {
    "VERSION", "INDEPENDENT-SEGMENTS", "START", "TARGETDURATION", "MEDIA-SEQUENCE",
    "DISCONTINUITY-SEQUENCE", "ENDLIST", "PLAYLIST-TYPE", "I-FRAMES-ONLY", "PART-INF",
    "SERVER-CONTROL", "SKIP", "IMAGES-ONLY",
}  # fmt: skip
"""Of a media playlist as a whole: each at most once (§4.3.3)."""
REPEATED_TAGS = {"PRELOAD-HINT", "RENDITION-REPORT"}
QUOTED = {
    "URI", "GROUP-ID", "NAME", "LANGUAGE", "CHANNELS", "CODECS", "AUDIO", "SUBTITLES", "KEYFORMAT",
    "KEYFORMATVERSIONS",
}  # fmt: skip
WORDS = {
    "TYPE": r"AUDIO|SUBTITLES|PART",
    "METHOD": r"SAMPLE-AES",
    "CLOSED-CAPTIONS": r"NONE",
    **dict.fromkeys(
        ("DEFAULT", "AUTOSELECT", "FORCED", "INDEPENDENT", "PRECISE", "CAN-BLOCK-RELOAD"), r"YES|NO"
    ),
    **dict.fromkeys(("RESOLUTION", "LAYOUT"), r"[1-9]\d*x[1-9]\d*"),
    "FRAME-RATE": r"\d+\.\d{3}",
    "KEYID": r"0x[0-9a-f]{32}",
}
NUMBER = r"-?\d+(?:\.\d+)?"
"""What every other attribute is."""


@dataclass
class Listed:
    """A segment as a playlist lists it; without an address while it is open."""

    address: str = ""
    duration_s: float = 0.0
    moment: datetime | None = None
    parts: list[tuple[float, str, bool]] = field(default_factory=list)
    is_discontinuous: bool = False
    is_gap: bool = False
    init: str | None = None
    byte_range: tuple[int, int] | None = None
    """How many, and from where on."""
    tiles: dict[str, str] = field(default_factory=dict)
    """Of a sheet of pictures: their size, how they lie, and how long each is shown."""


@dataclass
class Listing:
    """A media playlist, read."""

    tags: dict[str, str]
    segments: list[Listed]
    key: dict[str, str] = field(default_factory=dict)

    def attributes(self, tag: str) -> dict[str, str]:
        return read_attributes(self.tags.get(tag, ""))

    @property
    def duration_s(self) -> float:
        return sum(segment.duration_s for segment in self.segments)

    @property
    def target_s(self) -> int:
        return int(self.tags["TARGETDURATION"])


@dataclass
class Multivariant:
    """A list of variants, read: the attributes of each tag, and of variants the address."""

    tags: dict[str, str]
    media: list[dict[str, str]] = field(default_factory=list)
    variants: list[tuple[dict[str, str], str]] = field(default_factory=list)
    keys: list[dict[str, str]] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)

    @property
    def named(self) -> dict[str, list[dict[str, str]]]:
        """What is listed by each tag that names its address itself."""
        return {
            "MEDIA": self.media,
            "I-FRAME-STREAM-INF": self.keys,
            "IMAGE-STREAM-INF": self.images,
        }


def read_attributes(text: str) -> dict[str, str]:
    """Read an attribute list; each name once, each value in the form its name asks for (§4.2)."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = ATTRIBUTE.match(text, at)
        assert match is not None, text
        name, value = match.groups()
        assert name not in found, text
        assert value.startswith('"') is (name in QUOTED), text
        if name not in QUOTED:
            assert re.fullmatch(WORDS.get(name, NUMBER), value), text
        found[name] = value.strip('"')
        at = match.end()
    assert not text.endswith(","), text
    return found


def _split(text: str) -> list[tuple[str, str]]:
    """Lines as tags without their prefix and what is behind the colon; addresses have no tag."""
    assert "\r" not in text
    assert text.endswith("\n")
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert all(line and line == line.strip() for line in lines), "a line is empty or padded"
    pairs = []
    for line in lines[1:]:
        tag, _, value = line.partition(":")
        if line.startswith("#"):
            pairs.append((tag.removeprefix("#EXT-X-").removeprefix("#"), value))
        else:
            pairs.append(("", line))
    return pairs


def read_playlist(text: str) -> Listing:
    """Read a media playlist."""
    listing, open_one, has_length = Listing({}, []), Listed(), False
    for tag, value in _split(text):
        if tag == "":
            assert has_length, f"{value} has no length"
            open_one.address = value
            listing.segments.append(open_one)
            open_one, has_length = Listed(), False
        elif tag == "EXTINF":
            assert re.fullmatch(r"\d+(\.\d+)?,", value), value
            open_one.duration_s, has_length = float(value.rstrip(",")), True
        elif tag == "KEY":
            listing.key = read_attributes(value)
        elif tag in PLAYLIST_TAGS | REPEATED_TAGS:
            assert tag in REPEATED_TAGS or tag not in listing.tags, f"{tag} stands there twice"
            listing.tags[tag] = value
        else:
            _note(open_one, tag, value)
    assert not has_length, "the last segment has no address"
    if open_one.parts:
        listing.segments.append(open_one)
    return listing


def _note(segment: Listed, tag: str, value: str) -> None:
    """Note what a tag says of the segment that follows."""
    if tag == "PART":
        attributes = read_attributes(value)
        is_independent = attributes.get("INDEPENDENT") == "YES"
        segment.parts.append((float(attributes["DURATION"]), attributes["URI"], is_independent))
    elif tag == "PROGRAM-DATE-TIME":
        segment.moment = datetime.fromisoformat(value)
    elif tag == "BYTERANGE":
        size_bytes, _, at = value.partition("@")
        segment.byte_range = (int(size_bytes), int(at))
    elif tag == "TILES":
        segment.tiles = read_attributes(value)
    elif tag == "MAP":
        segment.init = read_attributes(value)["URI"]
    else:
        assert (tag, value) in {("DISCONTINUITY", ""), ("GAP", "")}, f"{tag} is no tag of segments"
        segment.is_discontinuous |= tag == "DISCONTINUITY"
        segment.is_gap |= tag == "GAP"


def read_multivariant(text: str) -> Multivariant:
    """Read a list of variants; it has no tag of media playlists."""
    found, variant = Multivariant({}), None
    for tag, value in _split(text):
        assert (tag == "") is (variant is not None), "an address follows its variant at once"
        if variant is not None:
            found.variants.append((variant, value))
            variant = None
        elif tag == "STREAM-INF":
            variant = read_attributes(value)
        elif tag in found.named:
            found.named[tag].append(read_attributes(value))
        else:
            assert tag in {"VERSION", "INDEPENDENT-SEGMENTS"}, f"{tag} is no tag of variants"
            assert tag not in found.tags
            found.tags[tag] = value
    assert variant is None
    return found
