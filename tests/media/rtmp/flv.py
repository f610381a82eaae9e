"""FLV files of FFmpeg as what an RTMP publisher sends: their tags' bodies are RTMP's messages."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass
from typing import NamedTuple

from tests.media.rtmp.client import AUDIO, VIDEO, media

HEADER_BYTES, TAG_HEADER_BYTES, SIZE_BYTES = 9, 11, 4
DEADLINE_S = 60


class FlvTag(NamedTuple):
    """One message and its time in milliseconds."""

    kind: int
    at_ms: int
    body: bytes

    def write(self) -> bytes:
        """Return it as RTMP's chunks."""
        return media(self.kind, self.at_ms, self.body)


@dataclass(frozen=True)
class Take:
    """A test picture and a tone, with a keyframe each second."""

    seconds: int
    size: str = "320x180"
    rate_hz: int = 48_000
    channels: int = 2
    pitch_hz: int = 440

    async def shoot(self, *, from_ms: int = 0) -> list[FlvTag]:
        """Have FFmpeg make it; its configurations come first."""
        command = (
            "ffmpeg -v error -nostdin"
            f" -f lavfi -i testsrc2=size={self.size}:rate=25:duration={self.seconds}"
            f" -f lavfi -i sine=frequency={self.pitch_hz}:duration={self.seconds}"
            " -c:v libx264 -preset ultrafast -bf 0 -g 25 -pix_fmt yuv420p"
            f" -c:a aac -ar {self.rate_hz} -ac {self.channels} -f flv -"
        )
        process = await asyncio.create_subprocess_exec(*command.split(), stdout=subprocess.PIPE)
        async with asyncio.timeout(DEADLINE_S):
            data, _said = await process.communicate()
        assert process.returncode == 0
        return read_flv(data, from_ms)


def read_flv(data: bytes, from_ms: int) -> list[FlvTag]:
    """Return an FLV file's pictures and sound, as of a later time (Adobe, FLV 10.1 §E.4)."""
    tags, pos = [], HEADER_BYTES + SIZE_BYTES
    while pos + TAG_HEADER_BYTES <= len(data):
        kind, size = data[pos], int.from_bytes(data[pos + 1 : pos + 4], "big")
        at_ms = int.from_bytes(data[pos + 4 : pos + 7], "big") | data[pos + 7] << 24
        body = data[pos + TAG_HEADER_BYTES : pos + TAG_HEADER_BYTES + size]
        if kind in {AUDIO, VIDEO}:
            tags.append(FlvTag(kind, from_ms + at_ms, body))
        pos += TAG_HEADER_BYTES + size + SIZE_BYTES
    return tags
