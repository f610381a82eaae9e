"""A packet on its way out, before encryption: made once per group, sealed once per viewer."""

from __future__ import annotations

from typing import NamedTuple

RTP_HEADER_BYTES = 12


class OutPacket(NamedTuple):
    """A plain RTP packet for one stream of a group.

    `index` counts on where the sequence number wraps; its low 16 bits are the one in `header`.
    """

    header: bytes
    payload: bytes
    index: int
    ssrc: int

    @property
    def size_bytes(self) -> int:
        """The length of the packet as RTP."""
        return len(self.header) + len(self.payload)

    @property
    def plaintext(self) -> bytes:
        """The packet as RTP."""
        return self.header + self.payload
