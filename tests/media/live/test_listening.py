"""A real publisher through the forwarding plane into segments that a decoder plays."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from functools import partial

import av
import pytest

from media.live.fragments import AUDIO, VIDEO
from media.live.packager import Packager, PackagerTerms
from media.live.packets import OPUS_SILENCE, GetWait
from media.live.source import RtpSource
from media.live.window import LiveWindow, PublisherSink
from media.sfu.rtcp import parse_rtcp
from tests.media.live.programme import EPOCH, check_contiguous
from tests.media.sfu.packets import make_rtp
from tests.media.sfu.stage import FrameSource, start_stage

pytestmark = pytest.mark.media


class Recorder:
    """Packages what a room takes from its publisher."""

    def __init__(self, request_keyframe: Callable[[], None], get_wait_s: GetWait) -> None:
        self.window = LiveWindow(EPOCH, lambda: None)
        self.whole: list[int] = []
        sink = PublisherSink(self.window, "1", self.whole.append)
        self.packager = Packager(PackagerTerms(0, 0, True, False), sink, request_keyframe)
        source = RtpSource(self.packager, request_keyframe, get_wait_s)
        self.add_packets, self.apply_report = source.add_packets, source.apply_report


def decode(window: LiveWindow, track: str) -> list[av.frame.Frame]:
    """Decode everything a track has, as one file."""
    entries = window.list_entries(track)
    data = entries[0].init.data + b"".join(entry.join() for entry in entries)
    with av.open(io.BytesIO(data)) as container:
        return list(container.decode(container.streams[0]))


async def test_a_publisher_becomes_segments_that_decode() -> None:
    stage = await start_stage()
    publisher, answer = await stage.publish(("H264", "opus"))
    sfu = stage.sfu
    recorder = Recorder(partial(sfu.request_keyframe, "r"), partial(sfu.get_repair_wait_s, "r"))
    assert stage.sfu.add_listener("r", recorder)
    frames = FrameSource("H264")
    keys = 0
    for number in range(150):
        asked = any(facts.keyframe_ssrcs for facts in map(parse_rtcp, publisher.rtcp) if facts)
        publisher.rtcp.clear()
        keys += asked
        for packet in frames.make_frame(is_keyframe=asked or number % 75 == 0):
            publisher.send_rtp(packet)
        sound = make_rtp(number, number * 1600, OPUS_SILENCE, ssrc=5, marker_and_type=111)
        publisher.send_rtp(sound)
        await asyncio.sleep(0.004)
    stage.sfu.close_session(answer.session_id)
    await stage.close()
    recorder.packager.break_off()

    assert keys >= 1  # the packager asked through the plane
    assert recorder.whole == list(range(len(recorder.whole)))
    for track in (VIDEO, AUDIO):
        check_contiguous(recorder.window, track)
    pictures = decode(recorder.window, VIDEO)
    assert len(pictures) == 150
    assert (pictures[0].width, pictures[0].height) == (320, 180)
    assert len(decode(recorder.window, AUDIO)) >= 150
