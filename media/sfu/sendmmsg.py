"""Linux's sendmmsg(2) through ctypes: many datagrams, or bundles the kernel cuts up, in one call.

Called by `egress_batch` alone. Layouts are those of 64-bit Linux (struct mmsghdr, iovec, cmsghdr);
`is_available` says whether this is one. A bundle is cut by UDP_SEGMENT (linux/udp.h, udp(7)).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import socket
import struct
import sys
from collections.abc import Sequence

from media.sfu.stun import Address

MESSAGES_MAX = 256
BUNDLE_SEGMENTS_MAX = 64
BUNDLE_BYTES_MAX = 64_000

SOL_UDP = 17
UDP_SEGMENT = 103
CMSG_BYTES = 18
CMSG_SPACE = 24
HEADER_SPACE = 64
IOVEC_SPACE = 16
NAME_SPACE = 28

_HEADER = struct.Struct("=QIxxxxQQQQixxxx")  # name, its length, iovecs, their count, control, ...
_CONTROL_LENGTH = struct.Struct("=Q")
_CONTROL = struct.Struct("=QiiH")
_CONTROL_LENGTH_AT = 40


# Name, offset in the slab, size, and how long the pieces are (0: a lone datagram). A plain tuple:
# one is made per message, and making a named one costs as much as half a system call's share.
Message = tuple[bytes, int, int, int]


def is_available() -> bool:
    """Tell whether this system has sendmmsg in the layout we know."""
    is_known = sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8
    return is_known and hasattr(ctypes.CDLL(None), "sendmmsg")


@functools.lru_cache(maxsize=8192)
def pack_name(address: Address, family: int) -> bytes:
    """Return a sockaddr, padded to the longest; raises OSError or ValueError for no address."""
    host, port = address
    if family == socket.AF_INET:
        return struct.pack("=H", family) + struct.pack("!H4s20x", port, socket.inet_aton(host))
    packed = socket.inet_pton(family, host)
    return struct.pack("=H", family) + struct.pack("!HI16sI", port, 0, packed, 0)


class MessageBatch:
    """The arrays one call needs, filled anew for each; `slab` holds the datagrams themselves."""

    def __init__(self, slab: bytearray) -> None:
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._slab_at = _get_address(slab)
        self._slab = slab  # These are read by the kernel through their addresses.
        self._headers = bytearray(MESSAGES_MAX * HEADER_SPACE)
        self._iovecs = bytearray(MESSAGES_MAX * IOVEC_SPACE)
        self._names = bytearray(MESSAGES_MAX * NAME_SPACE)
        self._controls = bytearray(MESSAGES_MAX * CMSG_SPACE)
        self._headers_at = _get_address(self._headers)
        self._segments = [0] * MESSAGES_MAX
        for number in range(MESSAGES_MAX):
            _HEADER.pack_into(
                self._headers,
                number * HEADER_SPACE,
                _get_address(self._names) + number * NAME_SPACE,
                NAME_SPACE,
                _get_address(self._iovecs) + number * IOVEC_SPACE,
                1,
                _get_address(self._controls) + number * CMSG_SPACE,
                0,
                0,
            )

    def write(self, messages: Sequence[Message]) -> None:
        """Put up to `MESSAGES_MAX` messages into the arrays; names are of one family."""
        names = b"".join([name for name, _, _, _ in messages])
        self._names[: len(names)] = names
        slab_at = self._slab_at
        spans = [part for _, offset, size, _ in messages for part in (slab_at + offset, size)]
        struct.pack_into(f"={len(spans)}Q", self._iovecs, 0, *spans)
        placed = self._segments
        for number, message in enumerate(messages):
            if message[3] != placed[number]:
                self._place_segment(number, message[3])

    def _place_segment(self, number: int, segment: int) -> None:
        """Say how a message is cut up; what is in place already is left as it is."""
        self._segments[number] = segment
        at = number * HEADER_SPACE + _CONTROL_LENGTH_AT
        _CONTROL_LENGTH.pack_into(self._headers, at, CMSG_SPACE if segment else 0)
        at = number * CMSG_SPACE
        _CONTROL.pack_into(self._controls, at, CMSG_BYTES, SOL_UDP, UDP_SEGMENT, segment)

    def send(self, fd: int, first: int, end: int) -> int:
        """Send the messages [first, end) in order and return how many went out, at least one.

        Raises OSError for the first message when none went: BlockingIOError when the socket is
        full.
        """
        while True:
            at = self._headers_at + first * HEADER_SPACE
            sent: int = self._sendmmsg(fd, at, end - first, 0)
            if sent > 0:
                return sent
            code = ctypes.get_errno()
            if code != errno.EINTR:
                raise OSError(code, os.strerror(code))


def _get_address(buffer: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
