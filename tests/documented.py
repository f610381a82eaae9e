"""Commands that docs/live.md tells people to run, for tests that run them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

LIVE = Path(__file__).resolve().parents[1] / "docs" / "live.md"
FILM = "-f lavfi -i testsrc2=size=640x360:rate=25:duration={s} -f lavfi -i sine=duration={s}"


def read_command(title: str, places: Mapping[str, str], key: str, *, seconds: int) -> list[str]:
    """Return the words of the command below a title, its file replaced by a test film.

    `places` says what stands for each documented address; all of them must occur.
    """
    lines = LIVE.read_text().split("\n")
    line = lines[lines.index(f"# {title}") + 1]
    for documented, place in {**places, "STREAM_KEY": key}.items():
        assert documented in line, f"the command for {title} does not name {documented}"
        line = line.replace(documented, place)
    assert "-i video.mp4" in line, "it sends a file"
    return shlex.split(line.replace("-i video.mp4", FILM.format(s=seconds)))
