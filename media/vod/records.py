"""Names of a video's objects, and the records that tasks leave beside them.

Pure. A task's record is written after all its segments, so a record means its segments exist;
playlists are made from records alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

AUDIO_TRACK = "audio"
AAC_TRACK = "aac"
"""The sound of a recording once more, for players that cannot play it as it came."""
AUDIO_RATE_HZ = 48_000
AUDIO_FRAME_SAMPLES = 1024
MASTER_NAME = "master.m3u8"
INIT_NAME = "init.mp4"
MANIFEST_NAME = "manifest.mpd"
KEYS_NAME = "keys"
"""Where players ask for the keys of a protected video, beside its playlists."""
STORYBOARD = "storyboard"
STORYBOARD_NAME = "storyboard.vtt"
WAVEFORM_NAME = "waveform.json"
THUMBNAIL_NAME = "thumbnail.jpg"
THUMBNAILS = "thumbnails"
PREVIEW_NAME = "preview.mp4"
SUBTITLES = "subtitles"
JPEG_BITS_PER_TILE = 40_000
"""What a player should expect of one picture of a storyboard; nothing depends on it."""


@dataclass(frozen=True)
class SegmentRecord:
    """One stored segment; times in ticks of its track's timescale."""

    number: int
    start_ticks: int
    duration_ticks: int
    size_bytes: int
    key_bytes: int = 0
    """From its beginning to the end of its first frame, an IDR; 0 for sound."""


@dataclass(frozen=True)
class TrackRecord:
    """What one task made of one track: a rung's picture, or the sound."""

    track: str
    """The rung's name, "audio" or "aac"."""
    codec: str
    """As in the CODECS attribute, RFC 6381."""
    init_name: str
    timescale: int
    segments: tuple[SegmentRecord, ...]
    width: int = 0
    height: int = 0
    channels: int = 0


@dataclass(frozen=True)
class StoryboardRecord:
    """Sheets of small pictures, one every `interval_ms`, filled row by row."""

    width: int
    """Of one picture."""
    height: int
    columns: int
    rows: int
    interval_ms: int
    tiles: int

    @property
    def sheets(self) -> int:
        """How many sheets there are; the last may have fewer rows."""
        return math.ceil(self.tiles / (self.columns * self.rows))

    @property
    def expected_bps(self) -> int:
        """Bits per second that a player should expect of the sheets."""
        return max(1, JPEG_BITS_PER_TILE * 1000 // self.interval_ms)


@dataclass(frozen=True)
class JoinRecord:
    """How the parts of a recording lie in one MP4 file."""

    header_key: str
    """What the file begins with."""
    formats: tuple[int, ...]
    """Of each part: which of the header's descriptions its picture has, from 1."""
    sets: tuple[str, ...]
    """Of each description: its parameter sets as samples carry them, in hex; none for just one."""


@dataclass(frozen=True)
class RungLook:
    """What samples of one size took, coded as fine as usual and coarser; dB of XPSNR."""

    width: int
    height: int
    fine_bytes: int
    fine_db: float
    coarse_bytes: int
    coarse_db: float
    worst_db: float
    """Of the sample that came out worst, as fine as usual."""


@dataclass(frozen=True)
class TaskRecord:
    """A finished task; the coordinator stores nothing else about its output."""

    task_id: str
    tracks: tuple[TrackRecord, ...] = ()
    images: tuple[str, ...] = ()
    """Keys of thumbnails, the best first."""
    decode_errors: int = 0
    """Packets the decoder refused; what they should have shown is the frame before."""
    storyboard: StoryboardRecord | None = None
    gain_db: float = 0.0
    """How far the sound was turned up, from its loudness."""
    peaks: tuple[int, ...] = ()
    """The loudest of each of so many equal pieces of a sound, 0 to 100."""
    preview_bytes: int = 0
    """Size of the preview; 0: there is none."""
    joined: JoinRecord | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    """What could not be made, and the reason's code."""
    looks: tuple[RungLook, ...] = ()
    """Of the quality task: what each size of the ladder took, largest first."""


@dataclass(frozen=True)
class Progress:
    """How far a task is, in segments or in steps."""

    task_id: str
    done: int
    total: int


def video_prefix(video_id: str) -> str:
    """The folder of everything made for a video; deleting it deletes the video's bytes."""
    return f"videos/{video_id}"


def segment_name(number: int) -> str:
    """A segment's name within its track."""
    return f"{number:05d}.m4s"


def playlist_name(track: str) -> str:
    """A track's media playlist, beside the master playlist."""
    return f"{track}.m3u8"


def track_prefix(video_id: str, track: str) -> str:
    """The folder of one track's files."""
    return f"{video_prefix(video_id)}/{track}"


def track_key(video_id: str, track: str, name: str) -> str:
    """Key of a segment or init segment of one track."""
    return f"{track_prefix(video_id, track)}/{name}"


def record_key(video_id: str, task_id: str) -> str:
    """Key of a task's record."""
    return f"{video_prefix(video_id)}/records/{task_id}.json"


def unfinished_prefix(video_id: str, name: str = "") -> str:
    """The folder of what an unfinished task, or track, has encoded so far; without one, of all."""
    return f"{video_prefix(video_id)}/unfinished/{name}".rstrip("/")


def unfinished_key(video_id: str, name: str, number: int) -> str:
    """Key of one step of it."""
    return f"{unfinished_prefix(video_id, name)}/{number:08d}"


def storyboard_name(number: int) -> str:
    """A sheet's name within the storyboard's folder."""
    return f"{number:05d}.jpg"


def storyboard_key(video_id: str, name: str) -> str:
    """Key of a sheet of small pictures."""
    return f"{video_prefix(video_id)}/{STORYBOARD}/{name}"


def keys_playlist_name(track: str) -> str:
    """A rung's playlist of keyframes alone."""
    return f"{track}-keys.m3u8"


def thumbnail_key(video_id: str) -> str:
    """Key of the chosen thumbnail."""
    return f"{video_prefix(video_id)}/{THUMBNAIL_NAME}"


def preview_key(video_id: str) -> str:
    """Key of the few seconds that cards play."""
    return f"{video_prefix(video_id)}/{PREVIEW_NAME}"


def subtitles_key(video_id: str, file: str) -> str:
    """Key of one language's text."""
    return f"{video_prefix(video_id)}/{SUBTITLES}/{file}"


def subtitles_playlist_name(language: str) -> str:
    """The playlist of one language's text, beside the master playlist."""
    return f"{SUBTITLES}-{language}.m3u8"


def header_key(video_id: str) -> str:
    """Key of what a recording's one MP4 file begins with."""
    return f"{video_prefix(video_id)}/download/header.mp4"


def own_thumbnail_key(video_id: str, name: str) -> str:
    """Key of a picture that the owner brought along."""
    return f"{video_prefix(video_id)}/thumbnails/own-{name}.jpg"


def candidate_name(index: int) -> str:
    """Name of one of the thumbnails the owner may choose from, within their folder."""
    return f"{index}.jpg"


def candidate_key(video_id: str, index: int) -> str:
    """Key of one of the thumbnails the owner may choose from."""
    return f"{video_prefix(video_id)}/thumbnails/{candidate_name(index)}"
