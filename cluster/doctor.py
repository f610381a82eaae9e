"""Checks of this machine, each with its cure. Reads and probes only; changes nothing.

Used by `socialflow doctor`. A check returns what it found; only the command prints.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from cluster.home import Home
from cluster.nvenc import find_nvenc_refusal
from cluster.port_holders import find_holder, is_free
from cluster.topology import PortNeed, list_ports
from kit.settings import Settings
from media.sfu import compiled_loop
from media.vod import face_cascade
from media.vod.recipe import EXTRA_CODECS

DISK_MIN_GB, MEMORY_MIN_GB, SHARED_MIN_MB = 5.0, 3.0, 256
FILES_MIN = 4096
CLOCK_ERROR_MAX_S = 0.2
ENCODERS_TIMEOUT_S = 30.0
# struct timex of Linux on 64-bit machines: uint, 4 of padding, longs offset, freq, maxerror, …
TIMEX_BYTES, TIMEX_MAXERROR_AT, TIMEX_STATUS_AT, STA_UNSYNC = 256, 24, 40, 0x40
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Verdict(StrEnum):
    """How a check ended; only `bad` keeps the product from running."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One check: what was found and, unless good, what to do."""

    name: str
    verdict: Verdict
    found: str
    cure: str = ""


def examine(home: Home, settings: Settings) -> list[Finding]:
    """Run every check; nothing leaves this machine."""
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_packages,
        lambda: check_disk(home.root),
        check_memory,
        check_shared_memory,
        check_open_files,
        lambda: check_clock(measure_clock_error_s),
        lambda: check_route(settings, find_default_address()),
        lambda: check_public_url(settings),
        lambda: check_encoders(settings.processing.codecs, find_missing_encoders()),
        lambda: check_nvenc(settings.processing.nvenc, find_nvenc_refusal()),
        lambda: check_media_loop(is_compiled=compiled_loop.load() is not None),
        lambda: check_faces(is_there=face_cascade.load() is not None),
        lambda: check_program("ffmpeg", ("ffmpeg", "ffprobe"), "apt-get install ffmpeg"),
        lambda: check_program("Chromium", BROWSERS, "apt-get install chromium"),
    ]
    ports = [_check_port(need, home) for need in list_ports(settings)]
    return [check() for check in checks] + ports


def check_python() -> Finding:
    """Name the Python that runs; pip refused one the project does not run on."""
    return Finding("Python", Verdict.GOOD, f"{sys.version.split()[0]} at {sys.executable}")


def check_packages() -> Finding:
    """Say which Ray is installed; another minor version may start differently."""
    version = importlib.metadata.version("ray")
    if not version.startswith("2.60."):
        return Finding("Ray", Verdict.NOTE, version, "Tested with 2.60: pip install 'ray<2.61'.")
    return Finding("Ray", Verdict.GOOD, version)


def check_disk(folder: Path) -> Finding:
    """Look at the space where the data lies."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    free_gb = shutil.disk_usage(nearest).free / 1e9
    found = f"{free_gb:.1f} GB free at {folder}"
    if free_gb < DISK_MIN_GB:
        return Finding("Disk", Verdict.NOTE, found, "Free some space or move SOCIALFLOW_HOME.")
    return Finding("Disk", Verdict.GOOD, found)


def check_memory() -> Finding:
    """Look at the memory left: the idle product takes under 2 GB."""
    free_gb = psutil.virtual_memory().available / 1e9
    found = f"{free_gb:.1f} GB available"
    if free_gb < MEMORY_MIN_GB:
        return Finding("Memory", Verdict.NOTE, found, "Close something, or lower http.replicas.")
    return Finding("Memory", Verdict.GOOD, found)


def check_shared_memory() -> Finding:
    """Look at /dev/shm, where Ray keeps objects; containers often get 64 MB."""
    try:
        total_mb = shutil.disk_usage("/dev/shm").total / 1e6  # noqa: S108 -- Ray's own place
    except OSError:
        return Finding("Shared memory", Verdict.NOTE, "no /dev/shm", "Ray will use the disk.")
    found = f"{total_mb:.0f} MB in /dev/shm"
    if total_mb < SHARED_MIN_MB:
        cure = "In a container: run it with --shm-size=512m; Ray will use the disk until then."
        return Finding("Shared memory", Verdict.NOTE, found, cure)
    return Finding("Shared memory", Verdict.GOOD, found)


def check_open_files() -> Finding:
    """Look at the limit of open files: every socket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} (hard limit {hard})"
    if soft < FILES_MIN:
        return Finding("Open files", Verdict.NOTE, found, "ulimit -n 20000, then start again.")
    return Finding("Open files", Verdict.GOOD, found)


def check_clock(measure_error: Callable[[], float | None]) -> Finding:
    """Warn above 200 ms: programme times of lives come from this clock."""
    error_s = measure_error()
    cure = "Turn on time synchronisation: timedatectl set-ntp true"
    if error_s is None:
        return Finding("Clock", Verdict.NOTE, "nobody sets it (the kernel says so)", cure)
    found = f"off by at most {error_s * 1000:.0f} ms (the kernel's bound)"
    if error_s > CLOCK_ERROR_MAX_S:
        return Finding("Clock", Verdict.NOTE, found, cure)
    return Finding("Clock", Verdict.GOOD, found)


def check_route(settings: Settings, address: str | None) -> Finding:
    """Say what WebRTC offers to browsers as its address."""
    if settings.edge.public_ips:
        return Finding("WebRTC address", Verdict.GOOD, ", ".join(settings.edge.public_ips))
    if address is None:
        cure = "Browsers find no way to a live without one: connect to a network."
        return Finding("WebRTC address", Verdict.NOTE, "no default route, only 127.0.0.1", cure)
    return Finding("WebRTC address", Verdict.GOOD, f"{address} (default route)")


