"""A full WebRTC stack in Python publishes and decodes through the forwarding plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction

import aioice.ice
import av
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)

from tests.media.sfu.stage import Stage, iterate_pictures, start_stage, wait_until

pytestmark = pytest.mark.media


class TestPicture(VideoStreamTrack):
    """FFmpeg's moving test picture at 30 frames a second."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self._pictures: Iterator[av.VideoFrame] = iterate_pictures()

    async def recv(self) -> av.VideoFrame:
        """Return the next picture when it is due."""
        picture = next(self._pictures)
        picture.pts, time_base = await self.next_timestamp()
        picture.time_base = Fraction(time_base)
        return picture


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """Start a plane; aioice leaves loopback out of its candidates, so it is told to use it."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
    stage = await start_stage()
    yield stage
    await stage.close()


def open_connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def connect(connection: RTCPeerConnection, stage: Stage, *, is_publisher: bool) -> None:
    await connection.setLocalDescription(await connection.createOffer())
    take = stage.sfu.publish if is_publisher else stage.sfu.watch
    answer = take("r", connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
    await wait_until(lambda: stage.is_connected(answer.session_id))


async def test_two_viewers_decode_the_publishers_pictures(stage: Stage) -> None:
    publisher = open_connection()
    publisher.addTrack(TestPicture())
    await connect(publisher, stage, is_publisher=True)
    viewers: list[tuple[RTCPeerConnection, MediaStreamTrack]] = []
    for _ in range(2):
        viewer = open_connection()
        transceiver = viewer.addTransceiver("video", direction="recvonly")
        await connect(viewer, stage, is_publisher=False)
        viewers.append((viewer, transceiver.receiver.track))
    for _, track in viewers:
        async with asyncio.timeout(60):
            pictures = [await track.recv() for _ in range(10)]
        times = [picture.pts for picture in pictures]
        assert times == sorted(set(times))
        assert (pictures[0].width, pictures[0].height) == (320, 180)
        middle = pictures[-1].to_ndarray(format="rgb24")
        assert middle.std() > 40, "the test picture is colourful, a broken one is flat"
    await publisher.close()
    await wait_until(lambda: stage.log.list_ends("publisher_lost") == ["left"])
    for viewer, _ in viewers:
        await viewer.close()
    await wait_until(lambda: stage.log.list_ends("viewer_left") == ["left", "left"])
