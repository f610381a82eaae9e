"""What an uploaded file is: opened, measured and partly decoded, in a child process with limits.

The tasks "take_in" and "probe" call it; `python -m media.vod.probe` is the child. A file that
passes can be demuxed to its end and its picture decodes; what cannot be read is refused with a
reason the owner understands. It writes nothing.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import msgspec

from media.process_memory import read_memory_bytes
from media.vod.arriving import Arriving, Reach
from media.vod.copyable import Span, find_copyable
from media.vod.further_tracks import NOT_PICTURES, list_untaken
from media.vod.info import MediaInfo, VideoInfo, decode_json, encode_json
from media.vod.ladder import SIDE_MIN
from media.vod.limited_child import (
    EXIT_REFUSED,
    ChildLimits,
    ChildTooSlow,
    finish_child,
    limit_this_process,
    start_child,
    stop_child,
)
from media.vod.pictures import (
    RANGE_FULL,
    decide_display_size,
    decide_frame_rate,
    decide_matrix,
    decide_orientation,
    find_hdr_transfer,
    read_display_matrix,
)
from media.vod.probe_sound import (
    SIDE_MAX,
    codec_of,
    describe_sound,
    probe_sound,
)
from media.vod.source import MediaUnreadable, UnreadableAhead, fetch_source, open_media
from media.vod.survey import (
    Opening,
    check_opening,
    check_whole,
    find_declared_end,
    find_mean_rate,
    measure_ends,
    read_declared_ends,
    read_opening,
)

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from storage.objects import ObjectStore

EXIT_UNREADABLE_AHEAD = 4
REFUSALS = {EXIT_REFUSED: MediaUnreadable, EXIT_UNREADABLE_AHEAD: UnreadableAhead}
STILL_CODECS = ("png", "gif", "bmp", "tiff", "webp")


@dataclass(frozen=True)
class ProbeJob:
    """What the probe task is given."""

    video_id: str
    source_key: str
    limits: ChildLimits = field(default_factory=ChildLimits)
    arriving: Arriving | None = None
    """Of a file that still arrives: what it says of itself is believed."""


def probe_source(job: ProbeJob, store: ObjectStore) -> MediaInfo:
    """Probe an object; raises MediaUnreadable with the reason."""
    with fetch_source(job.source_key, store) as path:
        reach = None if job.arriving is None else job.arriving.locate(store)
        return probe_in_child(path, job.limits, reach)


def probe_in_child(
    path: Path, limits: ChildLimits | None = None, reach: Reach | None = None
) -> MediaInfo:
    """Probe in a process of its own; raises MediaUnreadable. Blocks up to `limits.time_s`."""
    with ProbeAhead(path, limits or ChildLimits(), reach) as probe:
        return probe.finish()


class ProbeAhead:
    """A probe whose process gets ready while the file is still being written."""

    def __init__(self, path: Path, limits: ChildLimits, reach: Reach | None = None) -> None:
        self._limits = limits
        # By descriptor: the file may get another name meanwhile.
        self._file = path.open("rb")
        number = self._file.fileno()
        words = [f"/proc/self/fd/{number}"]
        if reach is not None:
            index = "" if reach.index is None else str(reach.index)
            words += [str(reach.known_bytes), str(reach.size_bytes), index, str(reach.index_at)]
        self._child = start_child("media.vod.probe", words, limits, inherited=[number])
        self._answer: Future[tuple[int, bytes]] | None = None
        self._waiter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._answer is None:
            stop_child(self._child)
        self._waiter.shutdown()
        self._file.close()

    def begin(self) -> None:
        """The file is whole: have it read; the time counts from here."""
        self._answer = self._waiter.submit(finish_child, self._child, self._limits)

    def finish(self) -> MediaInfo:
        """Return what the file is; raises MediaUnreadable with the reason."""
        if self._answer is None:
            self.begin()
        assert self._answer is not None, "begun just now"
        try:
            status, answer = self._answer.result()
        except ChildTooSlow as error:
            raise MediaUnreadable("Reading the file took too long.") from error
        if status in REFUSALS:
            raise REFUSALS[status](msgspec.json.decode(answer, type=str))
        if status != 0:
            raise MediaUnreadable(
                "The file is damaged, or needs more memory or time than a video may take.",
                exit_status=status,
            )
        return decode_json(answer, MediaInfo)


def probe_file(path: Path, reach: Reach | None = None) -> MediaInfo:
    """Probe in this process; raises MediaUnreadable with the reason."""
    peak_bytes = read_memory_bytes("VmHWM")
    with open_media(path, reach) as container:
        check_opening(peak_bytes)
        video = _find_picture(container)
        if video is None:
            if reach is not None:
                raise UnreadableAhead("Sound alone is encoded when all of it is there.")
            return probe_sound(path, container)
        audio = cast("AudioStream | None", container.streams.best("audio", related=video))
        opening = read_opening(container, video, audio)
        taken = [stream.index for stream in (video, audio) if stream is not None]
        warnings = list_untaken(container, taken)
        if audio is not None and not opening.has_sound:
            warnings.append(f"The sound ({codec_of(audio)}) cannot be decoded; it was left out.")
            taken.remove(audio.index)
            audio = None
        size_bytes = reach.size_bytes if reach else path.stat().st_size
        picture = _describe_picture(video, opening, size_bytes)
        if reach is not None:
            ends_s = read_declared_ends(container, video, audio)
        else:
            ends_s = _measure_ends(path, container, (video, audio), opening, 1 / picture.fps)
        end_s = max(ends_s.values(), default=opening.origin_s)
        if picture.is_hdr:
            warnings.append("High dynamic range was converted to standard range.")
        duration_s = end_s - opening.origin_s
        sound = describe_sound(audio) if audio else None
        span = Span(Fraction(round(opening.origin_s * 1_000_000), 1_000_000), end_s)
        return MediaInfo(
            container=container.format.name,
            duration_s=float(max(duration_s, 1 / picture.fps)),
            picture_s=float(ends_s.get(video.index, end_s) - opening.origin_s),
            origin_us=round(opening.origin_s * 1_000_000),
            size_bytes=size_bytes,
            video=picture,
            audio=sound,
            warnings=tuple(warnings),
            copyable=find_copyable(path, picture, sound, span, reach),
        )


def _measure_ends(
    path: Path,
    container: InputContainer,
    streams: tuple[VideoStream, AudioStream | None],
    opening: Opening,
    frame_s: Fraction,
) -> dict[int, Fraction]:
    """Where the streams really end, in the source's clock; raises MediaUnreadable."""
    declared_s = find_declared_end(container, *streams)
    wanted = [stream.index for stream in streams if stream is not None]
    ends_s = measure_ends(path, wanted, declared_s, frame_s)
    check_whole(declared_s, max(ends_s.values(), default=opening.origin_s), opening.origin_s)
    return ends_s


