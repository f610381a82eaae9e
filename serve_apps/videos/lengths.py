"""How long a video may be: refused before its bytes where that was said, and once it was probed.

Pure; announcements (API, tus, forms) and the processing job call it.
"""

from __future__ import annotations

from kit.errors import AppError
from kit.setting_sections import UploadSettings
from media.vod.info import MediaInfo
from media.vod.source import MediaUnreadable

HOUR_S = 3600
MINUTE_S = 60


class VideoTooLong(AppError):
    """The announced file plays longer than this site takes."""

    code, status, message = "video_too_long", 413, "The video is longer than this site takes."


def check_declared_length(limits: UploadSettings, duration_ms: int | None) -> None:
    """Raise VideoTooLong for a file that is said to be too long; None: nothing was said."""
    if duration_ms is not None and duration_ms > limits.duration_s_max * 1000:
        raise VideoTooLong(_write_refusal(limits), duration_s_max=limits.duration_s_max)


def check_measured_length(limits: UploadSettings, info: MediaInfo) -> None:
    """Raise MediaUnreadable for a file that is too long, whatever was said."""
    if info.duration_s > limits.duration_s_max:
        raise MediaUnreadable(_write_refusal(limits))


def _write_refusal(limits: UploadSettings) -> str:
    return f"The video is longer than {write_length(limits.duration_s_max)}."


def write_length(length_s: int) -> str:
    """Say a length in the largest unit that it is whole in."""
    for unit_s, name in ((HOUR_S, "hour"), (MINUTE_S, "minute"), (1, "second")):
        count, rest = divmod(length_s, unit_s)
        if rest == 0 and count:
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "0 seconds"
