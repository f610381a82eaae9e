"""Reading a file's beginning and its end: what decodes, when it starts, where it really stops.

The probe calls it, inside its child process. Streams belong to their container: nothing of them
is kept once it is closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import av.error

from media.process_memory import read_memory_bytes
from media.vod.source import (
    PIXELS_MAX,
    MediaUnreadable,
    UnreadableAhead,
    limit_decoder,
    moment_of,
    open_media,
)

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.frame import Frame
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

FRAMES_TO_DECODE = 12
PACKETS_FOR_RATE = 300
PACKETS_MAX = 6000
"""Read at most so many packets from the start: a track that begins later counts as missing."""
TAIL_S = 10
SAID_AHEAD = ("mov", "matroska")
"""Containers that say how long they are where they begin; a fragmented MP4 does not."""
OPENING_BYTES_MAX = 512 << 20
"""What reading a file's headers and index may take: every task of the video does it again. Twelve
hours at 60 frames a second need about a quarter of it."""
MISSING_S_MAX = 1.5
MISSING_SHARE_MAX = 0.02


def check_opening(peak_bytes: int) -> None:
    """Raise MediaUnreadable when opening the file took much more than the peak before it."""
    if read_memory_bytes("VmHWM") - peak_bytes > OPENING_BYTES_MAX:
        raise MediaUnreadable("The file's index unpacks to more than a video's may.")


@dataclass(frozen=True)
class Opening:
    """What the first packets showed; `frame` is the first picture."""

    frame: VideoFrame
    origin_s: Fraction
    intervals_s: tuple[Fraction, ...]
    has_sound: bool


@dataclass
class _Opened:
    """What has been read so far."""

    frames: list[VideoFrame] = field(default_factory=list)
    moments_s: list[Fraction] = field(default_factory=list)
    """When each picture packet is shown."""
    sound_s: Fraction | None = None

    @property
    def has_picture(self) -> bool:
        return len(self.frames) >= FRAMES_TO_DECODE and len(self.moments_s) >= PACKETS_FOR_RATE


def read_opening(
    container: InputContainer, video: VideoStream, audio: AudioStream | None
) -> Opening:
    """Decode the first frames of both, and read on for the frame rate; raises MediaUnreadable."""
    limit_decoder(video)
    opened = _Opened()
    wanted: list[Stream] = [video, audio] if audio else [video]
    for number, packet in enumerate(_iter_packets(container, wanted)):
        if packet.stream.index == video.index:
            _read_picture(opened, packet)
        elif opened.sound_s is None:
            _read_sound(opened, packet)
        if opened.has_picture and (audio is None or opened.sound_s is not None):
            break
        if number > PACKETS_MAX:
            break
    if not opened.frames:
        raise MediaUnreadable(_explain_nothing(video))
    starts = [moment for frame in opened.frames if (moment := moment_of(frame, video)) is not None]
    if not starts:
        raise MediaUnreadable("The file does not say when its frames are shown.")
    if opened.sound_s is not None:
        starts.append(opened.sound_s)
    return Opening(
        frame=opened.frames[0],
        origin_s=min(starts),
        intervals_s=tuple(
            later - earlier for earlier, later in pairwise(sorted(set(opened.moments_s)))
        ),
        has_sound=opened.sound_s is not None,
    )


def _explain_nothing(video: VideoStream) -> str:
    """Why no picture came, as far as the decoder tells: one it refused for its size leaves none."""
    context = video.codec_context
    reason = f"The picture ({context.codec.canonical_name}) cannot be decoded"
    if context.width:
        return f"{reason}."
    return f"{reason}, or has more than {PIXELS_MAX // 1_000_000} million pixels."


def find_sound_start(container: InputContainer, audio: AudioStream) -> Fraction | None:
    """When the first sound that decodes begins, in the source's clock; None when none does."""
    opened = _Opened()
    for number, packet in enumerate(_iter_packets(container, [audio])):
        _read_sound(opened, packet)
        if opened.sound_s is not None or number > PACKETS_MAX:
            break
    return opened.sound_s


def _read_picture(opened: _Opened, packet: Packet[Stream]) -> None:
    if packet.pts is not None and packet.time_base:
        opened.moments_s.append(packet.pts * packet.time_base)
    if len(opened.frames) < FRAMES_TO_DECODE:
        opened.frames += cast("list[VideoFrame]", _decode(packet))


