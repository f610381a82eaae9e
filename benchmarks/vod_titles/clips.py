"""The clips: drawn here, and from cameras where a folder of samples lies beside the project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.frame import Form
from media.scenes.render import list_scenes, render_scene
from tests.media.vod.clips import run_ffmpeg

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "pictures" / "home.png"
SECONDS, SECONDS_SHORT = 8, 4
UPLOADED = ("-c:v", "libx264", "-preset", "fast", "-crf", "12", "-pix_fmt", "yuv420p", "-an")
"""As cameras and editors write: many bytes, and a keyframe every second."""


@dataclass(frozen=True)
class Clip:
    """A video to make a ladder of."""

    name: str
    write: Callable[[Path, int], None]
    """Writes so many seconds of it."""


def list_clips(form: Form) -> list[Clip]:
    """Return all there are; in short, one that is drawn."""
    drawn = [
        Clip("a page that is read", write_page),
        Clip("drawn harbour", lambda path, seconds: write_scene(path, seconds, 0)),
        Clip("drawn snow", lambda path, seconds: write_scene(path, seconds, 4)),
        Clip("test picture", write_test_picture),
    ]
    if form is Form.SHORT:
        return [drawn[0]]
    return drawn + [
        Clip(name, write_sample(file, at_s))
        for name, (file, at_s) in SAMPLES.items()
        if find_sample(file)
    ]


SAMPLES = {
    "animation 720p": ("bigbuckbunny.mp4", 0),
    "animation 720p, low rate": ("moviepy_big_buck_bunny_0_30.webm", 12),
    "cars, fixed camera 432p": ("intel_car-detection.mp4", 4),
    "bottles, fixed camera 360p": ("intel_bottle-detection.mp4", 8),
    "old film 360p": ("moviepy_chaplin.mp4", 1),
    "colour bars 1080p": ("moviepy_smpte-2997.mp4", 0),
}
"""By what they show: a file of the folder `shared/samples`, and from which second."""


def find_sample(file: str) -> Path | None:
    """Return where a sample lies, in `shared/samples` beside a folder around the project."""
    found = (parent / "shared" / "samples" / file for parent in ROOT.parents)
    return next((path for path in found if path.exists()), None)


def describe_clips() -> str:
    """Say what is asked about; samples that are not there are left out."""
    missing = [name for name, (file, _) in SAMPLES.items() if find_sample(file) is None]
    left_out = f"; not there: {', '.join(missing)}" if missing else ""
    return f"{', '.join(clip.name for clip in list_clips(Form.FULL))}; {SECONDS} s each{left_out}"


def write_page(path: Path, seconds: int) -> None:
    """A screenshot that is scrolled for a second, then read for one."""
    place = "(ih-oh)*(0.5-0.5*cos(PI*min(1,mod(t,2))))"
    run_ffmpeg(
        *("-loop", "1", "-framerate", "30", "-i", PAGE, "-t", str(seconds)),
        *("-vf", f"crop=1280:720:0:'{place}'", *UPLOADED, "-g", "30", path),
    )


def write_scene(path: Path, seconds: int, number: int) -> None:
    """One of the films that `socialflow seed` draws."""
    drawn = render_scene(replace(list_scenes()[number], duration_s=seconds), path.parent)
    run_ffmpeg("-i", drawn, "-t", str(seconds), *UPLOADED, "-g", "30", path)


def write_test_picture(path: Path, seconds: int) -> None:
    """FFmpeg's own, with grain."""
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s=1280x720:r=30:d={seconds}"),
        *("-vf", "noise=alls=8:allf=t", *UPLOADED, "-g", "30", path),
    )


def write_sample(file: str, at_s: int) -> Callable[[Path, int], None]:
    """Return what cuts a sample, with a keyframe every second."""

    def write(path: Path, seconds: int) -> None:
        source = find_sample(file)
        assert source is not None, "a sample that is not there is no clip"
        keys: Sequence[str] = ("-force_key_frames", "expr:gte(t,n_forced)")
        run_ffmpeg("-ss", str(at_s), "-i", source, "-t", str(seconds), *UPLOADED, *keys, path)

    return write
