"""H.265 and AV1 from one peer to others: what arrives decodes, for who comes late, too."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import av
import pytest

from media.live.samples import VideoCodec, VideoSample
from media.rtmp.rtp import TrackWriter, list_payloads
from media.sfu.rtp import parse_rtp
from tests.media.live.ladder_stage import Film
from tests.media.rtmp.depacketizers import join_av1, join_hevc
from tests.media.sfu.peer import CODECS, RtcPeer
from tests.media.sfu.stage import Stage, start_stage, wait_until

pytestmark = pytest.mark.media

NAMES = {"H265": ("hevc", "hevc", join_hevc), "AV1": ("av1", "libdav1d", join_av1)}
PICTURES = 90


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = await start_stage()
    yield stage
    await stage.close()


def shoot(codec: VideoCodec) -> list[VideoSample]:
    """Return pictures without any out of order, a keyframe each second."""
    _form, samples = Film(codec=codec, key_every=30).encode(PICTURES)
    return samples


def list_units(viewer: RtcPeer, name: str) -> list[bytes]:
    """Return the pictures that a viewer decrypted, in order."""
    fields = [f for packet in viewer.rtp if (f := parse_rtp(packet))]
    join = NAMES[name][2]
    return [
        join([f.payload for f in group])
        for _time, group in itertools.groupby(fields, key=lambda f: f.timestamp)
    ]


def decode(viewer: RtcPeer, name: str) -> list[av.VideoFrame]:
    context = av.CodecContext.create(NAMES[name][1], "r")
    packets = [av.Packet(unit) for unit in list_units(viewer, name)]
    return [frame for packet in [*packets, None] for frame in context.decode(packet)]


@pytest.mark.parametrize("name", ["H265", "AV1"])
async def test_every_picture_decodes_for_the_first_viewer_and_for_a_late_one(
    stage: Stage, name: str
) -> None:
    publisher, _answer = await stage.publish((name, "opus"))
    early, _answer = await stage.watch((name, "opus"))
    writer = TrackWriter(CODECS[name][0], 0x1000)
    viewers = [early]
    for number, sample in enumerate(shoot(NAMES[name][0])):
        for packet in writer.write(list_payloads(sample), sample.pts_ticks):
            publisher.send_rtp(packet)
        await asyncio.sleep(0.005)
        if number == 45:
            viewers.append((await stage.watch((name, "opus")))[0])
    for viewer, pictures in zip(viewers, (PICTURES, PICTURES - 30), strict=True):
        await wait_until(lambda v=viewer, n=pictures: len(list_units(v, name)) >= n)
        frames = decode(viewer, name)
        assert len(frames) == pictures
        assert frames[0].key_frame
        assert {(frame.width, frame.height) for frame in frames} == {(640, 360)}
