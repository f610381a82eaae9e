"""Publishers that wait for a word before they begin: nobody sees them, and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest

from media.sfu.session import HELD_MAX
from tests.media.sfu.packets import VP8_KEY, make_rtp
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.stage import Stage, start_stage, wait_until

pytestmark = pytest.mark.media


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    lent = await start_stage()
    yield lent
    await lent.close()


async def hold(stage: Stage) -> tuple[RtcPeer, str]:
    """Connect a publisher that is held, and have it send a picture."""
    peer = RtcPeer(("VP8", "opus"), "sendonly")
    stage.peers.append(peer)
    answer = stage.sfu.publish("r", peer.offer, is_held=True)
    await peer.connect(answer.sdp)
    await wait_until(lambda: ("publisher_ready", "r", answer.session_id) in stage.log.events)
    peer.send_rtp(make_rtp(1, 0, VP8_KEY + b"held", ssrc=70))
    held = stage.sfu._sessions[answer.session_id].held
    await wait_until(lambda: bool(held))
    return peer, answer.session_id


async def test_a_held_publisher_begins_with_what_it_sent_meanwhile(stage: Stage) -> None:
    before, _ = await stage.publish()
    viewer, _ = await stage.watch()
    _, session_id = await hold(stage)
    before.send_rtp(make_rtp(1, 0, VP8_KEY + b"before"))
    await wait_until(lambda: any(packet.endswith(b"before") for packet in viewer.rtp))
    stage.sfu.begin_publisher(session_id)
    await wait_until(lambda: any(packet.endswith(b"held") for packet in viewer.rtp))
    assert stage.log.list_ends("publisher_lost") == ["replaced"]
    assert ("publisher_connected", "r", session_id) in stage.log.events


async def test_a_held_publisher_that_is_ended_was_never_seen(stage: Stage) -> None:
    before, _ = await stage.publish()
    viewer, _ = await stage.watch()
    peer, session_id = await hold(stage)
    assert stage.sfu.close_session(session_id)
    stage.sfu.begin_publisher(session_id)
    await wait_until(lambda: peer.dtls.is_closed)
    before.send_rtp(make_rtp(1, 0, VP8_KEY + b"before"))
    await wait_until(lambda: any(packet.endswith(b"before") for packet in viewer.rtp))
    assert not any(packet.endswith(b"held") for packet in viewer.rtp)
    assert ("publisher_connected", "r", session_id) not in stage.log.events


async def test_what_a_held_publisher_sends_has_a_limit(stage: Stage) -> None:
    _, session_id = await hold(stage)
    session = stage.sfu._sessions[session_id]
    taken: list[int] = []
    for number in range(2 * HELD_MAX):
        session.hold(partial(taken.append, number))
    stage.sfu.begin_publisher(session_id)
    assert taken == list(range(HELD_MAX - 1))
