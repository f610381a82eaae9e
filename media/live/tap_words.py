"""What an edge and its sound processes say to each other, both ways; no imports of weight.

`sound_tap.py` speaks on the edge's side, `opus_child.py` and `aac_child.py` on the other.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from typing import BinaryIO

HEADER = struct.Struct("<IBqII")
"""Stream, kind, time and length in ticks of the stream's rate, bytes that follow."""
OPEN, FRAME, CLOSE = 0, 1, 2
"""A child that has more to give when a stream closes gives it, then says CLOSE itself."""
OPEN_BODY = struct.Struct("<IB")
"""Sample rate in Hz and channels; how to decode it (AudioSpecificConfig, OpusHead) follows."""
BODY_BYTES_MAX = 64 << 10
NICENESS = 5
"""Of the processes of sound."""


def step_back(niceness: int) -> None:
    """Take this place among the processes of the machine, or stay where one is further back.

    Not so far behind whoever started it: an edge that is niced itself would put it beside uploads.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))


def run_child(serve: Callable[[BinaryIO, BinaryIO], None], niceness: int = NICENESS) -> None:
    """Be such a process: take orders on standard input, answer on standard output."""
    step_back(niceness)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:
        os._exit(0)  # the edge is gone; closing standard output would fail again
