"""An edge's relays, and its clients, within a network namespace: `… FOLDER NAME ADDRESS`.

Answers its parent in turn, a JSON line for each; media goes over the network alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from pathlib import Path
from typing import Any

import orjson

from kit.logs import configure_logs
from kit.metrics import LINKS_ENDED
from media.relay.messages import RelayPlace
from media.sfu.errors import RoomNotLive
from serve_apps.edge.relay_feed import Source
from tests.media.sfu.peer import RtcPeer
from tests.serve_apps.edge.relay_edge import RelayEdge
from tests.serve_apps.edge.relay_stage import Publisher, read_video, sending
from tests.storage.waiting import wait_until

LINE_BYTES_MAX = 8 << 20
DEADLINE_S = 60


class Machine:
    """What one process does for the test; a method for each thing that can be asked."""

    def __init__(self, edge: RelayEdge) -> None:
        self._edge = edge
        self._publisher: Publisher | None = None
        self._viewers: list[RtcPeer] = []

    async def forget(self) -> None:
        """Lose sight of the viewers so far."""
        self._viewers.clear()

    async def count_lost_links(self) -> int:
        """Return how many links with other machines ended so far."""
        return count_lost_links()

    async def publish(self, room: str) -> str:
        """Connect a publisher of this machine at its edge; return the session."""
        peer = RtcPeer(direction="sendonly")
        answer = self._edge.sfu.publish(room, peer.offer)
        await peer.connect(answer.sdp)
        self._publisher = Publisher(peer, "", b"picture")
        return answer.session_id

    async def bring(self, room: str, session: str, place: dict[str, Any]) -> None:
        """Have a live relayed here from another machine's edge, however long that takes."""
        room_id = uuid.UUID(room)
        self._edge.sources[room_id] = Source(session, RelayPlace(**place))
        is_here = False
        async with asyncio.timeout(DEADLINE_S):
            while not is_here:
                with contextlib.suppress(RoomNotLive):
                    await self._edge.feeds.bring(room_id)
                    is_here = True

    async def offer(self) -> str:
        """Return the offer of one more viewer of this machine."""
        self._viewers.append(RtcPeer())
        return self._viewers[-1].offer

    async def watch(self, room: str, offer: str) -> str:
        """Answer a viewer of whichever machine."""
        return self._edge.sfu.watch(room, offer).sdp

    async def connect(self, answer: str) -> None:
        """Let the last viewer of this machine in."""
        await self._viewers[-1].connect(answer)

    async def send(self, pictures: int) -> list[str]:
        """Publish until so many pictures left; return them all."""
        publisher = self._publisher
        assert publisher is not None, "publish() comes first"
        async with sending(publisher):
            await wait_until(lambda: len(publisher.sent) >= pictures)
        return [payload.hex() for payload in publisher.sent]

    async def show(self, pictures: int, viewers: int) -> list[list[str]]:
        """Return what the first viewers of this machine got, once each has so many pictures.

        They are not waited for where a link ends meanwhile.
        """
        shown, lost = self._viewers[:viewers], count_lost_links()
        for viewer in shown:
            await wait_until(
                lambda one=viewer: len(read_video(one)) >= pictures or count_lost_links() > lost
            )
        return [[payload.hex() for payload in read_video(one)] for one in shown]


def count_lost_links() -> int:
    """Return how many links of this process ended, whatever for."""
    samples = [sample for metric in LINKS_ENDED.collect() for sample in metric.samples]
    return sum(int(sample.value) for sample in samples if sample.name.endswith("_total"))


async def serve(folder: str, name: str, address: str) -> None:
    """Do what the parent asks until it is gone."""
    configure_logs("error")
    edge = RelayEdge(Path(folder), name, "tls", address)
    place = await edge.start()
    machine = Machine(edge)
    answer: Any = {"name": place.name, "incarnation": place.incarnation, "address": place.address}
    while True:
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
        sys.stdout.flush()
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line:
            return
        wish, words = orjson.loads(line)
        answer = await getattr(machine, wish)(**words)


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
