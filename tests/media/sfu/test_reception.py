"""What is lost stays counted."""

from __future__ import annotations

import pytest

from media.sfu.reception import Reception

pytestmark = pytest.mark.unit


def test_a_packet_repeated_in_another_stream_was_lost_and_is_not_missing() -> None:
    reception = Reception(100, 90_000)
    reception.apply_packet(0, 0, 1.0)
    reception.apply_packet(2, 0, 1.0)
    assert reception.packets_lost == 1
    reception.apply_repeat(-1)
    assert reception.packets_lost == 0
    report = reception.take_report(2.0)
    assert (report.packets_lost, report.fraction_lost) == (1, 256 // 3)
    assert report.highest_sequence == 102
