"""Readers that others wrote agree: on playlists, manifest, segments and the one file.

m3u8 and mpegdash read text, mp4box.js and ffprobe bytes; each is compared with the records.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from cluster.bootstrap import find_node
from media.vod.download import adapt_segment, plan_download
from media.vod.hls import Track
from media.vod.publish import publish
from media.vod.records import track_key
from storage.objects import ObjectStore
from tests.media.vod.clips import VIDEO_ID, Made, run_ffmpeg, transcode, write_playlists
from tests.media.vod.test_copying import film
from tests.media.vod.test_playback import ask_ffprobe, folder_of

pytestmark = pytest.mark.media

WEB = Path(__file__).resolve().parents[3] / "web"
SHAPES = ("made", "copied", "sound")
"""A video of two rungs, one whose larger rung is the file as it came, and sound alone."""
FPS, LENGTH_S = 10, 11
TICK_S = 1e-6
"""Playlists and manifests write lengths as decimal fractions of so many digits."""


@dataclass(frozen=True)
class Seen:
    """What a reader says of a track; None where it says nothing of it."""

    codec: str
    duration_s: float
    size: tuple[int, int] | None = None
    segments: int | None = None
    init_name: str | None = None
    samples: int | None = None
    sample_bytes: int | None = None


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("parsers")
    run_ffmpeg(
        *("-f", "lavfi", "-i", f"testsrc2=s=480x320:r={FPS}:d={LENGTH_S}"),
        *("-f", "lavfi", "-i", f"sine=d={LENGTH_S}"),
        *("-c:v", "mpeg4", "-g", "10", "-c:a", "aac", folder / "a.mp4"),
    )
    return make(folder / "a.mp4")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("passed-on")
    made = make(film(folder / "a.mp4", size="640x360"))
    assert made.plan.info.copyable is not None
    return made


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Made:
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    run_ffmpeg("-f", "lavfi", "-i", f"sine=d={LENGTH_S}", path)
    return make(path)


def make(path: Path) -> Made:
    store = ObjectStore.open(f"file://{path.parent}/objects")
    made = transcode(path, store, segments_max=2)
    write_playlists(made.plan, made.records, made.store)
    return made


@pytest.fixture(scope="module", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Made:
    found: Made = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def whole(made: Made) -> dict[str, Path]:
    return write_whole(made)


def write_whole(made: Made) -> dict[str, Path]:
    """Each track as one file: its init segment, then its segments."""
    files = {name: folder_of(made.store) / f"whole-{name}.mp4" for name in made.tracks}
    for name, path in files.items():
        path.write_bytes(made.bytes_of(name))
    return files


def see_records(made: Made) -> dict[str, Seen]:
    found = {}
    for name, track in made.tracks.items():
        first = track.parts[0]
        size = (first.width, first.height) if first.width else None
        length_s = float(track.duration_s)
        found[name] = Seen(first.codec, length_s, size, len(track.segments), first.init_name)
    return found


def ask_mp4box(*paths: Path) -> list[dict[str, Any]]:
    """Let mp4box.js read files."""
    folders = find_node(Path(sys.prefix))
    assert folders is not None, "run the tests by `make test`"
    answer = subprocess.run(
        ["node", "outside/boxes.mjs", *map(str, paths)],
        cwd=WEB,
        env={"PATH": ":".join([*folders, "/usr/bin", "/bin"])},
        check=True,
        capture_output=True,
        timeout=60,
    )
    return list(json.loads(answer.stdout))


def see_by_mp4box(_made: Made, whole: Mapping[str, Path]) -> dict[str, Seen]:
    found = {}
    for name, file in zip(whole, ask_mp4box(*whole.values()), strict=True):
        assert file["problems"] == []
        found[name] = _see_box_track(*file["tracks"], segments=file["fragments"])
    return found


def _see_box_track(track: dict[str, Any], *, segments: int | None = None) -> Seen:
    return Seen(
        track["codec"],
        track["duration_ticks"] / track["timescale"],
        (track["width"], track["height"]) if track["width"] else None,
        segments,
        samples=track["samples"],
        sample_bytes=track["size_bytes"],
    )


def see_by_ffprobe(_made: Made, whole: Mapping[str, Path]) -> dict[str, Seen]:
    return {name: _see_stream(path, 0) for name, path in whole.items()}


def _see_stream(path: Path, index: int) -> Seen:
    found: Any = ask_ffprobe(path, "-show_streams", "-show_packets")
    stream = found["streams"][index]
    packets = [packet for packet in found["packets"] if packet["stream_index"] == index]
    return Seen(
        name_codec(stream),
        float(stream["duration_ts"] * Fraction(stream["time_base"])),
        (stream["width"], stream["height"]) if "width" in stream else None,
        samples=len(packets),
        sample_bytes=sum(int(packet["size"]) for packet in packets),
    )


def name_codec(stream: dict[str, Any]) -> str:
    """The codec as RFC 6381 names it, from ffprobe's words for profile and level."""
    if stream["codec_name"] == "aac":
        return {"LC": "mp4a.40.2"}[stream["profile"]]
    profile = {"Constrained Baseline": "42c0", "Main": "4d40", "High": "6400"}[stream["profile"]]
    return f"avc1.{profile}{stream['level']:02x}"


