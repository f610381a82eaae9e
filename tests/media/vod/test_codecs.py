"""Rungs in other codecs: what we write is what FFmpeg and the names say it is."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import av
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from media.vod.codecs import TASKS, find_missing
from media.vod.encoders import StepEncoder
from media.vod.grid import FrameGrid
from media.vod.hls import Track
from media.vod.ladder import Rung
from media.vod.plan import PlanOrder, list_tracks, plan_video
from media.vod.probe import probe_file
from media.vod.publish import keep_lighter, publish
from media.vod.recipe import EXTRA_CODECS, Recipe
from media.vod.records import SegmentRecord, TaskRecord, TrackRecord, segment_name, track_key
from storage.objects import ObjectStore
from tests.media.playlist_rules import check_publication
from tests.media.vod.clips import (
    SOURCE_KEY,
    VIDEO_ID,
    Made,
    read_number,
    run_ffmpeg,
    run_tasks,
    write_numbered,
)

pytestmark = pytest.mark.media

FRAMES = 90
GRID = FrameGrid(Fraction(10), 90_000, 9_000, 20, 40, 0)
NAMES = {"av1": "av01.0.00M.08", "vp9": "vp09.00.10.08.01.01.01.01.00", "hevc": "hvc1.1.6.L"}


@pytest.mark.parametrize("codec", ["h264", *EXTRA_CODECS])
def test_no_encoder_takes_the_processor_from_the_rest_of_the_machine(codec: str):
    """SVT-AV1 made itself and its caller real-time threads where it ran as root."""
    rung = Rung("180p", 320, 180, 200_000, codec)
    encoder = StepEncoder(rung, GRID, range(40), 0.9)
    for slot in range(40):
        encoder.encode(VideoFrame(320, 180, "yuv420p"), slot)
        threads = {int(task.name) for task in TASKS.iterdir()}
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Nine numbered seconds with a tone, in every codec and in two chunks."""
    folder = tmp_path_factory.mktemp("codecs")
    write_numbered(folder / "v.mp4", [Fraction(n, 10) for n in range(FRAMES)])
    run_ffmpeg(
        *("-i", folder / "v.mp4", "-f", "lavfi", "-i", "sine=d=9", "-c:v", "copy"),
        *("-c:a", "aac", folder / "a.mp4"),
    )
    store = ObjectStore.open("memory:///")
    store.put_file_sync(SOURCE_KEY, folder / "a.mp4")
    order = PlanOrder(VIDEO_ID, SOURCE_KEY, Recipe(codecs=EXTRA_CODECS), version=3)
    plan = plan_video(probe_file(folder / "a.mp4"), order, segments_max=2)
    return Made(plan, run_tasks(plan, store), store)


def test_nothing_is_missing_here():
    assert find_missing(EXTRA_CODECS) == {}


@pytest.mark.parametrize("codec", EXTRA_CODECS)
def test_every_frame_of_every_codec_is_shown_where_h264_shows_it(made: Made, codec: str):
    (name,) = [name for name in list_tracks(made.plan) if name.endswith(f"-{codec}")]
    made_parts = [part for record in made.records.values() for part in record.tracks]
    parts = [part for part in made_parts if part.track == name]
    assert parts[0].codec.startswith(NAMES[codec])
    assert {part.init_name for part in parts} == {"init.mp4"}, "chunks have the same parameters"
    track = Track(tuple(parts))
    plain = made.tracks[name.removesuffix(f"-{codec}")]
    borders = [(it.start_ticks, it.duration_ticks) for it in track.segments]
    assert borders == [(it.start_ticks, it.duration_ticks) for it in plain.segments]
    frames = _decode(made, name, range(len(track.segments)))
    assert [read_number(frame) for frame in frames] == list(range(made.plan.grid.frames))
    alone = _decode(made, name, [1])
    assert [read_number(frame) for frame in alone] == list(range(40, 80)), "a closed GOP"


def _decode(made: Made, name: str, numbers: Iterable[int]) -> list[VideoFrame]:
    with av.open(io.BytesIO(_read(made, name, numbers))) as container:
        return [frame for frame in container.decode() if isinstance(frame, VideoFrame)]


def _read(made: Made, name: str, numbers: Iterable[int]) -> bytes:
    files = ["init.mp4", *(segment_name(number) for number in numbers)]
    return b"".join(made.store.get_sync(track_key(VIDEO_ID, name, file)) for file in files)


def test_opus_sounds_as_long_as_the_picture(made: Made):
    (part,) = made.records["v3-audio-opus"].tracks
    with av.open(io.BytesIO(_read(made, part.track, range(3)))) as container:
        frames = [frame for frame in container.decode() if isinstance(frame, AudioFrame)]
        assert container.streams.audio[0].codec_context.codec.canonical_name == "opus"
    assert sum(it.samples for it in frames) / 48_000 == pytest.approx(
        float(made.plan.grid.duration_s), abs=0.03
    )
    borders = [segment.start_ticks / part.timescale for segment in part.segments]
    assert borders == pytest.approx([0, 4, 8], abs=0.03)


def test_players_find_each_codec_with_the_sound_it_goes_with(made: Made):
    files = publish(made.plan, _resize_others(made, Fraction(1, 20))).files
    master = files["master.m3u8"].decode().splitlines()
    variants = dict(zip(master[1:], master[:-1], strict=True))
    sounds = {
        name: line.partition('AUDIO="')[2].partition('"')[0]
        for name, line in variants.items()
        if line.startswith("#EXT-X-STREAM-INF")
    }
    assert sounds == {
        "v3-108p.m3u8": "sound",
        "v3-108p-av1.m3u8": "sound-opus",
        "v3-108p-vp9.m3u8": "sound-opus",
        "v3-108p-hevc.m3u8": "sound",
    }
    assert ",opus" in variants["v3-108p-av1.m3u8"]
    assert ",mp4a.40.2" in variants["v3-108p-hevc.m3u8"]
    manifest = files["manifest.mpd"].decode()
    for number in ("0", "1", "101", "102", "103", "104"):
        assert f'<AdaptationSet id="{number}"' in manifest


def test_sound_that_no_picture_goes_with_is_not_offered(made: Made):
    heavier = publish(made.plan, _resize_others(made, Fraction(20)))
    check_publication(heavier)
    assert "v3-audio.m3u8" in heavier.files
    assert not [name for name in heavier.files if "opus" in name]


def _resize_others(made: Made, scale: Fraction) -> dict[str, TaskRecord]:
    """Records in which other codecs take less or more, whatever so small a picture takes."""
    return {
        name: replace(record, tracks=tuple(_resize(part, scale) for part in record.tracks))
        for name, record in made.records.items()
    }


def _resize(part: TrackRecord, scale: Fraction) -> TrackRecord:
    if part.codec.startswith(("avc1", "mp4a")):
        return part
    segments = tuple(replace(it, size_bytes=int(it.size_bytes * scale) + 1) for it in part.segments)
    return replace(part, segments=segments)


def test_a_picture_that_saves_no_bytes_is_not_offered():
    def track(name: str, codec: str, size_bytes: int) -> Track:
        segment = SegmentRecord(0, 0, 1000, size_bytes)
        return Track((TrackRecord(name, codec, "init.mp4", 1000, (segment,), 640, 360),))

    tracks = {
        name: track(name, codec, size_bytes)
        for name, codec, size_bytes in (
            ("360p", "avc1.64001f", 1000),
            ("360p-av1", "av01.0.01M.08", 999),
            ("360p-vp9", "vp09.00.21.08", 1000),
        )
    }
    assert set(keep_lighter(tracks)) == {"360p", "360p-av1"}
