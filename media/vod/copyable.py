"""Whether a source can be passed on as it is, found out by trying.

The probe asks `find_copyable`, inside its child process. Pictures may be copied when they are H.264
4:2:0 in closed GOPs of a modest rate; sound when it is AAC-LC without a gap. Whatever looks odd is
encoded instead. It writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av.error
from av.stream import Discard

from media.vod.arriving import Reach
from media.vod.copying import (
    CopyImpossible,
    PacketDamaged,
    iter_cuts,
    open_picture,
    open_sound,
)
from media.vod.info import AudioInfo, CopyInfo, VideoInfo
from media.vod.ladder import RATE_COPIED_MAX, SHORT_SIDE_COPIED_MAX, decide_bitrate_bps
from media.vod.source import open_media

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

FPS_COPIED_MAX = 60
SIZE_BYTES_MAX = 4 << 30
"""Beyond it the look at every packet would take longer than the wait it spares."""
CONTAINERS = ("mov", "matroska")
SOUND_RATES_HZ = (44_100, 48_000)
LATE_S_MAX = Fraction(1, 10)
SHORT_S_MAX = Fraction(1, 2)


@dataclass(frozen=True)
class Span:
    """From the first to the last moment, in the source's clock."""

    origin_s: Fraction
    end_s: Fraction


def find_copyable(
    path: Path,
    video: VideoInfo,
    audio: AudioInfo | None,
    span: Span,
    reach: Reach | None = None,
) -> CopyInfo | None:
    """What of the source can be copied, by trying it; None when the picture cannot be.

    Of a file that still arrives it is a guess from what is there, and of the picture alone.
    """
    size_bytes = reach.size_bytes if reach else path.stat().st_size
    if size_bytes > SIZE_BYTES_MAX or not _may_copy_picture(video):
        return None
    with open_media(path, reach) as container:
        copies_sound = audio is not None and _may_copy_sound(container, audio)
        try:
            longest_s = _try(container, video, span.origin_s)
        except PacketDamaged:
            # It is the last of what is there, cut off.
            return CopyInfo(sound=False) if reach else None
        except (CopyImpossible, av.error.FFmpegError):
            return None
    if copies_sound and audio is not None and not reach:
        with open_media(path) as container:
            copies_sound = _fits(container, audio, span)
    return CopyInfo(copies_sound and not reach, longest_s)


def _may_copy_picture(video: VideoInfo) -> bool:
    if video.codec != "h264" or video.pix_fmt != "yuv420p" or video.color_matrix != "bt709":
        return False
    is_plain = video.rotation_deg == 0 and not video.mirrored and video.sar == 1
    sides = (video.width, video.height)
    is_plain = is_plain and sides == (video.coded_width, video.coded_height)
    if not is_plain or video.is_hdr or video.is_interlaced or video.is_full_range:
        return False
    if min(sides) > SHORT_SIDE_COPIED_MAX or any(side % 2 for side in sides):
        return False
    if video.fps > FPS_COPIED_MAX:
        return False
    rate_bps_max = RATE_COPIED_MAX * decide_bitrate_bps(
        video.width * video.height, float(video.fps)
    )
    return video.bit_rate_bps is not None and video.bit_rate_bps <= rate_bps_max


def _may_copy_sound(container: InputContainer, audio: AudioInfo) -> bool:
    stream = cast("AudioStream", container.streams[audio.stream_index])
    context = stream.codec_context
    return (
        audio.codec == "aac"
        and context.profile == "LC"
        and audio.channels <= 2
        and audio.sample_rate_hz in SOUND_RATES_HZ
        and stream.time_base == Fraction(1, audio.sample_rate_hz)
        and bool(context.extradata)
    )


def _try(container: InputContainer, video: VideoInfo, origin_s: Fraction) -> Fraction:
    """Cut the picture and forget it; return its longest segment. Raises CopyImpossible."""
    if not container.format.name.startswith(CONTAINERS):
        raise CopyImpossible("not a container whose times are exact")
    cutter = open_picture(container, video, origin_s, keeps_data=False)
    _read_only(container, video.stream_index)
    longest = max((cut.duration_ticks for _place, cut in iter_cuts(container, [cutter])), default=0)
    return Fraction(longest, cutter.timescale)


def _fits(container: InputContainer, audio: AudioInfo, span: Span) -> bool:
    """Whether the sound has no gap and is there from the picture's beginning to its end."""
    cutter = open_sound(container, audio, span.origin_s, keeps_data=False)
    _read_only(container, audio.stream_index)
    ends_s = Fraction(0)
    try:
        for _place, segment in iter_cuts(container, [cutter]):
            if segment.number == 0:
                shown = segment.start_ticks - cutter.delay_ticks
                if shown > LATE_S_MAX * cutter.timescale:
                    return False
            ends_s = segment.end_s(cutter)
    except (CopyImpossible, av.error.FFmpegError):
        return False
    return abs(span.end_s - span.origin_s - ends_s) <= SHORT_S_MAX


def _read_only(container: InputContainer, stream_index: int) -> None:
    """Have the demuxer skip all other streams: their bytes need not even be read."""
    for stream in container.streams:
        if stream.index != stream_index:
            stream.discard = Discard.all
