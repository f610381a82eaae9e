"""Opening an uploaded file: nothing but the file is read, and only by demuxers we chose.

Probe, transcode and thumbnails call it; the probe's child waits for its imports, so they are few.
An upload is hostile until decoded: playlists and
reference movies could make FFmpeg read other files or addresses, so protocols and formats are
listed. It decides nothing about the content.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error

from kit.errors import AppError
from media.vod.arriving import ArrivingFile, Reach

if TYPE_CHECKING:
    from fractions import Fraction

    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from storage.objects import ObjectStore

FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "asf")
"""Demuxers for videos."""
SOUND_FORMATS = ("mp3", "wav", "flac", "aac")
"""Demuxers for sound alone, perhaps with a cover picture."""
MOV_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"wide")
SNIFF_BYTES = 16
PIXELS_MAX = 8192 * 8192
PIXELS_GROWN_MAX = 4096 * 2304
GROWTH_MAX = 4
"""A picture may become so many times larger midway than its headers say, or as large as that: a
recorded call begins small. A larger one counts as damaged: its frames would fill the memory."""
LOOK_OPTIONS: Any = [{"max_pixels": str(PIXELS_MAX)}] * 64
"""For the decoders that FFmpeg opens itself to learn what headers do not say; with more streams
than that the memory of this process is the limit. Any, as PyAV declares them as words."""


class MediaUnreadable(AppError):
    """The file is nothing we can play; the message is the reason, in the owner's words."""

    code, status, message = "media_unreadable", 422, "This file cannot be read as a video."


class UnreadableAhead(MediaUnreadable):
    """A file that still arrives cannot be begun with now; the message is the reason."""

    code = "media_unreadable_ahead"


def open_media(path: Path, reach: Reach | None = None) -> InputContainer:
    """Open for demuxing; the caller closes. Raises MediaUnreadable with the reason.

    Of a file that still arrives nothing is read but what its reach says.
    """
    if path.stat().st_size == 0:
        raise MediaUnreadable("The file is empty.")
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(FORMATS + SOUND_FORMATS),
    }
    source: str | ArrivingFile = f"file:{path}"
    if reach is not None:
        source = ArrivingFile(path, reach)
    try:
        return av.open(
            source,
            "r",
            options=options,
            stream_options=LOOK_OPTIONS,
            metadata_errors="replace",
        )
    except av.error.MemoryError as error:
        raise MediaUnreadable("The file needs more memory than a video may take.") from error
    except av.error.FFmpegError as error:
        if reach is not None:
            raise UnreadableAhead(_explain_ahead(path)) from error
        raise MediaUnreadable(_explain(path)) from error


class SourceCopy:
    """A file without a name, which is gone when the last who refers to it is."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="source-")  # noqa: SIM115  # closed below
        weakref.finalize(self, self._file.close)

    @property
    def path(self) -> Path:
        """Where this process, and no other, opens it anew."""
        return Path(f"/proc/self/fd/{self._file.fileno()}")

    def write(self, data: bytes) -> None:
        """Put this behind what is there."""
        self._file.write(data)

    def flush(self) -> None:
        """Let readers see all of it."""
        self._file.flush()


class SourceCopies:
    """The copy of a bucket's source that this process made last.

    A worker makes many pieces of one video: it downloads the source for the first of them. The copy
    goes with the process, however that ends, and there is one at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[str, SourceCopy] | None = None

    def find(self, key: str, store: ObjectStore) -> SourceCopy | None:
        """Return the copy of this source."""
        with self._lock:
            last = self._last
        return last[1] if last is not None and last[0] == _name(key, store) else None

    def keep(self, key: str, store: ObjectStore, copy: SourceCopy) -> None:
        """Have it found from now on; who still reads another keeps that until they are done."""
        with self._lock:
            self._last = (_name(key, store), copy)


LAST_COPY = SourceCopies()


@contextlib.contextmanager
def fetch_source(key: str, store: ObjectStore) -> Iterator[Path]:
    """A path to the object's bytes: its own on a local store, else of a copy in this process."""
    path = store.local_path(key)
    if path is not None:
        yield path
        return
    copy = LAST_COPY.find(key, store)
    if copy is None:
        copy = SourceCopy()
        for piece in store.stream_sync(key):
            copy.write(piece)
        copy.flush()
        LAST_COPY.keep(key, store, copy)
    yield copy.path


def _name(key: str, store: ObjectStore) -> str:
    return f"{store.name} {key}"


def limit_decoder(stream: VideoStream) -> None:
    """One thread, and no picture that alone would fill the memory; before the first packet."""
    context = stream.codec_context
    grown = max(PIXELS_GROWN_MAX, GROWTH_MAX * context.width * context.height)
    context.thread_count = 1
    context.options = {"max_pixels": str(min(PIXELS_MAX, grown))}


def moment_of(frame: VideoFrame, stream: VideoStream) -> Fraction | None:
    """When the frame is shown, in seconds of the source's clock; None when it does not say."""
    # AVI stores no presentation times: there the decoder passes on the packet's.
    ticks = frame.pts if frame.pts is not None else frame.dts
    time_base = stream.time_base
    return None if ticks is None or time_base is None else ticks * time_base


def _is_mov(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(SNIFF_BYTES)[4:8] in MOV_ATOMS


def _explain(path: Path) -> str:
    """Why FFmpeg refused to open it, as far as the first bytes tell."""
    if _is_mov(path):
        return "The file is truncated or damaged: its index (moov) is missing."
    return "The file is damaged, or not of a kind we can read (MP4, MOV, MKV, WebM, AVI, MP3, WAV)."


def _explain_ahead(path: Path) -> str:
    """The same of a file that still arrives."""
    if _is_mov(path):
        return "The file's index (moov) has not come yet."
    return "What has come of the file cannot be read by itself."
