"""Who is let no UDP out watches through coturn, with the credentials an edge hands out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import TurnTransport, create_turn_endpoint

from serve_apps.edge.ice_servers import CREDENTIALS_S, IceServers
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.stage import FrameSource, start_stage, wait_until
from tests.serve_apps.edge.coturn import HERE, run_coturn

pytestmark = pytest.mark.media

SECRET = "shared with the server"
PATIENCE_S = 60.0
UNAUTHORIZED = 401


class Relayed:
    """A TURN allocation as a transport to one address."""

    def __init__(self, transport: TurnTransport, address: tuple[str, int]) -> None:
        self._transport = transport
        self._address = address
        self._is_closed = False

    def sendto(self, datagram: bytes) -> None:
        """Send through the server."""
        self._transport.sendto(datagram, self._address)

    def is_closing(self) -> bool:
        """Tell whether nothing is sent any more."""
        return self._is_closed

    def close(self) -> None:
        """Give the allocation back."""
        self._is_closed = True
        self._transport.close()


class RelayedPeer(RtcPeer):
    """A peer that speaks with a TURN server and nothing else."""

    def __init__(self, port: int, way: str, name: str, credential: str) -> None:
        super().__init__(("VP8",))
        self._server = (HERE, port)
        self._way, self._name, self._credential = way, name, credential

    async def open_transport(self) -> None:
        """Allocate an address at the server."""
        await create_turn_endpoint(
            lambda: self, self._server, self._name, self._credential, transport=self._way
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send to the edge through the server from now on."""
        relayed = Relayed(cast(TurnTransport, transport), self.credentials.address)
        super().connection_made(cast(asyncio.BaseTransport, relayed))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Lend coturn's port."""
    with run_coturn(SECRET, tmp_path) as lent:
        yield lent


def make_peer(port: int, way: str, now: datetime) -> RelayedPeer:
    """Return a peer with the credentials that an edge hands out at this time."""
    url = f"turn:{HERE}:{port}?transport={way}"
    (link,) = IceServers([url], SECRET).list_links("viewer", now)
    found = re.search(r'username="([^"]*)"; credential="([^"]*)"', link)
    assert found is not None
    return RelayedPeer(port, way, found[1], found[2])


@pytest.mark.parametrize("way", ["tcp", "udp"])
async def test_a_viewer_behind_a_turn_server_gets_every_packet(port: int, way: str) -> None:
    stage = await start_stage()
    viewer = make_peer(port, way, datetime.now(UTC))
    publisher, _ = await stage.publish(("VP8",))
    stage.peers.append(viewer)
    answer = stage.sfu.watch("r", viewer.offer)
    await viewer.connect(answer.sdp, timeout_s=PATIENCE_S)
    await wait_until(lambda: stage.is_connected(answer.session_id), PATIENCE_S)
    frames = FrameSource("VP8")
    sent = 0
    for _ in range(10):
        for packet in frames.make_frame():
            publisher.send_rtp(packet)
            sent += 1
        await asyncio.sleep(0.01)
    await wait_until(lambda: len(viewer.rtp) >= sent, PATIENCE_S)
    assert (len(viewer.rtp), viewer.undecryptable) == (sent, 0)
    await stage.close()


async def test_credentials_that_ended_open_nothing(port: int) -> None:
    viewer = make_peer(port, "tcp", datetime.now(UTC) - timedelta(seconds=CREDENTIALS_S + 60))
    with pytest.raises(TransactionFailed) as refused:
        await viewer.open_transport()
    assert refused.value.response.attributes["ERROR-CODE"][0] == UNAUTHORIZED
