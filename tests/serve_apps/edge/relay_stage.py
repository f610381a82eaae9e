"""Edges of one site with real rooms behind them; peers publish and watch at any of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from kit.clock import SystemClock
from kit.settings import Settings
from media.sfu.rtcp import SenderReport, build_sender_report, parse_rtcp
from media.sfu.rtp import parse_rtp
from serve_apps.access.grants import TicketKind, TicketOrder, issue_ticket
from serve_apps.edge.server import EdgeServer
from storage.database import Database
from tests.actors.hosting.stage import write_settings
from tests.media.sfu.packets import VP8_DELTA, VP8_KEY, make_rtp
from tests.media.sfu.peer import RtcPeer, running
from tests.serve_apps.edge.edge_stage import use_free_ports
from tests.serve_apps.edge.live_publisher import sign_publisher
from tests.storage.live_rows import create_room_row, create_user_row

SDP = {"Content-Type": "application/sdp"}
DEADLINE_S = 60


@dataclass
class Publisher:
    """Sends pictures of one packet, each its own bytes, and remembers them."""

    peer: RtcPeer
    session_url: str
    name: bytes
    sent: list[bytes] = field(default_factory=list)

    def send(self, count: int = 1, *, is_key: bool = False) -> None:
        """Send pictures; the first is a keyframe when asked for."""
        for at in range(count):
            start = VP8_KEY if is_key and at == 0 else VP8_DELTA
            payload = start + self.name + len(self.sent).to_bytes(4, "big")
            number = len(self.sent)
            packet = make_rtp(number, 3000 * number, payload, marker_and_type=0x80 | 96)
            self.peer.send_rtp(packet)
            self.sent.append(payload)

    def send_sound(self, count: int) -> None:
        """Send frames of sound."""
        for number in range(count):
            payload = b"sound" + bytes([number])
            self.peer.send_rtp(make_rtp(number, 960 * number, payload, marker_and_type=111, ssrc=8))

    def send_report(self, ntp_timestamp: int) -> None:
        """Say what the clock showed at the pictures' timestamp 0."""
        report = SenderReport(7, ntp_timestamp, 0)
        self.peer.send_rtcp(build_sender_report(report, (1, 1), "camera"))

    async def run(self, period_s: float = 0.02) -> None:
        """Send until cancelled, a keyframe whenever one is wanted."""
        self.send(is_key=True)
        wanted = self.count_keyframe_wishes()
        while True:
            await asyncio.sleep(period_s)
            before, wanted = wanted, self.count_keyframe_wishes()
            self.send(is_key=wanted > before)

    def count_keyframe_wishes(self) -> int:
        """Return how many keyframes were asked for so far."""
        facts = [parse_rtcp(packet) for packet in self.peer.rtcp]
        return sum(bool(fact.keyframe_ssrcs) for fact in facts if fact is not None)


def sending(publisher: Publisher) -> AbstractAsyncContextManager[None]:
    """Let a publisher send within the block."""
    return running(publisher.run())


def read_video(viewer: RtcPeer, payload_type: int = 96) -> list[bytes]:
    """Return the payloads that a viewer got, in the order of their numbers, none twice."""
    found = {}
    for packet in viewer.rtp:
        fields = parse_rtp(packet)
        assert fields is not None
        if fields.payload_type == payload_type:
            found[fields.seq] = fields.payload
    return [found[seq] for seq in sorted(found)]


def read_sound(viewer: RtcPeer) -> list[bytes]:
    """Return the sound that a viewer got, likewise."""
    return read_video(viewer, 111)


def read_clocks(viewer: RtcPeer) -> set[int]:
    """Return the times of the publisher's clock that a viewer was told."""
    facts = [parse_rtcp(packet) for packet in viewer.rtcp]
    return {report.ntp_timestamp for fact in facts if fact for report in fact.sender_reports}


@dataclass
class Site:
    """What the edges of a site share."""

    settings: Settings
    database: Database
    http: aiohttp.ClientSession
    peers: list[RtcPeer] = field(default_factory=list)

    async def create_room(self, username: str) -> uuid.UUID:
        """Write somebody's live."""
        async with self.database.connection() as connection:
            return await create_room_row(connection, await create_user_row(connection, username))

    async def publish(self, url: str, room_id: uuid.UUID, name: bytes = b"") -> Publisher:
        """Connect a publisher at an edge."""
        peer = RtcPeer(direction="sendonly")
        location = await self._enter(peer, TicketKind.WHIP, f"{url}/whip", room_id)
        return Publisher(peer, location, name)

    async def watch(self, url: str, room_id: uuid.UUID) -> RtcPeer:
        """Connect a viewer at an edge; one that is refused for now asks again, as players do."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                peer = RtcPeer()
                with contextlib.suppress(NotNow):
                    await self._enter(peer, TicketKind.WHEP, f"{url}/whep/{room_id}", room_id)
                    return peer
                await asyncio.sleep(0.1)

    async def ask(self, url: str, room_id: uuid.UUID) -> int:
        """Return the status that a viewer's offer is answered with."""
        peer, kind = RtcPeer(), TicketKind.WHEP
        address = f"{url}/whep/{room_id}?ticket={self.sign(kind, url, room_id)}"
        async with self.http.post(address, data=peer.offer, headers=SDP) as answer:
            return answer.status

    async def leave(self, publisher: Publisher) -> None:
        """Say goodbye."""
        async with self.http.delete(publisher.session_url) as answer:
            assert answer.status == 200

    async def read_relay_metrics(self, url: str) -> dict[str, float]:
        """Return what an edge counted of relays, by name and label as in the text."""
        async with self.http.get(f"{url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("socialflow_relay")]
        return {name.removeprefix("socialflow_"): float(value) for name, value in pairs}

    def sign(self, kind: TicketKind, url: str, room_id: uuid.UUID) -> str:
        """Return a ticket for an address of an edge, as the API hands them out."""
        base = url.split("/wh")[0]
        if kind is TicketKind.WHIP:
            return sign_publisher(self.settings, base, room_id)
        order = TicketOrder(kind, room_id, base)
        return issue_ticket(self.settings.auth, order, SystemClock().now())

    async def _enter(self, peer: RtcPeer, kind: TicketKind, url: str, room_id: uuid.UUID) -> str:
        self.peers.append(peer)
        address = f"{url}?ticket={self.sign(kind, url, room_id)}"
        async with self.http.post(address, data=peer.offer, headers=SDP) as answer:
            if answer.status in (409, 503):
                raise NotNow
            assert answer.status == 201, await answer.text()
            await peer.connect(await answer.text(), timeout_s=DEADLINE_S)
            return answer.headers["Location"]


class NotNow(Exception):
    """The live is not here at this moment."""


@dataclass
class ChildEdge:
    """An edge in a process of its own."""

    url: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self.process.returncode is None:
            os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()


@contextlib.asynccontextmanager
async def run_child_edge(settings: Settings, folder: Path, slot: int) -> AsyncIterator[ChildEdge]:
    """Start an edge in a child process, with the objects in `folder`; wait until it serves."""
    path = write_settings(use_free_ports(settings), folder / f"edge-{slot}.toml")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.serve_apps.edge.edge_process",
        str(path),
        f"file://{folder}/objects",
        str(slot),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), DEADLINE_S)
    child = ChildEdge(line.decode().strip(), process)
    try:
        assert child.url, "the edge did not start"
        yield child
    finally:
        await child.kill()


def find_url(edge: EdgeServer) -> str:
    """Return where an edge is reached."""
    return edge.address.url
