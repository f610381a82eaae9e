"""How large the pictures of a source are, as its keyframes say; pure functions over RTP payloads.

Called by `layers` for keyframes alone, to tell which encoding is the better one.
"""

from __future__ import annotations

from media.h264_bits import ParameterSetMalformed
from media.live.h264 import NAL_SPS, nal_type, read_size
from media.sfu import vp8

_STAP_A = 24


def find_picture_size(codec: str, payload: bytes) -> tuple[int, int] | None:
    """Return width and height when this payload of a keyframe tells them (H.264 and VP8)."""
    if codec == "VP8":
        return vp8.read_size(payload)
    if codec == "H264":
        sps = _find_sps(payload)
        if sps is not None:
            try:
                return read_size(sps)
            except ParameterSetMalformed:
                return None
    return None


def _find_sps(payload: bytes) -> bytes | None:
    """Return the sequence parameter set of a single NAL unit or a STAP-A (RFC 6184 §5.7.1)."""
    if not payload:
        return None
    if nal_type(payload) == NAL_SPS:
        return payload
    if nal_type(payload) == _STAP_A:
        at = 1
        while at + 3 <= len(payload):
            end = at + 2 + int.from_bytes(payload[at : at + 2], "big")
            if payload[at + 2] & 0x1F == NAL_SPS:
                return payload[at + 2 : end]
            at = end
    return None
