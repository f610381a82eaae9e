"""Playlists keep RFC 8216 as a video grows, beside other codecs, and with words to read."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from media.vod.hls import Track, build_master_playlist
from media.vod.info import AudioInfo, CopyInfo, MediaInfo, decode_json, encode_json
from media.vod.plan import EVEN, OPUS, PlanOrder, PlanTask, TranscodePlan, plan_video
from media.vod.publish import Publication, publish
from media.vod.recipe import Recipe
from media.vod.records import SegmentRecord, StoryboardRecord, TaskRecord, TrackRecord
from storage.subtitles import Subtitles
from tests.media.playlist_reading import Listing, read_multivariant, read_playlist
from tests.media.playlist_rules import check_goes_on, check_publication
from tests.media.vod.sources import PICTURE as SOURCE_PICTURE

pytestmark = pytest.mark.unit

PICTURE = replace(
    SOURCE_PICTURE,
    width=854,
    height=480,
    coded_width=854,
    coded_height=480,
    fps=Fraction(25),
    bit_rate_bps=None,
)
LENGTH_S = 193.5
WORDS = (
    Subtitles("en", "English", "uploaded", "en-1.vtt"),
    Subtitles("en-GB", "English", "uploaded", "en-GB-1.vtt"),
    Subtitles("de", "Deutsch", "automatic", "de-1.vtt"),
)
SOUND_HZ, FRAME_SAMPLES = 48_000, 1024
RECORDED = {"audio", "copy", "chunk", "storyboard"}
STORYBOARD = StoryboardRecord(160, 90, 4, 7, 2_000, 97)
"""Four sheets; the last one has 13 pictures, in four rows of seven."""


def plan_long_video(
    *, copies: bool = False, copies_sound: bool = False, codecs: tuple[str, ...] = ()
) -> TranscodePlan:
    copyable = CopyInfo(copies_sound, longest_s=Fraction(13, 2)) if copies else None
    info = MediaInfo(
        "mov", LENGTH_S, LENGTH_S, 0, 1000, PICTURE, AudioInfo(1, "aac", SOUND_HZ, 2),
        copyable=copyable,
    )  # fmt: skip
    return plan_video(info, PlanOrder("video", "source", Recipe(codecs=codecs)), segments_max=4)


def list_segments(ends_s: list[Fraction], timescale: int, step: int) -> list[SegmentRecord]:
    """Segments of uneven sizes up to those moments, each rounded up to whole frames."""
    sizes, made, start = random.Random(len(ends_s)), [], 0
    for number, end_s in enumerate(ends_s):
        end = -(-int(end_s * timescale) // step) * step
        size_bytes = sizes.randrange(20_000, 900_000)
        made.append(SegmentRecord(number, start, end - start, size_bytes, size_bytes // 3))
        start = end
    return made


def record_sound(name: str, codec: str, ends_s: list[Fraction], task: PlanTask) -> TrackRecord:
    """A track of sound, or its beginning."""
    steps = [replace(it, key_bytes=0) for it in list_segments(ends_s, SOUND_HZ, FRAME_SAMPLES)]
    return TrackRecord(
        name, codec, "init.mp4", SOUND_HZ, tuple(steps[: task.chunk or None]), channels=2
    )


def record_task(plan: TranscodePlan, task: PlanTask) -> TaskRecord:
    """What a task would have recorded."""
    length_s = plan.grid.duration_s
    ends_s = [min(length_s, n * plan.grid.segment_s) for n in range(1, plan.grid.segments + 1)]
    if task.kind == "copy":  # as its source's keyframes are, one of them late
        ends_s[1] += Fraction(5, 2)
    if task.kind == "storyboard":
        return TaskRecord(task.task_id, storyboard=STORYBOARD)
    made = list_segments(ends_s, 90_000, 3600)
    if task.kind == "audio":
        names = {OPUS: plan.opus_track, EVEN: plan.even_track}
        codec = "opus" if task.group == OPUS else "mp4a.40.2"
        track = record_sound(names.get(task.group, plan.audio_track), codec, ends_s, task)
        return TaskRecord(task.task_id, (track,))
    heard: tuple[TrackRecord, ...] = ()
    if task.kind == "copy":
        if plan.copies_sound:
            heard = (record_sound(plan.audio_track, "mp4a.40.2", ends_s, task),)
        assert plan.copied is not None
        rungs, shown = (plan.copied,), tuple(made[: task.chunk or None])
    else:
        rungs = next(group.rungs for group in plan.groups if group.name == task.group)
        chunk = plan.chunks[task.chunk]
        shown = tuple(made[chunk.first_segment : chunk.first_segment + chunk.segments])
    codecs = {"av1": "av01.0.01M.08"}
    return TaskRecord(
        task.task_id,
        heard
        + tuple(
            TrackRecord(
                rung.name,
                codecs.get(rung.codec, "avc1.64001f"),
                "init.mp4",
                90_000,
                tuple(replace(it, size_bytes=it.size_bytes // 2) for it in shown)
                if rung.codec in codecs
                else shown,
                rung.width,
                rung.height,
            )
            for rung in rungs
        ),
    )


def grow(plan: TranscodePlan) -> Iterator[Mapping[str, Listing]]:
    """Finish one task after the other; yield what can be watched after each."""
    records: dict[str, TaskRecord] = {}
    for task in plan.tasks:
        if task.kind in RECORDED:
            records[task.task_id] = record_task(plan, task)
            published = publish(plan, records, WORDS)
            if published.is_playable:
                yield check_publication(published)


@pytest.mark.parametrize("copies", [False, True], ids=["encoded", "copied"])
def test_a_video_keeps_the_rules_after_every_step_of_its_making(copies: bool):
    plan = plan_long_video(copies=copies, codecs=("av1",))
    before: Mapping[str, Listing] = {}
    kinds = []
    for found in grow(plan):
        for name in before.keys() & found.keys():
            check_goes_on(before[name], found[name])
        kinds.append(found["audio.m3u8"].tags["PLAYLIST-TYPE"])
        before = found
    assert kinds == sorted(kinds)
    assert set(kinds) == {"EVENT", "VOD"}
    assert {
        *("480p.m3u8", "480p-keys.m3u8", "480p-av1.m3u8"),
        *("subtitles-de.m3u8", "storyboard.m3u8"),
    } <= set(before)


@pytest.mark.parametrize("is_late", [False, True], ids=["in order", "copied late"])
def test_sound_as_loud_as_others_takes_the_place_of_the_copied_one(is_late: bool):
    plan = plan_long_video(copies=True, copies_sound=True)
    if is_late:  # another worker has it sooner than the end of the copy
        tasks = sorted(plan.tasks, key=lambda task: (task.task_id == "copy", task.group == EVEN))
        plan = replace(plan, tasks=tuple(tasks))
    records: dict[str, TaskRecord] = {}
    listings: list[Listing] = []
    for task in (task for task in plan.tasks if task.kind in RECORDED):
        records[task.task_id] = record_task(plan, task)
        published = publish(plan, records, WORDS)
        found = check_publication(published)
        named = {"audio-even.m3u8"} if "audio-even" in records else {"audio.m3u8"}
        assert {name for name in found if name.startswith("audio")} == named
        kept = (published.files | published.former)["audio.m3u8"]
        listings.append(read_playlist(kept.decode()))
    for before, after in pairwise(listings):  # of who began with the copied sound
        check_goes_on(before, after)
    assert "ENDLIST" in listings[-1].tags
    assert "audio" in published.tracks
    assert published.sound == published.tracks["audio-even"]


def test_a_plan_from_before_even_sound_ends_with_the_copied_one():
    plan = plan_long_video(copies=True, copies_sound=True)
    stored = json.loads(encode_json(plan))
    stored["tasks"] = [task for task in stored["tasks"] if task["group"] != EVEN]
    read = decode_json(json.dumps(stored).encode(), TranscodePlan)
    assert len(read.tasks) == len(plan.tasks) - 1
    records = {it.task_id: record_task(read, it) for it in read.tasks if it.kind in RECORDED}
    records |= {it.task_id: TaskRecord(it.task_id) for it in read.tasks if it.kind not in RECORDED}
    published = publish(read, records)
    assert "audio.m3u8" in check_publication(published)
    assert published.former == {}
    assert b'id="audio"' in published.files["manifest.mpd"]


def test_sound_that_is_made_sooner_is_listed_as_far_as_the_picture():
    for found in grow(plan_long_video()):
        lengths_s = [found[name].duration_s for name in ("240p.m3u8", "audio.m3u8")]
        assert lengths_s[1] == pytest.approx(lengths_s[0], abs=0.05)


def test_a_short_and_heavy_last_segment_is_no_peak():
    sizes = [(0, 4000, 400_000), (4000, 4000, 500_000), (8000, 200, 100_000)]
    segments = tuple(SegmentRecord(n, *row) for n, row in enumerate(sizes))
    track = Track((TrackRecord("240p", "avc1.640015", "init.mp4", 1000, segments, 426, 240),))
    assert track.measure_peak_bps(4) == round(600_000 * 8 / 4.2 + 0.5)
    assert track.heaviest_bps == 4_000_000


def test_a_picture_that_changes_midway_names_all_its_codecs_and_its_largest_size():
    parts = tuple(
        TrackRecord(
            "source", codec, f"{n}-init.mp4", 1000, (SegmentRecord(n, 0, 2000, 1000),), *size
        )
        for n, (codec, size) in enumerate(
            [("avc1.42c00d", (640, 360)), ("avc1.42c01f", (1280, 720)), ("avc1.42c00d", (320, 180))]
        )
    )
    ((attributes, _address),) = read_multivariant(
        build_master_playlist([Track(parts)], [], None)
    ).variants
    assert attributes["CODECS"] == "avc1.42c00d,avc1.42c01f"
    assert attributes["RESOLUTION"] == "1280x720"


def publish_whole() -> Publication:
    plan = plan_long_video()
    records = {it.task_id: record_task(plan, it) for it in plan.tasks if it.kind in RECORDED}
    return publish(plan, records, WORDS)


def test_two_languages_of_one_name_are_told_apart():
    text = publish_whole().files["master.m3u8"].decode()
    names = [it["NAME"] for it in read_multivariant(text).media if it["TYPE"] == "SUBTITLES"]
    assert names == ["English (en)", "English (en-GB)", "Deutsch (automatic)"]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("master.m3u8", "BANDWIDTH=", "BANDWIDTH=9"),
        ("master.m3u8", "BANDWIDTH=", "AVERAGE-BANDWIDTH=1,BANDWIDTH="),
        ("master.m3u8", 'AUDIO="sound"', 'AUDIO="other"'),
        ("master.m3u8", 'NAME="English (en-GB)"', 'NAME="English (en)"'),
        ("master.m3u8", "DEFAULT=YES", 'DEFAULT="YES"'),
        ("master.m3u8", ",CLOSED-CAPTIONS=NONE", ""),
        ("master.m3u8", "480p-keys.m3u8", "480p.m3u8"),
        ("240p.m3u8", "TARGETDURATION:4", "TARGETDURATION:3"),
        ("240p.m3u8", "TARGETDURATION:4", "TARGETDURATION:5"),
        ("240p.m3u8", "TYPE:VOD", "TYPE:EVENT"),
        ("240p.m3u8", "#EXT-X-ENDLIST\n", ""),
        ("240p.m3u8", "VERSION:7", "VERSION:5"),
        ("240p.m3u8", '#EXT-X-MAP:URI="240p/init.mp4"\n', ""),
        ("240p.m3u8", "240p/00001.m4s", "240p/99999.m4s"),
        ("240p.m3u8", "#EXTINF:4.000000,\n240p/00001.m4s\n", ""),
        ("240p.m3u8", "240p/00001.m4s", "#EXT-X-DISCONTINUITY\n240p/00001.m4s"),
        ("240p-keys.m3u8", "@0", "@999999"),
        ("master.m3u8", "storyboard.m3u8", "other.m3u8"),
        ("master.m3u8", "RESOLUTION=160x90", "RESOLUTION=160x91"),
        ("storyboard.m3u8", "storyboard/00003.jpg", "storyboard/00004.jpg"),
        ("storyboard.m3u8", "LAYOUT=4x7", "LAYOUT=4x6"),
        ("storyboard.m3u8", "LAYOUT=4x4", "LAYOUT=4x7"),
        ("storyboard.m3u8", "#EXT-X-IMAGES-ONLY\n", ""),
    ],
)
def test_the_rules_see_what_is_wrong(name: str, good: str, bad: str):
    whole = publish_whole()
    text = whole.files[name].decode()
    assert good in text
    wrong = {**whole.files, name: text.replace(good, bad, 1).encode()}
    with pytest.raises(AssertionError):
        check_publication(replace(whole, files=wrong))
