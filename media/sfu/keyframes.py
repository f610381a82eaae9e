"""Where a decoder may start, by codec; pure functions over RTP payloads.

Called by `track` once per source packet. Payloads are looked at, never changed.
"""

from __future__ import annotations

# H.264 NAL unit types (RFC 6184 §5.2)
_H264_IDR = 5
_H264_SPS = 7
_H264_STAP_A = 24
_H264_FU_A = 28

# H.265 NAL unit types (RFC 7798 §1.1.4, §4.4): random access pictures, parameter sets, packets
_H265_RANDOM_ACCESS = range(16, 22)
_H265_PARAMETER_SETS = range(32, 35)
_H265_AGGREGATE = 48
_H265_FRAGMENT = 49


def is_keyframe_start(codec: str, payload: bytes) -> bool:
    """Tell whether a decoder may start at the frame this payload belongs to.

    Looks at the frame's first packets only: for H.264 and H.265 the parameter sets or the IDR
    slice, for VP8 and VP9 the first part of a key frame, for AV1 a new coded sequence. False for
    audio.
    """
    looks = _LOOKS.get(codec)
    return looks is not None and bool(payload) and looks(payload)


def _is_h264_keyframe(payload: bytes) -> bool:
    """Look for SPS or IDR in a single NAL unit, a STAP-A or the first FU-A (RFC 6184 §5.4)."""
    nal_type = payload[0] & 0x1F
    if nal_type == _H264_STAP_A:
        pos = 1
        while pos + 3 <= len(payload):
            if payload[pos + 2] & 0x1F in (_H264_IDR, _H264_SPS):
                return True
            pos += 2 + int.from_bytes(payload[pos : pos + 2], "big")
        return False
    if nal_type == _H264_FU_A:
        is_first = len(payload) > 1 and payload[1] & 0x80
        return bool(is_first) and payload[1] & 0x1F in (_H264_IDR, _H264_SPS)
    return nal_type in (_H264_IDR, _H264_SPS)


def _is_vp8_keyframe(payload: bytes) -> bool:
    """Read the payload descriptor (RFC 7741 §4.2) and the frame header's inverse key bit."""
    first = payload[0]
    if not first & 0x10 or first & 0x07:  # Not the start of partition 0.
        return False
    pos = 1
    if first & 0x80:
        if pos >= len(payload):
            return False
        extension = payload[pos]
        pos += 1
        if extension & 0x80:  # Picture id, one or two bytes.
            if pos >= len(payload):
                return False
            pos += 2 if payload[pos] & 0x80 else 1
        if extension & 0x40:
            pos += 1
        if extension & 0x30:
            pos += 1
    return pos < len(payload) and not payload[pos] & 0x01


def _is_h265_start_type(nal_type: int) -> bool:
    return nal_type in _H265_RANDOM_ACCESS or nal_type in _H265_PARAMETER_SETS


def _is_h265_keyframe(payload: bytes) -> bool:
    """Look into a single NAL unit, an aggregation packet or the first fragment (RFC 7798 §4.4)."""
    nal_type = payload[0] >> 1 & 0x3F
    if nal_type == _H265_AGGREGATE:
        pos = 2
        while pos + 4 <= len(payload):
            if _is_h265_start_type(payload[pos + 2] >> 1 & 0x3F):
                return True
            pos += 2 + int.from_bytes(payload[pos : pos + 2], "big")
        return False
    if nal_type == _H265_FRAGMENT:
        is_first = len(payload) > 2 and payload[2] & 0x80
        return bool(is_first) and _is_h265_start_type(payload[2] & 0x3F)
    return _is_h265_start_type(nal_type)


def _is_vp9_keyframe(payload: bytes) -> bool:
    """Look for the beginning of a frame that refers to none (RFC 9628 §4.2: B set, P not).

    Of a spatial layer the lowest begins it.
    """
    first = payload[0]
    is_start = first & 0x08 and not first & 0x40
    if not is_start or not first & 0x20:
        return bool(is_start)
    pos = 1
    if first & 0x80:
        if pos >= len(payload):
            return False
        pos += 2 if payload[pos] & 0x80 else 1
    return pos < len(payload) and not payload[pos] >> 1 & 0x07


def _is_av1_keyframe(payload: bytes) -> bool:
    """Read the aggregation header's N bit: a coded video sequence begins (AV1 RTP §4.4)."""
    return bool(payload[0] & 0x08)


_LOOKS = {
    "H264": _is_h264_keyframe,
    "H265": _is_h265_keyframe,
    "VP8": _is_vp8_keyframe,
    "VP9": _is_vp9_keyframe,
    "AV1": _is_av1_keyframe,
}
