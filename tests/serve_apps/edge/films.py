"""FFmpeg that publishes a test picture and tone in real time, for as long as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence

from tests.media.rtmp.test_server import H264, Encoding

DEADLINE_S = 60
GOODBYE = "Exiting normally"
"""FFmpeg's word when it was stopped while its connection stood."""


class FilmSender:
    """FFmpeg at work; whoever started it calls `close()`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._saying = asyncio.create_task(process.communicate())

    async def end(self) -> str:
        """Return its exit status and what it said, once it was cut off or refused."""
        async with asyncio.timeout(DEADLINE_S):
            _out, said = await asyncio.shield(self._saying)
        return f"{self._process.returncode}\n{said.decode(errors='replace')}"

    async def stop(self) -> None:
        """Have it say goodbye, as Ctrl-C does; it must have been at work until now."""
        self._process.send_signal(signal.SIGINT)
        said = await self.end()
        assert GOODBYE in said, said

    async def close(self) -> None:
        """End it whatever it does; closing twice does nothing."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._saying


async def start_film(program: str, words: Sequence[str]) -> FilmSender:
    """Start FFmpeg with these words."""
    quiet = ("-hide_banner", "-nostdin", *words)
    process = await asyncio.create_subprocess_exec(program, *quiet, stdout=DEVNULL, stderr=PIPE)
    return FilmSender(process)


async def publish_film(
    url: str,
    *,
    b_frames: int = 0,
    size: str = "320x180",
    encoding: Encoding = H264,
    filters: tuple[str, str] = ("null", "anull"),
) -> FilmSender:
    """Publish by RTMP without end; the filters are the picture's and the sound's."""
    shown, heard = filters
    words = (
        f"-re -f lavfi -i testsrc2=size={size}:rate=25,{shown}"
        f" -re -itsoffset {encoding.sound_after_s}"
        f" -f lavfi -i sine=samples_per_frame=441,{heard}"
        f" -c:v {encoding.video} -bf {b_frames} -g 25 -pix_fmt yuv420p"
        f" -c:a {encoding.sound} -ac 2 -f flv {url}"
    )
    return await start_film(encoding.ffmpeg, words.split())
