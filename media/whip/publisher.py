"""A WHIP publisher's media half: offers, takes the answer, sends a looping film in real time.

The caller does the HTTP (RFC 9725). Packets are sent as they were read: no decoding, no encoding,
so one publisher costs a few hundredths of a core.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from fractions import Fraction

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from media.whip.film import AUDIO_HZ, VIDEO_HZ, Film, Piece, loop_pieces

CONNECT_TIMEOUT_S = 15.0
BEHIND_MAX_S = 2.0


class FilmTrack(MediaStreamTrack):
    """One track of the film, each packet given out when it is due."""

    def __init__(self, kind: str, pieces: Iterator[Piece], hz: int) -> None:
        super().__init__()
        self.kind = kind
        self._pieces = pieces
        self._hz = hz
        self._started_s: float | None = None

    async def recv(self) -> av.Packet:
        """Wait until the next packet is due and return it."""
        piece = next(self._pieces)
        now_s = time.monotonic()
        if self._started_s is None:
            self._started_s = now_s - piece.pts / self._hz
        wait_s = self._started_s + piece.pts / self._hz - now_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        elif wait_s < -BEHIND_MAX_S:
            self._started_s -= wait_s  # the machine slept: go on from now instead of rushing
        packet = av.Packet(piece.data)
        packet.pts, packet.time_base = piece.pts, Fraction(1, self._hz)
        packet.is_keyframe = piece.is_keyframe
        return packet


class FilmPublisher:
    """One WebRTC session that sends a film; `close()` ends it."""

    def __init__(self, film: Film) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        video = FilmTrack("video", loop_pieces(film.video, film.duration_s, VIDEO_HZ), VIDEO_HZ)
        audio = FilmTrack("audio", loop_pieces(film.audio, film.duration_s, AUDIO_HZ), AUDIO_HZ)
        for track in (video, audio):
            transceiver = self._connection.addTransceiver(track, direction="sendonly")
            wanted = "video/H264" if track.kind == "video" else "audio/opus"
            codecs = RTCRtpSender.getCapabilities(track.kind).codecs
            transceiver.setCodecPreferences([c for c in codecs if c.mimeType == wanted])
        self._connection.on("connectionstatechange", self._note_state)

    async def create_offer(self) -> str:
        """Return the SDP offer with all candidates in it."""
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return str(self._connection.localDescription.sdp)

    async def accept(self, answer_sdp: str) -> None:
        """Take the answer and wait until packets flow; raises TimeoutError or ConnectionError."""
        answer = RTCSessionDescription(answer_sdp, "answer")
        await self._connection.setRemoteDescription(answer)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._settled.wait()
        if not self.is_connected:
            raise ConnectionError(f"WebRTC ended as {self._connection.connectionState}")

    @property
    def is_connected(self) -> bool:
        """Whether packets flow."""
        return str(self._connection.connectionState) == "connected"

    async def wait_until_over(self) -> None:
        """Wait until the session fails or is closed by the other side."""
        await self._over.wait()

    async def close(self) -> None:
        """End the session."""
        await self._connection.close()

    def _note_state(self) -> None:
        if self._connection.connectionState in {"connected", "failed", "closed"}:
            self._settled.set()
        if self._connection.connectionState in {"failed", "closed"}:
            self._over.set()
