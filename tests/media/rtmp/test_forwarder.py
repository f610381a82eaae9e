"""FFmpeg by RTMP to a WebRTC viewer: its pictures and tone arrive, decoded by another library."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import av
import numpy as np
import pytest

from kit.clock import SystemClock
from media.live.packets import Picture, PictureAssembler
from media.live.samples import AudioSample, VideoSample
from media.live.sound_tap import OPUS_CHILD, SoundTap
from media.rtmp.forwarder import WebrtcForwarder
from media.rtmp.frames import TagFrames
from media.rtmp.server import Applicant, RtmpOptions, RtmpServer
from media.rtmp.tags import Tag
from media.sfu.errors import NoSupportedCodec, PicturesOutOfOrder, RoomNotLive
from media.sfu.rtp import parse_rtp
from media.sfu.session import LocalPublisher
from media.sfu.track import TrackPacket
from tests.media.rtmp.depacketizers import join_av1, join_hevc
from tests.media.rtmp.test_server import AV1, HEVC, Encoding
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.stage import Stage, start_stage, wait_until
from tests.serve_apps.edge.films import FilmSender, publish_film

pytestmark = pytest.mark.media


@dataclass
class RoomPlane:
    """The forwarding plane, for one room."""

    stage: Stage

    def publish_local(self, codecs) -> LocalPublisher:
        return self.stage.sfu.publish_local("r", codecs)

    def feed(self, session: LocalPublisher, rtp, rtcp: bytes) -> None:
        self.stage.sfu.feed(session, rtp, rtcp)


class Publication:
    """What the edge makes of an admitted publisher, without its room."""

    def __init__(self, stage: Stage, tap: SoundTap) -> None:
        self.sent: list[VideoSample] = []
        self.forwarder = WebrtcForwarder(RoomPlane(stage), tap, SystemClock().now)
        self._frames = TagFrames(self)
        self._stage = stage

    def add_video(self, sample: VideoSample) -> None:
        self.sent.append(sample)
        self.forwarder.add_video(sample)

    def add_audio(self, sample: AudioSample) -> None:
        self.forwarder.add_audio(sample)

    def apply(self, tag: Tag) -> None:
        self._frames.apply(tag)

    def end(self, _reason: str) -> None:
        self.forwarder.close()
        if self.forwarder.session is not None:
            self._stage.sfu.close_session(self.forwarder.session.session_id)


@dataclass
class Ingest:
    """A listener before a forwarding plane."""

    stage: Stage
    server: RtmpServer
    publications: list[Publication]
    films: list[FilmSender] = field(default_factory=list)

    async def publish(self, **options) -> FilmSender:
        """Let FFmpeg publish in real time, until it is stopped."""
        url = f"rtmp://127.0.0.1:{self.server.port}/live/key"
        self.films.append(await publish_film(url, **options))
        return self.films[-1]


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    stage, tap, publications = await start_stage(), SoundTap(OPUS_CHILD), []

    async def admit(_applicant: Applicant) -> Publication:
        publications.append(Publication(stage, tap))
        return publications[-1]

    server = RtmpServer(RtmpOptions(port=0), admit)
    await server.start()
    lent = Ingest(stage, server, publications)
    yield lent
    for film in lent.films:
        await film.close()
    await server.close()
    await tap.close()
    await stage.close()


def list_rtp(viewer: RtcPeer, kind: str) -> list[TrackPacket]:
    """Return a viewer's packets of one kind, as far as they arrived."""
    found, base = [], None
    for packet in viewer.rtp:
        fields = parse_rtp(packet)
        if fields is not None and fields.ssrc == viewer.ssrcs[kind]:
            base = fields.seq if base is None else base
            index = (fields.seq - base) & 0xFFFF
            found.append(TrackPacket(index, fields.marker, fields.timestamp, fields.payload, False))
    return sorted(found, key=lambda packet: packet.index)


async def see_enough(viewer: RtcPeer) -> None:
    """Return when a viewer has some forty pictures, and two seconds of sound."""

    def is_enough() -> bool:
        shown = {packet.timestamp for packet in list_rtp(viewer, "video")}
        return len(shown) > 45 and len(list_rtp(viewer, "audio")) > 100

    await wait_until(is_enough)


def assemble(packets: list[TrackPacket]) -> list[Picture]:
    assembler = PictureAssembler()
    return [picture for packet in packets for picture in assembler.add(packet)]


