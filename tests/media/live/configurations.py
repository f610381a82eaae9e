"""Configurations of pictures of 320 by 180 as real encoders send them."""

from __future__ import annotations

import struct

from tests.media.live.packets_stage import PPS, SPS_320

AVC = (
    bytes([1, *SPS_320[1:4], 0xFF, 0xE1])
    + struct.pack(">H", len(SPS_320))
    + SPS_320
    + b"\x01"
    + struct.pack(">H", len(PPS))
    + PPS
)
HVC = bytes.fromhex(
    "0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff0160000003009000000300"
    "0003003c959009210001002b42010101600000030090000003000003003ca00a080c1f3e595912930bc05a0200"
    "0003000200000300321022000100064401c073c189"
)
"""By FFmpeg and x265: 320 by 180, Main, level 2."""
AV1C = bytes.fromhex("81000c000a0b0200000521e7f66017c002")
"""By FFmpeg and SVT-AV1: 320 by 180, profile 0, level 2.0, 8 bit."""
