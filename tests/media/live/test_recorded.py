"""What a recording has beside its playlists: one file, DASH, keyframes, pictures; real media."""

from __future__ import annotations

import io
import uuid
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import cv2
import m3u8
import numpy as np
import pytest
from mpegdash.parser import MPEGDASHParser

from media.live.joining import plan_joined
from media.live.packets import OPUS_FORMAT
from media.live.recording import build_tracks, publish_recording
from media.vod.download import adapt_segment
from media.vod.publish import Publication
from media.vod.records import TaskRecord, playlist_name, thumbnail_key
from storage.live_segments import StoredSegment
from storage.objects import ObjectStore
from tests.media.live.recorded_stage import FPS, Broadcast, Picture
from tests.media.playlist_rules import check_publication
from tests.media.vod.test_parsers import ask_mp4box
from tests.media.vod.test_playback import ask_ffprobe

pytestmark = pytest.mark.media

LIVE_ID = uuid.UUID("01900000-0000-7000-8000-000000000001")
MPD = "{urn:mpeg:dash:schema:mpd:2011}"
SMALL, LARGE = (192, 108), (256, 144)


class Recorded:
    """A broadcast that is over, and all that was made of it."""

    def __init__(self, cast: Broadcast, rows: list[StoredSegment] | None = None) -> None:
        self.cast, self.rows = cast, cast.rows if rows is None else rows
        self.video_id = str(uuid.uuid4())
        self.records: dict[str, TaskRecord] = cast.run_tasks(self.video_id, self.rows)
        self.publication: Publication = publish_recording(self.rows, self.records)
        check_publication(self.publication)

    def read(self, track: str, name: str) -> bytes:
        return self.cast.store.get_sync(self.publication.keys[track, name])

    def download(self) -> bytes:
        """The whole file, as the edge sends it."""
        tracks, record = build_tracks(self.rows), self.records["join"].joined
        assert tracks is not None
        assert record is not None
        header = self.cast.store.get_sync(record.header_key)
        plan = plan_joined(tracks.picture, tracks.sound, record, header, tracks.keys)
        data = plan.header + b"".join(
            adapt_segment(self.cast.store.get_sync(piece.key), piece) for piece in plan.pieces
        )
        assert len(data) == plan.size_bytes
        return data


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path_factory.mktemp('recorded')}")


@pytest.fixture(scope="module")
def plain(store: ObjectStore) -> Recorded:
    """Eight seconds of one publisher."""
    cast = Broadcast(store, LIVE_ID)
    cast.publish(SMALL, seconds=8)
    return Recorded(cast)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A publisher whose picture grows, then, a minute in, another one with the first size."""
    cast = Broadcast(ObjectStore.open(f"file://{tmp_path_factory.mktemp('broken')}"), LIVE_ID)
    cast.publish(SMALL, LARGE)
    cast.publish(SMALL, offset_s=60)
    return Recorded(cast)


def decode(data: bytes) -> tuple[list[Fraction], list[Picture]]:
    """Every picture of a file and when it is shown."""
    times, pictures = [], []
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(video=0):
            assert frame.pts is not None
            times.append(frame.pts * Fraction(frame.time_base or 1))
            pictures.append(frame.to_ndarray(format="bgr24", width=frame.width))
    return times, pictures


def check_same(found: list[Picture], sent: list[Picture]) -> None:
    assert [picture.shape for picture in found] == [picture.shape for picture in sent]
    for seen, wanted in zip(found, sent, strict=True):
        assert np.abs(seen.astype(int) - wanted).mean() < 8


def list_sound(data: bytes) -> list[tuple[Fraction, Fraction]]:
    """When each frame of sound begins and how long it lasts."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        base = Fraction(stream.time_base or 1)
        return [
            ((packet.pts or 0) * base, (packet.duration or 0) * base)
            for packet in container.demux(stream)
            if packet.size
        ]


def test_the_file_has_every_picture_at_its_time(plain: Recorded):
    times, pictures = decode(plain.download())
    assert times == [Fraction(number, FPS) for number in range(8 * FPS)]
    check_same(pictures, plain.cast.pictures)
    assert sum(length for _at, length in list_sound(plain.download())) == 8


