"""The server's side of RTMP's handshake, simple and with digests; pure: bytes in, bytes out.

Simple: Adobe's RTMP 1.0 §5.2. With digests: what Flash clients, FMLE and FFmpeg send since
version 9 of the player (not in that document): C1 holds an HMAC-SHA256 of itself at a place that
four of its bytes tell, under either of two layouts; S1 answers likewise and S2 is signed with a
key made from the client's digest. A client without a valid digest gets the simple one.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable

from media.rtmp.errors import RtmpMalformed

VERSION = 3
BLOCK_BYTES = 1536
_DIGEST_BYTES = 32
_SHARED = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
_SERVER_NAME = b"Genuine Adobe Flash Media Server 001"
_PLAYER_NAME = b"Genuine Adobe Flash Player 001"
_LAYOUTS = (8, 772)
"""Where the four bytes stand that tell the digest's place."""
_PLACES = 728
_SERVER_VERSION = bytes([4, 5, 0, 1])


class Handshake:
    """C0, C1 and C2 as they come; `make_random(n)` supplies the server's random bytes."""

    def __init__(self, make_random: Callable[[int], bytes]) -> None:
        self.is_done = False
        self.has_digest = False
        self._make_random = make_random
        self._received = bytearray()
        self._has_answered = False

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes; return what to send, and what follows the handshake once it is done.

        Raises RtmpMalformed for another version of the protocol.
        """
        assert not self.is_done, "the handshake is over"
        self._received += data
        answer = b""
        if self._received and self._received[0] != VERSION:
            raise RtmpMalformed(f"RTMP version {self._received[0]} is not supported")
        if not self._has_answered and len(self._received) > BLOCK_BYTES:
            self._has_answered = True
            answer = self._answer(bytes(self._received[1 : 1 + BLOCK_BYTES]))
        end = 1 + 2 * BLOCK_BYTES
        if len(self._received) < end:
            return answer, b""
        # C2 echoes S1; clients exist that send something else, so it is not compared.
        self.is_done = True
        return answer, bytes(self._received[end:])

    def _answer(self, c1: bytes) -> bytes:
        """Return S0, S1 and S2."""
        found = _find_digest(c1)
        if found is None:
            s1 = bytes(8) + self._make_random(BLOCK_BYTES - 8)
            return bytes([VERSION]) + s1 + c1
        self.has_digest = True
        layout, client_digest = found
        s1 = _sign(bytes(4) + _SERVER_VERSION + self._make_random(BLOCK_BYTES - 8), layout)
        key = _hmac(_SERVER_NAME + _SHARED, client_digest)
        body = self._make_random(BLOCK_BYTES - _DIGEST_BYTES)
        return bytes([VERSION]) + s1 + body + _hmac(key, body)


def _find_digest(c1: bytes) -> tuple[int, bytes] | None:
    """Return the layout and digest of a client that signs; None for the simple handshake."""
    if not any(c1[4:8]):
        return None
    for layout in _LAYOUTS:
        place = _locate(c1, layout)
        digest = c1[place : place + _DIGEST_BYTES]
        rest = c1[:place] + c1[place + _DIGEST_BYTES :]
        if hmac.compare_digest(digest, _hmac(_PLAYER_NAME, rest)):
            return layout, digest
    return None


def _sign(block: bytes, layout: int) -> bytes:
    """Put the server's digest into its S1."""
    place = _locate(block, layout)
    rest = block[:place] + block[place + _DIGEST_BYTES :]
    return block[:place] + _hmac(_SERVER_NAME, rest) + block[place + _DIGEST_BYTES :]


def _locate(block: bytes, layout: int) -> int:
    """Return where the digest stands: the sum of four bytes, after them."""
    return sum(struct.unpack_from("4B", block, layout)) % _PLACES + layout + 4


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
