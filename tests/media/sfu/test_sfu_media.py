"""The whole plane on loopback: real handshakes, real encoded pictures, decrypted and compared."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiortc.rtp import RtcpPsfbPacket

from media.sfu.errors import NoSupportedCodec, OfferMalformed, RoomFull, RoomNotLive, SfuFull
from media.sfu.keyframes import is_keyframe_start
from media.sfu.rtcp import build_nack, parse_rtcp
from media.sfu.rtp import RtpFields, parse_rtp
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.peer import CODECS, RtcPeer
from tests.media.sfu.stage import LOOPBACK, FrameSource, Stage, digest, start_stage, wait_until

pytestmark = pytest.mark.media


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = await start_stage()
    yield stage
    await stage.close()


@pytest.fixture
async def small_stage() -> AsyncIterator[Stage]:
    options = replace(LOOPBACK, rooms_max=2, sessions_max=4, viewers_per_room_max=2)
    stage = await start_stage(options)
    yield stage
    await stage.close()


def list_packets(peer: RtcPeer, kind: str) -> list[RtpFields]:
    """Return what a viewer decrypted of one kind."""
    parsed = [parse_rtp(packet) for packet in peer.rtp]
    return [f for f in parsed if f is not None and f.ssrc == peer.ssrcs[kind]]


def list_hashes(peer: RtcPeer, kind: str) -> list[bytes]:
    return [digest(fields.payload) for fields in list_packets(peer, kind)]


def list_taken(stage: Stage) -> list[bytes]:
    """Return the hashes of what the plane took from publishers."""
    return [fact.payload_sha256 for fact in stage.facts if fact.direction == "in"]


def are_consecutive(packets: list[RtpFields]) -> bool:
    seqs = [fields.seq for fields in packets]
    return all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(seqs))


async def send(
    peer: RtcPeer, source: FrameSource, frames: int, *, key_every: int = 0
) -> dict[str, list[bytes]]:
    """Send frames at about five times the real pace, with sound between them.

    Returns the hashes of what was sent, by kind.
    """
    sent: dict[str, list[bytes]] = {"audio": [], "video": []}
    for number in range(frames):
        is_keyframe = number == 0 or bool(key_every and number % key_every == 0)
        for packet in source.make_frame(is_keyframe=is_keyframe):
            peer.send_rtp(packet)
            sent["video"].append(digest(packet[12:]))
        sound = b"opus %d" % number
        peer.send_rtp(make_rtp(number, number * 960, sound, ssrc=5, marker_and_type=111))
        sent["audio"].append(digest(sound))
        await asyncio.sleep(0.005)
    return sent


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_two_viewers_decrypt_every_payload_once_in_order(stage: Stage, codec: str) -> None:
    publisher, _ = await stage.publish((codec, "opus"))
    source = FrameSource(codec)
    viewers = [(await stage.watch((codec, "opus")))[0] for _ in range(2)]
    sent = await send(publisher, source, 120, key_every=30)
    for viewer in viewers:
        for kind in ("audio", "video"):
            await wait_until(lambda v=viewer, k=kind: len(list_hashes(v, k)) >= len(sent[k]))
            assert list_hashes(viewer, kind) == sent[kind]
            assert are_consecutive(list_packets(viewer, kind))
        assert viewer.undecryptable == 0
    first = list_packets(viewers[0], "video")[0]
    assert is_keyframe_start(codec, first.payload)
    assert first.payload_type == CODECS[codec][0]
    (room,) = stage.sfu.stats().rooms
    assert (room.packets_lost, room.viewers_connected) == (0, 2)


async def test_a_late_joiner_gets_the_keyframe_first_and_misses_nothing_after(
    stage: Stage,
) -> None:
    publisher, _ = await stage.publish()
    source = FrameSource("VP8")
    early, _ = await stage.watch()
    await send(publisher, source, 40)
    late, _ = await stage.watch()
    sent = (await send(publisher, source, 20))["video"]
    for viewer in (early, late):
        await wait_until(lambda v=viewer: list_hashes(v, "video")[-1:] == sent[-1:])
    found = list_packets(late, "video")
    assert is_keyframe_start("VP8", found[0].payload)
    assert are_consecutive(found)
    assert list_hashes(late, "video") == list_hashes(early, "video")[-len(found) :]


async def test_a_joiner_between_rare_keyframes_makes_the_publisher_be_asked(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    source = FrameSource("VP8")
    await send(publisher, source, 1)
    filler = [make_rtp(65_100 + n, 5 * 90_000, b"\x10\x01x", ssrc=0x1000) for n in range(400)]
    for packet in filler:
        publisher.send_rtp(packet)
    await wait_until(lambda: len(list_taken(stage)) > len(filler))
    publisher.rtcp.clear()
    viewer, _ = await stage.watch(("VP8",))
    await wait_until(lambda: any(f.keyframe_ssrcs for f in map(parse_rtcp, publisher.rtcp) if f))
    assert viewer.rtp == []


async def test_packets_lost_on_the_way_are_repeated_as_they_were(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    viewer, _ = await stage.watch(("VP8",))
    lost: list[bytes] = []

    def lose(datagram: bytes) -> bool:
        is_unlucky = datagram[1] & 0x7F == 96 and len(viewer.raw) % 7 == 3 and datagram not in lost
        if is_unlucky and len(lost) < 10:
            lost.append(datagram)
            return True
        return False

    viewer.is_lost = lose
    await send(publisher, FrameSource("VP8"), 60)
    await wait_until(lambda: len(list_hashes(viewer, "video")) + len(lost) >= 60)
    assert len(lost) == 10
    seqs = sorted(int.from_bytes(datagram[2:4], "big") for datagram in lost)
    viewer.send_rtcp(build_nack(viewer.ssrcs["video"], seqs))
    await wait_until(lambda: set(lost) <= set(viewer.raw))
    assert viewer.undecryptable == 0
    assert set(list_hashes(viewer, "video")) == set(list_taken(stage))


async def test_what_the_publisher_lost_is_asked_of_it_again(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    packets = [packet for _ in range(3) for packet in FrameSource("VP8").make_frame()]
    for seq in (10, 11, 14):
        packet = packets[0][:2] + seq.to_bytes(2, "big") + packets[0][4:]
        publisher.send_rtp(packet)
    await wait_until(lambda: any(f.nacks for f in map(parse_rtcp, publisher.rtcp) if f))
    nacked = [seqs for f in map(parse_rtcp, publisher.rtcp) if f for _, seqs in f.nacks]
    assert nacked[0] == [12, 13]


async def test_reports_tell_the_publisher_its_round_trip_and_allowed_rate(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    await send(publisher, FrameSource("VP8"), 3)
    await wait_until(lambda: any(f.losses for f in map(parse_rtcp, publisher.rtcp) if f))
    assert any(b"REMB" in packet for packet in publisher.rtcp)


async def test_losing_the_publisher_is_announced_and_viewers_stay_for_the_grace(
    stage: Stage,
) -> None:
    publisher, session = await stage.publish()
    viewer, watching = await stage.watch()
    publisher.close()
    await wait_until(lambda: stage.log.list_ends("publisher_lost") == ["left"])
    assert ("publisher_lost", "r", session.session_id, "left") in stage.log.events
    with pytest.raises(RoomNotLive):
        stage.sfu.watch("r", RtcPeer().offer)
    stage.clock.advance(14.0)
    viewer.check()
    await asyncio.sleep(0.2)
    assert stage.is_connected(watching.session_id)
    stage.clock.advance(14.0)
    viewer.check()
    await asyncio.sleep(0.2)
    stage.clock.advance(3.0)
    await wait_until(lambda: stage.log.list_ends("viewer_left") == ["publisher_gone"])
    await wait_until(lambda: viewer.dtls.is_closed)
    assert stage.sfu.stats().rooms == ()


async def test_a_publisher_back_within_the_grace_continues_the_same_tracks(stage: Stage) -> None:
    publisher, _ = await stage.publish()
    viewer, _ = await stage.watch()
    await send(publisher, FrameSource("VP8"), 10)
    publisher.close(politely=False)
    again, _ = await stage.publish()
    await wait_until(lambda: stage.log.list_ends("publisher_lost") == ["replaced"])
    before = len(list_packets(viewer, "video"))
    await send(again, FrameSource("VP8", ssrc=0x2000), 10)
    await wait_until(lambda: len(list_packets(viewer, "video")) >= before + 10)
    found = list_packets(viewer, "video")
    assert are_consecutive(found)
    assert is_keyframe_start("VP8", found[before].payload)
    later = [(f.timestamp - found[before - 1].timestamp) & 0xFFFFFFFF for f in found[before:]]
    assert all(0 < step < 90_000 * 10 for step in later)
    assert viewer.undecryptable == 0
    assert stage.log.list_ends("viewer_left") == []


async def test_a_publisher_who_never_connects_leaves_the_present_one_alone(stage: Stage) -> None:
    publisher, first = await stage.publish()
    stage.sfu.publish("r", RtcPeer(("VP8", "opus"), "sendonly").offer)
    third = stage.sfu.publish("r", RtcPeer(("VP8", "opus"), "sendonly").offer)
    assert len(stage.sfu.list_sessions()) == 2
    publisher.check()
    stage.clock.advance(14.0)
    publisher.check()
    await asyncio.sleep(0.2)
    stage.clock.advance(2.0)
    await wait_until(lambda: len(stage.sfu.list_sessions()) == 1)
    assert stage.is_connected(first.session_id)
    assert not stage.sfu.close_session(third.session_id)
    assert stage.log.list_ends("publisher_lost") == []


async def test_viewers_of_another_codec_are_told_to_come_again(stage: Stage) -> None:
    await stage.publish(("VP8",))
    viewer, _ = await stage.watch(("VP8",))
    await stage.publish(("H264",))
    await wait_until(lambda: stage.log.list_ends("viewer_left") == ["codec_changed"])
    await wait_until(lambda: viewer.dtls.is_closed)
    with pytest.raises(NoSupportedCodec):
        stage.sfu.watch("r", RtcPeer(("VP8",)).offer)
    await stage.watch(("H264",))


async def test_silence_ends_a_session_and_signs_of_life_keep_it(stage: Stage) -> None:
    await stage.publish()
    silent, quiet = await stage.watch()
    _, alive = await stage.watch()
    silent.stop_consent()
    await asyncio.sleep(0.1)
    stage.clock.advance(8.0)
    for peer in stage.peers:
        if peer is not silent:
            peer.check()
    await asyncio.sleep(0.1)
    stage.clock.advance(8.0)
    await wait_until(lambda: stage.log.list_ends("viewer_left") == ["timeout"])
    assert not stage.is_connected(quiet.session_id)
    assert stage.is_connected(alive.session_id)


async def test_a_publisher_who_vanishes_is_announced_as_lost(stage: Stage) -> None:
    publisher, _ = await stage.publish()
    publisher.close(politely=False)
    await asyncio.sleep(0.1)
    stage.clock.advance(15.1)
    await wait_until(lambda: stage.log.list_ends("publisher_lost") == ["timeout"])


async def test_closing_by_id_says_goodbye_once(stage: Stage) -> None:
    publisher, session = await stage.publish()
    assert stage.is_connected(session.session_id)
    assert stage.sfu.close_session(session.session_id)
    assert stage.sfu.list_sessions() == ()
    assert not stage.sfu.close_session(session.session_id)
    assert not stage.sfu.close_session("guess")
    await wait_until(lambda: publisher.dtls.is_closed)
    assert stage.log.list_ends("publisher_lost") == ["closed"]


async def test_a_peer_with_another_certificate_never_connects(stage: Stage) -> None:
    peer = RtcPeer(("VP8",), "sendonly")
    stage.peers.append(peer)
    fake = peer.offer.replace(peer.dtls.fingerprint, ":".join(["00"] * 32))
    answer = stage.sfu.publish("r", fake)
    await peer.connect(answer.sdp)  # The client alone believes it succeeded.
    await wait_until(lambda: stage.sfu.stats().handshakes_failed == 1)
    assert stage.sfu.list_sessions() == ()
    assert stage.log.events == []


async def test_datagrams_of_strangers_are_counted_and_forgotten(stage: Stage) -> None:
    await stage.publish()
    stranger = RtcPeer()
    stage.peers.append(stranger)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: stranger, remote_addr=("127.0.0.1", stage.sfu.port))
    before = stage.sfu.stats().datagrams_refused
    junk = [b"\x00\x01\x00\x00" + bytes(16), b"\x16\xfe\xfd" + bytes(30), b"\x80\x60" + bytes(30)]
    for datagram in [*junk, b"\x40", b"\xff" * 2000, b"GET / HTTP/1.1"]:
        stranger.send_raw(datagram)
    await wait_until(lambda: stage.sfu.stats().datagrams_refused == before + 6)


async def test_a_publisher_that_waits_for_our_handshake_connects(stage: Stage) -> None:
    publisher = RtcPeer(("VP8",), "sendonly", waits=True)
    stage.peers.append(publisher)
    answer = stage.sfu.publish("r", publisher.offer)
    await publisher.connect(answer.sdp)
    await wait_until(lambda: stage.is_connected(answer.session_id))
    viewer, _ = await stage.watch(("VP8",))
    await send(publisher, FrameSource("VP8"), 5)
    await wait_until(lambda: len(list_hashes(viewer, "video")) >= 5)
    assert any(fact is not None for fact in map(parse_rtcp, publisher.rtcp))


async def test_handshakes_beyond_a_sources_rate_wait_their_turn() -> None:
    stage = await start_stage(replace(LOOPBACK, handshakes_per_source_per_s=0.25))
    await stage.publish(("VP8",))
    eager = RtcPeer(("VP8",))
    stage.peers.append(eager)
    answer = stage.sfu.watch("r", eager.offer)
    connecting = asyncio.create_task(eager.connect(answer.sdp))
    await wait_until(lambda: stage.sfu.stats().datagrams_refused >= 1)
    assert not stage.is_connected(answer.session_id)
    stage.clock.advance(4.0)
    await connecting
    await wait_until(lambda: stage.is_connected(answer.session_id))
    await stage.close()


async def test_tampered_media_from_a_known_address_goes_nowhere(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    publisher.send_raw(make_rtp(1, 1, b"\x10\x00key" + bytes(40)))
    publisher.send_raw(b"\x80\xc8\x00\x06" + bytes(60))
    valid = FrameSource("VP8").make_frame(is_keyframe=True)
    for packet in valid:
        publisher.send_rtp(packet)
    await wait_until(lambda: len(list_taken(stage)) >= len(valid))
    assert list_taken(stage) == [digest(packet[12:]) for packet in valid], "these alone"


async def test_ipv6_and_ipv4_meet_on_the_one_port() -> None:
    try:
        options = replace(LOOPBACK, bind_host="", candidate_ips=("::1", "127.0.0.1"))
        stage = await start_stage(options)
    except OSError:
        pytest.skip("this machine has no IPv6")
    publisher, viewer = RtcPeer(("VP8",), "sendonly"), RtcPeer(("VP8",))
    stage.peers += [publisher, viewer]
    offered = stage.sfu.publish("r", publisher.offer)
    await publisher.connect(offered.sdp.replace(" ::1 ", " 127.0.0.1 "))
    await wait_until(lambda: stage.is_connected(offered.session_id))
    answer = stage.sfu.watch("r", viewer.offer)
    assert f" ::1 {stage.sfu.port} typ host" in answer.sdp
    await viewer.connect(answer.sdp)
    await wait_until(lambda: stage.is_connected(answer.session_id))
    assert viewer.credentials.address[0] == "::1"
    assert publisher.credentials.address[0] == "127.0.0.1"
    await send(publisher, FrameSource("VP8"), 10)
    await wait_until(lambda: len(viewer.rtp) >= 10)
    publisher.rtcp.clear()
    viewer.send_rtcp(bytes(RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=viewer.ssrcs["video"])))
    await wait_until(
        lambda: any(f.keyframe_ssrcs == [0x1000] for f in map(parse_rtcp, publisher.rtcp) if f)
    )
    assert viewer.undecryptable == 0
    await stage.close()


async def test_limits_are_kept(small_stage: Stage) -> None:
    stage = small_stage
    with pytest.raises(RoomNotLive) as refusal:
        stage.sfu.watch("r", RtcPeer().offer)
    assert refusal.value.status == 409
    with pytest.raises(OfferMalformed):
        stage.sfu.publish("r", "nonsense")
    assert stage.sfu.stats().rooms == ()
    stage.sfu.publish("r", RtcPeer(("VP8",), "sendonly").offer)
    stage.sfu.watch("r", RtcPeer(("VP8",)).offer)
    stage.sfu.watch("r", RtcPeer(("VP8",)).offer)
    with pytest.raises(RoomFull) as full:
        stage.sfu.watch("r", RtcPeer(("VP8",)).offer)
    assert (full.value.status, full.value.retry_after_s) == (503, 5)
    stage.sfu.publish("s", RtcPeer(("VP8",), "sendonly").offer)
    with pytest.raises(SfuFull) as busy:
        stage.sfu.publish("t", RtcPeer(("VP8",), "sendonly").offer)
    assert (busy.value.status, busy.value.retry_after_s) == (503, 5)
    with pytest.raises(SfuFull):
        stage.sfu.watch("s", RtcPeer(("VP8",)).offer)


async def test_a_viewers_wish_for_a_keyframe_reaches_the_publisher(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    await send(publisher, FrameSource("VP8"), 2)
    viewer, _ = await stage.watch(("VP8",))
    publisher.rtcp.clear()
    pli = RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=viewer.ssrcs["video"])
    viewer.send_rtcp(bytes(pli))
    await wait_until(
        lambda: any(f.keyframe_ssrcs == [0x1000] for f in map(parse_rtcp, publisher.rtcp) if f)
    )


async def test_closing_ends_everybody(stage: Stage) -> None:
    publisher, _ = await stage.publish()
    viewer, _ = await stage.watch()
    await stage.sfu.close()
    await wait_until(lambda: publisher.dtls.is_closed and viewer.dtls.is_closed)
    assert stage.log.list_ends("publisher_lost") == ["shutdown"]
    assert stage.log.list_ends("viewer_left") == ["shutdown"]
    with pytest.raises(SfuFull):
        stage.sfu.publish("r", RtcPeer(("VP8",), "sendonly").offer)
    await stage.sfu.close()
