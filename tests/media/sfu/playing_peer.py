"""A publisher that repeats what was lost and a viewer that asks for it, as browsers do.

The viewer plays a picture once it and all before it are whole, and says when that was.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AbstractAsyncContextManager

from media.sfu.rtcp import build_nack, build_pli, parse_rtcp
from media.sfu.rtp import MARKER, RtpFields, parse_rtp, signed_distance
from tests.media.sfu.packets import VP8_DELTA, VP8_KEY, VP8_REST, make_rtp
from tests.media.sfu.peer import RtcPeer, running
from tests.media.sfu.room_stage import offer_repeats

PERIOD_S = 1 / 30
TURNS_PER_FRAME = 3
PACKETS_PER_FRAME = 4
PAYLOAD_BYTES = 1000
REMEMBERED_PACKETS = 1000
# libwebrtc's NackRequester: every 20 ms, again after a round trip (100 ms before it is known),
# at most ten times (modules/video_coding/nack_requester.cc).
ASK_EVERY_S = 0.02
ASK_AGAIN_S = 0.1
ASKS_MAX = 10
VIDEO, RTX = 96, 97
RTX_SSRC = 70
PADDING_BYTES = 200
HAS_PADDING = 0x20


class RepeatingPublisher(RtcPeer):
    """Sends numbered pictures of several packets, and pads: as browsers do that probe a link.

    Repeats and padding go into a stream of their own once that is agreed; padding that does not is
    never repeated (libwebrtc keeps none: modules/rtp_rtcp/source/rtp_sender.cc).
    """

    def __init__(self) -> None:
        super().__init__(("VP8",), "sendonly")
        self.offer = offer_repeats(self.offer)
        self.has_rtx = False
        self.frames = 0
        self._seq = 65_000  # The wrap comes within a few seconds.
        self._rtx_seq = 1
        self._sent: dict[int, bytes] = {}
        self._heard = 0
        self._wants_keyframe = True

    def sending(self) -> AbstractAsyncContextManager[None]:
        """Send within the block, and repeat until its end."""
        return running(self._run())

    async def _run(self) -> None:
        # Behind time it does not hurry: a busy machine has everybody here be late alike.
        for turn in itertools.count():
            self._answer_feedback()
            if turn % TURNS_PER_FRAME == 0:
                self._send_frame()
            await asyncio.sleep(PERIOD_S / TURNS_PER_FRAME)

    def _send_frame(self) -> None:
        start = VP8_KEY if self._wants_keyframe else VP8_DELTA
        self._wants_keyframe = False
        for part in range(PACKETS_PER_FRAME):
            head = (start if part == 0 else VP8_REST) + self.frames.to_bytes(4, "big")
            marker = 0x80 if part == PACKETS_PER_FRAME - 1 else 0
            payload = head.ljust(PAYLOAD_BYTES, b"x")
            time = 3000 * self.frames
            packet = make_rtp(self._seq, time, payload, marker_and_type=marker | VIDEO)
            self._sent[self._seq] = packet
            self._sent.pop((self._seq - REMEMBERED_PACKETS) & 0xFFFF, None)
            self._seq = (self._seq + 1) & 0xFFFF
            self.send_rtp(packet)
        self._pad(3000 * self.frames)
        self.frames += 1

    def _pad(self, time: int) -> None:
        padding = bytes(PADDING_BYTES - 1) + bytes([PADDING_BYTES])
        if self.has_rtx:
            packet = self._wrap(time, padding, marker=0)
        else:
            packet = make_rtp(self._seq, time, padding, marker_and_type=VIDEO)
            self._seq = (self._seq + 1) & 0xFFFF
        self.send_rtp(bytes([packet[0] | HAS_PADDING]) + packet[1:])

    def _wrap(self, time: int, payload: bytes, *, marker: int) -> bytes:
        self._rtx_seq += 1
        return make_rtp(self._rtx_seq, time, payload, ssrc=RTX_SSRC, marker_and_type=marker | RTX)

    def _repeat(self, seq: int) -> None:
        packet = self._sent[seq]
        if self.has_rtx:
            time = int.from_bytes(packet[4:8], "big")
            marker = packet[1] & MARKER
            packet = self._wrap(time, seq.to_bytes(2, "big") + packet[12:], marker=marker)
        self.send_rtp(packet)

    def _answer_feedback(self) -> None:
        heard, self._heard = self.rtcp[self._heard :], len(self.rtcp)
        for facts in filter(None, map(parse_rtcp, heard)):
            self._wants_keyframe = self._wants_keyframe or bool(facts.keyframe_ssrcs)
            for seq in itertools.chain.from_iterable(seqs for _, seqs in facts.nacks):
                if seq in self._sent:
                    self._repeat(seq)


class PlayingPeer(RtcPeer):
    """Asks for what is missing, by NACK and then by PLI, and takes repeats in their own stream."""

    def __init__(self) -> None:
        super().__init__(("VP8",))
        self.offer = offer_repeats(self.offer)
        self.played_at_s: list[float] = []
        self.played: list[int] = []
        """The timestamps of what was shown."""
        self.repeats = 0
        self.given_up = 0
        self._next: int | None = None
        self._newest = 0
        self._waiting: dict[int, RtpFields] = {}
        self._missing: dict[int, tuple[int, float]] = {}

    def playing(self) -> AbstractAsyncContextManager[None]:
        """Ask for what is missing within the block."""
        return running(self._run())

    @property
    def longest_gap_s(self) -> float:
        """The longest time between two pictures."""
        return max(b - a for a, b in itertools.pairwise(self.played_at_s))

    def receive_media(self, data: bytes) -> None:
        """Take a packet into the order of the pictures."""
        super().receive_media(data)
        packets, self.rtp = self.rtp, []
        for fields in filter(None, map(parse_rtp, packets)):
            if fields.payload_type == RTX and len(fields.payload) > 2:
                self.repeats += 1
                seq = int.from_bytes(fields.payload[:2], "big")
                self._take(fields._replace(seq=seq, payload=fields.payload[2:]))
            elif fields.payload_type == VIDEO:
                self._take(fields)

    def _take(self, fields: RtpFields) -> None:
        if self._next is None:
            if not fields.payload.startswith(VP8_KEY):
                return
            self._next = fields.seq
            self._newest = (fields.seq - 1) & 0xFFFF
        if signed_distance(fields.seq, self._next) < 0:
            return
        self._missing.pop(fields.seq, None)
        self._waiting[fields.seq] = fields
        now_s = asyncio.get_running_loop().time()
        while signed_distance(fields.seq, self._newest) > 0:
            self._newest = (self._newest + 1) & 0xFFFF
            if self._newest not in self._waiting:
                self._missing[self._newest] = (0, now_s)
        self._play(now_s)

    def _play(self, now_s: float) -> None:
        while self._next in self._waiting:
            fields = self._waiting.pop(self._next)
            self._next = (self._next + 1) & 0xFFFF
            if fields.marker:
                self.played_at_s.append(now_s)
                self.played.append(fields.timestamp)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            now_s = asyncio.get_running_loop().time()
            due = [seq for seq, (_, at_s) in self._missing.items() if at_s <= now_s]
            for seq in due:
                tries = self._missing[seq][0] + 1
                self._missing[seq] = (tries, now_s + ASK_AGAIN_S)
                if tries > ASKS_MAX:
                    self._skip_to_keyframe()
                    break
            else:
                if due:
                    self.send_rtcp(build_nack(self.ssrcs["video"], due))

    def _skip_to_keyframe(self) -> None:
        self.given_up += 1
        self._next = None
        self._waiting.clear()
        self._missing.clear()
        self.send_rtcp(build_pli(self.ssrcs["video"]))
