"""The sound of a recording once more as AAC: what FFmpeg hears of it, its borders, its pieces."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import msgspec
import numpy as np
import pytest

from media.live.aac_lane import AAC_FORMAT
from media.live.recorded_aac import iter_recorded_aac
from media.live.recorded_aac_plan import PIECE_SEGMENTS, plan_aac
from media.live.recording import publish_recording
from storage.live_segments import StoredSegment
from storage.objects import ObjectStore
from tests.media.live.aac_stage import RATE_HZ, Made, Sound, encode_opus, make_swell
from tests.media.live.recorded_stage import Broadcast, run_piece
from tests.media.playlist_reading import read_playlist

pytestmark = pytest.mark.media

FRAME_S = 1024 / RATE_HZ
SIZE = (64, 48)
MPD = "{urn:mpeg:dash:schema:mpd:2011}"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Twelve seconds of one publisher: six segments, three pieces."""
    folder = tmp_path_factory.mktemp("plain")
    cast = Broadcast(ObjectStore.open(f"file://{folder / 'store'}"), uuid.uuid4())
    cast.voice = encode_opus(make_swell(12))
    cast.publish(SIZE, seconds=12)
    return Made(cast, folder)


@pytest.fixture
def cast(objects: ObjectStore) -> Broadcast:
    return Broadcast(objects, uuid.uuid4(), voice=encode_opus(make_swell(4)))