def see_by_m3u8(made: Made, _whole: Mapping[str, Path]) -> dict[str, Seen]:
    master = m3u8.load(str(folder_of(made.store) / "master.m3u8"))
    assert master.is_variant
    found = {}
    for variant in master.playlists:
        info = variant.stream_info
        *pictures, sound = info.codecs.split(",")
        assert info.frame_rate == (FPS if pictures else None)
        size = tuple(info.resolution) if pictures else None
        found[variant.uri.removesuffix(".m3u8")] = ((pictures or [sound])[0], size)
    if made.plan.info.video is not None:
        (heard,) = master.media
        name = heard.uri.removesuffix(".m3u8")
        assert name == ("audio-even" if made.plan.copies_sound else "audio")
        channels = str(made.tracks[name].parts[0].channels)
        assert (heard.type, heard.channels) == ("AUDIO", channels)
        found[name] = (sound, None)
    return {name: _see_media(made, name, *said) for name, said in found.items()}


def _see_media(made: Made, name: str, codec: str, size: tuple[int, int] | None) -> Seen:
    media = m3u8.load(str(folder_of(made.store) / f"{name}.m3u8"))
    assert media.is_endlist
    assert media.playlist_type == "vod"
    assert media.target_duration == 4
    assert max(segment.duration for segment in media.segments) < 4.5
    (init,) = media.segment_map
    length_s = sum(segment.duration for segment in media.segments)
    return Seen(codec, length_s, size, len(media.segments), init.uri.removeprefix(f"{name}/"))


def see_by_mpegdash(made: Made, _whole: Mapping[str, Path]) -> dict[str, Seen]:
    manifest = MPEGDASHParser.parse(str(folder_of(made.store) / "manifest.mpd"))
    (period,) = manifest.periods
    found = {}
    for group in period.adaptation_sets:
        for representation in group.representations or []:
            if not representation.codecs:
                continue
            name = representation.id
            (template,) = representation.segment_templates
            (timeline,) = template.segment_timelines
            lengths = [run.d for run in timeline.Ss for _ in range((run.r or 0) + 1)]
            assert template.media == f"{name}/$Number%05d$.m4s"
            found[name] = Seen(
                representation.codecs,
                sum(lengths) / template.timescale,
                (representation.width, representation.height) if representation.width else None,
                len(lengths),
                template.initialization.removeprefix(f"{name}/"),
            )
    length_s = max(seen.duration_s for seen in found.values())
    assert manifest.media_presentation_duration == f"PT{length_s:.3f}S"
    return found


READERS = {
    "ffprobe": see_by_ffprobe,
    "mp4box.js": see_by_mp4box,
    "m3u8": see_by_m3u8,
    "mpegdash": see_by_mpegdash,
}


def check_agree(found: Mapping[str, Seen], wanted: Mapping[str, Seen]) -> None:
    """What both say of the same track is the same."""
    assert found.keys() == wanted.keys()
    for name, seen in found.items():
        known = wanted[name]
        assert seen.codec.lower() == known.codec.lower()
        assert seen.duration_s == pytest.approx(known.duration_s, abs=10 * TICK_S)
        for fact in ("size", "segments", "init_name", "samples", "sample_bytes"):
            said, other = getattr(seen, fact), getattr(known, fact)
            assert said is None or other is None or said == other, (name, fact)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_reader_agrees_with_the_records(
    read: Callable[[Made, Mapping[str, Path]], dict[str, Seen]], shape: Made
):
    known = see_records(shape)
    if read in (see_by_m3u8, see_by_mpegdash):  # which see what is named
        for former in publish(shape.plan, shape.records).former:
            del known[former.removesuffix(".m3u8")]
    check_agree(read(shape, write_whole(shape)), known)


