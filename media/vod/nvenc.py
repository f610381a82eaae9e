"""Tries this machine's NVENC by encoding with it.

`cluster/nvenc.py` runs it as `python -m media.vod.nvenc`, a process of its own: a driver that
breaks breaks nothing else. FFmpeg lists h264_nvenc on every machine, and an H100 or A100 has none
(NVIDIA, "Video Encode and Decode GPU Support Matrix"): a trial alone tells. It decides nothing.
"""

from __future__ import annotations

import json
import sys
from fractions import Fraction

import av
import av.error
import av.logging
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

ENCODER = "h264_nvenc"
WIDTH, HEIGHT, FRAMES = 1280, 720, 4


def try_encoder() -> str:
    """Encode a few frames in this process; return why not, empty when it went well."""
    av.logging.set_level(av.logging.ERROR)
    try:
        made = _encode_frames()
    except av.error.FFmpegError as error:
        said = error.log[2].strip() if error.log else ""
        return said or str(error.strerror)
    return "" if made == FRAMES else f"of {FRAMES} frames it gave {made}"


def _encode_frames() -> int:
    context = av.CodecContext.create(ENCODER, "w")
    assert isinstance(context, VideoCodecContext), f"{ENCODER} encodes pictures"
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.open()
    packets = []
    for number in range(FRAMES):
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts, frame.time_base = number, Fraction(1, 30)
        packets += context.encode(frame)
    return len(packets + context.encode(None))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(try_encoder()))
