"""Where a peer is sent to: where it has proven to be, whatever is claimed in its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from media.sfu.path_proof import PROOF_LIFE_S, RENEW_S
from tests.media.sfu.packets import VP8_DELTA, VP8_KEY, make_rtp
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.stage import LOOPBACK, Stage, start_stage, wait_until

pytestmark = pytest.mark.media

PACKETS = 50


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    lent = await start_stage()
    yield lent
    await lent.close()


@pytest.fixture
async def patient() -> AsyncIterator[Stage]:
    """Lend a plane that gives nobody up for being silent."""
    lent = await start_stage(replace(LOOPBACK, idle_timeout_s=3600.0))
    yield lent
    await lent.close()


class Elsewhere(RtcPeer):
    """A socket that a peer says it is at; it answers nothing, and keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("VP8",))
        self.taken: list[bytes] = []
        self.answers_checks = False

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep one datagram."""
        self.taken.append(data)
        super().datagram_received(data, addr)


async def forge(stage: Stage, peer: RtcPeer) -> Elsewhere:
    """Open a socket that checks in the name of a peer."""
    mark = Elsewhere()
    stage.peers.append(mark)
    mark.credentials, mark._out = peer.credentials, peer._out
    await mark.open_transport()
    return mark


class HastyPeer(RtcPeer):
    """A viewer that says it is elsewhere before it answers our flight."""

    def __init__(self) -> None:
        super().__init__(("VP8",))
        self.say_elsewhere: Callable[[], None] = lambda: None

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take one datagram."""
        if 20 <= data[0] < 64:
            self.say_elsewhere()
        super().datagram_received(data, addr)


async def send_until_seen(publisher: RtcPeer, viewer: RtcPeer, word: bytes) -> None:
    """Send packets, and wait for the last of them at the viewer."""
    for number in range(PACKETS):
        start = VP8_KEY if number == 0 else VP8_DELTA
        publisher.send_rtp(make_rtp(len(word) * 1000 + number, 0, start + word + b"%d" % number))
    last = word + b"%d" % (PACKETS - 1)
    await wait_until(lambda: any(packet.endswith(last) for packet in viewer.rtp))


async def test_a_forged_check_moves_nothing_and_draws_no_more_than_it_sent_twice(
    stage: Stage,
) -> None:
    publisher, _ = await stage.publish(("VP8",))
    viewer, _ = await stage.watch(("VP8",))
    for peer in (viewer, publisher):
        mark = await forge(stage, peer)
        mark.check()
        await wait_until(lambda m=mark: len(m.taken) >= 2)
        publisher.rtcp.clear()
        await send_until_seen(publisher, viewer, b"a" if peer is viewer else b"bc")
        await wait_until(lambda: bool(publisher.rtcp))
        answer, question = mark.taken
        check_bytes = 20 + 24 + 8 + 12 + 4 + 24 + 8
        assert len(answer) + len(question) <= 2 * check_bytes
        assert mark.checks == [question]


async def test_who_really_moves_is_followed(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    viewer, _ = await stage.watch(("VP8",))
    await send_until_seen(publisher, viewer, b"a")
    for peer, word in ((viewer, b"bc"), (publisher, b"def")):
        await peer.move()
        peer.check()
        await wait_until(lambda p=peer: bool(p.checks))
        publisher.rtcp.clear()
        await send_until_seen(publisher, viewer, word)
        await wait_until(lambda: bool(publisher.rtcp))
    assert viewer.undecryptable == 0
    assert stage.log.list_ends("viewer_left") == stage.log.list_ends("publisher_lost") == []


async def test_nothing_from_elsewhere_is_consent(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    viewer, _ = await stage.watch(("VP8",))
    marks = [await forge(stage, peer) for peer in (publisher, viewer)]
    for peer in (publisher, viewer):
        peer.stop_consent()
    for number in range(2):
        for mark in marks:
            mark.check()
        await wait_until(lambda: all(mark.checks for mark in marks))
        marks[0].send_rtp(make_rtp(number, 0, VP8_KEY + b"%d" % number))
        end = b"%d" % number
        await wait_until(lambda e=end: any(packet.endswith(e) for packet in viewer.rtp))
        stage.clock.advance(8.0)
    await wait_until(lambda: stage.log.list_ends("publisher_lost") == ["timeout"])
    await wait_until(lambda: stage.log.list_ends("viewer_left") == ["timeout"])


async def test_a_viewer_that_left_its_address_but_signs_for_it_is_sent_nothing_more(
    patient: Stage,
) -> None:
    stage = patient
    publisher, _ = await stage.publish(("VP8",))
    viewer, _ = await stage.watch(("VP8",))
    gone, _ = await stage.watch(("VP8",))
    gone.answers_checks = False  # its checks go on, as if forged
    stage.clock.advance(RENEW_S)
    await wait_until(lambda: bool(viewer.checks and gone.checks))
    await send_until_seen(publisher, viewer, b"a")  # the viewer's answer came before that
    assert stage.log.list_ends("viewer_left") == []
    stage.clock.advance(PROOF_LIFE_S - RENEW_S)
    await wait_until(lambda: stage.log.list_ends("viewer_left") == ["timeout"])
    await send_until_seen(publisher, viewer, b"bc")
    assert stage.log.list_ends("viewer_left") == ["timeout"]
    assert any(packet.endswith(b"a49") for packet in gone.rtp)
    assert not any(packet.endswith(b"bc49") for packet in gone.rtp)
    assert publisher.checks == [], "who sends is not asked"


async def test_a_handshake_proves_the_place_that_got_its_flights(stage: Stage) -> None:
    publisher, _ = await stage.publish(("VP8",))
    viewer = HastyPeer()
    stage.peers.append(viewer)
    answer = stage.sfu.watch("r", viewer.offer)
    viewer.apply_answer(answer.sdp)
    mark = await forge(stage, viewer)
    viewer.say_elsewhere = mark.check
    await viewer.connect(answer.sdp)
    await wait_until(lambda: len(mark.taken) >= 2)
    await send_until_seen(publisher, viewer, b"a")
    assert all(datagram[0] < 4 for datagram in mark.taken)
