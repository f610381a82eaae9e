"""What a file of sound alone is: a song, a talk, perhaps with a cover picture.

The probe calls it, inside its child process, where a file has no moving picture. It writes nothing.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av.error
from av.stream import Disposition

from media.vod.further_tracks import list_untaken
from media.vod.info import AudioInfo, MediaInfo
from media.vod.source import MediaUnreadable, limit_decoder, open_media
from media.vod.survey import check_whole, find_declared_end, find_sound_start, measure_ends

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

SIDE_MAX = 8192
PROMISE_NOTHING = ("mp3", "aac")
"""Without an index FFmpeg guesses their length from the first frames' rate."""
SOUND_S_MIN = Fraction(1, 10)


def probe_sound(path: Path, container: InputContainer) -> MediaInfo:
    """Describe a file without a moving picture; raises MediaUnreadable with the reason."""
    audio = cast("AudioStream", container.streams.best("audio") or container.streams.audio[0])
    origin_s = None if audio.codec_context is None else find_sound_start(container, audio)
    if origin_s is None:
        raise MediaUnreadable("The sound cannot be decoded, and there is no moving picture.")
    declared_s = None
    if container.format.name not in PROMISE_NOTHING:
        declared_s = find_declared_end(container, None, audio)
    ends_s = measure_ends(path, [audio.index], declared_s, Fraction(0))
    end_s = ends_s.get(audio.index, origin_s)
    check_whole(declared_s, end_s, origin_s)
    length_s = end_s - origin_s
    if length_s < SOUND_S_MIN:
        raise MediaUnreadable("The sound is shorter than a tenth of a second.")
    return MediaInfo(
        container=container.format.name,
        duration_s=float(length_s),
        picture_s=0.0,
        origin_us=round(origin_s * 1_000_000),
        size_bytes=path.stat().st_size,
        video=None,
        audio=describe_sound(audio),
        warnings=tuple(list_untaken(container, [audio.index])),
        cover_index=_find_cover(path),
    )


def describe_sound(audio: AudioStream) -> AudioInfo:
    """What the headers and the first frames say of a sound."""
    context = audio.codec_context
    return AudioInfo(
        stream_index=audio.index,
        codec=codec_of(audio),
        sample_rate_hz=context.sample_rate,
        channels=context.layout.nb_channels,
    )


def codec_of(stream: VideoStream | AudioStream) -> str:
    """The codec's name, whichever decoder reads it."""
    return stream.codec_context.codec.canonical_name


def _find_cover(path: Path) -> int | None:
    """The first cover picture that decodes and is no larger than a video may be."""
    with open_media(path) as container:
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        for stream in covers:
            if stream.codec_context is None:
                continue
            limit_decoder(stream)
            try:
                frame = next(container.decode(stream), None)
            except av.error.FFmpegError:
                frame = None
            if frame is not None and max(frame.width, frame.height) <= SIDE_MAX:
                return stream.index
    return None