def test_ffmpeg_plays_the_manifest_to_its_end(plain: Recorded, tmp_path: Path):
    for name in ("source", "audio"):
        track = plain.publication.tracks[name]
        (tmp_path / name).mkdir()
        for file in [track.parts[0].init_name, *(f"{s.number:05d}.m4s" for s in track.segments)]:
            (tmp_path / name / file).write_bytes(plain.read(name, file))
    manifest = tmp_path / "manifest.mpd"
    manifest.write_bytes(plain.publication.files["manifest.mpd"])
    found = ask_ffprobe(manifest, "-count_frames", "-show_streams", "-show_format")
    kinds = {stream["codec_name"]: stream for stream in found["streams"]}
    assert kinds["h264"]["nb_read_frames"] == str(8 * FPS)
    assert "opus" in kinds
    assert float(found["format"]["duration"]) == pytest.approx(8, abs=0.1)


def test_each_keyframe_alone_decodes(plain: Recorded):
    lines = plain.publication.files["source-keys.m3u8"].decode().splitlines()
    ranges = [line.partition(":")[2] for line in lines if line.startswith("#EXT-X-BYTERANGE")]
    init = plain.read("source", plain.publication.tracks["source"].parts[0].init_name)
    assert len(ranges) == len(plain.rows) == 4
    for number, wanted in enumerate(ranges):
        data = plain.read("source", f"{number:05d}.m4s")[: int(wanted.partition("@")[0])]
        _times, pictures = decode(init + data)
        check_same(pictures[:1], plain.cast.pictures[number * 2 * FPS :][:1])
    assert 'URI="source-keys.m3u8"' in plain.publication.files["master.m3u8"].decode()


def test_the_pictures_for_scrubbing_show_their_moment(plain: Recorded):
    assert plain.publication.files["storyboard.vtt"].decode().count("#xywh=") == 4
    data = plain.cast.store.get_sync(f"videos/{plain.video_id}/storyboard/00000.jpg")
    sheet = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    for tile in range(4):
        sent = plain.cast.pictures[tile * 2 * FPS]
        wanted = cv2.resize(sent, (160, 90), interpolation=cv2.INTER_AREA)
        seen = sheet[:90, 160 * tile : 160 * (tile + 1)].astype(int)
        assert np.abs(seen - wanted).mean() < 12
    images = plain.records["thumbnails"].images
    assert images[0] == thumbnail_key(plain.video_id)
    assert plain.publication.candidates == len(images) - 1 == 4


def test_a_file_of_parts_plays_them_end_to_end_each_in_its_size(broken: Recorded):
    times, pictures = decode(broken.download())
    check_same(pictures, broken.cast.pictures)
    steps = {later - earlier for earlier, later in pairwise(times)}
    assert times[0] == 0
    assert all(abs(step - Fraction(1, FPS)) < Fraction(1, 40) for step in steps)
    sound = list_sound(broken.download())
    for (at, length), (following, _length) in pairwise(sound):
        assert abs(following - at - length) <= Fraction(1, 40)
    assert abs(sound[-1][0] + sound[-1][1] - times[-1] - Fraction(1, FPS)) < Fraction(1, 20)


def test_a_jump_into_another_part_of_the_file_decodes(broken: Recorded):
    with av.open(io.BytesIO(broken.download())) as container:
        for moment_s, wanted in ((9, SMALL), (6, LARGE), (0, SMALL)):
            container.seek(moment_s * av.time_base)
            frame = next(container.decode(video=0))
            assert (frame.width, frame.height) == wanted
            number = round((frame.time or 0) * FPS)
            check_same([frame.to_ndarray(format="bgr24")], [broken.cast.pictures[number]])


def test_the_manifest_of_parts_has_a_period_for_each(broken: Recorded):
    root = ET.fromstring(broken.publication.files["manifest.mpd"])
    periods, shown, at_s = list(root.iter(f"{MPD}Period")), 0, 0.0
    assert len(periods) == 3
    for period in periods:
        start_s, length_s = (float(period.get(name, "")[2:-1]) for name in ("start", "duration"))
        assert start_s == pytest.approx(at_s, abs=1e-5)
        at_s = start_s + length_s
        for representation in period.iter(f"{MPD}Representation"):
            template = representation.find(f"{MPD}SegmentTemplate")
            if template is None:
                continue
            data, offset_s = read_representation(broken, template)
            if representation.get("id") == "audio":
                begins = list_sound(data)[0][0] - offset_s
                assert abs(begins) < Fraction(1, 40)
                continue
            times, pictures = decode(data)
            assert times[0] == offset_s
            size = (int(representation.get("width", 0)), int(representation.get("height", 0)))
            assert {picture.shape[1::-1] for picture in pictures} == {size}
            check_same(pictures, broken.cast.pictures[shown : shown + len(pictures)])
            shown += len(pictures)
    assert shown == len(broken.cast.pictures)
    assert root.get("mediaPresentationDuration") == f"PT{at_s:.3f}S"