def check_public_url(settings: Settings) -> Finding:
    """Remind of what is needed beyond localhost: cameras and passkeys want a name and TLS."""
    url = settings.http.public_url
    is_local = "//localhost" in url or "//127.0.0.1" in url
    if not is_local and not url.startswith("https://"):
        cure = "Browsers give cameras and passkeys to https pages only: put a TLS proxy in front."
        return Finding("Public address", Verdict.NOTE, url, cure)
    if not is_local and not settings.edge.public_ips:
        cure = "Set SOCIALFLOW_EDGE_PUBLIC_IPS to the address others reach this machine at."
        return Finding("Public address", Verdict.NOTE, f"{url}, no edge.public_ips", cure)
    if not is_local and not settings.http.trusted_proxies:
        cure = (
            "Set SOCIALFLOW_HTTP_TRUSTED_PROXIES to the TLS proxy's network: until then everybody "
            "has its address."
        )
        return Finding("Public address", Verdict.NOTE, f"{url}, no http.trusted_proxies", cure)
    found = f"{url} (this machine only)" if is_local else url
    return Finding("Public address", Verdict.GOOD, found)


def check_encoders(wanted: Sequence[str], missing: Mapping[str, str]) -> Finding:
    """Say which codecs videos can be made in beside H.264; one the settings name must be here."""
    here = [codec for codec in EXTRA_CODECS if codec not in missing]
    found = f"H.264{''.join(f', {codec}' for codec in here)}"
    lacking = [f"{codec} ({missing[codec]})" for codec in wanted if codec in missing]
    if lacking:
        text = f"no encoder for {', '.join(lacking)}"
        cure = (
            "Install an av with it, or take it out of processing.codecs; it is left out until then."
        )
        return Finding("Encoders", Verdict.NOTE, text, cure)
    return Finding("Encoders", Verdict.GOOD, found)


def check_nvenc(setting: str, refusal: str) -> Finding:
    """Say whether this machine's GPU encodes; without one, everything is made as ever."""
    if refusal:
        return Finding("GPU encoder", Verdict.GOOD, f"no NVENC: {refusal}")
    use = "unused: processing.nvenc is off" if setting == "off" else "for H.264 above 480p"
    return Finding("GPU encoder", Verdict.GOOD, f"NVENC, {use}")


def find_missing_encoders() -> dict[str, str]:
    """Return the codecs that cannot be made here with the encoder each lacks.

    A process of its own looks: FFmpeg's libraries are too large to be kept by all who start us.
    """
    command = [sys.executable, "-m", "media.vod.codecs"]
    answer = subprocess.run(command, capture_output=True, timeout=ENCODERS_TIMEOUT_S, check=False)  # noqa: S603 - our own module
    if answer.returncode != 0:
        return dict.fromkeys(EXTRA_CODECS, "av")
    missing: dict[str, str] = json.loads(answer.stdout)
    return missing


def check_media_loop(*, is_compiled: bool) -> Finding:
    """Say how a live's packets are sent: the compiled loop takes two thirds of the time."""
    if is_compiled:
        return Finding("Media loop", Verdict.GOOD, "compiled")
    cure = (
        "Remove .venv/.compiled and run make again; it needs cc and libcrypto (OpenSSL 1.1 or 3)."
    )
    return Finding("Media loop", Verdict.NOTE, "by Python: not compiled, or no libcrypto", cure)


def check_faces(*, is_there: bool) -> Finding:
    """Say whether thumbnails prefer pictures with a face."""
    if is_there:
        return Finding("Faces", Verdict.GOOD, "thumbnails prefer them")
    cure = "Remove .venv/.faces and run make again; it takes a file out of scikit-image's wheel."
    return Finding("Faces", Verdict.NOTE, "no detector: they count nothing in thumbnails", cure)


def check_program(name: str, choices: tuple[str, ...], cure: str) -> Finding:
    """Look for a program only the tests need."""
    path = next((found for choice in choices if (found := shutil.which(choice))), None)
    if path is None:
        return Finding(name, Verdict.NOTE, "not installed; only the tests need it", cure)
    return Finding(name, Verdict.GOOD, path)


def find_default_address() -> str | None:
    """Return the address packets to the internet leave from; None without a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: never reached, and a connect sends nothing
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


def measure_clock_error_s() -> float | None:
    """Return the kernel's bound on the clock's error (adjtimex(2)); None: it is not synchronised.

    Asks no server: nothing leaves this machine.
    """
    record = ctypes.create_string_buffer(TIMEX_BYTES)
    if ctypes.CDLL(None, use_errno=True).adjtimex(record) < 0:
        return None
    (error_us,) = struct.unpack_from("l", record, TIMEX_MAXERROR_AT)
    (status,) = struct.unpack_from("i", record, TIMEX_STATUS_AT)
    return None if status & STA_UNSYNC else float(error_us) / 1e6


def _check_port(need: PortNeed, home: Home) -> Finding:
    name = f"Port {need.port}/{need.kind}"
    if is_free(need):
        return Finding(name, Verdict.GOOD, f"free, for {need.what} at {need.host}")
    holder = find_holder(need)
    if holder is not None and holder.pid is not None and _is_ours(holder.pid, home):
        return Finding(
            name, Verdict.GOOD, f"ours (process {holder.pid}), {need.what} at {need.host}"
        )
    found = f"taken by {holder or 'another program'}, for {need.what} at {need.host}"
    return Finding(name, Verdict.BAD, found, "Stop it, or choose another port: socialflow settings")


def _is_ours(pid: int, home: Home) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return os.fsencode(home.running_settings_file) in variables
