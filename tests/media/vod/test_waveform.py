"""Sound without a picture plays in HLS and DASH, with its waveform and the cover it carries."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from media.vod.plan import PlanOrder, list_sound_tasks, plan_video
from media.vod.probe import probe_file
from media.vod.publish import publish
from media.vod.waveform import decide_peaks
from storage.objects import ObjectStore
from tests.media.vod.clips import SOURCE_KEY, Made, run_ffmpeg, transcode, write_playlists
from tests.media.vod.test_playback import ask_ffprobe, folder_of

pytestmark = pytest.mark.media


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Lend six seconds, the last three a tone, with a red cover."""
    folder = tmp_path_factory.mktemp("sound")
    run_ffmpeg(
        *("-f", "lavfi", "-i", "color=0xC04020:s=300x200", "-frames:v", "1", folder / "c.png")
    )
    run_ffmpeg(
        *("-f", "lavfi", "-i", "aevalsrc=if(gte(t\\,3)\\,0.5*sin(2000*t)\\,0):d=6"),
        *("-i", folder / "c.png", "-map", "0", "-map", "1", "-c:v", "copy"),
        *("-disposition:v", "attached_pic", folder / "a.mp3"),
    )
    made = transcode(folder / "a.mp3", ObjectStore.open(f"file://{folder}/objects"))
    write_playlists(made.plan, made.records, made.store)
    return made


def test_players_find_one_variant_of_sound(made: Made):
    assert [task.task_id for task in made.plan.tasks] == ["audio", "cover", "waveform"]
    files = publish(made.plan, made.records).files
    assert files["master.m3u8"].decode().count("EXT-X-STREAM-INF") == 1
    for name in ("master.m3u8", "manifest.mpd"):
        found = ask_ffprobe(folder_of(made.store) / name, "-show_streams", "-show_format")
        assert [stream["codec_name"] for stream in found["streams"]] == ["aac"]
        assert float(found["format"]["duration"]) == pytest.approx(6, abs=0.1)


def test_the_waveform_tells_silence_from_sound(made: Made):
    waveform = json.loads(publish(made.plan, made.records).files["waveform.json"])
    assert waveform["duration_ms"] == pytest.approx(6000, abs=80)
    peaks = np.array(waveform["peaks"])
    middle = len(peaks) // 2
    assert peaks[: middle - 5].max() <= 1
    assert peaks[middle + 5 : -5].min() >= 30  # one channel becomes two, 3 dB lower each


def test_the_cover_becomes_the_picture(made: Made):
    (key,) = made.records["cover"].images
    picture = cv2.imdecode(np.frombuffer(made.store.get_sync(key), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (200, 300, 3)
    assert picture.mean(axis=(0, 1)) == pytest.approx((0x20, 0x40, 0xC0), abs=6)


def test_a_cover_that_is_no_picture_is_left_out(tmp_path: Path, made: Made):
    data = made.store.get_sync(SOURCE_KEY)
    at = data.index(b"IHDR")
    (tmp_path / "a.mp3").write_bytes(data[:at] + b"XXXX" + data[at + 4 :])
    info = probe_file(tmp_path / "a.mp3")
    assert info.cover_index is None
    plan = plan_video(info, PlanOrder("v", "s"))
    assert [task.kind for task in plan.tasks] == ["audio", "waveform"]


def test_long_sound_plays_before_all_of_it_is_made(made: Made):
    grid = plan_video(
        replace(made.plan.info, duration_s=600.0),
        PlanOrder("v", "s"),
    ).grid
    names = [task.task_id for task in list_sound_tasks(grid, has_cover=False)]
    assert names == ["audio-opening", "audio-more", "audio", "waveform"]


def test_peaks_are_few_and_bounded():
    assert decide_peaks(np.array([])) == ()
    assert decide_peaks(np.array([0.0, 0.5, 2.0, float("nan")])) == (0, 50, 100, 0)
    many = decide_peaks(np.linspace(0, 1, 10_007))
    assert len(many) == 800
    assert many[-1] == 100
    assert list(many) == sorted(many)
