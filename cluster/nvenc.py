"""Whether this machine's GPU encodes video, and what its node offers then.

Doctor and the start of a node ask. The trial is another process, see media/vod/nvenc.py: FFmpeg's
libraries are too large to be kept by all who start us.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from kit.logs import get_log
from kit.setting_sections import ProcessingSettings

TRIAL_S = 20.0
DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""What NVIDIA's driver shows on Linux, and under Windows."""
AT_ONCE = 2
"""Pieces of NVENC on one machine: each opens up to four encoders, and drivers for home users
allow eight (NVIDIA, "Video Encode and Decode GPU Support Matrix")."""

log = get_log("cluster.nvenc")


def count_nvenc_places(
    settings: ProcessingSettings, find_refusal: Callable[[], str] | None = None
) -> int:
    """Return how many pieces of NVENC this node makes at a time; 0 where it is off or cannot."""
    if settings.nvenc == "off":
        return 0
    refusal = (find_refusal or find_nvenc_refusal)()
    if refusal:
        log.info("nvenc.refused", reason=refusal)
        return 0
    return AT_ONCE


def find_nvenc_refusal() -> str:
    """Why this machine has no NVENC, in words; empty: it encoded a few frames just now.

    Takes a second where there is a driver, and nothing where there is none.
    """
    if not any(device.exists() for device in DEVICES):
        return "there is no NVIDIA driver"
    return run_trial()


def run_trial() -> str:
    """Try to encode, in a process of its own; return why not."""
    command = [sys.executable, "-m", "media.vod.nvenc"]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=TRIAL_S, check=False)  # noqa: S603 - our own module
    except subprocess.TimeoutExpired:
        return f"the trial did not end in {TRIAL_S:.0f} s"
    if answer.returncode != 0:
        return f"the trial ended with {answer.returncode}"
    refusal: str = json.loads(answer.stdout)
    return refusal
