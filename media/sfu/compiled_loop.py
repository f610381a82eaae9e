"""The compiled loop that seals and sends: where its library is, and how it is called.

`compiled_egress` uses it, `srtp` opens keys in it. `cluster/bootstrap.py` compiles it into the
virtual environment, for this very source; where that is missing, or libcrypto is, there is none and
everything leaves by Python. Layouts are those of `compiled/egress.c`.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import hashlib
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from media.sfu.packets_out import OutPacket
from media.sfu.sendmmsg import BUNDLE_BYTES_MAX, BUNDLE_SEGMENTS_MAX, MESSAGES_MAX

SOURCE = Path(__file__).with_name("compiled") / "egress.c"
CRYPTO_NAMES = ("libcrypto.so.3", "libcrypto.so.1.1")
PACKETS_MAX = 256

_STREAM = struct.Struct("=QQ12sxxxx")
_PACKET = struct.Struct("=IIIxxxxQ")
_MESSAGE = struct.Struct("=IIII")


def find_library() -> Path:
    """Return where the library of this source is, or would be."""
    version = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    return Path(sys.prefix) / "lib" / f"socialflow-egress-{version}.so"


@functools.cache
def load() -> CompiledLoop | None:
    """Return the loop; None where it was not compiled, or does not find libcrypto."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    try:
        # It holds the interpreter: who took it meanwhile would keep media waiting for 5 ms.
        library = ctypes.PyDLL(str(find_library()))
    except OSError:
        return None
    for name in (*CRYPTO_NAMES, ctypes.util.find_library("crypto") or ""):
        if name and library.sf_bind(name.encode()) == 0:
            return CompiledLoop(library)
    return None


def pack_stream(context: int, start: int, nonce: int) -> bytes:
    """Return a viewer's stream as the loop takes it; `nonce` is salt XOR SSRC, of 96 bits."""
    return _STREAM.pack(context, start, nonce.to_bytes(12, "big"))


@dataclass(frozen=True, slots=True)
class Audience:
    """Who gets the packets: one stream, name (`sendmmsg.pack_name`) and mark for each.

    Who has a 1 in `alone` gets datagrams; `segments_max` is how many a bundle may be for the rest.
    """

    streams: bytes
    names: bytes
    alone: bytes
    segments_max: int = BUNDLE_SEGMENTS_MAX


@dataclass(frozen=True)
class Sent:
    """What one call did: messages as (target, offset, size, segment), how many of them went.

    `code` is the errno of the first that did not; `unsealed` counts packets by target.
    """

    code: int
    messages: list[tuple[int, int, int, int]]
    sent: int
    unsealed: list[int]


class CompiledLoop:
    """Calls the library, on the event loop's thread alone."""

    def __init__(self, library: ctypes.PyDLL) -> None:
        library.sf_open.restype = ctypes.c_void_p
        library.sf_open.argtypes = (ctypes.c_char_p,)
        library.sf_close.restype = None
        library.sf_close.argtypes = (ctypes.c_void_p,)
        library.sf_send.argtypes = (
            *(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint32),
            *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32),
            *(ctypes.c_void_p,) * 5,
        )
        self._library = library
        self._messages = (ctypes.c_uint32 * (4 * MESSAGES_MAX))()
        self._unsealed = (ctypes.c_uint32 * MESSAGES_MAX)()
        self._written, self._sent = ctypes.c_uint32(), ctypes.c_uint32()
        self._tail = tuple(
            map(ctypes.addressof, (self._messages, self._unsealed, self._written, self._sent))
        )

    def open_key(self, key: bytes) -> int:
        """Return a context for an AES-128 key, 0 when there is none to be had; close it."""
        return int(self._library.sf_open(key) or 0)

    def close_key(self, context: int) -> None:
        """Free a context."""
        self._library.sf_close(context)

    def send(
        self, fd: int, audience: Audience, packets: Sequence[OutPacket], slab_at: int
    ) -> Sent | None:
        """Seal up to `PACKETS_MAX` packets for each stream and send them; None: all went.

        The slab must have room for all of it, and all of it must be `MESSAGES_MAX` messages at
        most.
        """
        plain: list[bytes] = []
        rows, offset = [], 0
        for header, payload, index, _ssrc in packets:
            size = len(header) + len(payload)
            plain += (header, payload)
            rows.append(_PACKET.pack(offset, len(header), size, index))
            offset += size
        count, segments_max = len(audience.alone), audience.segments_max
        code = self._library.sf_send(
            *(fd, audience.streams, audience.names, audience.alone, count),
            *(b"".join(plain), b"".join(rows), len(rows), segments_max, BUNDLE_BYTES_MAX),
            *(slab_at, *self._tail),
        )
        unsealed = self._unsealed[:count]
        if code == 0 and not any(unsealed):
            return None
        raw = bytes(self._messages)[: _MESSAGE.size * self._written.value]
        messages = list(_MESSAGE.iter_unpack(raw))
        return Sent(code, messages, self._sent.value, unsealed)
