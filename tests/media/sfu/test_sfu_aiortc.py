"""A full WebRTC stack in Python publishes and decodes through the forwarding plane."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from fractions import Fraction

import aioice.ice
import av
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.rtp import RTCP_PSFB_APP, AnyRtcpPacket, RtcpPsfbPacket, unpack_remb_fci

from media.sfu.egress_probe import BACKENDS, is_working
from media.sfu.ice import STALE_PATH_S
from tests.media.sfu.impaired_link import HERE, PERFECT, Conditions, ImpairedLink
from tests.media.sfu.stage import (
    LOOPBACK,
    Stage,
    iterate_pictures,
    renew_proofs,
    start_stage,
    wait_until,
)

pytestmark = pytest.mark.media

WRAP = 1 << 16
BEFORE_WRAP = WRAP - 30
BAD = Conditions(loss=0.05, delay_s=0.005)
LOSSY = Conditions(loss=0.2)
PICTURES = 90


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


@pytest.fixture(params=[name for name in BACKENDS if is_working(name)])
async def stage(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """Start a plane that sends in one of the ways that work here.

    aioice leaves loopback out of its candidates, so it is told to use it.
    """
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [HERE])
    stage = await start_stage(replace(LOOPBACK, egress=request.param))
    assert stage.sfu.stats().egress == request.param
    yield stage
    await stage.close()


def open_connection() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def connect(
    connection: RTCPeerConnection,
    stage: Stage,
    *,
    is_publisher: bool,
    link: ImpairedLink | None = None,
) -> None:
    """Offer, take the answer, and wait until media can flow, over the link if there is one."""
    await connection.setLocalDescription(await connection.createOffer())
    take = stage.sfu.publish if is_publisher else stage.sfu.watch
    answer = take("r", connection.localDescription.sdp)
    sdp = answer.sdp if link is None else link.redirect(answer.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
    await wait_until(lambda: stage.is_connected(answer.session_id))


def note_estimates(sender: RTCRtpSender) -> list[int]:
    """Return what a sender hears by REMB, as it comes; aiortc keeps that to itself."""
    heard: list[int] = []
    handle = sender._handle_rtcp_packet

    async def note(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            heard.append(unpack_remb_fci(packet.fci)[0])
        await handle(packet)

    sender._handle_rtcp_packet = note  # type: ignore[method-assign]
    return heard


def move_near_wrap(stage: Stage) -> int:
    """Let a room's video be a second before its sequence numbers begin anew; return that index."""
    track = stage.sfu._rooms["r"].tracks["video"]
    track.next_index += BEFORE_WRAP - track.next_index % WRAP
    return track.next_index + WRAP - BEFORE_WRAP


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
    await renew_proofs(stage.sfu)
    await publisher.close()
    await wait_until(lambda: stage.log.list_ends("publisher_lost") == ["left"])
    for viewer, _ in viewers:
        await viewer.close()
    await wait_until(lambda: stage.log.list_ends("viewer_left") == ["left", "left"])


async def test_a_viewer_who_loses_packets_decodes_on_while_sequence_numbers_begin_anew(
    stage: Stage,
) -> None:
    link = ImpairedLink((HERE, stage.sfu.port), seed=1)
    await link.start()
    publisher, viewer = open_connection(), open_connection()
    publisher.addTrack(TestPicture())
    await connect(publisher, stage, is_publisher=True)
    wrap = move_near_wrap(stage)
    transceiver = viewer.addTransceiver("video", direction="recvonly")
    await connect(viewer, stage, is_publisher=False, link=link)
    track = transceiver.receiver.track
    link.up.conditions = link.down.conditions = BAD
    async with asyncio.timeout(60):
        pictures = [await track.recv() for _ in range(PICTURES)]
    times = [picture.pts for picture in pictures]
    assert times == sorted(set(times))
    assert min(picture.to_ndarray(format="rgb24").std() for picture in pictures) > 40
    assert stage.sfu._rooms["r"].tracks["video"].next_index > wrap + PICTURES // 2
    (room,) = stage.sfu.stats().rooms
    print(f"{link.down.lost} lost on the way down, {room.retransmits} repeated")
    assert link.down.lost > 0
    assert room.retransmits > 0
    await publisher.close()
    await viewer.close()
    link.close()


@pytest.mark.parametrize("stage", ["sendto"], indirect=True)
async def test_a_viewer_whose_nat_rebinds_is_followed_and_decodes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    link = ImpairedLink((HERE, stage.sfu.port), seed=1)
    await link.start()
    publisher, viewer = open_connection(), open_connection()
    publisher.addTrack(TestPicture())
    await connect(publisher, stage, is_publisher=True)
    transceiver = viewer.addTransceiver("video", direction="recvonly")
    await connect(viewer, stage, is_publisher=False, link=link)
    track = transceiver.receiver.track
    async with asyncio.timeout(60):
        await track.recv()
        link.rebind()
        stage.clock.advance(STALE_PATH_S + 1)
        pictures = [await track.recv() for _ in range(PICTURES)]
    assert min(picture.to_ndarray(format="rgb24").std() for picture in pictures) > 40
    await publisher.close()
    await viewer.close()
    link.close()


@pytest.mark.parametrize("stage", ["sendto"], indirect=True)
async def test_a_publisher_hears_by_remb_what_its_link_carries(stage: Stage) -> None:
    link = ImpairedLink((HERE, stage.sfu.port), seed=1)
    await link.start()
    publisher = open_connection()
    heard = note_estimates(publisher.addTrack(TestPicture()))
    await connect(publisher, stage, is_publisher=True, link=link)
    most_bps = stage.sfu._options.publisher_bitrate_max_bps
    await wait_until(lambda: bool(heard))
    assert heard[0] == pytest.approx(most_bps, rel=0.01)
    link.up.conditions = LOSSY
    await wait_until(lambda: heard[-1] < most_bps / 2)
    fallen_bps = heard[-1]
    await wait_until(lambda: heard[-1] < 0.9 * fallen_bps)
    link.up.conditions = PERFECT
    await wait_until(lambda: heard[-1] > 1.1 * min(heard))
    print(f"heard {[round(bps / 1000) for bps in heard]} kbit/s")
    await publisher.close()
    link.close()
