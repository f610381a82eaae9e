"""What players read besides playlists: DASH, keyframes alone, pictures for scrubbing, one file."""

import io
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import cv2
import numpy as np
import pytest

from media.vod.download import adapt_segment, plan_download
from media.vod.publish import publish
from media.vod.records import track_key
from media.vod.storyboard import decide_interval_s
from storage.objects import ObjectStore
from tests.media.vod.clips import VIDEO_ID, Made, run_ffmpeg, transcode, write_playlists
from tests.media.vod.test_playback import ask_ffprobe, folder_of

pytestmark = pytest.mark.media

MPD = "{urn:mpeg:dash:schema:mpd:2011}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("manifests")
    run_ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=480x320:r=10:d=11", "-f", "lavfi", "-i", "sine=d=11"),
        *("-c:v", "mpeg4", "-g", "10", "-c:a", "aac", folder / "a.mp4"),
    )
    made = transcode(folder / "a.mp4", ObjectStore.open(f"file://{folder}/objects"), segments_max=2)
    write_playlists(made.plan, made.records, made.store)
    return made


def text_of(made: Made, name: str) -> str:
    return publish(made.plan, made.records).files[name].decode()


def test_ffmpeg_plays_the_manifest_to_its_end(made: Made):
    manifest = folder_of(made.store) / "manifest.mpd"
    counted = ask_ffprobe(manifest, "-count_frames", "-show_streams", "-show_format")
    kinds = {(s["codec_name"], s.get("height")): s for s in counted["streams"]}
    assert {("h264", 240), ("h264", 320), ("aac", None)} <= set(kinds)
    assert kinds["h264", 320]["nb_read_frames"] == "110"
    assert float(counted["format"]["duration"]) == pytest.approx(11, abs=0.1)


def test_the_manifest_names_every_segment_with_its_time(made: Made):
    root = ET.fromstring(text_of(made, "manifest.mpd"))
    for representation in root.iter(f"{MPD}Representation"):
        template = representation.find(f"{MPD}SegmentTemplate")
        if template is None:
            continue
        track = made.tracks[representation.get("id")]
        at, lengths = 0, []
        for run in template.iter(f"{MPD}S"):
            assert run.get("t") is None or int(run.get("t")) == at
            lengths += [int(run.get("d"))] * (int(run.get("r", 0)) + 1)
            at = sum(lengths)
        assert lengths == [segment.duration_ticks for segment in track.segments]
        assert template.get("startNumber") == "0"
    heights = [r.get("height") for r in root.iter(f"{MPD}Representation") if r.get("codecs")]
    assert heights == ["240", "320", None]


def test_there_is_no_manifest_before_all_is_made(made: Made):
    early = {name: record for name, record in made.records.items() if name != "storyboard"}
    files = publish(made.plan, early).files
    assert "manifest.mpd" not in files
    assert "storyboard.vtt" not in files
    assert "master.m3u8" in files


def test_each_keyframe_alone_decodes(made: Made):
    lines = text_of(made, "240p-keys.m3u8").splitlines()
    assert "#EXT-X-I-FRAMES-ONLY" in lines
    ranges = [line.partition(":")[2] for line in lines if line.startswith("#EXT-X-BYTERANGE")]
    track = made.tracks["240p"]
    init = made.store.get_sync(track_key(VIDEO_ID, "240p", track.parts[0].init_name))
    assert len(ranges) == len(track.segments) == 3
    for number, wanted in enumerate(ranges):
        size_bytes, at = wanted.split("@")
        data = made.store.get_sync(track_key(VIDEO_ID, "240p", f"{number:05d}.m4s"))
        assert at == "0"
        assert int(size_bytes) < len(data) / 2
        with av.open(io.BytesIO(init + data[: int(size_bytes)])) as container:
            assert next(container.decode(video=0)).key_frame
    assert 'URI="240p-keys.m3u8"' in text_of(made, "master.m3u8")


def test_the_pictures_for_scrubbing_are_where_the_track_says(made: Made):
    record = made.records["storyboard"].storyboard
    assert record is not None
    assert (record.width, record.height, record.tiles, record.sheets) == (160, 106, 6, 1)
    cues = text_of(made, "storyboard.vtt").split("\n\n")[1:]
    assert cues[0].splitlines() == [
        "00:00:00.000 --> 00:00:02.000",
        "storyboard/00000.jpg#xywh=0,0,160,106",
    ]
    assert cues[5].splitlines()[0] == "00:00:10.000 --> 00:00:11.000"
    data = made.store.get_sync(f"videos/{VIDEO_ID}/storyboard/00000.jpg")
    sheet = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert sheet.shape == (106, 1600, 3)
    tiles = [sheet[:, 160 * n : 160 * (n + 1)] for n in range(7)]
    assert all(tile.std() > 20 for tile in tiles[:6])
    assert tiles[6].mean() < 5
    assert not np.array_equal(tiles[0], tiles[3])


def test_long_videos_have_pictures_further_apart():
    assert [decide_interval_s(s) for s in (5, 1000, 1001, 7200)] == [2, 2, 3, 15]


def test_a_download_is_one_file_with_picture_and_sound(made: Made, tmp_path: Path):
    tracks = [made.tracks["320p"], made.tracks["audio"]]
    inits = [
        made.store.get_sync(track_key(VIDEO_ID, track.name, track.parts[0].init_name))
        for track in tracks
    ]
    download = plan_download(VIDEO_ID, tracks, inits)
    pieces = [adapt_segment(made.store.get_sync(p.key), p) for p in download.pieces]
    data = download.header + b"".join(pieces)
    assert len(data) == download.size_bytes
    (tmp_path / "a.mp4").write_bytes(data)
    found = ask_ffprobe(tmp_path / "a.mp4", "-count_frames", "-show_streams", "-show_format")
    assert [(s["codec_name"], s["id"]) for s in found["streams"]] == [
        ("h264", "0x1"),
        ("aac", "0x2"),
    ]
    assert found["streams"][0]["nb_read_frames"] == "110"
    assert float(found["format"]["duration"]) == pytest.approx(11, abs=0.1)
    assert Fraction(found["streams"][0]["avg_frame_rate"]) == 10
