"""The process that encodes a slate: the picture a live shows while its publisher is away.

`slates.py` runs it once per shape. It draws the artwork in the middle of its own background and
writes the codec's configuration and coded pictures to standard output, each behind its length.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np

from media.codec_configs import describe_av1, describe_hevc, strip_delimiters
from media.live.slates import LENGTH
from media.live.tap_words import step_back
from media.vod.codecs import give_back_priority
from media.vod.limited_child import limit_this_process

ARTWORK = Path(__file__).with_name("slate.png")
WIDTH_SHARE = 0.7
"""How much of the picture's width the artwork takes, unless that makes it too high."""
HEIGHT_SHARE = 0.5
GLOBAL_HEADER = 1 << 22
"""AV_CODEC_FLAG_GLOBAL_HEADER: parameter sets stand apart."""
NICENESS = 5
ENCODERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "h264": (
        "libx264",
        {
            "preset": "veryfast",
            # Every player that shows the publisher's picture shows the baseline profile.
            "profile": "baseline",
            "crf": "20",
            "x264-params": "annexb=0:scenecut=0:bframes=0:keyint={pictures}:rc-lookahead=0",
        },
    ),
    "hevc": (
        "libx265",
        {
            "preset": "superfast",
            "crf": "22",
            "x265-params": "log-level=error:info=0:annexb=0:repeat-headers=0:pools=none"
            ":frame-threads=1:wpp=0:open-gop=0:scenecut=0:bframes=0:keyint={pictures}",
        },
    ),
    "av1": (
        "libsvtav1",
        {"preset": "10", "crf": "28", "svtav1-params": "lp=1:scd=0:pred-struct=1"},
    ),
}
"""Encoder and options of each codec that a live is packaged in."""


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


def iter_pieces(codec_name: str, width: int, height: int, pictures: int) -> Iterator[bytes]:
    """Yield the configuration, then the pictures as MP4 samples: a keyframe, and what repeats it.

    Pictures are in the order of decoding, which is that of showing.
    """
    encoder, options = ENCODERS[codec_name]
    codec = cast("av.VideoCodecContext", av.CodecContext.create(encoder, "w"))
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 30), Fraction(30)
    codec.flags |= GLOBAL_HEADER
    codec.thread_count = 1
    codec.gop_size, codec.max_b_frames = pictures, 0
    codec.options = {key: value.format(pictures=pictures) for key, value in options.items()}
    codec.open()
    give_back_priority()
    frame = av.VideoFrame.from_ndarray(draw(width, height), format="bgr24").reformat(
        format="yuv420p"
    )
    coded: list[bytes] = []
    for number in range(pictures):
        frame.pts = number
        coded += map(bytes, codec.encode(frame))
    coded += map(bytes, codec.encode(None))
    extradata = bytes(codec.extradata or b"")
    if codec_name == "av1":
        coded = [strip_delimiters(unit) for unit in coded]
        yield describe_av1(coded[0]).payload
    else:
        yield describe_hevc(extradata).payload if codec_name == "hevc" else extradata
    yield from coded


def main(arguments: Sequence[str]) -> None:
    """Write the slate of a codec, a width, a height and a number of pictures."""
    codec, *numbers = limit_this_process(list(arguments))
    width, height, pictures = map(int, numbers)
    step_back(NICENESS)
    for piece in iter_pieces(codec, width, height, pictures):
        sys.stdout.buffer.write(LENGTH.pack(len(piece)) + piece)


if __name__ == "__main__":
    main(sys.argv[1:])
