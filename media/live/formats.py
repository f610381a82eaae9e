"""A picture's format from the configuration record that its encoder sends, for every codec.

Pure. RTMP's frames and slates call it; it is what a live's CODECS, sample entries and decoders are
made of. ISO/IEC 14496-15 §5.3.3.1 (avcC), §8.3.3.1 (hvcC); AV1 ISOBMFF binding §2.3 (av1C).
"""

from __future__ import annotations

import struct

from media.h264_bits import ParameterSetMalformed
from media.live import av1, h264, hevc
from media.live.samples import VideoCodec, VideoFormat


def read_format(codec: VideoCodec, record: bytes) -> tuple[VideoFormat, int]:
    """Return the format of a record, and the bytes of a NAL unit's length (4 where there is none).

    Raises ParameterSetMalformed.
    """
    if codec == "hevc":
        return hevc.build_format(record)
    if codec == "av1":
        return av1.build_format(record), 4
    return _read_avc(record)


def list_sets(form: VideoFormat) -> list[bytes]:
    """Return what a decoder that starts at a keyframe needs besides: parameter sets.

    Of H.264 and HEVC NAL units; of AV1 the sequence header with its size.
    """
    if form.codec == "hevc":
        return hevc.list_sets(form.config)
    if form.codec == "av1":
        return [av1.find_sequence_header(form.config).pack()]
    (sequence,), pictures = _list_avc_sets(form.config)
    return [sequence, *pictures]


def _read_avc(record: bytes) -> tuple[VideoFormat, int]:
    try:
        sequences, pictures = _list_avc_sets(record)
        return h264.build_format(sequences[0], pictures), (record[4] & 3) + 1
    except (IndexError, struct.error) as error:
        raise ParameterSetMalformed("an H.264 configuration is cut off") from error


def _list_avc_sets(record: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return SPS and PPS of an avcC payload; raises IndexError, struct.error when it is cut off."""
    sequences, end = _read_sets(record, 6, record[5] & 0x1F)
    return sequences, _read_sets(record, end + 1, record[end])[0]


def _read_sets(record: bytes, pos: int, count: int) -> tuple[list[bytes], int]:
    """Read `count` parameter sets behind their lengths; return them and where they end."""
    found = []
    for _number in range(count):
        size = struct.unpack_from(">H", record, pos)[0]
        pos += 2
        if not size or pos + size > len(record):
            raise ParameterSetMalformed("a parameter set is cut short")
        found.append(record[pos : pos + size])
        pos += size
    return found, pos
