"""Configurations of real encoders as formats: sizes, names, what is cut off or no configuration."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.cmaf import build_init_segment, read_video_config
from media.h264_bits import ParameterSetMalformed
from media.live import hevc
from media.live.av1 import Obu, list_kept, read_obus
from media.live.formats import list_sets, read_format
from media.live.samples import VideoCodec
from media.vod.download import read_parameter_sets
from tests.media.live.configurations import AV1C, AVC, HVC

pytestmark = pytest.mark.unit

RECORDS: list[tuple[VideoCodec, bytes, str]] = [
    ("h264", AVC, "avc1.42c00d"),
    ("hevc", HVC, "hvc1.1.6.L60.90"),
    ("av1", AV1C, "av01.0.00M.08"),
]


@pytest.mark.parametrize(("codec", "record", "name"), RECORDS, ids=["h264", "hevc", "av1"])
def test_a_format_has_size_name_and_sample_entry(
    codec: VideoCodec, record: bytes, name: str
) -> None:
    form, length_bytes = read_format(codec, record)
    assert (form.width, form.height, form.codec, length_bytes) == (320, 180, codec, 4)
    assert form.codec_name == name
    init = build_init_segment(form.track)
    assert read_video_config(init) == (codec, form.config)
    assert read_format(codec, form.config)[0] == form


@pytest.mark.parametrize(("codec", "record", "name"), RECORDS, ids=["h264", "hevc", "av1"])
def test_a_files_parameter_sets_are_the_formats(
    codec: VideoCodec, record: bytes, name: str
) -> None:
    form, _length_bytes = read_format(codec, record)
    sets = list_sets(form)
    if codec != "av1":
        sets = [struct.pack(">I", len(each)) + each for each in sets]
    assert read_parameter_sets(build_init_segment(form.track)) == b"".join(sets), name


@pytest.mark.parametrize(("codec", "record", "_name"), RECORDS, ids=["h264", "hevc", "av1"])
def test_what_is_cut_off_anywhere_is_malformed(
    codec: VideoCodec, record: bytes, _name: str
) -> None:
    for end in range(len(record)):
        with pytest.raises(ParameterSetMalformed):
            read_format(codec, record[:end])


@pytest.mark.parametrize("record", [b"", b"\xff" * 60, b"\1" + bytes(60), b"\x81" + bytes(20)])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_what_is_no_configuration_is_malformed(codec: VideoCodec, record: bytes) -> None:
    with pytest.raises(ParameterSetMalformed):
        read_format(codec, record)


def test_a_conformance_window_is_cut_off_the_picture() -> None:
    form, _length_bytes = read_format("hevc", HVC)
    sps = hevc.list_sets(form.config)[1]
    assert hevc.read_size(sps) == (320, 180)  # coded as 320 by 184


def test_bits_of_a_sample_are_in_av1s_name() -> None:
    ten = AV1C[:2] + bytes([AV1C[2] | 0x40]) + AV1C[3:]
    assert read_format("av1", ten)[0].codec_name == "av01.0.00M.10"


def test_obus_keep_all_but_delimiters_and_padding() -> None:
    delimiter, header, frame = b"\x12\x00", b"\x0a\x02ab", b"\x32\x03xyz"
    padding, unsized = b"\x7a\x01p", b"\x30rest"
    kept = list_kept(delimiter + header + padding + frame + unsized)
    assert [obu.pack() for obu in kept] == [header, frame, b"\x32\x04rest"]
    assert kept[1] == Obu(6, b"\x30", b"xyz")
    with pytest.raises(ParameterSetMalformed):
        read_obus(b"\x32\x09xyz")
    with pytest.raises(ParameterSetMalformed):
        read_obus(b"\x32" + b"\xff" * 12)


@given(st.sampled_from(RECORDS), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255))))
def test_a_broken_configuration_is_a_format_or_malformed(
    known: tuple[VideoCodec, bytes, str], changes: list[tuple[int, int]]
) -> None:
    codec, record, _name = known
    broken = bytearray(record)
    for place, value in changes:
        broken[place % len(broken)] = value
    try:
        form, _length_bytes = read_format(codec, bytes(broken))
    except ParameterSetMalformed:
        return
    assert build_init_segment(form.track)
    assert form.codec_name


@given(st.binary(max_size=64))
def test_any_bytes_are_obus_or_malformed(data: bytes) -> None:
    try:
        found = read_obus(data)
    except ParameterSetMalformed:
        return
    assert read_obus(b"".join(obu.pack() for obu in found)) == found
