"""A whole, sharp face makes a picture better; nothing else about it becomes good by one.

face.jpg is NASA's portrait of Eileen Collins, in the public domain, as scikit-image passes it on.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from media.vod.face_cascade import find_file, read
from media.vod.faces import find_faces, rate_faces
from media.vod.plan import PlanOrder, plan_video
from media.vod.probe import probe_file
from media.vod.task_jobs import PictureJob, get_job
from media.vod.thumbnails import judge_candidate, judge_picture, make_thumbnails
from storage.objects import ObjectStore
from tests.media.vod.clips import run_ffmpeg

NEEDS_DETECTOR = pytest.mark.skipif(not find_file().exists(), reason="setup brought no detector")
pytestmark = [pytest.mark.media, NEEDS_DETECTOR]

PORTRAIT = cv2.imread(str(Path(__file__).with_name("face.jpg")), cv2.IMREAD_COLOR)
HEAD_DOWN = cv2.flip(PORTRAIT, 0)
"""As sharp, bright and colourful, and no upright face."""


def draw(portrait: np.ndarray = PORTRAIT, left: int = 300, top: int = 80) -> np.ndarray:
    """A street of crisp boxes with the portrait in it, 640 by 360."""
    rng = np.random.default_rng(7)
    picture = np.full((360, 640, 3), (150, 120, 90), np.uint8)
    for _ in range(60):
        x, y, width, height = rng.integers((0, 0, 10, 10), (640, 360, 90, 60)).tolist()
        colour = rng.integers(0, 255, 3).tolist()
        cv2.rectangle(picture, (x, y), (x + width, y + height), colour, -1)
    height, width = portrait.shape[:2]
    shown = portrait[: 360 - top, max(0, -left) : 640 - left]
    picture[top : top + shown.shape[0], max(0, left) : max(0, left) + shown.shape[1]] = shown
    return picture


def blur(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def film(path: Path, *pictures: np.ndarray) -> Path:
    """Two seconds of each, every one its own keyframe, hardly compressed."""
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(path / f"{number}.png"), picture)
    run_ffmpeg(
        *("-framerate", "1/2", "-i", path / "%d.png", "-r", "5", "-g", "10"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p"),
        path / "film.mp4",
    )
    return path / "film.mp4"


def make(path: Path, store: ObjectStore, name: str = "v") -> list[bytes]:
    """The chosen thumbnail and the candidates, as they are stored."""
    store.put_file_sync(f"sources/{name}", path)
    plan = plan_video(probe_file(path), PlanOrder(name, f"sources/{name}"))
    job = get_job(plan, "thumbnails")
    assert isinstance(job, PictureJob)
    return [store.get_sync(key) for key in make_thumbnails(job, store).images]


def shows(data: bytes, picture: np.ndarray) -> bool:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return float(cv2.absdiff(decoded, picture).mean()) < 12


def test_the_face_is_found_where_it_is():
    (face,) = find_faces(draw())
    assert (face.x, face.y, face.side) == pytest.approx((300 + 57, 80 + 65, 99), abs=12)
    assert find_faces(draw(HEAD_DOWN)) == []


def test_a_frame_with_a_face_wins_against_one_as_sharp(tmp_path: Path, objects: ObjectStore):
    without, with_face = draw(HEAD_DOWN), draw()
    assert judge_picture(without) == pytest.approx(judge_picture(with_face), abs=0.01)
    chosen = make(film(tmp_path, without, with_face, without), objects)[0]
    assert shows(chosen, with_face)


@pytest.mark.parametrize("sigma", [2.5, 4.0, 8.0])
def test_a_blurred_face_does_not_win(sigma: float, tmp_path: Path, objects: ObjectStore):
    sharp = draw(HEAD_DOWN)
    chosen = make(film(tmp_path, blur(draw(), sigma), sharp), objects)[0]
    assert shows(chosen, sharp)


def test_a_face_out_of_focus_before_a_sharp_street_counts_little():
    soft = draw(blur(PORTRAIT, 2.0))
    assert rate_faces(soft) < 0.3 < rate_faces(draw())


@pytest.mark.parametrize("light", [0.02, 0.05])
def test_a_face_in_the_dark_does_not_win(light: float):
    dark = (draw() * light).astype(np.uint8)
    assert judge_candidate(dark) < judge_candidate(draw(HEAD_DOWN)) / 2


def test_the_best_face_gains_no_more_than_two_fifths():
    for picture in (draw(), draw(cv2.resize(PORTRAIT, (330, 330)), 100, 20)):
        assert judge_picture(picture) < judge_candidate(picture) <= 1.4 * judge_picture(picture)


def test_a_larger_face_counts_more():
    small = draw(cv2.resize(PORTRAIT, (150, 150), interpolation=cv2.INTER_AREA))
    assert 0 < rate_faces(small) < rate_faces(draw())


@pytest.mark.parametrize(("left", "top"), [(-60, 80), (480, 80), (300, 195)])
def test_a_face_that_is_cut_off_counts_nothing(left: int, top: int):
    assert rate_faces(draw(left=left, top=top)) == 0


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 3), (23, 400), (24, 24), (25, 24), (400, 23), (10, 1280), (1280, 26)]
)
def test_odd_pictures_have_no_faces(shape: tuple[int, int]):
    rng = np.random.default_rng(3)
    for picture in (
        np.zeros((*shape, 3), np.uint8),
        np.full((*shape, 3), 255, np.uint8),
        rng.integers(0, 255, (*shape, 3), dtype=np.uint8),
    ):
        assert rate_faces(picture) == 0


@pytest.mark.parametrize(
    "scene", ["testsrc2", "mandelbrot", "sierpinski", "cellauto", "smptebars", "gradients"]
)
def test_drawn_scenes_have_no_faces(scene: str, tmp_path: Path):
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"{scene}=s=640x360:r=2", "-frames:v", "4"), tmp_path / "%d.png"
    )
    for number in range(1, 5):
        assert find_faces(cv2.imread(str(tmp_path / f"{number}.png"), cv2.IMREAD_COLOR)) == []


def test_the_same_video_has_the_same_pictures_whoever_makes_them(
    tmp_path: Path, objects: ObjectStore
):
    path = film(tmp_path, draw(HEAD_DOWN), draw(), blur(draw(), 3), draw(left=100))
    threads = cv2.getNumThreads()
    made = []
    try:
        for number in (1, 2, 4):
            cv2.setNumThreads(number)
            made.append(make(path, objects, f"v{number}"))
    finally:
        cv2.setNumThreads(threads)
    assert made[0] == made[1] == made[2]


def test_only_the_file_that_was_measured_is_used(tmp_path: Path):
    data = find_file().read_bytes()
    assert [len(stage.stumps) for stage in read(find_file()) or ()][:4] == [3, 4, 4, 5]
    (tmp_path / "other.xml").write_bytes(data + b"\n")
    assert read(tmp_path / "other.xml") is None
    assert read(tmp_path / "none.xml") is None