def test_readers_that_others_wrote_agree_on_the_parts(broken: Recorded, tmp_path: Path):
    files = broken.publication.files
    lengths_s: dict[str, list[float]] = {}
    for name in ("source", "audio"):
        media = m3u8.loads(files[playlist_name(name)].decode())
        assert [init.uri.partition("-")[0] for init in media.segment_map] == [
            f"{name}/{part}" for part in range(3)
        ]
        lengths_s[name] = []
        for number, segment in enumerate(media.segments):
            if segment.discontinuity or number == 0:
                lengths_s[name].append(0.0)
            lengths_s[name][-1] += segment.duration
    manifest = MPEGDASHParser.parse(files["manifest.mpd"].decode())
    periods_s = [float(period.duration[2:-1]) for period in manifest.periods]
    assert periods_s == pytest.approx(lengths_s["source"], abs=1e-5)
    assert periods_s == pytest.approx(lengths_s["audio"], abs=1 / FPS)
    (tmp_path / "best.mp4").write_bytes(broken.download())
    (file,) = ask_mp4box(tmp_path / "best.mp4")
    assert file["problems"] == []
    picture, sound = file["tracks"]
    assert tuple(picture["shown"]) == LARGE
    assert (picture["width"], picture["height"]) == SMALL, "the first description's"
    assert picture["samples"] == len(broken.cast.pictures)
    assert sound["codec"].lower() == "opus"
    for track in (picture, sound):
        length_s = track["duration_ticks"] / track["timescale"]
        assert length_s == pytest.approx(sum(periods_s), abs=1 / FPS)


def read_representation(recorded: Recorded, template: ET.Element) -> tuple[bytes, Fraction]:
    """The bytes that a player fetches for a representation of a period, and its offset."""
    folder, _, init = template.get("initialization", "").partition("/")
    count = sum(int(run.get("r", 0)) + 1 for run in template.iter(f"{MPD}S"))
    first = int(template.get("startNumber", ""))
    names = [init, *(f"{number:05d}.m4s" for number in range(first, first + count))]
    offset = Fraction(
        int(template.get("presentationTimeOffset", 0)), int(template.get("timescale", 1))
    )
    return b"".join(recorded.read(folder, name) for name in names), offset


def test_a_clip_begins_at_zero_and_has_pictures_to_choose_from(broken: Recorded):
    clip = Recorded(broken.cast, broken.rows[3:5])  # one segment of each of two parts
    times, pictures = decode(clip.download())
    check_same(pictures, broken.cast.pictures[6 * FPS : 10 * FPS])
    assert times[0] == 0
    assert clip.publication.candidates >= 3


def read_preview(recorded: Recorded) -> list[Picture]:
    """Its pictures; it is silent, and plays before all of it is there."""
    data = recorded.cast.store.get_sync(f"videos/{recorded.video_id}/preview.mp4")
    assert len(data) == recorded.records["preview"].preview_bytes < 200_000
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert float(container.duration or 0) / av.time_base == pytest.approx(3.0, abs=0.1)
    return decode(data)[1]


def find_moment(recorded: Recorded, picture: Picture) -> float:
    """When the broadcast showed a picture, in seconds of the recording."""
    size = (picture.shape[1], picture.shape[0])
    apart = [
        np.abs(cv2.resize(sent, size, interpolation=cv2.INTER_AREA).astype(int) - picture).mean()
        for sent in recorded.cast.pictures
    ]
    assert min(apart) < 10
    return int(np.argmin(apart)) / FPS


