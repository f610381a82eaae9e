"""The process that encodes a slate: the picture a live shows while its publisher is away.

`slates.py` runs it once per shape. It draws the artwork in the middle of its own background and
writes parameter sets and coded pictures to standard output, each behind its length.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from media.live.slates import LENGTH
from media.vod.limited_child import limit_this_process

ARTWORK = Path(__file__).with_name("slate.png")
WIDTH_SHARE = 0.7
"""How much of the picture's width the artwork takes, unless that makes it too high."""
HEIGHT_SHARE = 0.5
GLOBAL_HEADER = 1 << 22
"""AV_CODEC_FLAG_GLOBAL_HEADER: parameter sets stand apart."""
NICENESS = 5


def draw(width: int, height: int) -> np.ndarray:
    """Return the picture: (height, width, 3) uint8 BGR."""
    artwork = cv2.imread(str(ARTWORK), cv2.IMREAD_COLOR)
    assert artwork is not None, "the artwork lies beside this module"
    share = min(WIDTH_SHARE * width / artwork.shape[1], HEIGHT_SHARE * height / artwork.shape[0])
    size = (max(1, int(artwork.shape[1] * share)), max(1, int(artwork.shape[0] * share)))
    artwork = cv2.resize(artwork, size, interpolation=cv2.INTER_AREA)
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = artwork[0, 0]
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    picture[top : top + size[1], left : left + size[0]] = artwork
    return picture


def iter_pieces(width: int, height: int, pictures: int) -> Iterator[bytes]:
    """Yield SPS, PPS, then the pictures as MP4 samples: a keyframe, and what repeats it."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base = Fraction(1, 30)
    codec.flags |= GLOBAL_HEADER
    codec.thread_count = 1
    codec.options = {
        "preset": "veryfast",
        # Every player that shows the publisher's picture shows the baseline profile.
        "profile": "baseline",
        "crf": "20",
        "x264-params": f"annexb=0:scenecut=0:bframes=0:keyint={pictures}:rc-lookahead=0",
    }
    codec.open()
    yield from _split_config(bytes(codec.extradata or b""))
    frame = av.VideoFrame.from_ndarray(draw(width, height), format="bgr24").reformat(
        format="yuv420p"
    )
    for number in range(pictures):
        frame.pts = number
        yield from map(bytes, codec.encode(frame))
    yield from map(bytes, codec.encode(None))


def _split_config(config: bytes) -> Sequence[bytes]:
    """Return SPS and PPS of an avcC box's payload, ISO/IEC 14496-15 §5.3.3.1.2."""
    (sps_bytes,) = struct.unpack_from(">H", config, 6)
    (pps_bytes,) = struct.unpack_from(">H", config, 9 + sps_bytes)
    return config[8 : 8 + sps_bytes], config[11 + sps_bytes :][:pps_bytes]


def main(arguments: Sequence[str]) -> None:
    """Write the slate of a width, a height and a number of pictures."""
    width, height, pictures = map(int, limit_this_process(list(arguments)))
    os.nice(NICENESS)
    for piece in iter_pieces(width, height, pictures):
        sys.stdout.buffer.write(LENGTH.pack(len(piece)) + piece)


if __name__ == "__main__":
    main(sys.argv[1:])
