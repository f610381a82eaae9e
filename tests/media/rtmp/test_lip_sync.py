"""Flashes and beeps by RTMP to a WebRTC viewer: sender reports put them on one clock."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import av
import numpy as np
import pytest

from media.sfu.rtcp import SenderReport, parse_rtcp
from tests.media.rtmp.test_forwarder import Ingest, assemble, ingest, list_rtp
from tests.media.rtmp.test_server import NEWER, Encoding
from tests.media.sfu.peer import RtcPeer
from tests.media.sfu.stage import wait_until
from tests.serve_apps.edge.films import publish_film

pytestmark = pytest.mark.media

FLASHES = "drawbox=c=black:t=fill,drawbox=c=white:t=fill:enable='lt(mod(t,1),0.12)'"
BEEPS = "volume=0:enable='gte(mod(t,1),0.12)'"
EARLY_MAX_S, LATE_MAX_S = 0.040, 0.060
"""How far sound may be before and behind its picture, EBU R 37."""
QUIET = 0.02
PAIRS = 2
GAP_S = 0.05
"""Above the distance of two pictures and of two packets of sound: something was lost."""
LOUDEST, WHITE = 1 << 15, 255
OPUS_RATE_HZ = 48_000
VIDEO_RATE_HZ = 90_000

__all__ = ["ingest"]  # the fixture


@pytest.mark.parametrize(
    "encoding",
    [Encoding(sound="aac -ar 44100"), Encoding(sound="libopus -ar 48000", ffmpeg=NEWER)],
    ids=["aac", "opus"],
)
async def test_a_beep_is_heard_when_its_flash_is_seen(ingest: Ingest, encoding: Encoding) -> None:
    url = f"rtmp://127.0.0.1:{ingest.server.port}/live/key"
    film = await publish_film(url, encoding=encoding, filters=(FLASHES, BEEPS))
    try:
        await wait_until(lambda: bool(ingest.stage.sfu.get_codecs("r")), timeout_s=60)
        viewer, _session = await ingest.stage.watch(("H264", "opus"))
        async with asyncio.timeout(60):
            while len(late_s := measure(viewer)) < PAIRS:
                await asyncio.sleep(0.5)
    finally:
        await film.close()
    print("sound behind picture, ms:", [round(late * 1000, 1) for late in late_s])
    assert min(late_s) > -EARLY_MAX_S
    assert max(late_s) < LATE_MAX_S


def measure(viewer: RtcPeer) -> list[float]:
    """Return how far the sound is behind the picture, for each flash with both whole around it.

    A viewer that was starved has gaps: what it never got has no place in time.
    """
    if not all(list_reports(viewer, kind) for kind in ("audio", "video")):
        return []
    shown, heard = list_brightness(viewer), list_loudness(viewer)
    beeps = list_rises(heard)
    return [
        min((beep - flash for beep in beeps), key=abs, default=1.0)
        for flash in list_rises(shown)
        if is_whole(shown, flash) and is_whole(heard, flash)
    ]


def is_whole(levels: list[tuple[float, float]], flash_s: float) -> bool:
    """Say whether nothing is missing from half a second before a moment to a little after it."""
    first_s, last_s = flash_s - 0.6, flash_s + 0.2
    times = [at_s for at_s, _level in levels if first_s <= at_s <= last_s]
    return all(after - before < GAP_S for before, after in pairwise([first_s, *times, last_s]))


def place(viewer: RtcPeer, kind: str, timestamp: int, rate_hz: int) -> float:
    """Return when a packet's moment was on the publisher's clock, in seconds (RFC 3550 §6.4.1)."""
    report = list_reports(viewer, kind)[-1]
    after = (timestamp - report.rtp_timestamp + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
    return report.ntp_timestamp / (1 << 32) + after / rate_hz


def list_reports(viewer: RtcPeer, kind: str) -> list[SenderReport]:
    """Return the sender reports of a kind so far."""
    parsed = [facts for packet in viewer.rtcp if (facts := parse_rtcp(packet))]
    reports = [report for facts in parsed for report in facts.sender_reports]
    return [report for report in reports if report.ssrc == viewer.ssrcs[kind]]


def list_brightness(viewer: RtcPeer) -> list[tuple[float, float]]:
    """Return when each picture is shown, and how white it is."""
    pictures = assemble(list_rtp(viewer, "video"))
    if not pictures:
        return []
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = pictures[0].format.config
    shown = []
    for picture in pictures:
        at_s = place(viewer, "video", picture.timestamp, VIDEO_RATE_HZ)
        frames = decoder.decode(av.Packet(picture.data))
        shown += [(at_s, float(it.to_ndarray(format="gray").mean()) / WHITE) for it in frames]
    return shown


def list_loudness(viewer: RtcPeer) -> list[tuple[float, float]]:
    """Return each millisecond of sound, and how loud it is."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = OPUS_RATE_HZ, "stereo"
    heard = []
    for packet in list_rtp(viewer, "audio"):
        at_s = place(viewer, "audio", packet.timestamp, OPUS_RATE_HZ)
        for frame in decoder.decode(av.Packet(packet.payload)):
            wave = frame.to_ndarray().reshape(-1, 2)[:, 0].astype(float)
            for start in range(0, len(wave), 48):
                loud = np.abs(wave[start : start + 48]).max() / LOUDEST
                heard.append((at_s + start / OPUS_RATE_HZ, float(loud)))
    return heard


def list_rises(levels: list[tuple[float, float]]) -> list[float]:
    """Return when a level of 0 to 1 rose after it had been nothing for half a second."""
    found: list[float] = []
    quiet_since: float | None = None
    for at_s, level in levels:
        if level < QUIET:
            quiet_since = at_s if quiet_since is None else quiet_since
            continue
        if quiet_since is not None and at_s - quiet_since > 0.5:
            found.append(at_s)
        quiet_since = None
    return found
