"""Our RTMP listener with its packager and its way to WebRTC, as a process of its own.

The same parts as in an edge, without rooms and viewers: whole segments are written to a folder, as
nginx-rtmp writes its own. Opus is made by the tap's process, which is counted apart.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.children import hear_parent, tell_parent
from media.live.fragments import TRACKS, VIDEO
from media.live.packager import Packager, PackagerTerms
from media.live.samples import AudioSample, VideoSample
from media.live.sound_tap import OPUS_CHILD, SoundTap
from media.live.window import LiveWindow, PublisherSink
from media.rtmp.forwarder import WebrtcForwarder
from media.rtmp.frames import TagFrames
from media.rtmp.server import Applicant, RtmpOptions, RtmpServer
from media.rtmp.tags import Tag
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher


class Publication:
    """One publisher: frames to a window of HLS and to RTP that nobody watches."""

    def __init__(self, folder: Path, tap: SoundTap) -> None:
        self.pictures = self.packets = 0
        self._folder = folder
        self._frames = TagFrames(self)
        self._forwarder = WebrtcForwarder(self, tap, lambda: datetime.now(UTC))
        self.window = LiveWindow(datetime.now(UTC), lambda: None)
        self._packager: Packager | None = None
        folder.mkdir()

    def apply(self, tag: Tag) -> None:
        """Take a tag."""
        self._frames.apply(tag)

    def end(self, _reason: str) -> None:
        """The publisher is gone."""
        self._forwarder.close()
        if self._packager is not None:
            self._packager.break_off()

    def add_video(self, sample: VideoSample) -> None:
        """Take a picture."""
        self.pictures += 1
        self._forwarder.add_video(sample)
        if self._packager is not None:
            self._packager.add_video(sample)

    def add_audio(self, sample: AudioSample) -> None:
        """Take a frame of sound; the packager begins with the first one, as its format is known."""
        if self._packager is None:
            terms = PackagerTerms(0, 0, has_sound=True, is_resumed=False, audio=sample.format)
            sink = PublisherSink(self.window, "1", self._store)
            self._packager = Packager(terms, sink, lambda: None)
        self._forwarder.add_audio(sample)
        self._packager.add_audio(sample)

    def publish_local(self, codecs: Mapping[str, OfferedCodec]) -> LocalPublisher:
        """Enter a room without viewers."""
        return LocalPublisher("room", codecs, 0.0)

    def feed(self, _session: LocalPublisher, rtp: Sequence[bytes], _rtcp: bytes) -> None:
        """Count what viewers would be sent."""
        self.packets += len(rtp)

    def _store(self, number: int) -> None:
        """Write a whole segment of both tracks."""
        for track in TRACKS:
            entry = self.window.find_entry(track, number)
            if entry is not None:
                (self._folder / f"{track}-{number}.m4s").write_bytes(entry.join())
        self.window.note_stored(number)


async def serve(folder: Path) -> None:
    """Listen until the parent has asked for the result."""
    tap, publications = SoundTap(OPUS_CHILD), []

    async def admit(applicant: Applicant) -> Publication:
        publications.append(Publication(folder / applicant.key, tap))
        return publications[-1]

    server = RtmpServer(RtmpOptions(port=0), admit)
    await server.start()
    await asyncio.to_thread(hear_parent)
    tell_parent({"port": server.port})
    await asyncio.to_thread(hear_parent)
    lasts = [publication.window.get_last(VIDEO) for publication in publications]
    tell_parent(
        {
            "tap": tap.pid,
            "pictures": sum(publication.pictures for publication in publications),
            "packaged_s": [last.start_s + last.duration_s for last in lasts if last],
        }
    )
    await asyncio.to_thread(hear_parent)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
