"""A picture that an owner brings along: read in a limited child, written anew as a JPEG.

The API calls `renew_picture`; `python -m media.vod.own_picture` is the child. What comes out holds
pixels alone: no metadata, no trailing bytes, no place where it was taken.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np

from kit.errors import AppError
from media.vod.ladder import SIDE_MIN, fit_inside
from media.vod.limited_child import (
    EXIT_REFUSED,
    ChildLimits,
    ChildTooSlow,
    limit_this_process,
    run_child,
)
from media.vod.thumbnails import LONG_SIDE_MAX, encode_jpeg

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
WEBP = (b"RIFF", b"WEBP")
LIMITS = ChildLimits(time_s=20.0, cpu_s=10, memory_bytes=2 << 30)
SIDE_MAX = 12_000


class PictureUnreadable(AppError):
    """The bytes are no picture we can read."""

    code, status = "picture_unreadable", 422
    message = "This cannot be read as a picture; send a JPEG, PNG or WebP."


def renew_picture(data: bytes) -> bytes:
    """Return the picture as a JPEG of at most 1280 pixels; raises PictureUnreadable. Blocks."""
    try:
        status, answer = run_child("media.vod.own_picture", [], LIMITS, data)
    except ChildTooSlow as error:
        raise PictureUnreadable from error
    if status != 0:
        raise PictureUnreadable
    return answer


def read_picture(data: bytes) -> bytes | None:
    """In the child: decode, scale, encode; None when it is no picture of a sane size."""
    is_webp = (data[:4], data[8:12]) == WEBP
    if not is_webp and not data.startswith(SIGNATURES):
        return None
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        return None
    height, width = picture.shape[:2]
    if min(width, height) < SIDE_MIN or max(width, height) > SIDE_MAX:
        return None
    size = fit_inside(width, height, LONG_SIDE_MAX)
    if size != (width, height):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return encode_jpeg(picture)


def main(arguments: list[str]) -> int:
    """Run as the child: limit this process, read standard input, answer on standard output."""
    limit_this_process(arguments)
    answer = read_picture(sys.stdin.buffer.read())
    if answer is None:
        return EXIT_REFUSED
    sys.stdout.buffer.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
