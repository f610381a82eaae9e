"""Viewers hear of their edge while their room is silent, and nothing besides while it is not."""

from __future__ import annotations

import pytest

from media.sfu.keepalive import EVERY_S, KeepAlive
from tests.media.sfu import packets as p
from tests.media.sfu.room_stage import Stage

pytestmark = pytest.mark.unit


def test_a_viewer_of_a_silent_room_hears_three_times_a_second() -> None:
    stage, keepalive = Stage(), KeepAlive()
    publisher, _ = stage.add_publisher()
    viewer = stage.add_viewer()
    heard = stage.reports[viewer.session_id].facts
    for tick in range(21):  # a second of ticks
        keepalive.run([publisher, viewer], tick * 0.05)
    assert len(heard) == 3
    viewer.packets_out += 1
    keepalive.run([publisher, viewer], 1.0 + EVERY_S)
    assert len(heard) == 3
    stage.video(publisher, p.VP8_KEY)
    keepalive.run([publisher, viewer], 1.0 + 3 * EVERY_S)
    assert len(heard) == 4
