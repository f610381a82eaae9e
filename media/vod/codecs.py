"""Codecs a rung may have beside H.264: their encoders, how they are set, and whether they are here.

`StepEncoder` opens an encoder through it; the site's checks and the API ask what is missing. Other
codecs are beside H.264, never instead: whoever cannot play them has what there always was. What
their settings save was measured: docs/decisions/0027-versions-and-codecs.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import av.codec.codec
from av.video.codeccontext import VideoCodecContext

from media.cmaf import avc_codec_name
from media.codec_configs import (
    CodecConfig,
    describe_av1,
    describe_avc,
    describe_hevc,
    describe_vp9,
    measure_units,
    strip_delimiters,
    strip_notes,
)
from media.vod.ladder import NVENC, Rung
from media.vod.recipe import EXTRA_CODECS, OPUS_CODECS

if TYPE_CHECKING:
    from media.vod.grid import FrameGrid

GLOBAL_HEADER = 1 << 22
"""AV_CODEC_FLAG_GLOBAL_HEADER: parameter sets go into the init segment."""
BUFFER_S = 2
BUFFER_SHARE_FIRST = 0.9
"""How full the decoder's buffer is thought to be before a chunk's first frame, as x264 has it."""
B_FRAMES = 3
REORDER_FRAMES = 2
"""How far B-frames, with a pyramid, move decoding ahead of showing."""
BT709 = 1
LIMITED_RANGE = 1
WITHOUT_AVX512 = ":asm=AVX2"
"""x264's AVX-512 code reads memory nobody wrote in its macroblock tree: every tenth run of the same
chunk gave other bytes (seen with MALLOC_PERTURB_). AVX2 costs no measurable time more."""
CPU_FLAGS_BYTES = 8192
TASKS = Path("/proc/self/task")
SOUND_ENCODER = "libopus"
PRESET = "veryfast"
"""Of x264."""
QUALITY_CRF = 23
NVENC_CQ = 27
"""Not measured here for want of such a GPU: NVIDIA's constant quality counts a little finer."""
LONG_SCALE = 63 / 51
"""AV1 and VP9 count fineness to 63, H.264 and HEVC to 51."""


@dataclass(frozen=True)
class PictureCodec:
    """How one codec is encoded; every keyframe begins a closed GOP where a segment begins."""

    encoder: str
    reorder_frames: int
    decide_options: Callable[[Rung, FrameGrid, float], dict[str, str]]
    """The last is how full the decoder's buffer is, 0 to 1."""
    describe: Callable[[VideoCodecContext, bytes], CodecConfig]
    """From the opened encoder and its first packet."""
    clean: Callable[[bytes], bytes] = bytes
    """What of a packet belongs into a file."""


def get_codec(rung: Rung) -> PictureCodec:
    """How a rung is encoded."""
    return GPU_CODEC if rung.encoder == NVENC else PICTURE_CODECS[rung.codec]


def open_encoder(
    codec: PictureCodec, rung: Rung, grid: FrameGrid, buffer_share: float
) -> VideoCodecContext:
    """Open an encoder of one thread; its output repeats itself for the same input.

    `buffer_share` is how full what came before leaves the decoder's buffer, 0 to 1.
    """
    context = av.CodecContext.create(codec.encoder, "w")
    assert isinstance(context, VideoCodecContext), f"{codec.encoder} encodes pictures"
    context.width, context.height, context.pix_fmt = rung.width, rung.height, "yuv420p"
    context.time_base = Fraction(1, grid.timescale)
    context.framerate = grid.fps
    context.flags |= GLOBAL_HEADER
    context.thread_count = 1
    if rung.codec != "h264":
        context.gop_size = grid.segment_frames
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED_RANGE
    options = codec.decide_options(rung, grid, buffer_share)
    if "b" in options:
        context.bit_rate = int(options.pop("b"))
    context.options = options
    context.open()
    give_back_priority()
    return context


def give_back_priority() -> None:
    """Let every thread of this process share the processor again, at its nice value.

    SVT-AV1, run as root, gives its threads and the one that opened it real-time priority
    (SCHED_FIFO, 99), for good: nothing else on the machine would run beside them.
    """
    for task in TASKS.iterdir() if TASKS.is_dir() else ():
        thread = int(task.name)
        with contextlib.suppress(ProcessLookupError):
            if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def find_missing(codecs: Iterable[str]) -> dict[str, str]:
    """The wanted codecs that cannot be made here, and the encoder each lacks."""
    missing = {}
    for codec in codecs:
        needed = [PICTURE_CODECS[codec].encoder]
        needed += [SOUND_ENCODER] if codec in OPUS_CODECS else []
        lacks = [name for name in needed if not _has_encoder(name)]
        if lacks:
            missing[codec] = lacks[0]
    return missing


