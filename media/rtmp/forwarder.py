"""One RTMP publisher towards WebRTC: its samples as RTP to the forwarding plane.

Sound that is not Opus becomes so in the tap's process; it may begin at any time, so viewers agree
on Opus with every publisher. Pictures out of order (B-frames) cannot go this way; the first few
wait, so that such a live never seems watchable by WebRTC. A later one changes that too.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from media.live.samples import VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat, VideoSample
from media.live.sound_tap import SoundCall
from media.rtmp.rtp import PictureOrder, TrackWriter, list_payloads
from media.sfu.errors import PicturesOutOfOrder
from media.sfu.rtcp import SenderReport, build_sender_report
from media.sfu.sdp import OfferedCodec
from media.sfu.session import LocalPublisher

VIDEO_TYPE, AUDIO_TYPE = 102, 111
OPUS_RATE_HZ = 48_000
HELD_PICTURES = 8
REPORT_EVERY_TICKS = VIDEO_TIMESCALE
NTP_EPOCH_S = 2_208_988_800
"""From 1900 to 1970, RFC 5905 §6."""

Description = tuple[str, tuple[tuple[str, str], ...]]
"""A codec's name and format parameters."""


class Plane(Protocol):
    """What of the forwarding plane a local publisher uses."""

    def publish_local(self, codecs: Mapping[str, OfferedCodec]) -> LocalPublisher:
        """Take the room's publisher's place; raises SfuFull."""
        ...

    def feed(self, session: LocalPublisher, rtp: Sequence[bytes], rtcp: bytes) -> None:
        """Forward packets."""
        ...


class SoundTap(Protocol):
    """Who makes Opus: `media.live.sound_tap.SoundTap`."""

    def open(self, form: AudioFormat, call: SoundCall) -> int:
        """Begin a stream."""
        ...

    def push(self, number: int, sample: AudioSample) -> None:
        """Hand a frame over."""
        ...

    def end(self, number: int) -> None:
        """End a stream."""
        ...


class WebrtcForwarder:
    """Takes one publisher's samples; `session` exists once it was decided how they can go."""

    def __init__(self, plane: Plane, tap: SoundTap, now: Callable[[], datetime]) -> None:
        self.session: LocalPublisher | None = None
        self._plane = plane
        self._tap = tap
        self._now = now
        self._order = PictureOrder()
        self._held: list[VideoSample] = []
        self._began_s: float | None = None
        self._video = TrackWriter(VIDEO_TYPE, 1 + secrets.randbelow(1 << 31))
        self._audio = TrackWriter(AUDIO_TYPE, (1 << 31) + secrets.randbelow(1 << 31))
        self._stream: int | None = None
        self._sound: AudioFormat | None = None
        self._cname = secrets.token_hex(8)
        self._reported_ticks: int | None = None

    def add_video(self, sample: VideoSample) -> None:
        """Take the next picture in decode order; raises SfuFull."""
        if self._began_s is None:
            self._began_s = self._now().timestamp() - sample.dts_ticks / VIDEO_TIMESCALE
        is_late = self._order.is_late(sample)
        if self.session is None:
            self._held.append(sample)
            if is_late or len(self._held) >= HELD_PICTURES:
                self._begin(is_late=is_late)
            return
        if is_late and self.session.refusal is None:
            self.session.refusal = PicturesOutOfOrder()
        if self.session.refusal is None:
            self._send_picture(sample)

    def add_audio(self, sample: AudioSample) -> None:
        """Take the next frame of sound; Opus goes as it came."""
        if sample.format != self._sound:
            self._end_stream()
            self._sound = sample.format
            if sample.format.codec != "opus":
                self._stream = self._tap.open(sample.format, self._send_sound)
        if self._stream is not None:
            self._tap.push(self._stream, sample)
        else:
            self._send_sound(sample.pts_ticks, sample.data)

    def close(self) -> None:
        """Let the tap's stream go; who ends the session is the plane's owner."""
        self._end_stream()

    def _begin(self, *, is_late: bool) -> None:
        """Enter the room, with all that waited unless it is out of order."""
        held, self._held = self._held, []
        opus = OfferedCodec(AUDIO_TYPE, "opus", OPUS_RATE_HZ, 2, (), frozenset())
        codecs = {"video": _describe_video(held[-1].format), "audio": opus}
        self.session = self._plane.publish_local(codecs)
        if is_late:
            self.session.refusal = PicturesOutOfOrder()
            return
        for sample in held:
            self._send_picture(sample)

    def _send_picture(self, sample: VideoSample) -> None:
        assert self.session is not None, "entered the room"
        packets = self._video.write(list_payloads(sample), sample.pts_ticks)
        self._plane.feed(self.session, packets, self._make_report(sample.pts_ticks))

    def _send_sound(self, ticks: int, packet: bytes) -> None:
        if self.session is not None and self.session.refusal is None:
            packets = self._audio.write([packet], ticks, marks_end=False)
            self._plane.feed(self.session, packets, b"")

    def _make_report(self, ticks: int) -> bytes:
        """Tell once a second which timestamps of both tracks belong together."""
        last = self._reported_ticks
        if last is not None and 0 <= ticks - last < REPORT_EVERY_TICKS:
            return b""
        self._reported_ticks = ticks
        assert self._began_s is not None, "set by the first picture"
        seconds = self._began_s + NTP_EPOCH_S + ticks / VIDEO_TIMESCALE
        ntp = int(seconds * (1 << 32))
        sound_ticks = ticks * OPUS_RATE_HZ // VIDEO_TIMESCALE
        report = b""
        for track, at in ((self._video, ticks), (self._audio, sound_ticks)):
            counts = (track.packets, track.payload_bytes)
            sender = SenderReport(track.ssrc, ntp, track.place(at))
            report += build_sender_report(sender, counts, self._cname)
        return report

    def _end_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            self._tap.end(stream)


def _describe_video(form: VideoFormat) -> OfferedCodec:
    """Return the codec as an SDP offer would name it (RFC 6184, RFC 7798, AV1 RTP §7.2.1)."""
    name, parameters = _DESCRIBERS[form.codec](form.config)
    return OfferedCodec(VIDEO_TYPE, name, VIDEO_TIMESCALE, None, parameters, frozenset())


def _describe_h264(config: bytes) -> Description:
    return "H264", (("packetization-mode", "1"), ("profile-level-id", config[1:4].hex()))


def _describe_hevc(config: bytes) -> Description:
    profile, tier, level = config[1] & 0x1F, config[1] >> 5 & 1, config[12]
    return "H265", (
        ("profile-id", str(profile)),
        ("tier-flag", str(tier)),
        ("level-id", str(level)),
    )


def _describe_av1(config: bytes) -> Description:
    profile, level, tier = config[1] >> 5, config[1] & 0x1F, config[2] >> 7
    return "AV1", (("profile", str(profile)), ("level-idx", str(level)), ("tier", str(tier)))


_DESCRIBERS = {"h264": _describe_h264, "hevc": _describe_hevc, "av1": _describe_av1}
