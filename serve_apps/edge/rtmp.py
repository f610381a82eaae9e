"""RTMP publishers of this edge: whose stream key, and where their frames go.

`server.py` starts the listener; `media.rtmp` speaks the protocol. Frames go to HLS as they are,
B-frames and AAC included, and to WebRTC viewers as far as those can show them.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kit.clock import Clock
from kit.errors import AppError
from kit.logs import get_log
from kit.settings import Settings
from media.live.samples import AudioSample, VideoSample
from media.live.sound_tap import OPUS_CHILD, SoundTap
from media.rtmp.errors import PublishRefused
from media.rtmp.forwarder import WebrtcForwarder
from media.rtmp.frames import TagFrames
from media.rtmp.server import Applicant, RtmpOptions, RtmpServer
from media.rtmp.tags import Tag
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher
from serve_apps.access.stream_keys import LiveTakenDown, StreamKeyInvalid, get_live_by_key
from serve_apps.edge.certificate_files import CertificateFiles, follow_certificate
from serve_apps.edge.media_sessions import LocalSource, MediaSessions
from serve_apps.edge.waiting_samples import WaitingSamples
from storage.database import LOST_CONNECTION, Database
from storage.lives import LiveRow

APP = "live"
ENDINGS = {
    "replaced": "Another publisher took over this live.",
    "closed": "This live was ended.",
    "shutdown": "The server is stopping; connect again.",
}
log = get_log("edge.rtmp")


@dataclass(frozen=True)
class RtmpPorts:
    """What publishers' frames go through."""

    database: Database
    sessions: MediaSessions
    clock: Clock
    tap: SoundTap = field(default_factory=lambda: SoundTap(OPUS_CHILD))


class RtmpFront:
    """This edge's listeners: none, RTMP, RTMPS or both, and the tap that makes their Opus."""

    def __init__(self, settings: Settings, ports: RtmpPorts) -> None:
        self._settings = settings
        self._ports = ports
        self._servers: list[RtmpServer] = []

    async def start(self) -> None:
        """Listen; raises OSError for a taken port or a certificate that cannot be used."""
        rtmp = self._settings.rtmp
        if rtmp.port:
            await self._listen(rtmp.port, None)
        if rtmp.tls_port:
            files = CertificateFiles(rtmp.tls_certificate, rtmp.tls_key)
            await self._listen(rtmp.tls_port, follow_certificate(files))

    async def close(self) -> None:
        """End every connection; closing twice does nothing."""
        for server in self._servers:
            await server.close()
        await self._ports.tap.close()

    async def _listen(self, port: int, tls: ssl.SSLContext | None) -> None:
        rtmp = self._settings.rtmp
        options = RtmpOptions(
            host=self._settings.edge.host,
            port=port,
            share_port=True,
            tls=tls,
            connections_max=rtmp.connections_max,
            bitrate_max_bps=rtmp.bitrate_max_bps,
        )
        server = RtmpServer(options, RtmpIngest(self._ports).admit)
        await server.start()
        self._servers.append(server)
        log.info("rtmp.listening", port=port, tls=tls is not None)


class RtmpIngest:
    """Admits publishers by their stream key."""

    def __init__(self, ports: RtmpPorts) -> None:
        self._ports = ports

    async def admit(self, applicant: Applicant) -> RtmpPublication:
        """Find the live of a key; raises PublishRefused."""
        if applicant.app != APP:
            raise PublishRefused(f"The address must end in /{APP}.")
        if self._ports.sessions.is_draining:
            raise PublishRefused(ENDINGS["shutdown"])
        try:
            async with self._ports.database.connection() as connection:
                live = await get_live_by_key(connection, applicant.key)
        except StreamKeyInvalid as error:
            raise PublishRefused("This stream key is not known.") from error
        except LiveTakenDown as error:
            raise PublishRefused(error.text) from error
        except (AppError, *LOST_CONNECTION) as error:
            raise PublishRefused("The server is busy; try again.") from error
        if live.status == "ended":
            raise PublishRefused("This live has ended; create another one.")
        log.info("rtmp.admitted", room_id=str(live.id), encoder=applicant.encoder)
        return RtmpPublication(live, applicant, self._ports)


class RtmpPublication:
    """One admitted publisher: tags to frames, frames to HLS and WebRTC."""

    def __init__(self, live: LiveRow, applicant: Applicant, ports: RtmpPorts) -> None:
        self._ports = ports
        self._room_id = live.id
        self._owner_id = live.owner_id
        self._key_mark = live.key_mark
        self._cut = applicant.cut
        self._hls = WaitingSamples()
        self._frames = TagFrames(self)
        self._forwarder = WebrtcForwarder(self, ports.tap, ports.clock.now)

    # media.rtmp.server.Publication

    def apply(self, tag: Tag) -> None:
        """Take what the publisher sent; raises PublishRefused, RtmpMalformed."""
        try:
            self._frames.apply(tag)
        except AppError as error:
            raise PublishRefused(error.message) from error

    def end(self, reason: str) -> None:
        """The publisher is gone."""
        log.info("rtmp.ended", room_id=str(self._room_id), reason=reason)
        self._forwarder.close()
        if self._forwarder.session is not None:
            self._ports.sessions.close(self._forwarder.session.session_id)

    # media.live.samples.SampleSink

    def add_video(self, sample: VideoSample) -> None:
        """Take the next picture; raises what the forwarding plane refuses with."""
        self._note_first()
        self._forwarder.add_video(sample)
        self._hls.add_video(sample)

    def add_audio(self, sample: AudioSample) -> None:
        """Take the next frame of sound."""
        self._note_first()
        self._forwarder.add_audio(sample)
        self._hls.add_audio(sample)

    # media.rtmp.forwarder.Plane

    def publish_local(self, codecs: Mapping[str, OfferedCodec]) -> LocalPublisher:
        """Enter the room; raises EdgeDraining, SfuFull."""
        source = LocalSource(self._hls, self._frames.sound, self._on_ended, self._key_mark)
        return self._ports.sessions.publish_local(self._room_id, self._owner_id, codecs, source)

    def feed(self, session: LocalPublisher, rtp: Sequence[bytes], rtcp: bytes) -> None:
        """Forward packets."""
        self._ports.sessions.feed(session, rtp, rtcp)

    def _note_first(self) -> None:
        """Frames count from the first of them, however long it waits."""
        if self._hls.began_at is None:
            self._hls.began_at = self._ports.clock.now()

    def _on_ended(self, reason: str) -> None:
        """The room let the publisher go."""
        self._cut(ENDINGS.get(reason, ENDINGS["closed"]))