def _find_picture(container: InputContainer) -> VideoStream | None:
    """The best moving picture; cover art and thumbnails do not count. None beside sound alone."""
    moving = [stream for stream in container.streams.video if not stream.disposition & NOT_PICTURES]
    if not moving:
        if container.streams.audio:
            return None
        raise MediaUnreadable("Not a video: the file has no video stream.")
    best = container.streams.best("video")
    stream = next((stream for stream in moving if stream is best), moving[0])
    if stream.codec_context is None or codec_of(stream) in STILL_CODECS:
        raise MediaUnreadable("The picture's codec is not supported.")
    _check_side_max(stream.codec_context.width, stream.codec_context.height)
    return stream


def _check_side_max(*sides: int) -> None:
    if max(sides) > SIDE_MAX:
        raise MediaUnreadable(f"The picture is larger than {SIDE_MAX} pixels.")


def _describe_picture(video: VideoStream, opening: Opening, size_bytes: int) -> VideoInfo:
    frame = opening.frame
    mean_bps = find_mean_rate(cast("InputContainer", video.container), size_bytes)
    rotation_deg, mirrored = decide_orientation(read_display_matrix(frame), frame.rotation)
    transfer = find_hdr_transfer(int(frame.color_trc))
    sar = video.sample_aspect_ratio or video.codec_context.sample_aspect_ratio
    width, height = decide_display_size(frame.width, frame.height, sar, rotation_deg)
    if min(width, height) < SIDE_MIN:
        raise MediaUnreadable(f"The picture is smaller than {SIDE_MIN} pixels.")
    _check_side_max(width, height)
    return VideoInfo(
        stream_index=video.index,
        codec=codec_of(video),
        pix_fmt=frame.format.name,
        width=width,
        height=height,
        coded_width=frame.width,
        coded_height=frame.height,
        rotation_deg=rotation_deg,
        mirrored=mirrored,
        sar=sar or Fraction(1),
        fps=decide_frame_rate(
            video.guessed_rate or video.average_rate, video.average_rate, opening.intervals_s
        ),
        bit_rate_bps=video.bit_rate or mean_bps,
        color_matrix=decide_matrix(int(frame.colorspace), frame.height),
        is_hdr=bool(transfer),
        transfer=transfer,
        is_interlaced=bool(frame.interlaced_frame),
        is_full_range=int(frame.color_range) == RANGE_FULL,
    )


def _read_reach(known_bytes: str, size_bytes: str, index: str, index_at: str) -> Reach:
    place = Path(index) if index else None
    return Reach(int(known_bytes), int(size_bytes), place, int(index_at))


def main(arguments: list[str]) -> int:
    """Run as the child: limit this process, probe, answer in JSON on standard output.

    It begins when its standard input ends.
    """
    path, *words = limit_this_process(arguments)
    reach = _read_reach(*words) if words else None
    sys.stdin.buffer.read()
    try:
        answer, status = encode_json(probe_file(Path(path), reach)), 0
    except MediaUnreadable as error:
        answer = msgspec.json.encode(error.text)
        is_ahead = isinstance(error, UnreadableAhead)
        status = EXIT_UNREADABLE_AHEAD if is_ahead else EXIT_REFUSED
    sys.stdout.buffer.write(answer)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