def _read_sound(opened: _Opened, packet: Packet[Stream]) -> None:
    sound = next(iter(_decode(packet)), None)
    if sound is not None and sound.time_base:
        opened.sound_s = (sound.pts or 0) * sound.time_base


def _iter_packets(container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Stream]]:
    """Packets until the end, or until the container breaks."""
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            return
        if packet is None:
            return
        yield packet


def _decode(packet: Packet[Stream]) -> list[Frame]:
    """The packet's frames, none when it is damaged."""
    try:
        return cast("list[Frame]", packet.decode())
    except av.error.FFmpegError:
        return []


def find_declared_end(
    container: InputContainer, video: VideoStream | None, audio: AudioStream | None
) -> Fraction | None:
    """Where the headers say the file ends, in the source's clock; None when they do not."""
    ends = _list_declared_ends(video, audio)
    return max(ends.values()) if ends else _find_container_end(container)


def read_declared_ends(
    container: InputContainer, video: VideoStream, audio: AudioStream | None
) -> dict[int, Fraction]:
    """Where the headers say each stream ends; raises UnreadableAhead when they do not.

    For a file that still arrives: only MP4 and Matroska say so before their end, and not all.
    """
    ends = _list_declared_ends(video, audio)
    whole_s = _find_container_end(container)
    is_said = container.format.name.startswith(SAID_AHEAD) and (ends or whole_s is not None)
    if not is_said or (container.format.name.startswith("mov") and not video.frames):
        raise UnreadableAhead("The file does not say ahead how long it is.")
    if video.index not in ends and whole_s is not None:
        ends[video.index] = whole_s
    return ends


def find_mean_rate(container: InputContainer, size_bytes: int) -> int | None:
    """Bits per second of all streams together, as FFmpeg counts them; None when it does not say."""
    if not container.bit_rate or not container.duration:
        return container.bit_rate or None
    return int(size_bytes * 8.0 * av.time_base / container.duration)


def _list_declared_ends(
    video: VideoStream | None, audio: AudioStream | None
) -> dict[int, Fraction]:
    return {
        stream.index: ((stream.start_time or 0) + stream.duration) * stream.time_base
        for stream in (video, audio)
        if stream is not None and stream.duration and stream.time_base
    }


def _find_container_end(container: InputContainer) -> Fraction | None:
    if not container.duration:
        return None
    # Matroska counts from zero, others from their first moment: believe the smaller promise.
    start = min(0, container.start_time or 0)
    return Fraction(start + container.duration, av.time_base)


def measure_ends(
    path: Path, wanted: Sequence[int], declared_s: Fraction | None, frame_s: Fraction
) -> dict[int, Fraction]:
    """Where the last readable packet of each stream ends: from the tail if the index leads there.

    `wanted` are stream indexes; `frame_s` lasts a packet that does not say. In the source's clock.
    """
    if declared_s is not None:
        with open_media(path) as container:
            try:
                container.seek(max(0, int((declared_s - TAIL_S) * av.time_base)))
                ends = _last_ends(container, wanted, frame_s)
            except av.error.FFmpegError:
                ends = {}
        if all(index in ends for index in wanted):
            return ends
    with open_media(path) as container:
        return _last_ends(container, wanted, frame_s)


def _last_ends(
    container: InputContainer, wanted: Sequence[int], frame_s: Fraction
) -> dict[int, Fraction]:
    """End of the last packet of each stream from here on, in the source's clock."""
    ends: dict[int, Fraction] = {}
    streams = [container.streams[index] for index in wanted]
    for packet in _iter_packets(container, streams):
        ticks = packet.pts if packet.pts is not None else packet.dts
        time_base = packet.stream.time_base
        if ticks is None or time_base is None or packet.is_corrupt:
            continue
        length_s = packet.duration * time_base if packet.duration else Fraction(0)
        if length_s <= 0 and packet.stream.type == "video":
            length_s = frame_s
        index, end = packet.stream.index, ticks * time_base + length_s
        ends[index] = max(end, ends.get(index, end))
    return ends


def check_whole(declared_s: Fraction | None, end_s: Fraction, origin_s: Fraction) -> None:
    """Raise MediaUnreadable when much of what the headers promise is not there."""
    if declared_s is None:
        return
    missing_s = float(declared_s - end_s)
    length_s = float(declared_s - origin_s)
    if missing_s > max(MISSING_S_MAX, length_s * MISSING_SHARE_MAX):
        raise MediaUnreadable(
            f"The file is truncated: only {max(0.0, length_s - missing_s):.1f} of "
            f"{length_s:.1f} seconds are there."
        )