def _has_encoder(name: str) -> bool:
    try:
        av.Codec(name, "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def avoid_avx512() -> str:
    """What x264's parameters end with where it may use AVX-512, see `WITHOUT_AVX512`."""
    return WITHOUT_AVX512 if " avx2 " in _read_cpu_flags() else ""


def _decide_h264(rung: Rung, grid: FrameGrid, buffer_share: float) -> dict[str, str]:
    # The grid alone places keyframes: no scene cuts, no limit that could add one.
    parameters = (
        f"annexb=0:open-gop=0:scenecut=0:keyint={2 * grid.segment_frames}:min-keyint=1"
        f":bframes={B_FRAMES}:b-pyramid=normal"
        f":vbv-init={buffer_share}:sar=1:1:colorprim=bt709:transfer=bt709:colormatrix=bt709"
        f"{avoid_avx512()}"
    )
    return {
        "preset": PRESET,
        "crf": str(QUALITY_CRF + rung.coarser),
        "maxrate": str(rung.bitrate_bps),
        "bufsize": str(BUFFER_S * rung.bitrate_bps),
        "forced-idr": "1",
        "x264-params": parameters,
    }


def _decide_nvenc(rung: Rung, grid: FrameGrid, buffer_share: float) -> dict[str, str]:
    # FFmpeg's options of nvenc; the grid alone places keyframes here, too. B-frames are no
    # references: moved by one at most.
    buffer_bits = BUFFER_S * rung.bitrate_bps
    return {
        "preset": "p5",
        "tune": "hq",
        "rc": "vbr",
        "cq": str(NVENC_CQ + rung.coarser),
        "maxrate": str(rung.bitrate_bps),
        "bufsize": str(buffer_bits),
        "rc_init_occupancy": str(round(buffer_share * buffer_bits)),
        "g": str(2 * grid.segment_frames),
        "bf": str(B_FRAMES),
        "b_ref_mode": "disabled",
        "no-scenecut": "1",
        "strict_gop": "1",
        "forced-idr": "1",
    }


def _decide_av1(rung: Rung, _grid: FrameGrid, _buffer_share: float) -> dict[str, str]:
    return {
        "preset": "10",
        "crf": str(34 + round(rung.coarser * LONG_SCALE)),
        "svtav1-params": f"lp=1:scd=0:mbr={max(1, rung.bitrate_bps // 1000)}",
    }


def _decide_vp9(rung: Rung, _grid: FrameGrid, _buffer_share: float) -> dict[str, str]:
    return {
        "deadline": "good",
        "cpu-used": "5",
        "crf": str(34 + round(rung.coarser * LONG_SCALE)),
        "b": str(rung.bitrate_bps),
        "row-mt": "0",
        "tile-columns": "0",
    }


def _decide_hevc(rung: Rung, grid: FrameGrid, buffer_share: float) -> dict[str, str]:
    rate_kbps = max(1, rung.bitrate_bps // 1000)
    frames = grid.segment_frames
    parameters = (
        "log-level=error:info=0:annexb=0:repeat-headers=0:pools=none:frame-threads=1:wpp=0"
        f":open-gop=0:scenecut=0:keyint={frames}:min-keyint={frames}:bframes={B_FRAMES}:b-pyramid=1"
        f":vbv-maxrate={rate_kbps}:vbv-bufsize={BUFFER_S * rate_kbps}:vbv-init={buffer_share}"
        ":colorprim=bt709:transfer=bt709:colormatrix=bt709:range=limited:sar=1"
    )
    return {
        "preset": "superfast",
        "crf": str(25 + rung.coarser),
        "forced-idr": "1",
        "x265-params": parameters,
    }


def _describe_h264(context: VideoCodecContext, _first: bytes) -> CodecConfig:
    extradata = bytes(context.extradata or b"")
    assert extradata, "x264 with global headers writes its parameter sets at once"
    return CodecConfig(extradata, avc_codec_name(extradata))


def _describe_annex_b(context: VideoCodecContext, _first: bytes) -> CodecConfig:
    return describe_avc(bytes(context.extradata or b""))


def _describe_av1(_context: VideoCodecContext, first: bytes) -> CodecConfig:
    # Not the extradata: SVT-AV1 settles what the header says when the first frame comes.
    return describe_av1(first)


def _describe_vp9(context: VideoCodecContext, _first: bytes) -> CodecConfig:
    return describe_vp9(context.width, context.height, Fraction(context.framerate))


def _describe_hevc(context: VideoCodecContext, _first: bytes) -> CodecConfig:
    return describe_hevc(bytes(context.extradata or b""))


def _read_cpu_flags() -> str:
    """What Linux says of the first processor; nothing elsewhere, where x264 decides alone."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            return file.read(CPU_FLAGS_BYTES)
    except OSError:
        return ""


PICTURE_CODECS: Mapping[str, PictureCodec] = {
    "h264": PictureCodec("libx264", REORDER_FRAMES, _decide_h264, _describe_h264, strip_notes),
    "av1": PictureCodec("libsvtav1", 0, _decide_av1, _describe_av1, strip_delimiters),
    "vp9": PictureCodec("libvpx-vp9", 0, _decide_vp9, _describe_vp9),
    "hevc": PictureCodec("libx265", REORDER_FRAMES, _decide_hevc, _describe_hevc),
}
GPU_CODEC = PictureCodec(
    "h264_nvenc", REORDER_FRAMES, _decide_nvenc, _describe_annex_b, measure_units
)
assert set(PICTURE_CODECS) == {"h264", *EXTRA_CODECS}, "every codec of a recipe can be made"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(find_missing(EXTRA_CODECS)))
