"""Fragmented MP4 as CMAF wants it: init segments and fragments, written directly.

Video on demand, live HLS and the recorder call it. It knows codecs only by their configuration
boxes, does no I/O, and never looks into a sample. ISO/IEC 14496-12 (boxes), -14 (mp4a),
-15 (avc1, hvc1); of av01 and vp09 see `codec_configs.py`; opus-codec.org "Encapsulation of Opus in
ISO Base Media File Format" (Opus).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

_pack = struct.pack

TRACK_ID = 1
SAMPLE_IS_SYNC = 0x02000000
SAMPLE_IS_NOT_SYNC = 0x01010000
TFHD_DEFAULT_BASE_IS_MOOF_AND_FLAGS = 0x020020
TRUN_AUDIO = 0x000301
"""Data offset; each sample's duration and size."""
TRUN_VIDEO = 0x000F01
"""Data offset; each sample's duration, size, flags and composition offset."""
UNITY_MATRIX = _pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
LANGUAGE_UNDETERMINED = 0x55C4
MOVIE_TIMESCALE = 1000
OPUS_HEAD_BYTES_MIN = 19
VideoCodec = Literal["h264", "hevc", "vp9", "av1"]
VIDEO_ENTRIES: dict[VideoCodec, tuple[bytes, bytes]] = {
    "h264": (b"avc1", b"avcC"),
    "hevc": (b"hvc1", b"hvcC"),
    "vp9": (b"vp09", b"vpcC"),
    "av1": (b"av01", b"av1C"),
}
"""Sample entry and configuration box of each codec."""


@dataclass(frozen=True)
class Sample:
    """One coded frame; times in ticks of the track."""

    data: bytes
    duration_ticks: int
    cts_offset_ticks: int = 0
    is_key: bool = True


@dataclass(frozen=True)
class Colour:
    """How the picture's numbers mean colours: code points of ITU-T H.273, 2 being unknown."""

    primaries: int
    transfer: int
    matrix: int
    is_full_range: bool = False


BT709 = Colour(1, 1, 1)


@dataclass(frozen=True)
class VideoTrack:
    """A picture track; `config` is the payload of its codec's configuration box."""

    timescale: int
    width: int
    height: int
    config: bytes
    delay_ticks: int = 0
    """Composition offset of the first frame, taken off again by an edit list."""
    colour: Colour | None = None
    """None leaves it to what the bitstream says."""
    codec: VideoCodec = "h264"


@dataclass(frozen=True)
class AudioTrack:
    """A sound track; `config` is AAC's AudioSpecificConfig or Opus' identification header."""

    codec: Literal["aac", "opus"]
    timescale: int
    sample_rate_hz: int
    channels: int
    config: bytes
    bitrate_bps: int = 0
    delay_ticks: int = 0
    """Priming before the first audible sample, taken off by an edit list."""


def build_init_segment(track: VideoTrack | AudioTrack) -> bytes:
    """ftyp and moov of a file with this one track."""
    if isinstance(track, VideoTrack):
        entry, handler = _video_entry(track), b"vide"
        header = full_box(b"vmhd", 0, 1, bytes(8))
        width, height, volume = track.width, track.height, 0
    else:
        entry, handler = _audio_entry(track), b"soun"
        header = full_box(b"smhd", 0, 0, bytes(4))
        width, height, volume = 0, 0, 0x100
    media = box(
        b"mdia",
        full_box(
            b"mdhd", 0, 0, _pack(">IIIIHH", 0, 0, track.timescale, 0, LANGUAGE_UNDETERMINED, 0)
        ),
        full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"\0"),
        box(b"minf", header, _data_information(), _sample_table(entry)),
    )
    track_header = full_box(
        b"tkhd",
        0,
        3,
        _pack(">IIIII", 0, 0, TRACK_ID, 0, 0),
        bytes(8),
        _pack(">HHHH", 0, 0, volume, 0),
        UNITY_MATRIX,
        _pack(">II", width << 16, height << 16),
    )
    movie = box(
        b"moov",
        _movie_header(),
        box(b"trak", track_header, _edit_list(track.delay_ticks), media),
        box(b"mvex", full_box(b"trex", 0, 0, _pack(">IIIII", TRACK_ID, 1, 0, 0, 0))),
    )
    return box(b"ftyp", b"iso6", bytes(4), b"iso6cmfciso9mp41") + movie