def test_readers_of_bytes_count_the_same_samples(shape: Made):
    whole = write_whole(shape)
    seen = see_by_mp4box(shape, whole)
    check_agree(seen, see_by_ffprobe(shape, whole))
    pictures = [track.samples for track in seen.values() if track.size is not None]
    assert pictures == [FPS * LENGTH_S] * (0 if shape.plan.info.video is None else 2)


def test_what_is_stored_is_as_large_as_the_records_say(made: Made, whole: dict[str, Path]):
    for name, track in made.tracks.items():
        init = made.store.get_sync(track_key(VIDEO_ID, name, track.parts[0].init_name))
        listed = sum(segment.size_bytes for segment in track.segments)
        assert whole[name].stat().st_size == len(init) + listed
    master = m3u8.load(str(folder_of(made.store) / "master.m3u8"))
    heard = made.tracks["audio"]
    for variant in master.playlists:
        track = made.tracks[variant.uri.removesuffix(".m3u8")]
        sizes = [sum(it.size_bytes for it in each.segments) for each in (track, heard)]
        lengths_s = [each.duration_s for each in (track, heard)]
        rates = sum(8 * size / length_s for size, length_s in zip(sizes, lengths_s, strict=True))
        assert variant.stream_info.average_bandwidth == pytest.approx(float(rates), abs=2)


def test_keyframes_alone_are_read_as_ranges_within_their_segments(made: Made):
    master = m3u8.load(str(folder_of(made.store) / "master.m3u8"))
    assert [it.uri for it in master.iframe_playlists] == ["240p-keys.m3u8", "320p-keys.m3u8"]
    for listed in master.iframe_playlists:
        keys = m3u8.load(str(folder_of(made.store) / listed.uri))
        track = made.tracks[listed.uri.removesuffix("-keys.m3u8")]
        assert keys.is_i_frames_only
        ranges = [segment.byterange for segment in keys.segments]
        assert ranges == [f"{segment.key_bytes}@0" for segment in track.segments]


def test_the_pictures_for_scrubbing_are_read_as_sheets_beside_the_variants(made: Made):
    master = m3u8.load(str(folder_of(made.store) / "master.m3u8"))
    (listed,) = master.image_playlists
    info = listed.image_stream_info
    assert (listed.uri, info.codecs, info.resolution) == ("storyboard.m3u8", "jpeg", (160, 106))
    sheets = m3u8.load(str(folder_of(made.store) / listed.uri))
    assert sheets.is_images_only
    (sheet,) = sheets.segments
    assert (sheet.uri, sheet.duration) == ("storyboard/00000.jpg", LENGTH_S)
    (tiles,) = sheets.data["tiles"]
    assert tiles == {"resolution": "160x106", "layout": "10x1", "duration": 2.0}


def test_readers_agree_on_the_one_file(made: Made, tmp_path: Path):
    tracks = [made.tracks["320p"], made.tracks["audio"]]
    path = write_download(made, tracks, tmp_path / "best.mp4")
    (file,) = ask_mp4box(path)
    assert file["problems"] == []
    assert file["fragments"] == sum(len(track.segments) for track in tracks)
    assert file["declared_s"] == pytest.approx(LENGTH_S, abs=0.05)
    seen = {
        track.name: _see_box_track(found)
        for track, found in zip(tracks, file["tracks"], strict=True)
    }
    check_agree(seen, {name: see_records(made)[name] for name in seen})
    check_agree(seen, {track.name: _see_stream(path, n) for n, track in enumerate(tracks)})


def write_download(made: Made, tracks: list[Track], path: Path) -> Path:
    """Write a rung with its sound as the edge sends them."""
    inits = [
        made.store.get_sync(track_key(VIDEO_ID, track.name, track.parts[0].init_name))
        for track in tracks
    ]
    download = plan_download(VIDEO_ID, tracks, inits)
    pieces = [adapt_segment(made.store.get_sync(p.key), p) for p in download.pieces]
    path.write_bytes(download.header + b"".join(pieces))
    assert path.stat().st_size == download.size_bytes
    return path


def test_readers_agree_on_what_grows(made: Made):
    early = {
        task_id: record
        for task_id, record in made.records.items()
        if task_id in {"first-00000", "audio"}
    }
    files = publish(made.plan, early).files
    lengths_s = []
    for name in ("240p", "audio"):
        media = m3u8.loads(files[f"{name}.m3u8"].decode())
        assert media.playlist_type == "event"
        assert not media.is_endlist
        lengths_s.append(sum(segment.duration for segment in media.segments))
    assert lengths_s[1] == pytest.approx(lengths_s[0], abs=0.05)
    assert lengths_s[0] < LENGTH_S
