"""The picture of a recording in smaller sizes: what players are told, times, borders, pieces."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import cv2
import numpy as np
import pytest

from media.cmaf import Sample, read_fragment, split_fragments
from media.live.recorded_rungs import iter_recorded_rungs
from media.live.recorded_rungs_plan import PIECE_SEGMENTS, KeyframesRare, plan_rungs
from media.live.recording import publish_recording
from media.live.samples import VideoCodec
from media.vod.publish import Publication
from media.vod.records import segment_name, track_key
from storage.live_segments import StoredSegment
from storage.objects import ObjectStore
from tests.media.live.recorded_stage import FPS, Broadcast, Picture, run_piece
from tests.media.playlist_reading import read_multivariant, read_playlist
from tests.media.playlist_rules import check_publication
from tests.media.vod.test_playback import ask_ffprobe

pytestmark = pytest.mark.media

LADDER = ("360p", "240p")
LARGE, SMALL = (960, 540), (320, 180)
MPD = "{urn:mpeg:dash:schema:mpd:2011}"


class Made:
    """A recording with its smaller pictures."""

    def __init__(
        self, cast: Broadcast, rows: list[StoredSegment] | None = None, *, segments_max: int = 2
    ) -> None:
        self.cast, self.rows = cast, cast.rows if rows is None else rows
        self.video_id = str(uuid.uuid4())
        self.pieces = cast.make_rungs(self.video_id, self.rows, LADDER, segments_max=segments_max)
        self.records = {
            **cast.run_tasks(self.video_id, self.rows),
            **cast.make_aac(self.video_id, self.rows),
            **self.pieces,
        }
        self.publication: Publication = publish_recording(self.rows, self.records)
        check_publication(self.publication)

    def read(self, track: str, name: str) -> bytes:
        key = track_key(self.video_id, track, name)
        return self.cast.store.get_sync(self.publication.keys.get((track, name), key))

    def list_samples(self, track: str) -> list[list[tuple[int, Sample]]]:
        """By segment, each picture with its decode time."""
        found = []
        for segment in self.publication.tracks[track].segments:
            samples = []
            for fragment in split_fragments(self.read(track, segment_name(segment.number))):
                ticks, pictures = read_fragment(fragment)
                for sample in pictures:
                    samples.append((ticks, sample))
                    ticks += sample.duration_ticks
            found.append(samples)
        return found

    def list_shown(self, track: str) -> list[list[int]]:
        """By segment, when its pictures are shown."""
        return [
            sorted(ticks + sample.cts_offset_ticks for ticks, sample in segment)
            for segment in self.list_samples(track)
        ]

    def decode(self, track: str, part: int = 0, first: int = 0) -> list[Picture]:
        """Pictures of a part from one of its segments on, in the order of showing."""
        described = self.publication.tracks[track].parts[part]
        names = [segment_name(it.number) for it in described.segments[first:]]
        data = b"".join(self.read(track, name) for name in [described.init_name, *names])
        with av.open(io.BytesIO(data)) as container:
            return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]

    def check_times(self, track: str) -> None:
        """Segments, parts, pictures and their times are the source's; all begin with keyframes."""
        source, rung = (self.publication.tracks[name] for name in ("source", track))
        for mine, theirs in zip(rung.parts, source.parts, strict=True):
            assert [(it.number, it.start_ticks, it.duration_ticks) for it in mine.segments] == [
                (it.number, it.start_ticks, it.duration_ticks) for it in theirs.segments
            ]
        assert self.list_shown(track) == self.list_shown("source")
        for segment, stored in zip(self.list_samples(track), rung.segments, strict=True):
            assert segment[0][0] == stored.start_ticks
            assert [sample.is_key for _ticks, sample in segment][:2] == [True, False]
            assert sum(sample.duration_ticks for _t, sample in segment) == stored.duration_ticks


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Eight seconds of one publisher, in two pieces."""
    folder = tmp_path_factory.mktemp("plain")
    cast = Broadcast(ObjectStore.open(f"file://{folder}"), uuid.uuid4())
    cast.publish(LARGE, seconds=8)
    return Made(cast)


@pytest.fixture
def cast(objects: ObjectStore) -> Broadcast:
    return Broadcast(objects, uuid.uuid4())


def check_looks(seen: list[Picture], sent: list[Picture]) -> None:
    """The same pictures in the same order, smaller."""
    assert len(seen) == len(sent)
    for small, large in zip(seen, sent, strict=True):
        size = (small.shape[1], small.shape[0])
        wanted = cv2.resize(large, size, interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - wanted).mean() < 10


def test_every_size_is_listed_with_every_sound(plain: Made):
    master = read_multivariant(plain.publication.files["master.m3u8"].decode())
    found = [(address, it["RESOLUTION"], it["CODECS"]) for it, address in master.variants]
    sizes = {"240p": "426x240", "360p": "640x360", "source": "960x540"}
    codecs = {name: track.codecs[0] for name, track in plain.publication.tracks.items()}
    assert found == [
        (f"{name}.m3u8", size, f"{codecs[name]},{sound}")
        for name, size in sizes.items()
        for sound in ("opus", "mp4a.40.2")
    ]
    assert codecs["240p"] == "avc1.4d4015"
    rates = [int(it["BANDWIDTH"]) for it, _address in master.variants]
    assert rates == sorted(rates)
    keys = {it["URI"]: it["RESOLUTION"] for it in master.keys}
    assert keys == {f"{name}-keys.m3u8": size for name, size in sizes.items()}


@pytest.mark.parametrize("track", ["360p", "240p"])
def test_a_smaller_picture_has_the_sources_segments_and_times(plain: Made, track: str):
    assert list(plain.pieces) == ["rungs-00000", "rungs-00001"]
    plain.check_times(track)
    check_looks(plain.decode(track), plain.cast.pictures)
    for first in (1, 2, 3):
        check_looks(plain.decode(track, first=first), plain.cast.pictures[first * 2 * FPS :])


def test_ffmpeg_plays_every_size_of_the_manifest(plain: Made, tmp_path: Path):
    for name, track in plain.publication.tracks.items():
        (tmp_path / name).mkdir()
        names = [segment_name(it.number) for it in track.segments]
        for file in [track.parts[0].init_name, *names]:
            (tmp_path / name / file).write_bytes(plain.read(name, file))
    manifest = tmp_path / "manifest.mpd"
    manifest.write_bytes(plain.publication.files["manifest.mpd"])
    streams = ask_ffprobe(manifest, "-count_frames", "-show_streams")["streams"]
    pictures = {it["height"]: it for it in streams if it["codec_type"] == "video"}
    assert sorted(pictures) == [240, 360, 540]
    assert {it["nb_read_frames"] for it in pictures.values()} == {str(8 * FPS)}
    (group,) = list_sets(plain.publication)
    assert group.get("segmentAlignment") == "true"


def list_sets(publication: Publication) -> list[ET.Element]:
    """The sets of pictures, by period."""
    sets = ET.fromstring(publication.files["manifest.mpd"]).iter(f"{MPD}AdaptationSet")
    return [it for it in sets if it.get("contentType") == "video"]


def test_parts_stay_where_the_live_was_interrupted_and_nothing_is_made_larger(cast: Broadcast):
    """The publisher comes back a minute later, with a smaller picture."""
    cast.publish(LARGE, seconds=6)
    cast.publish(SMALL, seconds=4, offset_s=60)
    made = Made(cast, segments_max=PIECE_SEGMENTS)
    assert list(made.pieces) == ["rungs-00000"]
    for track, first in (("360p", (640, 360)), ("240p", (426, 240))):
        made.check_times(track)
        sizes = [(part.width, part.height) for part in made.publication.tracks[track].parts]
        assert sizes == [first, SMALL]
        assert [part.segments[0].start_ticks for part in made.publication.tracks[track].parts] == [
            0,
            60 * 90_000,
        ]
        check_looks(made.decode(track), cast.pictures[: 6 * FPS])
        check_looks(made.decode(track, part=1), cast.pictures[6 * FPS :])
        listing = read_playlist(made.publication.files[f"{track}.m3u8"].decode())
        marks = [segment.is_discontinuous for segment in listing.segments]
        assert marks == [False, False, False, True, False]
    offered = [
        {it.get("id"): it.get("height") for it in each.iter(f"{MPD}Representation")}
        for each in list_sets(made.publication)
    ]
    assert offered == [
        {"240p": "240", "360p": "360", "source": "540"},
        dict.fromkeys(("240p", "360p", "source"), "180"),
    ]


def test_pictures_that_lean_on_later_ones_keep_their_times(cast: Broadcast):
    cast.b_frames = 2
    cast.publish(LARGE, seconds=6)
    made = Made(cast, segments_max=1)
    offsets = {it.cts_offset_ticks for seg in made.list_samples("source") for _t, it in seg}
    assert len(offsets) > 1, "the source has B-frames"
    made.check_times("240p")
    check_looks(made.decode("240p"), cast.pictures)


def test_a_segment_that_begins_without_a_keyframe_has_one_in_smaller_sizes(cast: Broadcast):
    cast.key_every = 8 * FPS
    cast.publish(LARGE, seconds=12)
    assert [row.tracks["source"].key_bytes > 0 for row in cast.rows] == [True, False, True]
    made = Made(cast, segments_max=1)
    made.check_times("240p")
    check_looks(made.decode("240p", first=1), cast.pictures[4 * FPS :])
    sets = [(it.get("id"), it.get("startWithSAP")) for it in list_sets(made.publication)]
    assert sets == [("0", "1"), ("200", None)]


def test_a_source_whose_keyframes_are_rare_stays_alone(cast: Broadcast):
    cast.key_every = 12 * FPS
    cast.publish(LARGE, seconds=12)
    with pytest.raises(KeyframesRare):
        plan_rungs("v", cast.rows, ladder=("240p",))


def test_a_clip_that_begins_without_a_keyframe_has_every_picture(cast: Broadcast):
    cast.key_every = 8 * FPS
    cast.publish(LARGE, seconds=12)
    clip = Made(cast, cast.rows[1:])
    clip.check_times("240p")
    check_looks(clip.decode("240p")[4 * FPS :], cast.pictures[8 * FPS :])


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_pictures_of_other_codecs_are_h264_in_smaller_sizes(cast: Broadcast, codec: VideoCodec):
    cast.publish(LARGE, codec=codec)
    made = Made(cast)
    made.check_times("240p")
    check_looks(made.decode("240p"), cast.pictures)
    groups = {
        tuple(it.get("id") for it in each.iter(f"{MPD}Representation"))
        for each in list_sets(made.publication)
    }
    assert groups == {("240p", "360p"), ("source",)}
    assert made.publication.rungs == ("240p", "360p"), "what every player can play"


def test_a_size_of_which_a_piece_is_missing_is_not_listed(plain: Made):
    records = {name: it for name, it in plain.records.items() if name != "rungs-00001"}
    publication = publish_recording(plain.rows, records)
    check_publication(publication)
    assert set(publication.tracks) == {"source", "audio", "aac"}


def test_a_piece_that_lost_its_worker_is_made_again_with_the_same_bytes(cast: Broadcast):
    cast.publish(LARGE, seconds=6)
    plan = plan_rungs("v", cast.rows, ladder=LADDER, segments_max=3)
    assert plan is not None
    job = plan.jobs["rungs-00000"]
    lost = iter_recorded_rungs(job, cast.store)
    assert next(lost).done == 1
    lost.close()
    kept = read_made(cast.store)
    assert {name.partition("/")[2] for name in kept} == {"00000.m4s"}
    record = run_piece(iter_recorded_rungs(job, cast.store))
    whole = read_made(cast.store)
    assert {name: whole[name] for name in kept} == kept
    assert len(whole) == 2 * 4
    assert run_piece(iter_recorded_rungs(job, cast.store)) == record


def read_made(store: ObjectStore) -> dict[str, bytes]:
    found = (entry.key for track in LADDER for entry in store.list_sync(f"videos/v/{track}"))
    return {key.removeprefix("videos/v/"): store.get_sync(key) for key in found}


def test_bytes_that_are_missing_cost_their_own_pictures_alone(cast: Broadcast):
    cast.publish(LARGE, seconds=6)
    key = f"live/{cast.live_id}/1/source/{cast.rows[1].number}.m4s"
    data = cast.store.get_sync(key)
    cast.store.put_sync(key, data[: data.index(b"styp", 100) - 4])  # its first part alone
    made = Made(cast)
    assert [it.duration_ticks for it in made.publication.tracks["240p"].segments] == [180_000] * 3
    check_looks(made.decode("240p", first=2), cast.pictures[4 * FPS :])
