"""Boxes are written byte for byte as the standards lay them out."""

import struct
from collections.abc import Iterator
from dataclasses import replace

import pytest

from media.cmaf import (
    AudioTrack,
    Colour,
    Sample,
    VideoTrack,
    avc_codec_name,
    build_fragment,
    build_init_segment,
)

pytestmark = pytest.mark.unit

AVCC = bytes.fromhex("0164001fffe1000a6764001facd9405005bb01000468ebe3cb")
CONTAINERS = {"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf", "edts", "dinf"}


def walk(data: bytes, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Every box with its path and payload; sizes must add up exactly."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at
        name = f"{path}/{kind.decode()}"
        payload = data[at + 8 : at + size]
        yield name, payload
        if kind.decode() in CONTAINERS:
            yield from walk(payload, name)
        at += size
    assert at == len(data)


def boxes(data: bytes) -> dict[str, bytes]:
    return dict(walk(data))


def test_a_video_init_segment_describes_its_track():
    track = VideoTrack(timescale=90_000, width=640, height=360, config=AVCC, delay_ticks=6000)
    found = boxes(build_init_segment(track))
    assert found["/ftyp"][:4] == b"iso6"
    assert b"cmfc" in found["/ftyp"]
    assert struct.unpack(">II", found["/moov/trak/tkhd"][-8:]) == (640 << 16, 360 << 16)
    assert struct.unpack_from(">I", found["/moov/trak/mdia/mdhd"], 12) == (90_000,)
    assert found["/moov/trak/mdia/hdlr"][8:12] == b"vide"
    entry = found["/moov/trak/mdia/minf/stbl/stsd"]
    assert entry[12:16] == b"avc1"
    assert struct.unpack_from(">HH", entry, 8 + 8 + 24) == (640, 360)
    assert AVCC in entry
    elst = found["/moov/trak/edts/elst"]
    assert struct.unpack(">IIIiI", elst) == (0, 1, 0, 6000, 0x10000)


def test_no_delay_means_no_edit_list():
    track = VideoTrack(timescale=90_000, width=64, height=64, config=AVCC)
    assert "/moov/trak/edts" not in boxes(build_init_segment(track))


def test_colours_are_written_as_they_are_said_or_not_at_all():
    track = VideoTrack(timescale=90_000, width=64, height=64, config=AVCC)
    assert b"colr" not in build_init_segment(track)
    said = replace(track, colour=Colour(9, 16, 9, is_full_range=True))
    assert b"colrnclx\0\x09\0\x10\0\x09\x80" in build_init_segment(said)


def test_an_aac_init_segment_carries_its_configuration():
    track = AudioTrack(
        codec="aac", timescale=48_000, sample_rate_hz=48_000, channels=2,
        config=b"\x11\x90\x56\xe5\x00", bitrate_bps=128_000,
    )  # fmt: skip
    found = boxes(build_init_segment(track))
    assert found["/moov/trak/mdia/hdlr"][8:12] == b"soun"
    entry = found["/moov/trak/mdia/minf/stbl/stsd"]
    assert entry[12:16] == b"mp4a"
    assert struct.unpack_from(">H", entry, 32) == (2,)
    assert b"\x11\x90\x56\xe5\x00" in entry


def test_an_opus_init_segment_turns_the_header_big_endian():
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 312, 48_000, -256, 0)
    track = AudioTrack(
        codec="opus", timescale=48_000, sample_rate_hz=48_000, channels=2, config=head
    )
    entry = boxes(build_init_segment(track))["/moov/trak/mdia/minf/stbl/stsd"]
    where = entry.index(b"dOps") + 4
    assert entry[12:16] == b"Opus"
    assert struct.unpack_from(">BBHIhB", entry, where) == (0, 2, 312, 48_000, -256, 0)


def test_a_fragment_points_at_its_samples_and_keeps_their_times():
    samples = [
        Sample(b"key", 3000, 6000, is_key=True),
        Sample(b"later", 3000, 9000, is_key=False),
        Sample(b"b", 3001, 0, is_key=False),
    ]
    data = build_fragment(samples, number=7, base_ticks=1 << 40, is_video=True)
    found = boxes(data)
    assert found["/styp"][:4] == b"msdh"
    assert struct.unpack(">II", found["/moof/mfhd"]) == (0, 7)
    assert struct.unpack(">IQ", found["/moof/traf/tfdt"]) == (1 << 24, 1 << 40)
    run = found["/moof/traf/trun"]
    version_flags, count, offset = struct.unpack_from(">IIi", run)
    assert (version_flags, count) == (1 << 24 | 0xF01, 3)
    moof = data.index(b"moof") - 4
    assert data[moof + offset :] == b"keylaterb"
    rows = [struct.unpack_from(">IIIi", run, 12 + 16 * n) for n in range(3)]
    assert [(row[0], row[1], row[3]) for row in rows] == [
        (3000, 3, 6000),
        (3000, 5, 9000),
        (3001, 1, 0),
    ]
    assert [row[2] == 0x02000000 for row in rows] == [True, False, False]


def test_a_sound_fragment_needs_only_lengths_and_sizes():
    data = build_fragment(
        [Sample(b"aa", 1024), Sample(b"bbb", 1024)], number=1, base_ticks=0, is_video=False
    )
    run = boxes(data)["/moof/traf/trun"]
    assert struct.unpack_from(">IIi", run)[:2] == (1 << 24 | 0x301, 2)
    assert struct.unpack_from(">IIII", run, 12) == (1024, 2, 1024, 3)
    assert data.endswith(b"aabbb")


def test_the_codec_name_is_profile_constraints_and_level():
    assert avc_codec_name(AVCC) == "avc1.64001f"