def measure_levels(sound: Sound, step_s: float = 0.1) -> Sound:
    """The loudness of each side, a tenth of a second at a time."""
    step = round(step_s * RATE_HZ)
    whole = sound[: len(sound) // step * step].reshape(-1, step, 2)
    return np.sqrt((whole.astype(np.float64) ** 2).mean(axis=1))


def list_variants(files: dict[str, bytes]) -> list[dict[str, str]]:
    lines = files["master.m3u8"].decode().splitlines()
    return [
        {name: value.strip('"') for name, value in re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', line)}
        for line in lines
        if line.startswith("#EXT-X-STREAM-INF")
    ]


def test_ffmpeg_hears_the_same_sound_at_the_same_moments(plain: Made):
    opus, aac = plain.hear("audio.m3u8"), plain.hear("aac.m3u8")
    assert len(opus) == pytest.approx(12 * RATE_HZ, abs=960)
    assert len(aac) == pytest.approx(12 * RATE_HZ, abs=1024)
    count = min(len(opus), len(aac))
    levels = [measure_levels(sound[:count]) for sound in (opus, aac)]
    assert np.abs(levels[0] - levels[1]).max(axis=0) == pytest.approx([0, 0], abs=0.005)
    assert levels[1][:, 0].max() > 4 * levels[1][10:, 0].min()
    assert np.allclose(levels[1][1:, 0], 2 * levels[1][1:, 1], rtol=0.1)
    error = (aac[1024:count] - opus[1024:count]).astype(np.float64)
    power = (opus[1024:count].astype(np.float64) ** 2).mean()
    assert (error**2).mean() < power / 100, "a shift by a fraction of a millisecond is more"


def test_where_one_piece_follows_another_nothing_is_heard(plain: Made):
    """The error beside the Opus is no larger around a border of pieces than elsewhere."""
    opus, aac = plain.hear("audio.m3u8"), plain.hear("aac.m3u8")
    count = min(len(opus), len(aac))
    error = measure_levels(aac[:count] - opus[:count], step_s=0.05)[:, 0]
    borders = [4.0, 8.0]  # two segments of two seconds each
    around = [error[round(at / 0.05) + step] for at in borders for step in (-1, 0, 1)]
    assert max(around) <= np.quantile(error[2:], 0.98) * 1.5


def test_segments_end_where_those_of_the_opus_end_to_a_frame(plain: Made):
    opus, aac = plain.list_lengths("audio"), plain.list_lengths("aac")
    assert len(opus) == len(aac) == 6
    ends = zip(np.cumsum(opus), np.cumsum(aac), strict=True)
    assert all(-1e-4 < later - earlier < FRAME_S for earlier, later in ends)
    sizes = plain.publication.tracks["aac"].segments
    assert 100_000 < sum(it.size_bytes for it in sizes) * 8 / 12 < 140_000


def test_each_picture_is_listed_with_opus_first_and_with_aac(plain: Made):
    variants = list_variants(plain.publication.files)
    assert [it["CODECS"].partition(",")[2] for it in variants] == ["opus", "mp4a.40.2"]
    text = plain.publication.files["master.m3u8"].decode()
    groups = dict(re.findall(r'GROUP-ID="([^"]+)".*URI="([^"]+)"', text))
    assert [groups[it["AUDIO"]] for it in variants] == ["audio.m3u8", "aac.m3u8"]
    assert text.count("\nsource.m3u8") == 2
    rates = [int(it["BANDWIDTH"]) for it in variants]
    assert rates[1] > rates[0], "who can play both takes the sound as it came"
    averages = [int(it["AVERAGE-BANDWIDTH"]) for it in variants]
    assert averages[1] < averages[0]


def test_the_manifest_offers_both_and_players_that_can_prefer_opus(plain: Made):
    root = ET.fromstring(plain.publication.files["manifest.mpd"])
    sets = {
        each.find(f"{MPD}Representation").get("codecs"): each.get("selectionPriority")  # type: ignore[union-attr]
        for each in root.iter(f"{MPD}AdaptationSet")
        if each.get("contentType") == "audio"
    }
    assert sets == {"opus": "2", "mp4a.40.2": "1"}


def test_no_aac_is_listed_before_all_of_it_is_there(plain: Made):
    some = {name: it for name, it in plain.records.items() if name != "aac-00002"}
    early = publish_recording(plain.cast.rows, some)
    assert set(early.tracks) == {"source", "audio"}
    assert [it["CODECS"].partition(",")[2] for it in list_variants(early.files)] == ["opus"]


def test_parts_begin_anew_together_and_one_piece_may_make_several(cast: Broadcast, tmp_path: Path):
    cast.publish(SIZE, seconds=6)
    cast.publish(SIZE, seconds=4, offset_s=60)
    made = Made(cast, tmp_path, segments_max=PIECE_SEGMENTS)
    assert [name for name in made.records if name.startswith("aac")] == ["aac-00000"]
    for name in ("audio", "aac"):
        listing = read_playlist(made.publication.files[f"{name}.m3u8"].decode())
        marks = [segment.is_discontinuous for segment in listing.segments]
        assert marks == [False, False, False, True, False]
        assert sum(segment.init is not None for segment in listing.segments) == 2
    tracks = made.publication.tracks
    starts = [
        (heard.segments[0].start_ticks, made_of.segments[0].start_ticks)
        for heard, made_of in zip(tracks["aac"].parts, tracks["audio"].parts, strict=True)
    ]
    assert starts == [(0, 0), (60 * RATE_HZ, 60 * RATE_HZ)]
    opus, aac = (measure_levels(made.hear(f"{name}.m3u8")) for name in ("audio", "aac"))
    assert len(aac) == len(opus) == 100
    apart = np.abs(opus - aac).max(axis=1)
    assert apart[1:60].max() < 0.005
    assert apart[61:].max() < 0.02, "the second part is late by a frame at most"


def test_what_came_as_aac_is_passed_on_as_it_is(cast: Broadcast, tmp_path: Path):
    cast.publish(SIZE, seconds=4)
    cast.voice = encode_aac_silence()
    cast.publish(SIZE, seconds=4, offset_s=20, audio=AAC_FORMAT)
    made = Made(cast, tmp_path)
    keys, live = made.publication.keys, f"live/{cast.live_id}/2/audio"
    assert keys["aac", "00002.m4s"] == f"{live}/{cast.rows[2].number}.m4s"
    assert ("aac", "00001.m4s") not in keys
    codecs = [it["CODECS"].partition(",")[2] for it in list_variants(made.publication.files)]
    assert codecs == ["opus,mp4a.40.2", "mp4a.40.2"]
    periods = ET.fromstring(made.publication.files["manifest.mpd"]).iter(f"{MPD}Period")
    offered = [
        [
            each.get("id")
            for each in period.iter(f"{MPD}AdaptationSet")
            if each.get("contentType") == "audio"
        ]
        for period in periods
    ]
    assert offered == [["104", "1"], ["1"]]


def encode_aac_silence() -> Sequence[bytes]:
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE_HZ, "stereo", "fltp"
    frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
    frame.sample_rate, frame.pts = RATE_HZ, 0
    return [bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]][-1:]


def test_nothing_is_made_of_a_live_that_came_as_aac(cast: Broadcast):
    cast.voice = encode_aac_silence()
    cast.publish(SIZE, seconds=4, audio=AAC_FORMAT)
    assert plan_aac("v", cast.rows) is None
    assert set(publish_recording(cast.rows, {}).tracks) == {"source", "audio"}


def test_what_nobody_can_decode_is_silence_and_counted(cast: Broadcast, tmp_path: Path):
    tone = encode_opus(make_swell(2))
    cast.voice = [*tone[:50], *[b"\x03"] * 10, *tone[60:]]  # no Opus: a frame count is missing
    cast.publish(SIZE, seconds=2)
    made = Made(cast, tmp_path)
    assert made.records["aac-00000"].decode_errors == 10
    levels = measure_levels(made.hear("aac.m3u8"))[:, 0]
    assert len(levels) == 20
    assert levels[11] < 0.005
    assert min(levels[5:9].min(), levels[13:].min()) > 0.02


def test_a_piece_that_lost_its_worker_is_made_again_with_the_same_bytes(cast: Broadcast):
    cast.publish(SIZE, seconds=8)
    plan = plan_aac("v", cast.rows, segments_max=3)
    assert plan is not None
    job = plan.jobs["aac-00000"]
    lost = iter_recorded_aac(job, cast.store)
    assert [next(lost).done, next(lost).done] == [1, 2]
    lost.close()
    kept = read_made(cast.store)
    assert sorted(kept) == ["00000.m4s", "00001.m4s"]
    record = run_piece(iter_recorded_aac(job, cast.store))
    whole = read_made(cast.store)
    assert {name: whole[name] for name in kept} == kept
    assert sorted(whole) == ["0-init.mp4", *sorted(kept), "00002.m4s"]
    assert run_piece(iter_recorded_aac(job, cast.store)) == record


def read_made(store: ObjectStore) -> dict[str, bytes]:
    return {
        entry.key.rpartition("/")[2]: store.get_sync(entry.key)
        for entry in store.list_sync("videos/v/aac")
    }


def test_sound_that_ends_before_its_rows_say_is_silent_up_to_there(cast: Broadcast):
    cast.publish(SIZE, seconds=4)
    key = f"live/{cast.live_id}/1/audio/{cast.rows[-1].number}.m4s"
    data = cast.store.get_sync(key)
    cast.store.put_sync(key, data[: data.index(b"styp", 100) - 4])  # its first part alone
    (record,) = cast.make_aac("v", cast.rows, segments_max=9).values()
    (track,) = record.tracks
    assert sum(it.duration_ticks for it in track.segments) == 188 * 1024


def test_segments_shorter_than_a_frame_have_one_and_those_behind_are_in_time_again(
    cast: Broadcast,
):
    cast.publish(SIZE, seconds=12)
    rows = [shorten(row, place) for place, row in enumerate(cast.rows)]
    plan = plan_aac("v", rows)
    assert plan is not None
    (stretch,) = plan.jobs["aac-00000"].stretches
    assert [it.frames for it in stretch.segments][1:5] == [1, 1, 1, 92]
    for before, after in zip(stretch.segments, stretch.segments[1:], strict=False):
        assert before.end_ticks == after.start_ticks
    assert 0 <= stretch.segments[-1].end_ticks - (3 * 96_000 + 3 * 300) < 1024


def shorten(row: StoredSegment, place: int) -> StoredSegment:
    """Let the second, third and fourth segment be of 6 ms each."""
    sound = row.tracks["audio"]
    short = min(max(0, place - 1), 3)
    length = 300 if 1 <= place <= 3 else 96_000
    start = (place - short) * 96_000 + short * 300
    changed = msgspec.structs.replace(sound, start_ticks=start, duration_ticks=length)
    return msgspec.structs.replace(row, tracks={**row.tracks, "audio": changed})
