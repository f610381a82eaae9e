"""How long a video may be is said in the words one would use."""

import pytest

from kit.setting_sections import UploadSettings
from media.vod.source import MediaUnreadable
from serve_apps.videos.lengths import (
    VideoTooLong,
    check_declared_length,
    check_measured_length,
    write_length,
)
from tests.media.vod.sources import describe_source

pytestmark = pytest.mark.unit

LIMITS = UploadSettings(duration_s_max=3600)


@pytest.mark.parametrize(
    ("length_s", "text"),
    [
        (43_200, "12 hours"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (61, "61 seconds"),
        (1, "1 second"),
    ],
)
def test_a_length_is_written_in_its_largest_whole_unit(length_s: int, text: str):
    assert write_length(length_s) == text


@pytest.mark.parametrize("said_ms", [None, 0, 3_600_000])
def test_what_is_not_too_long_or_not_said_is_taken(said_ms: int | None):
    check_declared_length(LIMITS, said_ms)


def test_what_is_said_to_be_too_long_is_refused():
    with pytest.raises(VideoTooLong, match="longer than 1 hour"):
        check_declared_length(LIMITS, 3_600_001)


def test_what_is_too_long_is_refused_whatever_was_said():
    check_measured_length(LIMITS, describe_source(3600.0))
    with pytest.raises(MediaUnreadable, match="longer than 1 hour"):
        check_measured_length(LIMITS, describe_source(3600.5))