def test_cards_have_three_silent_seconds_of_different_scenes(plain: Recorded):
    pictures = read_preview(plain)
    assert len(pictures) == 45
    assert pictures[0].shape == (108, 192, 3)
    moments = [find_moment(plain, picture) for picture in pictures]
    for scene in (moments[:15], moments[15:30], moments[30:]):
        assert scene == sorted(scene)
        assert scene[-1] - scene[0] == pytest.approx(0.9, abs=0.11)
    assert moments[0] + 1 <= moments[15]
    assert moments[15] + 1 <= moments[30]


def test_scenes_of_parts_of_another_size_are_fitted_and_those_of_another_shape_left_out(
    broken: Recorded, store: ObjectStore
):
    assert read_preview(broken)[0].shape == (144, 256, 3)
    cast = Broadcast(store, uuid.uuid4())
    cast.publish(LARGE)
    cast.publish((108, 192), offset_s=30)
    turned = Recorded(cast)
    moments = [find_moment(turned, picture) for picture in read_preview(turned)]
    assert max(moments) < 4


def test_a_clip_shorter_than_a_preview_is_shown_whole(broken: Recorded):
    clip = Recorded(broken.cast, broken.rows[:1])
    data = broken.cast.store.get_sync(f"videos/{clip.video_id}/preview.mp4")
    assert len(decode(data)[1]) == 30


@pytest.fixture(scope="module", params=["hevc", "av1"])
def resized(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A publisher of another codec than H.264 whose picture grows."""
    cast = Broadcast(ObjectStore.open(f"file://{tmp_path_factory.mktemp(request.param)}"), LIVE_ID)
    cast.publish(SMALL, LARGE, codec=request.param)
    return Recorded(cast)


def test_a_file_of_another_codec_plays_and_can_be_jumped_into(resized: Recorded):
    times, pictures = decode(resized.download())
    check_same(pictures, resized.cast.pictures)
    assert times == [Fraction(number, FPS) for number in range(len(times))]
    with av.open(io.BytesIO(resized.download())) as container:
        container.seek(6 * av.time_base)
        frame = next(container.decode(video=0))
        number = round((frame.time or 0) * FPS)
        check_same([frame.to_ndarray(format="bgr24")], [resized.cast.pictures[number]])


def test_pictures_of_another_codec_are_made(resized: Recorded):
    assert len(resized.records["thumbnails"].images) == 5
    assert resized.records["storyboard"].storyboard is not None
    assert not any(record.left_out for record in resized.records.values())


def test_a_picture_in_another_codec_midway_is_a_stated_reason_for_no_file(store: ObjectStore):
    cast = Broadcast(store, LIVE_ID)
    cast.publish(SMALL, codec="hevc")
    cast.publish(SMALL, offset_s=60)
    recorded = Recorded(cast)
    assert recorded.records["join"].left_out == {"download": "picture_changed"}
    manifest = recorded.publication.files["manifest.mpd"].decode()
    assert [manifest.count(name) for name in ("hvc1.", "avc1.")] == [1, 1]


def test_sound_in_another_format_midway_is_a_stated_reason_for_no_file(store: ObjectStore):
    cast = Broadcast(store, uuid.uuid4())
    cast.publish(SMALL, seconds=2)
    mono = replace(OPUS_FORMAT, channels=1, config=b"OpusHead\1\1" + OPUS_FORMAT.config[10:])
    cast.publish(SMALL, seconds=2, offset_s=10, audio=mono)
    record = Recorded(cast).records["join"]
    assert record.left_out == {"download": "sound_changed"}
    assert record.joined is None
    made = publish_recording(cast.rows, {})
    assert len(made.tracks["audio"].parts) == 2
    assert playlist_name("audio") in made.files


def test_pictures_that_nobody_can_decode_are_left_out_with_the_reason(store: ObjectStore):
    cast = Broadcast(store, uuid.uuid4())
    cast.publish(SMALL, seconds=2)
    for row in cast.rows:
        key = publish_recording(cast.rows, {}).keys["source", "00000.m4s"]
        store.put_sync(key.replace("/0.m4s", f"/{row.number}.m4s"), b"\0" * 100)
    records = Recorded(cast).records
    assert records["thumbnails"].left_out == {"thumbnail": "picture_unreadable"}
    assert records["storyboard"].left_out == {"storyboard": "picture_unreadable"}
    assert records["preview"] == TaskRecord("preview")
