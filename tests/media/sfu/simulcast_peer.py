"""A publisher of several encodings on a real socket."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from media.sfu.rtcp import parse_rtcp
from media.sfu.rtp import parse_rtp
from tests.media.sfu.packets import add_extension, make_rtp
from tests.media.sfu.peer import RtcPeer, running
from tests.media.sfu.room_stage import RID_EXTENSION, describe_layers, make_layer_payload

RIDS = ("q", "h", "f")
PERIOD_S = 1 / 30
FIRST_SSRC = 100


class SimulcastPeer(RtcPeer):
    """Sends pictures in every encoding, keyframes where they are asked for."""

    def __init__(self, parts: tuple[int, ...] = (1, 1, 1)) -> None:
        super().__init__(direction="sendonly")
        self.offer = self.offer.replace("a=mid:0\r\n", describe_layers(RIDS))
        self.filling = b""
        self._parts = parts
        self._frames = 0
        self._seqs = dict.fromkeys(RIDS, 65_500)
        self._answered = dict.fromkeys(RIDS, 0)

    def sending(self) -> AbstractAsyncContextManager[None]:
        """Send within the block."""
        return running(self._run())

    def count_wishes(self, rid: str) -> int:
        """Return how often a keyframe of an encoding was asked for."""
        ssrc = FIRST_SSRC + RIDS.index(rid)
        facts = [parse_rtcp(packet) for packet in self.rtcp]
        return sum(fact.keyframe_ssrcs.count(ssrc) for fact in facts if fact is not None)

    async def _run(self) -> None:
        due_s = asyncio.get_running_loop().time()
        while True:
            self._send_frame()
            due_s += PERIOD_S
            await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))

    def _send_frame(self) -> None:
        self._frames += 1
        for number, rid in enumerate(RIDS):
            wishes = self.count_wishes(rid)
            is_keyframe = self._frames == 1 or wishes > self._answered[rid]
            self._answered[rid] = wishes
            for part in range(self._parts[number]):
                payload = make_layer_payload(number, self._frames, part, is_keyframe=is_keyframe)
                marker = 0x80 if part == self._parts[number] - 1 else 0
                self._deliver(number, payload[:-2] + self.filling + payload[-2:], marker)

    def _deliver(self, number: int, payload: bytes, marker: int) -> None:
        rid = RIDS[number]
        self._seqs[rid] += 1
        plain = make_rtp(
            self._seqs[rid],
            (0xFFFF0000 * (number + 1) + 3000 * self._frames) & 0xFFFFFFFF,
            payload,
            ssrc=FIRST_SSRC + number,
            marker_and_type=marker | 96,
        )
        self.send_rtp(add_extension(plain, RID_EXTENSION, rid.encode()))


def list_encodings(viewer: RtcPeer) -> list[str]:
    """Return the encoding of every packet of video that a viewer got, in order."""
    fields = [parse_rtp(packet) for packet in viewer.rtp]
    return [RIDS[f.payload[-2]] for f in fields if f is not None and f.payload_type == 96]