def build_fragment(
    samples: Sequence[Sample],
    *,
    number: int,
    base_ticks: int,
    is_video: bool,
    clear_maps: Sequence[bytes] = (),
) -> bytes:
    """styp, moof and mdat; `base_ticks` is the first sample's absolute decode time.

    `clear_maps` say of each encrypted sample which of its bytes are not; `media/cenc.py` has them.
    """
    if is_video:
        flags = TRUN_VIDEO
        rows = b"".join(
            _pack(
                ">IIIi",
                sample.duration_ticks,
                len(sample.data),
                SAMPLE_IS_SYNC if sample.is_key else SAMPLE_IS_NOT_SYNC,
                sample.cts_offset_ticks,
            )
            for sample in samples
        )
    else:
        flags = TRUN_AUDIO
        rows = b"".join(_pack(">II", sample.duration_ticks, len(sample.data)) for sample in samples)
    movie_header = full_box(b"mfhd", 0, 0, _pack(">I", number))
    track_header = full_box(
        b"tfhd", 0, TFHD_DEFAULT_BASE_IS_MOOF_AND_FLAGS, _pack(">II", TRACK_ID, SAMPLE_IS_SYNC)
    )
    decode_time = full_box(b"tfdt", 1, 0, _pack(">Q", base_ticks))
    run_bytes = 12 + 8 + len(rows)
    before_maps = 8 + len(movie_header) + 8 + len(track_header) + len(decode_time) + run_bytes
    maps = _sample_maps(clear_maps, before_maps)
    moof_bytes = before_maps + len(maps)
    # Samples start right behind mdat's own header, counted from the start of moof.
    run = full_box(b"trun", 1, flags, _pack(">Ii", len(samples), moof_bytes + 8), rows)
    moof = box(b"moof", movie_header, box(b"traf", track_header, decode_time, run, maps))
    assert len(moof) == moof_bytes, "the data offset in trun does not point at mdat's content"
    styp = box(b"styp", b"msdh", bytes(4), b"msdhmsixcmfsiso6")
    return b"".join((styp, moof, box(b"mdat", *(sample.data for sample in samples))))


def _sample_maps(clear_maps: Sequence[bytes], at: int) -> bytes:
    """saiz, saio and senc of a fragment's samples; `at` is where they begin in moof.

    ISO/IEC 23001-7 §7.2 (senc: flag 2 as there are subsamples; the initialisation vector is the
    track's), -14496-12 §8.7.8 and §8.7.9.
    """
    if not clear_maps:
        return b""
    sizes = bytes(len(each) for each in clear_maps)
    is_even = len(set(sizes)) == 1
    size_box = full_box(
        b"saiz",
        0,
        0,
        _pack(">BI", sizes[0] if is_even else 0, len(sizes)),
        b"" if is_even else sizes,
    )
    offset_bytes, header_bytes = 20, 16
    first = at + len(size_box) + offset_bytes + header_bytes
    offset_box = full_box(b"saio", 0, 0, _pack(">II", 1, first))
    return size_box + offset_box + full_box(b"senc", 0, 2, _pack(">I", len(sizes)), *clear_maps)


def avc_codec_name(config: bytes) -> str:
    """CODECS name of an avcC payload, RFC 6381 §3.3, such as avc1.64001f."""
    return f"avc1.{config[1:4].hex()}"