def find_pitch(packets: list[TrackPacket]) -> float:
    """Return the loudest frequency of Opus packets, in Hz."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "stereo"
    frames = [f for packet in packets for f in decoder.decode(av.Packet(packet.payload))]
    wave = np.concatenate([f.to_ndarray().reshape(-1, 2)[:, 0] for f in frames])[9600:]
    return float(np.argmax(np.abs(np.fft.rfft(wave)))) * 48_000 / len(wave)


async def test_a_viewer_gets_the_pictures_unchanged_and_the_tone_as_opus(ingest: Ingest) -> None:
    film = await ingest.publish()
    await wait_until(lambda: bool(ingest.stage.sfu.get_codecs("r")), timeout_s=60)
    assert set(ingest.stage.sfu.get_codecs("r")) == {"audio", "video"}
    viewer, _session = await ingest.stage.watch(("H264", "opus"))
    await see_enough(viewer)
    await film.stop()
    await wait_until(lambda: ingest.stage.log.list_ends("publisher_lost") == ["closed"])
    sent = [sample.data for sample in ingest.publications[0].sent]
    first = sent.index(assemble(list_rtp(viewer, "video"))[0].data)
    # The last one is whole when another follows.
    await wait_until(lambda: first + len(assemble(list_rtp(viewer, "video"))) >= len(sent) - 1)
    seen = assemble(list_rtp(viewer, "video"))
    assert len(seen) > 40
    assert [p.data for p in seen] == sent[first : first + len(seen)]
    assert seen[0].is_key
    assert abs(find_pitch(list_rtp(viewer, "audio")) - 440) < 2


async def test_a_tone_that_begins_after_the_live_is_heard(ingest: Ingest) -> None:
    film = await ingest.publish(encoding=Encoding(sound_after_s=1.5))
    await wait_until(lambda: bool(ingest.stage.sfu.get_codecs("r")), timeout_s=60)
    viewer, _session = await ingest.stage.watch(("H264", "opus"))
    await see_enough(viewer)
    await film.stop()
    assert abs(find_pitch(list_rtp(viewer, "audio")) - 440) < 2


@pytest.mark.parametrize("encoding", [HEVC, AV1], ids=["hevc", "av1"])
async def test_a_viewer_that_speaks_the_codec_gets_pictures_that_decode(
    ingest: Ingest, encoding: Encoding
) -> None:
    name, decoder, join = {
        HEVC: ("H265", "hevc", join_hevc),
        AV1: ("AV1", "libdav1d", join_av1),
    }[encoding]
    film = await ingest.publish(encoding=encoding)
    await wait_until(lambda: bool(ingest.stage.sfu.get_codecs("r")), timeout_s=60)
    assert ingest.stage.sfu.get_codecs("r")["video"].name == name
    with pytest.raises(NoSupportedCodec):
        ingest.stage.sfu.watch("r", RtcPeer(("H264", "opus")).offer)
    viewer, _session = await ingest.stage.watch((name, "opus"))
    await see_enough(viewer)
    await film.stop()
    packets = list_rtp(viewer, "video")
    last = packets[-1].timestamp  # perhaps not all of it has come
    by_time = itertools.groupby(packets, key=lambda packet: packet.timestamp)
    units = [join([it.payload for it in found]) for at, found in by_time if at != last]
    context = av.CodecContext.create(decoder, "r")
    shown = [frame for unit in [*units, None] for frame in decode(context, unit)]
    assert len(units) > 40
    assert len(shown) == len(units)
    assert {(frame.width, frame.height) for frame in shown} == {(320, 180)}
    assert abs(find_pitch(list_rtp(viewer, "audio")) - 440) < 2


def decode(context: av.CodecContext, unit: bytes | None) -> list[av.VideoFrame]:
    """Decode what one timestamp's packets carried; None: what the decoder still holds."""
    return context.decode(None if unit is None else av.Packet(unit))


async def test_b_frames_are_refused_to_webrtc_viewers_from_the_first_moment(ingest: Ingest) -> None:
    film = await ingest.publish(b_frames=2)
    with pytest.raises((RoomNotLive, PicturesOutOfOrder)):
        ingest.stage.sfu.watch("r", RtcPeer(("H264",)).offer)
    await wait_until(lambda: bool(ingest.stage.sfu.get_codecs("r")), timeout_s=60)
    for _look in range(10):
        with pytest.raises(PicturesOutOfOrder):
            ingest.stage.sfu.watch("r", RtcPeer(("H264",)).offer)
        await asyncio.sleep(0.05)
    await film.stop()
    assert ingest.stage.log.events[0][0] == "publisher_connected"


async def test_a_browser_takes_over_from_rtmp_and_back(ingest: Ingest) -> None:
    await ingest.publish()
    await wait_until(lambda: bool(ingest.stage.sfu.get_codecs("r")), timeout_s=60)
    publisher, _session = await ingest.stage.publish(("H264", "opus"))
    await wait_until(lambda: ingest.stage.log.list_ends("publisher_lost") == ["replaced"])
    sent = ingest.stage.sfu.stats().rooms[0].packets_in
    await asyncio.sleep(0.3)
    assert ingest.stage.sfu.stats().rooms[0].packets_in == sent  # RTMP is not heard any more
    await ingest.publish()
    await wait_until(
        lambda: ingest.stage.log.list_ends("publisher_lost")[:2] == ["replaced", "replaced"],
        timeout_s=60,
    )
    await wait_until(lambda: publisher.dtls.is_closed)