def box(kind: bytes, *parts: bytes) -> bytes:
    """Write a box: its size, its kind and what it holds."""
    size_bytes = 8 + sum(len(part) for part in parts)
    return b"".join((_pack(">I", size_bytes), kind, *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """Write a box that has a version and flags."""
    return box(kind, _pack(">I", version << 24 | flags), *parts)


def _movie_header() -> bytes:
    return full_box(
        b"mvhd",
        0,
        0,
        _pack(">IIII", 0, 0, MOVIE_TIMESCALE, 0),
        _pack(">IH", 0x10000, 0x100),
        bytes(10),
        UNITY_MATRIX,
        bytes(24),
        _pack(">I", TRACK_ID + 1),
    )


def _edit_list(delay_ticks: int) -> bytes:
    """Presentation starts `delay_ticks` into the media; duration 0 means: to the end."""
    if not delay_ticks:
        return b""
    return box(b"edts", full_box(b"elst", 0, 0, _pack(">IIiI", 1, 0, delay_ticks, 0x10000)))


def _data_information() -> bytes:
    return box(b"dinf", full_box(b"dref", 0, 0, _pack(">I", 1), full_box(b"url ", 0, 1)))


def _sample_table(entry: bytes) -> bytes:
    return box(
        b"stbl",
        full_box(b"stsd", 0, 0, _pack(">I", 1), entry),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )


def _video_entry(track: VideoTrack) -> bytes:
    resolution_72_dpi = 0x480000
    entry, config = VIDEO_ENTRIES[track.codec]
    return box(
        entry,
        bytes(6),
        _pack(">H", 1),
        bytes(16),
        _pack(">HHIIIH", track.width, track.height, resolution_72_dpi, resolution_72_dpi, 0, 1),
        bytes(32),
        _pack(">Hh", 24, -1),
        box(config, track.config),
        _colour_box(track.colour),
        box(b"pasp", _pack(">II", 1, 1)),
    )


def _colour_box(colour: Colour | None) -> bytes:
    if colour is None:
        return b""
    points = (colour.primaries, colour.transfer, colour.matrix)
    return box(b"colr", b"nclx", _pack(">HHHB", *points, 0x80 * colour.is_full_range))


def _audio_entry(track: AudioTrack) -> bytes:
    kind, config = (
        (b"mp4a", _aac_config(track)) if track.codec == "aac" else (b"Opus", _opus_config(track))
    )
    return box(
        kind,
        bytes(6),
        _pack(">H", 1),
        bytes(8),
        _pack(">HHHHI", track.channels, 16, 0, 0, track.sample_rate_hz << 16),
        config,
    )


def _aac_config(track: AudioTrack) -> bytes:
    """esds: an elementary stream that is AAC (object type 0x40), audio (stream type 5)."""
    decoder = _descriptor(
        4,
        _pack(">BBBHII", 0x40, 0x15, 0, 0, track.bitrate_bps, track.bitrate_bps)
        + _descriptor(5, track.config),
    )
    stream = _pack(">HB", TRACK_ID, 0) + decoder + _descriptor(6, b"\2")
    return full_box(b"esds", 0, 0, _descriptor(3, stream))


def _opus_config(track: AudioTrack) -> bytes:
    """dOps from the little-endian OpusHead of RFC 7845 §5.1; channel mapping family 0 only."""
    assert len(track.config) >= OPUS_HEAD_BYTES_MIN, "not an Opus identification header"
    assert track.config[18] == 0, "only mono and stereo Opus can be written"
    pre_skip, rate_hz, gain = struct.unpack("<HIh", track.config[10:18])
    return box(b"dOps", _pack(">BBHIhB", 0, track.config[9], pre_skip, rate_hz, gain, 0))


def _descriptor(tag: int, payload: bytes) -> bytes:
    """An MPEG-4 descriptor with its length spelt in four bytes; payloads stay below 128 bytes."""
    assert len(payload) < 0x80, "a descriptor this long needs a longer length field"
    return _pack(">BBBBB", tag, 0x80, 0x80, 0x80, len(payload)) + payload


def read_fragment(data: bytes) -> tuple[int, list[Sample]]:
    """Return the decode time and the frames of a fragment that `build_fragment` wrote."""
    decode_time = data.index(b"tfdt")
    (base_ticks,) = struct.unpack_from(">Q", data, decode_time + 8)
    run = data.index(b"trun", decode_time)
    flags, count = struct.unpack_from(">II", data, run + 4)
    is_video = flags & 0xFFFFFF == TRUN_VIDEO
    row = struct.Struct(">IIIi" if is_video else ">II")
    table = data[run + 16 : run + 16 + row.size * count]
    at = run + 16 + len(table) + 8  # behind the table and mdat's header
    samples = []
    for duration_ticks, size, *rest in row.iter_unpack(table):
        picture = (rest[1], rest[0] == SAMPLE_IS_SYNC) if is_video else ()
        samples.append(Sample(data[at : at + size], duration_ticks, *picture))
        at += size
    return base_ticks, samples


def split_fragments(data: bytes) -> Iterator[bytes]:
    """The fragments that follow each other in a segment, each as `read_fragment` takes it."""
    at, start = 0, 0
    while at + 8 <= len(data):
        (size_bytes,) = struct.unpack_from(">I", data, at)
        is_end = data[at + 4 : at + 8] == b"mdat"
        at += max(8, size_bytes)
        if is_end:
            yield data[start:at]
            start = at


def read_video_config(init: bytes) -> tuple[VideoCodec, bytes]:
    """Return codec and configuration of an init segment that `build_init_segment` wrote."""
    for codec, (entry, config) in VIDEO_ENTRIES.items():
        at = init.find(entry)
        if at < 0:
            continue
        kind = init.index(config, at)
        (size,) = struct.unpack_from(">I", init, kind - 4)
        return codec, init[kind + 4 : kind - 4 + size]
    raise ValueError("an init segment without a picture")
